//! Rows of several layers in one order: of two rows with one key the newer one counts, and what was deleted is not
//! there.

use std::cmp::Ordering;
use std::iter::Peekable;

use super::layers::{LayerRows, NUMBER_OCTETS};

/// A key and what its row holds.
type BaseRow<'t> = (&'t [u8], &'t [u8]);

/// A key, and what its row holds or that it was deleted.
type Found<'t> = (&'t [u8], Option<&'t [u8]>);

/// One layer's rows on their way to the merge.
struct Source<'t> {
    rows: Box<dyn Iterator<Item = Found<'t>> + 't>,
    next: Found<'t>,
}

impl<'t> Source<'t> {
    /// `None`: it has no rows there.
    fn new(rows: LayerRows<'t>, is_backward: bool) -> Option<Source<'t>> {
        let own = |(key, row): Found<'t>| (&key[NUMBER_OCTETS..], row);
        let mut rows: Box<dyn Iterator<Item = Found<'t>> + 't> =
            if is_backward { Box::new(rows.rev().map(own)) } else { Box::new(rows.map(own)) };
        let next = rows.next()?;
        Some(Source { rows, next })
    }
}

/// Rows as all layers together have them.
pub(crate) struct Merge<'t, B: Iterator> {
    /// Newest first; one that has no more rows is gone: most ranges are in LMDB alone, and nothing is merged.
    layers: Vec<Source<'t>>,
    base: Peekable<B>,
    is_backward: bool,
}

impl<'t, B: Iterator<Item = heed::Result<BaseRow<'t>>>> Merge<'t, B> {
    /// `newer`: rows of the layers, newest first; `base`: what is below them, in the same order.
    pub fn new(
        newer: impl Iterator<Item = LayerRows<'t>>,
        base: B,
        is_backward: bool,
    ) -> Merge<'t, B> {
        let layers = newer.filter_map(|rows| Source::new(rows, is_backward)).collect();
        Merge { layers, base: base.peekable(), is_backward }
    }

    /// Which of two keys comes first here.
    fn order(&self, one: &[u8], other: &[u8]) -> Ordering {
        if self.is_backward { other.cmp(one) } else { one.cmp(other) }
    }

    /// The layer whose row comes first; of two rows with one key the newer one counts.
    fn first(&self) -> Option<usize> {
        let keys = self.layers.iter().map(|layer| layer.next.0).enumerate();
        keys.min_by(|one, other| self.order(one.1, other.1)).map(|(place, _)| place)
    }

    /// Takes a layer's row, and those that it stands for in older layers.
    fn take(&mut self, place: usize) -> Found<'t> {
        let taken = self.layers[place].next;
        for at in (place..self.layers.len()).rev() {
            if self.layers[at].next.0 == taken.0 {
                match self.layers[at].rows.next() {
                    Some(next) => self.layers[at].next = next,
                    None => drop(self.layers.remove(at)),
                }
            }
        }
        taken
    }
}

impl<'t, B: Iterator<Item = heed::Result<BaseRow<'t>>>> Iterator for Merge<'t, B> {
    type Item = heed::Result<BaseRow<'t>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(place) = self.first() else { return self.base.next() };
            let order = match self.base.peek() {
                Some(Ok((below, _))) => {
                    let below = *below;
                    self.order(below, self.layers[place].next.0)
                }
                Some(Err(_)) => Ordering::Less,
                None => Ordering::Greater,
            };
            match order {
                Ordering::Less => return self.base.next(),
                // The newer row stands for it.
                Ordering::Equal => drop(self.base.next()),
                Ordering::Greater => {}
            }
            if let (key, Some(value)) = self.take(place) {
                return Some(Ok((key, value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::Bound;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::layers::{Layer, Span, Writes, row_key};

    const TABLE: u16 = 7;

    fn rows() -> impl Strategy<Value = BTreeMap<u8, Option<u8>>> {
        prop::collection::btree_map(0u8..20, prop::option::weighted(0.7, any::<u8>()), 0..15)
    }

    fn writes(rows: &BTreeMap<u8, Option<u8>>) -> Writes {
        let own = |(key, value): (&u8, &Option<u8>)| {
            (row_key(TABLE, &[*key]).into(), value.map(|value| Box::from([value])))
        };
        rows.iter().map(own).collect()
    }

    proptest! {
        #[test]
        fn the_newest_row_counts_in_both_directions(
            layers in prop::collection::vec(rows(), 0..4),
            base in prop::collection::btree_map(0u8..20, any::<u8>(), 0..15),
            from in 0u8..20, to in 0u8..22, is_backward in any::<bool>(), fails_behind in prop::option::weighted(0.2, 0usize..5),
        ) {
            let mut expected = base.clone();
            for (key, row) in layers.iter().rev().flatten() {
                match row {
                    Some(value) => expected.insert(*key, *value),
                    None => expected.remove(key),
                };
            }
            let is_within = |key: &u8| (from..to).contains(key);
            let mut expected: Vec<(u8, u8)> = expected.into_iter().filter(|(key, _)| is_within(key)).collect();
            let mut below: Vec<([u8; 1], [u8; 1])> = base.iter().filter(|(key, _)| is_within(key)).map(|(key, value)| ([*key], [*value])).collect();
            if is_backward {
                expected.reverse();
                below.reverse();
            }
            let mut base: Vec<heed::Result<BaseRow>> = below.iter().map(|(key, value)| Ok((&key[..], &value[..]))).collect();
            let is_failing = fails_behind.is_some_and(|at| at < base.len());
            if let Some(at) = fails_behind.filter(|_| is_failing) {
                base.truncate(at);
                base.push(Err(heed::Error::Io(std::io::ErrorKind::Other.into())));
            }
            let layers: Vec<Layer> = layers.iter().map(|rows| {
                let mut layer = Layer::default();
                layer.add(writes(rows));
                layer
            }).collect();
            let span = Span::of(TABLE, Bound::Included(&[from]), Bound::Excluded(&[to]));
            let merged = Merge::new(layers.iter().map(|layer| layer.range(span.clone())), base.into_iter(), is_backward);
            let found: Vec<heed::Result<(u8, u8)>> = merged.map(|row| row.map(|(key, value)| (key[0], value[0]))).collect();
            // A failure below is told, and no row before it is wrong.
            prop_assert_eq!(found.iter().any(Result::is_err), is_failing);
            let before: Vec<(u8, u8)> = found.into_iter().map_while(Result::ok).collect();
            match is_failing {
                true => prop_assert!(expected.starts_with(&before)),
                false => prop_assert_eq!(before, expected),
            }
        }
    }
}
