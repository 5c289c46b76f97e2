//! The one thread that writes: durable group commit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::content::spool;
use crate::engine::environment::{Options, Shared, Space};
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ledger::{Fate, LedgerRecord};
use crate::orders::{Outcome, Write, apply_all};

/// Between two trials of a card that takes nothing.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// Longest wait for more writes to share a commit.
const GATHER_LIMIT: Duration = Duration::from_millis(3);

/// Longest time a ledger record that nobody waits for stays in memory.
const LAZY_LIMIT: Duration = Duration::from_secs(1);

/// How often resident pages of the map are let go while there is work.
const TRIM_INTERVAL: Duration = Duration::from_millis(20);

/// Most such records in memory; of a flood of refused attempts only the number of the rest is kept.
pub(crate) const LAZY_RECORDS: usize = 1024;

/// Ledger records that nobody waits for.
#[derive(Default)]
pub(crate) struct Lazy {
    pub records: Vec<LedgerRecord>,
    pub dropped: u64,
}

impl Lazy {
    /// The records, and one that tells of those there was no room for.
    fn into_records(mut self) -> Vec<LedgerRecord> {
        if let Some(last) = self.records.last().filter(|_| self.dropped > 0) {
            let detail = format!("{} more refusals within a second were not written down", self.dropped);
            let summary = LedgerRecord { detail, ..LedgerRecord::new(last.at, Fate::Refused, last.code) };
            self.records.push(summary);
        }
        self.records
    }
}

