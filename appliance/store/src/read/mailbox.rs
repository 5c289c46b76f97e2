//! Folders, the maildrops of POP3, and what messages contain.

use roaring::RoaringBitmap;

use super::Reader;
use crate::codec::Value;
use crate::content::{ContentHead, Location};
use crate::error::{Error, Result};
use crate::key::{AccountId, BlobId, ContentKey, DeviceId, DeviceKey, FolderId, FolderKey, MailKey, MessageId};
use crate::mailbox::{Entry, FolderState};
use crate::maildrop::{Maildrop, MaildropEntry};

/// A message's content, ready to be read in pieces.
#[derive(Clone, Debug)]
pub struct Content {
    pub message: MessageId,
    pub octets: u64,
    /// Seconds since 1970.
    pub received_at: u64,
    pub(crate) head: ContentHead,
}

impl Content {
    /// Octets at the front that belong to final delivery and not to a relayed copy.
    pub fn delivery_octets(&self) -> usize {
        usize::from(self.head.delivery_octets)
    }

    /// The file it lies in, if it is large.
    pub fn blob(&self) -> Option<BlobId> {
        match self.head.location {
            Location::File(blob) => Some(blob),
            Location::Inline { .. } => None,
        }
    }
}

impl Reader<'_> {
    /// A folder's counters.
    pub fn folder(&self, account: AccountId, folder: FolderId) -> Result<Option<FolderState>> {
        self.shared.tables.folder(&self.txn, FolderKey { account, folder })
    }

    /// The snapshot of an inbox for one device. Costs the same for any number of messages, but for the
    /// compressed bitmap and a scan over at most a few hundred of the newest.
    pub fn maildrop(&self, account: AccountId, device: DeviceId) -> Result<Maildrop> {
        let doing = "opening a maildrop";
        let folder = FolderKey { account, folder: FolderId::INBOX };
        let state = self.shared.tables.folder(&self.txn, folder)?;
        let state = state.ok_or_else(|| Error::NotFound { what: "mailbox", name: account.0.to_string() })?;
        let mut uids = self.live(folder, &state)?;
        let mut octets = state.octets;
        let key = DeviceKey { account, device };
        if let Some(view) = self.shared.tables.views.get(&self.txn, &key).map_err(Error::lmdb(doing))? {
            uids -= &view.hidden;
            octets = octets.saturating_sub(view.hidden_octets);
        }
        Ok(Maildrop { account, device, uids, octets })
    }

    fn live(&self, folder: FolderKey, state: &FolderState) -> Result<RoaringBitmap> {
        let doing = "opening a maildrop";
        let live = self.shared.tables.live.get(&self.txn, &folder).map_err(Error::lmdb(doing))?;
        let mut uids = live.unwrap_or_default().0;
        for row in self.shared.tables.entries(&self.txn, folder, state.live_below)? {
            uids.insert(row?.0);
        }
        Ok(uids)
    }

    /// Messages `from` (counted from 1) and following of a maildrop, at most `limit`.
    pub fn listing(&self, maildrop: &Maildrop, from: u32, limit: u32) -> Result<Vec<MaildropEntry>> {
        let Some(first) = maildrop.uid(from) else { return Ok(Vec::new()) };
        let mut wanted = maildrop.uids.iter();
        wanted.advance_to(first);
        let folder = FolderKey { account: maildrop.account, folder: FolderId::INBOX };
        let mut rows = self.shared.tables.entries(&self.txn, folder, first)?;
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

    /// Entries of any folder from a UID on, at most `limit`.
    pub fn entries(&self, account: AccountId, folder: FolderId, from: u32, limit: usize) -> Result<Vec<(u32, Entry)>> {
        self.shared.tables.entries(&self.txn, FolderKey { account, folder }, from)?.take(limit).collect()
    }

    /// One entry of a folder.
    pub fn entry(&self, account: AccountId, folder: FolderId, uid: u32) -> Result<Option<Entry>> {
        self.shared.tables.entry(&self.txn, MailKey::new(account, folder, uid))
    }

    /// Entries of a folder below a UID, newest first, at most `limit`: the same work at any size of the folder.
    pub fn entries_before(&self, account: AccountId, folder: FolderId, before: u32, limit: usize) -> Result<Vec<(u32, Entry)>> {
        let doing = "reading a mailbox";
        let key = |uid| MailKey::new(account, folder, uid);
        let range = key(0)..key(before);
        let recent = self.shared.tables.recent.remap_data_type::<Value<Entry>>().rev_range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        let mail = self.shared.tables.mail.remap_data_type::<Value<Entry>>().rev_range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        recent.chain(mail).take(limit).map(|row| row.map(|(key, entry)| (key.uid, entry)).map_err(Error::lmdb(doing))).collect()
    }

    /// The folders of an account with their names and counters, in order of their numbers.
    pub fn folders(&self, account: AccountId) -> Result<Vec<(FolderId, String, FolderState)>> {
        let doing = "reading folders";
        let range = FolderKey { account, folder: FolderId(0) }..=FolderKey { account, folder: FolderId(u32::MAX) };
        let rows = self.shared.tables.folders.range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        let mut found = Vec::new();
        for row in rows {
            let (key, name) = row.map_err(Error::lmdb(doing))?;
            if let Some(state) = self.shared.tables.folder(&self.txn, key)? {
                found.push((key.folder, name.name, state));
            }
        }
        Ok(found)
    }

    /// Opens the content of a message; `None` when it is gone.
    pub fn content(&self, message: MessageId) -> Result<Option<Content>> {
        let head = self.shared.tables.head(&self.txn, message)?;
        Ok(head.map(|head| Content { message, octets: head.octets, received_at: head.received_at, head }))
    }

    /// Appends the whole of an inline content to `out` and checks its CRC. Content in a file is not for here.
    pub fn read_inline(&self, content: &Content, out: &mut Vec<u8>) -> Result<()> {
        let doing = "reading a message";
        let Location::Inline { parts, tail } = &content.head.location else {
            return Err(Error::Invalid { why: "this message lies in a file".into() });
        };
        let start = out.len();
        out.reserve(content.octets as usize);
        let key = |part| ContentKey { message: content.message, part };
        if *parts > 0 {
            let rows = self.shared.tables.content.range(&self.txn, &(key(1)..=key(*parts))).map_err(Error::lmdb(doing))?;
            for row in rows {
                out.extend_from_slice(row.map_err(Error::lmdb(doing))?.1);
            }
        }
        out.extend_from_slice(tail);
        let read = &out[start..];
        if read.len() as u64 != content.octets || crc32fast::hash(read) != content.head.crc32 {
            out.truncate(start);
            self.shared.medium.note_damage(content.message);
            return Err(Error::damaged(format!("the content of message {}", content.message.0)));
        }
        Ok(())
    }
}
