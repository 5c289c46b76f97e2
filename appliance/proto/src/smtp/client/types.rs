//! What a client session and its driver say to each other.

use std::fmt;
use std::time::Duration;

use crate::reply::Reply;
use crate::smtp::envelope::{Body, Notify, Ret, Secret};

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Read from the server, until `Session::deadline` at the latest.
    Input,
    /// Send these octets.
    Send(&'a [u8]),
    /// Run the TLS handshake and go on with `Session::tls_done`.
    StartTls,
    /// The server waits for a message: `Session::begin`, or `Session::quit`.
    Ready,
    /// The server waits for content: `Session::content`, and `Session::content_end` after the last piece.
    Content,
    /// The message is through: `Session::take_report`.
    Done,
    /// The session is over before its time: `Session::failure` and `Session::take_report` tell what was settled.
    Failed,
    /// Close the connection: everything was said.
    Close,
}

/// Whether TLS is asked for (RFC 3207).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTls {
    /// Not at all: it is on already, or must not be.
    Never,
    /// When the server offers it.
    IfOffered,
    /// A server that does not offer it gets no mail.
    Must,
}

/// What to log in with (RFC 4954).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: Secret,
}

/// What a session needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name in EHLO (RFC 5321 §4.1.1.1).
    pub hello: String,
    pub starttls: StartTls,
    /// Used only once TLS is on.
    pub login: Option<Login>,
    pub timeouts: Timeouts,
}

/// How long the server gets (RFC 5321 §4.5.3.2).
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the greeting (§4.5.3.2.1).
    pub greeting: Duration,
    /// For the reply to a command (§4.5.3.2.2, §4.5.3.2.3).
    pub command: Duration,
    /// For 354 (§4.5.3.2.4).
    pub data: Duration,
    /// For the reply after the final dot (§4.5.3.2.6).
    pub final_reply: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            greeting: Duration::from_secs(5 * 60),
            command: Duration::from_secs(5 * 60),
            data: Duration::from_secs(2 * 60),
            final_reply: Duration::from_secs(10 * 60),
        }
    }
}

/// A message to be handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailing {
    /// Empty for the null path.
    pub reverse_path: String,
    /// Octets of the content (RFC 1870).
    pub octets: u64,
    pub body: Body,
    /// Headers or addresses hold UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// Only over verified TLS, all the way (RFC 8689).
    pub requiretls: bool,
    pub ret: Option<Ret>,
    pub envid: Option<String>,
    pub recipients: Vec<Target>,
}

/// A recipient of a [`Mailing`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address without angle brackets.
    pub address: String,
    pub notify: Option<Notify>,
    /// `type;address`, decoded (RFC 3461 §4.2).
    pub orcpt: Option<String>,
}

/// How far a session had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Greeting,
    Hello,
    Tls,
    Login,
    Envelope,
    Content,
    /// The final dot is out and its reply has not come: the server may or may not have the message.
    FinalReply,
    Idle,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Greeting => "waiting for its greeting",
            Stage::Hello => "saying hello",
            Stage::Tls => "starting TLS",
            Stage::Login => "logging in",
            Stage::Envelope => "naming sender and recipients",
            Stage::Content => "sending the message",
            Stage::FinalReply => "waiting for the final answer",
            Stage::Idle => "waiting for the next message",
        })
    }
}

/// Why a session ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server said no to the session as a whole.
    Refused { stage: Stage, reply: Reply },
    /// Its greeting contradicts itself (RFC 5321 §4.2.1): a welcome that ends in a refusal, this one.
    BrokenGreeting { reply: Reply },
    /// The connection ended.
    Broken { stage: Stage },
    /// The server took too long.
    TimedOut { stage: Stage },
    /// What came is no SMTP.
    NotSmtp { stage: Stage },
    /// TLS is a must here and the server does not offer it.
    NoTls,
    /// The server offers no way to log in that we have (PLAIN, LOGIN), or no TLS to do it under.
    NoLogin,
}

/// What became of the recipients of one message, in their order.
/// `None`: not settled before the session ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub outcomes: Vec<Option<Reply>>,
}

/// A line of the conversation, for people: passwords and content are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TranscriptLine {
    Ours(String),
    Theirs(String),
}

impl fmt::Display for TranscriptLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TranscriptLine::Ours(text) => write!(f, "> {text}"),
            TranscriptLine::Theirs(text) => write!(f, "< {text}"),
        }
    }
}
