//! What a person does with messages: flags, moves, judgements, deletions, drafts that go out later.

use pillarbox_vocabulary::{ShortCode, Timestamp};
use roaring::RoaringBitmap;

use crate::engine::change::Change;
use crate::engine::notices::Happened;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, FolderId, FolderKey, MessageId, PlaceKey};
use crate::ledger::{Fate, LIST_LIMIT, LedgerRecord, Service};
use crate::mailbox::{Flags, Judgement, JudgementKey, MailKey, Timed};

const DOING: &str = "changing a mailbox";

/// What to do with messages of one folder.
/// At most [`MAIL_ORDER`] at a time.
#[derive(Clone, Debug)]
pub struct MailOrder {
    pub account: AccountId,
    pub folder: FolderId,
    pub uids: Vec<u32>,
    pub what: MailWhat,
    /// Which way it came: recorded with deletions.
    pub service: Service,
    pub at: Timestamp,
}

#[derive(Clone, Debug)]
pub enum MailWhat {
    Flag {
        add: Flags,
        remove: Flags,
    },
    Move {
        to: FolderId,
    },
    /// Moved to the junk folder, or from it to the inbox; what its reader said is kept for a filter to learn from.
    Judge {
        is_junk: bool,
    },
    /// For good, as many as one commit may free (the outcome is the number of the rest); `code` is in the ledger.
    Delete {
        code: ShortCode,
    },
}

/// Most messages of one order.
pub const MAIL_ORDER: usize = 400;

/// When a draft goes out by itself; `None`: not at all.
#[derive(Clone, Debug)]
pub struct SetTimed {
    pub account: AccountId,
    pub message: MessageId,
    pub timed: Option<Timed>,
}

impl Change for SetTimed {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.set_timed(self.account, self.message, self.timed)
    }
}

/// Gives how many messages are still to be deleted: the same order again takes the next ones.
impl Change for MailOrder {
    type Outcome = u32;
    fn apply(&mut self, work: &mut Work) -> Result<u32> {
        work.mail_order(self)
    }
    fn frees_much(&self) -> bool {
        true
    }
}

/// What a move says of messages: whoever puts some into Junk by hand, or takes some out of it, judges them.
fn meant(from: FolderId, to: FolderId) -> Option<bool> {
    match (from, to) {
        (_, FolderId::JUNK) => Some(true),
        (FolderId::JUNK, FolderId::TRASH) => None,
        (FolderId::JUNK, _) => Some(false),
        _ => None,
    }
}

impl Work<'_, '_> {
    fn mail_order(&mut self, order: &MailOrder) -> Result<u32> {
        let folder = FolderKey { account: order.account, folder: order.folder };
        self.state(folder)?;
        if order.uids.len() > MAIL_ORDER {
            return Err(Error::Invalid { why: format!("at most {MAIL_ORDER} messages at a time") });
        }
        let uids: RoaringBitmap = order.uids.iter().copied().collect();
        match order.what {
            MailWhat::Flag { add, remove } => {
                if add.contains(Flags::ANSWERED) && order.folder != FolderId::JUNK {
                    // Whoever answers wanted it.
                    self.judge(folder, &uids, Judgement { is_junk: false, at: order.at })?;
                }
                self.flag(folder, &uids, add, remove)?;
            }
            MailWhat::Move { to } if to == order.folder => {}
            MailWhat::Move { to } => {
                self.state(FolderKey { account: order.account, folder: to })?;
                if let Some(is_junk) = meant(order.folder, to) {
                    self.judge(folder, &uids, Judgement { is_junk, at: order.at })?;
                }
                self.move_entries(folder, to, &uids, order.at)?;
            }
            MailWhat::Judge { is_junk } => {
                let to = if is_junk { FolderId::JUNK } else { FolderId::INBOX };
                self.judge(folder, &uids, Judgement { is_junk, at: order.at })?;
                if to != order.folder {
                    self.move_entries(folder, to, &uids, order.at)?;
                }
            }
            MailWhat::Delete { code } => return self.delete_for_good(folder, &uids, order, code),
        }
        Ok(0)
    }

    fn flag(
        &mut self,
        folder: FolderKey,
        uids: &RoaringBitmap,
        add: Flags,
        remove: Flags,
    ) -> Result<()> {
        let mut state = self.state(folder)?;
        state.modseq += 1;
        for uid in uids {
            let key = MailKey::new(folder.account, folder.folder, uid);
            let Some(mut entry) = self.tables.mailbox.entry(self.txn, key)? else { continue };
            let flags = entry.flags.with(add).without(remove);
            if flags == entry.flags {
                continue;
            }
            match (entry.flags.contains(Flags::SEEN), flags.contains(Flags::SEEN)) {
                (false, true) => state.unseen = state.unseen.saturating_sub(1),
                (true, false) => state.unseen += 1,
                _ => {}
            }
            (entry.flags, entry.modseq) = (flags, state.modseq);
            self.tables.mailbox.mail.put(self.txn, &key, &entry).map_err(Error::lmdb(DOING))?;
        }
        self.notice(folder, Happened::Flagged);
        self.put_state(folder, &state)
    }

    fn delete_for_good(
        &mut self,
        folder: FolderKey,
        uids: &RoaringBitmap,
        order: &MailOrder,
        code: ShortCode,
    ) -> Result<u32> {
        let (now, left) = self.deletable(folder, uids)?;
        let account = self
            .tables
            .directory
            .accounts
            .get(self.txn, &folder.account)
            .map_err(Error::lmdb(DOING))?;
        let removed: Vec<u64> =
            self.take_entries(folder, &now)?.iter().map(|entry| entry.message.0).collect();
        for removed in removed.chunks(LIST_LIMIT) {
            let record = LedgerRecord {
                recipients: account.iter().map(|a| a.address.clone()).collect(),
                service: Some(order.service),
                messages: removed.to_vec(),
                ..LedgerRecord::new(order.at, Fate::Deleted, code)
            };
            self.record(&record)?;
        }
        removed.into_iter().try_for_each(|message| self.release(MessageId(message)))?;
        Ok(left.len() as u32)
    }

    /// Notes for each message that its reader called it junk, or took that back.
    fn judge(
        &mut self,
        folder: FolderKey,
        uids: &roaring::RoaringBitmap,
        judgement: Judgement,
    ) -> Result<()> {
        for uid in uids {
            let Some(entry) = self
                .tables
                .mailbox
                .entry(self.txn, MailKey::new(folder.account, folder.folder, uid))?
            else {
                continue;
            };
            let key = JudgementKey { message: entry.message, account: folder.account };
            self.tables
                .mailbox
                .judgements
                .put(self.txn, &key, &judgement)
                .map_err(Error::lmdb(DOING))?;
        }
        Ok(())
    }

    fn set_timed(
        &mut self,
        account: AccountId,
        message: MessageId,
        timed: Option<Timed>,
    ) -> Result<()> {
        let key = PlaceKey { account, message };
        match timed {
            Some(timed) => self.tables.mailbox.timed.put(self.txn, &key, &timed),
            None => self.tables.mailbox.timed.delete(self.txn, &key).map(drop),
        }
        .map_err(Error::lmdb(DOING))?;
        Ok(())
    }
}
