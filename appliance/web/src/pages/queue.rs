//! What waits to go out, and the owner's orders about it.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_platform::clock;
use pillarbox_store::{Hold, MessageId, Order, QueueKey, QueueOrder, QueueState, Service};
use serde::Deserialize;

use crate::frame::{Frame, notice, page, trouble};
use crate::session::Owner;
use crate::signed::Signed;

/// Rows of one page.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    frame: Frame,
    rows: Vec<Row>,
    all: u64,
    /// Where the next page begins; empty on the last one.
    next: String,
}

struct Row {
    number: String,
    recipient: String,
    sender: String,
    subject: String,
    state: String,
    due: String,
    attempts: u32,
    last: String,
    transcript: String,
    is_held: bool,
}

#[derive(Deserialize)]
pub struct From {
    #[serde(default)]
    from: String,
}

pub async fn show(Owner(visit, _): Owner, Query(query): Query<From>) -> Response {
    let from = query.from.parse().unwrap_or(QueueKey { message: MessageId(0), recipient: 0 });
    let t = visit.texts;
    let read = visit.office.store.read_off_thread(move |r| {
        let mut found = r.queue(from, ROWS + 1)?;
        let next =
            if found.len() > ROWS { found.pop().map(|(key, _)| key.to_string()) } else { None };
        let rows = found.into_iter().map(|(key, waiting)| {
            let outgoing = r.outgoing(key.message)?;
            let kept = waiting
                .transcript
                .map(|recipient| r.transcript(QueueKey { recipient, ..key }))
                .transpose()?
                .flatten();
            let state = match waiting.state {
                QueueState::Scheduled => "queue-waiting",
                QueueState::Held(Hold::Owner) => "queue-held",
                QueueState::Held(Hold::OverLimit) => "queue-over-limit",
                QueueState::Held(Hold::Login) => "queue-login",
                QueueState::GivenUp => "queue-given-up",
            };
            Ok(Row {
                number: key.to_string(),
                recipient: waiting.address,
                sender: outgoing.as_ref().map(|o| o.sender.clone()).unwrap_or_default(),
                subject: outgoing.map(|o| o.subject).unwrap_or_default(),
                state: t.get(state).into_owned(),
                due: if waiting.state == QueueState::Scheduled {
                    t.moment(waiting.due, clock::now())
                } else {
                    String::new()
                },
                attempts: waiting.attempts,
                last: waiting.last.to_string(),
                transcript: kept.map(|k| k.text).unwrap_or_default(),
                is_held: matches!(waiting.state, QueueState::Held(_)),
            })
        });
        Ok((
            rows.collect::<Result<Vec<_>, pillarbox_store::Error>>()?,
            r.queue_counts()?.0,
            next.unwrap_or_default(),
        ))
    });
    match read.await {
        Ok((rows, all, next)) => page(
            StatusCode::OK,
            &QueuePage { frame: Frame::new(&visit, "/queue", "queue-title"), rows, all, next },
        ),
        Err(error) => trouble(&visit, &error),
    }
}

/// What the owner wants of one recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wish {
    Retry,
    Hold,
    Release,
    Remove,
    Bounce,
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    number: String,
    #[serde(default)]
    order: Wish,
}

pub async fn order(Signed(Owner(visit, _), asked): Signed<Owner, Asked>) -> Response {
    let order = match asked.order {
        Wish::Retry => Order::Retry,
        Wish::Hold => Order::Hold(Hold::Owner),
        Wish::Release => Order::Release,
        Wish::Remove => Order::Remove,
        Wish::Bounce => Order::GiveUp,
        Wish::Unknown => return notice(&visit, StatusCode::BAD_REQUEST, "stale-title", "stale"),
    };
    let Ok(key) = asked.number.parse::<QueueKey>() else {
        return notice(&visit, StatusCode::BAD_REQUEST, "stale-title", "stale");
    };
    let order = QueueOrder { order, entries: vec![key], at: clock::now(), service: Service::Web };
    let is_late = matches!(order.order, Order::Remove | Order::Hold(_))
        && visit.office.outbound.is_under_way(key);
    match visit.office.store.change(order).done().await {
        // The worker looks once more before it sends; here it is not known whether it has.
        Ok(_) if is_late => {
            notice(&visit, StatusCode::OK, "queue-under-way-title", "queue-under-way")
        }
        Ok(_) => {
            visit.office.outbound.wake();
            Redirect::to("/queue").into_response()
        }
        Err(error) => trouble(&visit, &error),
    }
}
