//! What can go wrong on the way out on our own side.
//! What another server says is a reply, and no error.

use std::fmt;
use std::path::PathBuf;

use pillarbox_platform::dns::DnsError;

/// The crate's one error type.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] pillarbox_store::Error),
    #[error(transparent)]
    Platform(#[from] pillarbox_platform::Error),
    /// A file with further authorities, as the settings name it.
    #[error("outbound.roots, {}: {why}", path.display())]
    Roots { path: PathBuf, why: String },
    /// A domain's TLS policy could not be fetched.
    #[error("fetching the TLS policy from {host}: {fault}")]
    TlsPolicy { host: String, fault: PolicyFault },
    /// What was begun could not be done.
    #[error("{doing}: {why}")]
    Failed { doing: &'static str, why: String },
}

/// Why there is no TLS policy to be had (RFC 8461 §3.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    #[error("it has no address")]
    NoAddress,
    /// Its address can't be looked up.
    #[error("it has no address: {0:?}")]
    Unknown(DnsError),
    #[error("it took too long")]
    Slow,
    /// The connection, or the conversation over it, failed.
    #[error("{0}")]
    Broken(String),
    /// The server answered with another status than 200.
    #[error("the server said {0}")]
    Status(u16),
    /// The answer is of another type than policies are.
    #[error("it is {0:?}, not text/plain")]
    Media(String),
    /// The body is cut off or too long.
    #[error("it is cut off or too long: {0}")]
    Body(String),
    /// What came is no policy.
    #[error("it is no policy")]
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

/// The command line says what happened and ends.
impl From<Error> for String {
    fn from(error: Error) -> String {
        error.to_string()
    }
}
