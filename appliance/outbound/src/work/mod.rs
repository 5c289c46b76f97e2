//! A worker: one piece of the queue, carried over one connection after another until each recipient has an outcome.

mod connect;
mod settle;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use pillarbox_message::eight_bit::{Bits, LongParts, Needs};
use pillarbox_proto::reply::Reply;
use pillarbox_proto::smtp::client::{Failure, Mailing, Stage, Target};
use pillarbox_proto::smtp::{Body, Notify, Ret};
use pillarbox_store::{
    Content, Detail, MessageId, Notices, Outgoing, QueueKey, QueueState, Traits, Waiting, domain_of,
};

use super::endpoint::TlsPolicyMode;
use super::error::{Error, Result};
use super::schedule::Outcome;
use super::sender::{Batch, NextHop, Outbound};
use super::transport::{Connection, Source, Trouble};

use connect::Endpoints;
pub use connect::{describe, said};

/// Pause after a fault of our own store, so that it is not met again and again in a tight loop.
const FAULT_PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// Rows that were read so long ago are looked at once more before anything is done with them.
const STALE: std::time::Duration = std::time::Duration::from_secs(1);

/// Some recipients of one message.
struct Group {
    message: MessageId,
    recipients: Vec<(u32, Waiting)>,
    /// When their rows were read.
    read_at: std::time::Instant,
}

impl Group {
    fn keys(&self) -> Vec<QueueKey> {
        self.recipients
            .iter()
            .map(|(recipient, _)| QueueKey { message: self.message, recipient: *recipient })
            .collect()
    }

    fn is_stale(&self) -> bool {
        self.read_at.elapsed() >= STALE
    }
}

/// One attempt: these recipients of this message, and where it goes.
struct Attempt<'a> {
    domain: &'a str,
    next_hop: &'a NextHop,
    tls_mode: TlsPolicyMode,
    outgoing: &'a Outgoing,
    content: &'a Content,
    group: &'a Group,
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

/// Works through a batch, and through what else is due for the same destination while the connection is good.
pub async fn run(outbound: Arc<Outbound>, batch: Batch) {
    let _alive = outbound.tasks.begin();
    let destination = batch.next_hop.destination(&batch.domain);
    let mut worker = Worker { outbound: &outbound, connection: None, settling: VecDeque::new() };
    let mut next = Some(batch);
    while let Some(batch) = next.take() {
        let domain = batch.domain.clone();
        worker.batch(batch).await;
        let is_over = outbound.tasks.is_over();
        if !is_over
            && worker
                .connection
                .as_ref()
                .is_some_and(|(_, c)| c.served < outbound.config().outbound.messages_per_connection)
        {
            next = outbound.claim(Some(destination.clone())).await.ok().flatten();
        }
        // A connection serves one domain, or all of a route.
        if next
            .as_ref()
            .is_some_and(|b| b.domain != domain && matches!(b.next_hop, NextHop::Direct))
        {
            worker.hang_up().await;
        }
    }
    worker.hang_up().await;
    worker.settle_all().await;
    outbound.worker_ends(&destination);
    outbound.wake();
}

struct Worker<'a> {
    outbound: &'a Arc<Outbound>,
    /// A connection, and whether the destination's TLS policy was followed for it.
    connection: Option<(TlsPolicyMode, Connection)>,
    settling: VecDeque<(Vec<QueueKey>, pillarbox_store::Pending<()>)>,
}

