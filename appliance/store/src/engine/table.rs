//! What tables are: how they are declared, opened and measured, and how their rows are read and written through a
//! [`Snapshot`].
//!
//! [`Named`] is a table whose keys are texts from outside: addresses, domains, words.
//! LMDB takes keys of 1 to 511 octets; others never reach it.
//! What can't be a key is not there, and can't be put there.

use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use heed::types::{Bytes, Str, Unit};
use heed::{
    BytesDecode, BytesEncode, CommitToken, Database, DatabaseOpener, OnCommit, RoTxn, RwTxn,
};

use super::codec::{Key, Record, Value, stable_hash};
use super::snapshot::{Rows, Snapshot};

/// Longest key, in octets (LMDB's own limit, as heed builds it).
const LONGEST: usize = 511;

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
        self.delete_between(view, &from, &to)
    }

    fn delete_between(
        &self,
        view: &mut Snapshot,
        from: &Bound<Vec<u8>>,
        to: &Bound<Vec<u8>>,
    ) -> heed::Result<usize> {
        let rows = self.between(view, from, to, false)?;
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

/// A table by text or octets.
pub(crate) struct Named<'e, K, V>(Table<'e, K, Value<V>>);

impl<K, V> Clone for Named<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Named<'_, K, V> {}

impl<K: 'static, V: 'static> OnCommit for Named<'_, K, V> {
    type Committed = Named<'static, K, V>;
    fn on_commit(self, token: &CommitToken) -> Self::Committed {
        Named(self.0.on_commit(token))
    }
}

/// Whether octets can be a key.
pub(crate) fn fits(key: &[u8]) -> bool {
    (1..=LONGEST).contains(&key.len())
}

