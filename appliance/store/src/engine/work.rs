//! One transaction's workbench, which every write gets.

use crate::error::{Error, Result};
use crate::ids::{BlobId, FolderKey, MessageId};
use crate::tables::Tables;

use super::journal::log::Log;
use super::notices::{Happened, Notice};
use super::snapshot::Snapshot;

/// One transaction's workbench.
pub struct Work<'a, 'e> {
    pub(crate) tables: &'a Tables<'static>,
    pub(crate) txn: &'a mut Snapshot<'e>,
    pub(crate) log: &'a mut Log,
    /// Content files to remove once the transaction is durable.
    pub(crate) released: Vec<BlobId>,
    /// The id of the next message, once content was written.
    pub(crate) next_message: Option<MessageId>,
    /// What changes, where anybody listens.
    notices: Option<Vec<Notice>>,
}

impl<'a, 'e> Work<'a, 'e> {
    pub(crate) fn new(
        tables: &'a Tables<'static>,
        txn: &'a mut Snapshot<'e>,
        log: &'a mut Log,
        is_listened_to: bool,
    ) -> Work<'a, 'e> {
        Work {
            tables,
            txn,
            log,
            released: Vec::new(),
            next_message: None,
            notices: is_listened_to.then(Vec::new),
        }
    }

    /// Remembers what to report once the transaction is durable.
    pub(crate) fn notice(&mut self, folder: FolderKey, what: Happened) {
        if let Some(notices) = &mut self.notices {
            notices.push(Notice::Folder { account: folder.account, folder: folder.folder, what });
        }
    }

    /// What to do after the commit: content files to remove, and what to report.
    pub(crate) fn finish(self) -> (Vec<BlobId>, Vec<Notice>) {
        (self.released, self.notices.unwrap_or_default())
    }
}

/// A random number for ids that must not be guessed or repeat.
pub(crate) fn random() -> Result<u64> {
    getrandom::u64()
        .map_err(|e| Error::Invalid { why: format!("the system gave no random numbers: {e}") })
}
