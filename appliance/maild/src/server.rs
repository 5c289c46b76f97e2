//! The server: opens everything, listens, and stops cleanly.

use nix::unistd::AccessFlags;
use pillarbox_outbound::{ClientTls, Handles, Outbound};
use pillarbox_platform::Error;
use pillarbox_platform::clock;
use pillarbox_platform::config::{Config, Live, seconds};
use pillarbox_platform::connections::{self, TooMany};
use pillarbox_platform::dns::{self, Dns};
use pillarbox_platform::secrets::Secrets;
use pillarbox_platform::service::Service;
use pillarbox_platform::sockets;
use pillarbox_platform::stream::{Ended, Patience, Stream, TlsFault};
use pillarbox_platform::tasks::{Ending, tasks};
use pillarbox_platform::tls::{self, Certificates};
use pillarbox_store::{Access, Recovered, Store};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::{housekeeping, pop3, smtp};
use pillarbox_office::Office;
use pillarbox_office::history::What;
use pillarbox_office::{claim, naming, preseed, update};
use pillarbox_web::{self as web, Site};

/// A server that listens but serves no connection yet.
pub struct Server {
    office: Office,
    listeners: Vec<(Service, TcpListener)>,
    config_path: Option<PathBuf>,
    ending: Ending,
}

/// Logs what the start found in the journal.
fn tell_recovery(recovered: &Recovered) {
    if recovered.commits > 0 {
        tracing::info!(
            commits = recovered.commits,
            "the store was not closed in order: what was acknowledged is back from its journal"
        );
    }
    for what in &recovered.damaged {
        tracing::error!(
            what,
            "the card damaged a part of the store's journal: what was written then may be missing; everything before and after it is there"
        );
    }
}

impl Server {
    /// Opens store, certificate and sockets.
    /// Needs a tokio runtime.
    pub fn open(
        config: Config,
        config_path: Option<PathBuf>,
    ) -> Result<Server, pillarbox_office::Error> {
        raise_file_limit();
        config.judge()?;
        examine(&config)?;
        let store = Store::open(&config.data, Access::Server, &store_options(&config))?;
        tell_recovery(store.recovered());
        let (certificate, key) = config.tls_files();
        let issued = config.issued_file();
        let certificates = Arc::new(Certificates::open(
            certificate,
            key,
            issued,
            &naming::certificate_names(&config),
        )?);
        let listeners = sockets::listen(&config)?;
        let config = with_real_ports(config, &listeners);
        let public = |(service, listener): &(Service, TcpListener)| {
            *service == Service::Smtp
                && listener.local_addr().is_ok_and(|address| address.port() == 25)
        };
        config.check_test_network(listeners.iter().any(public))?;
        let secrets = Arc::new(Secrets::open(&config.data)?);
        let (dns, tls) =
            (Arc::new(Dns::new(&config)?), Arc::new(ClientTls::new(&config.outbound.roots)?));
        let (ending, tasks) = tasks();
        let handles = Handles { store: store.clone(), secrets, dns, tls, tasks };
        update::sweep(&config.updates);
        let newest = tokio::task::block_in_place(|| store.read(|r| r.ledger_recent(1)))?;
        clock::begin(newest.first().map(|(_, record)| record.at));
        let settings = Live::new(naming::with_chosen_name(config, &store));
        let outbound = Arc::new(Outbound::new(settings.clone(), handles.clone()));
        tokio::task::block_in_place(|| {
            preseed::apply_at_start(&settings, &store, &handles.secrets)
        })?;
        claim::prepare(&settings.get().data, &store)?;
        Ok(Server {
            office: Office::new(settings, certificates, outbound, handles),
            listeners,
            config_path,
            ending,
        })
    }

    /// The store, for a caller in the same process.
    pub fn store(&self) -> Store {
        self.office.store.clone()
    }

    /// What the box can do, for a caller in the same process.
    pub fn office(&self) -> Office {
        self.office.clone()
    }

    /// The settings in use.
    pub fn config(&self) -> Config {
        Config::clone(&self.office.settings.get())
    }

    /// The port a service got first.
    pub fn port(&self, service: Service) -> Option<u16> {
        let listener = self.listeners.iter().find(|(s, _)| *s == service)?;
        listener.1.local_addr().ok().map(|a| a.port())
    }