pub(crate) struct Job {
    pub write: Write,
    pub reply: oneshot::Sender<Result<Outcome>>,
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    queue: Receiver<Job>,
    waiting: Arc<AtomicUsize>,
    lazy: Arc<Mutex<Lazy>>,
    options: Options,
    /// How many writes the next commit can hope for: the last batch and what queued behind it.
    expected: usize,
    last_commit: Duration,
    trimmed: Instant,
    /// When a card that took nothing was tried last.
    probed: Instant,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, queue: Receiver<Job>, waiting: Arc<AtomicUsize>, lazy: Arc<Mutex<Lazy>>, options: Options) -> Writer {
        let now = Instant::now();
        Writer { shared, queue, waiting, lazy, options, expected: 1, last_commit: Duration::ZERO, trimmed: now, probed: now }
    }

    /// Works until the last handle on the store is gone.
    pub fn run(mut self) {
        loop {
            match self.queue.recv_timeout(LAZY_LIMIT) {
                Ok(first) => {
                    let batch = self.gather(first);
                    self.commit(batch);
                }
                Err(RecvTimeoutError::Timeout) => self.commit(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => return self.commit(Vec::new()),
            }
            if self.trimmed.elapsed() >= TRIM_INTERVAL {
                self.shared.trim();
                self.trimmed = Instant::now();
            }
        }
    }

    /// Collects what is waiting. When the last commits had company, waits a moment for it: writers that were
    /// just answered come back within a few round trips, and one flush for all is worth more than a head start.
    fn gather(&self, first: Job) -> Vec<Job> {
        let deadline = Instant::now() + GATHER_LIMIT.min(self.last_commit);
        let mut octets = first.write.content_octets();
        let mut closed = first.write.frees_much();
        let mut batch = vec![first];
        while !closed && batch.len() < self.options.batch_writes && octets < self.options.batch_octets {
            let next = match self.queue.try_recv() {
                Ok(job) => job,
                Err(_) if batch.len() >= self.expected => break,
                Err(_) => {
                    let patience = deadline.saturating_duration_since(Instant::now());
                    match self.queue.recv_timeout(patience) {
                        Ok(job) => job,
                        Err(_) => break,
                    }
                }
            };
            octets += next.write.content_octets();
            closed = next.write.frees_much();
            batch.push(next);
        }
        batch
    }

    fn commit(&mut self, mut batch: Vec<Job>) {
        let lazy = std::mem::take(&mut *self.lazy.lock().unwrap_or_else(|e| e.into_inner())).into_records();
        if !lazy.is_empty() {
            // Nobody waits for the answer.
            let (reply, _) = oneshot::channel();
            self.waiting.fetch_add(1, Ordering::Relaxed);
            batch.push(Job { write: Write::Record(lazy), reply });
        }
        if batch.is_empty() {
            match self.shared.medium.is_writable() {
                true if self.shared.space(0) == Space::Enough => self.shared.reserve.refill(),
                true => {}
                false => self.probe(),
            }
            return;
        }
        let size = batch.len();
        let begun = Instant::now();
        let batch = self.with_room(batch);
        if !batch.is_empty() {
            self.write_all(batch);
        }
        self.last_commit = begun.elapsed();
        let queued = self.waiting.fetch_sub(size, Ordering::Relaxed).saturating_sub(size);
        self.expected = (size + queued).min(self.options.batch_writes);
    }

    /// Tries now and then whether the card takes something again: nobody else does while it is known that it does not.
    fn probe(&mut self) {
        if self.shared.medium.is_read_only || self.probed.elapsed() < PROBE_INTERVAL {
            return;
        }
        self.probed = Instant::now();
        let doing = "trying whether the card can be written";
        let write = || {
            let mut txn = self.shared.env.write_txn().map_err(Error::lmdb(doing))?;
            // A commit without a change would write nothing.
            self.shared.tables.meta.put(&mut txn, "probe", b"").map_err(Error::lmdb(doing))?;
            txn.commit().map_err(Error::lmdb(doing))
        };
        self.shared.medium.note_commit(&write());
    }

    /// Refuses what only adds when there is no room for it. Looked at before each commit: a burst of mail fills a disk within
    /// a second.
    fn with_room(&self, batch: Vec<Job>) -> Vec<Job> {
        let octets: usize = batch.iter().map(|job| job.write.content_octets()).sum();
        let growing = batch.iter().filter(|job| job.write.grows()).count() as u64;
        if growing == 0 || self.shared.has_room_for_commit(octets as u64, growing) {
            return batch;
        }
        let (refused, taken): (Vec<Job>, Vec<Job>) = batch.into_iter().partition(|job| job.write.grows());
        // Whoever asked may be gone.
        refused.into_iter().for_each(|job| drop(job.reply.send(Err(Error::Full))));
        taken
    }

    /// One transaction for all; if it fails as a whole, one for each, so that a single bad or oversized
    /// write can't fail its neighbours.
    fn write_all(&self, batch: Vec<Job>) {
        let writes: Vec<&Write> = batch.iter().map(|job| &job.write).collect();
        let result = self.transact(&writes);
        self.shared.medium.note_commit(&result);
        match result {
            // There is no room at all: what was kept back for this is let go, once.
            Err(Error::Full) if !writes.iter().any(|write| write.grows()) && self.shared.reserve.release() => self.write_all(batch),
            Ok(results) => {
                for (job, result) in batch.into_iter().zip(results) {
                    if result.is_ok() {
                        job.write.keep();
                    }
                    // The one who asked may be gone.
                    let _ = job.reply.send(result);
                }
            }
            Err(_) if batch.len() > 1 => batch.into_iter().for_each(|job| self.write_all(vec![job])),
            Err(error) => {
                if let Some(job) = batch.into_iter().next() {
                    let _ = job.reply.send(Err(error));
                }
            }
        }
    }

    /// Applies writes and commits. An `Err` means that nothing at all was changed.
    fn transact(&self, writes: &[&Write]) -> Result<Vec<Result<Outcome>>> {
        let doing = "committing";
        if self.shared.medium.is_read_only {
            return Err(Error::Unwritable { why: crate::engine::medium::READ_ONLY.into() });
        }
        let mut released = Vec::new();
        let mut txn = self.shared.env.write_txn().map_err(Error::lmdb(doing))?;
        self.shared.allocate_ahead(writes.iter().map(|w| w.content_octets()).sum());
        let mut work = Work { tables: &self.shared.tables, txn: &mut txn, released: &mut released };
        let results = apply_all(writes, &mut work)?;
        txn.commit().map_err(Error::lmdb(doing))?;
        for blob in released {
            // A file that stays is an orphan and swept at the next start.
            let _ = std::fs::remove_file(spool::path(&self.shared.blobs, blob));
        }
        Ok(results)
    }
}
