//! What all mailbox writes are made of: add, remove and move an entry, keep counters and live sets true.

use std::collections::BTreeMap;

use pillarbox_vocabulary::Timestamp;
use roaring::RoaringBitmap;

use crate::content::Location;
use crate::engine::files::PAGE;
use crate::engine::notices::Happened;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, DeviceId, DeviceKey, FolderId, FolderKey};
use crate::mailbox::{Entry, ExpungedKey, Flags, FolderState, MailKey, UidSet};

/// After this many deliveries the newest UIDs are folded into the live set, so the scan behind it stays short.
const LIVE_LAG: u32 = 512;

/// Changes of a folder of which is remembered what went with them; then the oldest quarter is forgotten.
const EXPUNGED_CHANGES: usize = 256;

/// Messages that one commit may delete: each changes a handful of rows.
const DELETIONS: u64 = 1000;

impl Work<'_, '_> {
    pub(crate) fn state(&self, folder: FolderKey) -> Result<FolderState> {
        let state = self.tables.mailbox.folder(self.txn, folder)?;
        state
            .ok_or_else(|| Error::NotFound { what: "folder", name: format!("{}", folder.folder.0) })
    }

    pub(crate) fn put_state(&mut self, folder: FolderKey, state: &FolderState) -> Result<()> {
        let put = self.tables.mailbox.states.put(self.txn, &folder, state);
        put.map_err(Error::lmdb("writing folder counters"))
    }

    /// Makes an empty folder.
    pub(crate) fn make_folder(&mut self, folder: FolderKey, uid_validity: u32) -> Result<()> {
        let state = FolderState {
            uid_validity,
            next_uid: 1,
            messages: 0,
            unseen: 0,
            octets: 0,
            modseq: 1,
            live_below: 1,
        };
        self.put_state(folder, &state)
    }

    /// Puts an entry behind the newest one; its `modseq` is set here.
    /// Returns its UID.
    pub(crate) fn add_entry(&mut self, folder: FolderKey, mut entry: Entry) -> Result<u32> {
        let mut state = self.state(folder)?;
        let uid = state.next_uid;
        if uid >= MailKey::STATE - 1 {
            return Err(Error::Invalid {
                why: "this folder has used up its message numbers".into(),
            });
        }
        state.next_uid += 1;
        state.modseq += 1;
        state.messages += 1;
        state.octets += u64::from(entry.octets);
        state.unseen += u32::from(!entry.flags.contains(Flags::SEEN));
        entry.modseq = state.modseq;
        let key = MailKey::new(folder.account, folder.folder, uid);
        self.tables
            .mailbox
            .mail
            .put(self.txn, &key, &entry)
            .map_err(Error::lmdb("writing a mailbox entry"))?;
        if state.next_uid - state.live_below >= LIVE_LAG {
            self.fold_live(folder, &mut state)?;
        }
        self.put_state(folder, &state)?;
        self.notice(folder, Happened::Added);
        Ok(uid)
    }

    /// Brings the live set up to date with the newest entries.
    fn fold_live(&mut self, folder: FolderKey, state: &mut FolderState) -> Result<()> {
        let doing = "writing a live set";
        let live = self.tables.mailbox.live_now(self.txn, folder, state)?;
        state.live_below = state.next_uid;
        self.tables.mailbox.live.put(self.txn, &folder, &live).map_err(Error::lmdb(doing))
    }

