//! What all mailbox writes are made of: add, remove and move an entry, keep counters and live sets true.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use crate::engine::codec::Record;
use crate::engine::notices::Happened;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, DeviceId, DeviceKey, FolderId, FolderKey};
use crate::mailbox::{Entry, Flags, FolderState, MailKey};

/// After this many deliveries the newest UIDs are folded into the live set, so the scan behind it stays short.
const LIVE_LAG: u32 = 512;

/// Newest entries of all folders together that may gather before they are sorted into `mail`.
const RECENT_ENTRIES: u64 = 256;

/// Pages one commit may free by deleting. LMDB keeps the freed page numbers of a commit in one row, and
/// rewrites the row it draws from at every later commit: 400 numbers fit one page.
pub(crate) const FREED_PAGES: u64 = 400;

impl Work<'_, '_> {
    pub(crate) fn state(&self, folder: FolderKey) -> Result<FolderState> {
        let state = self.tables.mailbox.folder(self.txn, folder)?;
        state.ok_or_else(|| Error::NotFound { what: "folder", name: format!("{}", folder.folder.0) })
    }

    pub(crate) fn put_state(&mut self, folder: FolderKey, state: &FolderState) -> Result<()> {
        let key = MailKey::new(folder.account, folder.folder, MailKey::STATE);
        let put = self.tables.mailbox.recent.put(self.txn, &key, &state.encode());
        put.map_err(Error::lmdb("writing folder counters"))
    }

    /// Makes an empty folder.
    pub(crate) fn make_folder(&mut self, folder: FolderKey, uid_validity: u32) -> Result<()> {
        let state = FolderState { uid_validity, next_uid: 1, messages: 0, unseen: 0, octets: 0, modseq: 1, live_below: 1 };
        self.put_state(folder, &state)
    }

    /// Puts an entry behind the newest one; its `modseq` is set here. Returns its UID.
    pub(crate) fn add_entry(&mut self, folder: FolderKey, mut entry: Entry) -> Result<u32> {
        let mut state = self.state(folder)?;
        let uid = state.next_uid;
        if uid >= MailKey::STATE - 1 {
            return Err(Error::Invalid { why: "this folder has used up its message numbers".into() });
        }
        state.next_uid += 1;
        state.modseq += 1;
        state.messages += 1;
        state.octets += u64::from(entry.octets);
        state.unseen += u32::from(!entry.flags.contains(Flags::SEEN));
        entry.modseq = state.modseq;
        let key = MailKey::new(folder.account, folder.folder, uid);
        self.tables.mailbox.recent.put(self.txn, &key, &entry.encode()).map_err(Error::lmdb("writing a mailbox entry"))?;
        if state.next_uid - state.live_below >= LIVE_LAG {
            self.fold_live(folder, &mut state)?;
        }
        self.put_state(folder, &state)?;
        self.notice(folder, Happened::Added);
        Ok(uid)
    }

    /// Moves the newest entries into `mail` once there are many: sorted, so each page there is touched once.
    pub(crate) fn fold_recent(&mut self) -> Result<()> {
        let doing = "sorting in the newest entries";
        let rows = self.tables.mailbox.recent.len(self.txn).map_err(Error::lmdb(doing))?;
        // Every folder has one row of counters; the rest are entries.
        let folders = self.tables.mailbox.folders.len(self.txn).map_err(Error::lmdb(doing))?;
        if rows < folders + RECENT_ENTRIES {
            return Ok(());
        }
        let mut entries = Vec::new();
        for row in self.tables.mailbox.recent.iter(self.txn).map_err(Error::lmdb(doing))? {
            let (key, value) = row.map_err(Error::lmdb(doing))?;
            if key.uid != MailKey::STATE {
                entries.push((key, value.to_vec()));
            }
        }
        for (key, value) in entries {
            self.tables.mailbox.mail.put(self.txn, &key, &value).map_err(Error::lmdb(doing))?;
            self.tables.mailbox.recent.delete(self.txn, &key).map_err(Error::lmdb(doing))?;
        }
        Ok(())
    }

    /// Brings the live set up to date with the newest entries.
    fn fold_live(&mut self, folder: FolderKey, state: &mut FolderState) -> Result<()> {
        let doing = "writing a live set";
        let mut live = self.tables.mailbox.live.get(self.txn, &folder).map_err(Error::lmdb(doing))?.unwrap_or_default();
        for row in self.tables.mailbox.entries(self.txn, folder, state.live_below)? {
            live.0.insert(row?.0);
        }
        state.live_below = state.next_uid;
        self.tables.mailbox.live.put(self.txn, &folder, &live).map_err(Error::lmdb(doing))
    }

