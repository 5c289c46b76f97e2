//! Which messages are being read, written down before they are: should one of them kill the server, the next start
//! knows.
//!
//! Messages that were being read when the server died are suspects.
//! They are read one by one, by the index alone, each under a mark of its own; one that kills the server then is
//! skipped: it is shown as its source only, and the owner hears of it.
//! A new version of the program gives skipped ones another try.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use pillarbox_store::MessageId;

/// Files beside the marks: messages to be read alone, and those that are not read any more, behind the version that
/// skipped them.
const SUSPECTS: &str = "suspects";
const SKIPPED: &str = "skipped";

/// How messages are being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Many, for the index.
    Batch,
    /// A suspect, and nothing else.
    Alone,
    /// For a page, which somebody waits for: it is not waited for the disk.
    /// The kernel keeps what was written when a process dies.
    Page,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Batch => "batch",
            Kind::Alone => "alone",
            Kind::Page => "page",
        }
    }
}

#[derive(Default)]
struct Known {
    suspects: BTreeSet<MessageId>,
    skipped: BTreeSet<MessageId>,
}

/// The marks of a data folder.
pub struct Marks {
    dir: PathBuf,
    version: &'static str,
    known: Mutex<Known>,
    next: AtomicU64,
}

/// A mark that is set; dropping it takes it away.
pub struct Mark(Option<PathBuf>);

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(%error, path = %path.display(), "the mark of a message that was read can't be removed");
        }
    }
}

impl Marks {
    /// Opens the marks in a folder, and draws from them what the last run died of.
    pub fn open(dir: &Path, version: &'static str) -> Marks {
        let marks = Marks {
            dir: dir.to_path_buf(),
            version,
            known: Mutex::default(),
            next: AtomicU64::new(0),
        };
        if let Err(error) = marks.load() {
            tracing::error!(%error, "marks of messages that are being read can't be kept: should one of them stop the server, it is not found out");
        }
        marks
    }

    /// What is known in a folder, for another process: nothing is drawn from it and nothing written.
    pub fn skipped_in(dir: &Path) -> BTreeSet<MessageId> {
        let texts =
            [SKIPPED, SUSPECTS].iter().filter_map(|name| fs::read_to_string(dir.join(name)).ok());
        texts.flat_map(|text| parse(&text).1).collect()
    }

    fn load(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let (mut known, mut met) = (Known::default(), Vec::new());
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
                // Half written when the server died: its mark is still there, too.
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            let (word, ids) = parse(&text);
            match path.file_name().and_then(|name| name.to_str()) {
                Some(SKIPPED) if word == self.version => known.skipped.extend(ids),
                Some(SUSPECTS | SKIPPED) => known.suspects.extend(ids),
                _ => {
                    match word == Kind::Alone.name() {
                        true => {
                            tracing::error!(messages = ?ids, "a message stopped the server when it was read alone: it is not opened any more");
                            known.skipped.extend(ids);
                        }
                        false => known.suspects.extend(ids),
                    }
                    met.push(path);
                }
            }
        }
        known.suspects.retain(|id| !known.skipped.contains(id));
        if !met.is_empty() {
            tracing::warn!(
                suspects = known.suspects.len(),
                skipped = known.skipped.len(),
                "the server ended while it read mail: that mail is looked at one by one"
            );
        }
        // What is known counts, also where it can't be written down.
        let mut own = self.lock();
        *own = known;
        if met.is_empty() {
            return Ok(());
        }
        self.keep(&own)?;
        met.iter().try_for_each(fs::remove_file)
    }

    /// What was drawn, on stable storage.
    fn keep(&self, known: &Known) -> io::Result<()> {
        for (name, word, ids) in
            [(SKIPPED, self.version, &known.skipped), (SUSPECTS, "suspects", &known.suspects)]
        {
            let part = self.dir.join(format!(".{name}"));
            write(&part, word, ids)?.sync_all()?;
            fs::rename(&part, self.dir.join(name))?;
        }
        File::open(&self.dir)?.sync_all()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Marks messages before they are read.
    pub fn set(&self, kind: Kind, ids: &[MessageId]) -> Mark {
        if ids.is_empty() {
            return Mark(None);
        }
        let path = self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let written = write(&path, kind.name(), ids).and_then(|file| match kind {
            Kind::Page => Ok(()),
            Kind::Batch | Kind::Alone => {
                file.sync_all().and_then(|()| File::open(&self.dir)?.sync_all())
            }
        });
        if let Err(error) = written {
            tracing::warn!(%error, "mail is read without a mark");
        }
        Mark(Some(path).filter(|path| path.exists()))
    }

    /// Whether a message must not be read, or by the index alone.
    pub fn is_withheld(&self, id: MessageId) -> bool {
        let known = self.lock();
        known.suspects.contains(&id) || known.skipped.contains(&id)
    }

    pub fn suspects(&self) -> Vec<MessageId> {
        self.lock().suspects.iter().copied().collect()
    }

    /// Messages that killed the server when they were read alone.
    pub fn skipped(&self) -> Vec<MessageId> {
        self.lock().skipped.iter().copied().collect()
    }

    /// As if a message had killed the server when it was read alone.
    #[cfg(any(test, feature = "world"))]
    pub fn skip(&self, id: MessageId) {
        self.lock().skipped.insert(id);
    }

    /// A suspect was read and did no harm, or is gone.
    pub fn clear(&self, id: MessageId) {
        let mut known = self.lock();
        known.suspects.remove(&id);
        if let Err(error) = self.keep(&known) {
            tracing::warn!(%error, message = id.0, "a message that did no harm is looked at again after the next start");
        }
    }
}

