//! Writing the ledger, its index and its end.

use crate::engine::change::Change;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::LedgerId;
use crate::ledger::detail::Detail;
use crate::ledger::{Fate, LEDGER_BLOCK, LedgerRecord, TermKey};

const DOING: &str = "housekeeping";

const INDEXED: &str = "ledger-indexed";

/// Most records that wait in memory; of a flood of refused attempts only the number of the rest is kept.
const MOST_NOTES: usize = 1024;

/// Records to append; asked for by nobody who waits.
struct Append(Vec<LedgerRecord>);

impl Change for Append {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.record_all(&self.0)
    }
    fn grows(&self) -> bool {
        true
    }
    fn checks_first(&self) -> bool {
        false
    }
}

/// Ledger records that nobody waits for.
#[derive(Default)]
pub(crate) struct Notes {
    records: Vec<LedgerRecord>,
    dropped: u64,
}

impl Notes {
    /// Keeps a record until the next commit, or its number.
    pub(crate) fn add(&mut self, record: LedgerRecord) {
        match self.records.len() < MOST_NOTES {
            true => self.records.push(record),
            false => self.dropped += 1,
        }
    }

    /// What is to be written, if there is any.
    pub(crate) fn take(&mut self) -> Option<impl Change<Outcome = ()> + use<>> {
        let records = std::mem::take(self).into_records();
        (!records.is_empty()).then_some(Append(records))
    }

    /// The records, and one that tells of those there was no room for.
    fn into_records(mut self) -> Vec<LedgerRecord> {
        if let Some(last) = self.records.last().filter(|_| self.dropped > 0) {
            let detail = Detail::NotWritten(self.dropped);
            let summary = LedgerRecord { detail, ..LedgerRecord::new(last.at, Fate::Refused, last.code) };
            self.records.push(summary);
        }
        self.records
    }
}

impl Work<'_, '_> {
    /// The newest record's place; 0 when there is none.
    pub(crate) fn last_record(&self) -> Result<LedgerId> {
        let last = self.tables.ledger.ledger.remap_data_type::<heed::types::DecodeIgnore>().last(self.txn);
        Ok(last.map_err(Error::lmdb("reading the ledger"))?.map_or(LedgerId(0), |(last, ())| last))
    }

    /// Appends a record; its place is the next number.
    pub(crate) fn record(&mut self, record: &LedgerRecord) -> Result<LedgerId> {
        let id = LedgerId(self.last_record()?.0 + 1);
        let put = self.tables.ledger.ledger.put(self.txn, &id, record);
        put.map_err(Error::lmdb("writing the ledger"))?;
        Ok(id)
    }

    pub(crate) fn record_all(&mut self, records: &[LedgerRecord]) -> Result<()> {
        records.iter().try_for_each(|record| self.record(record).map(drop))
    }

    pub(crate) fn block(&self, block: u64) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let range = LedgerId(block * LEDGER_BLOCK)..LedgerId((block + 1) * LEDGER_BLOCK);
        let rows = self.tables.ledger.ledger.range(self.txn, &range).map_err(Error::lmdb(DOING))?;
        rows.collect::<heed::Result<_>>().map_err(Error::lmdb(DOING))
    }

    /// Indexes one full block. Terms go in behind the deliveries, many at a time, so that a delivery's own
    /// commit does not have to touch a page for each of them.
    pub(crate) fn index_ledger(&mut self) -> Result<bool> {
        let indexed = self.tables.meta.get(self.txn, INDEXED).map_err(Error::lmdb(DOING))?;
        let next = indexed.map_or(Ok(0), |v| v.try_into().map(u64::from_be_bytes));
        let next = next.map_err(|_| Error::damaged("the mark of the ledger's index"))?;
        let last = self.tables.ledger.ledger.last(self.txn).map_err(Error::lmdb(DOING))?.map_or(0, |(id, _)| id.0);
        if last < (next + 1) * LEDGER_BLOCK {
            return Ok(false);
        }
        for (_, record) in self.block(next)? {
            for term in record.terms() {
                self.tables.ledger.terms.put(self.txn, &TermKey { term, block: next }, &()).map_err(Error::lmdb(DOING))?;
            }
        }
        self.tables.meta.put(self.txn, INDEXED, &(next + 1).to_be_bytes()).map_err(Error::lmdb(DOING))?;
        Ok(true)
    }

    /// Removes the oldest block when it is too old or the ledger too large; the newest block always stays,
    /// as the next message id is counted from it.
    pub(crate) fn trim_ledger(&mut self, at: u64, seconds: u64, octets: u64) -> Result<bool> {
        let first = self.tables.ledger.ledger.first(self.txn).map_err(Error::lmdb(DOING))?;
        let last = self.tables.ledger.ledger.last(self.txn).map_err(Error::lmdb(DOING))?;
        let (Some((first, _)), Some((last, _))) = (first, last) else { return Ok(false) };
        let block = first.0 / LEDGER_BLOCK;
        if last.0 < (block + 2) * LEDGER_BLOCK {
            return Ok(false);
        }
        let records = self.block(block)?;
        let pages = self.tables.ledger.ledger.leaf_pages(self.txn).map_err(Error::lmdb(DOING))?;
        let too_large = pages * crate::engine::files::PAGE > octets;
        let too_old = records.iter().all(|(_, r)| r.at.saturating_add(seconds) < at);
        if !too_large && !too_old {
            return Ok(false);
        }
        for (id, record) in records {
            for term in record.terms() {
                self.tables.ledger.terms.delete(self.txn, &TermKey { term, block }).map_err(Error::lmdb(DOING))?;
            }
            self.tables.ledger.ledger.delete(self.txn, &id).map_err(Error::lmdb(DOING))?;
        }
        Ok(true)
    }
}
