//! The vocabulary of a POP3 server session.

use std::time::Duration;

pub use crate::smtp::Secret;

/// What protects the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Plain,
    Tls,
}

/// Whether something is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Yes,
    No,
}

/// Whether passwords may come in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaintextLogin {
    Allowed,
    OnlyUnderTls,
}

/// How long mail stays that nobody deletes (RFC 2449 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    Never,
    Days(u32),
}

/// Settings of a session.
#[derive(Clone, Debug)]
pub struct Config {
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
    pub errors: u32,
    pub failed_logins: u32,
    /// Most commands before the login.
    pub commands_before_login: u32,
    /// Silence after which a logged-in session ends (RFC 1939 §3: at least 10 minutes).
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
    LoggedIn { messages: u32, octets: u64 },
    Listing(Vec<Entry>),
    Content { octets: u64 },
    Accept,
    Refuse(Refusal),
}

/// One message in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub octets: u64,
    /// Printable ASCII (RFC 1939 §7).
    pub uidl: [u8; 16],
}

/// Why something can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Response code without brackets (RFC 2449 §8, RFC 3206).
    pub code: Option<&'static str>,
    pub text: String,
}

/// A login attempt.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// On whose behalf; empty: one's own.
    pub authorization: String,
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
