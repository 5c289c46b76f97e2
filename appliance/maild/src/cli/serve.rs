//! `pillarbox serve`.

use pillarbox_platform::logging;

use super::tools::Place;
use crate::server::Server;

pub fn run(place: &Place) -> Result<(), String> {
    let config = place.config()?;
    logging::start(&config.log.level)?;
    let file = place.file();
    runtime()?.block_on(async move { Server::open(config, file)?.run().await })
}

/// The async threads: one per core, with small stacks; blocking work gets a bounded pool.
pub fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(12)
        .thread_stack_size(512 * 1024)
        .enable_all()
        .build()
        .map_err(|e| format!("starting threads: {e}"))
}
