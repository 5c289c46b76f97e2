//! The closed set of writes. Each is applied inside the writer's one transaction.
//!
//! A write first checks and then changes: when it is refused it has changed nothing, so the other
//! writes of the same commit are unharmed. Any other error gives up the whole transaction.

mod change;
mod collect;
mod deliver;
mod mailbox;
mod maintain;
mod record;

use heed::RwTxn;

use crate::error::Result;
use crate::key::{BlobId, MessageId};
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
pub(crate) struct Work<'a, 'e, 'w> {
    pub tables: &'a Tables<'static>,
    pub txn: &'a mut RwTxn<'e>,
    /// Content files to remove once the transaction is durable.
    pub released: &'a mut Vec<BlobId>,
    /// Messages whose content is written when all other rows are: pages of trees, which the next commits
    /// replace, then lie together, and content lies in one piece behind them. A card writes few long runs
    /// faster than many short ones.
    pub contents: &'a mut Vec<(MessageId, &'w Delivery)>,
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

    pub(crate) fn apply<'w>(&'w self, work: &mut Work<'_, '_, 'w>) -> Result<Outcome> {
        match self {
            Write::Deliver(delivery) => work.deliver(delivery).map(Outcome::Delivered),
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
