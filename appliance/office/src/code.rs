//! The code that a reply, the ledger and the log have in common.

use pillarbox_platform::clock;
use pillarbox_store::{ShortCode, fresh_code};

/// A fresh code.
pub fn fresh() -> ShortCode {
    fresh_code(clock::now())
}
