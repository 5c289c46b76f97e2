//! How the card is: whether it can be written, and what on it is no longer what was written.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::error::{Error, Result};
use crate::ids::MessageId;

use super::room::Disk;

/// Damaged messages remembered; with more of them the card is the news, not they.
const MOST_DAMAGED: usize = 1000;
/// Contents that are remembered as whole, and for how long: a program fetches a message soon after asking for it, and
/// several people fetch the same one.
const MOST_WHOLE: usize = 64;
const WHOLE_FOR: Duration = Duration::from_secs(600);
/// Octets that LMDB gives the system in one write (64 pages), and some for what runs beside it.
const LONGEST_WRITE: u64 = 1 << 20;

/// What is known of the card.
pub(crate) struct Medium {
    folder: PathBuf,
    /// Opened on a card that can only be read: nothing will ever be written.
    pub is_read_only: bool,
    /// Messages that were met and are not what was stored.
    damaged: Mutex<BTreeSet<MessageId>>,
    /// Messages whose content was found whole lately.
    whole: Mutex<VecDeque<(MessageId, Instant)>>,
    /// Why nothing can be written at the moment.
    unwritable: Mutex<Option<String>>,
    /// Rings once when the store must be opened anew.
    pub spent: Notify,
    /// What a test lets each write fail with.
    #[cfg(feature = "world")]
    pub fault: Mutex<Option<fn() -> Error>>,
}

impl Medium {
    pub(crate) fn new(folder: &Path) -> Medium {
        let is_read_only = is_read_only(folder);
        Medium {
            folder: folder.to_path_buf(),
            is_read_only,
            damaged: Mutex::default(),
            whole: Mutex::default(),
            unwritable: Mutex::new(is_read_only.then(|| READ_ONLY.to_string())),
            spent: Notify::new(),
            #[cfg(feature = "world")]
            fault: Mutex::default(),
        }
    }

    /// Refuses a write on a card that could not be written when the store was opened.
    pub(crate) fn refuse(&self) -> Result<()> {
        #[cfg(feature = "world")]
        if let Some(fault) = *self.fault.lock().unwrap_or_else(|e| e.into_inner()) {
            return Err(fault());
        }
        match self.is_read_only {
            true => Err(Error::Unwritable { why: READ_ONLY.into() }),
            false => Ok(()),
        }
    }

    /// Why nothing can be written, if so.
    /// Looks at the file system, too: a card may turn read-only while nothing is written.
    pub(crate) fn unwritable(&self) -> Option<String> {
        let known = self.lock_unwritable().clone();
        known.or_else(|| is_read_only(&self.folder).then(|| READ_ONLY.to_string()))
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.unwritable().is_none()
    }

    /// The cause as it is.
    /// LMDB reports a write that a full disk cut short as an error of the device: when the last octets were just taken,
    /// and the file system is otherwise well, it was the room that was missing.
    pub(crate) fn true_cause(&self, error: Error) -> Error {
        match error {
            Error::Unwritable { .. }
                if !is_read_only(&self.folder)
                    && Disk::of(&self.folder).is_some_and(is_used_up) =>
            {
                Error::Full
            }
            error => error,
        }
    }

    /// Remembers what came of a commit.
    /// Only what the medium did counts: a full disk is another matter, and a refused write is none.
    pub(crate) fn note_commit<T>(&self, result: &Result<T>) {
        let why = match result {
            Ok(_) => None,
            Err(Error::Unwritable { why }) => Some(why.clone()),
            Err(error @ Error::Spent) => {
                self.spent.notify_one();
                Some(error.to_string())
            }
            Err(_) => return,
        };
        *self.lock_unwritable() = why;
    }

    /// Remembers a damaged message, for whoever asks how the box is.
    pub(crate) fn note_damage(&self, message: MessageId) {
        let mut damaged = self.damaged.lock().unwrap_or_else(|e| e.into_inner());
        if damaged.len() < MOST_DAMAGED {
            damaged.insert(message);
        }
    }

    pub(crate) fn damaged(&self) -> Vec<MessageId> {
        self.damaged.lock().unwrap_or_else(|e| e.into_inner()).iter().copied().collect()
    }

