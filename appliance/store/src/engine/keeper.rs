//! What goes on behind the commits: folding rows into LMDB by many, bringing LMDB to the card as a checkpoint, letting
//! go of journal segments that nothing refers to.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoint::{self, Anchor};
use super::early;
use super::journal::read::next_content;
use super::journal::record::{Position, SEGMENT_HEAD};
use super::room::{self, Disk, Room};
use super::shared::Shared;
use super::work::Work;
use crate::content::{Location, count};
use crate::error::{Error, Result};
use crate::ids::MessageId;

/// How often the keeper looks what there is to do.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Octets of rows in memory that are folded at once.
pub(crate) const FOLD_OCTETS: usize = 2 << 20;
/// Octets of journal that a start after a power cut has to read at most, about.
const REPLAY_OCTETS: u64 = 32 << 20;
/// Longest time that rows stay in memory alone.
const FOLD_INTERVAL: Duration = Duration::from_secs(3600);
/// After a fold that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// Segments that stay spare; more give their room back.
const SPARE_SEGMENTS: usize = 8;
/// A segment of which messages use no more than this many hundredths is emptied: on a disk at least half of which is
/// free, on a fuller one, and when there is no room for mail.
/// What is moved is written again, so as long as there is room the card is worth more.
const ROOMY_SHARE: u64 = 25;
const COMPACTION_SHARE: u64 = 50;
const PRESSED_SHARE: u64 = 90;
/// Octets of content moved at a time, and at most once a second: mail that comes meanwhile hardly notices.
const COMPACTION_OCTETS: usize = 256 * 1024;
/// Octets of the data file that are brought to the card at a time.
const SYNC_OCTETS: u64 = 256 * 1024;

/// The server's thread for all that.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    anchor: Anchor,
    /// Since when rows wait.
    since: Option<Instant>,
    /// When the last fold failed.
    failed: Option<Instant>,
    /// The checkpoint after which nothing was left to tidy.
    tidied: Option<Position>,
    compaction: Option<Compaction>,
}

/// A segment whose contents are being moved, and how far it was read.
#[derive(Clone, Copy, Debug)]
struct Compaction {
    segment: u64,
    offset: u64,
}

impl Keeper {
    pub fn new(shared: Arc<Shared>, anchor: Anchor) -> Keeper {
        Keeper { shared, anchor, since: None, failed: None, tidied: None, compaction: None }
    }

    /// Works until the store closes.
    pub fn run(mut self) {
        loop {
            let is_closing = self.shared.bell.wait(LOOK_INTERVAL);
            let is_pressed = self.shared.bell.take_pressed();
            let is_resting = self.failed.is_some_and(|at| at.elapsed() < RETRY_INTERVAL);
            let is_due = self.is_due();
            if is_closing || !is_resting && (is_due || is_pressed) {
                let result = match self.fold() {
                    // Folding is what makes deletions count: it may use what is kept back for them.
                    Err(Error::Full) if self.shared.reserve.release() => self.fold(),
                    result => result,
                };
                self.failed = result.is_err().then(Instant::now);
                self.shared.medium.note_commit(&result);
                self.shared.bell.note_fold();
            }
            if is_closing {
                return;
            }
            if !is_resting && self.shared.medium.is_writable() {
                // What can't be tidied now waits; mail does not depend on it.
                self.failed = self.tidy(is_pressed).is_err().then(Instant::now).or(self.failed);
            }
        }
    }

    /// One small piece of work on the journal's segments.
    fn tidy(&mut self, is_pressed: bool) -> Result<()> {
        let (folded, _) = self.anchor.folded;
        if self.tidied == Some(folded) && !is_pressed && self.compaction.is_none() {
            return Ok(());
        }
        let (used, _) = self.shared.segments.list()?;
        let live = self.live()?;
        let gone = used
            .iter()
            .copied()
            .filter(|segment| *segment < folded.segment && !live.contains_key(segment));
        let (held, free): (Vec<u64>, Vec<u64>) =
            gone.partition(|&segment| self.shared.is_held(segment));
        for segment in free {
            self.shared.segments.retire(segment)?;
            self.shared.forget_segment(segment);
        }
        // On a small or full disk their room is worth more.
        let kept_octets = SPARE_SEGMENTS as u64 * self.shared.segment_octets();
        let is_roomy = room::look(&self.shared.blobs, kept_octets, 2 * self.shared.reserve_octets)
            == Room::Enough;
        let most = if is_pressed || !is_roomy { 0 } else { SPARE_SEGMENTS };
        let (_, spare) = self.shared.segments.list()?;
        spare
            .iter()
            .skip(most)
            .try_for_each(|&number| self.shared.segments.remove_spare(number))?;
        if self.compaction.is_none() {
            let share = share(is_pressed, Disk::of(&self.shared.blobs));
            let most = |segment| self.shared.segments.file_octets(segment) / 100 * share;
            self.compaction = to_empty(&live, folded.segment, most)
                .map(|segment| Compaction { segment, offset: SEGMENT_HEAD });
        }
        match self.compaction.take() {
            Some(compaction) => self.compaction = self.compact(compaction)?,
            None => self.tidied = held.is_empty().then_some(folded),
        }
        Ok(())
    }

    /// Octets of content by segment, of all segments that something refers to: now, or in the checkpoint.
    fn live(&self) -> Result<BTreeMap<u64, u64>> {
        let doing = "measuring the journal";
        let mut live = BTreeMap::new();
        let table = self.shared.tables.content.journal;
        for row in table.base().iter(&self.anchor.pin).map_err(Error::lmdb(doing))? {
            let (segment, _) = row.map_err(Error::lmdb(doing))?;
            // Keys are written in the same way.
            live.insert(count(segment)?, 0);
        }
        let view = self.shared.view()?;
        for row in table.iter(&view).map_err(Error::lmdb(doing))? {
            let (segment, octets) = row.map_err(Error::lmdb(doing))?;
            live.insert(segment, count(octets)?);
        }
        Ok(live)
    }

