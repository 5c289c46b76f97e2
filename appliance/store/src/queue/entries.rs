//! What all writes of the queue are made of: a recipient with its place in destination queue and agenda.

use pillarbox_vocabulary::Timestamp;

use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, DayKey, DestinationId, MessageId};
use crate::queue::{AgendaKey, DestinationKey, Hold, Outgoing, QueueKey, QueueState, Waiting};

const DOING: &str = "writing the queue";

/// The part of a message that goes out.
#[derive(Clone, Debug)]
pub struct Relay {
    /// `remaining` is set by the writer.
    pub outgoing: Outgoing,
    /// At least one.
    pub recipients: Vec<Waiting>,
    /// Most recipients that the account may send to on a day; what is beyond is held for the owner.
    pub daily_limit: u32,
}

impl Work<'_, '_> {
    /// Puts a new message's recipients into the queue.
    /// Returns whether the account's limit held them back.
    pub(crate) fn enqueue(&mut self, message: MessageId, relay: &Relay) -> Result<bool> {
        let count = relay.recipients.len() as u32;
        let at = relay.outgoing.arrived;
        let is_held = match relay.outgoing.account {
            Some(account) => self.count_usage(account, at, count)? > relay.daily_limit,
            None => false,
        };
        let outgoing = Outgoing { remaining: count, ..relay.outgoing.clone() };
        self.tables
            .queue
            .outgoing
            .put(self.txn, &message, &outgoing)
            .map_err(Error::lmdb(DOING))?;
        for (recipient, waiting) in relay.recipients.iter().enumerate() {
            let mut waiting = waiting.clone();
            if is_held {
                waiting.state = QueueState::Held(Hold::OverLimit);
            }
            self.put_waiting(QueueKey { message, recipient: recipient as u32 }, Some(&waiting))?;
        }
        Ok(is_held)
    }

    /// Adds to the recipients of a day and gives their number.
    fn count_usage(&mut self, account: AccountId, at: Timestamp, more: u32) -> Result<u32> {
        let key = DayKey { account, day: at.day() };
        let old = self.tables.queue.usage.get(self.txn, &key).map_err(Error::lmdb(DOING))?;
        let old = old.and_then(|v| v.try_into().ok()).map_or(0, u32::from_be_bytes);
        let count = old.saturating_add(more);
        if old == 0 {
            let past = DayKey { account, day: 0 }..key;
            self.tables.queue.usage.delete_range(self.txn, &past).map_err(Error::lmdb(DOING))?;
        }
        self.tables
            .queue
            .usage
            .put(self.txn, &key, &count.to_be_bytes())
            .map_err(Error::lmdb(DOING))?;
        Ok(count)
    }

    pub(crate) fn waiting(&self, key: QueueKey) -> Result<Option<Waiting>> {
        self.tables.queue.queue.get(self.txn, &key).map_err(Error::lmdb(DOING))
    }

    /// Writes or removes a recipient's row, with its place in destination queue and agenda.
    pub(crate) fn put_waiting(&mut self, key: QueueKey, new: Option<&Waiting>) -> Result<()> {
        let scheduled = |w: &Waiting| !matches!(w.state, QueueState::Held(_));
        let old = self.waiting(key)?;
        if let Some(old) = old.filter(scheduled) {
            let place = DestinationKey { destination: old.destination(), due: old.due, entry: key };
            self.change_destination(&old.domain, place.destination, |work| {
                work.tables
                    .queue
                    .lanes
                    .delete(work.txn, &place)
                    .map(drop)
                    .map_err(Error::lmdb(DOING))
            })?;
        }
        let Some(new) = new else {
            return self
                .tables
                .queue
                .queue
                .delete(self.txn, &key)
                .map(drop)
                .map_err(Error::lmdb(DOING));
        };
        self.tables.queue.queue.put(self.txn, &key, new).map_err(Error::lmdb(DOING))?;
        if !scheduled(new) {
            return Ok(());
        }
        let place = DestinationKey { destination: new.destination(), due: new.due, entry: key };
        self.change_destination(&new.domain, place.destination, |work| {
            work.tables.queue.lanes.put(work.txn, &place, &()).map_err(Error::lmdb(DOING))
        })
    }

    /// Changes a destination queue and keeps its place in the agenda.
    fn change_destination(
        &mut self,
        domain: &str,
        destination: DestinationId,
        change: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let before = self.destination_head(destination)?;
        change(self)?;
        let after = self.destination_head(destination)?;
        if before == after {
            return Ok(());
        }
        if let Some(due) = before {
            self.tables
                .queue
                .agenda
                .delete(self.txn, &AgendaKey { due, destination })
                .map_err(Error::lmdb(DOING))?;
        }
        if let Some(due) = after {
            self.tables
                .queue
                .agenda
                .put(self.txn, &AgendaKey { due, destination }, domain)
                .map_err(Error::lmdb(DOING))?;
        }
        Ok(())
    }

    fn destination_head(&self, destination: DestinationId) -> Result<Option<Timestamp>> {
        let first = DestinationKey {
            destination,
            due: Timestamp(0),
            entry: QueueKey { message: MessageId(0), recipient: 0 },
        };
        let row = self
            .tables
            .queue
            .lanes
            .range(self.txn, &(first..))
            .map_err(Error::lmdb(DOING))?
            .next()
            .transpose()
            .map_err(Error::lmdb(DOING))?;
        Ok(row.map(|(key, ())| key).filter(|key| key.destination == destination).map(|key| key.due))
    }

    /// Takes a recipient out; the last one takes the message along.
    pub(crate) fn take_waiting(&mut self, key: QueueKey) -> Result<bool> {
        if self.waiting(key)?.is_none() {
            return Ok(false);
        }
        self.put_waiting(key, None)?;
        self.tables.queue.transcripts.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        let outgoing =
            self.tables.queue.outgoing.get(self.txn, &key.message).map_err(Error::lmdb(DOING))?;
        let Some(outgoing) = outgoing else { return Ok(true) };
        match outgoing.remaining.saturating_sub(1) {
            0 => {
                self.tables
                    .queue
                    .outgoing
                    .delete(self.txn, &key.message)
                    .map_err(Error::lmdb(DOING))?;
                self.release(key.message)?;
            }
            remaining => {
                let rest = Outgoing { remaining, ..outgoing };
                self.tables
                    .queue
                    .outgoing
                    .put(self.txn, &key.message, &rest)
                    .map_err(Error::lmdb(DOING))?;
            }
        }
        Ok(true)
    }
}
