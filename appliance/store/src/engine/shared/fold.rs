//! Folding: rows that are in the journal and in memory come into LMDB.

use super::{FOLDED, Shared, meta};
use crate::engine::journal::record::Position;
use crate::engine::layers::{Layer, NUMBER_OCTETS};
use crate::engine::snapshot::Base;
use crate::error::{Error, Result};

impl Shared {
    /// Brings what has gathered into LMDB, in one commit, while a new layer gathers what comes.
    /// Gives the commit of LMDB and up to where the journal is in it; `None` when nothing had gathered.
    /// What failed before is tried again.
    pub(crate) fn fold(&self) -> Result<Option<(usize, (Position, u64))>> {
        let (rows, end) = {
            let mut published = self.published();
            if published.frozen.is_none() {
                published.frozen = Some(std::mem::take(&mut published.fresh));
                published.frozen_end = published.end;
            }
            (published.frozen.clone().unwrap_or_default(), published.frozen_end)
        };
        let commit = match rows.is_empty() {
            true => None,
            false => {
                let written = self.write_rows(&rows, end);
                Some(written.map_err(|error| self.medium.true_cause(error))?)
            }
        };
        let mut published = self.published();
        if let Some(commit) = commit {
            published.base = commit;
            self.idle.renew(commit);
        }
        published.frozen = None;
        Ok(commit.map(|commit| (commit, end)))
    }

    /// Writes rows into LMDB, and up to where the journal is in them.
    fn write_rows(&self, rows: &Layer, end: (Position, u64)) -> Result<usize> {
        let doing = "folding the journal into the tables";
        let mut txn = self.env.write_txn().map_err(Error::lmdb(doing))?;
        let mut table: Option<(u16, Base, Option<Vec<u8>>)> = None;
        for (key, row) in rows.iter() {
            let (number, key) = key.split_at(NUMBER_OCTETS);
            let number = u16::from_be_bytes([number[0], number[1]]);
            if table.as_ref().is_none_or(|(known, ..)| *known != number) {
                // Rows of a table that this release does not have are of no use to it.
                let Some(&(_, base)) = self.bases.iter().find(|(known, _)| *known == number) else {
                    continue;
                };
                let last =
                    base.last(&txn).map_err(Error::lmdb(doing))?.map(|(key, _)| key.to_vec());
                table = Some((number, base, last));
            }
            let Some((_, base, last)) = &table else { continue };
            match row {
                // Behind the last row pages are filled to the end instead of being split in the middle.
                Some(row) if last.as_ref().is_none_or(|last| key > &last[..]) => {
                    base.put_with_flags(&mut txn, heed::PutFlags::APPEND, key, row)
                }
                Some(row) => base.put(&mut txn, key, row),
                None => base.delete(&mut txn, key).map(drop),
            }
            .map_err(Error::lmdb(doing))?;
        }
        let mark: Vec<u8> = [end.1, end.0.segment, end.0.offset]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect();
        meta(&self.tables).put(&mut txn, FOLDED, &mark).map_err(Error::lmdb(doing))?;
        let id = txn.id();
        txn.commit().map_err(Error::lmdb(doing))?;
        Ok(id)
    }
}
