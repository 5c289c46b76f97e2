//! What the writer and all readers of a process share: the tables, the newer rows above them, the end of the journal.

mod fold;

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ffi::c_void;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use heed::types::{Bytes, Str};
use heed::{Env, RoTxn, WithoutTls};
use nix::fcntl::Flock;

use crate::content::pool::Pool;
use crate::error::{Error, Result};
use crate::tables::Tables;

use super::bell::Bell;
use super::idle::Idle;
use super::journal::log::{Log, Watch};
use super::journal::read::Follower;
use super::journal::record::Position;
use super::journal::segments::Segments;
use super::layers::{Layer, Writes};
use super::medium::Medium;
use super::notices::Listeners;
use super::options::{Access, Recovered};
use super::room::Reserve;
use super::snapshot::{Base, Snapshot};

/// Segments of the journal that are kept open for reading.
const OPEN_SEGMENTS: usize = 16;

/// The row of LMDB that says up to where the journal is folded in.
pub(crate) const FOLDED: &str = "folded";

/// What the writer and all readers share.
pub(crate) struct Shared {
    pub env: Env<WithoutTls>,
    pub idle: Idle,
    pub tables: Tables<'static>,
    /// Where LMDB keeps each table, by the table's number.
    pub bases: Vec<(u16, Base)>,
    pub access: Access,
    /// What readers see: the newer rows, and up to which commit of LMDB they fit.
    pub published: Mutex<Published>,
    /// The journal's end.
    /// Whoever holds it writes, or looks what others wrote.
    pub log: Mutex<Log>,
    pub watch: Watch,
    pub segments: Segments,
    /// Segments that were read lately.
    pub open_segments: Mutex<VecDeque<(u64, Arc<File>)>>,
    /// Segments that are being read in pieces, and by how many.
    pub held: Mutex<BTreeMap<u64, usize>>,
    /// Wakes the keeper, and those who wait for it.
    pub bell: Bell,
    /// What the last start found in the journal.
    pub recovered: Recovered,
    pub blobs: PathBuf,
    pub path: PathBuf,
    /// Where LMDB mapped the file, once somebody asked.
    pub map: OnceLock<Option<(usize, usize)>>,
    pub file: File,
    pub map_octets: u64,
    /// Most octets of rows and contents together, where the owner set one.
    pub limit: Option<u64>,
    pub reserve_octets: u64,
    /// Memory for large messages that come in.
    pub large: Pool,
    pub reserve: Reserve,
    pub listeners: Listeners,
    /// How the card is.
    pub medium: Medium,
    /// Held while the process has the store open.
    pub _open: File,
    /// Held while the process is the server.
    pub _server: Option<Flock<File>>,
}

/// What readers see.
#[derive(Clone, Default)]
pub(crate) struct Published {
    /// Rows since the last fold began.
    pub fresh: Layer,
    /// Rows that are being folded into LMDB.
    pub frozen: Option<Layer>,
    /// The last commit of LMDB that these layers belong to; while rows are being folded, the next one as well.
    pub base: usize,
    /// Where the journal goes on behind `fresh`, and with which commit.
    pub end: (Position, u64),
    /// The same behind `frozen`.
    pub frozen_end: (Position, u64),
    /// The count of others' commits that is in.
    pub counted: u64,
}

impl Published {
    /// Newest first.
    fn layers(&self) -> [Layer; 2] {
        [self.fresh.clone(), self.frozen.clone().unwrap_or_default()]
    }

    fn fits(&self, commit: usize) -> bool {
        commit == self.base || self.frozen.is_some() && commit == self.base + 1
    }
}

/// Up to where the journal is folded into a snapshot of LMDB, and the commit that comes next.
pub(crate) fn folded(
    tables: &Tables<'static>,
    txn: &RoTxn<'_, WithoutTls>,
) -> Result<(Position, u64)> {
    position(meta(tables).get(txn, FOLDED).map_err(Error::lmdb("reading the store"))?)
}

/// What the mark says; without one nothing was folded yet.
pub(crate) fn position(mark: Option<&[u8]>) -> Result<(Position, u64)> {
    let Some(mark) = mark else { return Ok((Position::default(), 1)) };
    let words: Option<Vec<u64>> =
        mark.chunks(8).map(|word| Some(u64::from_be_bytes(word.try_into().ok()?))).collect();
    match words.as_deref() {
        Some(&[next, segment, offset]) => Ok((Position { segment, offset }, next)),
        _ => Err(Error::damaged("the mark of the journal")),
    }
}

