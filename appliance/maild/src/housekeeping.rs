//! What happens by itself: retention, the look at the disk and at the certificate, the watchdog.

use std::time::Duration;

use pillarbox_outbound::dkim;
use pillarbox_platform::clock;
use pillarbox_platform::tls::Refreshed;
use pillarbox_store::{Disk, Maintained, RemoveSession, Retention, off_thread};
use tokio::time::MissedTickBehavior;

use crate::server::notify;
use pillarbox_office::Office;
use pillarbox_office::submission::later;
use pillarbox_office::{acme, auth, digest, learning, mail, statistics, status_file};
use pillarbox_platform::config::seconds;
use pillarbox_vocabulary::Timestamp;

const DAY: u64 = 86_400;
/// How often the watchdog hears of the server, and the disk is looked at.
const BEAT: Duration = Duration::from_secs(1);
/// Between two rounds of housekeeping, and between two looks at the certificate files.
const ROUND: Duration = Duration::from_secs(30);
/// Between two looks whether somebody called a message wanted or unwanted.
const LESSONS: Duration = Duration::from_secs(2);
/// Between two looks whether somebody is to be told what went into Junk.
const DIGESTS: Duration = Duration::from_secs(600);
/// Between two looks whether the line passes DNSSEC's signatures on.
const DNSSEC_LOOK: Duration = Duration::from_secs(3600);
/// Pause between two steps of a round, so that mail goes first.
const BREATH: Duration = Duration::from_millis(20);

/// Runs until the server stops.
/// Each of these goes its own pace: a round may take minutes, with much mail to index on a small board, and a message
/// that is sent later may be large.
/// The server's pulse waits for none of them.
pub async fn run(office: Office) {
    tokio::join!(
        beat(&office),
        every(BEAT, &office, look_at_disk),
        every(BEAT, &office, send_later),
        every(ROUND, &office, index),
        every(LESSONS, &office, learn),
        every(DIGESTS, &office, tell_of_junk),
        pulse(&office),
        rounds(&office)
    );
}

/// Tells the watchdog that the server is alive, and does nothing else.
async fn beat(office: &Office) {
    every(BEAT, office, async |_| notify(&[sd_notify::NotifyState::Watchdog])).await;
}

/// Does something again and again until the server stops; when it takes long, the next time comes later.
async fn every(pause: Duration, office: &Office, work: impl AsyncFn(&Office)) {
    let mut stop = office.handles.tasks.stop();
    let mut interval = tokio::time::interval(pause);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            _ = stop.changed() => return,
        }
        work(office).await;
    }
}

async fn send_later(office: &Office) {
    later::run(&office.submission, &office.condition, clock::now()).await;
}

/// Takes new mail into the index.
/// Beside busy mail that goes slowly, and keeps nothing else waiting.
async fn index(office: &Office) {
    if office.store.unwritable().is_none() {
        mail::index::run(&office.store, &office.readers, &office.handles.tasks).await;
    }
}

/// Learns from what people call wanted and unwanted.
async fn learn(office: &Office) {
    if office.store.unwritable().is_none() {
        learning::run(&office.learning, &office.handles.tasks).await;
    }
}

/// Tells people what went into Junk.
async fn tell_of_junk(office: &Office) {
    if office.store.unwritable().is_none() {
        digest::run(&office.store, office.settings.get().hostname()).await;
    }
}

async fn look_at_disk(office: &Office) {
    clock::look();
    office.condition.look_at_disk().await;
}

async fn write_status_file(office: &Office) {
    status_file::write(
        &office.settings.get(),
        &office.store,
        &office.certificates,
        &office.condition,
    )
    .await;
}

/// Tells the beacon.
async fn pulse(office: &Office) {
    every(Duration::from_secs(pillarbox_host::status_file::PULSE), office, write_status_file).await;
}

async fn rounds(office: &Office) {
    let mut looked = None::<std::time::Instant>;
    let mut stop = office.handles.tasks.stop();
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = round.tick() => {}
            _ = stop.changed() => return,
        }
        if office.store.unwritable().is_some() {
            // Nothing of this can be done; what can be read is read without it.
            continue;
        }
        if looked.is_none_or(|at| at.elapsed() >= DNSSEC_LOOK) {
            looked = Some(std::time::Instant::now());
            office.handles.dns.look_again();
        }
        auth::hash::release_memory();
        refresh_certificate(office);
        keep_house(office).await;
        make_keys(office).await;
        end_sessions(office).await;
        statistics::count(&office.statistics).await;
        acme::renew(&office.acme).await;
    }
}

/// Takes a new certificate into use if its files changed.
pub fn refresh_certificate(office: &Office) {
    match office.certificates.refresh() {
        Ok(Refreshed::Replaced) => tracing::info!("a new certificate is in use"),
        Ok(Refreshed::Unchanged) => {}
        Err(error) => {
            tracing::error!(%error, "the new certificate is not usable; the old one stays in use")
        }
    }
}

async fn keep_house(office: &Office) {
    let settings = office.settings.get();
    let kept = &settings.retention;
    // A clock that is ahead would empty the trash and forget the ledger.
    // At the beginning of time nothing is old.
    let at = if clock::may_expire() { clock::now() } else { Timestamp(0) };
    let retention = Retention {
        at,
        trash_for: kept.trash_days * DAY,
        junk_for: kept.junk_days * DAY,
        ledger_for: kept.ledger_days * DAY,
        ledger_octets: ledger_octets(office),
    };
    let stop = office.handles.tasks.stop();
    while !*stop.borrow() {
        match office.store.change(retention).done().await {
            Ok(Maintained::More) => tokio::time::sleep(BREATH).await,
            Ok(Maintained::Nothing) => return,
            Err(error) => return tracing::error!(%error, "housekeeping failed"),
        }
    }
}

/// Forgets browsers that were not seen for too long.
async fn end_sessions(office: &Office) {
    let latest = clock::now().minus(seconds(office.settings.get().web.session_hours * 3600));
    let old = office.store.read_off_thread(move |r| {
        Ok(r.sessions()?
            .into_iter()
            .filter(|(_, s)| s.seen < latest)
            .map(|(key, _)| key)
            .collect::<Vec<_>>())
    });
    for key in old.await.unwrap_or_default() {
        if let Err(error) = office.store.change(RemoveSession { key }).done().await {
            return tracing::error!(%error, "an old session can't be removed");
        }
    }
}

/// Makes the signing keys that domains lack; on a small board that takes a while, beside everything else.
async fn make_keys(office: &Office) {
    let office = office.clone();
    let made = off_thread(move || {
        let (store, now) = (&office.store, clock::now());
        for domain in store.read(|r| r.domains())? {
            match dkim::ensure_keys(store, &office.handles.secrets, &domain, now) {
                Ok(true) => {
                    office.outbound.signer.forget();
                    tracing::info!(
                        domain,
                        "signing keys were made; `pillarbox domain records` prints what to publish"
                    );
                }
                Ok(false) => {}
                Err(error) => tracing::error!(%error, domain, "signing keys can't be made"),
            }
        }
        Ok(())
    });
    if let Err(error) = made.await {
        tracing::error!(%error, "signing keys can't be made");
    }
}

/// The ledger's bound: as set, or 5% of the disk.
fn ledger_octets(office: &Office) -> u64 {
    let settings = office.settings.get();
    match settings.retention.ledger_octets {
        0 => Disk::of(&settings.data).map_or(1 << 30, |disk| disk.all / 20),
        octets => octets,
    }
}
