//! The vocabulary of a mail transaction (RFC 5321 §2.3.1): paths, parameters, credentials.

use std::fmt;

use pillarbox_vocabulary::Address;

/// Where notices about a message go (RFC 5321 §4.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReversePath {
    /// `<>`: a notice, about which no notice is ever sent (RFC 5321 §4.5.5).
    Null,
    Address(Address),
}

impl fmt::Display for ReversePath {
    /// The path without angle brackets; the null path is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReversePath::Null => Ok(()),
            ReversePath::Address(address) => address.fmt(f),
        }
    }
}

/// Where a message goes (RFC 5321 §4.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardPath {
    Address(Address),
    /// `<postmaster>` without a domain, in any case (RFC 5321 §4.5.1).
    Postmaster,
}

impl fmt::Display for ForwardPath {
    /// The path without angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardPath::Address(address) => address.fmt(f),
            ForwardPath::Postmaster => f.write_str("postmaster"),
        }
    }
}

/// The declared kind of a body (RFC 6152 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    #[default]
    SevenBit,
    EightBitMime,
}

/// How much of the message a failure notice brings back (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    Full,
    Headers,
}

/// When the sender wants to hear about a recipient (RFC 3461 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    pub success: bool,
    pub failure: bool,
    pub delay: bool,
}

impl Notify {
    /// `NOTIFY=NEVER`.
    pub const NEVER: Notify = Notify { success: false, failure: false, delay: false };
}

/// A MAIL command (RFC 5321 §4.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailCommand {
    pub reverse_path: ReversePath,
    /// Declared octets of the message (RFC 1870).
    pub size: Option<u64>,
    pub body: Body,
    /// The message or its addresses may hold UTF-8 (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// The message goes on under verified TLS or not at all (RFC 8689).
    pub requiretls: bool,
    pub ret: Option<Ret>,
    /// Envelope identifier, printable ASCII, decoded (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// Who first submitted the message, decoded; `<>` where that is unknown (RFC 4954 §5).
    /// A mere claim.
    pub auth: Option<String>,
}

/// A RCPT command (RFC 5321 §4.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub path: ForwardPath,
    pub notify: Option<Notify>,
    /// Original recipient as `type;address`, decoded (RFC 3461 §4.2).
    pub orcpt: Option<String>,
}

/// The current mail transaction: what was accepted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    pub mail: Option<MailCommand>,
    pub recipients: Vec<Recipient>,
}

/// A password.
/// It doesn't print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The password.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a peer logs in with (RFC 4954).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `PLAIN` or `LOGIN`.
    pub mechanism: &'static str,
    /// Whom to act as (RFC 4616 §2); empty for the user himself.
    pub authorization: String,
    /// Not empty.
    pub user: String,
    /// Not empty.
    pub password: Secret,
}
