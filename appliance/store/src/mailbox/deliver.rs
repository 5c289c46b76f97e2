//! Taking a message into mailboxes.

use crate::content::spool::Spooled;
use crate::engine::change::Change;
use crate::engine::work::{Work, random};
use crate::error::{Error, Result};
use crate::ids::{AccountId, FolderId, FolderKey, MessageId};
use crate::ledger::LedgerRecord;
use crate::mailbox::{Entry, Flags};
use crate::queue::ReportKey;
use crate::queue::entries::Relay;

/// Where one copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    pub account: AccountId,
    pub folder: FolderId,
    pub flags: Flags,
}

/// A message and all its local mailboxes: one transaction, one stored copy.
pub struct Delivery {
    /// The content including the trace fields in front.
    pub content: Spooled,
    /// Octets at the front (Return-Path) that are not part of a relayed copy.
    pub delivery_octets: u16,
    /// At least one, unless it is relayed; the same folder named twice gets one copy.
    pub placements: Vec<Placement>,
    /// The acceptance as it will be in the ledger; `at` is the time of arrival.
    pub record: LedgerRecord,
    /// Further fates of the acceptance; the message's id is put into them.
    pub further: Vec<LedgerRecord>,
    /// The part that goes out.
    pub relay: Option<Relay>,
    /// The sent message that this one is a notice about.
    pub report_on: Option<MessageId>,
}

impl Delivery {
    /// A message for mailboxes only.
    pub fn local(
        content: Spooled,
        delivery_octets: u16,
        placements: Vec<Placement>,
        record: LedgerRecord,
    ) -> Delivery {
        Delivery {
            content,
            delivery_octets,
            placements,
            record,
            further: Vec::new(),
            relay: None,
            report_on: None,
        }
    }
}

/// A message that is on stable storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub message: MessageId,
    /// UIDs in the order of the distinct placements, sorted by account and folder.
    pub uids: Vec<u32>,
    /// The part that goes out waits for the owner: the account sent more than it may in a day.
    pub is_held: bool,
}

/// A delivery, where it goes, and what came of it.
pub(crate) struct Deliver {
    delivery: Delivery,
    places: Vec<Placement>,
    delivered: Option<Delivered>,
}

impl Deliver {
    pub(crate) fn new(delivery: Delivery) -> Deliver {
        Deliver { delivery, places: Vec::new(), delivered: None }
    }
}

impl Change for Deliver {
    type Outcome = Delivered;
    fn prepare(&mut self, work: &mut Work) -> Result<()> {
        self.places = work.plan(&self.delivery)?;
        Ok(())
    }
    fn put_content(&self, work: &mut Work) -> Result<()> {
        work.put_next_content(&self.delivery)
    }
    fn take_in(&mut self, work: &mut Work) -> Result<()> {
        self.delivered = Some(work.deliver(&self.delivery, &self.places)?);
        Ok(())
    }
    fn apply(&mut self, work: &mut Work) -> Result<Delivered> {
        // It was taken in before: first all content is written, then its messages, then everything else.
        let delivered = self.delivered.take().expect("taken in before");
        work.record_further(&self.delivery, delivered.message)?;
        Ok(delivered)
    }
    fn content_octets(&self) -> usize {
        self.delivery.content.committed_octets()
    }
    fn grows(&self) -> bool {
        true
    }
    fn keep(&mut self) {
        self.delivery.content.keep();
    }
}

impl Work<'_, '_> {
    /// Where a message will go.
    /// Refused with `NotFound` when none of the accounts exists any more.
    pub(crate) fn plan(&self, delivery: &Delivery) -> Result<Vec<Placement>> {
        if u32::try_from(delivery.content.octets).is_err() {
            return Err(Error::Invalid { why: "a message can't be larger than 4 GiB".into() });
        }
        match self.existing(&delivery.placements) {
            Err(Error::NotFound { .. }) if delivery.relay.is_some() => Ok(Vec::new()),
            places => places,
        }
    }

    /// Writes the content of a planned message, under the id that its ledger record will get.
    pub(crate) fn put_next_content(&mut self, delivery: &Delivery) -> Result<()> {
        let message = match self.next_message {
            Some(next) => next,
            None => MessageId(self.last_record()?.0 + 1),
        };
        self.next_message = Some(MessageId(message.0 + 1));
        self.put_content(message, &delivery.content, delivery.record.at, delivery.delivery_octets)
    }

    /// Writes everything but the content of a planned message.
    /// The deliveries of a transaction come in the order in which [`Work::put_next_content`] got them and before any
    /// other ledger record.
    pub(crate) fn deliver(
        &mut self,
        delivery: &Delivery,
        places: &[Placement],
    ) -> Result<Delivered> {
        let message = MessageId(self.record(&delivery.record)?.0);
        let mut uids = Vec::with_capacity(places.len());
        for place in places {
            let folder = FolderKey { account: place.account, folder: place.folder };
            let entry = Entry {
                message,
                unique_id: random()?,
                octets: delivery.content.octets as u32,
                saved_at: delivery.record.at,
                flags: place.flags,
                modseq: 0,
                keywords: 0,
            };
            uids.push(self.add_entry(folder, entry)?);
        }
        self.set_shares(message, places.len() as u32 + u32::from(delivery.relay.is_some()))?;
        let is_held = match &delivery.relay {
            Some(relay) => self.enqueue(message, relay)?,
            None => false,
        };
        if let Some(sent) = delivery.report_on {
            let key = ReportKey { sent, report: message };
            self.tables
                .queue
                .reports
                .put(self.txn, &key, &())
                .map_err(Error::lmdb("linking a notice"))?;
        }
        Ok(Delivered { message, uids, is_held })
    }

    /// Writes the further fates of a message that was taken in.
    /// Not before all of the transaction's messages were: ids are counted from records.
    pub(crate) fn record_further(&mut self, delivery: &Delivery, message: MessageId) -> Result<()> {
        let further =
            |record: &LedgerRecord| LedgerRecord { messages: vec![message.0], ..record.clone() };
        delivery.further.iter().try_for_each(|record| self.record(&further(record)).map(drop))
    }

    /// The placements whose folder exists, each once.
    fn existing(&self, placements: &[Placement]) -> Result<Vec<Placement>> {
        let mut places = placements.to_vec();
        places.sort_by_key(|p| (p.account, p.folder));
        places.dedup_by_key(|p| (p.account, p.folder));
        let mut existing = Vec::with_capacity(places.len());
        for place in places {
            let folder = FolderKey { account: place.account, folder: place.folder };
            if self.tables.mailbox.folder(self.txn, folder)?.is_some() {
                existing.push(place);
            }
        }
        match existing.is_empty() {
            true => Err(Error::NotFound { what: "mailbox", name: "for this message".into() }),
            false => Ok(existing),
        }
    }
}
