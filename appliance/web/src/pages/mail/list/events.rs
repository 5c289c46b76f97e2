//! Reports to an open page that something changed in its person's folders (server-sent events, HTML §9.2).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use pillarbox_office::Office;
use pillarbox_store::{AccountId, FolderId};
use tokio::sync::mpsc;

use crate::session::Person;
use crate::stream;

/// How often a page that listens gets a comment at least: proxies end what is silent for long.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Between two events at least: a page need not be made anew for each message of a burst.
const PAUSE: Duration = Duration::from_millis(500);
/// For how long a page may listen.
const LISTEN: Duration = Duration::from_secs(600);
/// Events that wait for a slow browser.
const WAITING: usize = 4;

pub async fn events(Person(visit, visitor): Person) -> Response {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(report(visit.office.clone(), visitor.account, sender));
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(stream::Pieces::new(receiver)))
        .into_response()
}

/// Sends an event for each change, until the browser has gone, the server ends or the time is over.
async fn report(office: Arc<Office>, account: AccountId, sender: mpsc::Sender<String>) {
    let mut stop = office.handles.tasks.stop();
    let mut notices = office.store.notices();
    let mut last = state(&office, account).await;
    let begun = tokio::time::Instant::now();
    // Its first tick comes at once: the browser knows that it is connected.
    let mut beat = tokio::time::interval(HEARTBEAT);
    while begun.elapsed() < LISTEN {
        let text = tokio::select! {
            notice = notices.next() => match notice {
                None => return,
                Some(notice) if !notice.concerns(account) => continue,
                Some(_) => {
                    let now = state(&office, account).await;
                    // Another process changed something else, or it was read with the notice before.
                    if now == last {
                        continue;
                    }
                    last = now;
                    format!("event: mail\ndata: {}\n\n", now.1)
                }
            },
            _ = beat.tick() => ": \n\n".to_string(),
            // The browser has gone.
            () = sender.closed() => return,
            _ = stop.changed() => return,
        };
        let is_event = text.starts_with("event");
        if sender.send(text).await.is_err() {
            return;
        }
        if is_event {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The sum of the folders' modification sequences, and the unread in the inbox.
async fn state(office: &Arc<Office>, account: AccountId) -> (u64, u32) {
    let read = office.store.read_off_thread(move |r| {
        let folders = r.folders(account)?;
        let unseen = folders
            .iter()
            .find(|(id, ..)| *id == FolderId::INBOX)
            .map_or(0, |(_, _, state)| state.unseen);
        Ok((folders.iter().map(|(_, _, state)| state.modseq).sum(), unseen))
    });
    read.await.unwrap_or_default()
}
