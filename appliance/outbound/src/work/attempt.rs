//! One attempt: a message is offered to one server after the other until each recipient has an outcome.

use pillarbox_proto::reply::Reply;
use pillarbox_proto::smtp::client::{Failure, Mailing, Stage};
use pillarbox_store::{Detail, QueueState, Traits};

use super::connect::{Endpoints, describe, said};
use super::{Attempt, Ended, Group, Worker};
use crate::schedule::Outcome;
use crate::sender::NextHop;
use crate::source::Source;
use crate::transport::{Connection, Trouble};

/// What an attempt has come to so far.
struct Progress {
    /// By recipient; `None`: still open.
    outcomes: Vec<Option<Outcome>>,
    transcript: Vec<String>,
    /// Whether the recipients' rows were read a moment ago.
    is_fresh: bool,
}

impl Progress {
    fn new(group: &Group) -> Progress {
        Progress {
            outcomes: vec![None; group.recipients.len()],
            transcript: Vec::new(),
            is_fresh: !group.is_stale(),
        }
    }

    /// Recipients without an outcome, by their place in the group.
    fn open(&self) -> Vec<usize> {
        (0..self.outcomes.len()).filter(|&at| self.outcomes[at].is_none()).collect()
    }

    /// Those of these recipients that were deferred are open again.
    fn reopen(&mut self, recipients: &[usize]) {
        for &at in recipients {
            if matches!(self.outcomes[at], Some(Outcome::Deferred { .. })) {
                self.outcomes[at] = None;
            }
        }
    }

    /// The end: recipients that are still open get the outcome `rest`.
    fn end(self, rest: &Outcome) -> Ended {
        Ended {
            outcomes: self
                .outcomes
                .into_iter()
                .map(|o| o.unwrap_or_else(|| rest.clone()))
                .collect(),
            transcript: self.transcript,
        }
    }
}

/// What is sent next over a connection.
struct Offer {
    /// Recipients, by their place in the group.
    open: Vec<usize>,
    mailing: Mailing,
    source: Source,
}

/// How it ended to hand a message over.
enum Handed {
    /// The connection can go on; recipients that are still open get this outcome.
    Done(Outcome),
    /// The connection is of no more use, and it was offered to these recipients.
    Broken(Trouble, Vec<usize>),
}

/// Where recipients without an outcome go after trouble with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// To the same one again, afresh.
    SameServer,
    AnotherServer,
    /// Back into the queue.
    Later,
}

impl Worker<'_> {
    /// One attempt for a group of recipients: an outcome for each.
    pub(super) async fn attempt(
        &mut self,
        attempt: &Attempt<'_>,
        endpoints: &mut Option<Endpoints>,
    ) -> Ended {
        let mut progress = Progress::new(attempt.group);
        let rest = match attempt.next_hop {
            NextHop::Route(_, route) if !route.fault.is_none() => {
                Outcome::LoginRefused { reason: route.fault.clone() }
            }
            _ => self.try_servers(attempt, endpoints, &mut progress).await,
        };
        progress.end(&rest)
    }

    /// Goes on to the next server as long as that may help.
    /// Gives the outcome of recipients that are still open then.
    async fn try_servers(
        &mut self,
        attempt: &Attempt<'_>,
        endpoints: &mut Option<Endpoints>,
        progress: &mut Progress,
    ) -> Outcome {
        let mut broke_it = false;
        loop {
            let mut connection = match self.connection_for(attempt, endpoints, progress).await {
                Ok(connection) => connection,
                Err(outcome) => {
                    // Hosts that this message made hang up may take the next one.
                    if broke_it {
                        *endpoints = None;
                    }
                    return outcome;
                }
            };
            let (trouble, offered) = match self.hand_over(attempt, &mut connection, progress).await
            {
                Handed::Broken(trouble, offered) => (trouble, offered),
                Handed::Done(rest) => {
                    self.connection = Some((attempt.tls_mode, connection));
                    return rest;
                }
            };
            let (reason, _) = describe(&trouble, connection.endpoint());
            progress.transcript.push(format!("* {reason}"));
            match next(&trouble, connection.served) {
                Next::SameServer => {
                    progress.reopen(&offered);
                    if let Some(endpoints) = endpoints {
                        endpoints.current.push_front(connection.endpoint().clone());
                    }
                }
                Next::AnotherServer if !progress.open().is_empty() => {
                    broke_it = true;
                    if let Some(endpoints) = endpoints {
                        endpoints.last = Some(reason);
                    }
                }
                Next::AnotherServer | Next::Later => {
                    *endpoints = None;
                    return Outcome::Deferred { reason };
                }
            }
        }
    }

    /// The connection that is there, if it suits, or a new one.
    async fn connection_for(
        &mut self,
        attempt: &Attempt<'_>,
        endpoints: &mut Option<Endpoints>,
        progress: &mut Progress,
    ) -> Result<Connection, Outcome> {
        if self.connection.as_ref().is_some_and(|(of, _)| *of != attempt.tls_mode) {
            self.hang_up().await;
        }
        if let Some((_, connection)) = self.connection.take() {
            return Ok(connection);
        }
        progress.is_fresh = false;
        let connected = self.connect(attempt, endpoints).await;
        if let (Err(_), Some(endpoints)) = (&connected, endpoints) {
            progress.transcript.extend_from_slice(&endpoints.transcript);
        }
        connected
    }

    /// Sends the message to the recipients that are open, and takes down what the server replies.
    async fn hand_over(
        &self,
        attempt: &Attempt<'_>,
        connection: &mut Connection,
        progress: &mut Progress,
    ) -> Handed {
        let Offer { open, mailing, mut source } =
            match self.offer(attempt, connection, progress).await {
                Ok(offer) => offer,
                Err(outcome) => return Handed::Done(outcome),
            };
        let host = connection.endpoint().host.clone();
        let dsns_passed_on = connection.sends_notices();
        let (report, trouble) = connection.send(mailing, &mut source).await;
        progress.transcript.push(format!("* {}", connection.endpoint()));
        progress.transcript.append(&mut connection.transcript());
        for (&at, reply) in open.iter().zip(report.outcomes) {
            progress.outcomes[at] = reply.map(|reply| outcome(&host, &reply, dsns_passed_on));
        }
        match trouble {
            Some(trouble) => Handed::Broken(trouble, open),
            None => Handed::Done(Outcome::Deferred {
                reason: Detail::found(4, 4, 2, format!("{host} gave no answer")),
            }),
        }
    }

    /// What to send over a connection, or the outcome of open recipients when nothing is to be sent.
    async fn offer(
        &self,
        attempt: &Attempt<'_>,
        connection: &Connection,
        progress: &mut Progress,
    ) -> Result<Offer, Outcome> {
        let message = attempt.group.message.0;
        if attempt.queued.outgoing.traits.contains(Traits::REQUIRE_TLS) && !connection.is_verified()
        {
            let host = &connection.endpoint().host;
            let text = format!(
                "The identity of {host} can't be proven, and the sender asked for that (REQUIRETLS)"
            );
            return Err(Outcome::Refused { reply: Detail::found(5, 7, 30, text) });
        }
        if !progress.is_fresh
            && let Err(error) = self.look_again(attempt.group, &mut progress.outcomes).await
        {
            tracing::error!(%error, message, "the queue can't be read");
            return Err(Outcome::Deferred { reason: Detail::found(4, 3, 0, error.to_string()) });
        }
        let open = progress.open();
        if open.is_empty() {
            return Err(Outcome::Withdrawn);
        }
        match self.prepare(attempt, &open, connection.takes_eight_bit()).await {
            Ok((mailing, source)) => Ok(Offer { open, mailing, source }),
            Err(why) => {
                tracing::error!(%why, message, "a queued message can't be read");
                Err(Outcome::Deferred { reason: Detail::found(4, 3, 0, why) })
            }
        }
    }

    /// Looks at the rows once more, now that the server waits: reaching it may have taken minutes, and what the owner
    /// removed, held or gave up meanwhile must not go.
    async fn look_again(
        &self,
        group: &Group,
        outcomes: &mut [Option<Outcome>],
    ) -> pillarbox_store::Result<()> {
        for (outcome, row) in outcomes.iter_mut().zip(self.rows(group.keys()).await?) {
            if outcome.is_none() && row.is_none_or(|waiting| waiting.state != QueueState::Scheduled)
            {
                *outcome = Some(Outcome::Withdrawn);
            }
        }
        Ok(())
    }
}

