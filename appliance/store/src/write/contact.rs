//! Changes of a person's contacts, and what they say about mail.

use std::ops::Bound;

use crate::contact::{CONTACTS, Contact, Judgement, JudgementKey, can_be_address, contact_key};
use crate::error::{Error, Result};
use crate::key::{AccountId, FolderKey, MailKey};

use super::Work;
use super::change::Changed;

const DOING: &str = "changing contacts";

impl Work<'_, '_> {
    /// Adds, replaces or removes contacts; new ones beyond [`CONTACTS`] are refused, all of them.
    pub(super) fn put_contacts(&mut self, account: AccountId, contacts: &[(String, Option<Contact>)]) -> Result<Changed> {
        let mut count = self.contact_count(account)?;
        for (address, contact) in contacts {
            let key = contact_key(account, address);
            if !can_be_address(address) {
                return Err(Error::Invalid { why: format!("{address:?} is not an address") });
            }
            let is_known = self.tables.contacts.get(self.txn, &key).map_err(Error::lmdb(DOING))?.is_some();
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
                Some(contact) => self.tables.contacts.put(self.txn, &key, contact),
                None => self.tables.contacts.delete(self.txn, &key).map(drop),
            }
            .map_err(Error::lmdb(DOING))?;
        }
        Ok(Changed::Done)
    }

    /// Somebody wrote to these people: name and address.
    pub(super) fn note_written(&mut self, account: AccountId, people: &[(String, String)], at: u64) -> Result<Changed> {
        let mut count = self.contact_count(account)?;
        for (name, address) in people {
            let key = contact_key(account, address);
            if !can_be_address(address) {
                continue;
            }
            let known = self.tables.contacts.get(self.txn, &key).map_err(Error::lmdb(DOING))?;
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
            self.tables.contacts.put(self.txn, &key, &contact).map_err(Error::lmdb(DOING))?;
        }
        Ok(Changed::Done)
    }

    fn contact_count(&self, account: AccountId) -> Result<usize> {
        let prefix = contact_key(account, "");
        let rows = self.tables.contacts.prefix_iter(self.txn, &prefix).map_err(Error::lmdb(DOING))?;
        Ok(rows.count())
    }

    pub(super) fn forget_contacts(&mut self, account: AccountId) -> Result<()> {
        let (first, beyond) = (contact_key(account, ""), contact_key(AccountId(account.0.saturating_add(1)), ""));
        let range = (Bound::Included(&first[..]), Bound::Excluded(&beyond[..]));
        self.tables.contacts.0.delete_range(self.txn, &range).map(drop).map_err(Error::lmdb(DOING))
    }

    /// Notes for each message that its reader called it junk, or took that back.
    pub(super) fn judge(&mut self, folder: FolderKey, uids: &roaring::RoaringBitmap, judgement: Judgement) -> Result<()> {
        for uid in uids {
            let Some(entry) = self.tables.entry(self.txn, MailKey::new(folder.account, folder.folder, uid))? else { continue };
            let key = JudgementKey { message: entry.message, account: folder.account };
            self.tables.judgements.put(self.txn, &key, &judgement).map_err(Error::lmdb(DOING))?;
        }
        Ok(())
    }
}
