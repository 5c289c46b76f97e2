//! The SMTP edge: drives the protocol core over a connection. It moves octets and carries questions to
//! the roles; it decides nothing itself.

mod answers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pillarbox_platform::config::{Config, Derived, Live, seconds};
use pillarbox_platform::connections::{self, Connections, Purpose};
use pillarbox_platform::stream::{Ended, Stream};
use pillarbox_platform::tasks::Tasks;
use pillarbox_platform::tls::Certificates;
use pillarbox_proto::smtp::{self, Action, Answer, Session};

use answers::Transaction;
use pillarbox_office::Office;
use pillarbox_office::auth::SignIns;
use pillarbox_office::condition::Condition;
use pillarbox_office::submission::SubmissionAgent;

/// Which SMTP service a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Smtp,
    Submission,
    Submissions,
}

/// How often a peer that is waited for is looked at: it may stand in the way of others by then.
const LOOK: Duration = Duration::from_secs(5);
/// How long a peer may be silent while connections are scarce.
const SILENCE: Duration = Duration::from_secs(20);

/// What all SMTP connections share.
pub struct Edge {
    settings: Live,
    certificates: Arc<Certificates>,
    connections: Arc<Connections>,
    sign_ins: Arc<SignIns>,
    condition: Arc<Condition>,
    submission: Arc<SubmissionAgent>,
    tasks: Tasks,
    profiles: Derived<Profiles>,
}

/// What the settings mean for a session, by service.
struct Profiles {
    smtp: Arc<smtp::Config>,
    submission: Arc<smtp::Config>,
    submissions: Arc<smtp::Config>,
}

impl Profiles {
    fn new(config: &Config) -> Profiles {
        let profile = |role, starttls| Arc::new(profile(config, role, starttls));
        Profiles {
            smtp: profile(smtp::Role::Mta, smtp::Offer::Yes),
            submission: profile(smtp::Role::Submission, smtp::Offer::Yes),
            submissions: profile(smtp::Role::Submission, smtp::Offer::No),
        }
    }
}

fn profile(config: &Config, role: smtp::Role, starttls: smtp::Offer) -> smtp::Config {
    let limits = smtp::Limits {
        command_line: config.limits.command_line,
        message_octets: config.limits.message_octets,
        recipients: config.limits.recipients,
        messages: config.limits.messages,
        errors: config.limits.errors,
        commands: config.limits.commands,
        received_headers: config.limits.received_fields,
        failed_logins: config.limits.failed_logins,
        timeouts: smtp::Timeouts {
            command: seconds(config.timeouts.smtp_command),
            data_initiation: seconds(config.timeouts.smtp_data),
            data_block: seconds(config.timeouts.smtp_data),
        },
        ..smtp::Limits::default()
    };
    smtp::Config { hostname: config.hostname(), role, starttls, limits }
}

impl Edge {
    pub fn new(office: &Office) -> Edge {
        Edge {
            settings: office.settings.clone(),
            certificates: office.certificates.clone(),
            connections: office.connections.clone(),
            sign_ins: office.sign_ins.clone(),
            condition: office.condition.clone(),
            submission: office.submission.clone(),
            tasks: office.tasks().clone(),
            profiles: Derived::default(),
        }
    }
}

/// Serves one connection to its end.
pub async fn serve(edge: Arc<Edge>, mut stream: Stream, peer: IpAddr, service: Service) -> Result<(), Ended> {
    let settings = edge.settings.get();
    let profiles = edge.profiles.of(&settings, Profiles::new);
    let config = match service {
        Service::Smtp => profiles.smtp.clone(),
        Service::Submission => profiles.submission.clone(),
        Service::Submissions => profiles.submissions.clone(),
    };
    let security = match stream.facts() {
        Some(facts) => smtp::Security::Tls(facts),
        None => smtp::Security::Plain,
    };
    let mut session = Session::new(config, security, Instant::now());
    let mut transaction = Transaction::new(&edge, peer);
    let mut stop = edge.tasks.stop();
    let mut heard = Instant::now();
    let purpose = if service == Service::Smtp { Purpose::Relay } else { Purpose::Submission };
    loop {
        match session.poll(Instant::now()) {
            Action::Input => {
                let room = session.wants_input();
                let now = Instant::now();
                let is_silent = now.saturating_duration_since(heard) >= SILENCE;
                let is_unwanted = is_silent && edge.connections.is_scarce(connections::Limits::of(&settings), peer, purpose);
                if is_unwanted || transaction.is_in_the_way(now) {
                    tracing::info!(peer = %peer, "a silent or slow peer makes room for others");
                    session.give_up(now);
                }
                let deadline = session.deadline().min(now + LOOK);
                tokio::select! {
                    biased;
                    read = stream.read(room, deadline) => match read? {
                        Some(octets) => {
                            match octets.is_empty() {
                                true => session.rest(),
                                false => heard = Instant::now(),
                            }
                            session.receive(Instant::now(), octets);
                        }
                        None => session.peer_closed(),
                    },
                    _ = stop.changed() => session.shut_down(),
                }
            }
            Action::Send(octets) => stream.send(octets).await?,
            Action::Content(octets) => transaction.content(octets).await,
            Action::DiscardContent => transaction.discard(),
            Action::Ask(question) => {
                let question = answers::Owned::from(question);
                let answer = transaction.answer(&session, question).await;
                if let Answer::Refuse(reply) = &answer {
                    tracing::info!(peer = %peer, reply = reply.code, text = reply.lines.join(" "), "smtp refusal");
                }
                session.answer(Instant::now(), answer);
            }
            Action::StartTls => {
                stream = stream.start_tls(edge.certificates.current()).await?;
                let facts = stream.facts().ok_or(Ended::Broken)?;
                session = session.start_tls(Instant::now(), facts);
            }
            Action::Close => {
                stream.close().await;
                return Ok(());
            }
        }
    }
}