/// `served`: messages over the connection, this one included.
fn next(trouble: &Trouble, served: usize) -> Next {
    let Trouble::Session(failure) = trouble else {
        // Our own trouble with the content would follow us.
        return if matches!(trouble, Trouble::Content(_)) {
            Next::Later
        } else {
            Next::AnotherServer
        };
    };
    match failure {
        // It may have the message: another one would get it a second time.
        Failure::Broken { stage: Stage::FinalReply }
        | Failure::TimedOut { stage: Stage::FinalReply } => Next::Later,
        // It has had enough of this connection, not of the mail.
        Failure::Broken { stage: Stage::Envelope | Stage::Idle } if served > 1 => Next::SameServer,
        Failure::Refused { stage: Stage::Envelope, reply } if reply.code == 421 && served > 1 => {
            Next::SameServer
        }
        _ => Next::AnotherServer,
    }
}

fn outcome(host: &str, reply: &Reply, dsns_passed_on: bool) -> Outcome {
    let detail = said(host, reply);
    match reply.code / 100 {
        2 => Outcome::Relayed { reply: detail, dsns_passed_on },
        5 => Outcome::Refused { reply: detail },
        _ => Outcome::Deferred { reason: detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_trouble_nobody_gets_a_message_twice_and_a_tired_server_is_asked_again() {
        let refused = |stage, code| Failure::Refused { stage, reply: Reply::plain(code, "") };
        let cases = [
            (Failure::Broken { stage: Stage::FinalReply }, 5, Next::Later),
            (Failure::TimedOut { stage: Stage::FinalReply }, 1, Next::Later),
            (refused(Stage::FinalReply, 421), 5, Next::AnotherServer),
            (refused(Stage::Envelope, 421), 2, Next::SameServer),
            (refused(Stage::Envelope, 421), 1, Next::AnotherServer),
            (Failure::Broken { stage: Stage::Idle }, 2, Next::SameServer),
            (Failure::Broken { stage: Stage::Envelope }, 1, Next::AnotherServer),
            (Failure::Broken { stage: Stage::Content }, 5, Next::AnotherServer),
            (Failure::TimedOut { stage: Stage::Envelope }, 5, Next::AnotherServer),
            (Failure::NotSmtp { stage: Stage::Envelope }, 5, Next::AnotherServer),
        ];
        for (failure, served, expected) in cases {
            assert_eq!(
                next(&Trouble::Session(failure.clone()), served),
                expected,
                "{failure:?} after {served}"
            );
        }
        assert_eq!(next(&Trouble::Content("damaged".into()), 5), Next::Later);
        assert_eq!(next(&Trouble::Connect("refused".into()), 5), Next::AnotherServer);
    }
}
