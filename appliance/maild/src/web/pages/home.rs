//! Does mail work? One look for the owner, one line for a monitor.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pillarbox_store::{Fate, LedgerRecord};
use serde_json::json;

use super::{Frame, page, trouble};
use crate::clock;
use crate::context::Context;
use crate::web::session::Owner;
use crate::web::text::Texts;

/// Ledger records looked at for the last mail in and out.
const RECENT: usize = 500;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    attention: Vec<Item>,
    tiles: Vec<Tile>,
    recent: Vec<Line>,
}

/// Something that needs the owner, with the page that mends it.
struct Item {
    text: String,
    to: &'static str,
    action: String,
}

struct Tile {
    label: String,
    value: String,
    note: String,
}

pub struct Line {
    pub at: String,
    /// The fate's name, for its colour.
    pub fate: &'static str,
    /// The fate for people.
    pub word: String,
    pub text: String,
}

/// One line of the ledger, for people.
pub fn line(t: Texts, record: &LedgerRecord) -> Line {
    let subject = if record.subject.is_empty() { String::new() } else { format!(" “{}”", record.subject) };
    let from = if record.sender.is_empty() { String::new() } else { format!("{} ", record.sender) };
    Line {
        at: t.moment(record.at, clock::now()),
        fate: record.fate.as_str(),
        word: t.get(&format!("fate-{}", record.fate.as_str())).into_owned(),
        text: format!("{from}→ {}{subject} {}", record.recipients.join(", "), record.detail),
    }
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    let context = visit.context.clone();
    let read = context.read(|r| Ok((r.queue_counts()?, r.ledger_recent(RECENT)?, r.routes()?, r.accounts()?.len(), r.domains()?)));
    let ((all, scheduled), ledger, routes, people, domains) = match read.await {
        Ok(read) => read,
        Err(error) => return trouble(&visit, &error),
    };
    let t = visit.texts;
    let held = all.saturating_sub(scheduled);
    let mut attention = Vec::new();
    let mut item = |text: String, to, action: &str| attention.push(Item { text, to, action: t.get(action).into_owned() });
    if !context.has_space() {
        item(t.get("home-disk-full").into_owned(), "/home", "home-again");
    }
    if !clock::is_trusted() {
        item(t.get("home-clock").into_owned(), "/home", "home-again");
    }
    for (_, route) in routes.iter().filter(|(_, r)| !r.fault.is_empty()) {
        item(t.with("home-provider", "host", &route.host).into_owned(), "/queue", "home-see-queue");
    }
    if held > 0 {
        item(t.count("home-held", held).into_owned(), "/queue", "home-see-queue");
    }
    let last = |wanted: &[Fate]| ledger.iter().find(|(_, r)| wanted.contains(&r.fate)).map_or_else(|| t.get("home-never").into_owned(), |(_, r)| t.moment(r.at, clock::now()));
    let tile = |label: &str, value: String, note: String| Tile { label: t.get(label).into_owned(), value, note };
    let tiles = vec![
        tile("home-last-in", last(&[Fate::Delivered]), String::new()),
        tile("home-last-out", last(&[Fate::Relayed]), String::new()),
        tile("home-queue", all.to_string(), t.count("queue-count", all).into_owned()),
        tile("home-people", people.to_string(), domains.join(", ")),
        tile("home-disk", free_disk(&context), String::new()),
        tile("home-version", env!("CARGO_PKG_VERSION").to_string(), "Pillarbox".into()),
    ];
    let recent = ledger.iter().take(8).map(|(_, record)| line(t, record)).collect();
    page(StatusCode::OK, &HomePage { frame: Frame::new(&visit, "/home", "home-title"), attention, tiles, recent })
}

fn free_disk(context: &Context) -> String {
    let free = nix::sys::statvfs::statvfs(&context.settings().config.data).map_or(0, |s| s.blocks_available() * s.fragment_size());
    format!("{:.1} GB", free as f64 / 1e9)
}

/// For monitors: 200 when mail can be taken, 503 when not.
pub async fn health(State(context): State<Arc<Context>>) -> Response {
    let queue = context.read(|r| r.queue_counts()).await;
    let is_well = context.has_space() && queue.is_ok();
    let (all, scheduled) = queue.unwrap_or_default();
    let body = json!({"ok": is_well, "space": context.has_space(), "clock": clock::is_trusted(), "queued": all, "held": all.saturating_sub(scheduled)});
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
