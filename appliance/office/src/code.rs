//! The code that a reply, the ledger and the log have in common.

use pillarbox_platform::clock;
use pillarbox_store::ShortCode;

/// A fresh code.
pub fn fresh() -> ShortCode {
    ShortCode::fresh(clock::now())
}
