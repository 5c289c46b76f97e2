//! What this box is, and what it wrote down lately.

use std::time::Duration;

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pillarbox_platform::clock;
use pillarbox_platform::logging::{self, Line};

use crate::frame::{Frame, page};
use crate::session::Owner;

#[derive(Template)]
#[template(path = "about.html")]
struct AboutPage {
    frame: Frame,
    facts: Vec<(String, String)>,
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    let t = visit.texts;
    let settings = visit.office.settings.get();
    let up = visit.memory.started.elapsed();
    let facts = [
        ("about-version", env!("CARGO_PKG_VERSION").to_string()),
        ("about-name", settings.hostname()),
        ("about-running", t.count("about-hours", up.as_secs() / 3600).into_owned()),
        (
            "about-memory",
            memory().map_or_else(|| "-".into(), |octets| format!("{:.1} MB", octets as f64 / 1e6)),
        ),
        (
            "about-clock",
            format!("{}{}", clock::iso(clock::now()), if clock::is_trusted() { "" } else { " ?" }),
        ),
        ("about-system", system()),
        ("about-licence", "Apache-2.0".to_string()),
    ];
    let facts = facts.into_iter().map(|(key, value)| (t.get(key).into_owned(), value)).collect();
    page(StatusCode::OK, &AboutPage { frame: Frame::new(&visit, "/about", "about-title"), facts })
}

/// The licences of all parts with their texts, as `image/licences.py` gathers them.
/// Every browser takes gzip (RFC 9110 §8.4.1.3).
pub async fn licences(Owner(..): Owner) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CONTENT_ENCODING, "gzip")];
    (headers, &include_bytes!("../../assets/licences.txt.gz")[..]).into_response()
}

/// What the server's process holds of the machine's memory, in octets; a shared page counts for its share.
pub fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = text.lines().find(|line| line.starts_with("Pss:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or("Linux")
        .trim_matches('"')
        .to_string();
    let board = std::fs::read_to_string("/proc/device-tree/model").unwrap_or_default();
    let board = board.trim_matches(char::from(0)).trim().to_string();
    if board.is_empty() { name } else { format!("{name}, {board}") }
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    frame: Frame,
    lines: Vec<Shown>,
}

struct Shown {
    at: String,
    level: &'static str,
    text: String,
}

pub async fn log(Owner(visit, _): Owner) -> Response {
    let (t, now) = (visit.texts, clock::now());
    let shown =
        |line: Line| Shown { at: t.moment(line.at, now), level: line.level, text: line.text };
    let lines = logging::recent().into_iter().rev().map(shown).collect();
    let mut frame = Frame::new(&visit, "/log", "log-title");
    frame.every = Duration::from_secs(5).as_secs() as u32;
    page(StatusCode::OK, &LogPage { frame, lines })
}
