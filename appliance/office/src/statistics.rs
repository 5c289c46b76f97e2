//! Counting what happened, hour by hour, for the pictures on the owner's page.
//!
//! The ledger is read on from where the last look ended; a row is written when its hour is over, and at most every ten
//! minutes before that, so that a restart loses nothing and a card is not worn out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pillarbox_platform::clock;
use pillarbox_platform::config::Live;
use pillarbox_platform::tasks::Tasks;
use pillarbox_store::{
    Fate, Hour, LedgerId, MessageId, PutHour, QueueKey, Reader, Result, Store, off_thread,
};
use pillarbox_vocabulary::Timestamp;

/// Records read at a time.
const PIECE: usize = 2000;
/// Hours back that are counted at most.
const FIRST: u64 = 24 * 31;
/// Seconds between two rows of the same hour.
const WRITE: u64 = 600;
/// Recipients looked at for the oldest one.
const OLDEST: usize = 200;

/// What was counted.
pub struct Statistics {
    settings: Live,
    store: Store,
    tasks: Tasks,
    /// The hours counted last, the current one at the end.
    latest: Mutex<Vec<(u64, Hour)>>,
}

impl Statistics {
    pub fn new(settings: Live, store: Store, tasks: Tasks) -> Statistics {
        Statistics { settings, store, tasks, latest: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Hour)>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts on, and writes rows when it is time.
/// Housekeeping calls this; pages read what it found.
pub async fn count(statistics: &Arc<Statistics>) {
    let statistics = statistics.clone();
    let counted = off_thread(move || {
        if !clock::is_trusted() {
            // What is counted in the wrong hour can't be put right later.
            return Ok(());
        }
        let mut rest = Rest::Some;
        while rest == Rest::Some && !statistics.tasks.is_over() {
            let now = clock::now();
            let disk = used(&statistics.settings.get().data);
            let known = statistics.lock().last().copied();
            let rows;
            (rows, rest) = statistics.store.read(|r| gather(r, known, now.hour(), disk))?;
            keep(&statistics.store, &rows, now)?;
            *statistics.lock() = rows;
        }
        Ok(())
    });
    if let Err(error) = counted.await {
        tracing::error!(%error, "counting the hour failed");
    }
}

/// Writes the hours that are over, and the current one now and then.
fn keep(store: &Store, rows: &[(u64, Hour)], now: Timestamp) -> Result<()> {
    for &(hour, record) in rows {
        let known = store
            .read(|r| r.hours(hour))?
            .into_iter()
            .find(|(h, _)| *h == hour)
            .map(|(_, known)| known);
        let is_new = known
            .is_none_or(|known| known.ledger != record.ledger || known.queued != record.queued);
        if known.is_none() || is_new && (hour < now.hour() || now.0 % WRITE < 40) {
            store.change(PutHour { hour, record }).wait()?;
        }
    }
    Ok(())
}

/// The hours from one on, the newest as it was at the last look, at most half a minute ago.
pub fn known(statistics: &Statistics, reader: &Reader, from: u64) -> Result<Vec<(u64, Hour)>> {
    let mut rows = reader.hours(from)?;
    let fresh = statistics.lock().clone();
    rows.retain(|(known, _)| fresh.iter().all(|(new, _)| new != known));
    rows.extend(fresh.into_iter().filter(|(hour, _)| *hour >= from));
    rows.sort_by_key(|(hour, _)| *hour);
    Ok(rows)
}

/// Whether there is more to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    None,
    Some,
}

/// The rows as they should be now, from the last known one on; the newest is the current hour's.
fn gather(
    reader: &Reader,
    known: Option<(u64, Hour)>,
    hour: u64,
    disk: u64,
) -> Result<(Vec<(u64, Hour)>, Rest)> {
    let last = match known {
        Some(known) => Some(known),
        None => reader.hours(hour.saturating_sub(FIRST))?.into_iter().next_back(),
    };
    let mut rows: Vec<(u64, Hour)> = last.into_iter().collect();
    let mut place = match rows.last() {
        Some((_, row)) => LedgerId(row.ledger),
        // Nothing counted yet: begin with the last bit of what there is.
        None => LedgerId(
            reader.ledger_recent(1)?.first().map_or(0, |(id, _)| id.0).saturating_sub(PIECE as u64),
        ),
    };
    let records = reader.ledger_after(place, PIECE)?;
    for (id, record) in &records {
        place = *id;
        let at = record.at.hour().min(hour);
        if at + FIRST < hour {
            // Older than any picture shows.
            continue;
        }
        if rows.last().is_none_or(|(last, _)| *last < at) {
            rows.push((at, Hour::default()));
        }
        let Some((_, row)) = rows.last_mut() else { continue };
        match record.fate {
            Fate::Delivered => row.delivered += 1,
            Fate::Relayed => row.relayed += 1,
            Fate::Refused => row.refused += 1,
            Fate::Bounced | Fate::Expired => row.bounced += 1,
            _ => {}
        }
        row.ledger = id.0;
    }
    let rest = if records.len() < PIECE { Rest::None } else { Rest::Some };
    if rest == Rest::None && rows.last().is_none_or(|(last, _)| *last < hour) {
        rows.push((hour, Hour::default()));
    }
    if let Some((_, row)) = rows.last_mut() {
        row.ledger = place.0;
        row.queued = reader.queue_counts()?.0;
        row.oldest = oldest(reader)?;
        row.disk = disk;
    }
    Ok((rows, rest))
}

/// How long the oldest recipient of the queue waits, in seconds.
fn oldest(reader: &Reader) -> Result<u64> {
    let first = reader.queue(QueueKey { message: MessageId(0), recipient: 0 }, OLDEST)?;
    let since = first
        .iter()
        .filter(|(_, waiting)| waiting.since > Timestamp(0))
        .map(|(_, waiting)| waiting.since)
        .min();
    Ok(since.map_or(0, |since| clock::now().since(since).as_secs()))
}

/// Octets used on the partition of a folder.
pub fn used(folder: &std::path::Path) -> u64 {
    pillarbox_store::Disk::of(folder).map_or(0, |disk| disk.used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pillarbox_store::{Access, LedgerRecord, Options, SetSetting, ShortCode, Store};

    #[test]
    fn each_record_counts_once_in_its_hour() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Access::Server, &Options::default()).unwrap();
        let note = |hour: u64, fate| {
            store.note(LedgerRecord::new(Timestamp(hour * 3600 + 5), fate, ShortCode(1)))
        };
        let rows = |hour| store.read(|r| gather(r, None, hour, 7)).unwrap().0;
        let keep = |rows: &[(u64, Hour)]| {
            rows.iter().for_each(|&(hour, record)| {
                store.change(PutHour { hour, record }).wait().unwrap();
            })
        };
        note(99, Fate::Delivered);
        store.change(SetSetting { key: "x".into(), value: None }).wait().unwrap();
        let first = rows(100);
        keep(&first);
        let first: Vec<_> = first.iter().map(|(h, r)| (*h, r.delivered)).collect();
        note(100, Fate::Delivered);
        note(100, Fate::Refused);
        note(102, Fate::Relayed);
        store.change(SetSetting { key: "x".into(), value: None }).wait().unwrap();
        let found = rows(103);
        let counts: Vec<_> =
            found.iter().map(|(h, r)| (*h, r.delivered, r.refused, r.relayed)).collect();
        assert_eq!(counts, [(100, 1, 1, 0), (102, 0, 0, 1), (103, 0, 0, 0)]);
        assert_eq!(first, [(99, 1), (100, 0)], "what was there before the first look counts too");
        keep(&found);
        assert_eq!(rows(103).iter().map(|(_, r)| r.delivered + r.refused).sum::<u64>(), 0);
    }
}
