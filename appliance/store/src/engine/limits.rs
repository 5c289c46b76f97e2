//! Room: whether more may be taken on.

use crate::content::count;
use crate::error::{Error, Result};

use super::files::PAGE;
use super::journal::longest_content;
use super::layers::Layer;
use super::room::{self, Room};
use super::shared::Shared;

/// Room left in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Mail can be accepted.
    Enough,
    /// Mail must wait outside.
    Short,
}

/// What rows take that belong to so many octets of content: a page for each message, and some for indexes.
fn rows_of(content: u64, messages: u64) -> u64 {
    content / 8 + messages * PAGE
}

impl Shared {
    /// Octets of the LMDB file in use, free pages inside it not counted.
    fn used_octets(&self) -> u64 {
        (self.env.info().last_page_number as u64 + 1) * PAGE
    }

    /// Whether a message of `octets` may be taken on now.
    /// The disk is asked first; when the map is nearly used up, free pages inside it count too.
    pub(crate) fn space(&self, octets: u64) -> Space {
        let is_inline = octets <= crate::content::INLINE_OCTETS as u64;
        let content = if octets <= longest_content(self.segment_octets()) { octets } else { 0 };
        let has_disk =
            is_inline || room::look(&self.blobs, octets, self.reserve_octets) == Room::Enough;
        if has_disk && self.has_room_for_commit(content, 1) {
            return Space::Enough;
        }
        // What nothing refers to any more is let go when room is short.
        self.bell.press();
        Space::Short
    }

    /// Whether a commit that only adds may write so much content: what it takes must leave room to delete it again.
    pub(crate) fn has_room_for_commit(&self, content: u64, writes: u64) -> bool {
        let rows = rows_of(content, writes);
        self.has_disk(content, rows) && self.has_map(rows) && self.is_within_limit(content + rows)
    }

    /// Whether the disk has room.
    /// The data file never gets smaller: when the disk is nearly used up, the pages inside it that deletions let go
    /// count, and segments of the journal that are spare, else deleting would not help.
    fn has_disk(&self, content: u64, rows: u64) -> bool {
        match room::look(&self.blobs, content + rows, self.reserve_octets) {
            Room::Enough => true,
            Room::NoFiles => false,
            Room::NoOctets => {
                let has_pages = self
                    .row_octets()
                    .is_ok_and(|now| now + rows + self.reserve_octets / 8 <= self.used_octets());
                let (end, _) = self.published().end;
                // Only what is there already: a file that grows takes from the reserve.
                let segment = self
                    .segments
                    .open(end.segment, false)
                    .ok()
                    .flatten()
                    .and_then(|file| file.metadata().ok());
                let left = segment.map_or(0, |facts| facts.len()).saturating_sub(end.offset);
                has_pages
                    && (content + rows <= left / 2
                        || self.segments.list().is_ok_and(|(_, spare)| !spare.is_empty()))
            }
        }
    }

    /// Whether rows of so many octets fit into the map, in front of its last part.
    /// A deletion rewrites paths of pages before it lets the old ones go: that part is for them.
    fn has_map(&self, octets: u64) -> bool {
        let kept = (self.map_octets / 20).max((self.map_octets / 4).min(1 << 20));
        let room = |used: u64| used.saturating_add(octets).saturating_add(kept) <= self.map_octets;
        room(self.used_octets() + 2 * self.unfolded_octets()) || self.row_octets().is_ok_and(room)
    }

    /// Whether rows and contents together stay within what the owner allows.
    fn is_within_limit(&self, octets: u64) -> bool {
        let Some(limit) = self.limit else { return true };
        let all = || Ok::<u64, Error>(self.row_octets()? + self.content_octets()?);
        // What can't be measured does not stop mail.
        all().map_or(true, |used| used.saturating_add(octets).saturating_add(limit / 20) <= limit)
    }

    /// Octets of content in the journal that messages refer to.
    fn content_octets(&self) -> Result<u64> {
        let doing = "measuring the journal";
        let view = self.view()?;
        let rows = self.tables.content.journal.iter(&view).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map_err(Error::lmdb(doing)).and_then(|(_, octets)| count(octets))).sum()
    }

    /// Octets of the pages that hold rows, and of those that newer rows will take.
    fn row_octets(&self) -> Result<u64> {
        let txn = self.idle.take()?;
        let mut pages = 0;
        for (_, base) in &self.bases {
            let stat = base.stat(&txn).map_err(Error::lmdb("measuring the tables"))?;
            pages += (stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64;
        }
        Ok(pages * PAGE + self.unfolded_octets())
    }

    /// Octets of newer rows, about: what folding them takes.
    fn unfolded_octets(&self) -> u64 {
        let published = self.published();
        (published.fresh.octets() + published.frozen.as_ref().map_or(0, Layer::octets)) as u64
    }
}
