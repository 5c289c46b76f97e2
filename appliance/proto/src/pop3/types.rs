//! The vocabulary of a POP3 server session.

use std::time::Duration;

pub use crate::smtp::Secret;

/// What protects the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Plain,
    Tls,
}

/// Whether STLS is offered (RFC 2595 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Yes,
    No,
}

/// Whether passwords may come in the clear; RFC 2595 §2.2 wants a setting that forbids it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaintextLogin {
    Allowed,
    OnlyUnderTls,
}

/// How long mail stays that is not deleted (RFC 2449 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    Never,
    Days(u32),
}

/// Settings of a session.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name in the greeting.
    pub hostname: String,
    pub stls: Offer,
    pub plaintext_login: PlaintextLogin,
    /// Least time between two logins of a device; announced when set (RFC 2449 §6.5).
    pub login_delay: Option<Duration>,
    pub expire: Expire,
    /// Name and version shown in CAPA (RFC 2449 §6.9).
    pub implementation: String,
    pub limits: Limits,
}

/// Bounds of a session.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest command line in octets (RFC 2449 §4 asks for 255; SASL responses are longer).
    pub line: usize,
    /// Senseless commands borne; the next one ends the session.
    pub errors: u32,
    /// Wrong logins after which the session ends.
    pub failed_logins: u32,
    /// Most commands before the login.
    pub commands_before_login: u32,
    /// Time without a command after which a logged-in session ends (RFC 1939 §3: at least 10 minutes).
    pub autologout: Duration,
    /// Time to log in.
    pub login: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            line: 4096,
            errors: 50,
            failed_logins: 3,
            commands_before_login: 30,
            autologout: Duration::from_secs(600),
            login: Duration::from_secs(60),
        }
    }
}

/// What the session wants next.
#[derive(Debug)]
pub enum Action<'a> {
    /// More octets from the peer, or its deadline.
    Input,
    /// Send these, all of them.
    Send(&'a [u8]),
    /// Answer this; nothing is parsed until then.
    Ask(Question<'a>),
    /// Begin TLS, then go on with [`super::Session::start_tls`].
    StartTls,
    /// Close the connection.
    Close,
}

/// What only the outside can know or do.
#[derive(Debug)]
pub enum Question<'a> {
    /// Are these right, and what is in the maildrop?
    Login(&'a Credentials),
    /// Sizes and unique-ids of messages `from` (counted from 1) and following, at least one, at most `limit`.
    Listing { from: u32, limit: u32 },
    /// Open a message; its octets follow by [`super::Session::content`].
    Retrieve { number: u32 },
    /// QUIT: delete these (sorted, may be none) and leave the maildrop (RFC 1939 §6).
    Update { deleted: &'a [u32] },
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To a login: the maildrop as it is now and stays for this session (RFC 1939 §5).
    LoggedIn { messages: u32, octets: u64 },
    /// To a listing: at least one entry.
    /// The session comes back for the rest.
    Listing(Vec<Entry>),
    /// To a retrieval: how long the message is, before dots are stuffed (RFC 1939 §11).
    Content { octets: u64 },
    /// To an update: it is done, on stable storage.
    Accept,
    /// To anything.
    /// A refused update ends the session (RFC 1939 §6).
    Refuse(Refusal),
}

/// One message in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Size of the message with CRLF line ends (RFC 1939 §11).
    pub octets: u64,
    /// Printable ASCII (RFC 1939 §7).
    pub uidl: [u8; 16],
}

/// Why something can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Response code without brackets (RFC 2449 §8, RFC 3206).
    pub code: Option<&'static str>,
    /// Words for the person in front of the mail program; cut after 400 octets (RFC 2449 §4).
    pub text: String,
}

/// A login attempt: USER and PASS (RFC 1939 §7), or SASL PLAIN (RFC 4616).
#[derive(Clone, Debug)]
pub struct Credentials {
    /// On whose behalf; empty: one's own.
    pub authorization: String,
    /// As it was typed.
    pub user: String,
    pub password: Secret,
}

/// Whether more of a message is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentNeed {
    More,
    /// TOP has its lines.
    Enough,
}
