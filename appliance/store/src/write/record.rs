//! Writing the ledger.

use heed::PutFlags;

use crate::error::{Error, Result};
use crate::key::LedgerId;
use crate::ledger::LedgerRecord;

use super::Work;

impl Work<'_, '_, '_> {
    /// Appends a record; its place is the next number.
    pub(super) fn record(&mut self, record: &LedgerRecord) -> Result<LedgerId> {
        let doing = "writing the ledger";
        let last = self.tables.ledger.remap_data_type::<heed::types::DecodeIgnore>().last(self.txn);
        let id = LedgerId(last.map_err(Error::lmdb(doing))?.map_or(0, |(last, ())| last.0) + 1);
        self.tables.ledger.put_with_flags(self.txn, PutFlags::APPEND, &id, record).map_err(Error::lmdb(doing))?;
        Ok(id)
    }

    pub(super) fn record_all(&mut self, records: &[LedgerRecord]) -> Result<()> {
        records.iter().try_for_each(|record| self.record(record).map(drop))
    }
}
