//! What attempts came to, and what the owner orders.

use pillarbox_vocabulary::Timestamp;

use crate::engine::change::Change;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::MessageId;
use crate::ledger::detail::Detail;
use crate::ledger::{Fate, LedgerRecord, Service};
use crate::mailbox::deliver::{Delivery, Placement};
use crate::queue::{Hold, QueueKey, QueueState, Transcript, Waiting};

const DOING: &str = "writing the queue";

/// What becomes of a recipient after an attempt.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It leaves the queue: delivered or given up.
    Gone,
    /// It stays, with this row.
    /// What the owner ordered meanwhile stays.
    Keep(Waiting),
}

/// The outcome of an attempt for some recipients of one message: one transaction with everything that follows.
pub struct Settlement {
    pub message: MessageId,
    pub at: Timestamp,
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
    /// Out of the queue, without a notice.
    Remove,
    /// Given up, with a notice to the sender.
    GiveUp,
}

/// An order for some recipients; those that are gone meanwhile are passed over.
#[derive(Clone, Debug)]
pub struct QueueOrder {
    pub order: Order,
    /// At most a few hundred.
    pub entries: Vec<QueueKey>,
    pub at: Timestamp,
    /// What it came through.
    pub service: Service,
}

impl Change for QueueOrder {
    type Outcome = usize;
    fn apply(&mut self, work: &mut Work) -> Result<usize> {
        work.order(self)
    }
    fn checks_first(&self) -> bool {
        false
    }
}

/// A settlement, and where its notices go.
pub(crate) struct Settle {
    settlement: Settlement,
    /// `None`: there is none, as the one who was to read it is gone.
    places: Vec<Option<Vec<Placement>>>,
    /// The notices that were taken in.
    messages: Vec<MessageId>,
}

impl Settle {
    pub(crate) fn new(settlement: Settlement) -> Settle {
        Settle { settlement, places: Vec::new(), messages: Vec::new() }
    }

    fn notices(&self) -> impl Iterator<Item = (&Delivery, &Vec<Placement>)> {
        let planned = self.settlement.notices.iter().zip(&self.places);
        planned.filter_map(|(notice, places)| places.as_ref().map(|places| (notice, places)))
    }
}

impl Change for Settle {
    type Outcome = ();
    fn prepare(&mut self, work: &mut Work) -> Result<()> {
        self.places.clear();
        for notice in &self.settlement.notices {
            match work.plan(notice) {
                Ok(places) => self.places.push(Some(places)),
                Err(error) if error.is_refusal() => self.places.push(None),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
    fn put_content(&self, work: &mut Work) -> Result<()> {
        self.notices().try_for_each(|(notice, _)| work.put_next_content(notice))
    }
    fn take_in(&mut self, work: &mut Work) -> Result<()> {
        let messages = self.notices().map(|(notice, places)| {
            work.deliver(notice, places).map(|delivered| delivered.message)
        });
        self.messages = messages.collect::<Result<_>>()?;
        Ok(())
    }
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        for ((notice, _), message) in self.notices().zip(&self.messages) {
            work.record_further(notice, *message)?;
        }
        work.settle(&self.settlement)
    }
    fn content_octets(&self) -> usize {
        self.settlement.notices.iter().map(|notice| notice.content.committed_octets()).sum()
    }
    fn checks_first(&self) -> bool {
        false
    }
    fn keep(&mut self) {
        self.settlement.notices.iter_mut().for_each(|notice| notice.content.keep());
    }
}

impl Work<'_, '_> {
    /// Writes what an attempt came to; its notices were delivered before.
    pub(crate) fn settle(&mut self, settlement: &Settlement) -> Result<()> {
        for (recipient, verdict) in &settlement.verdicts {
            let key = QueueKey { message: settlement.message, recipient: *recipient };
            match verdict {
                Verdict::Gone => drop(self.take_waiting(key)?),
                Verdict::Keep(new) => {
                    let Some(now) = self.waiting(key)? else { continue };
                    let state =
                        if now.state == QueueState::Scheduled { new.state } else { now.state };
                    self.put_waiting(key, Some(&Waiting { state, ..new.clone() }))?;
                }
            }
        }
        if let Some((recipient, transcript)) = &settlement.transcript {
            let key = QueueKey { message: settlement.message, recipient: *recipient };
            if self.waiting(key)?.is_some() {
                self.tables
                    .queue
                    .transcripts
                    .put(self.txn, &key, transcript)
                    .map_err(Error::lmdb(DOING))?;
            }
        }
        self.record_all(&settlement.records)
    }

    /// Carries out an order.
    /// Returns for how many recipients.
    fn order(&mut self, order: &QueueOrder) -> Result<usize> {
        let mut count = 0;
        for &key in &order.entries {
            let Some(mut waiting) = self.waiting(key)? else { continue };
            count += 1;
            match order.order {
                Order::Remove => {
                    let outgoing = self
                        .tables
                        .queue
                        .outgoing
                        .get(self.txn, &key.message)
                        .map_err(Error::lmdb(DOING))?;
                    if let Some(outgoing) = outgoing {
                        self.record(&LedgerRecord {
                            sender: outgoing.sender,
                            recipients: vec![waiting.address],
                            subject: outgoing.subject,
                            detail: Detail::Removed,
                            service: Some(order.service),
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
