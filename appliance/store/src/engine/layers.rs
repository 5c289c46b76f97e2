//! Rows that are newer than the tables in LMDB: what the journal holds and no fold has brought there yet.
//!
//! Writes gather in the upper layer.
//! From time to time it becomes the lower one and is folded into LMDB as a whole, while a new upper layer gathers what
//! comes meanwhile.
//! A layer is a persistent map: a reader's copy of it costs a pointer, and stays as it is.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::{Bound, RangeBounds};

use rpds::RedBlackTreeMapSync;

/// A table by its number, then the row's key.
pub(crate) type RowKey = Box<[u8]>;
/// What a row holds; `None`: it was deleted.
pub(crate) type Row = Option<Box<[u8]>>;

/// Octets of a table's number in front of a row's key.
pub(crate) const NUMBER_OCTETS: usize = 2;

/// What a row takes in memory beside its own octets, about: nodes and their counters, three allocations.
const ROW_OVERHEAD: usize = 160;

/// The key of a row among those of all tables.
pub(crate) fn row_key(table: u16, key: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(NUMBER_OCTETS + key.len());
    whole.extend_from_slice(&table.to_be_bytes());
    whole.extend_from_slice(key);
    whole
}

/// Rows of a layer, by key, from both ends: what each holds, or that it was deleted.
pub(crate) type LayerRows<'t> =
    Box<dyn DoubleEndedIterator<Item = (&'t [u8], Option<&'t [u8]>)> + 't>;

/// The writes of one transaction, each row once.
pub(crate) type Writes = BTreeMap<RowKey, Row>;

/// Rows written after the layer below, or after LMDB.
#[derive(Clone, Default)]
pub(crate) struct Layer {
    rows: RedBlackTreeMapSync<RowKey, Row>,
    /// Octets of memory it takes, about.
    octets: usize,
}

impl Layer {
    /// Takes over what a transaction wrote.
    pub fn add(&mut self, writes: Writes) {
        for (key, row) in writes {
            self.octets += ROW_OVERHEAD + key.len() + row.as_ref().map_or(0, |row| row.len());
            if let Some(old) = self.rows.get(&key) {
                self.octets = self.octets.saturating_sub(
                    ROW_OVERHEAD + key.len() + old.as_ref().map_or(0, |row| row.len()),
                );
            }
            self.rows.insert_mut(key, row);
        }
    }

    /// What it says of a row; `None`: nothing.
    pub fn get(&self, key: &[u8]) -> Option<&Row> {
        self.rows.get(key)
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Octets of memory it takes, about.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// All rows, sorted by table and key.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows.iter().map(|(key, row)| (&key[..], row.as_deref()))
    }

    /// The rows within a span, in order.
    pub fn range(&self, span: Span) -> LayerRows<'_> {
        match span.is_empty() {
            true => Box::new(std::iter::empty()),
            false => Box::new(
                self.rows.range::<[u8], Span>(span).map(|(key, row)| (&key[..], row.as_deref())),
            ),
        }
    }
}

/// From where to where, among the rows of all tables.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub from: Bound<Vec<u8>>,
    pub to: Bound<Vec<u8>>,
}

impl Span {
    /// The part of a table between two bounds of its keys.
    pub fn of(table: u16, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Span {
        let whole = |key: &[u8]| row_key(table, key);
        let from = match from {
            Bound::Unbounded => Bound::Included(whole(&[])),
            Bound::Included(key) => Bound::Included(whole(key)),
            Bound::Excluded(key) => Bound::Excluded(whole(key)),
        };
        let to = match to {
            // No table has the last number.
            Bound::Unbounded => Bound::Excluded((table + 1).to_be_bytes().to_vec()),
            Bound::Included(key) => Bound::Included(whole(key)),
            Bound::Excluded(key) => Bound::Excluded(whole(key)),
        };
        Span { from, to }
    }

    fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (
                Bound::Included(from) | Bound::Excluded(from),
                Bound::Included(to) | Bound::Excluded(to),
            ) => from >= to,
            _ => false,
        }
    }

    /// The rows of a transaction's writes within it.
    pub fn of_writes(self, writes: &Writes) -> LayerRows<'_> {
        let rows: btree_map::Range<'_, RowKey, Row> = match self.is_empty() {
            true => return Box::new(std::iter::empty()),
            false => writes.range::<[u8], Span>(self),
        };
        Box::new(rows.map(|(key, row)| (&key[..], row.as_deref())))
    }
}

impl RangeBounds<[u8]> for Span {
    fn start_bound(&self) -> Bound<&[u8]> {
        self.from.as_ref().map(Vec::as_slice)
    }
    fn end_bound(&self) -> Bound<&[u8]> {
        self.to.as_ref().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_of_a_row_counts_and_copies_stay_as_they_are() {
        let mut layer = Layer::default();
        let write = |key: &str, value: Option<&str>| {
            Writes::from([(row_key(7, key.as_bytes()).into(), value.map(|v| v.as_bytes().into()))])
        };
        layer.add(write("a", Some("1")));
        layer.add(write("b", Some("2")));
        let (copy, octets) = (layer.clone(), layer.octets());
        layer.add(write("a", None));
        layer.add(write("b", Some("22")));
        assert_eq!(layer.octets(), octets);
        assert_eq!(
            (
                copy.get(&row_key(7, b"a")).unwrap().as_deref(),
                layer.get(&row_key(7, b"a")).unwrap()
            ),
            (Some(&b"1"[..]), &None)
        );
        assert!(layer.get(&row_key(8, b"a")).is_none());
        let all = Span::of(7, Bound::Unbounded, Bound::Unbounded);
        assert_eq!(layer.range(all.clone()).count(), 2);
        assert_eq!(layer.range(Span::of(7, Bound::Excluded(b"a"), Bound::Unbounded)).count(), 1);
        assert_eq!(
            layer.range(Span::of(7, Bound::Included(b"b"), Bound::Excluded(b"a"))).count(),
            0
        );
        assert_eq!(layer.range(Span::of(6, Bound::Unbounded, Bound::Unbounded)).count(), 0);
        assert_eq!(all.of_writes(&write("c", None)).rev().count(), 1);
    }
}
