//! The closed set of writes. Each is applied inside the writer's one transaction.
//!
//! A change of the directory first checks and then changes: when it is refused it has changed nothing, so
//! the other writes of the same commit are unharmed. Any other error gives up the whole transaction, and
//! the writer tries its writes one by one.

use crate::change::Change;
use crate::changed::Changed;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ledger::LedgerRecord;
use crate::mailbox::collect::{Collection, Updated};
use crate::mailbox::deliver::{Delivered, Delivery};
use crate::maintenance::{Maintained, Retention};
use crate::queue::settle::{QueueOrder, Settlement};

/// Something to be written.
pub(crate) enum Write {
    Deliver(Box<Delivery>),
    Collect(Collection),
    Change(Change),
    Record(Vec<LedgerRecord>),
    Maintain(Retention),
    Settle(Settlement),
    Order(QueueOrder),
}

/// What came of it.
pub(crate) enum Outcome {
    Delivered(Delivered),
    Updated(Updated),
    Changed(Changed),
    Recorded,
    Maintained(Maintained),
    Settled,
    Ordered(usize),
}

/// Carries out all writes of one transaction. Refusals come back in their place; any other error gives up
/// the transaction.
///
/// Content goes first: it takes the pages that the commit before last has let go, which lie in one run,
/// because the pages of trees were taken after content, from the end of the file. In any other order the
/// two mix, and after a while every commit writes dozens of single pages all over the card.
pub(crate) fn apply_all(writes: &[&Write], work: &mut Work) -> Result<Vec<Result<Outcome>>> {
    let keep_refusal = |result: Result<Outcome>| match result {
        Err(error) if !error.is_refusal() => Err(error),
        result => Ok(Some(result)),
    };
    let mut results: Vec<Option<Result<Outcome>>> = writes.iter().map(|_| None).collect();
    let mut planned = Vec::new();
    for (place, write) in writes.iter().enumerate() {
        match write {
            Write::Deliver(delivery) => match work.plan(delivery) {
                Ok(places) => planned.push((Some(place), &**delivery, places)),
                Err(error) => results[place] = keep_refusal(Err(error))?,
            },
            Write::Settle(settlement) => {
                for notice in &settlement.notices {
                    // A notice for nobody: the one who was to read it is gone.
                    match work.plan(notice) {
                        Ok(places) => planned.push((None, notice, places)),
                        Err(error) => drop(keep_refusal(Err(error))?),
                    }
                }
            }
            _ => {}
        }
    }
    work.put_contents(planned.iter().map(|(_, delivery, _)| *delivery))?;
    let mut further = Vec::new();
    for (place, delivery, places) in planned {
        // Its content is written already: whatever is refused now gives up the transaction.
        let delivered = work.deliver(delivery, &places)?;
        further.extend(delivery.further.iter().map(|r| LedgerRecord { messages: vec![delivered.message.0], ..r.clone() }));
        if let Some(place) = place {
            results[place] = Some(Ok(Outcome::Delivered(delivered)));
        }
    }
    work.record_all(&further)?;
    for (place, write) in writes.iter().enumerate() {
        if results[place].is_some() {
            continue;
        }
        results[place] = match write {
            // A change checks everything before it touches anything; the others may be refused half-way.
            Write::Change(_) => keep_refusal(write.apply(work))?,
            _ => Some(Ok(write.apply(work)?)),
        };
    }
    Ok(results.into_iter().flatten().collect())
}

impl Write {
    /// Octets of content that the commit has to write.
    pub(crate) fn content_octets(&self) -> usize {
        match self {
            Write::Deliver(delivery) => delivery.content.inline_octets(),
            Write::Settle(settlement) => settlement.notices.iter().map(|n| n.content.inline_octets()).sum(),
            _ => 0,
        }
    }

    /// True for writes that only add to what there is, and can be asked for again: they leave the last room on the disk to
    /// deletions, settlements and the owner's orders.
    pub(crate) fn grows(&self) -> bool {
        matches!(self, Write::Deliver(_) | Write::Record(_) | Write::Change(Change::Index(_) | Change::NoteWritten { .. } | Change::NoteSignIn { .. }))
    }

    /// True for writes that may free many pages: at most one of them goes into a commit.
    pub(crate) fn frees_much(&self) -> bool {
        matches!(self, Write::Collect(_) | Write::Maintain(_) | Write::Change(Change::Mail(_) | Change::ClearIndex))
    }

    /// Carries out anything but a delivery, which takes two steps: see [`apply_all`].
    fn apply(&self, work: &mut Work) -> Result<Outcome> {
        match self {
            Write::Deliver(_) => Err(Error::Closed),
            Write::Collect(collection) => work.collect(collection).map(Outcome::Updated),
            Write::Change(change) => work.change(change).map(Outcome::Changed),
            Write::Record(records) => work.record_all(records).map(|()| Outcome::Recorded),
            Write::Maintain(retention) => work.maintain(retention).map(Outcome::Maintained),
            Write::Settle(settlement) => work.settle(settlement).map(|()| Outcome::Settled),
            Write::Order(order) => work.order(order).map(Outcome::Ordered),
        }
    }

    /// The commit is durable: files it refers to stay.
    pub(crate) fn keep(self) {
        let deliveries = match self {
            Write::Deliver(delivery) => vec![*delivery],
            Write::Settle(settlement) => settlement.notices,
            _ => Vec::new(),
        };
        for delivery in deliveries {
            if let crate::content::spool::Place::File(file) = delivery.content.place {
                file.keep();
            }
        }
    }
}
