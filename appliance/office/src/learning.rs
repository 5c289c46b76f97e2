//! What the box learns of what people call wanted and unwanted.
//!
//! Whoever marks a message as junk, takes one out of Junk or answers one teaches the box. What is learned is kept as
//! numbers made of the message (`filter::content`), by message, and outlives it. Where more was called unwanted than
//! wanted, messages that were read and kept count as wanted: few people ever say so.
//! A model is made of all lessons, at the start and when there are new ones, within a share of the time.

mod lessons;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use lessons::{Known, taught};
use pillarbox_filter::content::{self, Content, Features, Label, Model};
use pillarbox_platform::clock;
use pillarbox_platform::tasks::Tasks;
use pillarbox_store::{Error, Lesson, MessageId, PutLessons, Result, Space, Store, off_thread};
use pillarbox_vocabulary::Timestamp;

use crate::mail::marks::Kind;
use crate::mail::readers::{Budget, Readers};
use crate::mail::reading;

/// Messages that are learned from at a time.
const BATCH: usize = 40;
/// How long a message may be read.
const TIME: Duration = Duration::from_secs(10);
/// A message that was read and not thrown away within this time was wanted.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Between two looks for such messages, and how many of a person's newest are looked at.
const LOOK: Duration = Duration::from_secs(3600);
const NEWEST: usize = 200;
/// Making a model takes one part of so many of the time.
const SHARE: u32 = 20;
/// Octets of room that a batch needs at most.
const ROOM: u64 = 4 << 20;
/// Octets of the front of a message.
const FRONT: usize = 16 * 1024;

/// The model in use; `None` inside: too little was learned.
#[derive(Clone, Default)]
pub struct Learned(Arc<RwLock<Option<Arc<Model>>>>);

impl Learned {
    pub fn model(&self) -> Option<Arc<Model>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, model: Option<Model>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = model.map(Arc::new);
    }
}

/// Messages that were learned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub wanted: usize,
    pub unwanted: usize,
}

impl Counts {
    /// How many more of either are needed before the box judges by what it learned.
    pub fn missing(&self) -> usize {
        let fewest = content::FEWEST as usize;
        fewest.saturating_sub(self.wanted) + fewest.saturating_sub(self.unwanted)
    }
}

/// Learns.
pub struct Learning {
    pub learned: Learned,
    store: Store,
    readers: Arc<Readers>,
    /// Held for a whole round, which takes as long as messages are read and a model is made.
    state: Mutex<State>,
    /// For whoever asks meanwhile.
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct State {
    /// None: they were not read yet.
    known: Option<Known>,
    /// There are lessons that the model does not know.
    is_stale: bool,
    /// Until then no model is made.
    rests_until: Option<Instant>,
    /// Writes that were asked of the store when all was learned from, and when kept messages were looked for.
    seen: Option<u64>,
    looked: Option<Instant>,
}

impl Learning {
    pub fn new(store: Store, readers: Arc<Readers>) -> Learning {
        let (learned, state, counts) = (Learned::default(), Mutex::default(), Mutex::default());
        Learning { learned, store, readers, state, counts }
    }

    /// What was learned from so far.
    pub fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns from what is new; blocks.
    fn round(&self, now: Timestamp, is_over: &dyn Fn() -> bool) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.advance(&mut state, now, is_over);
        if outcome.is_err() {
            // What was noted may not have been kept: the store knows.
            state.known = None;
        }
        outcome
    }

