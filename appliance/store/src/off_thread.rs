//! Reads and writes of the store block: where a caller may not, they run on a thread that may.

use crate::error::{Error, Result};

/// Runs something that may block where that does no harm.
/// Needs a tokio runtime; [`Error::Closed`] when that ends first.
pub async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Closed))
}
