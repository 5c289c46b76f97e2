//! What can be written, and how all writes of one transaction are carried out together.
//!
//! A change first checks and then changes: when it is refused it has changed nothing, so the other writes of the same
//! commit are unharmed.
//! Any other error gives up the whole transaction, and the writer tries its writes one by one.

use tokio::sync::oneshot;

use crate::error::Result;

use super::work::Work;

/// Something to be written, in one commit as a whole or not at all.
/// The set is closed: only the store makes changes.
pub trait Change: Send + 'static {
    /// What came of it, once it is durable.
    type Outcome: Send + 'static;

    /// Carries it out.
    /// May be called again in another transaction, when the first one was given up.
    fn apply(&mut self, work: &mut Work) -> Result<Self::Outcome>;

    /// Decides where messages that come with it go; called before anything of the transaction is written.
    fn prepare(&mut self, _: &mut Work) -> Result<()> {
        Ok(())
    }

    /// Writes the content of those messages, for all changes of the transaction before any other row.
    fn put_content(&self, _: &mut Work) -> Result<()> {
        Ok(())
    }

    /// Takes those messages in, for all changes of the transaction in the same order as their content.
    fn take_in(&mut self, _: &mut Work) -> Result<()> {
        Ok(())
    }

    /// Octets of content that the commit has to write.
    fn content_octets(&self) -> usize {
        0
    }

    /// True for changes that only add to what there is, and can be asked for again: they leave the last room on the
    /// disk to deletions, settlements and the owner's orders.
    fn grows(&self) -> bool {
        false
    }

    /// True for changes that may free many pages: at most one of them goes into a commit.
    fn frees_much(&self) -> bool {
        false
    }

    /// False for changes that may be refused half-way: a refusal gives up the transaction.
    fn checks_first(&self) -> bool {
        true
    }

    /// The commit is durable: files it refers to stay.
    fn keep(&mut self) {}
}

/// A change whose kind does not matter, for lists of several kinds.
pub struct AnyChange(Box<dyn Unit>);

/// A change whose outcome is not wanted.
trait Unit: Send {
    fn name(&self) -> &'static str;
    fn apply(&mut self, work: &mut Work) -> Result<()>;
    fn grows(&self) -> bool;
    fn frees_much(&self) -> bool;
    fn checks_first(&self) -> bool;
}

impl<C: Change> Unit for C {
    fn name(&self) -> &'static str {
        std::any::type_name::<C>()
    }
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        Change::apply(self, work).map(drop)
    }
    fn grows(&self) -> bool {
        Change::grows(self)
    }
    fn frees_much(&self) -> bool {
        Change::frees_much(self)
    }
    fn checks_first(&self) -> bool {
        Change::checks_first(self)
    }
}

impl std::fmt::Debug for AnyChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

impl AnyChange {
    /// For changes that bring no messages.
    pub fn of(change: impl Change) -> AnyChange {
        AnyChange(Box::new(change))
    }
}

impl Change for AnyChange {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        self.0.apply(work)
    }
    fn grows(&self) -> bool {
        self.0.grows()
    }
    fn frees_much(&self) -> bool {
        self.0.frees_much()
    }
    fn checks_first(&self) -> bool {
        self.0.checks_first()
    }
}

/// A change in the writer's queue, whatever its kind.
pub(crate) trait Task: Send {
    fn prepare(&mut self, work: &mut Work) -> Result<()>;
    fn put_content(&self, work: &mut Work) -> Result<()>;
    fn take_in(&mut self, work: &mut Work) -> Result<()>;
    fn apply(&mut self, work: &mut Work) -> Result<()>;
    fn content_octets(&self) -> usize;
    fn grows(&self) -> bool;
    fn frees_much(&self) -> bool;
    /// Reports what came of it, after the commit.
    fn answer(self: Box<Self>);
    /// Reports an error: nothing was changed.
    fn fail(self: Box<Self>, error: crate::error::Error);
}

/// A change with what came of it so far, and whoever waits for that.
struct Ordered<C: Change> {
    change: C,
    /// Of the transaction under way.
    outcome: Option<Result<C::Outcome>>,
    reply: oneshot::Sender<Result<C::Outcome>>,
}

/// Puts a change into the form of the queue: one allocation.
/// Its result comes over `reply`.
pub(crate) fn task<C: Change>(
    change: C,
    reply: oneshot::Sender<Result<C::Outcome>>,
) -> Box<dyn Task> {
    Box::new(Ordered { change, outcome: None, reply })
}

impl<C: Change> Task for Ordered<C> {
    fn prepare(&mut self, work: &mut Work) -> Result<()> {
        self.outcome = None;
        match self.change.prepare(work) {
            Err(error) if error.is_refusal() => self.outcome = Some(Err(error)),
            result => result?,
        }
        Ok(())
    }

    fn put_content(&self, work: &mut Work) -> Result<()> {
        if self.outcome.is_some() { Ok(()) } else { self.change.put_content(work) }
    }

    fn take_in(&mut self, work: &mut Work) -> Result<()> {
        // Its content is written already: whatever is refused now gives up the transaction.
        if self.outcome.is_some() { Ok(()) } else { self.change.take_in(work) }
    }

    fn apply(&mut self, work: &mut Work) -> Result<()> {
        if self.outcome.is_some() {
            return Ok(());
        }
        self.outcome = Some(match self.change.apply(work) {
            Err(error) if !error.is_refusal() || !self.change.checks_first() => return Err(error),
            result => result,
        });
        Ok(())
    }

    fn content_octets(&self) -> usize {
        self.change.content_octets()
    }

    fn grows(&self) -> bool {
        self.change.grows()
    }

    fn frees_much(&self) -> bool {
        self.change.frees_much()
    }

    fn answer(mut self: Box<Self>) {
        if let Some(Ok(_)) = &self.outcome {
            self.change.keep();
        }
        if let Some(outcome) = self.outcome {
            // The one who asked may be gone.
            let _ = self.reply.send(outcome);
        }
    }

    fn fail(self: Box<Self>, error: crate::error::Error) {
        let _ = self.reply.send(Err(error));
    }
}

/// Carries out all changes of one transaction.
/// Refusals are kept in their place; any other error gives up the transaction.
///
/// Content goes first: it takes the pages that the commit before last has let go, which lie in one run, because the
/// pages of trees were taken after content, from the end of the file.
/// In any other order the two mix, and after a while every commit writes dozens of single pages all over the card.
pub(crate) fn apply_all(tasks: &mut [Box<dyn Task>], work: &mut Work) -> Result<()> {
    tasks.iter_mut().try_for_each(|task| task.prepare(work))?;
    tasks.iter().try_for_each(|task| task.put_content(work))?;
    tasks.iter_mut().try_for_each(|task| task.take_in(work))?;
    tasks.iter_mut().try_for_each(|task| task.apply(work))
}
