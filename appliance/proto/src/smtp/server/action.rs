//! What a session and its driver say to each other.

use crate::reply::Reply;
use crate::smtp::envelope::{Credentials, MailCommand, Recipient};

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Read from the peer, until `Session::deadline` at the latest.
    Input,
    /// Send these octets to the peer.
    Send(&'a [u8]),
    /// Answer with `Session::answer`; until then `poll` gives the same again.
    Ask(Question<'a>),
    /// Content of the message, decoded: no dot-stuffing, no chunk headers; lines end in CRLF, always.
    Content(&'a [u8]),
    /// Drop the content gathered so far: this message will not be.
    DiscardContent,
    /// Run the TLS handshake and go on with `Session::start_tls`.
    StartTls,
    /// Close the connection.
    Close,
}

/// What only the driver can decide.
#[derive(Debug, PartialEq, Eq)]
pub enum Question<'a> {
    /// May this sender begin a transaction?
    Mail(&'a MailCommand),
    /// Is mail for this recipient taken?
    Recipient(&'a Recipient),
    /// Is the content welcome?
    /// Asked before 354, or at the first chunk.
    BeginContent,
    /// All content has been handed over, this many octets.
    /// Accepting it makes the driver responsible for the message (RFC 5321 §6.1); a refusal drops it, without a
    /// `DiscardContent`.
    EndContent { octets: u64 },
    /// Do these credentials hold?
    Authenticate(&'a Credentials),
}

/// The driver's answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes, with the session's own words.
    Accept,
    /// Yes, with this positive reply.
    /// (To `BeginContent`, the same as `Accept`.)
    AcceptAs(Reply),
    /// No, with this negative reply; 421 also closes the session.
    Refuse(Reply),
    /// The peer is logged in as `identity`.
    /// Only to `Authenticate`.
    Authenticated { identity: String },
}
