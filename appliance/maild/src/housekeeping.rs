//! What happens by itself: retention, the look at the disk and at the certificate, the watchdog.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pillarbox_store::{Change, Disk, Maintained, Retention, Space};
use tokio::time::MissedTickBehavior;

use crate::context::{Context, off_thread};
use crate::server::notify;
use crate::tls::Refreshed;
use crate::{acme, board, clock, dkim, hours, mail, web};

const DAY: u64 = 86_400;
/// How often the disk is looked at, and the watchdog told.
const BEAT: Duration = Duration::from_secs(1);
/// Between two rounds of housekeeping, and between two looks at the certificate files.
const ROUND: Duration = Duration::from_secs(30);
/// Beats between two looks whether the line passes DNSSEC's signatures on.
const HOUR: u64 = 3600;
/// Pause between two steps of a round, so that mail goes first.
const BREATH: Duration = Duration::from_millis(20);

/// Runs until the server stops. A round may take minutes, with much mail to index on a small board: the server's pulse does
/// not wait for it.
pub async fn run(context: Arc<Context>) {
    tokio::join!(beat(&context), rounds(&context));
}

async fn beat(context: &Arc<Context>) {
    let mut stop = context.stop();
    let mut beats = 0u64;
    let mut beat = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            _ = stop.changed() => return,
        }
        look_at_disk(context).await;
        web::later::run(context, clock::now()).await;
        notify(&[sd_notify::NotifyState::Watchdog]);
        if beats.is_multiple_of(pillarbox_host::board::PULSE) {
            board::write(context).await;
        }
        if beats.is_multiple_of(HOUR) {
            context.outbound.dns.look_again();
        }
        beats += 1;
    }
}

async fn rounds(context: &Arc<Context>) {
    let mut stop = context.stop();
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = round.tick() => {}
            _ = stop.changed() => return,
        }
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
    let store = context.store.clone();
    let has_space = off_thread(move || Ok(store.space(0) == Space::Enough)).await.unwrap_or(false);
    if context.has_space.swap(has_space, Ordering::Relaxed) != has_space {
        match has_space {
            true => tracing::info!("there is room again: mail is accepted"),
            false => tracing::warn!("the disk is nearly full: mail has to wait outside (452)"),
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
    let kept = &settings.config.retention;
    let retention = Retention { at: clock::now(), trash_for: kept.trash_days * DAY, ledger_for: kept.ledger_days * DAY, ledger_octets: ledger_octets(context) };
    let stop = context.stop();
    while !*stop.borrow() {
        match context.store.maintain(retention).done().await {
            Ok(Maintained::More) => tokio::time::sleep(BREATH).await,
            Ok(Maintained::Nothing) => return,
            Err(error) => return tracing::error!(%error, "housekeeping failed"),
        }
    }
}

/// Forgets browsers that were not seen for too long.
async fn end_sessions(context: &Arc<Context>) {
    let latest = clock::now().saturating_sub(context.settings().config.web.session_hours * 3600);
    let old = context.read(move |r| Ok(r.sessions()?.into_iter().filter(|(_, s)| s.seen < latest).map(|(key, _)| key).collect::<Vec<_>>()));
    for key in old.await.unwrap_or_default() {
        if let Err(error) = context.store.change(Change::RemoveSession { key }).done().await {
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
    match settings.config.retention.ledger_octets {
        0 => Disk::of(&settings.config.data).map_or(1 << 30, |disk| disk.all / 20),
        octets => octets,
    }
}
