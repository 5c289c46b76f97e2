//! What messages contain.

use pillarbox_vocabulary::Timestamp;

use crate::content::{ContentHead, ContentKey, INLINE_OCTETS, Location, PREFIX_OCTETS, stream};
use crate::engine::journal::SEGMENT_OCTETS;
use crate::engine::reader::Reader;
use crate::engine::shared::Shared;
use crate::error::{Error, Result};
use crate::ids::MessageId;

/// A message's content, ready to be read in pieces.
#[derive(Clone, Debug)]
pub struct Content {
    pub message: MessageId,
    pub octets: u64,
    pub received_at: Timestamp,
    pub(crate) head: ContentHead,
}

impl Content {
    /// Octets at the front that belong to final delivery and not to a relayed copy.
    pub fn delivery_octets(&self) -> usize {
        usize::from(self.head.delivery_octets)
    }

    /// Whether it is read in pieces and not as a whole.
    pub fn is_large(&self) -> bool {
        match self.head.location {
            Location::File { .. } => true,
            Location::Journal { .. } => self.octets > INLINE_OCTETS as u64,
            Location::Inline { .. } => false,
        }
    }
}

impl Reader<'_> {
    /// Opens the content of a message; `None` when it is gone.
    pub fn content(&self, message: MessageId) -> Result<Option<Content>> {
        let head = self.shared.tables.content.head(&self.txn, message)?;
        Ok(head.map(|head| Content {
            message,
            octets: head.octets,
            received_at: head.received_at,
            head,
        }))
    }

    /// Appends the whole of a content that has no file of its own to `out` and checks its CRC.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it is not what was written; `out` is as it was.
    pub fn read_inline(&self, content: &Content, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.reserve(content.octets.min((PREFIX_OCTETS + INLINE_OCTETS) as u64) as usize);
        if self.read_from(content, &content.head.location, out)? {
            return Ok(());
        }
        // It may have been moved since its place was looked up.
        let moved = self
            .shared
            .head(content.message)?
            .filter(|head| head.location != content.head.location);
        if let Some(head) = moved
            && self.read_from(content, &head.location, out)?
        {
            return Ok(());
        }
        out.truncate(start);
        Err(stream::damaged(self.shared, content.message, "it is not what was written"))
    }

    /// False when what is there is not the content.
    fn read_from(&self, content: &Content, location: &Location, out: &mut Vec<u8>) -> Result<bool> {
        let start = out.len();
        match location {
            Location::Inline { parts, tail } => self.read_parts(content, *parts, tail, out)?,
            Location::File { .. } => {
                return Err(Error::Invalid { why: "this message is in a file".into() });
            }
            Location::Journal { segment, offset } => {
                let octets = content.octets.min(SEGMENT_OCTETS) as usize;
                out.resize(start + octets, 0);
                if !self.shared.read_segment(*segment, u64::from(*offset), &mut out[start..])? {
                    out.truncate(start);
                    return Ok(false);
                }
            }
        }
        let read = &out[start..];
        let is_whole =
            read.len() as u64 == content.octets && crc32fast::hash(read) == content.head.crc32;
        if !is_whole {
            out.truncate(start);
        }
        Ok(is_whole)
    }

    fn read_parts(
        &self,
        content: &Content,
        parts: u16,
        tail: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let doing = "reading a message";
        let key = |part| ContentKey { message: content.message, part };
        if parts > 0 {
            let rows = self
                .shared
                .tables
                .content
                .content
                .range(&self.txn, &(key(1)..=key(parts)))
                .map_err(Error::lmdb(doing))?;
            for row in rows {
                out.extend_from_slice(row.map_err(Error::lmdb(doing))?.1);
            }
        }
        out.extend_from_slice(tail);
        Ok(())
    }
}

impl Shared {
    /// What is known of a message now.
    pub(crate) fn head(&self, message: MessageId) -> Result<Option<ContentHead>> {
        self.tables.content.head(&self.view()?, message)
    }
}
