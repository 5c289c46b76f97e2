//! Reading the queue.

use std::time::Duration;

use pillarbox_vocabulary::Timestamp;

use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::{DestinationId, MessageId};
use crate::queue::{AgendaKey, DestinationKey, Outgoing, QueueKey, ReportKey, Transcript, Waiting};

impl Reader<'_> {
    /// Destination queues that are due at `now`, earliest first, at most `limit`: id, domain, time.
    /// What is not due costs nothing.
    pub fn agenda(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(DestinationId, String, Timestamp)>> {
        let doing = "reading the queue's agenda";
        let range = AgendaKey { due: Timestamp(0), destination: DestinationId(0) }..=AgendaKey {
            due: now,
            destination: DestinationId(u64::MAX),
        };
        let rows =
            self.shared.tables.queue.agenda.range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        let row = |row: heed::Result<(AgendaKey, &str)>| {
            row.map(|(k, domain)| (k.destination, domain.to_string(), k.due))
        };
        rows.take(limit).map(row).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// When the first and the last destination queue are due; `None` when nothing is scheduled.
    pub fn agenda_span(&self) -> Result<Option<(Timestamp, Timestamp, DestinationId)>> {
        let doing = "reading the queue's agenda";
        let first = self.shared.tables.queue.agenda.first(&self.txn).map_err(Error::lmdb(doing))?;
        let last = self.shared.tables.queue.agenda.last(&self.txn).map_err(Error::lmdb(doing))?;
        Ok(first.zip(last).map(|((first, _), (last, _))| (first.due, last.due, last.destination)))
    }

    /// Recipients of a destination queue that are due at `now`, earliest first, at most `limit`; those that `skip`
    /// names are passed over.
    pub fn destination(
        &self,
        destination: DestinationId,
        now: Timestamp,
        limit: usize,
        skip: impl Fn(QueueKey) -> bool,
    ) -> Result<Vec<(QueueKey, Waiting)>> {
        let doing = "reading a destination queue";
        let key = |due, message| DestinationKey {
            destination,
            due,
            entry: QueueKey { message: MessageId(message), recipient: 0 },
        };
        let end = key(now.plus(Duration::from_secs(1)), 0);
        let rows = self
            .shared
            .tables
            .queue
            .lanes
            .range(&self.txn, &(key(Timestamp(0), 0)..end))
            .map_err(Error::lmdb(doing))?;
        let mut found = Vec::new();
        for row in rows {
            let entry = row.map_err(Error::lmdb(doing))?.0.entry;
            if skip(entry) {
                continue;
            }
            if let Some(waiting) = self.waiting(entry)? {
                found.push((entry, waiting));
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// A recipient in the queue.
    pub fn waiting(&self, key: QueueKey) -> Result<Option<Waiting>> {
        self.shared
            .tables
            .queue
            .queue
            .get(&self.txn, &key)
            .map_err(Error::lmdb("reading the queue"))
    }

    /// A message on its way out.
    pub fn outgoing(&self, message: MessageId) -> Result<Option<Outgoing>> {
        self.shared
            .tables
            .queue
            .outgoing
            .get(&self.txn, &message)
            .map_err(Error::lmdb("reading the queue"))
    }

    /// Recipients in the queue from a place on, in order of acceptance, at most `limit`.
    pub fn queue(&self, from: QueueKey, limit: usize) -> Result<Vec<(QueueKey, Waiting)>> {
        let doing = "reading the queue";
        let rows = self
            .shared
            .tables
            .queue
            .queue
            .range(&self.txn, &(from..))
            .map_err(Error::lmdb(doing))?;
        rows.take(limit).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// How many recipients are in the queue, and how many of them are scheduled; the others are held.
    pub fn queue_counts(&self) -> Result<(u64, u64)> {
        let doing = "counting the queue";
        let all = self.shared.tables.queue.queue.len(&self.txn).map_err(Error::lmdb(doing))?;
        Ok((all, self.shared.tables.queue.lanes.len(&self.txn).map_err(Error::lmdb(doing))?))
    }

    /// The conversation of the last attempt.
    pub fn transcript(&self, key: QueueKey) -> Result<Option<Transcript>> {
        self.shared
            .tables
            .queue
            .transcripts
            .get(&self.txn, &key)
            .map_err(Error::lmdb("reading a transcript"))
    }

    /// Notices that came about a sent message.
    pub fn reports(&self, sent: MessageId) -> Result<Vec<MessageId>> {
        let doing = "reading links to notices";
        let range = ReportKey { sent, report: MessageId(0) }..=ReportKey {
            sent,
            report: MessageId(u64::MAX),
        };
        let rows = self
            .shared
            .tables
            .queue
            .reports
            .range(&self.txn, &range)
            .map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(key, ())| key.report).map_err(Error::lmdb(doing))).collect()
    }
}
