//! The end of a POP3 session: what the device deleted leaves its view, and the policy decides the rest.

use pillarbox_vocabulary::{ShortCode, Timestamp};
use roaring::RoaringBitmap;

use crate::directory::MailboxPolicy;
use crate::engine::change::Change;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, DayKey, DeviceId, DeviceKey, FolderId, FolderKey};
use crate::ledger::detail::Detail;
use crate::ledger::{Fate, LIST_LIMIT, LedgerRecord, Service};
use crate::mailbox::{MailKey, View};

/// What a device did in one session (RFC 1939 §6, the UPDATE state).
#[derive(Clone, Debug)]
pub struct Collection {
    pub account: AccountId,
    pub device: DeviceId,
    /// UIDs of the inbox that the device marked as deleted.
    pub deleted: RoaringBitmap,
    /// Messages it fetched, for the ledger.
    pub fetched: Vec<u64>,
    /// How the device is called in the ledger.
    pub device_label: String,
    pub code: ShortCode,
    pub at: Timestamp,
}

/// How far it got: deleting much takes several commits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Updated {
    /// What is still to be deleted; submit again with these.
    pub remaining: RoaringBitmap,
}

impl Change for Collection {
    type Outcome = Updated;
    fn apply(&mut self, work: &mut Work) -> Result<Updated> {
        work.collect(self)
    }
    fn frees_much(&self) -> bool {
        true
    }
    fn checks_first(&self) -> bool {
        false
    }
}

impl Work<'_, '_> {
    pub(crate) fn collect(&mut self, collection: &Collection) -> Result<Updated> {
        let account = collection.account;
        let found = self
            .tables
            .directory
            .accounts
            .get(self.txn, &account)
            .map_err(Error::lmdb("reading an account"))?;
        let found = found
            .ok_or_else(|| Error::NotFound { what: "account", name: account.0.to_string() })?;
        let story = |fate, messages: &[u64]| LedgerRecord {
            recipients: vec![found.address.clone()],
            detail: Detail::device(collection.device, &collection.device_label),
            service: Some(Service::Pop3),
            messages: messages.to_vec(),
            ..LedgerRecord::new(collection.at, fate, collection.code)
        };
        for fetched in collection.fetched.chunks(LIST_LIMIT) {
            self.record(&story(Fate::Collected, fetched))?;
        }
        let folder = FolderKey { account, folder: FolderId::INBOX };
        let (now, remaining) = match found.policy {
            MailboxPolicy::DeleteWhenAll => self.deletable(folder, &collection.deleted)?,
            _ => (collection.deleted.clone(), RoaringBitmap::new()),
        };
        if now.is_empty() && self.devices_with_view(account)?.contains(&collection.device) {
            return Ok(Updated { remaining });
        }
        let gone = match found.policy {
            MailboxPolicy::DeleteWhenAll => {
                self.wanted_by_nobody(account, collection.device, &now)?
            }
            _ => RoaringBitmap::new(),
        };
        self.hide(account, collection.device, &(&now - &gone))?;
        if let MailboxPolicy::TrashAfter { .. } = found.policy {
            self.note_day(account, collection.at.day(), &now)?;
        }
        let removed: Vec<u64> =
            self.take_entries(folder, &gone)?.iter().map(|e| e.message.0).collect();
        for removed in removed.chunks(LIST_LIMIT) {
            self.record(&story(Fate::Deleted, removed))?;
        }
        for message in removed {
            self.release(crate::ids::MessageId(message))?;
        }
        Ok(Updated { remaining })
    }

    /// Of `deleted`, what every other device has deleted too.
    /// A device counts when it has a password of its own, or has ever used POP3.
    fn wanted_by_nobody(
        &self,
        account: AccountId,
        device: DeviceId,
        deleted: &RoaringBitmap,
    ) -> Result<RoaringBitmap> {
        let doing = "reading a device's view";
        let range = DeviceKey { account, device: DeviceId(1) }..=DeviceKey {
            account,
            device: DeviceId(u16::MAX),
        };
        let rows = self
            .tables
            .directory
            .credentials
            .remap_data_type::<heed::types::DecodeIgnore>()
            .range(self.txn, &range);
        let mut others = self.devices_with_view(account)?;
        for row in rows.map_err(Error::lmdb(doing))? {
            others.push(row.map_err(Error::lmdb(doing))?.0.device);
        }
        let mut gone = deleted.clone();
        for other in others.into_iter().filter(|&other| other != device) {
            let key = DeviceKey { account, device: other };
            let view = self
                .tables
                .mailbox
                .views
                .get(self.txn, &key)
                .map_err(Error::lmdb(doing))?
                .unwrap_or_default();
            gone &= view.hidden;
        }
        Ok(gone)
    }

    fn hide(&mut self, account: AccountId, device: DeviceId, uids: &RoaringBitmap) -> Result<()> {
        let doing = "writing a device's view";
        let key = DeviceKey { account, device };
        let known = self.tables.mailbox.views.get(self.txn, &key).map_err(Error::lmdb(doing))?;
        if known.is_some() && uids.is_empty() {
            return Ok(());
        }
        let mut view = known.unwrap_or_else(View::default);
        for uid in uids {
            let entry =
                self.tables.mailbox.entry(self.txn, MailKey::new(account, FolderId::INBOX, uid))?;
            if let Some(entry) = entry
                && view.hidden.insert(uid)
            {
                view.hidden_octets += u64::from(entry.octets);
            }
        }
        self.tables.mailbox.views.put(self.txn, &key, &view).map_err(Error::lmdb(doing))
    }

    fn note_day(&mut self, account: AccountId, day: u32, uids: &RoaringBitmap) -> Result<()> {
        if uids.is_empty() {
            return Ok(());
        }
        let doing = "noting what a device deleted";
        let key = DayKey { account, day };
        let mut set = self
            .tables
            .mailbox
            .collected
            .get(self.txn, &key)
            .map_err(Error::lmdb(doing))?
            .unwrap_or_default();
        set.0 |= uids;
        self.tables.mailbox.collected.put(self.txn, &key, &set).map_err(Error::lmdb(doing))
    }
}
