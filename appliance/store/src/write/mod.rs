//! The closed set of writes. Each is applied inside the writer's one transaction.
//!
//! A change of the directory first checks and then changes: when it is refused it has changed nothing, so
//! the other writes of the same commit are unharmed. Any other error gives up the whole transaction, and
//! the writer tries its writes one by one.

mod change;
mod collect;
mod deliver;
mod mailbox;
mod maintain;
mod record;

use heed::RwTxn;

use crate::error::{Error, Result};
use crate::key::BlobId;
use crate::ledger::LedgerRecord;
use crate::tables::Tables;

pub use change::{Change, Changed};
pub use collect::{Collection, Updated};
pub use deliver::{Delivered, Delivery, Placement};
pub use maintain::{Maintained, Retention};

/// Pages one commit may free by deleting. LMDB keeps the freed page numbers of a commit in one row, and
/// rewrites the row it draws from at every later commit: 400 numbers fit one page.
pub(crate) const FREED_PAGES: u64 = 400;

/// Something to be written.
pub(crate) enum Write {
    Deliver(Delivery),
    Collect(Collection),
    Change(Change),
    Record(Vec<LedgerRecord>),
    Maintain(Retention),
}

/// What came of it.
pub(crate) enum Outcome {
    Delivered(Delivered),
    Updated(Updated),
    Changed(Changed),
    Recorded,
    Maintained(Maintained),
}

/// One transaction's workbench.
pub(crate) struct Work<'a, 'e> {
    pub tables: &'a Tables<'static>,
    pub txn: &'a mut RwTxn<'e>,
    /// Content files to remove once the transaction is durable.
    pub released: &'a mut Vec<BlobId>,
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
        if let Write::Deliver(delivery) = write {
            match work.plan(delivery) {
                Ok(places) => planned.push((place, delivery, places)),
                Err(error) => results[place] = keep_refusal(Err(error))?,
            }
        }
    }
    work.put_contents(planned.iter().map(|(_, delivery, _)| *delivery))?;
    for (place, delivery, places) in planned {
        // Its content is written already: whatever is refused now gives up the transaction.
        results[place] = Some(Ok(Outcome::Delivered(work.deliver(delivery, &places)?)));
    }
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
            _ => 0,
        }
    }

    /// True for writes that may free many pages: at most one of them goes into a commit.
    pub(crate) fn frees_much(&self) -> bool {
        matches!(self, Write::Collect(_) | Write::Maintain(_))
    }

    /// Carries out anything but a delivery, which takes two steps: see [`apply_all`].
    fn apply(&self, work: &mut Work) -> Result<Outcome> {
        match self {
            Write::Deliver(_) => Err(Error::Closed),
            Write::Collect(collection) => work.collect(collection).map(Outcome::Updated),
            Write::Change(change) => work.change(change).map(Outcome::Changed),
            Write::Record(records) => work.record_all(records).map(|()| Outcome::Recorded),
            Write::Maintain(retention) => work.maintain(retention).map(Outcome::Maintained),
        }
    }

    /// The commit is durable: files it refers to stay.
    pub(crate) fn keep(self) {
        if let Write::Deliver(Delivery { content, .. }) = self
            && let crate::blob::Place::File(file) = content.place
        {
            file.keep();
        }
    }
}
