//! Housekeeping in small steps, each a commit of bounded size: retention, purges, the ledger's filters and its end.

use pillarbox_vocabulary::Timestamp;

use crate::engine::change::Change;
use crate::engine::work::Work;
use crate::error::Result;
use crate::ids::FolderId;

/// What is kept for how long.
/// Times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The time by the box's clock.
    pub at: Timestamp,
    /// How long Trash keeps a message, and Junk.
    pub trash_for: u64,
    pub junk_for: u64,
    /// How long the ledger keeps a record.
    pub ledger_for: u64,
    /// Most octets the ledger may take.
    pub ledger_octets: u64,
}

/// Whether anything is left to do right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintained {
    More,
    Nothing,
}

impl Change for Retention {
    type Outcome = Maintained;
    fn apply(&mut self, work: &mut Work) -> Result<Maintained> {
        work.maintain(self)
    }
    fn frees_much(&self) -> bool {
        true
    }
    fn checks_first(&self) -> bool {
        false
    }
}

impl Work<'_, '_> {
    /// One step: the first kind of work that has something to do.
    fn maintain(&mut self, retention: &Retention) -> Result<Maintained> {
        let worked = self.purge_removed_account()?
            || self.filter_ledger()?
            || self.trim_ledger(retention.at, retention.ledger_for, retention.ledger_octets)?
            || self.remove_old_terms()?
            || self.trash_collected(retention.at)?
            || self.empty(FolderId::TRASH, retention.at, retention.trash_for)?
            || self.empty(FolderId::JUNK, retention.at, retention.junk_for)?;
        Ok(if worked { Maintained::More } else { Maintained::Nothing })
    }
}