impl<K, V: Record> Named<'static, K, V>
where
    K: 'static + for<'a> BytesEncode<'a> + for<'a> BytesDecode<'a>,
    for<'a> <K as BytesEncode<'a>>::EItem: AsRef<[u8]>,
{
    /// The row; a key that can't be has none.
    pub fn get<'a>(
        &self,
        view: &Snapshot,
        key: &'a <K as BytesEncode<'a>>::EItem,
    ) -> heed::Result<Option<V>> {
        if fits(key.as_ref()) { self.0.get(view, key) } else { Ok(None) }
    }

    /// Writes a row.
    ///
    /// # Errors
    /// [`heed::Error::Encoding`] for a key that can't be; nothing was changed.
    pub fn put<'a>(
        &self,
        view: &mut Snapshot,
        key: &'a <K as BytesEncode<'a>>::EItem,
        value: &'a V,
    ) -> heed::Result<()> {
        match key.as_ref().len() {
            0 => Err(heed::Error::Encoding("an empty name can't be kept".into())),
            octets if octets > LONGEST => Err(heed::Error::Encoding(
                format!("a name of {octets} octets can't be kept: {LONGEST} at most").into(),
            )),
            _ => self.0.put(view, key, value),
        }
    }

    /// Removes a row; false when there is none.
    pub fn delete<'a>(
        &self,
        view: &mut Snapshot,
        key: &'a <K as BytesEncode<'a>>::EItem,
    ) -> heed::Result<bool> {
        if fits(key.as_ref()) { self.0.delete(view, key) } else { Ok(false) }
    }

    /// Removes the rows between two keys, and gives their number.
    pub fn delete_range<'a, R: RangeBounds<<K as BytesEncode<'a>>::EItem>>(
        &self,
        view: &mut Snapshot,
        range: &'a R,
    ) -> heed::Result<usize> {
        self.0.delete_range(view, range)
    }

    /// All rows in order.
    pub fn iter<'t>(
        &self,
        view: &'t Snapshot,
    ) -> heed::Result<
        impl Iterator<Item = heed::Result<(<K as BytesDecode<'t>>::DItem, V)>> + use<'t, K, V>,
    > {
        self.0.iter(view)
    }

    /// The rows whose keys begin with this, in order.
    pub fn prefix_iter<'a, 't>(
        &self,
        view: &'t Snapshot,
        prefix: &'a <K as BytesEncode<'a>>::EItem,
    ) -> heed::Result<
        impl Iterator<Item = heed::Result<(<K as BytesDecode<'t>>::DItem, V)>> + use<'a, 't, K, V>,
    > {
        let rows =
            if fits(prefix.as_ref()) { Some(self.0.prefix_iter(view, prefix)?) } else { None };
        Ok(rows.into_iter().flatten())
    }
}

/// What values of a table are made of.
pub(crate) trait Kind {
    /// See [`Record::check`].
    fn check(octets: &[u8]);
}

impl<V: Record> Kind for Value<V> {
    fn check(octets: &[u8]) {
        V::check(octets);
    }
}

/// Octets without a structure of their own.
impl Kind for Bytes {
    fn check(_: &[u8]) {}
}

impl Kind for Str {
    fn check(_: &[u8]) {}
}

impl Kind for Unit {
    fn check(_: &[u8]) {}
}

/// A table that is made with the others when the store is opened, or a group of them.
pub(crate) trait Declared<'e>: Sized {
    /// Opens the table, and makes it where it is missing.
    fn create<T>(
        opener: &DatabaseOpener<'e, T>,
        txn: &mut RwTxn<'e>,
        name: &str,
    ) -> heed::Result<Self>;

    /// Opens the table without writing.
    ///
    /// # Errors
    /// When it is not there: the store was written by an older release.
    fn open<T>(opener: &DatabaseOpener<'e, T>, txn: &RoTxn<'e>, name: &str) -> heed::Result<Self>;

    /// Adds where LMDB keeps each table, by its number.
    fn bases(&self, all: &mut Vec<(u16, Database<'e, Bytes, Bytes>)>);

    /// Checks that arbitrary octets do no harm as a value.
    /// See [`Record::check`].
    fn check(octets: &[u8]);

    /// The names of tables, in order of declaration.
    #[cfg(test)]
    fn names(name: &'static str, names: &mut Vec<&'static str>);
}

impl<'e, K: 'static, V: Kind + 'static> Declared<'e> for Table<'e, K, V> {
    fn create<T>(
        opener: &DatabaseOpener<'e, T>,
        txn: &mut RwTxn<'e>,
        name: &str,
    ) -> heed::Result<Self> {
        opener.create_database(txn, Some(name)).map(|base| Table::of(name, base))
    }

    fn open<T>(opener: &DatabaseOpener<'e, T>, txn: &RoTxn<'e>, name: &str) -> heed::Result<Self> {
        let base = opener
            .open_database(txn, Some(name))?
            .ok_or(heed::Error::Mdb(heed::MdbError::NotFound))?;
        Ok(Table::of(name, base))
    }

    fn bases(&self, all: &mut Vec<(u16, Database<'e, Bytes, Bytes>)>) {
        all.push((self.number, self.base));
    }

    fn check(octets: &[u8]) {
        V::check(octets);
    }

    #[cfg(test)]
    fn names(name: &'static str, names: &mut Vec<&'static str>) {
        names.push(name);
    }
}

impl<'e, K: 'static, V: Record> Declared<'e> for Named<'e, K, V> {
    fn create<T>(
        opener: &DatabaseOpener<'e, T>,
        txn: &mut RwTxn<'e>,
        name: &str,
    ) -> heed::Result<Self> {
        Declared::create(opener, txn, name).map(Named)
    }

    fn open<T>(opener: &DatabaseOpener<'e, T>, txn: &RoTxn<'e>, name: &str) -> heed::Result<Self> {
        Declared::open(opener, txn, name).map(Named)
    }

    fn bases(&self, all: &mut Vec<(u16, Database<'e, Bytes, Bytes>)>) {
        self.0.bases(all);
    }

    fn check(octets: &[u8]) {
        V::check(octets);
    }

    #[cfg(test)]
    fn names(name: &'static str, names: &mut Vec<&'static str>) {
        names.push(name);
    }
}

/// A table by a key of fixed width.
pub(crate) type Keyed<'e, K, V> = Table<'e, Key<K>, Value<V>>;
/// The same with octets that the owner of the table reads itself.
pub(crate) type Raw<'e, K> = Table<'e, Key<K>, Bytes>;
/// A table by text.
pub(crate) type ByText<'e, V> = Named<'e, Str, V>;

/// Declares tables, or groups of them, once: field, type and document line; a table's name is its field's.
macro_rules! tables {
    ($(#[$whole:meta])* $all:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$whole])*
        #[derive(Clone, Copy)]
        pub(crate) struct $all<'e> {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl heed::OnCommit for $all<'_> {
            type Committed = $all<'static>;
            fn on_commit(self, token: &heed::CommitToken) -> $all<'static> {
                $all { $($field: self.$field.on_commit(token),)* }
            }
        }

        impl<'e> $crate::engine::table::Declared<'e> for $all<'e> {
            fn create<T>(opener: &heed::DatabaseOpener<'e, T>, txn: &mut heed::RwTxn<'e>, _: &str) -> heed::Result<Self> {
                Ok($all { $($field: $crate::engine::table::Declared::create(opener, txn, stringify!($field))?,)* })
            }

            fn open<T>(opener: &heed::DatabaseOpener<'e, T>, txn: &heed::RoTxn<'e>, _: &str) -> heed::Result<Self> {
                Ok($all { $($field: $crate::engine::table::Declared::open(opener, txn, stringify!($field))?,)* })
            }

            fn bases(&self, all: &mut Vec<(u16, heed::Database<'e, heed::types::Bytes, heed::types::Bytes>)>) {
                $($crate::engine::table::Declared::bases(&self.$field, all);)*
            }

            fn check(octets: &[u8]) {
                $(<$type as $crate::engine::table::Declared>::check(octets);)*
            }

            #[cfg(test)]
            fn names(_: &'static str, names: &mut Vec<&'static str>) {
                $(<$type as $crate::engine::table::Declared>::names(stringify!($field), names);)*
            }
        }
    };
}

pub(crate) use tables;
