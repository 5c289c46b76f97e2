//! One consistent view of all rows: a snapshot of LMDB below, the layers of newer rows above, and in a transaction its
//! own writes on top.

use std::ops::Bound;

use heed::types::Bytes;
use heed::{Database, RoRange, RoRevRange, RoTxn, WithoutTls};

use super::idle::Lent;
use super::layers::{Layer, NUMBER_OCTETS, Row, RowKey, Span, Writes, row_key};
use super::merge::Merge;

/// A view; readers never change it.
pub(crate) struct Snapshot<'e> {
    base: Lent<'e>,
    /// Newest first.
    layers: [Layer; 2],
    /// What the transaction under way wrote; readers have none.
    writes: Writes,
}

/// A table as LMDB keeps it.
pub(crate) type Base = Database<'static, Bytes, Bytes>;

impl<'e> Snapshot<'e> {
    /// `layers`: newest first.
    pub fn new(base: Lent<'e>, layers: [Layer; 2]) -> Snapshot<'e> {
        Snapshot { base, layers, writes: Writes::new() }
    }

    /// The row's octets.
    pub fn get<'t>(&'t self, table: u16, base: Base, key: &[u8]) -> heed::Result<Option<&'t [u8]>> {
        let whole = row_key(table, key);
        if let Some(row) = self.writes.get(&whole[..]) {
            return Ok(row.as_deref());
        }
        match self.layers.iter().find_map(|layer| layer.get(&whole)) {
            Some(row) => Ok(row.as_deref()),
            None => base.get(&self.base, key),
        }
    }

    /// The rows between two keys, in order or backwards.
    pub fn range<'t>(
        &'t self,
        table: u16,
        base: Base,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        is_backward: bool,
    ) -> heed::Result<Rows<'t>> {
        let span = Span::of(table, from, to);
        let writes = (!self.writes.is_empty()).then(|| span.clone().of_writes(&self.writes));
        let layers = self.layers.iter().filter(|layer| !layer.is_empty());
        let newer = writes.into_iter().chain(layers.map(|layer| layer.range(span.clone())));
        let bounds = (from, to);
        let base = match is_backward {
            true => BaseRows::Backward(base.rev_range(&self.base, &bounds)?),
            false => BaseRows::Forward(base.range(&self.base, &bounds)?),
        };
        Ok(Merge::new(newer, base, is_backward))
    }

    /// How many rows a table has: those of LMDB, and what the layers add or take away.
    pub fn len(&self, table: u16, base: Base) -> heed::Result<u64> {
        let mut count = base.len(&self.base)?;
        let span = Span::of(table, Bound::Unbounded, Bound::Unbounded);
        let mut keys: Vec<&[u8]> = self
            .layers
            .iter()
            .flat_map(|layer| layer.range(span.clone()))
            .map(|(key, _)| key)
            .collect();
        keys.extend(span.of_writes(&self.writes).map(|(key, _)| key));
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let key = &key[NUMBER_OCTETS..];
            let (is, was) =
                (self.get(table, base, key)?.is_some(), base.get(&self.base, key)?.is_some());
            count = count.saturating_add(u64::from(is)).saturating_sub(u64::from(was));
        }
        Ok(count)
    }

    /// The snapshot of LMDB, for what only that has: the size of its trees.
    pub fn base(&self) -> &RoTxn<'static, WithoutTls> {
        &self.base
    }

    /// Writes or deletes a row; a transaction's own view shows it at once.
    pub fn write(&mut self, table: u16, key: &[u8], row: Row) {
        let whole: RowKey = row_key(table, key).into();
        self.writes.insert(whole, row);
    }

    /// What was written.
    pub fn into_writes(self) -> Writes {
        self.writes
    }
}

/// Rows of a table as all layers together have them.
pub(crate) type Rows<'t> = Merge<'t, BaseRows<'t>>;

/// LMDB's rows.
pub(crate) enum BaseRows<'t> {
    Forward(RoRange<'t, Bytes, Bytes>),
    Backward(RoRevRange<'t, Bytes, Bytes>),
}

impl<'t> Iterator for BaseRows<'t> {
    type Item = heed::Result<(&'t [u8], &'t [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            BaseRows::Forward(rows) => rows.next(),
            BaseRows::Backward(rows) => rows.next(),
        }
    }
}
