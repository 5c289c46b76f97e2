//! The store's handle.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::content::read::Content;
use crate::content::spool;
use crate::content::spool::Spool;
use crate::content::stream::ContentReader;
use crate::engine::change::{Change, Task, task};
use crate::engine::environment;
use crate::engine::journal::longest_content;
use crate::engine::keeper::Keeper;
use crate::engine::limits::Space;
use crate::engine::notices::Listener;
use crate::engine::options::{Access, Options, Recovered};
use crate::engine::reader::Reader;
use crate::engine::shared::Shared;
use crate::engine::writer::Writer;
use crate::error::{Error, Result};
use crate::ids::MessageId;
use crate::index;
use crate::ledger::LedgerRecord;
use crate::ledger::write::Notes;
use crate::mailbox::deliver::{Deliver, Delivered, Delivery};
use crate::off_thread::off_thread;
use crate::queue::settle::{Settle, Settlement};

/// A handle on the store; clones share it.
/// The last one dropped stops the writer after what was submitted.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    tasks: Mutex<Option<Sender<Box<dyn Task>>>>,
    waiting: Arc<AtomicUsize>,
    asked: AtomicU64,
    notes: Arc<Mutex<Notes>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Of a server.
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// How busy the writer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Writes that somebody waits for at this moment.
    pub waiting: usize,
    /// Writes that were asked for since the start.
    pub asked: u64,
}

/// A write under way; its result comes after the commit.
#[must_use = "a write is only durable once its result has come"]
pub struct Pending<T> {
    reply: oneshot::Receiver<Result<T>>,
}

impl<T> Pending<T> {
    /// Waits in async code.
    ///
    /// # Errors
    /// [`Error::Closed`] when the writer stopped before; else what the change says.
    pub async fn done(self) -> Result<T> {
        self.reply.await.map_err(|_| Error::Closed)?
    }

    /// Waits on a thread that may block.
    /// Errors as with [`Pending::done`].
    pub fn wait(self) -> Result<T> {
        self.reply.blocking_recv().map_err(|_| Error::Closed)?
    }
}

impl Store {
    /// Copies the tables of the store in `dir` below `to`, as they are at one moment, without migrating anything; also
    /// while a server runs there.
    /// Large messages in files are not copied.
    /// False: there is no store in `dir`.
    pub fn copy(dir: &Path, to: &Path) -> Result<bool> {
        environment::copy(dir, to)
    }

