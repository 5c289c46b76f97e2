//! Replies for what goes wrong on this side (RFC 3463).

use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_store::{Error, ShortCode};

/// The reply to whatever can't be taken because of an error here.
pub fn later(error: &Error, code: ShortCode) -> Reply {
    match error {
        Error::Busy => Reply::new(
            452,
            Enhanced(4, 3, 1),
            format!("Too much mail comes in at once; try again in a few minutes ({code})"),
        ),
        Error::Full => no_space(code),
        Error::Unwritable { .. } => cannot_store(code),
        Error::NotFound { .. } => Reply::new(
            450,
            Enhanced(4, 2, 1),
            format!("The mailbox was removed just now; try again ({code})"),
        ),
        _ => Reply::new(
            451,
            Enhanced(4, 3, 0),
            format!("Something went wrong here; try again later ({code})"),
        ),
    }
}

pub fn cannot_store(code: ShortCode) -> Reply {
    Reply::new(
        451,
        Enhanced(4, 3, 0),
        format!("Nothing can be stored here at the moment; try again later ({code})"),
    )
}

pub fn no_space(code: ShortCode) -> Reply {
    Reply::new(452, Enhanced(4, 3, 1), format!("The disk is nearly full; try again later ({code})"))
}