    pub(crate) fn is_known_whole(&self, message: MessageId, now: Instant) -> bool {
        let whole = self.whole.lock().unwrap_or_else(|e| e.into_inner());
        whole
            .iter()
            .any(|(known, at)| *known == message && now.saturating_duration_since(*at) < WHOLE_FOR)
    }

    pub(crate) fn note_whole(&self, message: MessageId, now: Instant) {
        let mut whole = self.whole.lock().unwrap_or_else(|e| e.into_inner());
        if whole.len() >= MOST_WHOLE {
            whole.pop_front();
        }
        whole.push_back((message, now));
    }

    fn lock_unwritable(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.unwritable.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// What is said of a card that lets nothing be written.
pub(crate) const READ_ONLY: &str =
    "the card can only be read: it has gone bad, or is write-protected";

/// Whether so little is left that one write of LMDB may not fit.
fn is_used_up(disk: Disk) -> bool {
    disk.free < LONGEST_WRITE
}

/// Whether the file system lets nothing be written, as Linux makes one that shows errors.
/// Writes nothing to find out.
pub(crate) fn is_read_only(folder: &Path) -> bool {
    let flags = nix::sys::statvfs::statvfs(folder).map(|facts| facts.flags());
    flags.is_ok_and(|flags| flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY))
        || is_in_emergency(folder)
}

/// Newer kernels leave a file system that shows errors "rw" and say in its options that nothing is written any more.
fn is_in_emergency(folder: &Path) -> bool {
    let Ok(facts) = fs::metadata(folder) else { return false };
    let device = std::os::unix::fs::MetadataExt::dev(&facts);
    let device = format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else { return false };
    has_emergency(&mounts, &device)
}

/// proc_pid_mountinfo(5): the third field is the device, the last one the options of the file system.
fn has_emergency(mounts: &str, device: &str) -> bool {
    let mut options = mounts
        .lines()
        .filter(|line| line.split(' ').nth(2) == Some(device))
        .filter_map(|line| line.rsplit(' ').next());
    options.any(|options| {
        options.split(',').any(|option| matches!(option, "ro" | "emergency_ro" | "shutdown"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_in_emergency_is_known_by_its_options() {
        let mounts = "26 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            96 26 7:0 / /data rw,relatime - ext4 /dev/loop0 rw,errors=remount-ro,emergency_ro\n\
            97 26 7:1 / /old rw,relatime - ext4 /dev/loop1 ro,errors=remount-ro\n";
        let found = ["254:0", "7:0", "7:1", "9:9"].map(|device| has_emergency(mounts, device));
        assert_eq!(found, [false, true, true, false]);
    }

    #[tokio::test]
    async fn a_store_that_must_be_opened_anew_says_so_once_whoever_waits_and_whenever() {
        let dir = tempfile::tempdir().unwrap();
        let medium = Medium::new(dir.path());
        medium.note_commit::<()>(&Err(Error::lmdb("committing")(heed::Error::Mdb(
            heed::MdbError::Panic,
        ))));
        assert!(medium.unwritable().is_some_and(|why| why.contains("opened anew")));
        medium.spent.notified().await;
    }

    #[test]
    fn an_error_of_the_device_is_one_while_the_disk_has_room() {
        let dir = tempfile::tempdir().unwrap();
        let medium = Medium::new(dir.path());
        let error = medium.true_cause(Error::Unwritable { why: "x".into() });
        assert!(matches!(error, Error::Unwritable { .. }));
        let free = |free| Disk { free, all: 1 << 30, ..Disk::default() };
        assert!([0, 4096, 256 << 10].map(free).into_iter().all(is_used_up));
        assert!(!is_used_up(free(2 << 20)));
    }

    #[test]
    fn what_the_card_did_last_counts_and_a_refusal_or_a_full_disk_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let medium = Medium::new(dir.path());
        assert!(medium.is_writable());
        medium.note_commit::<()>(&Err(Error::Unwritable {
            why: "committing: input/output error".into(),
        }));
        for says_nothing in [Error::Full, Error::Invalid { why: "x".into() }] {
            medium.note_commit::<()>(&Err(says_nothing));
            assert_eq!(medium.unwritable().as_deref(), Some("committing: input/output error"));
        }
        medium.note_commit(&Ok(()));
        assert!(medium.is_writable());
    }
}
