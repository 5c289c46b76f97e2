//! What can go wrong in what the box can do, in words an owner or an operator can act on.

use std::fmt;

/// The crate's one error type.
#[derive(Debug)]
pub enum Error {
    Store(pillarbox_store::Error),
    Platform(pillarbox_platform::Error),
    Outbound(pillarbox_outbound::Error),
    /// What a certificate's authority, or the library that speaks with it, says.
    Authority {
        why: String,
    },
    /// The authority offers no proof of the kind that was chosen.
    NoSuchProof {
        name: String,
    },
    /// The authority did not look at a proof in time.
    ProofUnseen {
        name: String,
    },
    /// The records in the DNS were not published in time.
    RecordsMissing,
    /// No way to prove the names was accepted; one reason each.
    NotProven(Vec<Error>),
    /// A name that a certificate is wanted for has no address.
    Unpublished {
        host: String,
    },
    /// The server ends.
    Stopped,
    /// A mailing list could not be left.
    NotLeft {
        host: String,
        why: String,
    },
    /// A file for the set-up can't be read; its line, counted from 1, where that is known.
    SetupFile {
        line: Option<usize>,
        why: String,
    },
    /// A person of a file for the set-up.
    SetupPerson {
        address: String,
        why: String,
    },
    /// A file for the set-up wants a provider and names none.
    NoProvider,
    NotADomain {
        text: String,
    },
    NotAnAddress {
        text: String,
        why: String,
    },
    NoRandomNumbers {
        why: String,
    },
    /// What was begun could not be done.
    Failed {
        doing: &'static str,
        why: String,
    },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Attaches what was done.
    pub(crate) fn failed<E: fmt::Display>(doing: &'static str) -> impl Fn(E) -> Error {
        move |why| Error::Failed { doing, why: why.to_string() }
    }

    pub(crate) fn authority(why: impl fmt::Display) -> Error {
        Error::Authority { why: why.to_string() }
    }

    pub(crate) fn no_random_numbers(why: impl fmt::Display) -> Error {
        Error::NoRandomNumbers { why: why.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Store(error) => error.fmt(f),
            Error::Platform(error) => error.fmt(f),
            Error::Outbound(error) => error.fmt(f),
            Error::Authority { why } | Error::NotLeft { why, .. } => f.write_str(why),
            Error::NoSuchProof { name } => {
                write!(f, "the authority offers no such proof for {name}")
            }
            Error::ProofUnseen { name } => {
                write!(f, "the authority did not look at the proof for {name}")
            }
            Error::RecordsMissing => f.write_str("the records were not published within a day"),
            Error::NotProven(reasons) => {
                reasons.iter().enumerate().try_for_each(|(place, reason)| {
                    f.write_str(if place == 0 { "" } else { " · " })?;
                    reason.fmt(f)
                })
            }
            Error::Unpublished { host } => {
                write!(f, "{host} has no address in the DNS yet: publish it first")
            }
            Error::Stopped => f.write_str("the box was stopped"),
            Error::SetupFile { line: Some(line), why } => write!(f, "line {line}: {why}"),
            Error::SetupFile { line: None, why } => f.write_str(why),
            Error::SetupPerson { address, why } => write!(f, "{address}: {why}"),
            Error::NoProvider => {
                f.write_str("line = \"provider\" needs a [[route]] without domain")
            }
            Error::NotADomain { text } => write!(f, "{text:?} is no domain name"),
            Error::NotAnAddress { text, why } => write!(f, "{text:?} is no mail address: {why}"),
            Error::NoRandomNumbers { why } => write!(f, "the system gave no random numbers: {why}"),
            Error::Failed { doing, why } => write!(f, "{doing}: {why}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Store(error) => Some(error),
            Error::Platform(error) => Some(error),
            Error::Outbound(error) => Some(error),
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

impl From<pillarbox_outbound::Error> for Error {
    fn from(error: pillarbox_outbound::Error) -> Error {
        Error::Outbound(error)
    }
}

/// The command line says what happened and ends.
impl From<Error> for String {
    fn from(error: Error) -> String {
        error.to_string()
    }
}
