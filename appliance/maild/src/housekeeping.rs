//! What happens by itself: retention, the look at the disk and at the certificate, the watchdog.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pillarbox_outbound::dkim;
use pillarbox_platform::clock;
use pillarbox_platform::tls::Refreshed;
use pillarbox_store::{Disk, Maintained, RemoveSession, Retention, Space, off_thread};
use tokio::time::MissedTickBehavior;

use crate::server::notify;
use pillarbox_office::context::Context;
use pillarbox_office::submission::later;
use pillarbox_office::{acme, auth, board, hours, mail};

const DAY: u64 = 86_400;
/// How often the watchdog hears of the server, and the disk is looked at.
const BEAT: Duration = Duration::from_secs(1);
/// Between two rounds of housekeeping, and between two looks at the certificate files.
const ROUND: Duration = Duration::from_secs(30);
/// Between two looks whether the line passes DNSSEC's signatures on.
const DNSSEC_LOOK: Duration = Duration::from_secs(3600);
/// Pause between two steps of a round, so that mail goes first.
const BREATH: Duration = Duration::from_millis(20);

/// Runs until the server stops. Each of these goes its own pace: a round may take minutes, with much mail to index on a small
/// board, and a message that is sent later may be large. The server's pulse waits for none of them.
pub async fn run(context: Arc<Context>) {
    tokio::join!(beat(&context), every(BEAT, &context, look_at_disk), every(BEAT, &context, send_later), pulse(&context), rounds(&context));
}

/// Tells the watchdog that the server is alive, and does nothing else.
async fn beat(context: &Arc<Context>) {
    every(BEAT, context, async |_| notify(&[sd_notify::NotifyState::Watchdog])).await;
}

/// Does something again and again until the server stops; when it takes long, the next time comes later.
async fn every(pause: Duration, context: &Arc<Context>, work: impl AsyncFn(&Arc<Context>)) {
    let mut stop = context.stop();
    let mut interval = tokio::time::interval(pause);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            _ = stop.changed() => return,
        }
        work(context).await;
    }
}

async fn send_later(context: &Arc<Context>) {
    later::run(context, clock::now()).await;
}

/// Tells the beacon.
async fn pulse(context: &Arc<Context>) {
    every(Duration::from_secs(pillarbox_host::board::PULSE), context, board::write).await;
}

async fn rounds(context: &Arc<Context>) {
    let mut looked = None::<std::time::Instant>;
    let mut stop = context.stop();
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = round.tick() => {}
            _ = stop.changed() => return,
        }
        if context.store.unwritable().is_some() {
            // Nothing of this can be done; what can be read is read without it.
            continue;
        }
        if looked.is_none_or(|at| at.elapsed() >= DNSSEC_LOOK) {
            looked = Some(std::time::Instant::now());
            context.outbound.dns.look_again();
        }
        auth::hash::release_memory();
        refresh_certificate(context);
        keep_house(context).await;
        make_keys(context).await;
        end_sessions(context).await;
        hours::count(context).await;
        mail::index::run(context).await;
        acme::renew(context).await;
    }
}

async fn look_at_disk(context: &Arc<Context>) {
    clock::look();
    let store = context.store.clone();
    let looked = off_thread(move || Ok((store.space(0) == Space::Enough, store.unwritable()))).await;
    let (has_space, unwritable) = looked.unwrap_or((false, None));
    note_writable(context, unwritable.as_deref());
    if context.has_space.swap(has_space, Ordering::Relaxed) != has_space {
        match has_space {
            true => tracing::info!("there is room again: mail is accepted"),
            false => tracing::warn!("the disk is nearly full: mail has to wait outside (452)"),
        }
    }
}

/// Says once that nothing can be written, and once that it can again.
fn note_writable(context: &Context, unwritable: Option<&str>) {
    let is_writable = unwritable.is_none();
    if context.is_writable.swap(is_writable, Ordering::Relaxed) != is_writable {
        match unwritable {
            Some(why) => tracing::error!(why, "nothing can be written any more: mail has to wait outside, what is here can be read"),
            None => tracing::info!("the disk can be written again: mail is accepted"),
        }
    }
}

/// Takes a new certificate into use if its files changed.
pub fn refresh_certificate(context: &Context) {
    match context.certificates.refresh() {
        Ok(Refreshed::Replaced) => tracing::info!("a new certificate is in use"),
        Ok(Refreshed::Unchanged) => {}
        Err(error) => tracing::error!(error, "the new certificate is not usable; the old one stays in use"),
    }
}

async fn keep_house(context: &Arc<Context>) {
    let settings = context.settings();
    let kept = &settings.retention;
    // A clock that is ahead would empty the trash and forget the ledger. At the beginning of time nothing is old.
    let at = if clock::may_expire() { clock::now() } else { 0 };
    let retention = Retention { at, trash_for: kept.trash_days * DAY, ledger_for: kept.ledger_days * DAY, ledger_octets: ledger_octets(context) };
    let stop = context.stop();
    while !*stop.borrow() {
        match context.store.change(retention).done().await {
            Ok(Maintained::More) => tokio::time::sleep(BREATH).await,
            Ok(Maintained::Nothing) => return,
            Err(error) => return tracing::error!(%error, "housekeeping failed"),
        }
    }
}

/// Forgets browsers that were not seen for too long.
async fn end_sessions(context: &Arc<Context>) {
    let latest = clock::now().saturating_sub(context.settings().web.session_hours * 3600);
    let old = context.read(move |r| Ok(r.sessions()?.into_iter().filter(|(_, s)| s.seen < latest).map(|(key, _)| key).collect::<Vec<_>>()));
    for key in old.await.unwrap_or_default() {
        if let Err(error) = context.store.change(RemoveSession { key }).done().await {
            return tracing::error!(%error, "an old session can't be removed");
        }
    }
}

/// Makes the signing keys that domains lack; on a small board that takes a while, beside everything else.
async fn make_keys(context: &Arc<Context>) {
    let context = context.clone();
    let made = off_thread(move || {
        let (store, now) = (&context.store, clock::now());
        for domain in store.read(|r| r.domains())? {
            match dkim::ensure_keys(store, &context.outbound.secrets, &domain, now) {
                Ok(true) => {
                    context.outbound.signer.forget();
                    tracing::info!(domain, "signing keys were made; `pillarbox domain records` prints what to publish");
                }
                Ok(false) => {}
                Err(error) => tracing::error!(error, domain, "signing keys can't be made"),
            }
        }
        Ok(())
    });
    if let Err(error) = made.await {
        tracing::error!(%error, "signing keys can't be made");
    }
}

/// The ledger's bound: as set, or 5% of the disk.
fn ledger_octets(context: &Context) -> u64 {
    let settings = context.settings();
    match settings.retention.ledger_octets {
        0 => Disk::of(&settings.data).map_or(1 << 30, |disk| disk.all / 20),
        octets => octets,
    }
}
