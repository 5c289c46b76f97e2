//! The scheduler: starts workers for what is due, and mends what a clock that was set back left behind.

use std::sync::Arc;
use std::time::Duration;

use pillarbox_platform::config::seconds;
use pillarbox_store::{Order, QueueOrder, Result, Service, Store, off_thread};
use pillarbox_vocabulary::Timestamp;

use super::sender::{BATCH, Outbound};
use super::{schedule, work};

/// The queue is looked at at least this often: the command line of another process changes it too.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until the server stops.
pub async fn run(outbound: Arc<Outbound>) {
    let mut stop = outbound.tasks.stop();
    let mut workers = tokio::task::JoinSet::new();
    loop {
        let limit = outbound.config().outbound.connections;
        while workers.len() < limit {
            match outbound.claim(None).await {
                Ok(Some(batch)) => drop(workers.spawn(work::run(outbound.clone(), batch))),
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "the queue can't be read");
                    break;
                }
            }
        }
        if let Err(error) = mend_far_future(&outbound).await {
            tracing::error!(%error, "the queue can't be mended");
        }
        tokio::select! {
            _ = outbound.wake.notified() => {}
            Some(_) = workers.join_next() => {}
            _ = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => break,
        }
    }
    // What is under way may finish: a message cut off would be sent twice.
    while workers.join_next().await.is_some() {}
}

/// A clock that was set back leaves recipients due in a far future: they are due now.
/// One destination queue at a time, and nothing to do in any usual second.
pub(crate) async fn mend_far_future(outbound: &Outbound) -> Result<()> {
    let now = outbound.now().at;
    let pause = schedule::longest_pause(&outbound.config().outbound.retry);
    let latest = now.plus(seconds(2 * pause));
    let store = outbound.store.clone();
    let late = move |store: &Store| {
        store.read(|r| match r.agenda_span()? {
            Some((_, last, queue)) if last > latest => {
                r.destination(queue, Timestamp::MAX, BATCH, |_| false)
            }
            _ => Ok(Vec::new()),
        })
    };
    let late = off_thread(move || late(&store)).await?;
    if late.is_empty() {
        return Ok(());
    }
    tracing::info!(
        recipients = late.len(),
        "the clock was set back: what is due later than it can be is tried now"
    );
    let entries = late.into_iter().map(|(key, _)| key).collect();
    let order = QueueOrder { order: Order::Retry, entries, at: now, service: Service::Box };
    outbound.store.change(order).done().await.map(drop)
}
