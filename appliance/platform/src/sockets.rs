//! Listening sockets: handed over by systemd where it has them, else opened here.

use std::net::{SocketAddr, TcpListener as StdListener};

use tokio::net::{TcpListener, TcpSocket};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::service::Service;

/// Connections the kernel keeps waiting for us.
const BACKLOG: u32 = 1024;

/// All listening sockets, those from systemd first.
/// Needs a tokio runtime.
/// The error names service and address, and says what to do.
pub fn listen(config: &Config) -> Result<Vec<(Service, TcpListener)>> {
    let mut listeners = inherited()?;
    for service in Service::ALL {
        if listeners.iter().any(|(s, _)| *s == service) {
            continue;
        }
        for address in service.addresses(config) {
            listeners.push((service, open(service, *address)?));
        }
    }
    if listeners.is_empty() {
        return Err(Error::NothingToListenOn);
    }
    Ok(listeners)
}

fn open(service: Service, address: SocketAddr) -> Result<TcpListener> {
    let opened = || -> std::io::Result<TcpListener> {
        let (socket, address) = match address {
            SocketAddr::V4(_) => (TcpSocket::new_v4()?, address),
            // "Everywhere" includes machines whose kernel has no IPv6.
            SocketAddr::V6(v6) => match TcpSocket::new_v6() {
                Err(_) if v6.ip().is_unspecified() => {
                    (TcpSocket::new_v4()?, SocketAddr::from(([0, 0, 0, 0], v6.port())))
                }
                socket => (socket?, address),
            },
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    opened().map_err(|e| {
        let hint = match e.kind() {
            std::io::ErrorKind::PermissionDenied => {
                ": ports below 1024 need root or a socket from systemd"
            }
            std::io::ErrorKind::AddrInUse => ": another program listens there",
            _ => "",
        };
        Error::Listening { address, service: service.name(), why: e.to_string(), hint }
    })
}

/// Sockets from systemd (sd_listen_fds), known by FileDescriptorName=, or by port where that is missing.
fn inherited() -> Result<Vec<(Service, TcpListener)>> {
    // Read before listenfd takes the variables out of the environment.
    let names: Vec<String> = std::env::var("LISTEN_FDNAMES")
        .map(|n| n.split(':').map(str::to_string).collect())
        .unwrap_or_default();
    let mut passed = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        let taken = passed
            .take_tcp_listener(index)
            .map_err(|e| Error::Socket { index, why: e.to_string() })?;
        let Some(socket) = taken else { continue };
        let name = names.get(index).map_or("", String::as_str);
        let service = service_of(name, &socket)
            .ok_or_else(|| Error::UnknownSocket { index, name: name.to_string() })?;
        let listener = socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket));
        listeners
            .push((service, listener.map_err(|e| Error::Socket { index, why: e.to_string() })?));
    }
    Ok(listeners)
}

fn service_of(name: &str, socket: &StdListener) -> Option<Service> {
    let by_name = Service::ALL
        .into_iter()
        .find(|s| name == s.name() || name == format!("pillarbox-{}.socket", s.name()));
    by_name.or_else(|| match socket.local_addr().ok()?.port() {
        25 => Some(Service::Smtp),
        587 => Some(Service::Submission),
        465 => Some(Service::Submissions),
        110 => Some(Service::Pop3),
        995 => Some(Service::Pop3s),
        80 => Some(Service::Http),
        443 => Some(Service::Https),
        _ => None,
    })
}