    /// Serves until SIGTERM or SIGINT; then lets conversations finish what was acknowledged.
    /// Fails when the store must be opened anew, which only a new start does.
    pub async fn run(self) -> Result<(), String> {
        let Server { office, listeners, config_path, ending } = self;
        let signals = |kind| signal(kind).map_err(|e| format!("waiting for signals: {e}"));
        let (mut terminate, mut interrupt) =
            (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
        let mut hangup = signals(SignalKind::hangup())?;
        let front = Arc::new(Front::new(office.clone()));
        tokio::task::block_in_place(|| {
            claim::announce(&office.settings.get().data, &office.store, &office.certificates)
        })?;
        for (service, listener) in listeners {
            tracing::info!(service = service.name(), address = ?listener.local_addr().ok(), "listening");
            tokio::spawn(accept(front.clone(), service, listener));
        }
        drop(front);
        tokio::spawn(housekeeping::run(office.clone()));
        tokio::spawn(pillarbox_outbound::run(office.outbound.clone()));
        notify(&[sd_notify::NotifyState::Ready]);
        let ended = loop {
            tokio::select! {
                _ = terminate.recv() => break Ok(()),
                _ = interrupt.recv() => break Ok(()),
                () = office.store.spent() => break Err("the store must be opened anew: a write to the card failed half-way".to_string()),
                _ = hangup.recv() => reload(&office, config_path.as_deref()),
            }
        };
        notify(&[sd_notify::NotifyState::Stopping]);
        tracing::info!("stopping: open conversations may finish");
        let patience = seconds(office.settings.get().timeouts.shutdown);
        drop(office);
        if ending.end(patience).await.is_err() {
            tracing::warn!("some conversations did not end in time and are cut");
        }
        ended
    }
}

/// What takes connections on, each service's own.
struct Front {
    office: Office,
    smtp: Arc<smtp::Edge>,
    pop3: Arc<pop3::Edge>,
    site: Site,
    router: axum::Router,
}

impl Front {
    fn new(office: Office) -> Front {
        let site = Site::new(office.clone());
        Front {
            smtp: Arc::new(smtp::Edge::new(&office)),
            pop3: Arc::new(pop3::Edge::new(&office)),
            router: web::router(site.clone()),
            site,
            office,
        }
    }
}

/// Whether what the settings name can be used: the data folder, files, addresses.
/// The start looks at it first, and `pillarbox check` does, so that both say the same; nothing is written.
/// Needs a tokio runtime.
pub fn examine(config: &Config) -> Result<(), pillarbox_office::Error> {
    examine_data(&config.data).map_err(Error::of_setting("data"))?;
    tls::examine(&config.tls.certificate, &config.tls.key)?;
    dns::examine(config)?;
    ClientTls::new(&config.outbound.roots)?;
    sockets::examine(config)?;
    Ok(())
}

/// The data folder is one, or can be made: the first of its parents that exists is a folder to write into.
fn examine_data(data: &Path) -> Result<(), Error> {
    let fail = |why: &str| Error::file("", data)(why);
    if let Ok(there) = data.metadata() {
        return there.is_dir().then_some(()).ok_or_else(|| fail("that is no folder"));
    }
    let absolute = std::path::absolute(data).map_err(Error::file("", data))?;
    let parent = absolute.ancestors().skip(1).find_map(|path| Some((path, path.metadata().ok()?)));
    match parent {
        Some((parent, there)) if !there.is_dir() => {
            Err(fail(&format!("can't be made: {} is no folder", parent.display())))
        }
        Some((parent, _)) => nix::unistd::access(parent, AccessFlags::W_OK)
            .map_err(|why| fail(&format!("can't be made in {}: {}", parent.display(), why.desc()))),
        None => Err(fail("can't be made")),
    }
}

/// The store's share of the settings.
pub fn store_options(config: &Config) -> pillarbox_store::Options {
    pillarbox_store::Options {
        max_octets: (config.store.max_octets > 0).then_some(config.store.max_octets),
        reserve_octets: config.store.reserve_octets,
        batch_writes: config.store.batch_messages,
        batch_octets: config.store.batch_octets,
        large_octets: config.limits.in_flight().large,
    }
}

/// Where the system chose a port, the settings get it: pages and autoconfiguration name the ports that are true.
fn with_real_ports(mut config: Config, listeners: &[(Service, TcpListener)]) -> Config {
    for (service, listener) in listeners {
        let listen = &mut config.listen;
        let addresses = match service {
            Service::Smtp => &mut listen.smtp,
            Service::Submission => &mut listen.submission,
            Service::Submissions => &mut listen.submissions,
            Service::Pop3 => &mut listen.pop3,
            Service::Pop3s => &mut listen.pop3s,
            Service::Http => &mut listen.http,
            Service::Https => &mut listen.https,
        };
        if let (Some(address), Ok(real)) =
            (addresses.iter_mut().find(|a| a.port() == 0), listener.local_addr())
        {
            address.set_port(real.port());
        }
    }
    config
}

/// Each connection is a file: takes as many as the system allows, so that the limits of the settings count.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Tells systemd, where it wants to know.
pub fn notify(states: &[sd_notify::NotifyState]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

fn reload(office: &Office, path: Option<&std::path::Path>) {
    match path.map(Config::read).transpose() {
        Ok(Some(config)) => {
            naming::reload(&office.settings, &office.store, config);
            tracing::info!(
                "settings read again; listen addresses and sizes of pools need a restart"
            );
        }
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "the old settings stay"),
    }
    housekeeping::refresh_certificate(office);
}

async fn accept(front: Arc<Front>, service: Service, listener: TcpListener) {
    let mut stop = front.office.handles.tasks.stop();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => return,
        };
        match accepted {
            Ok((tcp, peer)) => {
                drop(tokio::spawn(serve(front.clone(), service, tcp, peer.ip().to_canonical())))
            }
            Err(error) => {
                // Out of file descriptors or memory: wait for some to come back.
                tracing::warn!(%error, service = service.name(), "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(front: Arc<Front>, service: Service, tcp: TcpStream, peer: IpAddr) {
    let office = &front.office;
    let _under_way = office.handles.tasks.begin();
    let timeouts = office.settings.get().timeouts.clone();
    let patience =
        Patience { send: seconds(timeouts.send), handshake: seconds(timeouts.tls_handshake) };
    // Replies are written whole: waiting to fill a packet only delays them.
    let _ = tcp.set_nodelay(true);
    let mut stream = Stream::plain(tcp, patience);
    let limits = connections::Limits::of(&office.settings.get());
    let _counted = match office.connections.admit(limits, peer, service.purpose()) {
        Ok(counted) => counted,
        Err(too_many) => return turn_away(service, &mut stream, peer, too_many).await,
    };
    let is_program = !matches!(service, Service::Smtp | Service::Http | Service::Https);
    if is_program {
        office.sign_ins.note(peer, service.name(), What::Connected, "", "");
    }
    let ended = match service {
        Service::Https => stream.start_tls(office.certificates.current_for_https()).await,
        _ if service.starts_with_tls() => stream.start_tls(office.certificates.current()).await,
        _ => Ok(stream),
    };
    let ended = match ended {
        Ok(stream) => converse(&front, service, stream, peer).await,
        Err(ended) => Err(ended),
    };
    // At once, or after STARTTLS or STLS.
    if is_program && let Err(Ended::NoTls(fault)) = ended {
        let what = if fault == TlsFault::TooOld { What::OldTls } else { What::TlsFailed };
        office.sign_ins.note(peer, service.name(), what, "", "");
    }
    if let Err(reason) = ended {
        tracing::debug!(%peer, service = service.name(), ?reason, "conversation broke off");
    }
}

async fn converse(
    front: &Front,
    service: Service,
    stream: Stream,
    peer: IpAddr,
) -> Result<(), Ended> {
    // Boxed so that an idle connection's task is only as large as the protocol it speaks.
    match service {
        Service::Smtp => {
            Box::pin(smtp::serve(front.smtp.clone(), stream, peer, smtp::Service::Smtp)).await
        }
        Service::Submission => {
            Box::pin(smtp::serve(front.smtp.clone(), stream, peer, smtp::Service::Submission)).await
        }
        Service::Submissions => {
            Box::pin(smtp::serve(front.smtp.clone(), stream, peer, smtp::Service::Submissions))
                .await
        }
        Service::Pop3 | Service::Pop3s => {
            Box::pin(pop3::serve(front.pop3.clone(), stream, peer)).await
        }
        Service::Http | Service::Https => {
            Box::pin(web::serve(front.site.clone(), front.router.clone(), stream, peer)).await
        }
    }
}

/// One line to a peer for whom there is no room.
/// Where TLS comes first there is nothing to say it in.
async fn turn_away(service: Service, stream: &mut Stream, peer: IpAddr, why: TooMany) {
    let line: &[u8] = match (service, why) {
        (Service::Pop3, _) => b"-ERR [SYS/TEMP] Too many connections; try again later\r\n",
        (Service::Http, _) => b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        (Service::Pop3s | Service::Submissions | Service::Https, _) => b"",
        (_, TooMany::FromAddress) => b"421 4.7.0 Too many connections from your address; try again later\r\n",
        (_, TooMany::InAll) => b"421 4.3.2 Too many connections; try again later\r\n",
    };
    tracing::info!(%peer, service = service.name(), ?why, "connection turned away");
    if stream.send(line).await.is_ok() {
        stream.close().await;
    }
}
