//! Writing content, counting who shares it, letting it go.

use pillarbox_vocabulary::Timestamp;

use crate::content::spool::{Place, Spooled};
use crate::content::{ContentHead, ContentKey, Location, count};
use crate::engine::codec::Record;
use crate::engine::journal::log::hash;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, MessageId};
use crate::mailbox::JudgementKey;
use crate::queue::ReportKey;

impl Work<'_, '_> {
    /// Writes the content of a message.
    pub(crate) fn put_content(
        &mut self,
        message: MessageId,
        content: &Spooled,
        received_at: Timestamp,
        delivery_octets: u16,
    ) -> Result<()> {
        let doing = "writing a message";
        let location = match &content.place {
            Place::Memory(octets) => {
                let extent = self.log.content(message, octets, content.checksum().hasher())?;
                self.count_segment(extent.segment, octets.len() as i64)?;
                Location::Journal { segment: extent.segment, offset: extent.offset }
            }
            Place::Part(part) => {
                let (extent, crc32) =
                    self.log.content_of(message, content.octets, |piece, offset| {
                        let in_front = content.prefix.get(offset as usize..).unwrap_or_default();
                        let (first, rest) = piece.split_at_mut(in_front.len().min(piece.len()));
                        first.copy_from_slice(&in_front[..first.len()]);
                        part.read(
                            rest,
                            (offset + first.len() as u64)
                                .saturating_sub(content.prefix.len() as u64),
                        )
                    })?;
                if crc32 != content.crc32 {
                    return Err(Error::damaged(
                        "a message on its way into the journal: what was written is not what came in",
                    ));
                }
                self.count_segment(extent.segment, content.octets as i64)?;
                Location::Journal { segment: extent.segment, offset: extent.offset }
            }
            Place::File(file) => {
                let blob = file.blob();
                self.tables
                    .content
                    .blobs
                    .put(self.txn, &blob, &message.0.to_be_bytes())
                    .map_err(Error::lmdb(doing))?;
                Location::File { blob, prefix: content.prefix.clone() }
            }
        };
        let head = ContentHead {
            received_at,
            octets: content.octets,
            crc32: content.crc32,
            delivery_octets,
            location,
        };
        let key = ContentKey { message, part: 0 };
        self.tables.content.content.put(self.txn, &key, &head.encode()).map_err(Error::lmdb(doing))
    }

    /// Writes a content anew at the end of the journal, when it is still where it was found.
    /// `octets` are the content's.
    pub(crate) fn move_content(
        &mut self,
        message: MessageId,
        from: &Location,
        octets: &[u8],
    ) -> Result<()> {
        let Some(mut head) =
            self.tables.content.head(self.txn, message)?.filter(|head| head.location == *from)
        else {
            return Ok(());
        };
        let sum = hash(octets);
        if octets.len() as u64 != head.octets || sum.clone().finalize() != head.crc32 {
            return Err(Error::damaged(format!("the content of message {}", message.0)));
        }
        let extent = self.log.content(message, octets, &sum)?;
        self.count_segment(extent.segment, octets.len() as i64)?;
        if let Location::Journal { segment, .. } = head.location {
            self.count_segment(segment, -(octets.len() as i64))?;
        }
        head.location = Location::Journal { segment: extent.segment, offset: extent.offset };
        let key = ContentKey { message, part: 0 };
        self.tables
            .content
            .content
            .put(self.txn, &key, &head.encode())
            .map_err(Error::lmdb("moving a message"))
    }

    /// Octets of content came into a segment of the journal, or went from it.
    fn count_segment(&mut self, segment: u64, octets: i64) -> Result<()> {
        let doing = "counting what is in the journal";
        let known =
            self.tables.content.journal.get(self.txn, &segment).map_err(Error::lmdb(doing))?;
        match known.map_or(Ok(0), count)?.saturating_add_signed(octets) {
            0 => self.tables.content.journal.delete(self.txn, &segment).map(drop),
            now => self.tables.content.journal.put(self.txn, &segment, &now.to_be_bytes()),
        }
        .map_err(Error::lmdb(doing))
    }

    pub(crate) fn set_shares(&mut self, message: MessageId, count: u32) -> Result<()> {
        let doing = "counting copies of a message";
        match count {
            0 | 1 => self.tables.content.shares.delete(self.txn, &message).map(drop),
            _ => self.tables.content.shares.put(self.txn, &message, &count.to_be_bytes()),
        }
        .map_err(Error::lmdb(doing))
    }

    fn shares(&self, message: MessageId) -> Result<u32> {
        let doing = "counting copies of a message";
        match self.tables.content.shares.get(self.txn, &message).map_err(Error::lmdb(doing))? {
            None => Ok(1),
            Some(count) => count
                .try_into()
                .map(u32::from_be_bytes)
                .map_err(|_| Error::damaged("a share count")),
        }
    }

    /// One entry less refers to the message; the last one takes the content along.
    pub(crate) fn release(&mut self, message: MessageId) -> Result<()> {
        let doing = "deleting a message";
        let shares = self.shares(message)?;
        if shares > 1 {
            return self.set_shares(message, shares - 1);
        }
        let Some(head) = self.tables.content.head(self.txn, message)? else { return Ok(()) };
        let links = ReportKey { sent: message, report: MessageId(0) }..=ReportKey {
            sent: message,
            report: MessageId(u64::MAX),
        };
        self.tables.queue.reports.delete_range(self.txn, &links).map_err(Error::lmdb(doing))?;
        if let Location::File { blob, .. } = head.location {
            self.tables.content.blobs.delete(self.txn, &blob).map_err(Error::lmdb(doing))?;
            self.released.push(blob);
        }
        let parts = match head.location {
            Location::Inline { parts, .. } => parts,
            Location::File { .. } => 0,
            Location::Journal { segment, .. } => {
                self.count_segment(segment, -(head.octets as i64))?;
                0
            }
        };
        self.tables.index.cards.delete(self.txn, &message).map_err(Error::lmdb(doing))?;
        let judged = JudgementKey { message, account: AccountId(0) }..=JudgementKey {
            message,
            account: AccountId(u32::MAX),
        };
        self.tables
            .mailbox
            .judgements
            .delete_range(self.txn, &judged)
            .map_err(Error::lmdb(doing))?;
        for part in 0..=parts {
            self.tables
                .content
                .content
                .delete(self.txn, &ContentKey { message, part })
                .map_err(Error::lmdb(doing))?;
        }
        Ok(())
    }
}
