//! How tables are declared, and opened with all others.

use heed::types::{Bytes, Str, Unit};
use heed::{Database, DatabaseOpener, RoTxn, RwTxn};

use super::Table;
use super::named::Named;
use crate::engine::codec::{Record, Value};

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

        impl<'e> $crate::engine::table::declared::Declared<'e> for $all<'e> {
            fn create<T>(opener: &heed::DatabaseOpener<'e, T>, txn: &mut heed::RwTxn<'e>, _: &str) -> heed::Result<Self> {
                Ok($all { $($field: $crate::engine::table::declared::Declared::create(opener, txn, stringify!($field))?,)* })
            }

            fn open<T>(opener: &heed::DatabaseOpener<'e, T>, txn: &heed::RoTxn<'e>, _: &str) -> heed::Result<Self> {
                Ok($all { $($field: $crate::engine::table::declared::Declared::open(opener, txn, stringify!($field))?,)* })
            }

            fn bases(&self, all: &mut Vec<(u16, heed::Database<'e, heed::types::Bytes, heed::types::Bytes>)>) {
                $($crate::engine::table::declared::Declared::bases(&self.$field, all);)*
            }

            fn check(octets: &[u8]) {
                $(<$type as $crate::engine::table::declared::Declared>::check(octets);)*
            }

            #[cfg(test)]
            fn names(_: &'static str, names: &mut Vec<&'static str>) {
                $(<$type as $crate::engine::table::declared::Declared>::names(stringify!($field), names);)*
            }
        }
    };
}

pub(crate) use tables;
