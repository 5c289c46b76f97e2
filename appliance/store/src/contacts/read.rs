//! Reading contacts.

use std::ops::Bound;

use crate::contacts::{Contact, can_be_address, contact_key};
use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::AccountId;

const DOING: &str = "reading contacts";

impl Reader<'_> {
    /// Gives a person's contacts by address, one after the other: of 5,000 with their notes there is never more than
    /// one in memory.
    pub fn each_contact(
        &self,
        account: AccountId,
        mut take: impl FnMut(&str, Contact),
    ) -> Result<()> {
        let prefix = contact_key(account, "");
        let table = self.shared.tables.contacts.contacts;
        for row in table.prefix_iter(&self.txn, &prefix).map_err(Error::lmdb(DOING))? {
            let (key, contact) = row.map_err(Error::lmdb(DOING))?;
            take(&String::from_utf8_lossy(&key[prefix.len()..]), contact);
        }
        Ok(())
    }

    /// One of a person's contacts.
    pub fn contact(&self, account: AccountId, address: &str) -> Result<Option<Contact>> {
        if !can_be_address(address) {
            return Ok(None);
        }
        let table = self.shared.tables.contacts.contacts;
        table.get(&self.txn, &contact_key(account, address)).map_err(Error::lmdb(DOING))
    }

    /// A person's contacts behind an address, at most so many.
    pub fn contacts_after(
        &self,
        account: AccountId,
        address: &str,
        most: usize,
    ) -> Result<Vec<(String, Contact)>> {
        let prefix = contact_key(account, "");
        let (first, beyond) = (
            contact_key(account, address),
            contact_key(AccountId(account.0.saturating_add(1)), ""),
        );
        // An address of no octets is in front of all.
        let first = match address.is_empty() {
            true => Bound::Included(&first[..]),
            false => Bound::Excluded(&first[..]),
        };
        let range = (first, Bound::Excluded(&beyond[..]));
        let table = self.shared.tables.contacts.contacts;
        let rows = table.range(&self.txn, &range).map_err(Error::lmdb(DOING))?;
        let row = |(key, contact): (&[u8], Contact)| {
            (String::from_utf8_lossy(&key[prefix.len()..]).into_owned(), contact)
        };
        rows.take(most).map(|found| found.map(row).map_err(Error::lmdb(DOING))).collect()
    }
}