/// A word and numbers: what all files here are made of.
fn parse(text: &str) -> (&str, Vec<MessageId>) {
    let (word, ids) = text.split_once('\n').unwrap_or((text, ""));
    (word, ids.split_whitespace().filter_map(|id| id.parse().ok()).map(MessageId).collect())
}

fn write<'i>(
    path: &Path,
    word: &str,
    ids: impl IntoIterator<Item = &'i MessageId>,
) -> io::Result<File> {
    let numbers: Vec<String> = ids.into_iter().map(|id| id.0.to_string()).collect();
    let mut file = File::create(path)?;
    file.write_all(format!("{word}\n{}\n", numbers.join(" ")).as_bytes())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &[u64]) -> Vec<MessageId> {
        numbers.iter().copied().map(MessageId).collect()
    }

    /// The server dies, and the mark stays.
    fn die(mark: Mark) {
        std::mem::forget(mark);
    }

    #[test]
    fn a_message_that_kills_the_server_twice_is_skipped_and_the_others_are_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let marks = Marks::open(dir.path(), "1");
        drop(marks.set(Kind::Batch, &ids(&[1, 2])));
        die(marks.set(Kind::Batch, &ids(&[3, 4, 5])));
        die(marks.set(Kind::Page, &ids(&[9])));
        let marks = Marks::open(dir.path(), "1");
        assert_eq!((marks.suspects(), marks.skipped()), (ids(&[3, 4, 5, 9]), vec![]));
        assert!(marks.is_withheld(MessageId(4)) && !marks.is_withheld(MessageId(1)));
        // The first one does no harm, the second one kills.
        drop(marks.set(Kind::Alone, &ids(&[3])));
        marks.clear(MessageId(3));
        die(marks.set(Kind::Alone, &ids(&[4])));
        assert_eq!(Marks::skipped_in(dir.path()), ids(&[4, 5, 9]).into_iter().collect());
        for _ in 0..2 {
            let marks = Marks::open(dir.path(), "1");
            assert_eq!((marks.suspects(), marks.skipped()), (ids(&[5, 9]), ids(&[4])));
        }
        // What another version could not read this one may.
        assert_eq!(Marks::open(dir.path(), "2").suspects(), ids(&[4, 5, 9]));
    }

    #[test]
    fn a_folder_that_can_not_be_written_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let marks = Marks::open(&file, "1");
        drop(marks.set(Kind::Alone, &ids(&[1])));
        marks.clear(MessageId(1));
        assert!(!marks.is_withheld(MessageId(1)));
        // Nor is one whose marks can't be taken away: what they say counts all the same.
        let stuck = dir.path().join("stuck");
        fs::create_dir_all(stuck.join(format!(".{SKIPPED}"))).unwrap();
        fs::write(stuck.join("0"), "alone\n7\n").unwrap();
        assert!(Marks::open(&stuck, "1").is_withheld(MessageId(7)));
        // Rubbish in it is no reason to stay down either.
        fs::write(dir.path().join("rubbish"), [0xff, 0, 10, 0xff]).unwrap();
        assert_eq!(Marks::open(dir.path(), "1").suspects(), vec![]);
    }
}
