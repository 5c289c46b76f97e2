//! Reading.
//! A [`Reader`] lives inside a closure: one consistent view, never held across an await.

use crate::engine::shared::Shared;
use crate::engine::snapshot::Snapshot;
use crate::error::Result;

/// One consistent view of the store.
pub struct Reader<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) txn: Snapshot<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Result<Reader<'a>> {
        Ok(Reader { shared, txn: shared.view()? })
    }
}
