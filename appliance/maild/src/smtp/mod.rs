//! The SMTP edge: drives the protocol core over a connection.
//! It moves octets and carries questions to the roles; it decides nothing itself.

mod answers;
mod edge;
mod replies;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pillarbox_platform::connections::{self, Purpose};
use pillarbox_platform::stream::{Ended, Stream};
use pillarbox_proto::smtp::{self, Action, Session};

use answers::Transaction;
pub use edge::Edge;
use edge::Profiles;

/// Which SMTP service a connection came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Smtp,
    Submission,
    Submissions,
}

/// How often a peer that is waited for is looked at: it may be in the way of others by then.
const LOOK: Duration = Duration::from_secs(5);
/// How long a peer may be silent while connections are scarce.
const SILENCE: Duration = Duration::from_secs(20);

/// Serves one connection to its end.
pub async fn serve(
    edge: Arc<Edge>,
    mut stream: Stream,
    peer: IpAddr,
    service: Service,
) -> Result<(), Ended> {
    let settings = edge.settings.get();
    let profiles = edge.profiles.of(&settings, Profiles::new);
    let (config, purpose) = match service {
        Service::Smtp => (profiles.smtp.clone(), Purpose::Relay),
        Service::Submission => (profiles.submission.clone(), Purpose::Submission),
        Service::Submissions => (profiles.submissions.clone(), Purpose::Submission),
    };
    let security = match stream.facts() {
        Some(facts) => smtp::Security::Tls(facts),
        None => smtp::Security::Plain,
    };
    let mut session = Session::new(config, security, Instant::now());
    let mut transaction = Transaction::new(&edge, peer);
    let mut stop = edge.tasks.stop();
    let mut heard = Instant::now();
    loop {
        match session.poll(Instant::now()) {
            Action::Input => {
                let room = session.wants_input();
                let now = Instant::now();
                let is_silent = now.saturating_duration_since(heard) >= SILENCE;
                let limits = connections::Limits::of(&settings);
                let is_unwanted = is_silent && edge.connections.is_scarce(limits, peer, purpose);
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
