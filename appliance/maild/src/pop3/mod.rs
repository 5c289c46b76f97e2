//! The POP3 edge: drives the protocol core over a connection and fetches what it asks for.

mod answers;
mod edge;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use pillarbox_platform::stream::{Ended, Stream};
use pillarbox_proto::pop3::{Action, ContentNeed, Security, Session};

use answers::{Body, Owned, Visit};
pub use edge::Edge;
use edge::Profiles;

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
                let waiting =
                    if visit.reads_ahead_now() { session.more_retrievals_waiting() } else { 0 };
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
            Some(octets) if session.content_satisfied() == ContentNeed::More => {
                session.content(octets)
            }
            _ => {
                session.content_end();
                return Ok(());
            }
        }
    }
}
