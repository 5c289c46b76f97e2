//! The server's side of an SMTP session.
//!
//! The driver loops over [`Session::poll`]: it sends and reads when the session says so, answers what it
//! is asked with [`Session::answer`].
//! While a question is open nothing more is parsed, so a peer that pipelines (RFC 2920) can't overtake a decision.
//! Replies to pipelined commands gather until the session must wait.
//!
//! | state | the peer sends | leaves by |
//! |---|---|---|
//! | `Command` | command lines | DATA, BDAT, AUTH, STARTTLS, QUIT |
//! | `LongLine` | the rest of a line that is too long | its LF |
//! | `Auth` | lines of a login | the driver's answer |
//! | `Data` | content up to CRLF.CRLF | the driver's answer |
//! | `Chunk` | a counted piece of content | its last octet |
//! | `Tls` | nothing | [`Session::start_tls`] |
//! | `Closing` | nothing that is read | – |
//!
//! Content whose refusal is already certain is still read to its true end, and never longer: only then is it known
//! where the next command begins.

mod action;
mod answers;
mod auth;
mod commands;
mod content;
mod dots;
mod input;
mod replies;
mod step;
#[cfg(test)]
mod tests;
mod transaction;

use std::sync::Arc;
use std::time::Instant;

use super::config::{Config, Role, Security, TlsFacts};
use super::envelope::{Credentials, Envelope, MailCommand, Recipient};
use crate::reply::Reply;
pub use action::{Action, Answer, Question};
use content::Content;
use input::Input;
pub use replies::wrong_credentials;

/// Lines of an AUTH exchange may have this many octets, CRLF included (RFC 4954 §4).
const AUTH_LINE_OCTETS: usize = 12288;
/// Octets buffered while content comes in.
const CONTENT_OCTETS: usize = 32 * 1024;
/// Output is handed over at this size even if more input is at hand.
const OUTPUT_OCTETS: usize = 4096;

/// One SMTP session.
/// See the module for its states.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    security: Security,
    input: Input,
    output: Vec<u8>,
    /// What the last `Send` lent out.
    sent: Vec<u8>,
    phase: Phase,
    asked: Option<Asked>,
    welcome: Welcome,
    hello: Hello,
    identity: Option<String>,
    envelope: Envelope,
    /// The message whose content has begun to arrive.
    content: Option<Content>,
    /// The driver must drop what it gathered.
    discard: Pending,
    tally: Tally,
    deadline: Instant,
    /// The peer will send no more.
    eof: Pending,
    /// The server stops.
    stop: Pending,
}

/// See the table above.
#[derive(Debug)]
enum Phase {
    Command,
    LongLine { last: u8 },
    Auth(auth::Exchange),
    Data(dots::Dots),
    Chunk(Chunk),
    Tls,
    Closing,
}

/// A chunk of content (RFC 3030 §2): octets declared, and those still to come.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    declared: u64,
    remaining: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Inner,
    Last,
}

/// An open question with all that its answer needs.
#[derive(Debug)]
enum Asked {
    Mail(MailCommand),
    Recipient(Recipient),
    BeginData,
    BeginChunk(Chunk),
    EndContent { octets: u64 },
    Authenticate(Credentials),
}

/// Whether the greeting let the peer in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Welcome {
    Greeted,
    TurnedAway,
}

#[derive(Debug)]
enum Hello {
    None,
    Helo(String),
    Ehlo(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    No,
    Yes,
}

/// What is counted against the limits.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    errors: u32,
    commands: u32,
    messages: u32,
    failed_logins: u32,
}

impl Session {
    /// A session whose peer has just connected; under implicit TLS the handshake is already done.
    pub fn new(config: Arc<Config>, security: Security, now: Instant) -> Session {
        let mut session = Session::silent(config, security, now);
        replies::greeting(&session.config).encode(&mut session.output);
        session
    }

    /// A session that is turned away with `reply`.
    /// After 421 or 521 it closes at once; after another it waits for QUIT and refuses everything else (RFC 5321 §3.1).
    pub fn refuse(config: Arc<Config>, reply: Reply, now: Instant) -> Session {
        let mut session = Session::silent(config, Security::Plain, now);
        session.welcome = Welcome::TurnedAway;
        reply.encode(&mut session.output);
        if matches!(reply.code, 421 | 521) {
            session.close();
        }
        session
    }

    /// The session that follows once TLS is on.
    /// Everything the peer said before is forgotten, octets not yet read included (RFC 3207 §4.2); only the tallies
    /// stay.
    pub fn start_tls(self, now: Instant, facts: TlsFacts) -> Session {
        debug_assert!(matches!(self.phase, Phase::Tls), "nobody asked for TLS");
        let mut session = Session::silent(self.config, Security::Tls(facts), now);
        session.tally = self.tally;
        session.stop = self.stop;
        session
    }

    fn silent(config: Arc<Config>, security: Security, now: Instant) -> Session {
        Session {
            deadline: now + config.limits.timeouts.command,
            config,
            security,
            input: Input::default(),
            output: Vec::new(),
            sent: Vec::new(),
            phase: Phase::Command,
            asked: None,
            welcome: Welcome::Greeted,
            hello: Hello::None,
            identity: None,
            envelope: Envelope::default(),
            content: None,
            discard: Pending::No,
            tally: Tally::default(),
            eof: Pending::No,
            stop: Pending::No,
        }
    }

