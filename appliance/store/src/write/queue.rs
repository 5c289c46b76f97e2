//! Writing the queue: entries, their lanes and the agenda, what attempts came to, what the owner orders.

use crate::error::{Error, Result};
use crate::key::{AccountId, AgendaKey, DayKey, LaneId, LaneKey, MessageId, QueueKey};
use crate::ledger::{Fate, LedgerRecord};
use crate::queue::{Hold, Outgoing, QueueState, Transcript, Waiting};

use super::{Delivery, Work};

const DOING: &str = "writing the queue";
const DAY: u64 = 86_400;

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

/// What becomes of a recipient after an attempt.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It leaves the queue: delivered or given up.
    Gone,
    /// It stays, with this row. What the owner ordered meanwhile stands.
    Keep(Waiting),
}

/// The outcome of an attempt for some recipients of one message: one transaction with everything that follows.
pub struct Settlement {
    pub message: MessageId,
    pub at: u64,
    pub verdicts: Vec<(u32, Verdict)>,
    /// Their fates.
    pub records: Vec<LedgerRecord>,
    /// Notices to the sender.
    pub notices: Vec<Delivery>,
    /// The conversation, kept under this recipient.
    pub transcript: Option<(u32, Transcript)>,
}

/// What the owner wants of recipients in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Tried at once, also when held.
    Retry,
    Hold(Hold),
    /// Held ones go on.
    Release,
    /// Out of the queue; nobody is told.
    Remove,
    /// Given up; the sender is told.
    GiveUp,
}

/// An order for some recipients; those that are gone meanwhile are passed over.
#[derive(Clone, Debug)]
pub struct QueueOrder {
    pub order: Order,
    /// At most a few hundred.
    pub entries: Vec<QueueKey>,
    pub at: u64,
    /// The ledger's words for it.
    pub detail: String,
}

