//! Logs: to the journal where there is one, else to standard error. Fixed fields, never content or secrets.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// Where the journal listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Starts logging at a level such as `info`.
pub fn start(level: &str) -> Result<(), String> {
    let level: LevelFilter = level.parse().map_err(|_| format!("log.level = {level:?}: use error, warn, info, debug or trace"))?;
    let under_systemd = std::env::var_os("JOURNAL_STREAM").is_some() || std::env::var_os("INVOCATION_ID").is_some();
    let journal = match under_systemd && std::path::Path::new(JOURNAL).exists() {
        true => tracing_journald::layer().ok(),
        false => None,
    };
    let stderr = journal.is_none().then(|| {
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false)
    });
    let started = tracing_subscriber::registry().with(level).with(journal).with(stderr).try_init();
    started.map_err(|e| format!("starting the log: {e}"))
}
