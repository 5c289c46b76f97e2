//! Final delivery (MDA, RFC 5598 §4.2.4): trace fields in front, mailboxes planned, one durable write.

use std::net::IpAddr;
use std::sync::Arc;

use pillarbox_proto::smtp::{ReversePath, trace};
use pillarbox_store::{
    AccountId, Delivered, Delivery, Error, Fate, Flags, FolderId, LedgerRecord, Placement, Result, ShortCode, Spool,
};
use tokio::sync::SemaphorePermit;

use crate::clock;
use crate::context::{Context, off_thread};

/// Content is handed to the disk in pieces of this size once it is large.
const PIECE: usize = 128 * 1024;
/// How much of the front of a message is looked at for its subject.
const HEAD: usize = 16 * 1024;

/// A message on its way into the store.
pub struct Incoming<'a> {
    context: &'a Arc<Context>,
    spool: Option<Spool>,
    /// Content of a large message, gathered before it goes to the disk.
    gathered: Vec<u8>,
    head: Vec<u8>,
    delivery_octets: u16,
    arrived: u64,
    _budget: SemaphorePermit<'a>,
}

/// The envelope facts that final delivery needs.
pub struct Envelope<'a> {
    pub code: ShortCode,
    pub peer: IpAddr,
    pub sender: &'a str,
    /// Recipients as given, in order.
    pub recipients: Vec<String>,
    pub accounts: Vec<AccountId>,
}

impl<'a> Incoming<'a> {
    /// Waits for room in memory, then begins with Return-Path (RFC 5321 §4.4) and the trace field given.
    /// `declared` is the size the peer announced, in octets.
    pub async fn begin(
        context: &'a Arc<Context>,
        reverse_path: &ReversePath,
        declared: Option<u64>,
        received: impl FnOnce(u64) -> trace::Received,
    ) -> Result<Incoming<'a>> {
        let most = pillarbox_store::INLINE_OCTETS as u64 + 2 * PIECE as u64;
        let octets = declared.map_or(most, |d| (d + 4096).min(most));
        let share = (octets / 1024 + 1).min(context.budget_kib);
        let budget = context.budget.acquire_many(share as u32).await.map_err(|_| Error::Closed)?;
        let arrived = clock::now();
        let return_path = match reverse_path {
            ReversePath::Null => "Return-Path: <>\r\n".to_string(),
            ReversePath::Address(address) => format!("Return-Path: <{address}>\r\n"),
        };
        let mut incoming = Incoming {
            context,
            spool: Some(context.store.spool()),
            gathered: Vec::new(),
            head: Vec::new(),
            delivery_octets: return_path.len() as u16,
            arrived,
            _budget: budget,
        };
        let trace = trace::received(&received(arrived));
        incoming.write(return_path.as_bytes()).await?;
        incoming.write(trace.as_bytes()).await?;
        Ok(incoming)
    }

    /// Appends content.
    pub async fn append(&mut self, octets: &[u8]) -> Result<()> {
        let wanted = HEAD.saturating_sub(self.head.len()).min(octets.len());
        self.head.extend_from_slice(&octets[..wanted]);
        self.write(octets).await
    }

    async fn write(&mut self, octets: &[u8]) -> Result<()> {
        let spool = self.spool.as_mut().ok_or(Error::Closed)?;
        if !spool.blocks(octets.len()) {
            return spool.append(octets);
        }
        self.gathered.extend_from_slice(octets);
        if self.gathered.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let (mut spool, gathered) = (self.spool.take().ok_or(Error::Closed)?, std::mem::take(&mut self.gathered));
        let (spool, mut gathered) = off_thread(move || {
            spool.append(&gathered)?;
            Ok((spool, gathered))
        })
        .await?;
        gathered.clear();
        self.gathered = gathered;
        self.spool = Some(spool);
        Ok(())
    }

    /// Puts the message into the inboxes: when this returns, it is on stable storage.
    pub async fn deliver(mut self, envelope: Envelope<'_>) -> Result<Delivered> {
        self.flush().await?;
        let spool = self.spool.take().ok_or(Error::Closed)?;
        let content = match spool.blocks(0) {
            true => off_thread(move || spool.finish()).await?,
            false => spool.finish()?,
        };
        let placements = envelope.accounts.iter().map(|&account| Placement {
            account,
            folder: FolderId::INBOX,
            flags: Flags::default(),
        });
        let record = LedgerRecord {
            peer: Some(envelope.peer),
            sender: envelope.sender.to_string(),
            recipients: envelope.recipients,
            subject: subject(&self.head),
            ..LedgerRecord::new(self.arrived, Fate::Delivered, envelope.code)
        };
        let delivery = Delivery::local(content, self.delivery_octets, placements.collect(), record);
        self.context.store.deliver(delivery).done().await
    }
}

/// The subject in the front part of a message, decoded (RFC 2047), or nothing.
fn subject(head: &[u8]) -> String {
    let parser = mail_parser::MessageParser::new().header_text(mail_parser::HeaderName::Subject).default_header_ignore();
    parser.parse_headers(head).and_then(|message| message.subject().map(str::to_string)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::subject;

    #[test]
    fn subjects_are_decoded_and_rubbish_has_none() {
        assert_eq!(subject(b"From: a@b\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n from\r\n Ann\r\n\r\nbody"), "Grüße from Ann");
        assert_eq!(subject(b"Subject: cut off"), "");
        assert_eq!(subject(b"\xff\xfe\0: \r\n\r\n"), "");
        assert_eq!(subject(b""), "");
    }
}
