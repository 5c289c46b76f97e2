//! What a session knows of itself: its role, its limits, its connection.

use std::time::Duration;

/// Which of the two SMTP services a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Mail from other servers, port 25 (RFC 5321).
    Mta,
    /// Mail from people who log in, ports 587 and 465 (RFC 6409, RFC 8314).
    Submission,
}

/// Whether STARTTLS is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Yes,
    No,
}

/// What TLS agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// As `TLS1.3`.
    pub version: String,
    /// As `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The name the peer asked for (RFC 6066 §3).
    pub server_name: Option<String>,
}

/// Whether the connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    Plain,
    Tls(TlsFacts),
}

/// Everything a session needs to know of its server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name in the greeting (RFC 5321 §4.2).
    pub hostname: String,
    pub role: Role,
    pub starttls: Offer,
    pub limits: Limits,
}

/// Named limits of a session.
/// Where RFC 5321 §4.5.3 gives a minimum it is kept by the default.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of a command line, CRLF included.
    /// RFC 5321 §4.5.3.1.4 asks for 512 and more with extensions.
    /// Lines of an AUTH exchange may always have 12288 (RFC 4954 §4).
    pub command_line: usize,
    /// Octets of a message (RFC 1870).
    pub message_octets: u64,
    /// Recipients of a message; RFC 5321 §4.5.3.1.8 asks for at least 100.
    pub recipients: usize,
    /// Messages of a session.
    pub messages: u32,
    /// Permanent negative replies of a session.
    pub errors: u32,
    /// Commands since the last message that moved no mail, such as NOOP, RSET and VRFY.
    pub commands: u32,
    /// Failed logins of a session.
    pub failed_logins: u32,
    /// `Received:` fields of a message; RFC 5321 §6.3 asks for at least 100.
    pub received_headers: u32,
    /// The longest that the content of one message may take to arrive, however busy the line.
    pub content_duration: Duration,
    pub timeouts: Timeouts,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            command_line: 2048,
            message_octets: 50 * 1024 * 1024,
            recipients: 1000,
            messages: 100,
            errors: 25,
            commands: 200,
            failed_logins: 3,
            received_headers: 100,
            content_duration: Duration::from_secs(2 * 60 * 60),
            timeouts: Timeouts::default(),
        }
    }
}

/// How long the peer gets (RFC 5321 §4.5.3.2).
/// A TLS handshake is the driver's to time.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a whole command line, however slowly it drips in (§4.5.3.2.7).
    pub command: Duration,
    /// From 354 to the first octet of content (§4.5.3.2.4).
    pub data_initiation: Duration,
    /// Between two pieces of content (§4.5.3.2.5).
    pub data_block: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            command: Duration::from_secs(5 * 60),
            data_initiation: Duration::from_secs(2 * 60),
            data_block: Duration::from_secs(3 * 60),
        }
    }
}
