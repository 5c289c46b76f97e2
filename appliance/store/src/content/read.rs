//! What messages contain.

use crate::content::{ContentHead, ContentKey, Location};
use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::{BlobId, MessageId};

/// A message's content, ready to be read in pieces.
#[derive(Clone, Debug)]
pub struct Content {
    pub message: MessageId,
    pub octets: u64,
    /// Seconds since 1970.
    pub received_at: u64,
    pub(crate) head: ContentHead,
}

impl Content {
    /// Octets at the front that belong to final delivery and not to a relayed copy.
    pub fn delivery_octets(&self) -> usize {
        usize::from(self.head.delivery_octets)
    }

    /// The file it lies in, if it is large.
    pub fn blob(&self) -> Option<BlobId> {
        match self.head.location {
            Location::File(blob) => Some(blob),
            Location::Inline { .. } => None,
        }
    }
}

impl Reader<'_> {
    /// Opens the content of a message; `None` when it is gone.
    pub fn content(&self, message: MessageId) -> Result<Option<Content>> {
        let head = self.shared.tables.content.head(&self.txn, message)?;
        Ok(head.map(|head| Content { message, octets: head.octets, received_at: head.received_at, head }))
    }

    /// Appends the whole of an inline content to `out` and checks its CRC. Content in a file is not for here.
    pub fn read_inline(&self, content: &Content, out: &mut Vec<u8>) -> Result<()> {
        let doing = "reading a message";
        let Location::Inline { parts, tail } = &content.head.location else {
            return Err(Error::Invalid { why: "this message lies in a file".into() });
        };
        let start = out.len();
        out.reserve(content.octets as usize);
        let key = |part| ContentKey { message: content.message, part };
        if *parts > 0 {
            let rows = self.shared.tables.content.content.range(&self.txn, &(key(1)..=key(*parts))).map_err(Error::lmdb(doing))?;
            for row in rows {
                out.extend_from_slice(row.map_err(Error::lmdb(doing))?.1);
            }
        }
        out.extend_from_slice(tail);
        let read = &out[start..];
        if read.len() as u64 != content.octets || crc32fast::hash(read) != content.head.crc32 {
            out.truncate(start);
            self.shared.medium.note_damage(content.message);
            return Err(Error::damaged(format!("the content of message {}", content.message.0)));
        }
        Ok(())
    }
}
