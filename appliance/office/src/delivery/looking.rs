//! What is seen in a message when all of it is there: what it carries, and what it says.

use std::ops::ControlFlow;
use std::sync::Arc;

use pillarbox_filter::content::{Content, Model, Thought};
use pillarbox_filter::files::{self, Finding, Wanted};
use pillarbox_message::structure::{Structure, Walker};
use pillarbox_store::{Result, Spool};

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub files: Vec<Finding>,
    /// What was learned says of it; `None`: too little was learned.
    pub thought: Option<Thought>,
}

/// What is looked for.
pub struct Looking {
    /// Whether there may be files in it.
    pub has_files: bool,
    pub model: Option<Arc<Model>>,
    /// The fields in front of it and its first octets, for the model.
    pub front: Vec<u8>,
}

impl Looking {
    /// Looks into a message of no more than some ten thousand octets.
    /// `None`: there is more in it than can be looked through at once.
    pub fn glance(&self, spool: &Spool) -> Result<Option<Seen>> {
        let (structure, wanted) = self.take_apart(spool)?;
        let files = files::glance(&wanted, &|take| spool.replay_until(take))?;
        let Some(files) = files else { return Ok(None) };
        Ok(Some(Seen { files, thought: self.think(structure, spool)? }))
    }

    /// Looks into a message; takes as long as that takes.
    pub fn look(&self, spool: &Spool) -> Result<Seen> {
        let (structure, wanted) = self.take_apart(spool)?;
        let files = files::inspect(wanted, &|take| spool.replay_until(take))?;
        Ok(Seen { files, thought: self.think(structure, spool)? })
    }

    fn take_apart(&self, spool: &Spool) -> Result<(Structure, Wanted)> {
        let is_read = self.model.is_some();
        let mut walker = if is_read { Walker::new() } else { Walker::of_parts() };
        spool.replay_until(&mut |piece| {
            walker.push(piece);
            ControlFlow::Continue(())
        })?;
        let structure = walker.finish();
        let wanted = if self.has_files { Wanted::of(&structure) } else { Wanted::default() };
        Ok((structure, wanted))
    }

    fn think(&self, structure: Structure, spool: &Spool) -> Result<Option<Thought>> {
        let Some(model) = &self.model else { return Ok(None) };
        let content = Content::of(structure, &self.front, &|take| spool.replay_until(take))?;
        Ok(Some(model.think(&content)))
    }
}
