//! What can go wrong in the pages' own work: asking the system, taking files in, giving them out.

use std::path::PathBuf;

use crate::text::Texts;

/// The crate's one error type.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] pillarbox_store::Error),
    /// The server runs on no box, and nothing of the machine can be asked.
    #[error("this is no box")]
    NoBox,
    /// The system's helper is not there yet.
    #[error("the system's helper is not there yet")]
    NotReady,
    /// What the system's helper says.
    #[error("{why}")]
    System { why: String },
    /// A form for an update came without one.
    #[error("")]
    NoUpdate,
    /// A file that is taken in has a name that no update has.
    #[error("{why}")]
    NotAnUpdate { why: String },
    /// A file that is taken in can't be written.
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    #[error("there is not enough room on the card for it")]
    NoRoom,
    /// What a browser sends broke off.
    #[error("{why}")]
    BrokenOff { why: String },
    /// The browser takes no more.
    #[error("the browser went away")]
    BrowserGone,
    /// Files can't be put into one.
    #[error("{why}")]
    Packing { why: String },
}

impl Error {
    /// For the person who asked.
    pub fn said(&self, t: Texts) -> String {
        match self {
            Error::NoBox => t.get("system-no-box").into_owned(),
            Error::NotReady => t.get("system-not-ready").into_owned(),
            other => other.to_string(),
        }
    }
}
