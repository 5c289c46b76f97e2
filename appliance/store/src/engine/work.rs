//! One transaction's workbench, which every write gets.

use heed::RwTxn;

use crate::error::{Error, Result};
use crate::ids::BlobId;
use crate::tables::Tables;

/// One transaction's workbench.
pub(crate) struct Work<'a, 'e> {
    pub tables: &'a Tables<'static>,
    pub txn: &'a mut RwTxn<'e>,
    /// Content files to remove once the transaction is durable.
    pub released: &'a mut Vec<BlobId>,
}

/// A random number for ids that must not be guessed or repeat.
pub(crate) fn random() -> Result<u64> {
    getrandom::u64().map_err(|e| Error::Invalid { why: format!("the system gave no random numbers: {e}") })
}