impl Worker<'_> {
    async fn batch(&mut self, batch: Batch) {
        let read_at = std::time::Instant::now();
        let limit = self.outbound.limits().recipients_per_message;
        let mut messages: BTreeMap<MessageId, Vec<(u32, Waiting)>> = BTreeMap::new();
        for (key, waiting) in batch.entries {
            messages.entry(key.message).or_default().push((key.recipient, waiting));
        }
        let mut endpoints: [Option<Endpoints>; 2] = [None, None];
        for (message, recipients) in messages {
            let all: Vec<QueueKey> =
                recipients.iter().map(|(r, _)| QueueKey { message, recipient: *r }).collect();
            let read =
                self.outbound.read(move |r| Ok((r.outgoing(message)?, r.content(message)?))).await;
            let (outgoing, content) = match read {
                Ok((Some(outgoing), Some(content))) => (outgoing, content),
                // Removed by the owner a moment ago.
                Ok(_) => {
                    self.outbound.give_back(all);
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, message = message.0, "a queued message can't be read");
                    tokio::time::sleep(FAULT_PAUSE).await;
                    self.outbound.give_back(all);
                    continue;
                }
            };
            let (given_up, waiting): (Vec<_>, Vec<_>) =
                recipients.into_iter().partition(|(_, w)| w.state == QueueState::GivenUp);
            if !given_up.is_empty() {
                let outcomes = given_up.iter().map(|_| Outcome::GivenUp).collect();
                self.settle(
                    &outgoing,
                    &content,
                    Group { message, recipients: given_up, read_at },
                    outcomes,
                    Vec::new(),
                )
                .await;
            }
            for chunk in waiting.chunks(limit) {
                let group = Group { message, recipients: chunk.to_vec(), read_at };
                let tls_mode = if outgoing.traits.contains(Traits::TLS_OPTIONAL) {
                    TlsPolicyMode::Ignore
                } else {
                    TlsPolicyMode::Follow
                };
                let endpoints = &mut endpoints[tls_mode as usize];
                let attempt = Attempt {
                    domain: &batch.domain,
                    next_hop: &batch.next_hop,
                    tls_mode,
                    outgoing: &outgoing,
                    content: &content,
                    group: &group,
                };
                let (outcomes, transcript) = self.attempt(&attempt, endpoints).await;
                self.settle(&outgoing, &content, group, outcomes, transcript).await;
            }
        }
    }

    /// One attempt for a group of recipients: an outcome for each.
    async fn attempt(
        &mut self,
        attempt: &Attempt<'_>,
        endpoints: &mut Option<Endpoints>,
    ) -> (Vec<Outcome>, Vec<String>) {
        let &Attempt { next_hop, tls_mode, outgoing, group, .. } = attempt;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; group.recipients.len()];
        let mut transcript = Vec::new();
        let mut broke_it = false;
        let mut is_fresh = !group.is_stale();
        let finish = |outcomes: Vec<Option<Outcome>>, rest: Outcome, transcript| {
            (outcomes.into_iter().map(|o| o.unwrap_or_else(|| rest.clone())).collect(), transcript)
        };
        if let NextHop::Route(_, route) = next_hop
            && !route.fault.is_none()
        {
            return finish(
                outcomes,
                Outcome::LoginRefused { reason: route.fault.clone() },
                transcript,
            );
        }
        loop {
            if self.connection.as_ref().is_some_and(|(of, _)| *of != tls_mode) {
                self.hang_up().await;
            }
            if self.connection.is_none() {
                is_fresh = false;
                match self.connect(attempt, endpoints).await {
                    Ok(connection) => self.connection = Some((tls_mode, connection)),
                    Err(outcome) => {
                        if let Some(endpoints) = endpoints {
                            transcript.extend_from_slice(&endpoints.transcript);
                        }
                        // Hosts that this message made hang up may take the next one.
                        if broke_it {
                            *endpoints = None;
                        }
                        return finish(outcomes, outcome, transcript);
                    }
                }
            }
            let Some((_, mut connection)) = self.connection.take() else { continue };
            if outgoing.traits.contains(Traits::REQUIRE_TLS) && !connection.is_verified() {
                let host = &connection.endpoint().host;
                let reply = Detail::found(
                    5,
                    7,
                    30,
                    format!(
                        "The identity of {host} can't be proven, and the sender asked for that (REQUIRETLS)"
                    ),
                );
                self.connection = Some((tls_mode, connection));
                return finish(outcomes, Outcome::Refused { reply }, transcript);
            }
            if !is_fresh && let Err(error) = self.look_again(group, &mut outcomes).await {
                tracing::error!(%error, message = group.message.0, "the queue can't be read");
                self.connection = Some((tls_mode, connection));
                return finish(
                    outcomes,
                    Outcome::Deferred { reason: Detail::found(4, 3, 0, error.to_string()) },
                    transcript,
                );
            }
            let open: Vec<usize> =
                (0..outcomes.len()).filter(|&at| outcomes[at].is_none()).collect();
            if open.is_empty() {
                self.connection = Some((tls_mode, connection));
                return finish(outcomes, Outcome::Withdrawn, transcript);
            }
            let prepared = self.prepare(attempt, &open, connection.takes_eight_bit()).await;
            let (mailing, mut source) = match prepared {
                Ok(prepared) => prepared,
                Err(why) => {
                    tracing::error!(%why, message = group.message.0, "a queued message can't be read");
                    self.connection = Some((tls_mode, connection));
                    return finish(
                        outcomes,
                        Outcome::Deferred { reason: Detail::found(4, 3, 0, why) },
                        transcript,
                    );
                }
            };
            let host = connection.endpoint().host.clone();
            let dsns_passed_on = connection.sends_notices();
            let (report, trouble) = connection.send(mailing, &mut source).await;
            transcript.push(format!("* {}", connection.endpoint()));
            transcript.append(&mut connection.transcript());
            for (&at, reply) in open.iter().zip(report.outcomes) {
                outcomes[at] = reply.map(|reply| outcome(&host, &reply, dsns_passed_on));
            }
            let Some(trouble) = trouble else {
                self.connection = Some((tls_mode, connection));
                return finish(
                    outcomes,
                    Outcome::Deferred {
                        reason: Detail::found(4, 4, 2, format!("{host} gave no answer")),
                    },
                    transcript,
                );
            };
            let (reason, _) = describe(&trouble, connection.endpoint());
            transcript.push(format!("* {reason}"));
            match next(&trouble, connection.served) {
                Next::SameServer => {
                    for at in open {
                        if matches!(outcomes[at], Some(Outcome::Deferred { .. })) {
                            outcomes[at] = None;
                        }
                    }
                    if let Some(endpoints) = endpoints {
                        endpoints.current.push_front(connection.endpoint().clone());
                    }
                    continue;
                }
                Next::AnotherServer if outcomes.iter().any(Option::is_none) => {}
                Next::AnotherServer | Next::Later => {
                    *endpoints = None;
                    return finish(outcomes, Outcome::Deferred { reason }, transcript);
                }
            }
            broke_it = true;
            if let Some(endpoints) = endpoints {
                endpoints.last = Some(reason);
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

    /// Recipients' rows as they are now.
    async fn rows(&self, keys: Vec<QueueKey>) -> pillarbox_store::Result<Vec<Option<Waiting>>> {
        self.outbound.read(move |r| keys.iter().map(|key| r.waiting(*key)).collect()).await
    }

    /// What the core needs for one message, for a server with these abilities.
    async fn prepare(
        &self,
        attempt: &Attempt<'_>,
        open: &[usize],
        takes_eight_bit: bool,
    ) -> Result<(Mailing, Source)> {
        let &Attempt { outgoing, content, group, .. } = attempt;
        let is_wide = outgoing.traits.contains(Traits::EIGHT_BIT);
        let bits = if is_wide && !takes_eight_bit { Bits::Seven } else { Bits::Eight };
        let is_long = outgoing.traits.contains(Traits::LONG_LINES);
        let store = self.outbound.store.clone();
        let (front, octets, needs) = match bits == Bits::Seven || is_long {
            false => (
                outgoing.signature.clone(),
                content.octets - content.delivery_octets() as u64 + outgoing.signature.len() as u64,
                None,
            ),
            true => {
                let (outbound, content, domain) = (
                    self.outbound.clone(),
                    content.clone(),
                    domain_of(&outgoing.sender).to_string(),
                );
                let signed = tokio::task::spawn_blocking(move || {
                    sign_anew(&outbound, &content, &domain, bits, is_long)
                });
                let (front, octets, needs) = signed.await.map_err(Error::failed("signing"))??;
                (front, octets, Some(needs))
            }
        };
        let ret = match outgoing.traits {
            t if t.contains(Traits::RETURN_HEADERS) => Some(Ret::Headers),
            t if t.contains(Traits::RETURN_FULL) => Some(Ret::Full),
            _ => None,
        };
        let envid = match outgoing.envid.is_empty() {
            // Our own code: a notice that comes back names it.
            true => Some(outgoing.code.to_string()),
            false => Some(outgoing.envid.clone()),
        };
        let recipients = open.iter().map(|&at| {
            let waiting = &group.recipients[at].1;
            let has = |notice| waiting.notices.contains(notice);
            let notify = has(Notices::ASKED).then(|| Notify {
                success: has(Notices::SUCCESS),
                failure: has(Notices::FAILURE),
                delay: has(Notices::DELAY),
            });
            let orcpt = (!waiting.orcpt.is_empty()).then(|| waiting.orcpt.clone());
            Target { address: waiting.address.clone(), notify, orcpt }
        });
        let mailing = Mailing {
            reverse_path: outgoing.sender.clone(),
            octets,
            body: if is_wide && bits == Bits::Eight { Body::EightBitMime } else { Body::SevenBit },
            smtputf8: outgoing.traits.contains(Traits::UTF8),
            requiretls: outgoing.traits.contains(Traits::REQUIRE_TLS),
            ret,
            envid,
            recipients: recipients.collect(),
        };
        Ok((mailing, Source::converted(&store, content, front, needs)))
    }

    async fn hang_up(&mut self) {
        if let Some((_, connection)) = self.connection.take() {
            connection.quit().await;
        }
    }
}

/// Finds out what a copy needs and signs it, because what is converted has another body: the signatures, the octets of
/// all that goes, and the needs.
/// Reads the content once, or twice when its lines are too long.
/// Blocks.
fn sign_anew(
    outbound: &Outbound,
    content: &Content,
    domain: &str,
    bits: Bits,
    is_long: bool,
) -> Result<(Vec<u8>, u64, Needs)> {
    let mut needs = Needs { bits, long: None };
    if is_long {
        let mut long = LongParts::default();
        Source::blocking(&outbound.store, content, false, &mut |piece| long.push(piece))?;
        needs.long = Some(Arc::new(long.finish()));
    }
    let keys = outbound.signer.keys(&outbound.store, domain)?;
    let mut octets = 0;
    let front = keys.sign(|write| {
        Source::blocking_converted(&outbound.store, content, Some(needs.clone()), &mut |piece| {
            octets += piece.len() as u64;
            write(piece);
        })
    })?;
    octets += front.len() as u64;
    Ok((front, octets, needs))
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
