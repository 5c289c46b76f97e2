//! The one thread that writes: durable group commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::content::spool;
use crate::engine::change::{Task, apply_all};
use crate::engine::journal::log::Log;
use crate::engine::keeper::FOLD_OCTETS;
use crate::engine::limits::Space;
use crate::engine::notices::Notice;
use crate::engine::options::{Access, Options};
use crate::engine::shared::Shared;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::BlobId;

/// Between two trials of a card that takes nothing.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// Longest wait for more writes to share a commit.
const GATHER_LIMIT: Duration = Duration::from_millis(8);

/// Longest time a change that is not waited for stays in memory.
const LAZY_LIMIT: Duration = Duration::from_secs(1);

/// How often resident pages of the map are let go while there is work.
const TRIM_INTERVAL: Duration = Duration::from_millis(20);

/// Longest wait for a fold that is under way.
const FOLD_PATIENCE: Duration = Duration::from_secs(20);

/// Gives what is not waited for: it goes along with the next commit.
pub(crate) type Lazy = Box<dyn FnMut() -> Option<Box<dyn Task>> + Send>;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    queue: Receiver<Box<dyn Task>>,
    waiting: Arc<AtomicUsize>,
    /// What is not waited for, if there is any.
    lazy: Lazy,
    options: Options,
    /// How many writes the next commit can hope for: the last batch and what queued behind it.
    expected: usize,
    /// How long commits take: a mean in which the last ones weigh most.
    /// A card often takes some in no time and then has one wait for all of them.
    usual_commit: Duration,
    trimmed: Instant,
    /// When a card that took nothing was tried last.
    probed: Instant,
    /// The number of the last commit that was reported.
    known: u64,
}

impl Writer {
    pub fn new(
        shared: Arc<Shared>,
        queue: Receiver<Box<dyn Task>>,
        waiting: Arc<AtomicUsize>,
        lazy: Lazy,
        options: Options,
    ) -> Writer {
        let (now, known) = (Instant::now(), shared.last_commit());
        Writer {
            shared,
            queue,
            waiting,
            lazy,
            options,
            expected: 1,
            usual_commit: Duration::ZERO,
            trimmed: now,
            probed: now,
            known,
        }
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
            self.look_elsewhere();
            if self.trimmed.elapsed() >= TRIM_INTERVAL {
                self.shared.trim();
                self.trimmed = Instant::now();
            }
        }
    }

    /// Reports commits of other processes.
    /// The writer comes by at least once a second.
    fn look_elsewhere(&mut self) {
        // What can't be read now is read with the next commit.
        let _ = self.shared.catch_up(&mut self.shared.log());
        let last = self.shared.last_commit();
        if last != self.known {
            self.shared.listeners.tell(&[Notice::Anywhere]);
            self.known = last;
        }
    }

    /// A commit of our own.
    /// Where others came in between, that is reported, too.
    fn note_own_commit(&mut self, number: u64) {
        if number != self.known + 1 {
            self.shared.listeners.tell(&[Notice::Anywhere]);
        }
        self.known = number;
    }

    /// Collects what is waiting.
    /// When the last commits had company, waits for it, at most half as long as a commit takes: writers that were just
    /// answered come back within a few round trips, and one flush for all is worth more than a head start.
    fn gather(&self, first: Box<dyn Task>) -> Vec<Box<dyn Task>> {
        let deadline = Instant::now() + GATHER_LIMIT.min(self.usual_commit / 2);
        let mut octets = first.content_octets();
        let mut closed = first.frees_much();
        let mut batch = vec![first];
        while !closed
            && batch.len() < self.options.batch_writes
            && octets < self.options.batch_octets
        {
            let next = match self.queue.try_recv() {
                Ok(task) => task,
                Err(_) if batch.len() >= self.expected => break,
                Err(_) => {
                    let patience = deadline.saturating_duration_since(Instant::now());
                    match self.queue.recv_timeout(patience) {
                        Ok(task) => task,
                        Err(_) => break,
                    }
                }
            };
            octets += next.content_octets();
            closed = next.frees_much();
            batch.push(next);
        }
        batch
    }

    fn commit(&mut self, mut batch: Vec<Box<dyn Task>>) {
        if let Some(lazy) = (self.lazy)() {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            batch.push(lazy);
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
        self.usual_commit = (self.usual_commit * 7 + begun.elapsed()) / 8;
        let queued = self.waiting.fetch_sub(size, Ordering::Relaxed).saturating_sub(size);
        self.expected = (size + queued).min(self.options.batch_writes);
    }

    /// Tries now and then whether the card takes something again: nothing else does while it is known that it does not.
    fn probe(&mut self) {
        if self.shared.medium.is_read_only || self.probed.elapsed() < PROBE_INTERVAL {
            return;
        }
        self.probed = Instant::now();
        let doing = "trying whether the card can be written";
        // A commit without a change would write nothing.
        let result = self.shared.transact(|work| {
            work.tables.meta.put(work.txn, "probe", b"").map_err(Error::lmdb(doing))
        });
        self.shared.medium.note_commit(&result);
        result
            .into_iter()
            .filter_map(|(number, _)| number)
            .for_each(|number| self.note_own_commit(number));
    }

    /// Refuses what only adds when there is no room for it.
    /// Looked at before each commit: a burst of mail fills a disk within a second.
    fn with_room(&self, batch: Vec<Box<dyn Task>>) -> Vec<Box<dyn Task>> {
        let octets: usize = batch.iter().map(|task| task.content_octets()).sum();
        let growing = batch.iter().filter(|task| task.grows()).count() as u64;
        if growing == 0 || self.shared.has_room_for_commit(octets as u64, growing) {
            return batch;
        }
        self.shared.bell.press();
        let (refused, taken): (Vec<_>, Vec<_>) = batch.into_iter().partition(|task| task.grows());
        refused.into_iter().for_each(|task| task.fail(Error::Full));
        taken
    }

    /// One transaction for all; if it fails as a whole, one for each, so that a single bad or oversized write can't
    /// fail its neighbours.
    fn write_all(&mut self, mut batch: Vec<Box<dyn Task>>) {
        let result = self.transact(&mut batch);
        self.shared.medium.note_commit(&result);
        match result {
            // There is no room at all: what was kept back for this is let go, once.
            Err(Error::Full)
                if !batch.iter().any(|task| task.grows()) && self.shared.reserve.release() =>
            {
                self.write_all(batch)
            }
            Ok(()) => batch.into_iter().for_each(|task| task.answer()),
            Err(_) if batch.len() > 1 => {
                batch.into_iter().for_each(|task| self.write_all(vec![task]))
            }
            Err(error) => {
                if let Some(task) = batch.into_iter().next() {
                    task.fail(error);
                }
            }
        }
    }

    /// Applies writes and commits.
    /// An `Err` means that nothing at all was changed.
    fn transact(&mut self, batch: &mut [Box<dyn Task>]) -> Result<()> {
        let shared = self.shared.clone();
        let (number, (released, notices)) = shared.transact(|work| apply_all(batch, work))?;
        number.into_iter().for_each(|number| self.note_own_commit(number));
        shared.listeners.tell(&notices);
        for blob in released {
            // A file that stays is an orphan and swept at the next start.
            let _ = std::fs::remove_file(spool::path(&shared.blobs, blob));
        }
        Ok(())
    }
}

