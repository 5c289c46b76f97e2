//! Writing content, counting who shares it, letting it go.

use heed::PutFlags;

use crate::content::spool::{Place, Spooled};
use crate::content::{ContentHead, ContentKey, Location, cut};
use crate::engine::codec::Record;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, MessageId};
use crate::mailbox::JudgementKey;
use crate::queue::ReportKey;

impl Work<'_, '_> {
    /// Writes the content of a message; `received_at` in seconds since 1970.
    pub(crate) fn put_content(&mut self, message: MessageId, content: &Spooled, received_at: u64, delivery_octets: u16) -> Result<()> {
        let doing = "writing a message";
        let (parts, location) = match &content.place {
            Place::Memory(octets) => {
                let (parts, tail) = cut(octets);
                let count = parts.len() as u16;
                (parts, Location::Inline { parts: count, tail: tail.to_vec() })
            }
            Place::File(file) => {
                let blob = file.blob();
                self.tables.content.blobs.put(self.txn, &blob, &message.0.to_be_bytes()).map_err(Error::lmdb(doing))?;
                (Vec::new(), Location::File(blob))
            }
        };
        let head = ContentHead { received_at, octets: content.octets, crc32: content.crc32, delivery_octets, location };
        let head = head.encode();
        for (part, octets) in [&head[..]].into_iter().chain(parts).enumerate() {
            let key = ContentKey { message, part: part as u16 };
            // Message ids and parts ascend, so every row goes to the end and pages fill up.
            let put = self.tables.content.content.put_with_flags(self.txn, PutFlags::APPEND, &key, octets);
            put.map_err(Error::lmdb(doing))?;
        }
        Ok(())
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
            Some(count) => count.try_into().map(u32::from_be_bytes).map_err(|_| Error::damaged("a share count")),
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
        let links = ReportKey { sent: message, report: MessageId(0) }..=ReportKey { sent: message, report: MessageId(u64::MAX) };
        self.tables.queue.reports.delete_range(self.txn, &links).map_err(Error::lmdb(doing))?;
        if let Location::File(blob) = head.location {
            self.tables.content.blobs.delete(self.txn, &blob).map_err(Error::lmdb(doing))?;
            self.released.push(blob);
        }
        let parts = match head.location {
            Location::Inline { parts, .. } => parts,
            Location::File(_) => 0,
        };
        self.tables.index.cards.delete(self.txn, &message).map_err(Error::lmdb(doing))?;
        let judged = JudgementKey { message, account: AccountId(0) }..=JudgementKey { message, account: AccountId(u32::MAX) };
        self.tables.mailbox.judgements.delete_range(self.txn, &judged).map_err(Error::lmdb(doing))?;
        for part in 0..=parts {
            self.tables.content.content.delete(self.txn, &ContentKey { message, part }).map_err(Error::lmdb(doing))?;
        }
        Ok(())
    }
}
