//! Which messages are learned from.

use std::collections::{BTreeMap, BTreeSet};

use pillarbox_filter::content::Label;
use pillarbox_store::{Flags, FolderId, MessageId, Result, Store};
use pillarbox_vocabulary::Timestamp;

use super::Counts;

/// Lessons of each label that are kept: the newest, and what people said before what the box concluded.
pub const MOST: usize = 2000;
/// Wanted messages for each unwanted one that the box looks for by itself, and how many at a time.
const FOR_EACH: usize = 2;
const AT_ONCE: usize = 100;

/// The lessons that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known(BTreeMap<MessageId, (Label, bool)>);

impl Known {
    pub fn read(store: &Store) -> Result<Known> {
        let mut known = Known::default();
        store.read(|r| {
            r.each_lesson(|message, lesson| {
                known.note(message, Label::of(lesson.is_unwanted), lesson.is_said);
            })
        })?;
        Ok(known)
    }

    pub fn note(&mut self, message: MessageId, label: Label, is_said: bool) {
        self.0.insert(message, (label, is_said));
    }

    pub fn counts(&self) -> Counts {
        let of = |label| self.0.values().filter(|(known, _)| *known == label).count();
        Counts { wanted: of(Label::Wanted), unwanted: of(Label::Unwanted) }
    }

    /// Takes out what is beyond [`MOST`]: the oldest of what nobody said, then the oldest.
    pub fn surplus(&mut self) -> Vec<MessageId> {
        let mut gone = Vec::new();
        for label in Label::ALL {
            let of = self.0.iter().filter(|(_, (known, _))| *known == label);
            let mut all: Vec<(bool, MessageId)> =
                of.map(|(message, (_, is_said))| (*is_said, *message)).collect();
            all.sort_unstable();
            let surplus = all.len().saturating_sub(MOST);
            gone.extend(all.into_iter().take(surplus).map(|(_, message)| message));
        }
        self.0.retain(|message, _| !gone.contains(message));
        gone
    }
}

/// What people said that is not known, or is known otherwise, at most so much: the last word on a message counts.
pub fn taught(store: &Store, known: &Known, most: usize) -> Result<Vec<(MessageId, Label, bool)>> {
    let mut said: BTreeMap<MessageId, (Timestamp, Label)> = BTreeMap::new();
    store.read(|r| {
        r.each_judgement(|message, _, judgement| {
            let label = Label::of(judgement.is_junk);
            let last = said.entry(message).or_insert((judgement.at, label));
            if judgement.at >= last.0 {
                *last = (judgement.at, label);
            }
        })
    })?;
    let is_new = |(message, (_, label)): &(MessageId, (Timestamp, Label))| {
        known.0.get(message) != Some(&(*label, true))
    };
    let new = said.into_iter().rev().filter(is_new);
    Ok(new.take(most).map(|(message, (_, label))| (message, label, true)).collect())
}

/// Messages that were read and are still in somebody's inbox or in a folder of theirs, from outside and from before
/// `latest`, as long as there are few wanted ones beside the unwanted.
pub fn kept(
    store: &Store,
    known: &Known,
    newest: usize,
    latest: Timestamp,
) -> Result<Vec<(MessageId, Label, bool)>> {
    let Counts { wanted, unwanted } = known.counts();
    let missing = (unwanted * FOR_EACH).min(MOST).saturating_sub(wanted).min(AT_ONCE);
    if missing == 0 {
        return Ok(Vec::new());
    }
    store.read(|r| {
        let mut found = BTreeSet::new();
        for (account, _) in r.accounts()? {
            for (folder, ..) in r.folders(account)?.into_iter().filter(|(id, ..)| is_kept(*id)) {
                let entries = r.entries_before(account, folder, u32::MAX, newest)?;
                let kept = entries.into_iter().filter(|(_, entry)| {
                    entry.flags.contains(Flags::SEEN)
                        && entry.saved_at <= latest
                        && !known.0.contains_key(&entry.message)
                });
                found.extend(kept.map(|(_, entry)| entry.message));
            }
        }
        let newest = found.into_iter().rev().take(missing);
        Ok(newest.map(|message| (message, Label::Wanted, false)).collect())
    })
}

/// Whether what is in a folder was received and kept.
fn is_kept(folder: FolderId) -> bool {
    ![FolderId::SENT, FolderId::DRAFTS, FolderId::TRASH, FolderId::JUNK].contains(&folder)
}
