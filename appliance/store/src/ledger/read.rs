//! What became of every message.

use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::{LedgerId, MessageId};
use crate::ledger::filter::may_have;
use crate::ledger::{LEDGER_BLOCK, LedgerRecord, term};

impl Reader<'_> {
    /// Ledger records after a place, oldest first, at most `limit`.
    pub fn ledger_after(
        &self,
        place: LedgerId,
        limit: usize,
    ) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let doing = "reading the ledger";
        let rows = self
            .shared
            .tables
            .ledger
            .ledger
            .range(&self.txn, &(LedgerId(place.0 + 1)..))
            .map_err(Error::lmdb(doing))?;
        rows.take(limit).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// A ledger record by its place.
    pub fn ledger_record(&self, id: LedgerId) -> Result<Option<LedgerRecord>> {
        self.shared
            .tables
            .ledger
            .ledger
            .get(&self.txn, &id)
            .map_err(Error::lmdb("reading the ledger"))
    }

    /// The newest records, newest first.
    pub fn ledger_recent(&self, limit: usize) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let doing = "reading the ledger";
        let rows =
            self.shared.tables.ledger.ledger.rev_iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.take(limit).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// The newest records that `matches` accepts, at most `limit`, newest first.
    /// `term` (a hash from [`crate::term`]) narrows the search to the blocks that may have it; those without a filter
    /// yet are always looked at.
    pub fn ledger_find(
        &self,
        term: Option<u64>,
        limit: usize,
        matches: impl Fn(LedgerId, &LedgerRecord) -> bool,
    ) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        self.find_since(LedgerId(0), term, limit, matches)
    }

    /// The newest records that name a message, at most `limit`, newest first.
    /// They come behind that of its arrival.
    pub fn ledger_about(
        &self,
        message: MessageId,
        limit: usize,
    ) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let wanted = term("message", &message.0.to_string());
        self.find_since(LedgerId(message.0), Some(wanted), limit, |_, record| {
            record.messages.contains(&message.0)
        })
    }

    fn find_since(
        &self,
        since: LedgerId,
        term: Option<u64>,
        limit: usize,
        matches: impl Fn(LedgerId, &LedgerRecord) -> bool,
    ) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let doing = "searching the ledger";
        let tables = &self.shared.tables.ledger;
        let ends = (
            tables.ledger.first(&self.txn).map_err(Error::lmdb(doing))?,
            tables.ledger.last(&self.txn).map_err(Error::lmdb(doing))?,
        );
        let (Some((first, _)), Some((last, _))) = ends else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for block in (first.max(since).0 / LEDGER_BLOCK..=last.0 / LEDGER_BLOCK).rev() {
            let filter = term
                .map(|_| tables.filters.get(&self.txn, &block))
                .transpose()
                .map_err(Error::lmdb(doing))?
                .flatten();
            if let (Some(term), Some(filter)) = (term, filter)
                && !may_have(filter, term)
            {
                continue;
            }
            let range = LedgerId(block * LEDGER_BLOCK)..LedgerId((block + 1) * LEDGER_BLOCK);
            for row in tables.ledger.rev_range(&self.txn, &range).map_err(Error::lmdb(doing))? {
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
