//! What can go wrong on the way out on our own side.
//! What another server says is a reply, and no error.

use std::fmt;
use std::path::PathBuf;

use pillarbox_platform::dns::DnsError;

/// The crate's one error type.
#[derive(Debug)]
pub enum Error {
    Store(pillarbox_store::Error),
    Platform(pillarbox_platform::Error),
    /// A file with further authorities, as the settings name it.
    Roots {
        path: PathBuf,
        why: String,
    },
    /// A domain's TLS policy could not be fetched.
    TlsPolicy {
        host: String,
        fault: PolicyFault,
    },
    /// What was begun could not be done.
    Failed {
        doing: &'static str,
        why: String,
    },
}

/// Why there is no TLS policy to be had (RFC 8461 §3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyFault {
    NoAddress,
    /// Its address can't be looked up.
    Unknown(DnsError),
    Slow,
    /// The connection, or the conversation over it, failed.
    Broken(String),
    /// The server answered with another status than 200.
    Status(u16),
    /// The answer is of another type than policies are.
    Media(String),
    /// The body is cut off or too long.
    Body(String),
    /// What came is no policy.
    Malformed,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Attaches what was done.
    pub(crate) fn failed<E: fmt::Display>(doing: &'static str) -> impl Fn(E) -> Error {
        move |why| Error::Failed { doing, why: why.to_string() }
    }
}

impl PolicyFault {
    pub(crate) fn broken(why: impl fmt::Display) -> PolicyFault {
        PolicyFault::Broken(why.to_string())
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyFault::NoAddress => f.write_str("it has no address"),
            PolicyFault::Unknown(why) => write!(f, "it has no address: {why:?}"),
            PolicyFault::Slow => f.write_str("it took too long"),
            PolicyFault::Broken(why) => f.write_str(why),
            PolicyFault::Status(status) => write!(f, "the server said {status}"),
            PolicyFault::Media(media) => write!(f, "it is {media:?}, not text/plain"),
            PolicyFault::Malformed => f.write_str("it is no policy"),
            PolicyFault::Body(why) => write!(f, "it is cut off or too long: {why}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Store(error) => error.fmt(f),
            Error::Platform(error) => error.fmt(f),
            Error::Roots { path, why } => write!(f, "outbound.roots, {}: {why}", path.display()),
            Error::TlsPolicy { host, fault } => {
                write!(f, "fetching the TLS policy from {host}: {fault}")
            }
            Error::Failed { doing, why } => write!(f, "{doing}: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Store(error) => Some(error),
            Error::Platform(error) => Some(error),
            _ => None,
        }
    }
}

impl From<pillarbox_store::Error> for Error {
    fn from(error: pillarbox_store::Error) -> Error {
        Error::Store(error)
    }
}

impl From<pillarbox_platform::Error> for Error {
    fn from(error: pillarbox_platform::Error) -> Error {
        Error::Platform(error)
    }
}

/// The command line says what happened and ends.
impl From<Error> for String {
    fn from(error: Error) -> String {
        error.to_string()
    }
}
