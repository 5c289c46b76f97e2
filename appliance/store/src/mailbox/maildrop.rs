//! A maildrop: the snapshot of an inbox that one POP3 session works on (RFC 1939 §4).

use roaring::RoaringBitmap;

use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::{AccountId, DeviceId, DeviceKey, FolderId, FolderKey, MessageId};

/// What one device sees of an inbox at one instant.
/// Message numbers count from 1 in order of UID.
/// It is a compressed bitmap and two numbers, however many messages there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Maildrop {
    pub account: AccountId,
    pub device: DeviceId,
    pub(crate) uids: RoaringBitmap,
    /// Octets of all messages in it.
    pub octets: u64,
}

/// One message of a maildrop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaildropEntry {
    pub uid: u32,
    /// `None` when it was deleted after the snapshot was taken.
    pub message: Option<MessageId>,
    pub octets: u64,
    pub unique_id: u64,
}

impl Maildrop {
    /// How many messages it holds.
    pub fn messages(&self) -> u32 {
        u32::try_from(self.uids.len()).unwrap_or(u32::MAX)
    }

    /// The UID behind a message number, counted from 1.
    pub fn uid(&self, number: u32) -> Option<u32> {
        self.uids.select(number.checked_sub(1)?)
    }
}

impl Reader<'_> {
    /// The snapshot of an inbox for one device.
    /// Costs the same for any number of messages, but for the compressed bitmap and a scan over at most a few hundred
    /// of the newest.
    pub fn maildrop(&self, account: AccountId, device: DeviceId) -> Result<Maildrop> {
        let doing = "opening a maildrop";
        let folder = FolderKey { account, folder: FolderId::INBOX };
        let state = self.shared.tables.mailbox.folder(&self.txn, folder)?;
        let state = state
            .ok_or_else(|| Error::NotFound { what: "mailbox", name: account.0.to_string() })?;
        let mut uids = self.shared.tables.mailbox.live_now(&self.txn, folder, &state)?.0;
        let mut octets = state.octets;
        let key = DeviceKey { account, device };
        if let Some(view) =
            self.shared.tables.mailbox.views.get(&self.txn, &key).map_err(Error::lmdb(doing))?
        {
            uids -= &view.hidden;
            octets = octets.saturating_sub(view.hidden_octets);
        }
        Ok(Maildrop { account, device, uids, octets })
    }

    /// Messages `from` (counted from 1) and following of a maildrop, at most `limit`.
    pub fn listing(
        &self,
        maildrop: &Maildrop,
        from: u32,
        limit: u32,
    ) -> Result<Vec<MaildropEntry>> {
        let Some(first) = maildrop.uid(from) else { return Ok(Vec::new()) };
        // Not further than needed: rows that wait in memory are most often the folder's last.
        let last = maildrop.uid(from.saturating_add(limit.saturating_sub(1)));
        let mut wanted = maildrop.uids.iter();
        wanted.advance_to(first);
        let folder = FolderKey { account: maildrop.account, folder: FolderId::INBOX };
        let uids = first..=last.unwrap_or(u32::MAX);
        let mut rows = self.shared.tables.mailbox.entries(&self.txn, folder, uids)?;
        let mut found = rows.next().transpose()?;
        let mut list = Vec::with_capacity(limit.min(maildrop.messages()) as usize);
        for uid in wanted.take(limit as usize) {
            // Rows may be newer than the snapshot or hidden from it; wanted ones may be gone since.
            while found.as_ref().is_some_and(|(at, _)| *at < uid) {
                found = rows.next().transpose()?;
            }
            let entry = found.as_ref().filter(|(at, _)| *at == uid).map(|(_, entry)| *entry);
            list.push(MaildropEntry {
                uid,
                message: entry.map(|e| e.message),
                octets: entry.map_or(0, |e| u64::from(e.octets)),
                unique_id: entry.map_or(u64::from(uid), |e| e.unique_id),
            });
        }
        Ok(list)
    }
}
