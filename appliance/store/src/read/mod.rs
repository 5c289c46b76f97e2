//! Reading. A [`Reader`] lives inside a closure: one consistent view, never held across an await.

mod directory;
mod ledger;
mod mailbox;
mod owner;
mod queue;
mod webmail;

use crate::env::Shared;
use crate::error::{Error, Result};

pub use directory::{Resolution, SubAddresses};
pub(crate) use ledger::LEDGER_BLOCK;
pub use mailbox::Content;
pub use webmail::{Found, Unindexed};

/// One consistent view of the store.
pub struct Reader<'a> {
    shared: &'a Shared,
    txn: heed::RoTxn<'a, heed::WithTls>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Result<Reader<'a>> {
        let txn = shared.env.read_txn().map_err(Error::lmdb("beginning to read"))?;
        Ok(Reader { shared, txn })
    }
}
