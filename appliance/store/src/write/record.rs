//! Writing the ledger.

use heed::PutFlags;

use crate::error::{Error, Result};
use crate::key::LedgerId;
use crate::ledger::LedgerRecord;

use super::Work;

impl Work<'_, '_> {
    /// The newest record's place; 0 when there is none.
    pub(super) fn last_record(&self) -> Result<LedgerId> {
        let last = self.tables.ledger.remap_data_type::<heed::types::DecodeIgnore>().last(self.txn);
        Ok(last.map_err(Error::lmdb("reading the ledger"))?.map_or(LedgerId(0), |(last, ())| last))
    }

    /// Appends a record; its place is the next number.
    pub(super) fn record(&mut self, record: &LedgerRecord) -> Result<LedgerId> {
        let id = LedgerId(self.last_record()?.0 + 1);
        let put = self.tables.ledger.put_with_flags(self.txn, PutFlags::APPEND, &id, record);
        put.map_err(Error::lmdb("writing the ledger"))?;
        Ok(id)
    }

    pub(super) fn record_all(&mut self, records: &[LedgerRecord]) -> Result<()> {
        records.iter().try_for_each(|record| self.record(record).map(drop))
    }
}