/// What is to be done after a commit: content files to remove, notices to give.
type After = (Vec<BlobId>, Vec<Notice>);

impl Shared {
    /// Holds the writer back while rows come faster than they are folded: memory is bounded.
    ///
    /// # Errors
    /// [`Error::Busy`] when that takes too long.
    fn wait_for_room(&self) -> Result<()> {
        let is_full = || {
            let published = self.published();
            published.fresh.octets() >= FOLD_OCTETS && published.frozen.is_some()
        };
        if !is_full() || self.bell.wait_while(FOLD_PATIENCE, is_full) {
            Ok(())
        } else {
            Err(Error::Busy)
        }
    }

    /// Wakes the keeper when enough has gathered.
    fn wake_keeper(&self) {
        if self.published().fresh.octets() >= FOLD_OCTETS {
            self.bell.ring();
        }
    }

    /// One transaction: its writes are on stable storage and readers see them, or nothing was changed.
    /// Gives the commit's number, none when nothing was written, and what is to be done afterwards.
    pub(crate) fn transact(
        &self,
        apply: impl FnOnce(&mut Work) -> Result<()>,
    ) -> Result<(Option<u64>, After)> {
        self.medium.refuse()?;
        self.wait_for_room()?;
        let mut log = self.log();
        log.lock()?;
        let result = self.transact_in(&mut log, apply);
        if result.is_err() {
            log.abandon();
        }
        log.unlock();
        drop(log);
        self.wake_keeper();
        result
    }

    fn transact_in(
        &self,
        log: &mut Log,
        apply: impl FnOnce(&mut Work) -> Result<()>,
    ) -> Result<(Option<u64>, After)> {
        let mut view = self.view_with(log)?;
        let mut work = Work::new(&self.tables, &mut view, log, self.listeners.are_there());
        apply(&mut work)?;
        let after = work.finish();
        let writes = view.into_writes();
        if writes.is_empty() {
            log.abandon();
            return Ok((None, after));
        }
        let number = log.commit(&writes)?;
        if self.access == Access::Tool {
            log.count_own()?;
        }
        self.publish(writes, log);
        Ok((Some(number), after))
    }
}