impl Work<'_, '_> {
    /// Puts a new message's recipients into the queue. Returns whether the account's limit held them back.
    pub(super) fn enqueue(&mut self, message: MessageId, relay: &Relay) -> Result<bool> {
        let count = relay.recipients.len() as u32;
        let at = relay.outgoing.arrived;
        let is_held = match relay.outgoing.account {
            Some(account) => self.count_usage(account, at, count)? > relay.daily_limit,
            None => false,
        };
        let outgoing = Outgoing { remaining: count, ..relay.outgoing.clone() };
        self.tables.outgoing.put(self.txn, &message, &outgoing).map_err(Error::lmdb(DOING))?;
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
    fn count_usage(&mut self, account: AccountId, at: u64, more: u32) -> Result<u32> {
        let key = DayKey { account, day: (at / DAY) as u32 };
        let old = self.tables.usage.get(self.txn, &key).map_err(Error::lmdb(DOING))?;
        let old = old.and_then(|v| v.try_into().ok()).map_or(0, u32::from_be_bytes);
        let count = old.saturating_add(more);
        if old == 0 {
            let past = DayKey { account, day: 0 }..key;
            self.tables.usage.delete_range(self.txn, &past).map_err(Error::lmdb(DOING))?;
        }
        self.tables.usage.put(self.txn, &key, &count.to_be_bytes()).map_err(Error::lmdb(DOING))?;
        Ok(count)
    }

    fn waiting(&self, key: QueueKey) -> Result<Option<Waiting>> {
        self.tables.queue.get(self.txn, &key).map_err(Error::lmdb(DOING))
    }

    /// Writes or removes a recipient's row, with its place in lane and agenda.
    pub(super) fn put_waiting(&mut self, key: QueueKey, new: Option<&Waiting>) -> Result<()> {
        let scheduled = |w: &Waiting| !matches!(w.state, QueueState::Held(_));
        let old = self.waiting(key)?;
        if let Some(old) = old.filter(scheduled) {
            let place = LaneKey { lane: old.lane(), due: old.due, entry: key };
            self.change_lane(&old.domain, place.lane, |work| work.tables.lanes.delete(work.txn, &place).map(drop).map_err(Error::lmdb(DOING)))?;
        }
        let Some(new) = new else {
            return self.tables.queue.delete(self.txn, &key).map(drop).map_err(Error::lmdb(DOING));
        };
        self.tables.queue.put(self.txn, &key, new).map_err(Error::lmdb(DOING))?;
        if !scheduled(new) {
            return Ok(());
        }
        let place = LaneKey { lane: new.lane(), due: new.due, entry: key };
        self.change_lane(&new.domain, place.lane, |work| work.tables.lanes.put(work.txn, &place, &()).map_err(Error::lmdb(DOING)))
    }

    /// Changes a lane and keeps its place in the agenda.
    fn change_lane(&mut self, domain: &str, lane: LaneId, change: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let before = self.lane_head(lane)?;
        change(self)?;
        let after = self.lane_head(lane)?;
        if before == after {
            return Ok(());
        }
        if let Some(due) = before {
            self.tables.agenda.delete(self.txn, &AgendaKey { due, lane }).map_err(Error::lmdb(DOING))?;
        }
        if let Some(due) = after {
            self.tables.agenda.put(self.txn, &AgendaKey { due, lane }, domain).map_err(Error::lmdb(DOING))?;
        }
        Ok(())
    }

    fn lane_head(&self, lane: LaneId) -> Result<Option<u64>> {
        let first = LaneKey { lane, due: 0, entry: QueueKey { message: MessageId(0), recipient: 0 } };
        let row = self.tables.lanes.get_greater_than_or_equal_to(self.txn, &first).map_err(Error::lmdb(DOING))?;
        Ok(row.map(|(key, ())| key).filter(|key| key.lane == lane).map(|key| key.due))
    }

    /// Takes a recipient out; the last one takes the message along.
    fn take_waiting(&mut self, key: QueueKey) -> Result<bool> {
        if self.waiting(key)?.is_none() {
            return Ok(false);
        }
        self.put_waiting(key, None)?;
        self.tables.transcripts.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        let outgoing = self.tables.outgoing.get(self.txn, &key.message).map_err(Error::lmdb(DOING))?;
        let Some(outgoing) = outgoing else { return Ok(true) };
        match outgoing.remaining.saturating_sub(1) {
            0 => {
                self.tables.outgoing.delete(self.txn, &key.message).map_err(Error::lmdb(DOING))?;
                self.release(key.message)?;
            }
            remaining => {
                let rest = Outgoing { remaining, ..outgoing };
                self.tables.outgoing.put(self.txn, &key.message, &rest).map_err(Error::lmdb(DOING))?;
            }
        }
        Ok(true)
    }

    /// Writes what an attempt came to; its notices were delivered before.
    pub(super) fn settle(&mut self, settlement: &Settlement) -> Result<()> {
        for (recipient, verdict) in &settlement.verdicts {
            let key = QueueKey { message: settlement.message, recipient: *recipient };
            match verdict {
                Verdict::Gone => drop(self.take_waiting(key)?),
                Verdict::Keep(new) => {
                    let Some(now) = self.waiting(key)? else { continue };
                    let state = if now.state == QueueState::Scheduled { new.state } else { now.state };
                    self.put_waiting(key, Some(&Waiting { state, ..new.clone() }))?;
                }
            }
        }
        if let Some((recipient, transcript)) = &settlement.transcript {
            let key = QueueKey { message: settlement.message, recipient: *recipient };
            if self.waiting(key)?.is_some() {
                self.tables.transcripts.put(self.txn, &key, transcript).map_err(Error::lmdb(DOING))?;
            }
        }
        self.record_all(&settlement.records)
    }

    /// Carries out an order. Returns for how many recipients.
    pub(super) fn order(&mut self, order: &QueueOrder) -> Result<usize> {
        let mut count = 0;
        for &key in &order.entries {
            let Some(mut waiting) = self.waiting(key)? else { continue };
            count += 1;
            match order.order {
                Order::Remove => {
                    let outgoing = self.tables.outgoing.get(self.txn, &key.message).map_err(Error::lmdb(DOING))?;
                    if let Some(outgoing) = outgoing {
                        self.record(&LedgerRecord {
                            sender: outgoing.sender,
                            recipients: vec![waiting.address],
                            subject: outgoing.subject,
                            detail: order.detail.clone(),
                            messages: vec![key.message.0],
                            ..LedgerRecord::new(order.at, Fate::Deleted, outgoing.code)
                        })?;
                    }
                    self.take_waiting(key)?;
                    continue;
                }
                Order::Retry => (waiting.state, waiting.due) = (QueueState::Scheduled, order.at),
                Order::Hold(hold) => waiting.state = QueueState::Held(hold),
                Order::Release if matches!(waiting.state, QueueState::Held(_)) => {
                    (waiting.state, waiting.due) = (QueueState::Scheduled, order.at);
                }
                Order::Release => continue,
                Order::GiveUp => (waiting.state, waiting.due) = (QueueState::GivenUp, order.at),
            }
            self.put_waiting(key, Some(&waiting))?;
        }
        Ok(count)
    }
}
