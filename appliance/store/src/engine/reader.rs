//! Reading. A [`Reader`] lives inside a closure: one consistent view, never held across an await.

use crate::engine::environment::Shared;
use crate::error::{Error, Result};

/// One consistent view of the store.
pub struct Reader<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) txn: heed::RoTxn<'a, heed::WithTls>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Result<Reader<'a>> {
        let txn = shared.env.read_txn().map_err(Error::lmdb("beginning to read"))?;
        Ok(Reader { shared, txn })
    }
}
