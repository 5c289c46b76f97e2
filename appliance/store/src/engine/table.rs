//! What tables are: how they are declared, opened and measured, and how their rows are read and written through a
//! [`Snapshot`].

pub(crate) mod declared;
pub(crate) mod named;

use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use heed::types::{Bytes, Str};
use heed::{BytesDecode, BytesEncode, CommitToken, Database, OnCommit};

use super::codec::{Key, Value, stable_hash};
use super::snapshot::{Rows, Snapshot};
pub(crate) use declared::tables;
pub(crate) use named::{Named, fits};

/// A table: its number in the journal, where LMDB keeps it, and what its keys and values are made of.
pub(crate) struct Table<'e, K, V> {
    number: u16,
    base: Database<'e, Bytes, Bytes>,
    kinds: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Table<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<'_, K, V> {}

impl<K: 'static, V: 'static> OnCommit for Table<'_, K, V> {
    type Committed = Table<'static, K, V>;
    fn on_commit(self, token: &CommitToken) -> Self::Committed {
        Table { number: self.number, base: self.base.on_commit(token), kinds: PhantomData }
    }
}

/// The number of a table in the journal: made of its name, so that it stays when others come and go.
/// A test sees to it that no two are the same.
pub(crate) fn number(name: &str) -> u16 {
    // Both ends of the hash; the last number stays free, as the end of all.
    let hash = stable_hash(&[name.as_bytes()]);
    ((hash ^ (hash >> 32)) as u16).min(u16::MAX - 1)
}

impl<'e, K, V> Table<'e, K, V> {
    fn of(name: &str, base: Database<'e, Bytes, Bytes>) -> Table<'e, K, V> {
        Table { number: number(name), base, kinds: PhantomData }
    }

    /// Where LMDB keeps it.
    pub fn base(&self) -> Database<'e, Bytes, Bytes> {
        self.base
    }

    /// The same table with another reading of its values.
    pub fn remap_data_type<W>(self) -> Table<'e, K, W> {
        Table { number: self.number, base: self.base, kinds: PhantomData }
    }
}

/// Rows as their table reads them.
pub(crate) struct Typed<'t, K, V> {
    rows: Rows<'t>,
    kinds: PhantomData<fn() -> (K, V)>,
}

impl<'t, K: BytesDecode<'t>, V: BytesDecode<'t>> Iterator for Typed<'t, K, V> {
    type Item = heed::Result<(K::DItem, V::DItem)>;
    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next().map(|row| {
            let (key, value) = row?;
            Ok((
                K::bytes_decode(key).map_err(heed::Error::Decoding)?,
                V::bytes_decode(value).map_err(heed::Error::Decoding)?,
            ))
        })
    }
}

/// A bound of keys as octets.
fn octets<'a, K: BytesEncode<'a>>(bound: Bound<&'a K::EItem>) -> heed::Result<Bound<Vec<u8>>> {
    let encode = |key: &'a K::EItem| {
        K::bytes_encode(key).map(|key| key.into_owned()).map_err(heed::Error::Encoding)
    };
    Ok(match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(key) => Bound::Included(encode(key)?),
        Bound::Excluded(key) => Bound::Excluded(encode(key)?),
    })
}

