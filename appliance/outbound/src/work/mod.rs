//! A worker: one piece of the queue, carried over one connection after another until each recipient has an outcome.

mod attempt;
mod connect;
mod prepare;
mod settle;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use pillarbox_store::{Content, MessageId, Outgoing, QueueKey, QueueState, Traits, Waiting};

use super::endpoint::TlsPolicyMode;
use super::schedule::Outcome;
use super::sender::{Batch, NextHop, Outbound};
use super::transport::Connection;

use connect::Endpoints;
pub use connect::{describe, said};

/// Pause after a fault of our own store, so that it is not met again and again in a tight loop.
const FAULT_PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// Rows that were read so long ago are looked at once more before anything is done with them.
const STALE: std::time::Duration = std::time::Duration::from_secs(1);

/// A message of the queue.
#[derive(Clone)]
struct Queued {
    outgoing: Outgoing,
    content: Content,
}

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
    queued: &'a Queued,
    group: &'a Group,
}

/// What an attempt came to: an outcome for each recipient of its group, and the conversation.
struct Ended {
    outcomes: Vec<Outcome>,
    transcript: Vec<String>,
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
    async fn batch(&mut self, mut batch: Batch) {
        let groups = by_message(std::mem::take(&mut batch.entries));
        let mut endpoints = [None, None];
        for group in groups {
            match self.queued(group.message).await {
                Some(queued) => self.message(&batch, &queued, group, &mut endpoints).await,
                None => self.outbound.give_back(group.keys()),
            }
        }
    }

    /// A message of the queue; `None` where it is gone or can't be read.
    async fn queued(&self, message: MessageId) -> Option<Queued> {
        let read =
            self.outbound.read(move |r| Ok((r.outgoing(message)?, r.content(message)?))).await;
        match read {
            Ok((Some(outgoing), Some(content))) => Some(Queued { outgoing, content }),
            // Removed by the owner a moment ago.
            Ok(_) => None,
            Err(error) => {
                tracing::error!(%error, message = message.0, "a queued message can't be read");
                tokio::time::sleep(FAULT_PAUSE).await;
                None
            }
        }
    }

    /// Gives one message an outcome for each recipient, as many of them at once as a server takes.
    /// `endpoints`: the hosts of the batch, by whether the TLS policy is followed.
    async fn message(
        &mut self,
        batch: &Batch,
        queued: &Queued,
        group: Group,
        endpoints: &mut [Option<Endpoints>; 2],
    ) {
        let Group { message, recipients, read_at } = group;
        let (given_up, waiting): (Vec<_>, Vec<_>) =
            recipients.into_iter().partition(|(_, w)| w.state == QueueState::GivenUp);
        if !given_up.is_empty() {
            let outcomes = given_up.iter().map(|_| Outcome::GivenUp).collect();
            let ended = Ended { outcomes, transcript: Vec::new() };
            self.settle(queued, Group { message, recipients: given_up, read_at }, ended).await;
        }
        let tls_mode = match queued.outgoing.traits.contains(Traits::TLS_OPTIONAL) {
            true => TlsPolicyMode::Ignore,
            false => TlsPolicyMode::Follow,
        };
        let limit = self.outbound.limits().recipients_per_message;
        for chunk in waiting.chunks(limit) {
            let group = Group { message, recipients: chunk.to_vec(), read_at };
            let attempt = Attempt {
                domain: &batch.domain,
                next_hop: &batch.next_hop,
                tls_mode,
                queued,
                group: &group,
            };
            let ended = self.attempt(&attempt, &mut endpoints[tls_mode as usize]).await;
            self.settle(queued, group, ended).await;
        }
    }

    /// Recipients' rows as they are now.
    async fn rows(&self, keys: Vec<QueueKey>) -> pillarbox_store::Result<Vec<Option<Waiting>>> {
        self.outbound.read(move |r| keys.iter().map(|key| r.waiting(*key)).collect()).await
    }

    async fn hang_up(&mut self) {
        if let Some((_, connection)) = self.connection.take() {
            connection.quit().await;
        }
    }
}

/// What was read just now, in groups of one message each.
fn by_message(entries: Vec<(QueueKey, Waiting)>) -> Vec<Group> {
    let read_at = std::time::Instant::now();
    let mut messages: BTreeMap<MessageId, Vec<(u32, Waiting)>> = BTreeMap::new();
    for (key, waiting) in entries {
        messages.entry(key.message).or_default().push((key.recipient, waiting));
    }
    messages
        .into_iter()
        .map(|(message, recipients)| Group { message, recipients, read_at })
        .collect()
}