    /// Removes entries that exist from a folder, with counters, live set and views; what to do with their
    /// content is the caller's business. Returns the removed entries. The caller bounds `uids`.
    pub(crate) fn take_entries(&mut self, folder: FolderKey, uids: &RoaringBitmap) -> Result<Vec<Entry>> {
        let doing = "removing mailbox entries";
        let mut state = self.state(folder)?;
        let mut taken = Vec::new();
        for uid in uids {
            let key = MailKey::new(folder.account, folder.folder, uid);
            let Some(entry) = self.tables.mailbox.entry(self.txn, key)? else { continue };
            if !self.tables.mailbox.recent.delete(self.txn, &key).map_err(Error::lmdb(doing))? {
                self.tables.mailbox.mail.delete(self.txn, &key).map_err(Error::lmdb(doing))?;
            }
            state.messages = state.messages.saturating_sub(1);
            state.octets = state.octets.saturating_sub(u64::from(entry.octets));
            state.unseen = state.unseen.saturating_sub(u32::from(!entry.flags.contains(Flags::SEEN)));
            self.leave(folder.account, entry.message, (folder.folder, uid))?;
            taken.push((uid, entry));
        }
        state.modseq += 1;
        self.put_state(folder, &state)?;
        self.notice(folder, Happened::Removed);
        if uids.min().is_some_and(|first| first < state.live_below) {
            let mut live = self.tables.mailbox.live.get(self.txn, &folder).map_err(Error::lmdb(doing))?.unwrap_or_default();
            live.0 -= uids;
            self.tables.mailbox.live.put(self.txn, &folder, &live).map_err(Error::lmdb(doing))?;
        }
        if folder.folder == FolderId::INBOX {
            self.forget_in_views(folder.account, &taken)?;
        }
        Ok(taken.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Views hold only messages that exist.
    fn forget_in_views(&mut self, account: AccountId, taken: &[(u32, Entry)]) -> Result<()> {
        let doing = "writing a device's view";
        for device in self.devices_with_view(account)? {
            let key = DeviceKey { account, device };
            let Some(mut view) = self.tables.mailbox.views.get(self.txn, &key).map_err(Error::lmdb(doing))? else { continue };
            let before = view.hidden.len();
            for (uid, entry) in taken {
                if view.hidden.remove(*uid) {
                    view.hidden_octets = view.hidden_octets.saturating_sub(u64::from(entry.octets));
                }
            }
            if view.hidden.len() != before {
                self.tables.mailbox.views.put(self.txn, &key, &view).map_err(Error::lmdb(doing))?;
            }
        }
        Ok(())
    }

    pub(crate) fn devices_with_view(&self, account: AccountId) -> Result<Vec<DeviceId>> {
        let range = DeviceKey { account, device: DeviceId(0) }..=DeviceKey { account, device: DeviceId(u16::MAX) };
        let rows = self.tables.mailbox.views.remap_data_type::<heed::types::DecodeIgnore>().range(self.txn, &range);
        let doing = "reading a device's view";
        rows.map_err(Error::lmdb(doing))?.map(|row| row.map(|(k, ())| k.device).map_err(Error::lmdb(doing))).collect()
    }

    /// Moves entries to another folder of the same account; unique-ids stay.
    pub(crate) fn move_entries(&mut self, from: FolderKey, to: FolderId, uids: &RoaringBitmap, at: u64) -> Result<usize> {
        let target = FolderKey { account: from.account, folder: to };
        self.state(target)?;
        let mut indexed = BTreeMap::new();
        for uid in uids {
            if let Some(entry) = self.tables.mailbox.entry(self.txn, MailKey::new(from.account, from.folder, uid))?
                && let Some(card) = self.indexed_card(from.account, entry.message)?
            {
                indexed.insert(entry.message, card);
            }
        }
        let taken = self.take_entries(from, uids)?;
        for entry in &taken {
            let uid = self.add_entry(target, Entry { saved_at: at, ..*entry })?;
            // What the index knows is found at its new place at once; the rest is met there.
            if let Some(card) = indexed.get(&entry.message) {
                self.settle_in(from.account, entry.message, (to, uid), card.as_ref())?;
            }
        }
        Ok(taken.len())
    }

    /// The first of `uids`, as many as a commit may delete, and the rest.
    pub(crate) fn deletable(&self, folder: FolderKey, uids: &RoaringBitmap) -> Result<(RoaringBitmap, RoaringBitmap)> {
        let mut now = RoaringBitmap::new();
        let mut pages = 0;
        for uid in uids {
            let entry = self.tables.mailbox.entry(self.txn, MailKey::new(folder.account, folder.folder, uid))?;
            // Content files free no pages; an entry and a head take about a tenth of a page each.
            pages += match entry.map(|e| u64::from(e.octets)) {
                Some(octets) if octets <= crate::content::INLINE_OCTETS as u64 => octets / crate::engine::environment::PAGE + 1,
                _ => 1,
            };
            if pages > FREED_PAGES && !now.is_empty() {
                break;
            }
            now.insert(uid);
        }
        let rest = uids - &now;
        Ok((now, rest))
    }

    /// UIDs of a folder from the oldest on, as long as `wanted` says yes; at most `limit`.
    pub(crate) fn oldest(&self, folder: FolderKey, limit: usize, wanted: impl Fn(&Entry) -> bool) -> Result<RoaringBitmap> {
        let mut uids = RoaringBitmap::new();
        for row in self.tables.mailbox.entries(self.txn, folder, 0)?.take(limit) {
            let (uid, entry) = row?;
            if !wanted(&entry) {
                break;
            }
            uids.insert(uid);
        }
        Ok(uids)
    }
}
