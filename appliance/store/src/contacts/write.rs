//! Changes of a person's contacts.

use std::ops::Bound;

use pillarbox_vocabulary::Timestamp;

use crate::contacts::{CONTACTS, Contact, can_be_address, contact_key};
use crate::engine::change::Change;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::AccountId;

const DOING: &str = "changing contacts";

/// Contacts by their addresses, lower case; `None` removes one.
#[derive(Clone, Debug)]
pub struct PutContacts {
    pub account: AccountId,
    pub contacts: Vec<(String, Option<Contact>)>,
}

impl Change for PutContacts {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.put_contacts(self.account, &self.contacts)
    }
}

/// Names and addresses somebody wrote to.
#[derive(Clone, Debug)]
pub struct NoteWritten {
    pub account: AccountId,
    pub people: Vec<(String, String)>,
    pub at: Timestamp,
}

impl Change for NoteWritten {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.note_written(self.account, &self.people, self.at)
    }
    fn grows(&self) -> bool {
        true
    }
}

impl Work<'_, '_> {
    /// Adds, replaces or removes contacts; new ones beyond [`CONTACTS`] are refused, all of them.
    fn put_contacts(
        &mut self,
        account: AccountId,
        contacts: &[(String, Option<Contact>)],
    ) -> Result<()> {
        let mut count = self.contact_count(account)?;
        for (address, contact) in contacts {
            let key = contact_key(account, address);
            if !can_be_address(address) {
                return Err(Error::Invalid { why: format!("{address:?} is not an address") });
            }
            let is_known = self
                .tables
                .contacts
                .contacts
                .get(self.txn, &key)
                .map_err(Error::lmdb(DOING))?
                .is_some();
            match (is_known, contact) {
                (false, Some(_)) => count += 1,
                (true, None) => count -= 1,
                _ => {}
            }
        }
        if count > CONTACTS {
            return Err(Error::Invalid { why: format!("at most {CONTACTS} contacts") });
        }
        for (address, contact) in contacts {
            let key = contact_key(account, address);
            match contact {
                Some(contact) => self.tables.contacts.contacts.put(self.txn, &key, contact),
                None => self.tables.contacts.contacts.delete(self.txn, &key).map(drop),
            }
            .map_err(Error::lmdb(DOING))?;
        }
        Ok(())
    }

    /// Somebody wrote to these people: name and address.
    fn note_written(
        &mut self,
        account: AccountId,
        people: &[(String, String)],
        at: Timestamp,
    ) -> Result<()> {
        let mut count = self.contact_count(account)?;
        for (name, address) in people {
            let key = contact_key(account, address);
            if !can_be_address(address) {
                continue;
            }
            let known =
                self.tables.contacts.contacts.get(self.txn, &key).map_err(Error::lmdb(DOING))?;
            if known.is_none() && count >= CONTACTS {
                continue;
            }
            count += usize::from(known.is_none());
            let mut contact = known.unwrap_or_default();
            if contact.written > 0 && contact.last >= at {
                // It was noted when it was sent; the index meets it once more.
                continue;
            }
            if !contact.is_kept && !name.is_empty() || contact.name.is_empty() {
                contact.name.clone_from(name);
            }
            (contact.written, contact.last) = (contact.written + 1, contact.last.max(at));
            self.tables
                .contacts
                .contacts
                .put(self.txn, &key, &contact)
                .map_err(Error::lmdb(DOING))?;
        }
        Ok(())
    }

    fn contact_count(&self, account: AccountId) -> Result<usize> {
        let prefix = contact_key(account, "");
        let rows = self
            .tables
            .contacts
            .contacts
            .prefix_iter(self.txn, &prefix)
            .map_err(Error::lmdb(DOING))?;
        Ok(rows.count())
    }

    pub(crate) fn forget_contacts(&mut self, account: AccountId) -> Result<()> {
        let (first, beyond) =
            (contact_key(account, ""), contact_key(AccountId(account.0.saturating_add(1)), ""));
        let range = (Bound::Included(&first[..]), Bound::Excluded(&beyond[..]));
        self.tables
            .contacts
            .contacts
            .delete_range(self.txn, &range)
            .map(drop)
            .map_err(Error::lmdb(DOING))
    }
}
