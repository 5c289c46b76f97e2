//! Why a message does not go out.

use pillarbox_office::mail::readers::Unread;
use pillarbox_office::submission::Refusal;
use pillarbox_store::Error;

pub enum Stop {
    /// The page again, with what was typed and a sentence.
    Say(String),
    AsksForFile,
    TooFormatted,
    Unread(Unread),
    Refused(Refusal),
    Store(Error),
    /// The form is not ours.
    Stale,
    /// The browser went away in the middle.
    Broken,
}

impl From<Unread> for Stop {
    fn from(why: Unread) -> Self {
        Stop::Unread(why)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Store(error)
    }
}