/// Where LMDB keeps the small marks.
fn meta(tables: &Tables<'static>) -> heed::Database<'static, Str, Bytes> {
    tables.meta.base().remap_key_type()
}

/// Where a file is mapped in this process, address and length (proc(5), `maps`).
fn map_range(path: &Path) -> Option<(usize, usize)> {
    let path = path.canonicalize().ok()?;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| path.to_str().is_some_and(|path| line.ends_with(path)))?;
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let (start, end) =
        (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    Some((start, end - start))
}

/// Keeps a segment of the journal from being used again while it is read.
pub(crate) struct Held {
    shared: Arc<Shared>,
    pub segment: u64,
}

impl Held {
    pub fn new(shared: &Arc<Shared>, segment: u64) -> Held {
        *shared.held().entry(segment).or_default() += 1;
        Held { shared: shared.clone(), segment }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.shared.held();
        if let Entry::Occupied(mut readers) = held.entry(self.segment) {
            *readers.get_mut() -= 1;
            if *readers.get() == 0 {
                readers.remove();
            }
        }
    }
}

impl Shared {
    /// The number of the last commit, of this or any other process.
    pub(crate) fn last_commit(&self) -> u64 {
        self.published().end.1.saturating_sub(1)
    }

    /// Reads octets of a segment of the journal; false when they are not there.
    pub(crate) fn read_segment(&self, segment: u64, offset: u64, into: &mut [u8]) -> Result<bool> {
        Ok(self.segment(segment)?.is_some_and(|file| file.read_exact_at(into, offset).is_ok()))
    }

    /// A segment of the journal to read from; `None` when there is none of this number.
    pub(crate) fn segment(&self, segment: u64) -> Result<Option<Arc<File>>> {
        let known = self
            .open_segments()
            .iter()
            .find(|(known, _)| *known == segment)
            .map(|(_, file)| file.clone());
        if known.is_some() {
            return Ok(known);
        }
        let Some(file) = self.segments.open(segment, false)?.map(Arc::new) else { return Ok(None) };
        let mut open = self.open_segments();
        if open.len() >= OPEN_SEGMENTS {
            open.pop_front();
        }
        open.push_back((segment, file.clone()));
        Ok(Some(file))
    }

    /// Whether somebody reads a segment in pieces: it must not be used again.
    pub(crate) fn is_held(&self, segment: u64) -> bool {
        self.held().contains_key(&segment)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.held.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Closes a segment that is no more.
    pub(crate) fn forget_segment(&self, segment: u64) {
        self.open_segments().retain(|(known, _)| *known != segment);
    }

    fn open_segments(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<File>)>> {
        self.open_segments.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Octets of each segment of the journal.
    pub(crate) fn segment_octets(&self) -> u64 {
        self.segments.octets
    }

    pub(crate) fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// One consistent view for reading, with all that was committed, by whatever process.
    pub(crate) fn view(&self) -> Result<Snapshot<'_>> {
        let is_behind = match self.access {
            Access::Server => self.watch.count() != self.published().counted,
            Access::Tool => true,
        };
        if !is_behind && let Some(view) = self.matching_view()? {
            return Ok(view);
        }
        if is_behind {
            return self.view_with(&mut self.log());
        }
        loop {
            // The keeper shows a fold right after it.
            std::thread::yield_now();
            if let Some(view) = self.matching_view()? {
                return Ok(view);
            }
        }
    }

    /// The same while the log is held.
    pub(crate) fn view_with(&self, log: &mut Log) -> Result<Snapshot<'_>> {
        loop {
            self.catch_up(log)?;
            if let Some(view) = self.matching_view()? {
                return Ok(view);
            }
        }
    }

    /// Layers and a snapshot of LMDB that belong together.
    /// `None`: a fold ended in between.
    fn matching_view(&self) -> Result<Option<Snapshot<'_>>> {
        let published = self.published().clone();
        let txn = self.idle.take()?;
        Ok(published.fits(txn.id()).then(|| Snapshot::new(txn, published.layers())))
    }

    /// Takes in what other processes committed.
    /// True when there was anything.
    pub(crate) fn catch_up(&self, log: &mut Log) -> Result<bool> {
        let counted = self.watch.count();
        if self.access == Access::Server {
            if counted == self.published().counted {
                return Ok(false);
            }
            let (at, next) = log.end();
            let mut follower = Follower::new(log.segments.clone(), at, next);
            let mut writes = Vec::new();
            follower.read_all(|commit| {
                writes.push(commit.writes);
                Ok(())
            })?;
            log.moved_to(follower.end(), follower.next_number())?;
            let mut published = self.published();
            writes.into_iter().for_each(|writes| published.fresh.add(writes));
            published.end = log.end();
            published.counted = counted;
            return Ok(true);
        }
        // A tool: the server may have folded since.
        let txn = self.env.read_txn().map_err(Error::lmdb("beginning to read"))?;
        let mut state = self.published().clone();
        if state.base != txn.id() {
            let (at, next) = folded(&self.tables, &txn)?;
            state = Published { base: txn.id(), end: (at, next), ..Published::default() };
        }
        let mut follower = Follower::new(log.segments.clone(), state.end.0, state.end.1);
        let mut found = false;
        follower.read_all(|commit| {
            found = true;
            state.fresh.add(commit.writes);
            Ok(())
        })?;
        state.end = (follower.end(), follower.next_number());
        log.moved_to(state.end.0, state.end.1)?;
        self.idle.renew(state.base);
        *self.published() = state;
        Ok(found)
    }

    /// Shows to readers what was committed.
    pub(crate) fn publish(&self, writes: Writes, log: &Log) {
        let mut published = self.published();
        published.fresh.add(writes);
        published.end = log.end();
        published.counted = self.watch.count();
    }

    /// Lets go of the pages of the map that reading made resident.
    /// They stay in the page cache, so looking again costs a minor fault; but a large mailbox read once does not count
    /// as ours for ever, and the kernel need not guess which pages matter on a small board.
    pub(crate) fn trim(&self) {
        let Some((start, length)) = *self.map.get_or_init(|| map_range(&self.path)) else { return };
        let Some(start) = NonNull::new(start as *mut c_void) else { return };
        // SAFETY: the range is LMDB's read-only shared mapping of its file, for the life of `env`.
        // `MADV_DONTNEED` on such a mapping drops page-table entries only; the next access reads the file.
        let _ = unsafe {
            nix::sys::mman::madvise(start, length, nix::sys::mman::MmapAdvise::MADV_DONTNEED)
        };
    }

    /// The LMDB data file.
    #[cfg(test)]
    pub(crate) fn data_file(&self) -> &Path {
        &self.path
    }
}