    fn advance(&self, state: &mut State, now: Timestamp, is_over: &dyn Fn() -> bool) -> Result<()> {
        let asked = self.store.load().asked;
        let known = match &mut state.known {
            Some(known) => known,
            none => {
                state.is_stale = true;
                none.insert(Known::read(&self.store)?)
            }
        };
        if state.seen != Some(asked) && self.store.space(ROOM) == Space::Enough {
            let mut wanted = taught(&self.store, known, BATCH)?;
            let is_done = wanted.len() < BATCH;
            if state.looked.is_none_or(|at| at.elapsed() >= LOOK) {
                state.looked = Some(Instant::now());
                let latest = now.minus(KEPT);
                wanted.extend(lessons::kept(&self.store, known, NEWEST, latest)?);
            }
            state.is_stale |= !wanted.is_empty();
            self.learn(known, wanted, is_over)?;
            // The writes of this round are nobody else's; one that came between is seen the next time.
            state.seen = is_done.then_some(asked);
        }
        if state.is_stale {
            *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = known.counts();
        }
        if state.is_stale && state.rests_until.is_none_or(|until| until <= Instant::now()) {
            let begun = Instant::now();
            self.learned.set(make(&self.store)?);
            state.is_stale = false;
            state.rests_until = Some(Instant::now() + begun.elapsed() * SHARE);
        }
        Ok(())
    }

    /// Reads messages and keeps what they are like.
    fn learn(
        &self,
        known: &mut Known,
        wanted: Vec<(MessageId, Label, bool)>,
        is_over: &dyn Fn() -> bool,
    ) -> Result<()> {
        let marks = &self.readers.marks;
        let messages = wanted.iter().map(|(message, ..)| *message);
        let ids: Vec<MessageId> = messages.filter(|id| !marks.is_withheld(*id)).collect();
        let _mark = (!ids.is_empty()).then(|| marks.set(Kind::Batch, &ids));
        let mut changes = Vec::new();
        for &(message, label, is_said) in &wanted {
            if is_over() {
                return Ok(());
            }
            // What can't be read teaches nothing, and is not tried again.
            let features = match ids.contains(&message) {
                true => self.features(message)?.unwrap_or_default(),
                false => Features::default(),
            };
            let (is_unwanted, features) = (label.is_unwanted(), features.to_octets());
            changes.push((message, Some(Lesson { is_unwanted, is_said, features })));
        }
        for (message, label, is_said) in wanted {
            known.note(message, label, is_said);
        }
        changes.extend(known.surplus().into_iter().map(|message| (message, None)));
        if changes.is_empty() { Ok(()) } else { self.store.change(PutLessons(changes)).wait() }
    }

    /// What a message is like; `None`: it is gone, or can't be read.
    fn features(&self, message: MessageId) -> Result<Option<Features>> {
        let Some(stored) = self.store.read(|r| r.content(message))? else { return Ok(None) };
        let budget = Budget::of(TIME);
        let read = || {
            let mut front = reading::front(&self.store, &stored, &budget)?;
            let most = front.len() + FRONT;
            reading::pieces(&self.store, &stored, &budget, &mut |piece| {
                front.extend_from_slice(&piece[..piece.len().min(most - front.len())]);
                match front.len() < most {
                    true => std::ops::ControlFlow::Continue(()),
                    false => std::ops::ControlFlow::Break(()),
                }
            })?;
            Content::read(&front, &|take| reading::pieces(&self.store, &stored, &budget, take))
        };
        match read() {
            Ok(content) => Ok(Some(Features::of(&content))),
            Err(error) => {
                tracing::warn!(%error, message = message.0, "a message can't be learned from");
                Ok(None)
            }
        }
    }
}

/// A model of all lessons; each is read from the store as often as it is needed, so that one is in memory.
fn make(store: &Store) -> Result<Option<Model>> {
    Model::of::<Error>(&|take| {
        store.read(|r| {
            r.each_lesson(|_, lesson| {
                let label = Label::of(lesson.is_unwanted);
                let features = Features::from_octets(&lesson.features);
                take(&content::Lesson { label, features });
            })
        })
    })
}

/// Learns from what is new, off the async threads.
pub async fn run(learning: &Arc<Learning>, tasks: &Tasks) {
    let (learning, tasks) = (learning.clone(), tasks.clone());
    let worked = off_thread(move || learning.round(clock::now(), &|| tasks.is_over()));
    if let Err(error) = worked.await {
        tracing::error!(%error, "learning from messages failed");
    }
}