    /// Opens or creates the store below `dir`.
    /// A server also removes content files that a crash left behind.
    pub fn open(dir: &Path, access: Access, options: &Options) -> Result<Store> {
        let (shared, anchor) = environment::open(dir, access, options)?;
        let shared = Arc::new(shared);
        if access == Access::Server && !shared.medium.is_read_only {
            let view = shared.view()?;
            spool::sweep(&shared.blobs, |blob| {
                let row = shared
                    .tables
                    .content
                    .blobs
                    .get(&view, &blob)
                    .map_err(Error::lmdb("looking for orphans"))?;
                Ok(row.is_some())
            })?;
            index::files::sweep(&shared, &view)?;
        }
        let (tasks, queue) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let notes = Arc::new(Mutex::new(Notes::default()));
        let lazy = {
            let notes = notes.clone();
            Box::new(move || {
                notes
                    .lock()
                    .unwrap_or_else(|e| e.into_inner())
                    .take()
                    .map(|append| task(append, oneshot::channel().0))
            })
        };
        let writer = Writer::new(shared.clone(), queue, waiting.clone(), lazy, options.clone());
        let thread = std::thread::Builder::new().name("store-writer".into()).stack_size(512 * 1024);
        let thread = thread
            .spawn(move || writer.run())
            .map_err(Error::io("starting the writer for", dir))?;
        let keeper = anchor.map(|anchor| Keeper::new(shared.clone(), anchor)).map(|keeper| {
            let thread =
                std::thread::Builder::new().name("store-keeper".into()).stack_size(512 * 1024);
            thread.spawn(move || keeper.run()).map_err(Error::io("starting the keeper for", dir))
        });
        let keeper = Mutex::new(keeper.transpose()?);
        let inner = Inner {
            shared,
            keeper,
            tasks: Mutex::new(Some(tasks)),
            waiting,
            asked: AtomicU64::new(0),
            notes,
            writer: Mutex::new(Some(thread)),
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// Reads one consistent view on this thread.
    /// May touch the disk: not for async threads.
    pub fn read<T>(&self, read: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
        read(&Reader::new(&self.inner.shared)?)
    }

    /// The same for async threads, which go on meanwhile.
    /// Needs a tokio runtime.
    pub async fn read_off_thread<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        off_thread(move || store.read(read)).await
    }

    /// Begins to collect the content of a message.
    pub fn spool(&self) -> Spool {
        let shared = &self.inner.shared;
        Spool::new(
            &shared.blobs,
            shared.reserve_octets,
            longest_content(shared.segment_octets()),
            shared.large.share(),
        )
    }

    /// Opens a large content to read it in pieces; `None` when it is to be read as a whole, by [`Reader::read_inline`].
    pub fn open_large(&self, content: &Content) -> Result<Option<ContentReader>> {
        ContentReader::open(&self.inner.shared, content)
    }

    /// The same, once it is known to be what was written.
    /// Reads all of it, unless that was done lately.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not, or is gone.
    pub fn open_whole(&self, content: &Content) -> Result<Option<ContentReader>> {
        let medium = &self.inner.shared.medium;
        let Some(reader) = self.open_large(content)? else { return Ok(None) };
        if medium.is_known_whole(content.message, Instant::now()) {
            return Ok(Some(reader));
        }
        reader.read_through()?;
        medium.note_whole(content.message, Instant::now());
        self.open_large(content)
    }

    /// What this start found in the journal.
    pub fn recovered(&self) -> &Recovered {
        &self.inner.shared.recovered
    }

    /// Messages that were met since the start and are not what was stored.
    pub fn damaged(&self) -> Vec<MessageId> {
        self.inner.shared.medium.damaged()
    }

    /// Whether a message of `octets` can be taken on.
    /// Touches the disk lightly.
    pub fn space(&self, octets: u64) -> Space {
        self.inner.shared.space(octets)
    }

    /// Why nothing can be written at the moment, if so: reading goes on.
    /// Touches the disk lightly.
    pub fn unwritable(&self) -> Option<String> {
        self.inner.shared.medium.unwritable()
    }

    /// From now on every write fails with this; `None`: no longer.
    #[cfg(feature = "world")]
    pub fn break_writes(&self, fault: Option<fn() -> Error>) {
        *self.inner.shared.medium.fault.lock().unwrap_or_else(|e| e.into_inner()) = fault;
    }

    /// Begins to listen: what changes is reported after the commit that made it durable; commits of other processes
    /// within about a second, as [`Notice::Anywhere`].
    pub fn notices(&self) -> Listener {
        self.inner.shared.listeners.add()
    }

    /// Waits until nothing can be done any more, not even read, before the store is opened anew.
    /// For one caller.
    pub async fn spent(&self) {
        self.inner.shared.medium.spent.notified().await;
    }

    /// Takes a message into mailboxes.
    pub fn deliver(&self, delivery: Delivery) -> Pending<Delivered> {
        self.change(Deliver::new(delivery))
    }

    /// Writes what an attempt to deliver came to.
    pub fn settle(&self, settlement: Settlement) -> Pending<()> {
        self.change(Settle::new(settlement))
    }

    /// Changes something; each change says what it gives.
    /// It shares a commit with whatever else is written at that moment.
    pub fn change<C: Change>(&self, change: C) -> Pending<C::Outcome> {
        let (reply, receiver) = oneshot::channel();
        let tasks = self.inner.tasks.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(tasks) = tasks.as_ref() {
            self.inner.waiting.fetch_add(1, Ordering::Relaxed);
            self.inner.asked.fetch_add(1, Ordering::Relaxed);
            // A writer that is gone drops the reply: the caller then sees `Closed`.
            let _ = tasks.send(task(change, reply));
        }
        Pending { reply: receiver }
    }

    /// How busy the writer is, for work that can wait.
    pub fn load(&self) -> Load {
        Load {
            waiting: self.inner.waiting.load(Ordering::Relaxed),
            asked: self.inner.asked.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Notes something in the ledger that nobody waits for: it is committed within about a second, with whatever else
    /// is written.
    /// Of a flood the first thousand of a second are kept, and the number of the rest.
    pub fn note(&self, record: LedgerRecord) {
        self.inner.notes.lock().unwrap_or_else(|e| e.into_inner()).add(record);
    }

    /// Reads a whole content, wherever it is, and compares its checksum.
    pub fn verify(&self, reader: &Reader, content: &Content) -> Result<()> {
        match self.open_large(content)? {
            Some(large) => large.read_through(),
            None => reader.read_inline(content, &mut Vec::new()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(writer) = self.writer.lock().unwrap_or_else(|e| e.into_inner()).take() {
            // A panic in the writer was already reported by the panic hook.
            let _ = writer.join();
        }
        if let Some(keeper) = self.keeper.lock().unwrap_or_else(|e| e.into_inner()).take() {
            self.shared.bell.close();
            let _ = keeper.join();
        }
        self.shared.listeners.close();
    }
}
