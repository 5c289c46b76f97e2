//! What can go wrong in what the box can do, in words an owner or an operator can act on.

use std::fmt;

/// The crate's one error type.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] pillarbox_store::Error),
    #[error(transparent)]
    Platform(#[from] pillarbox_platform::Error),
    #[error(transparent)]
    Outbound(#[from] pillarbox_outbound::Error),
    /// What a certificate's authority, or the library that speaks with it, says.
    #[error("{why}")]
    Authority { why: String },
    /// The authority offers no proof of the kind that was chosen.
    #[error("the authority offers no such proof for {name}")]
    NoSuchProof { name: String },
    /// The authority did not look at a proof in time.
    #[error("the authority did not look at the proof for {name}")]
    ProofUnseen { name: String },
    /// The records in the DNS were not published in time.
    #[error("the records were not published within a day")]
    RecordsMissing,
    /// No way to prove the names was accepted; one reason each.
    #[error("{}", all(.0))]
    NotProven(Vec<Error>),
    /// A name that a certificate is wanted for has no address.
    #[error("{host} has no address in the DNS yet: publish it first")]
    Unpublished { host: String },
    /// The server ends.
    #[error("the box was stopped")]
    Stopped,
    /// A mailing list could not be left.
    #[error("{why}")]
    NotLeft { host: String, why: String },
    /// A file for the set-up can't be read; its line, counted from 1, where that is known.
    #[error("{}{why}", line.map_or_else(String::new, |line| format!("line {line}: ")))]
    SetupFile { line: Option<usize>, why: String },
    /// A person of a file for the set-up.
    #[error("{address}: {why}")]
    SetupPerson { address: String, why: String },
    /// A file for the set-up wants a provider and names none.
    #[error("line = \"provider\" needs a [[route]] without domain")]
    NoProvider,
    /// A file for the set-up says of harmful files what there is not.
    #[error(
        "{text} is nothing that can be done with files: programs, macros, pages, closed or endless, and refuse, junk or warn"
    )]
    NotAHandling { text: String },
    #[error("{text:?} is no list of mail addresses and domains")]
    NotSenders { text: String },
    #[error("{text:?} is no domain name")]
    NotADomain { text: String },
    #[error("{text:?} is no mail address: {why}")]
    NotAnAddress { text: String, why: String },
    #[error("the system gave no random numbers: {why}")]
    NoRandomNumbers { why: String },
    /// What was begun could not be done.
    #[error("{doing}: {why}")]
    Failed { doing: &'static str, why: String },
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

/// Reasons in one line.
fn all(reasons: &[Error]) -> String {
    reasons.iter().map(Error::to_string).collect::<Vec<_>>().join(" · ")
}

/// The command line says what happened and ends.
impl From<Error> for String {
    fn from(error: Error) -> String {
        error.to_string()
    }
}
