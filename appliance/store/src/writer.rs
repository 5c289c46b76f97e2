//! The store's handle, and the one thread that writes: durable group commit.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::blob::{self, BlobReader, Spool};
use crate::env::{self, Access, Options, Shared, Space};
use crate::error::{Error, Result};
use crate::key::MessageId;
use crate::ledger::{Fate, LedgerRecord};
use crate::off_thread::off_thread;
use crate::read::{Content, Reader};
use crate::write::{self, Change, Changed, Collection, Delivered, Delivery, Maintained, Outcome, QueueOrder, Retention, Settlement, Updated, Work, Write};

/// Between two trials of a card that takes nothing.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// Longest wait for more writes to share a commit.
const GATHER_LIMIT: Duration = Duration::from_millis(3);
/// Longest time a ledger record that nobody waits for stays in memory.
const LAZY_LIMIT: Duration = Duration::from_secs(1);
/// How often resident pages of the map are let go while there is work.
const TRIM_INTERVAL: Duration = Duration::from_millis(20);
/// Most such records in memory; of a flood of refused attempts only the number of the rest is kept.
const LAZY_RECORDS: usize = 1024;

/// A handle on the store; clones share it. The last one dropped stops the writer after what was submitted.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    jobs: Mutex<Option<Sender<Job>>>,
    waiting: Arc<AtomicUsize>,
    lazy: Arc<Mutex<Lazy>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// Ledger records that nobody waits for.
#[derive(Default)]
struct Lazy {
    records: Vec<LedgerRecord>,
    dropped: u64,
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

struct Job {
    write: Write,
    reply: oneshot::Sender<Result<Outcome>>,
}

/// A write under way; its result comes after the commit.
#[must_use = "a write is only durable once its result has come"]
pub struct Pending<T> {
    reply: oneshot::Receiver<Result<Outcome>>,
    pick: fn(Outcome) -> Option<T>,
}

impl<T> Pending<T> {
    /// Waits in async code.
    pub async fn done(self) -> Result<T> {
        let outcome = self.reply.await.map_err(|_| Error::Closed)??;
        (self.pick)(outcome).ok_or(Error::Closed)
    }

    /// Waits on a thread that may block.
    pub fn wait(self) -> Result<T> {
        let outcome = self.reply.blocking_recv().map_err(|_| Error::Closed)??;
        (self.pick)(outcome).ok_or(Error::Closed)
    }
}

macro_rules! submit {
    ($store:ident, $variant:ident($value:expr) => $outcome:ident) => {
        Pending {
            reply: $store.submit(Write::$variant($value)),
            pick: |outcome| match outcome {
                Outcome::$outcome(value) => Some(value),
                _ => None,
            },
        }
    };
}

impl Store {
    /// Copies the tables of the store in `dir` below `to`, as they are at one moment, without migrating anything; also while
    /// a server runs there. Large messages in files are not copied. False: there is no store in `dir`.
    pub fn copy(dir: &Path, to: &Path) -> Result<bool> {
        crate::env::copy(dir, to)
    }

    /// Opens or creates the store below `dir`. A server also removes content files that a crash left behind.
    pub fn open(dir: &Path, access: Access, options: &Options) -> Result<Store> {
        let shared = Arc::new(env::open(dir, access, options)?);
        if access == Access::Server && !shared.medium.is_read_only {
            let txn = shared.env.read_txn().map_err(Error::lmdb("looking for orphans"))?;
            blob::sweep(&shared.blobs, |blob| {
                let row = shared.tables.blobs.get(&txn, &blob).map_err(Error::lmdb("looking for orphans"))?;
                Ok(row.is_some())
            })?;
        }
        let (jobs, queue) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let lazy = Arc::new(Mutex::new(Lazy::default()));
        let writer = Writer {
            shared: shared.clone(),
            queue,
            waiting: waiting.clone(),
            lazy: lazy.clone(),
            options: options.clone(),
            expected: 1,
            last_commit: Duration::ZERO,
            trimmed: Instant::now(),
            probed: Instant::now(),
        };
        let thread = std::thread::Builder::new().name("store-writer".into()).stack_size(512 * 1024);
        let thread = thread.spawn(move || writer.run()).map_err(Error::io("starting the writer for", dir))?;
        let inner = Inner { shared, jobs: Mutex::new(Some(jobs)), waiting, lazy, writer: Mutex::new(Some(thread)) };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// Reads one consistent view on this thread. May touch the disk: not for async threads.
    pub fn read<T>(&self, read: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
        read(&Reader::new(&self.inner.shared)?)
    }

    /// The same for async threads, which go on meanwhile. Needs a tokio runtime.
    pub async fn read_off_thread<T: Send + 'static>(&self, read: impl FnOnce(&Reader) -> Result<T> + Send + 'static) -> Result<T> {
        let store = self.clone();
        off_thread(move || store.read(read)).await
    }

    /// Begins to collect the content of a message.
    pub fn spool(&self) -> Spool {
        Spool::new(&self.inner.shared.blobs, self.inner.shared.reserve_octets)
    }

