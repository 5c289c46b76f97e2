//! The code that makes somebody the owner of a box that is still unclaimed.
//! It is kept in a file that only root and the server read.

use std::path::{Path, PathBuf};

use pillarbox_platform::tls::{Certificates, write_private};
use pillarbox_store::Store;

use crate::error::Result;
use crate::{code, preseed};

/// Makes the claim code of a box that is unclaimed.
pub fn prepare(data: &Path, store: &Store) -> Result<()> {
    if store.read(|r| r.accounts())?.is_empty() {
        if current(data).is_none() {
            write_private(&file(data), &code::fresh().to_string())?;
        }
    } else if file(data).exists() {
        // Somebody became the owner in another way: by a file, or on the command line.
        forget(data);
    }
    Ok(())
}

/// Says in the log what the owner-to-be of an unclaimed box needs.
pub fn announce(data: &Path, store: &Store, certificates: &Certificates) -> Result<()> {
    let is_unclaimed = store.read(|r| r.accounts())?.is_empty();
    if let Some(code) = current(data).filter(|_| is_unclaimed) {
        let fingerprint = certificates.facts().fingerprint;
        tracing::info!(
            code,
            fingerprint,
            "this box has no owner yet: open its page and give this claim code"
        );
    }
    Ok(())
}

/// Where the code is kept below the data folder.
pub fn file(data: &Path) -> PathBuf {
    data.join("claim-code")
}

/// The code that makes somebody the owner; `None` when there is none.
pub fn current(data: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file(data)).ok()?;
    Some(text.trim().to_string()).filter(|code| code.len() == 7)
}

/// The box has an owner: the code is of no more use, nor is a file for the set-up that had a mistake.
pub fn forget(data: &Path) {
    preseed::forget_mistake(data);
    if let Err(error) = std::fs::remove_file(file(data)) {
        tracing::warn!(%error, "the claim code can't be removed");
    }
}
