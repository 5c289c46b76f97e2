//! Reading contacts.

use crate::contacts::{Contact, contact_key};
use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::AccountId;

impl Reader<'_> {
    /// A person's contacts by address.
    pub fn contacts(&self, account: AccountId) -> Result<Vec<(String, Contact)>> {
        let doing = "reading contacts";
        let prefix = contact_key(account, "");
        let rows = self
            .shared
            .tables
            .contacts
            .contacts
            .prefix_iter(&self.txn, &prefix)
            .map_err(Error::lmdb(doing))?;
        let row = |(key, contact): (&[u8], Contact)| {
            (String::from_utf8_lossy(&key[prefix.len()..]).into_owned(), contact)
        };
        rows.map(|found| found.map(row).map_err(Error::lmdb(doing))).collect()
    }
}
