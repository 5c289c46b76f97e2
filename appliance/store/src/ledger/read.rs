//! What became of every message.

use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::LedgerId;
use crate::ledger::{LEDGER_BLOCK, LedgerRecord, TermKey};

impl Reader<'_> {
    /// Ledger records after a place, oldest first, at most `limit`.
    pub fn ledger_after(&self, place: LedgerId, limit: usize) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let doing = "reading the ledger";
        let rows = self.shared.tables.ledger.ledger.range(&self.txn, &(LedgerId(place.0 + 1)..)).map_err(Error::lmdb(doing))?;
        rows.take(limit).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// A ledger record by its place.
    pub fn ledger_record(&self, id: LedgerId) -> Result<Option<LedgerRecord>> {
        self.shared.tables.ledger.ledger.get(&self.txn, &id).map_err(Error::lmdb("reading the ledger"))
    }

    /// The newest records, newest first.
    pub fn ledger_recent(&self, limit: usize) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let doing = "reading the ledger";
        let rows = self.shared.tables.ledger.ledger.rev_iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.take(limit).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// The newest records that `matches` accepts, at most `limit`, newest first. `term` (a hash from
    /// [`crate::term`]) narrows the search by the index; records not yet indexed are always looked at.
    pub fn ledger_find(&self, term: Option<u64>, limit: usize, matches: impl Fn(LedgerId, &LedgerRecord) -> bool) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let doing = "searching the ledger";
        let tables = &self.shared.tables;
        let last = tables.ledger.ledger.last(&self.txn).map_err(Error::lmdb(doing))?.map_or(0, |(id, _)| id.0);
        let indexed = tables.meta.get(&self.txn, "ledger-indexed").map_err(Error::lmdb(doing))?;
        let indexed = indexed.and_then(|v| v.try_into().ok()).map_or(0, u64::from_be_bytes);
        let mut blocks: Vec<u64> = match term {
            None => (0..indexed).collect(),
            Some(term) => {
                let range = TermKey { term, block: 0 }..=TermKey { term, block: u64::MAX };
                let rows = tables.ledger.terms.range(&self.txn, &range).map_err(Error::lmdb(doing))?;
                rows.map(|row| row.map(|(k, ())| k.block)).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))?
            }
        };
        blocks.extend(indexed..=last / LEDGER_BLOCK);
        let mut found = Vec::new();
        for block in blocks.into_iter().rev() {
            let range = LedgerId(block * LEDGER_BLOCK)..LedgerId((block + 1) * LEDGER_BLOCK);
            for row in tables.ledger.ledger.rev_range(&self.txn, &range).map_err(Error::lmdb(doing))? {
                let (id, record) = row.map_err(Error::lmdb(doing))?;
                if matches(id, &record) {
                    found.push((id, record));
                    if found.len() >= limit {
                        return Ok(found);
                    }
                }
            }
        }
        Ok(found)
    }
}