    /// Opens the file of a large content; `None` when it is small and inline.
    pub fn open_blob(&self, content: &Content) -> Result<Option<BlobReader>> {
        content.blob().map(|blob| BlobReader::open(&self.inner.shared, blob, content)).transpose()
    }

    /// The same, once it is known to be what was written. Reads all of it, unless that was done lately.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not, or is gone.
    pub fn open_whole_blob(&self, content: &Content) -> Result<Option<BlobReader>> {
        let shared = &self.inner.shared;
        if let Some(blob) = content.blob().filter(|blob| !shared.medium.is_known_whole(*blob, Instant::now())) {
            self.read_through(content)?;
            shared.medium.note_whole(blob, Instant::now());
        }
        self.open_blob(content)
    }

    /// Messages that were met since the start and are not what was stored.
    pub fn damaged(&self) -> Vec<MessageId> {
        self.inner.shared.medium.damaged()
    }

    /// Whether a message of `octets` can be taken on. Touches the disk lightly.
    pub fn space(&self, octets: u64) -> Space {
        self.inner.shared.space(octets)
    }

    /// Why nothing can be written at the moment, if so: reading goes on. Touches the disk lightly.
    pub fn unwritable(&self) -> Option<String> {
        self.inner.shared.medium.unwritable()
    }

    /// Waits until nothing can be done any more, not even read, before the store is opened anew. For one caller.
    pub async fn spent(&self) {
        self.inner.shared.medium.spent.notified().await;
    }

    /// Takes a message into mailboxes.
    pub fn deliver(&self, delivery: Delivery) -> Pending<Delivered> {
        submit!(self, Deliver(Box::new(delivery)) => Delivered)
    }

    /// Ends a POP3 session's changes; submit again while something remains.
    pub fn collect(&self, collection: Collection) -> Pending<Updated> {
        submit!(self, Collect(collection) => Updated)
    }

    /// Changes the directory.
    pub fn change(&self, change: Change) -> Pending<Changed> {
        submit!(self, Change(change) => Changed)
    }

    /// Writes what an attempt to deliver came to.
    pub fn settle(&self, settlement: Settlement) -> Pending<()> {
        Pending { reply: self.submit(Write::Settle(settlement)), pick: |outcome| matches!(outcome, Outcome::Settled).then_some(()) }
    }

    /// Carries out the owner's order for recipients in the queue; gives their number.
    pub fn order(&self, order: QueueOrder) -> Pending<usize> {
        submit!(self, Order(order) => Ordered)
    }

    /// One step of housekeeping.
    pub fn maintain(&self, retention: Retention) -> Pending<Maintained> {
        submit!(self, Maintain(retention) => Maintained)
    }

    /// Notes something in the ledger that nobody waits for: it is committed within about a second, with
    /// whatever else is written. Of a flood the first thousand of a second are kept, and the number of the rest.
    pub fn note(&self, record: LedgerRecord) {
        let mut lazy = self.inner.lazy.lock().unwrap_or_else(|e| e.into_inner());
        match lazy.records.len() < LAZY_RECORDS {
            true => lazy.records.push(record),
            false => lazy.dropped += 1,
        }
    }

    fn submit(&self, write: Write) -> oneshot::Receiver<Result<Outcome>> {
        let (reply, receiver) = oneshot::channel();
        let jobs = self.inner.jobs.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(jobs) = jobs.as_ref() {
            self.inner.waiting.fetch_add(1, Ordering::Relaxed);
            // A writer that is gone drops the reply: the caller then sees `Closed`.
            let _ = jobs.send(Job { write, reply });
        }
        receiver
    }

    /// Reads a whole content, wherever it lies, and compares its checksum.
    pub fn verify(&self, reader: &Reader, content: &Content) -> Result<()> {
        match content.blob() {
            Some(_) => self.read_through(content),
            None => reader.read_inline(content, &mut Vec::new()),
        }
    }

    /// Reads the file of a large content to its end.
    fn read_through(&self, content: &Content) -> Result<()> {
        let Some(mut file) = self.open_blob(content)? else { return Ok(()) };
        let mut piece = vec![0; 64 * 1024];
        while file.read(&mut piece)? > 0 {}
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(writer) = self.writer.lock().unwrap_or_else(|e| e.into_inner()).take() {
            // A panic in the writer was already reported by the panic hook.
            let _ = writer.join();
        }
    }
}

struct Writer {
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
    fn run(mut self) {
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
            return Err(Error::Unwritable { why: crate::medium::READ_ONLY.into() });
        }
        let mut released = Vec::new();
        let mut txn = self.shared.env.write_txn().map_err(Error::lmdb(doing))?;
        self.shared.allocate_ahead(writes.iter().map(|w| w.content_octets()).sum());
        let mut work = Work { tables: &self.shared.tables, txn: &mut txn, released: &mut released };
        let results = write::apply_all(writes, &mut work)?;
        txn.commit().map_err(Error::lmdb(doing))?;
        for blob in released {
            // A file that stays is an orphan and swept at the next start.
            let _ = std::fs::remove_file(blob::path(&self.shared.blobs, blob));
        }
        Ok(results)
    }
}