    /// What the session knows of itself.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The current transaction.
    /// Complete while `EndContent` is asked; empty after its answer.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The name the peer gave in EHLO or HELO, as it gave it; empty before that.
    /// Not to be trusted in any way.
    pub fn hello(&self) -> &str {
        match &self.hello {
            Hello::None => "",
            Hello::Helo(name) | Hello::Ehlo(name) => name,
        }
    }

    /// Who logged in.
    pub fn authenticated(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Whether the connection is under TLS.
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// The protocol's name for trace fields (RFC 3848, RFC 6531 §4.3).
    pub fn protocol(&self) -> &'static str {
        let is_utf8 = self.envelope.mail.as_ref().is_some_and(|mail| mail.smtputf8);
        let is_tls = matches!(self.security, Security::Tls(_));
        match (&self.hello, is_utf8, is_tls, self.identity.is_some()) {
            (Hello::None | Hello::Helo(_), ..) => "SMTP",
            (Hello::Ehlo(_), false, false, false) => "ESMTP",
            (Hello::Ehlo(_), false, false, true) => "ESMTPA",
            (Hello::Ehlo(_), false, true, false) => "ESMTPS",
            (Hello::Ehlo(_), false, true, true) => "ESMTPSA",
            (Hello::Ehlo(_), true, false, false) => "UTF8SMTP",
            (Hello::Ehlo(_), true, false, true) => "UTF8SMTPA",
            (Hello::Ehlo(_), true, true, false) => "UTF8SMTPS",
            (Hello::Ehlo(_), true, true, true) => "UTF8SMTPSA",
        }
    }

    /// Octets the session is ready to buffer now; at least 1 when `poll` gave `Input`.
    /// A driver that never hands over more keeps the session's memory bounded.
    pub fn wants_input(&self) -> usize {
        let room = match self.phase {
            Phase::Data(_) | Phase::Chunk(_) => CONTENT_OCTETS,
            _ => self.line_limit(),
        };
        room.saturating_sub(self.input.unread().len())
    }

    /// When the peer's patience with us, and ours with it, ends: a `poll` after this says 421 and closes.
    /// Means nothing while a question is open.
    pub fn deadline(&self) -> Instant {
        match &self.content {
            Some(content) => self.deadline.min(content.until),
            None => self.deadline,
        }
    }

    /// Octets held in buffers.
    pub fn buffered(&self) -> usize {
        self.input.unread().len() + self.output.len()
    }

    /// Takes octets from the peer.
    pub fn receive(&mut self, now: Instant, octets: &[u8]) {
        if octets.is_empty()
            || self.eof == Pending::Yes
            || matches!(self.phase, Phase::Tls | Phase::Closing)
        {
            return;
        }
        // A command line has one deadline however it drips in; content has one for each piece.
        if matches!(self.phase, Phase::Data(_) | Phase::Chunk(_)) {
            self.deadline = now + self.config.limits.timeouts.data_block;
        }
        self.input.push(octets);
    }

    /// The peer will send no more.
    /// What it sent is still worked through, then the session closes.
    pub fn peer_closed(&mut self) {
        self.eof = Pending::Yes;
    }

    /// The peer is silent: what buffers hold beyond what is in them is let go.
    pub fn rest(&mut self) {
        self.input.rest();
        self.sent = Vec::new();
    }

    /// The peer has no more time, whatever its deadline was: the next `poll` says 421 and closes.
    pub fn give_up(&mut self, now: Instant) {
        self.deadline = self.deadline.min(now);
    }

    /// The server stops: the message on its way is finished, then the peer gets 421 (RFC 5321 §3.8).
    pub fn shut_down(&mut self) {
        self.stop = Pending::Yes;
    }

    fn is_submission(&self) -> bool {
        self.config.role == Role::Submission
    }

    fn is_tls(&self) -> bool {
        matches!(self.security, Security::Tls(_))
    }

    /// Appends a reply. 421 ends the session (RFC 5321 §3.8), and so do too many permanent refusals.
    fn say(&mut self, reply: &Reply) {
        if matches!(self.phase, Phase::Closing) {
            return;
        }
        reply.encode(&mut self.output);
        if reply.code == 421 {
            return self.close();
        }
        if reply.is_permanent() {
            self.tally.errors += 1;
            if self.tally.errors >= self.config.limits.errors {
                self.say(&replies::too_many_errors(&self.config));
            }
        }
    }

    /// Says `reply` and closes.
    fn part(&mut self, reply: &Reply) {
        self.say(reply);
        self.close();
    }

    fn close(&mut self) {
        self.reset();
        self.input.clear();
        self.phase = Phase::Closing;
    }

    /// Forgets the transaction; the driver hears of it if content was open.
    fn reset(&mut self) {
        self.envelope = Envelope::default();
        if self.content.take().is_some_and(|content| content.refusal.is_none()) {
            self.discard = Pending::Yes;
        }
    }
}
