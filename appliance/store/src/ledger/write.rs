//! Writing the ledger, its index and its end.

use std::time::Duration;

use pillarbox_vocabulary::Timestamp;

use crate::engine::change::Change;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::LedgerId;
use crate::ledger::detail::Detail;
use crate::ledger::filter::filter;
use crate::ledger::{Fate, LEDGER_BLOCK, LedgerRecord};

const DOING: &str = "housekeeping";

/// How many blocks have a filter: a number of 64 bits, most significant octet first.
const FILTERED: &str = "ledger-filtered";

/// Rows of the index that releases before kept, removed in one commit.
const OLD_TERMS: usize = 2000;

/// Most records that wait in memory; of a flood of refused attempts only the number of the rest is kept.
const MOST_NOTES: usize = 1024;

/// Records to append; they are not waited for.
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

/// Ledger records that are not waited for.
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
            let summary =
                LedgerRecord { detail, ..LedgerRecord::new(last.at, Fate::Refused, last.code) };
            self.records.push(summary);
        }
        self.records
    }
}

impl Work<'_, '_> {
    /// The newest record's place; 0 when there is none.
    pub(crate) fn last_record(&self) -> Result<LedgerId> {
        let last =
            self.tables.ledger.ledger.remap_data_type::<heed::types::DecodeIgnore>().last(self.txn);
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

    /// Makes the filter of one full block, behind the deliveries.
    pub(crate) fn filter_ledger(&mut self) -> Result<bool> {
        let filtered = self.tables.meta.get(self.txn, FILTERED).map_err(Error::lmdb(DOING))?;
        let next = filtered.map_or(Ok(0), |v| v.try_into().map(u64::from_be_bytes));
        let next = next.map_err(|_| Error::damaged("the mark of the ledger's index"))?;
        let last = self
            .tables
            .ledger
            .ledger
            .last(self.txn)
            .map_err(Error::lmdb(DOING))?
            .map_or(0, |(id, _)| id.0);
        if last < (next + 1) * LEDGER_BLOCK {
            return Ok(false);
        }
        let mut terms: Vec<u64> =
            self.block(next)?.iter().flat_map(|(_, record)| record.terms()).collect();
        terms.sort_unstable();
        terms.dedup();
        // Blocks at the beginning may be gone already.
        if !terms.is_empty() {
            self.tables
                .ledger
                .filters
                .put(self.txn, &next, &filter(&terms))
                .map_err(Error::lmdb(DOING))?;
        }
        self.tables
            .meta
            .put(self.txn, FILTERED, &(next + 1).to_be_bytes())
            .map_err(Error::lmdb(DOING))?;
        Ok(true)
    }

    /// Removes some of the index that releases before kept.
    pub(crate) fn remove_old_terms(&mut self) -> Result<bool> {
        let removed = self.tables.ledger.terms.delete_first(self.txn, OLD_TERMS);
        Ok(removed.map_err(Error::lmdb(DOING))? > 0)
    }

    /// Removes the oldest block when it is too old or the ledger too large; the newest block always stays, as the next
    /// message id is counted from it.
    pub(crate) fn trim_ledger(&mut self, at: Timestamp, seconds: u64, octets: u64) -> Result<bool> {
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
        let too_old = records.iter().all(|(_, r)| r.at.plus(Duration::from_secs(seconds)) < at);
        if !too_large && !too_old {
            return Ok(false);
        }
        for (id, _) in records {
            self.tables.ledger.ledger.delete(self.txn, &id).map_err(Error::lmdb(DOING))?;
        }
        self.tables.ledger.filters.delete(self.txn, &block).map_err(Error::lmdb(DOING))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::TermKey;
    use crate::*;

    fn house(at: Timestamp) -> Retention {
        let (trash_for, junk_for) = (u64::MAX, u64::MAX);
        Retention { at, trash_for, junk_for, ledger_for: 1000, ledger_octets: 1 << 30 }
    }

    #[test]
    fn records_are_found_by_their_filters_and_the_index_of_older_releases_goes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(
            dir.path(),
            Access::Server,
            &Options { reserve_octets: 0, ..Options::default() },
        )
        .unwrap();
        let record = |number: u32| {
            let sender = format!("sender{number}@example.net");
            LedgerRecord {
                sender,
                ..LedgerRecord::new(Timestamp(u64::from(number)), Fate::Refused, ShortCode(number))
            }
        };
        let records: Vec<LedgerRecord> = (1..=2000).map(record).collect();
        for some in records.chunks(500) {
            store.change(Append(some.to_vec())).wait().unwrap();
        }
        let old = |work: &mut Work| {
            let put =
                |term| work.tables.ledger.terms.put(work.txn, &TermKey { term, block: 1 }, &());
            (0..5000).try_for_each(put).map_err(Error::lmdb("test"))
        };
        store.shared().transact(old).unwrap();
        let find = |number: u32| {
            let address = format!("sender{number}@example.net");
            let looked = std::cell::Cell::new(0);
            let matches = |_, record: &LedgerRecord| {
                looked.set(looked.get() + 1);
                record.sender == address
            };
            let found = store
                .read(|r| r.ledger_find(Some(term("address", &address)), 10, matches))
                .unwrap();
            (found.iter().map(|(_, record)| record.code.0).collect::<Vec<u32>>(), looked.get())
        };
        assert_eq!(find(700), (vec![700], 2000));
        while store.change(house(Timestamp(1))).wait().unwrap() == Maintained::More {}
        assert!(
            store
                .read(|r| r
                    .shared
                    .tables
                    .ledger
                    .terms
                    .is_empty(&r.txn)
                    .map_err(Error::lmdb("test")))
                .unwrap()
        );
        for number in [1, 255, 256, 700, 1999, 2000] {
            let (found, looked) = find(number);
            assert_eq!(found, [number]);
            // Its own block, the last one, and now and then one that only seemed to have it.
            assert!(looked <= 4 * LEDGER_BLOCK, "{looked}");
        }
        assert_eq!(find(3000).0, [0; 0]);
        // The oldest blocks go with their filters.
        while store.change(house(Timestamp(1600))).wait().unwrap() == Maintained::More {}
        assert_eq!(find(255).0, [0; 0]);
        assert_eq!(find(700).0, [700]);
        let filters = store
            .read(|r| r.shared.tables.ledger.filters.len(&r.txn).map_err(Error::lmdb("test")))
            .unwrap();
        assert_eq!(filters, 5, "blocks 2 to 6");
    }
}
