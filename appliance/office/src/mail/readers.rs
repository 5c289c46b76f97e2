//! Where foreign and typed mail is taken apart: on two threads of its own, so that a letter that takes long keeps
//! neither the async threads nor mail's own reads waiting.
//! What nobody waits for any more is dropped; what takes too long is given up; people take turns, so that one who asks
//! for much waits for themselves.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use pillarbox_store::{AccountId, Card, Error, MessageId};
use tokio::sync::oneshot;

use super::marks::{Kind, Marks};

const THREADS: usize = 2;
/// Nothing that is read here goes deeper by what a sender wrote.
const STACK: usize = 1 << 20;
/// Readings that wait: of one person, and people with readings.
const WAITING: usize = 24;
const PEOPLE: usize = 64;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why something was not read.
#[derive(Debug)]
pub enum Unread {
    /// Too much is being read already.
    Busy,
    /// It took too long, or it is not waited for any more.
    GivenUp,
    /// It stopped the server once, or may have.
    Withheld,
    Store(Error),
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Unread::Store(error)
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unread::Busy => f.write_str("too many messages are being read at the same time"),
            Unread::GivenUp => f.write_str("reading the message took too long"),
            Unread::Withheld => {
                f.write_str("the message is not read because it stopped the server, or may have")
            }
            Unread::Store(error) => error.fmt(f),
        }
    }
}

/// What a reading may take; asked between its pieces.
pub struct Budget {
    is_wanted: Arc<AtomicBool>,
    until: Instant,
}

impl Budget {
    pub fn of(time: Duration) -> Budget {
        Budget { is_wanted: Arc::new(AtomicBool::new(true)), until: Instant::now() + time }
    }

    pub fn check(&self) -> Result<(), Unread> {
        match self.is_wanted.load(Ordering::Relaxed) && Instant::now() < self.until {
            true => Ok(()),
            false => Err(Unread::GivenUp),
        }
    }
}

/// Somebody who waits; when they go, so does what they wait for.
struct Waits(Arc<AtomicBool>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// The folder of the marks in a data folder.
pub fn folder(data: &Path) -> std::path::PathBuf {
    data.join("reading")
}

/// What waits, by whom it is for, whose turn it is in front.
#[derive(Default)]
struct Turns {
    waiting: VecDeque<(AccountId, VecDeque<Job>)>,
    /// Threads that work at it: none before the first reading, as a box on which no mail is read needs none.
    threads: usize,
    is_over: bool,
}

impl Turns {
    fn push(&mut self, account: AccountId, job: Job) -> Result<(), Unread> {
        let own = self.waiting.iter().position(|(known, _)| *known == account);
        match own {
            Some(at) if self.waiting[at].1.len() < WAITING => self.waiting[at].1.push_back(job),
            None if self.waiting.len() < PEOPLE => {
                self.waiting.push_back((account, VecDeque::from([job])))
            }
            _ => return Err(Unread::Busy),
        }
        Ok(())
    }

    /// The next one; whoever it is for has their next turn after all others.
    fn next(&mut self) -> Option<Job> {
        let (account, mut jobs) = self.waiting.pop_front()?;
        let job = jobs.pop_front();
        if !jobs.is_empty() {
            self.waiting.push_back((account, jobs));
        }
        job
    }
}

#[derive(Default)]
struct Queue {
    turns: Mutex<Turns>,
    bell: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Cards that are remembered: less than 300 KB.
const CARDS: usize = 500;

/// Cards of messages that are not in the index yet, so that a list which is shown again need not read them again; the
/// oldest goes first.
#[derive(Default)]
pub struct Cards(Mutex<VecDeque<(MessageId, Card)>>);

impl Cards {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(MessageId, Card)>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub fn get(&self, id: MessageId) -> Option<Card> {
        self.lock().iter().find(|(known, _)| *known == id).map(|(_, card)| card.clone())
    }

    pub fn keep(&self, id: MessageId, card: &Card) {
        let mut cards = self.lock();
        if cards.len() == CARDS {
            cards.pop_front();
        }
        cards.push_back((id, card.clone()));
    }
}

/// The threads, the marks, and what was read lately.
pub struct Readers {
    queue: Arc<Queue>,
    pub marks: Arc<Marks>,
    pub cards: Cards,
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.lock().is_over = true;
        self.queue.bell.notify_all();
    }
}

impl Readers {
    /// The threads end with this.
    /// `data` is the data folder.
    pub fn new(data: &Path) -> Readers {
        Readers {
            queue: Arc::default(),
            marks: Arc::new(Marks::open(&folder(data), env!("CARGO_PKG_VERSION"))),
            cards: Cards::default(),
        }
    }

    /// Gives a job to the threads, and starts them as long as there are too few.
    fn submit(&self, account: AccountId, job: Job) -> Result<(), Unread> {
        let mut turns = self.queue.lock();
        turns.push(account, job)?;
        if turns.threads < THREADS {
            let queue = self.queue.clone();
            match std::thread::Builder::new()
                .name("reading".into())
                .stack_size(STACK)
                .spawn(move || work(&queue))
            {
                Ok(_) => turns.threads += 1,
                Err(error) => {
                    tracing::error!(%error, "a thread that reads mail for the pages can't be started");
                    if turns.threads == 0 {
                        // Whoever waits learns that nothing comes of it.
                        turns.waiting.clear();
                    }
                }
            }
        }
        self.queue.bell.notify_one();
        Ok(())
    }

    /// Reads a stored message for somebody, unless it is one that must not be read.
    pub async fn message<T: Send + 'static>(
        &self,
        account: AccountId,
        id: MessageId,
        read: impl FnOnce(&Budget) -> Result<T, Unread> + Send + 'static,
    ) -> Result<T, Unread> {
        self.messages(account, vec![id], read).await
    }

    /// The same for several; none of them may be withheld.
    pub async fn messages<T: Send + 'static>(
        &self,
        account: AccountId,
        ids: Vec<MessageId>,
        read: impl FnOnce(&Budget) -> Result<T, Unread> + Send + 'static,
    ) -> Result<T, Unread> {
        if ids.iter().any(|id| self.marks.is_withheld(*id)) {
            return Err(Unread::Withheld);
        }
        let marks = self.marks.clone();
        self.run(account, move |budget| {
            let _mark = marks.set(Kind::Page, &ids);
            read(budget)
        })
        .await
    }

    /// Reads what somebody typed or sent to a page.
    pub async fn run<T: Send + 'static>(
        &self,
        account: AccountId,
        read: impl FnOnce(&Budget) -> Result<T, Unread> + Send + 'static,
    ) -> Result<T, Unread> {
        let (give, take) = oneshot::channel();
        let is_wanted = Arc::new(AtomicBool::new(true));
        let _waits = Waits(is_wanted.clone());
        let job = move || {
            let budget = Budget { is_wanted, until: Instant::now() + PATIENCE };
            if budget.check().is_ok() {
                // Nobody there any more is no failure.
                let _ = give.send(read(&budget));
            }
        };
        self.submit(account, Box::new(job))?;
        take.await.unwrap_or(Err(Unread::GivenUp))
    }
}