    /// Moves some contents of a segment that is mostly empty to the journal's end.
    /// Gives where to go on; `None`: all are moved.
    fn compact(&self, mut compaction: Compaction) -> Result<Option<Compaction>> {
        let segment = compaction.segment;
        let Some(file) = self.shared.segments.open(segment, false)? else { return Ok(None) };
        let (mut moves, mut octets) = (Vec::new(), 0);
        let view = self.shared.view()?;
        while octets < COMPACTION_OCTETS {
            let Some((stored, next)) = next_content(&file, segment, compaction.offset) else {
                self.move_contents(&moves)?;
                return Ok(None);
            };
            compaction.offset = next;
            let here = Location::Journal { segment, offset: stored.offset };
            let head = self.shared.tables.content.head(&view, stored.message)?;
            if head.is_none_or(|head| head.location != here) {
                continue;
            }
            let mut content = vec![0; stored.octets as usize];
            if file.read_exact_at(&mut content, u64::from(stored.offset)).is_ok() {
                octets += content.len();
                moves.push((stored.message, here, content));
            }
        }
        drop(view);
        self.move_contents(&moves)?;
        Ok(Some(compaction))
    }

    fn move_contents(&self, moves: &[(MessageId, Location, Vec<u8>)]) -> Result<()> {
        if moves.is_empty() {
            return Ok(());
        }
        let move_all = |work: &mut Work| {
            moves
                .iter()
                .try_for_each(|(message, from, content)| work.move_content(*message, from, content))
        };
        match self.shared.transact(move_all) {
            // One that is damaged must not keep the others where they are.
            Err(Error::Damaged { .. }) if moves.len() > 1 => moves.iter().try_for_each(|one| {
                match self.move_contents(std::slice::from_ref(one)) {
                    Err(Error::Damaged { .. }) => Ok(()),
                    result => result,
                }
            }),
            Err(Error::Damaged { .. }) => {
                moves.iter().for_each(|(message, ..)| self.shared.medium.note_damage(*message));
                Ok(())
            }
            result => result.map(drop),
        }
    }

    fn is_due(&mut self) -> bool {
        let published = self.shared.published();
        if published.frozen.is_some() {
            return true;
        }
        if published.fresh.is_empty() {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let (end, _) = published.end;
        let (folded, _) = self.anchor.folded;
        let octets = self.shared.segment_octets();
        let behind = (end.segment.saturating_sub(folded.segment) * octets + end.offset)
            .saturating_sub(folded.offset);
        published.fresh.octets() >= FOLD_OCTETS
            || behind >= REPLAY_OCTETS
            || since.elapsed() >= FOLD_INTERVAL
    }

    /// Folds what has gathered, and makes the result the checkpoint.
    fn fold(&mut self) -> Result<()> {
        self.since = None;
        let Some((commit, end)) = self.shared.fold()? else { return Ok(()) };
        self.shared.bell.note_fold();
        self.checkpoint(commit)?;
        self.anchor.folded = end;
        Ok(())
    }

    /// Brings LMDB to the card, keeps its meta page, and lets the last checkpoint go: in this order.
    fn checkpoint(&mut self, commit: usize) -> Result<()> {
        self.sync_gently();
        self.shared.env.force_sync().map_err(Error::lmdb("flushing the tables"))?;
        let pin = self
            .shared
            .env
            .clone()
            .static_read_txn()
            .map_err(Error::lmdb("holding the checkpoint"))?;
        if pin.id() != commit {
            return Err(Error::Invalid {
                why: format!(
                    "commit {} of the tables is not the {commit} that was folded",
                    pin.id()
                ),
            });
        }
        self.anchor.checkpoint.keep(&checkpoint::meta_page(&self.shared.path, commit)?)?;
        self.anchor.pin = pin;
        Ok(())
    }

    /// Begins to write the pages, a few at a time with breaks as long as the card needed: mail that comes meanwhile
    /// finds it free.
    /// Only a help; what is left is flushed at once afterwards.
    fn sync_gently(&self) {
        let file = &self.shared.file;
        let length = file.metadata().map_or(0, |facts| facts.len());
        let mut at = 0;
        while at < length {
            let begun = Instant::now();
            if !early::write(file, at, SYNC_OCTETS) {
                return;
            }
            let taken = begun.elapsed();
            if taken > Duration::from_millis(1) && !self.shared.bell.is_closing() {
                std::thread::sleep(taken);
            }
            at += SYNC_OCTETS;
        }
    }
}

/// How full a segment may be that is emptied, in hundredths.
fn share(is_pressed: bool, disk: Option<Disk>) -> u64 {
    match disk {
        _ if is_pressed => PRESSED_SHARE,
        Some(disk) if disk.free >= disk.all / 2 => ROOMY_SHARE,
        _ => COMPACTION_SHARE,
    }
}

/// The segment to empty next: the emptiest before `end` of those that have no more than `most` octets.
/// One that has none was emptied already, and goes with the next checkpoint.
fn to_empty(live: &BTreeMap<u64, u64>, end: u64, most: impl Fn(u64) -> u64) -> Option<u64> {
    let emptiest = live
        .range(..end)
        .filter(|&(&segment, octets)| (1..=most(segment)).contains(octets))
        .min_by_key(|(_, octets)| **octets);
    emptiest.map(|(&segment, _)| segment)
}

#[cfg(test)]
mod tests;
