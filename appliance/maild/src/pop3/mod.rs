//! The POP3 edge: drives the protocol core over a connection and fetches what it asks for.

mod answers;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use pillarbox_platform::config::{Config, Derived, Live, seconds};
use pillarbox_platform::stream::{Ended, Stream};
use pillarbox_platform::tasks::Tasks;
use pillarbox_platform::tls::Certificates;
use pillarbox_proto::pop3::{self, Action, ContentNeed, Security, Session};
use pillarbox_store::Store;
use tokio::sync::Semaphore;

use answers::{Body, Owned, Visit};
use pillarbox_office::Office;
use pillarbox_office::auth::SignIns;

/// What all POP3 connections share.
pub struct Edge {
    settings: Live,
    store: Store,
    certificates: Arc<Certificates>,
    sign_ins: Arc<SignIns>,
    tasks: Tasks,
    profiles: Derived<Profiles>,
    /// KiB of messages that may still be read ahead for programs. A pool of its own: a program that
    /// stops half-way must not keep mail from coming in.
    read_ahead: Semaphore,
    /// When each device last logged in, for LOGIN-DELAY.
    logins: Mutex<HashMap<(u32, u16), Instant>>,
}

/// What the settings mean for a session, by where it comes from.
struct Profiles {
    usual: Arc<pop3::Config>,
    /// For networks where a password may be sent without TLS.
    trusted: Arc<pop3::Config>,
}

impl Profiles {
    fn new(config: &Config) -> Profiles {
        Profiles { usual: Arc::new(profile(config, pop3::PlaintextLogin::OnlyUnderTls)), trusted: Arc::new(profile(config, pop3::PlaintextLogin::Allowed)) }
    }
}

fn profile(config: &Config, plaintext_login: pop3::PlaintextLogin) -> pop3::Config {
    pop3::Config {
        hostname: config.hostname(),
        stls: pop3::Offer::Yes,
        plaintext_login,
        login_delay: (config.login.delay > 0).then(|| seconds(config.login.delay)),
        // RFC 2449 §6.7: what a program does not delete stays for ever.
        expire: pop3::Expire::Never,
        implementation: format!("Pillarbox-{}", env!("CARGO_PKG_VERSION")),
        limits: pop3::Limits {
            failed_logins: config.limits.failed_logins,
            errors: config.limits.errors,
            autologout: seconds(config.timeouts.pop3_idle),
            login: seconds(config.timeouts.pop3_login),
            ..pop3::Limits::default()
        },
    }
}

impl Edge {
    pub fn new(office: &Office) -> Edge {
        Edge {
            settings: office.settings.clone(),
            store: office.store.clone(),
            certificates: office.certificates.clone(),
            sign_ins: office.sign_ins.clone(),
            tasks: office.tasks().clone(),
            profiles: Derived::default(),
            read_ahead: Semaphore::new(office.settings.get().limits.octets_in_flight / 1024 / 4),
            logins: Mutex::default(),
        }
    }
}

/// Serves one connection to its end.
pub async fn serve(edge: Arc<Edge>, mut stream: Stream, peer: IpAddr) -> Result<(), Ended> {
    let settings = edge.settings.get();
    let profiles = edge.profiles.of(&settings, Profiles::new);
    let trusted = settings.trust.networks.iter().any(|n| n.contains(peer));
    let config = if trusted { profiles.trusted.clone() } else { profiles.usual.clone() };
    let security = if stream.facts().is_some() { Security::Tls } else { Security::Plain };
    let mut session = Session::new(config, security, Instant::now());
    let mut visit = Visit::new(&edge, peer);
    let mut stop = edge.tasks.stop();
    let result = loop {
        match session.poll(Instant::now()) {
            Action::Input => {
                let (room, deadline) = (session.wants_input(), session.deadline());
                tokio::select! {
                    biased;
                    read = stream.read(room, deadline) => match read {
                        Ok(Some(octets)) => session.receive(Instant::now(), octets),
                        Ok(None) => session.peer_closed(),
                        Err(ended) => break Err(ended),
                    },
                    _ = stop.changed() => session.shut_down(),
                }
            }
            Action::Send(octets) => {
                if let Err(ended) = stream.send(octets).await {
                    break Err(ended);
                }
            }
            Action::Ask(question) => {
                let question = Owned::from(question);
                // Counting what is waiting costs a look at each line: only when it decides something.
                let waiting = if visit.reads_ahead_now() { session.more_retrievals_waiting() } else { 0 };
                let (answer, body) = visit.answer(question, waiting).await;
                session.answer(Instant::now(), answer);
                if let Some(body) = body
                    && let Err(ended) = feed(&mut session, &mut stream, body).await
                {
                    break Err(ended);
                }
            }
            Action::StartTls => {
                stream = match stream.start_tls(edge.certificates.current()).await {
                    Ok(stream) => stream,
                    Err(ended) => return Err(ended),
                };
                session = session.start_tls(Instant::now());
            }
            Action::Close => {
                stream.close().await;
                break Ok(());
            }
        }
    };
    visit.leave();
    result
}

/// Hands a message to the session piece by piece, no faster than the peer takes it.
async fn feed(session: &mut Session, stream: &mut Stream, mut body: Body) -> Result<(), Ended> {
    loop {
        let room = session.content_room();
        if room == 0 {
            if let Action::Send(octets) = session.poll(Instant::now()) {
                stream.send(octets).await?;
                continue;
            }
            return Err(Ended::Broken);
        }
        // A message that can't be read to its end must not look complete: the line drops instead.
        let next = body.next(room).await.map_err(|error| {
            tracing::error!(%error, "a message broke off");
            Ended::Broken
        })?;
        match next {
            Some(octets) if session.content_satisfied() == ContentNeed::More => session.content(octets),
            _ => {
                session.content_end();
                return Ok(());
            }
        }
    }
}
