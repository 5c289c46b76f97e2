//! Tables whose keys are texts from outside: addresses, domains, words. LMDB takes keys of 1 to 511 octets; others
//! never reach it. What can't be a key is not there, and can't be put there.

use heed::{BytesDecode, BytesEncode, CommitToken, Database, DatabaseOpener, OnCommit, RoTxn, RwTxn};

use crate::codec::{Record, Value};

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

    pub fn clear(&self, txn: &mut RwTxn) -> heed::Result<()> {
        self.0.clear(txn)
    }

    pub fn stat(&self, txn: &RoTxn) -> heed::Result<heed::DatabaseStat> {
        self.0.stat(txn)
    }
}

/// A table that is made with the others when the store is opened.
pub(crate) trait Create<'e>: Sized {
    fn create<T>(opener: &DatabaseOpener<'e, T>, txn: &mut RwTxn<'e>, name: &str) -> heed::Result<Self>;

    /// Opens the table without writing.
    ///
    /// # Errors
    /// When it is not there: the store was written by an older release.
    fn open<T>(opener: &DatabaseOpener<'e, T>, txn: &RoTxn<'e>, name: &str) -> heed::Result<Self>;
}

impl<'e, K: 'static, V: 'static> Create<'e> for Database<'e, K, V> {
    fn create<T>(opener: &DatabaseOpener<'e, T>, txn: &mut RwTxn<'e>, name: &str) -> heed::Result<Self> {
        opener.create_database(txn, Some(name))
    }

    fn open<T>(opener: &DatabaseOpener<'e, T>, txn: &RoTxn<'e>, name: &str) -> heed::Result<Self> {
        opener.open_database(txn, Some(name))?.ok_or(heed::Error::Mdb(heed::MdbError::NotFound))
    }
}

impl<'e, K: 'static, V: 'static> Create<'e> for Named<'e, K, V> {
    fn create<T>(opener: &DatabaseOpener<'e, T>, txn: &mut RwTxn<'e>, name: &str) -> heed::Result<Self> {
        opener.create_database(txn, Some(name)).map(Named)
    }

    fn open<T>(opener: &DatabaseOpener<'e, T>, txn: &RoTxn<'e>, name: &str) -> heed::Result<Self> {
        Create::open(opener, txn, name).map(Named)
    }
}
