//! Writing a file from its beginning to its end.
//!
//! Its name is random, and it is part of the index once a commit has named it.
//! So there is no temporary name: a rename would add nothing but another commit of the file system's journal.
//! A file that is not named is removed at the start.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{BEFORE, BEHIND, BLOCK, FOOT, Head, Kind, MAGIC, SegmentId, path, postings, put_key};
use crate::engine::codec::put_varint;
use crate::engine::early;
use crate::error::{Error, Result};

/// Octets that are brought to the card at a time: 7 ms of a card that takes 10 MB/s.
pub(crate) const SLICE: usize = 64 * 1024;

/// Why there is no file.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was to be given up.
    GivenUp,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

/// What comes of writing.
pub(crate) type Outcome<T> = std::result::Result<T, Stop>;

/// A durable file that no commit names yet: it goes unless it is kept.
#[derive(Debug)]
pub struct Written {
    pub(crate) id: SegmentId,
    pub(crate) head: Head,
    pub(crate) octets: u64,
    path: PathBuf,
    /// The commit under way names it.
    pub(crate) is_named: bool,
    is_kept: bool,
}

impl Written {
    /// Octets of the file.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The commit is done: a file that it names stays.
    pub(crate) fn keep(&mut self) {
        self.is_kept = self.is_named;
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if !self.is_kept {
            // One that stays is swept at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A level of the file: blocks of terms at 0, above them the directory.
#[derive(Default)]
struct Level {
    payload: Vec<u8>,
    first: Vec<u8>,
    last: Vec<u8>,
}

/// A file on its way.
/// Takes a slice and a block for each level in memory.
pub(crate) struct Writer<'a, 'b> {
    file: File,
    folder: PathBuf,
    written: Written,
    waiting: Vec<u8>,
    levels: Vec<Level>,
    terms: u64,
    scratch: Vec<u8>,
    /// Asked after each slice with its octets, and now and then with none; it may take its time.
    /// False: give up.
    breathe: &'a mut (dyn FnMut(usize) -> bool + 'b),
}

impl<'a, 'b> Writer<'a, 'b> {
    /// Begins a file with its messages, ascending; there is at least one.
    pub fn create(
        folder: &Path,
        tier: u8,
        account: crate::ids::AccountId,
        messages: &[u32],
        breathe: &'a mut (dyn FnMut(usize) -> bool + 'b),
    ) -> Outcome<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(Error::io("creating", folder))?;
        let id = SegmentId(crate::engine::work::random()?);
        let path = path(folder, id);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("creating", &path))?;
        let bounds = |at: Option<&u32>| at.copied().unwrap_or_default();
        let head = Head {
            account,
            tier,
            messages: messages.len() as u32,
            first: bounds(messages.first()),
            last: bounds(messages.last()),
        };
        let written = Written { id, head, octets: 0, path, is_named: false, is_kept: false };
        let folder = folder.to_path_buf();
        let mut writer = Writer {
            file,
            folder,
            written,
            waiting: MAGIC.to_vec(),
            levels: vec![Level::default()],
            terms: 0,
            scratch: Vec::new(),
            breathe,
        };
        writer.written.octets = MAGIC.len() as u64;
        writer.frame(Kind::Head, &head.write())?;
        let (mut block, mut before) = (Vec::new(), 0);
        for &message in messages {
            put_varint(&mut block, u64::from(message - before));
            before = message;
            if block.len() >= BLOCK {
                writer.frame(Kind::Messages, &block)?;
                block.clear();
            }
        }
        if !block.is_empty() {
            writer.frame(Kind::Messages, &block)?;
        }
        Ok(writer)
    }

    /// Adds a term: behind all that were added; `places` ascend and are at least one.
    pub fn push(&mut self, key: &[u8], places: &[u32]) -> Outcome<()> {
        debug_assert!(key.len() <= super::KEY && places.is_sorted_by(|a, b| a < b));
        self.scratch.clear();
        put_varint(&mut self.scratch, places.len() as u64);
        match places {
            [one] => put_varint(&mut self.scratch, u64::from(*one)),
            many => {
                let mut octets = Vec::new();
                postings::write(many, self.written.head.messages, &mut octets);
                put_varint(&mut self.scratch, octets.len() as u64);
                self.scratch.extend_from_slice(&octets);
            }
        }
        self.terms += 1;
        let entry = std::mem::take(&mut self.scratch);
        let added = self.add(0, key, &entry);
        self.scratch = entry;
        added
    }

    /// Adds an entry to a level, and the level's block to the one above when it is complete.
    fn add(&mut self, at: usize, key: &[u8], entry: &[u8]) -> Outcome<()> {
        if self.levels.len() == at {
            self.levels.push(Level::default());
        }
        let level = &mut self.levels[at];
        if level.payload.is_empty() {
            level.first = key.to_vec();
            level.last.clear();
        }
        put_key(&mut level.payload, &level.last, key);
        level.payload.extend_from_slice(entry);
        level.last.clear();
        level.last.extend_from_slice(key);
        if level.payload.len() >= BLOCK { self.complete(at) } else { Ok(()) }
    }

    /// Writes the block of a level, and names it in the one above.
    fn complete(&mut self, at: usize) -> Outcome<()> {
        let (offset, first) = self.block(at)?;
        let mut entry = Vec::new();
        put_varint(&mut entry, offset);
        self.add(at + 1, &first, &entry)
    }

    fn block(&mut self, at: usize) -> Outcome<(u64, Vec<u8>)> {
        let level = &mut self.levels[at];
        let (payload, first) =
            (std::mem::take(&mut level.payload), std::mem::take(&mut level.first));
        let offset = self.written.octets;
        self.frame(if at == 0 { Kind::Terms } else { Kind::Directory }, &payload)?;
        Ok((offset, first))
    }

    fn frame(&mut self, kind: Kind, payload: &[u8]) -> Outcome<()> {
        let from = self.waiting.len();
        self.waiting.push(kind as u8);
        self.waiting.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        self.waiting.extend_from_slice(payload);
        let checksum = crc32fast::hash(&self.waiting[from..]);
        self.waiting.extend_from_slice(&checksum.to_be_bytes());
        self.written.octets += (BEFORE + payload.len() + BEHIND) as u64;
        if self.waiting.len() < SLICE { Ok(()) } else { self.bring() }
    }

    /// A moment at which it may be given up.
    pub fn breathe(&mut self) -> Outcome<()> {
        if (self.breathe)(0) { Ok(()) } else { Err(Stop::GivenUp) }
    }

    /// Brings what waits to the card, so that the flush at the end finds little to do and nobody waits long behind it.
    fn bring(&mut self) -> Outcome<()> {
        self.file.write_all(&self.waiting).map_err(Error::io("writing", &self.written.path))?;
        early::write(&self.file, 0, 0);
        let octets = self.waiting.len();
        self.waiting.clear();
        if (self.breathe)(octets) { Ok(()) } else { Err(Stop::GivenUp) }
    }

    /// Writes what is left and makes the file durable.
    pub fn finish(mut self) -> Outcome<Written> {
        let mut root = (0u64, 0u8);
        let mut at = 0;
        while at < self.levels.len() {
            let is_last = at + 1 == self.levels.len();
            match (self.levels[at].payload.is_empty(), is_last) {
                (true, _) => {}
                (false, true) => {
                    root = (self.block(at)?.0, at as u8 + 1);
                }
                (false, false) => self.complete(at)?,
            }
            at += 1;
        }
        let mut foot = Vec::with_capacity(FOOT);
        foot.extend_from_slice(&root.0.to_be_bytes());
        foot.push(root.1);
        foot.extend_from_slice(&self.terms.to_be_bytes());
        foot.extend_from_slice(&crc32fast::hash(&foot).to_be_bytes());
        self.waiting.extend_from_slice(&foot);
        self.written.octets += foot.len() as u64;
        let octets = self.waiting.len();
        let at = &self.written.path;
        self.file.write_all(&self.waiting).map_err(Error::io("writing", at))?;
        self.file.sync_data().map_err(Error::io("syncing", at))?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(Error::io("syncing", &self.folder))?;
        if (self.breathe)(octets) { Ok(self.written) } else { Err(Stop::GivenUp) }
    }
}

/// As a result of the store: `None` when it was given up.
pub(crate) fn unless_given_up<T>(result: Outcome<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Stop::GivenUp) => Ok(None),
        Err(Stop::Failed(error)) => Err(error),
    }
}