    /// Removes entries that exist from a folder, with counters, live set and views; what to do with their content is
    /// the caller's business.
    /// Returns the removed entries.
    /// The caller bounds `uids`.
    pub(crate) fn take_entries(
        &mut self,
        folder: FolderKey,
        uids: &RoaringBitmap,
    ) -> Result<Vec<Entry>> {
        let doing = "removing mailbox entries";
        let mut state = self.state(folder)?;
        let mut taken = Vec::new();
        for uid in uids {
            let key = MailKey::new(folder.account, folder.folder, uid);
            let Some(entry) = self.tables.mailbox.entry(self.txn, key)? else { continue };
            self.tables.mailbox.mail.delete(self.txn, &key).map_err(Error::lmdb(doing))?;
            state.messages = state.messages.saturating_sub(1);
            state.octets = state.octets.saturating_sub(u64::from(entry.octets));
            state.unseen =
                state.unseen.saturating_sub(u32::from(!entry.flags.contains(Flags::SEEN)));
            self.leave(folder.account, entry.message, (folder.folder, uid))?;
            taken.push((uid, entry));
        }
        state.modseq += 1;
        self.put_state(folder, &state)?;
        self.note_expunged(folder, state.modseq, taken.iter().map(|(uid, _)| *uid).collect())?;
        self.notice(folder, Happened::Removed);
        if uids.min().is_some_and(|first| first < state.live_below) {
            let mut live = self.tables.mailbox.live_set(self.txn, folder)?;
            live.0 -= uids;
            self.tables.mailbox.live.put(self.txn, &folder, &live).map_err(Error::lmdb(doing))?;
        }
        if folder.folder == FolderId::INBOX {
            self.forget_in_views(folder.account, &taken)?;
        }
        Ok(taken.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Remembers which UIDs went with a change, of each folder for some hundred changes.
    fn note_expunged(&mut self, folder: FolderKey, modseq: u64, uids: RoaringBitmap) -> Result<()> {
        if uids.is_empty() {
            return Ok(());
        }
        let doing = "remembering messages that went";
        let table = self.tables.mailbox.expunged;
        table
            .put(self.txn, &ExpungedKey { folder, modseq }, &UidSet(uids))
            .map_err(Error::lmdb(doing))?;
        let all = ExpungedKey { folder, modseq: 0 }..=ExpungedKey { folder, modseq: u64::MAX };
        let keys = table
            .remap_data_type::<heed::types::DecodeIgnore>()
            .range(self.txn, &all)
            .map_err(Error::lmdb(doing))?;
        let keys: Vec<ExpungedKey> = keys
            .map(|row| row.map(|(key, ())| key))
            .collect::<heed::Result<_>>()
            .map_err(Error::lmdb(doing))?;
        if keys.len() > EXPUNGED_CHANGES {
            let oldest = all.start().to_owned()..keys[EXPUNGED_CHANGES / 4];
            table.delete_range(self.txn, &oldest).map_err(Error::lmdb(doing))?;
        }
        Ok(())
    }

    /// Views hold only messages that exist.
    fn forget_in_views(&mut self, account: AccountId, taken: &[(u32, Entry)]) -> Result<()> {
        let doing = "writing a device's view";
        for device in self.devices_with_view(account)? {
            let key = DeviceKey { account, device };
            let Some(mut view) =
                self.tables.mailbox.views.get(self.txn, &key).map_err(Error::lmdb(doing))?
            else {
                continue;
            };
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
        let range = DeviceKey { account, device: DeviceId(0) }..=DeviceKey {
            account,
            device: DeviceId(u16::MAX),
        };
        let rows = self
            .tables
            .mailbox
            .views
            .remap_data_type::<heed::types::DecodeIgnore>()
            .range(self.txn, &range);
        let doing = "reading a device's view";
        rows.map_err(Error::lmdb(doing))?
            .map(|row| row.map(|(k, ())| k.device).map_err(Error::lmdb(doing)))
            .collect()
    }

    /// Moves entries to another folder of the same account; unique-ids stay.
    pub(crate) fn move_entries(
        &mut self,
        from: FolderKey,
        to: FolderId,
        uids: &RoaringBitmap,
        at: Timestamp,
    ) -> Result<usize> {
        let target = FolderKey { account: from.account, folder: to };
        self.state(target)?;
        let mut indexed = BTreeMap::new();
        for uid in uids {
            if let Some(entry) =
                self.tables.mailbox.entry(self.txn, MailKey::new(from.account, from.folder, uid))?
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
    pub(crate) fn deletable(
        &self,
        folder: FolderKey,
        uids: &RoaringBitmap,
    ) -> Result<(RoaringBitmap, RoaringBitmap)> {
        let mut now = RoaringBitmap::new();
        let mut pages = 0;
        for uid in uids {
            // Content that is still in LMDB, of stores up to format 3, frees pages there, and so does a long prefix.
            let entry = self
                .tables
                .mailbox
                .entry(self.txn, MailKey::new(folder.account, folder.folder, uid))?;
            let head = entry
                .map(|entry| self.tables.content.head(self.txn, entry.message))
                .transpose()?
                .flatten();
            pages += match head.map(|head| head.location) {
                Some(Location::Inline { parts, .. }) => u64::from(parts) + 1,
                Some(Location::File { prefix, .. }) => prefix.len() as u64 / PAGE + 1,
                _ => 1,
            };
            if pages > DELETIONS && !now.is_empty() {
                break;
            }
            now.insert(uid);
        }
        let rest = uids - &now;
        Ok((now, rest))
    }

    /// UIDs of a folder from the oldest on, as long as `wanted` says yes; at most `limit`.
    pub(crate) fn oldest(
        &self,
        folder: FolderKey,
        limit: usize,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Result<RoaringBitmap> {
        let mut uids = RoaringBitmap::new();
        for row in self.tables.mailbox.entries(self.txn, folder, 0..=u32::MAX)?.take(limit) {
            let (uid, entry) = row?;
            if !wanted(&entry) {
                break;
            }
            uids.insert(uid);
        }
        Ok(uids)
    }
}
