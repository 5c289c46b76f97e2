//! Logs: to the journal where there is one, else to standard error.
//! Fixed fields, never content or secrets.
//! The last lines are also kept in memory, for the owner's page.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Mutex;

use pillarbox_vocabulary::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

use crate::clock;
use crate::error::{Error, Result};

/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Lines kept for the page, and octets of each.
const LINES: usize = 300;
const LENGTH: usize = 400;

/// A line that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Timestamp,
    /// `ERROR`, `WARN` or `INFO`.
    pub level: &'static str,
    /// The message, then its fields; at most 400 octets.
    pub text: String,
}

static RECENT: Mutex<VecDeque<Line>> = Mutex::new(VecDeque::new());

/// The last lines from `INFO` up, at most 300, oldest first.
pub fn recent() -> Vec<Line> {
    RECENT.lock().unwrap_or_else(|e| e.into_inner()).iter().cloned().collect()
}

/// The level that a text such as `info` names.
pub fn level(text: &str) -> Result<LevelFilter> {
    let named = ["error", "warn", "info", "debug", "trace", "off"];
    let known = named.iter().any(|name| name.eq_ignore_ascii_case(text));
    text.parse().ok().filter(|_| known).ok_or_else(|| Error::Setting {
        setting: format!("log.level = {text:?}"),
        why: "use error, warn, info, debug or trace",
    })
}

/// Starts logging at a level such as `info`.
/// Fails for an unknown level, and when it was started before.
pub fn start(level: &str) -> Result<()> {
    let level = self::level(level)?;
    let under_systemd =
        std::env::var_os("JOURNAL_STREAM").is_some() || std::env::var_os("INVOCATION_ID").is_some();
    let journal = match under_systemd && std::path::Path::new(JOURNAL).exists() {
        true => tracing_journald::layer().ok(),
        false => None,
    };
    let stderr = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .with_target(false)
    });
    let kept = Kept.with_filter(LevelFilter::INFO);
    let started = tracing_subscriber::registry()
        .with(kept)
        .with(journal.with_filter(level))
        .with(stderr.with_filter(level))
        .try_init();
    started.map_err(Error::failed("starting the log"))
}

/// Keeps the last lines.
struct Kept;

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        let Words(mut text) = words;
        text.truncate(text.floor_char_boundary(LENGTH));
        let line = Line { at: clock::now(), level: event.metadata().level().as_str(), text };
        let mut lines = RECENT.lock().unwrap_or_else(|e| e.into_inner());
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// The message, then the fields.
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing into a string can't fail.
        let _ = match field.name() {
            "message" => {
                let rest = std::mem::take(&mut self.0);
                write!(self.0, "{value:?}{rest}")
            }
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
