//! One consistent view of all rows: a snapshot of LMDB below, the layers of newer rows above, and in a transaction its
//! own writes on top.

use std::cmp::Ordering;
use std::ops::Bound;

use heed::types::Bytes;
use heed::{Database, RoTxn, WithoutTls};

use super::idle::Lent;
use super::layers::{Layer, LayerRows, NUMBER_OCTETS, Row, RowKey, Span, Writes, row_key};

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
        let mut sources: Vec<Source<'t>> = Vec::with_capacity(4);
        if !self.writes.is_empty() {
            sources.push(Source::layer(span.clone().of_writes(&self.writes), is_backward));
        }
        for layer in self.layers.iter().filter(|layer| !layer.is_empty()) {
            sources.push(Source::layer(layer.range(span.clone()), is_backward));
        }
        let bounds = (from, to);
        let own =
            |row: heed::Result<(&'t [u8], &'t [u8])>| row.map(|(key, value)| (key, Some(value)));
        sources.push(match is_backward {
            true => Source::new(base.rev_range(&self.base, &bounds)?.map(own)),
            false => Source::new(base.range(&self.base, &bounds)?.map(own)),
        });
        // Most ranges are in one place: then there is nothing to merge.
        sources.retain(|source| source.next.is_some());
        Ok(Rows { sources, is_backward })
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

/// A key and what its row holds, or that it was deleted.
type Found<'t> = heed::Result<(&'t [u8], Option<&'t [u8]>)>;

/// One layer's rows on their way to the merge.
struct Source<'t> {
    rows: Box<dyn Iterator<Item = Found<'t>> + 't>,
    next: Option<Found<'t>>,
}

impl<'t> Source<'t> {
    fn new(mut rows: impl Iterator<Item = Found<'t>> + 't) -> Source<'t> {
        let next = rows.next();
        Source { rows: Box::new(rows), next }
    }

    fn layer(rows: LayerRows<'t>, is_backward: bool) -> Source<'t> {
        let own = |(key, row): (&'t [u8], Option<&'t [u8]>)| Ok((&key[NUMBER_OCTETS..], row));
        if is_backward { Source::new(rows.rev().map(own)) } else { Source::new(rows.map(own)) }
    }

    fn advance(&mut self) -> Option<Found<'t>> {
        std::mem::replace(&mut self.next, self.rows.next())
    }
}

/// Rows of a table as all layers together have them.
pub(crate) struct Rows<'t> {
    /// Newest first.
    sources: Vec<Source<'t>>,
    is_backward: bool,
}

impl<'t> Iterator for Rows<'t> {
    type Item = heed::Result<(&'t [u8], &'t [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if let [only] = &mut self.sources[..] {
            return loop {
                match only.advance()? {
                    Ok((key, Some(value))) => break Some(Ok((key, value))),
                    Ok((_, None)) => {}
                    Err(error) => break Some(Err(error)),
                }
            };
        }
        loop {
            let mut first: Option<(usize, &[u8])> = None;
            for (place, source) in self.sources.iter().enumerate() {
                let key = match &source.next {
                    None => continue,
                    Some(Err(_)) => {
                        return self.sources[place]
                            .advance()
                            .map(|row| row.map(|(key, _)| (key, &[][..])));
                    }
                    Some(Ok((key, _))) => *key,
                };
                let order = first.map_or(Ordering::Less, |(_, known)| key.cmp(known));
                let order =
                    if self.is_backward && first.is_some() { order.reverse() } else { order };
                // Of two rows with one key the newer one counts: it came first.
                if order == Ordering::Less {
                    first = Some((place, key));
                }
            }
            let (place, key) = first?;
            let row = self.sources[place].advance()?;
            for source in &mut self.sources[place + 1..] {
                if matches!(&source.next, Some(Ok((other, _))) if *other == key) {
                    source.advance();
                }
            }
            match row {
                Err(error) => return Some(Err(error)),
                Ok((key, Some(value))) => return Some(Ok((key, value))),
                Ok((_, None)) => {}
            }
        }
    }
}
