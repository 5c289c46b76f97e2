//! Listening sockets: handed over by systemd where it has them, else opened here.

use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};

use tokio::net::{TcpListener, TcpSocket};

use crate::config::{Config, listen_key};
use crate::error::{Error, Result};
use crate::service::Service;

/// Connections the kernel keeps waiting for us.
const BACKLOG: u32 = 1024;

/// All listening sockets, those from systemd first.
/// Needs a tokio runtime.
/// The error names service and address, and says what to do.
pub fn listen(config: &Config) -> Result<Vec<(Service, TcpListener)>> {
    let mut listeners = inherited()?;
    let known: Vec<Service> = listeners.iter().map(|(service, _)| *service).collect();
    for (service, address) in wanted(config, &known, wildcard())? {
        let opened = bind(address).and_then(|socket| socket.listen(BACKLOG));
        listeners.push((service, opened.map_err(failed(service, address))?));
    }
    Ok(listeners)
}

/// Whether the settings' addresses can be listened on, as far as can be known beside a server that listens there:
/// no port is wanted twice, and this machine has the addresses.
/// Needs a tokio runtime.
pub fn examine(config: &Config) -> Result<()> {
    for (service, address) in wanted(config, &[], wildcard())? {
        let free = SocketAddr::new(address.ip(), 0);
        bind(free).map_err(failed(service, address))?;
    }
    Ok(())
}

/// What `[::]` stands for on this machine (ipv6(7), IPV6_V6ONLY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wildcard {
    /// All addresses.
    Both,
    /// Those of IPv6.
    V6Only,
}

fn wildcard() -> Wildcard {
    match std::fs::read_to_string("/proc/sys/net/ipv6/bindv6only") {
        Ok(text) if text.trim() == "1" => Wildcard::V6Only,
        _ => Wildcard::Both,
    }
}

/// The addresses to listen on by the settings, for the services without a socket yet.
fn wanted(
    config: &Config,
    known: &[Service],
    wildcard: Wildcard,
) -> Result<Vec<(Service, SocketAddr)>> {
    let missing = Service::ALL.into_iter().filter(|service| !known.contains(service));
    let wanted: Vec<(Service, SocketAddr)> = missing
        .flat_map(|service| service.addresses(config).iter().map(move |at| (service, *at)))
        .collect();
    if wanted.is_empty() && known.is_empty() {
        return Err(Error::NothingToListenOn);
    }
    for (index, (service, address)) in wanted.iter().enumerate() {
        let before = &wanted[..index];
        if let Some((other, _)) = before.iter().find(|(_, at)| collide(*at, *address, wildcard)) {
            let (first, second) = (listen_key(*other), listen_key(*service));
            return Err(Error::PortTwice { first, second, address: *address });
        }
    }
    Ok(wanted)
}

/// Whether the kernel refuses the second of two addresses; it finds a port itself for 0.
fn collide(one: SocketAddr, other: SocketAddr, wildcard: Wildcard) -> bool {
    let covers = |all: IpAddr, ip: IpAddr| {
        let is_within = match wildcard {
            Wildcard::Both => all.is_ipv6() || ip.is_ipv4(),
            Wildcard::V6Only => all.is_ipv6() == ip.is_ipv6(),
        };
        all.is_unspecified() && is_within
    };
    let (here, there) = (one.ip(), other.ip());
    let is_shared = here.to_canonical() == there.to_canonical();
    one.port() == other.port()
        && one.port() != 0
        && (is_shared || covers(here, there) || covers(there, here))
}

/// A socket at an address, before it listens.
fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
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
    Ok(socket)
}

fn failed(service: Service, address: SocketAddr) -> impl Fn(std::io::Error) -> Error {
    move |e| {
        let hint = match e.kind() {
            std::io::ErrorKind::PermissionDenied => {
                ": ports below 1024 need root or a socket from systemd"
            }
            std::io::ErrorKind::AddrInUse => ": another program listens there",
            _ => "",
        };
        Error::Listening { address, service: service.name(), why: e.to_string(), hint }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_can_be_given_once() {
        let (both, v6) = (Wildcard::Both, Wildcard::V6Only);
        for (one, other, wildcard, collides) in [
            ("127.0.0.1:25", "127.0.0.1:25", both, true),
            ("127.0.0.1:25", "127.0.0.1:26", both, false),
            ("127.0.0.1:25", "127.0.0.2:25", both, false),
            ("127.0.0.1:0", "127.0.0.1:0", both, false),
            ("0.0.0.0:25", "127.0.0.1:25", both, true),
            ("[::]:25", "[::1]:25", both, true),
            ("[::]:25", "127.0.0.1:25", both, true),
            ("[::]:25", "127.0.0.1:25", v6, false),
            ("[::]:25", "0.0.0.0:25", v6, false),
            ("0.0.0.0:25", "[::1]:25", both, false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(collide(one, other, wildcard), collides, "{one} {other} {wildcard:?}");
            assert_eq!(collide(other, one, wildcard), collides, "{other} {one} {wildcard:?}");
        }
    }

    #[test]
    fn a_port_that_two_services_want_is_named_with_both_keys() {
        let mut config = Config::default();
        config.listen.pop3 = vec!["127.0.0.1:25".parse().unwrap()];
        let error = wanted(&config, &[], Wildcard::Both).unwrap_err().to_string();
        assert!(error.contains("listen.smtp and listen.pop3 both have 127.0.0.1:25"), "{error}");
        // A socket from systemd takes precedence over what the settings say.
        let rest = wanted(&config, &[Service::Smtp], Wildcard::Both).unwrap();
        assert!(rest.iter().all(|(service, _)| *service != Service::Smtp));
        assert_eq!(wanted(&config, &Service::ALL, Wildcard::Both), Ok(vec![]));
    }
}
