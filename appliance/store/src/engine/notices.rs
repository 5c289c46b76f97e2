//! Commit notices: who listens gets to know what changed, after the commit and never before.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use tokio::sync::Notify;

use crate::ids::{AccountId, FolderId};

/// Notices that wait for one listener; beyond that they are merged.
const MOST_WAITING: usize = 64;

/// Something changed, and is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// In a folder.
    Folder { account: AccountId, folder: FolderId, what: Happened },
    /// Somewhere in an account: there were too many notices to keep each.
    Account(AccountId),
    /// Somewhere: another process made a commit, or there were too many accounts to keep each.
    Anywhere,
}

/// What changed in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happened {
    /// Messages came.
    Added,
    /// Flags of messages changed.
    Flagged,
    /// Messages left.
    Removed,
    /// The folder itself was made, renamed or removed.
    Renamed,
}

impl Notice {
    /// Whether it may be about an account.
    pub fn concerns(&self, account: AccountId) -> bool {
        match self {
            Notice::Folder { account: its, .. } | Notice::Account(its) => *its == account,
            Notice::Anywhere => true,
        }
    }

    /// The same with less said.
    fn merged(self) -> Notice {
        match self {
            Notice::Folder { account, .. } => Notice::Account(account),
            Notice::Account(_) | Notice::Anywhere => Notice::Anywhere,
        }
    }
}

/// Adds a notice to those that wait; what grows beyond the limit is merged.
fn add(waiting: &mut BTreeSet<Notice>, notice: Notice) {
    if waiting.contains(&Notice::Anywhere) {
        return;
    }
    waiting.insert(notice);
    // Folders become accounts first, and accounts anywhere.
    for _ in 0..2 {
        if waiting.len() > MOST_WAITING || waiting.contains(&Notice::Anywhere) {
            let has_folders = waiting.iter().any(|one| matches!(one, Notice::Folder { .. }));
            let merge = |one: Notice| match one {
                Notice::Account(_) if has_folders => one,
                one => one.merged(),
            };
            *waiting = std::mem::take(waiting).into_iter().map(merge).collect();
        }
    }
    if waiting.contains(&Notice::Anywhere) {
        waiting.retain(|one| *one == Notice::Anywhere);
    }
}

/// One listener's place.
#[derive(Default)]
struct Slot {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    notices: BTreeSet<Notice>,
    is_closed: bool,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Everyone who listens.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Vec<Weak<Slot>>>);

impl Listeners {
    pub fn add(&self) -> Listener {
        let slot = Arc::new(Slot::default());
        self.lock().push(Arc::downgrade(&slot));
        Listener(slot)
    }

    /// Whether anybody listens.
    /// Forgets those who left.
    pub fn are_there(&self) -> bool {
        let mut slots = self.lock();
        slots.retain(|slot| slot.strong_count() > 0);
        !slots.is_empty()
    }

    pub fn tell(&self, notices: &[Notice]) {
        for slot in self.lock().iter().filter_map(Weak::upgrade) {
            let mut waiting = slot.lock();
            notices.iter().for_each(|notice| add(&mut waiting.notices, *notice));
            if !waiting.notices.is_empty() {
                slot.wake.notify_one();
            }
        }
    }

    /// The store closes: nothing more will come.
    pub fn close(&self) {
        for slot in self.lock().drain(..).filter_map(|slot| slot.upgrade()) {
            slot.lock().is_closed = true;
            slot.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Slot>>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Gets the notices of all commits from when it was made.
pub struct Listener(Arc<Slot>);

impl Listener {
    /// Waits for the next notice; `None` when the store has closed.
    /// Of equal ones that wait only one comes.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            {
                let mut waiting = self.0.lock();
                if let Some(notice) = waiting.notices.pop_first() {
                    return Some(notice);
                }
                if waiting.is_closed {
                    return None;
                }
            }
            self.0.wake.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(account: u32, folder: u32) -> Notice {
        Notice::Folder {
            account: AccountId(account),
            folder: FolderId(folder),
            what: Happened::Added,
        }
    }

    #[test]
    fn what_waits_is_bounded_and_says_less_instead_of_nothing() {
        let mut waiting = BTreeSet::new();
        (0..200).for_each(|at| add(&mut waiting, folder(1, at)));
        assert!(waiting.len() <= MOST_WAITING);
        assert!(waiting.contains(&Notice::Account(AccountId(1))));
        (0..200).for_each(|at| add(&mut waiting, folder(at, 1)));
        assert_eq!(waiting.into_iter().collect::<Vec<_>>(), [Notice::Anywhere]);
    }

    #[tokio::test]
    async fn equal_notices_come_once_and_the_end_comes_last() {
        let listeners = Listeners::default();
        assert!(!listeners.are_there());
        let mut listener = listeners.add();
        listeners.tell(&[folder(1, 1), folder(1, 1), folder(1, 2)]);
        listeners.close();
        assert_eq!(listener.next().await, Some(folder(1, 1)));
        assert_eq!(listener.next().await, Some(folder(1, 2)));
        assert_eq!(listener.next().await, None);
    }
}
