//! What can go wrong in the pages' own work: asking the system, taking files in, giving them out.

use std::fmt;
use std::path::PathBuf;

use crate::text::Texts;

/// The crate's one error type.
#[derive(Debug)]
pub enum Error {
    Store(pillarbox_store::Error),
    /// The server runs on no box, and nothing of the machine can be asked.
    NoBox,
    /// The system's helper is not there yet.
    NotReady,
    /// What the system's helper says.
    System {
        why: String,
    },
    /// A form for an update came without one.
    NoUpdate,
    /// A file that is taken in has a name that no update has.
    NotAnUpdate {
        why: String,
    },
    /// A file that is taken in can't be written.
    File {
        path: PathBuf,
        why: String,
    },
    NoRoom,
    /// What a browser sends broke off.
    BrokenOff {
        why: String,
    },
    /// The browser takes no more.
    BrowserGone,
    /// Files can't be put into one.
    Packing {
        why: String,
    },
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Store(error) => error.fmt(f),
            Error::NoBox => f.write_str("this is no box"),
            Error::NotReady => f.write_str("the system's helper is not there yet"),
            Error::NoUpdate => Ok(()),
            Error::System { why }
            | Error::NotAnUpdate { why }
            | Error::BrokenOff { why }
            | Error::Packing { why } => f.write_str(why),
            Error::File { path, why } => write!(f, "{}: {why}", path.display()),
            Error::NoRoom => f.write_str("there is not enough room on the card for it"),
            Error::BrowserGone => f.write_str("the browser went away"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<pillarbox_store::Error> for Error {
    fn from(error: pillarbox_store::Error) -> Error {
        Error::Store(error)
    }
}
