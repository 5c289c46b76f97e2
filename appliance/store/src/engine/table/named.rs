//! Tables whose keys are texts from outside: addresses, domains, words.
//! LMDB takes keys of 1 to 511 octets; others never reach it.
//! What can't be a key is not there, and can't be put there.

use std::ops::RangeBounds;

use heed::{BytesDecode, BytesEncode, CommitToken, OnCommit};

use super::Table;
use crate::engine::codec::{Record, Value};
use crate::engine::snapshot::Snapshot;

/// Longest key, in octets (LMDB's own limit, as heed builds it).
const LONGEST: usize = 511;

/// A table by text or octets.
pub(crate) struct Named<'e, K, V>(pub(super) Table<'e, K, Value<V>>);

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

    /// The rows between two keys, in order.
    pub fn range<'a, 't, R: RangeBounds<<K as BytesEncode<'a>>::EItem>>(
        &self,
        view: &'t Snapshot,
        range: &'a R,
    ) -> heed::Result<
        impl Iterator<Item = heed::Result<(<K as BytesDecode<'t>>::DItem, V)>> + use<'a, 't, K, V, R>,
    > {
        self.0.range(view, range)
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