fn work(queue: &Queue) {
    loop {
        let mut turns = queue.lock();
        let job = loop {
            if turns.is_over {
                return;
            }
            match turns.next() {
                Some(job) => break job,
                None => turns = queue.bell.wait(turns).unwrap_or_else(|e| e.into_inner()),
            }
        };
        drop(turns);
        job();
    }
}

#[cfg(test)]
mod tests {
    use pillarbox_vocabulary::Timestamp;

    use super::*;

    const ANN: AccountId = AccountId(1);
    const BOB: AccountId = AccountId(2);

    #[test]
    fn cards_are_remembered_within_bounds() {
        let cards = Cards::default();
        (0..CARDS as u64 + 1).for_each(|n| {
            cards.keep(MessageId(n), &Card { date: Timestamp(n), ..Card::default() })
        });
        assert_eq!(
            (
                cards.get(MessageId(0)),
                cards.get(MessageId(7)).map(|card| card.date),
                cards.lock().len()
            ),
            (None, Some(Timestamp(7)), CARDS)
        );
    }

    #[test]
    fn people_take_turns_and_nobody_fills_the_queue() {
        let mut turns = Turns::default();
        let order = Arc::new(Mutex::new(String::new()));
        let job = |name: &'static str| {
            let order = order.clone();
            Box::new(move || order.lock().unwrap().push_str(name)) as Job
        };
        (0..WAITING).for_each(|_| turns.push(ANN, job("a")).unwrap());
        assert!(matches!(turns.push(ANN, job("a")), Err(Unread::Busy)));
        (0..2).for_each(|_| turns.push(BOB, job("b")).unwrap());
        turns.push(AccountId(3), job("c")).unwrap();
        while let Some(job) = turns.next() {
            job();
        }
        let order = order.lock().unwrap();
        assert!(order.starts_with("abcabaaa") && order.len() == WAITING + 3, "{order}");
        let many = (0..PEOPLE as u32 + 1)
            .map(|n| turns.push(AccountId(n), job("x")).is_ok())
            .filter(|is| *is)
            .count();
        assert_eq!(many, PEOPLE);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_takes_long_holds_up_two_threads_and_no_others_and_ends_when_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let readers = Arc::new(Readers::new(dir.path()));
        let (begun, mut begins) = tokio::sync::mpsc::channel(THREADS);
        let (ended, mut ends) = tokio::sync::mpsc::channel(THREADS);
        let endless = |begun: tokio::sync::mpsc::Sender<()>,
                       ended: tokio::sync::mpsc::Sender<()>| {
            move |budget: &Budget| {
                begun.blocking_send(()).unwrap();
                while budget.check().is_ok() {
                    std::thread::yield_now();
                }
                ended.blocking_send(()).unwrap();
                Ok(())
            }
        };
        let mut waiting = Vec::new();
        for _ in 0..THREADS {
            let (readers, job) = (readers.clone(), endless(begun.clone(), ended.clone()));
            waiting
                .push(tokio::spawn(async move { readers.message(ANN, MessageId(1), job).await }));
            begins.recv().await.unwrap();
        }
        // Blocking threads of others are free, and the queue of this one has an end.
        assert_eq!(tokio::task::spawn_blocking(|| 5).await.unwrap(), 5);
        let mut queued: Vec<_> =
            (0..WAITING).map(|_| Box::pin(readers.run(ANN, |_| Ok(())))).collect();
        for one in &mut queued {
            assert!(futures_poll(one).is_none());
        }
        assert!(matches!(readers.run(ANN, |_| Ok(())).await, Err(Unread::Busy)));
        let mut other = Box::pin(readers.run(BOB, |_| Ok(())));
        assert!(futures_poll(&mut other).is_none(), "it waits for its turn");
        drop(other);
        drop(queued);
        // The browsers go away: the work ends.
        waiting.iter().for_each(|task| task.abort());
        for _ in 0..THREADS {
            ends.recv().await.unwrap();
        }
        // What was not waited for was not begun, and there is room again.
        let mut answer = readers.run(ANN, |_| Ok(7)).await;
        while matches!(answer, Err(Unread::Busy)) {
            tokio::task::yield_now().await;
            answer = readers.run(ANN, |_| Ok(7)).await;
        }
        assert!(matches!(answer, Ok(7)));
    }

    /// Polls a future once.
    fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        match std::pin::Pin::new(future)
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
        {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }
}
