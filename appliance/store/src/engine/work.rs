//! One transaction's workbench, which every write gets.

use heed::RwTxn;

use crate::error::{Error, Result};
use crate::ids::{BlobId, MessageId};
use crate::tables::Tables;

/// One transaction's workbench.
pub struct Work<'a, 'e> {
    pub(crate) tables: &'a Tables<'static>,
    pub(crate) txn: &'a mut RwTxn<'e>,
    /// Content files to remove once the transaction is durable.
    pub(crate) released: Vec<BlobId>,
    /// The id of the next message, once content was written.
    pub(crate) next_message: Option<MessageId>,
}

impl<'a, 'e> Work<'a, 'e> {
    pub(crate) fn new(tables: &'a Tables<'static>, txn: &'a mut RwTxn<'e>) -> Work<'a, 'e> {
        Work { tables, txn, released: Vec::new(), next_message: None }
    }
}

/// A random number for ids that must not be guessed or repeat.
pub(crate) fn random() -> Result<u64> {
    getrandom::u64().map_err(|e| Error::Invalid { why: format!("the system gave no random numbers: {e}") })
}
