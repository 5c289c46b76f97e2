//! What tables are: how they are declared, opened and measured.
//!
//! [`Named`] is a table whose keys are texts from outside: addresses, domains, words. LMDB takes keys of 1 to 511 octets; others
//! never reach it. What can't be a key is not there, and can't be put there.

use heed::types::{Bytes, Str, Unit};
use heed::{BytesDecode, BytesEncode, CommitToken, Database, DatabaseOpener, OnCommit, RoTxn, RwTxn};

use super::codec::{Key, Record, Value};

/// Longest key, in octets (LMDB's own limit, as heed builds it).
const LONGEST: usize = 511;

/// A table by text or octets.
pub(crate) struct Named<'e, K, V>(pub(crate) Database<'e, K, Value<V>>);

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

impl<'e, K, V: Record> Named<'e, K, V>
where
    K: 'static + for<'a> BytesEncode<'a> + for<'a> BytesDecode<'a>,
    for<'a> <K as BytesEncode<'a>>::EItem: AsRef<[u8]>,
{
    /// The row; a key that can't be has none.
    pub fn get<'a>(&self, txn: &RoTxn, key: &'a <K as BytesEncode<'a>>::EItem) -> heed::Result<Option<V>> {
        if fits(key.as_ref()) { self.0.get(txn, key) } else { Ok(None) }
    }

    /// Writes a row.
    ///
    /// # Errors
    /// [`heed::Error::Encoding`] for a key that can't be; nothing was changed.
    pub fn put<'a>(&self, txn: &mut RwTxn, key: &'a <K as BytesEncode<'a>>::EItem, value: &'a V) -> heed::Result<()> {
        match key.as_ref().len() {
            0 => Err(heed::Error::Encoding("an empty name can't be kept".into())),
            octets if octets > LONGEST => Err(heed::Error::Encoding(format!("a name of {octets} octets can't be kept: {LONGEST} at most").into())),
            _ => self.0.put(txn, key, value),
        }
    }

    /// Removes a row; false when there is none.
    pub fn delete<'a>(&self, txn: &mut RwTxn, key: &'a <K as BytesEncode<'a>>::EItem) -> heed::Result<bool> {
        if fits(key.as_ref()) { self.0.delete(txn, key) } else { Ok(false) }
    }

    /// All rows in order.
    pub fn iter<'t>(&self, txn: &'t RoTxn) -> heed::Result<impl Iterator<Item = heed::Result<(<K as BytesDecode<'t>>::DItem, V)>> + use<'t, K, V>> {
        self.0.iter(txn)
    }

    /// The rows whose keys begin with this, in order.
    pub fn prefix_iter<'a, 't>(
        &self,
        txn: &'t RoTxn,
        prefix: &'a <K as BytesEncode<'a>>::EItem,
    ) -> heed::Result<impl Iterator<Item = heed::Result<(<K as BytesDecode<'t>>::DItem, V)>> + use<'a, 't, K, V>> {
        let rows = if fits(prefix.as_ref()) { Some(self.0.prefix_iter(txn, prefix)?) } else { None };
        Ok(rows.into_iter().flatten())
    }
}

/// What values of a table are made of.
pub(crate) trait Rows {
    /// See [`Record::check`].
    fn check(octets: &[u8]);
}

impl<V: Record> Rows for Value<V> {
    fn check(octets: &[u8]) {
        V::check(octets);
    }
}

/// Octets without a structure of their own.
impl Rows for Bytes {
    fn check(_: &[u8]) {}
}

impl Rows for Str {
    fn check(_: &[u8]) {}
}

impl Rows for Unit {
    fn check(_: &[u8]) {}
}

/// A table that is made with the others when the store is opened, or a group of them.
pub(crate) trait Table<'e>: Sized {
    /// Opens the table, and makes it where it is missing.
    fn create<T>(opener: &DatabaseOpener<'e, T>, txn: &mut RwTxn<'e>, name: &str) -> heed::Result<Self>;

    /// Opens the table without writing.
    ///
    /// # Errors
    /// When it is not there: the store was written by an older release.
    fn open<T>(opener: &DatabaseOpener<'e, T>, txn: &RoTxn<'e>, name: &str) -> heed::Result<Self>;

    /// Pages that hold rows. Costs one look per table.
    fn pages(&self, txn: &RoTxn) -> heed::Result<u64>;

    /// Checks that arbitrary octets do no harm as a value. See [`Record::check`].
    fn check(octets: &[u8]);

    /// The names of tables, in order of declaration.
    #[cfg(test)]
    fn names(name: &'static str, names: &mut Vec<&'static str>);
}

impl<'e, K: 'static, V: Rows + 'static> Table<'e> for Database<'e, K, V> {
    fn create<T>(opener: &DatabaseOpener<'e, T>, txn: &mut RwTxn<'e>, name: &str) -> heed::Result<Self> {
        opener.create_database(txn, Some(name))
    }

    fn open<T>(opener: &DatabaseOpener<'e, T>, txn: &RoTxn<'e>, name: &str) -> heed::Result<Self> {
        opener.open_database(txn, Some(name))?.ok_or(heed::Error::Mdb(heed::MdbError::NotFound))
    }

    fn pages(&self, txn: &RoTxn) -> heed::Result<u64> {
        let stat = self.stat(txn)?;
        Ok((stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64)
    }

    fn check(octets: &[u8]) {
        V::check(octets);
    }

    #[cfg(test)]
    fn names(name: &'static str, names: &mut Vec<&'static str>) {
        names.push(name);
    }
}

impl<'e, K: 'static, V: Record> Table<'e> for Named<'e, K, V> {
    fn create<T>(opener: &DatabaseOpener<'e, T>, txn: &mut RwTxn<'e>, name: &str) -> heed::Result<Self> {
        Table::create(opener, txn, name).map(Named)
    }

    fn open<T>(opener: &DatabaseOpener<'e, T>, txn: &RoTxn<'e>, name: &str) -> heed::Result<Self> {
        Table::open(opener, txn, name).map(Named)
    }

    fn pages(&self, txn: &RoTxn) -> heed::Result<u64> {
        Table::pages(&self.0, txn)
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
pub(crate) type Keyed<'e, K, V> = Database<'e, Key<K>, Value<V>>;
/// The same with octets that the owner of the table reads itself.
pub(crate) type Raw<'e, K> = Database<'e, Key<K>, Bytes>;
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

        impl<'e> $crate::engine::table::Table<'e> for $all<'e> {
            fn create<T>(opener: &heed::DatabaseOpener<'e, T>, txn: &mut heed::RwTxn<'e>, _: &str) -> heed::Result<Self> {
                Ok($all { $($field: $crate::engine::table::Table::create(opener, txn, stringify!($field))?,)* })
            }

            fn open<T>(opener: &heed::DatabaseOpener<'e, T>, txn: &heed::RoTxn<'e>, _: &str) -> heed::Result<Self> {
                Ok($all { $($field: $crate::engine::table::Table::open(opener, txn, stringify!($field))?,)* })
            }

            fn pages(&self, txn: &heed::RoTxn) -> heed::Result<u64> {
                Ok(0 $(+ $crate::engine::table::Table::pages(&self.$field, txn)?)*)
            }

            fn check(octets: &[u8]) {
                $(<$type as $crate::engine::table::Table>::check(octets);)*
            }

            #[cfg(test)]
            fn names(_: &'static str, names: &mut Vec<&'static str>) {
                $(<$type as $crate::engine::table::Table>::names(stringify!($field), names);)*
            }
        }
    };
}

pub(crate) use tables;