/// Where the keys end that begin with this.
fn end_of(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

impl<K: 'static, V: 'static> Table<'static, K, V> {
    /// The row.
    pub fn get<'a, 't>(
        &self,
        view: &'t Snapshot,
        key: &'a K::EItem,
    ) -> heed::Result<Option<V::DItem>>
    where
        K: BytesEncode<'a>,
        V: BytesDecode<'t>,
    {
        let key = K::bytes_encode(key).map_err(heed::Error::Encoding)?;
        let octets = view.get(self.number, self.base, &key)?;
        octets.map(|octets| V::bytes_decode(octets).map_err(heed::Error::Decoding)).transpose()
    }

    /// Writes a row.
    pub fn put<'a>(
        &self,
        view: &mut Snapshot,
        key: &'a K::EItem,
        value: &'a V::EItem,
    ) -> heed::Result<()>
    where
        K: BytesEncode<'a>,
        V: BytesEncode<'a>,
    {
        let key = K::bytes_encode(key).map_err(heed::Error::Encoding)?;
        let value = V::bytes_encode(value).map_err(heed::Error::Encoding)?;
        view.write(self.number, &key, Some(value.into_owned().into()));
        Ok(())
    }

    /// Removes a row; false when there is none.
    pub fn delete<'a>(&self, view: &mut Snapshot, key: &'a K::EItem) -> heed::Result<bool>
    where
        K: BytesEncode<'a>,
    {
        let key = K::bytes_encode(key).map_err(heed::Error::Encoding)?;
        let is_there = view.get(self.number, self.base, &key)?.is_some();
        if is_there {
            view.write(self.number, &key, None);
        }
        Ok(is_there)
    }

    /// Removes the rows between two keys, and gives their number.
    pub fn delete_range<'a, R>(&self, view: &mut Snapshot, range: &'a R) -> heed::Result<usize>
    where
        K: BytesEncode<'a>,
        R: RangeBounds<K::EItem>,
    {
        let (from, to) = (octets::<K>(range.start_bound())?, octets::<K>(range.end_bound())?);
        self.delete_between(view, &from, &to, usize::MAX)
    }

    /// Removes the first rows, at most so many, and gives their number: for a table that is emptied little by little.
    pub fn delete_first(&self, view: &mut Snapshot, most: usize) -> heed::Result<usize> {
        self.delete_between(view, &Bound::Unbounded, &Bound::Unbounded, most)
    }

    fn delete_between(
        &self,
        view: &mut Snapshot,
        from: &Bound<Vec<u8>>,
        to: &Bound<Vec<u8>>,
        most: usize,
    ) -> heed::Result<usize> {
        let rows = self.between(view, from, to, false)?.take(most);
        let keys =
            rows.map(|row| row.map(|(key, _)| key.to_vec())).collect::<heed::Result<Vec<_>>>()?;
        keys.iter().for_each(|key| view.write(self.number, key, None));
        Ok(keys.len())
    }

    fn between<'t>(
        &self,
        view: &'t Snapshot,
        from: &Bound<Vec<u8>>,
        to: &Bound<Vec<u8>>,
        is_backward: bool,
    ) -> heed::Result<Rows<'t>> {
        let (from, to) = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        view.range(self.number, self.base, from, to, is_backward)
    }

    /// The rows between two keys, in order.
    pub fn range<'a, 't, R>(
        &self,
        view: &'t Snapshot,
        range: &'a R,
    ) -> heed::Result<Typed<'t, K, V>>
    where
        K: BytesEncode<'a>,
        R: RangeBounds<K::EItem>,
    {
        let (from, to) = (octets::<K>(range.start_bound())?, octets::<K>(range.end_bound())?);
        Ok(Typed { rows: self.between(view, &from, &to, false)?, kinds: PhantomData })
    }

    /// The rows between two keys, backwards.
    pub fn rev_range<'a, 't, R>(
        &self,
        view: &'t Snapshot,
        range: &'a R,
    ) -> heed::Result<Typed<'t, K, V>>
    where
        K: BytesEncode<'a>,
        R: RangeBounds<K::EItem>,
    {
        let (from, to) = (octets::<K>(range.start_bound())?, octets::<K>(range.end_bound())?);
        Ok(Typed { rows: self.between(view, &from, &to, true)?, kinds: PhantomData })
    }

    /// All rows in order.
    pub fn iter<'t>(&self, view: &'t Snapshot) -> heed::Result<Typed<'t, K, V>> {
        Ok(Typed {
            rows: self.between(view, &Bound::Unbounded, &Bound::Unbounded, false)?,
            kinds: PhantomData,
        })
    }

    /// All rows backwards.
    pub fn rev_iter<'t>(&self, view: &'t Snapshot) -> heed::Result<Typed<'t, K, V>> {
        Ok(Typed {
            rows: self.between(view, &Bound::Unbounded, &Bound::Unbounded, true)?,
            kinds: PhantomData,
        })
    }

    /// The rows whose keys begin with this, in order.
    pub fn prefix_iter<'a, 't>(
        &self,
        view: &'t Snapshot,
        prefix: &'a K::EItem,
    ) -> heed::Result<Typed<'t, K, V>>
    where
        K: BytesEncode<'a>,
    {
        let prefix = K::bytes_encode(prefix).map_err(heed::Error::Encoding)?;
        Ok(Typed {
            rows: self.between(view, &Bound::Included(prefix.to_vec()), &end_of(&prefix), false)?,
            kinds: PhantomData,
        })
    }

    /// The first row.
    pub fn first<'t>(&self, view: &'t Snapshot) -> heed::Result<Option<(K::DItem, V::DItem)>>
    where
        K: BytesDecode<'t>,
        V: BytesDecode<'t>,
    {
        self.iter(view)?.next().transpose()
    }

    /// The last row.
    pub fn last<'t>(&self, view: &'t Snapshot) -> heed::Result<Option<(K::DItem, V::DItem)>>
    where
        K: BytesDecode<'t>,
        V: BytesDecode<'t>,
    {
        self.rev_iter(view)?.next().transpose()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self, view: &Snapshot) -> heed::Result<bool> {
        self.between(view, &Bound::Unbounded, &Bound::Unbounded, false)?
            .next()
            .transpose()
            .map(|row| row.is_none())
    }

    /// How many rows there are.
    pub fn len(&self, view: &Snapshot) -> heed::Result<u64> {
        view.len(self.number, self.base)
    }

    /// Pages in LMDB that hold rows, without those of the tree above them; what is not folded yet is not counted.
    pub fn leaf_pages(&self, view: &Snapshot) -> heed::Result<u64> {
        Ok(self.base.stat(view.base())?.leaf_pages as u64)
    }
}

/// A table by a key of fixed width.
pub(crate) type Keyed<'e, K, V> = Table<'e, Key<K>, Value<V>>;
/// The same with octets that the owner of the table reads itself.
pub(crate) type Raw<'e, K> = Table<'e, Key<K>, Bytes>;
/// A table by text.
pub(crate) type ByText<'e, V> = Named<'e, Str, V>;
