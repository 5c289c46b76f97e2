//! The POP3 server session (RFC 1939).
//!
//! Call order: [`Session::poll`] until it says `Input`, then [`Session::receive`] (or [`Session::peer_closed`]) and
//! poll again; on `Ask`, [`Session::answer`] and poll again.
//! After [`Answer::Content`] the driver feeds the message with [`Session::content`] while [`Session::content_room`] is
//! not 0, polling for `Send` in between, and ends with [`Session::content_end`].
//!
//! States: AUTHORIZATION, TRANSACTION (both as `logged_in`), a question is open, a message goes out, about to start
//! TLS, closed.
//! UPDATE is the question [`Question::Update`]: nothing is ever deleted anywhere else, so a line that drops deletes
//! nothing.

mod answers;
mod commands;
mod login;

use std::sync::Arc;
use std::time::Instant;

use super::listing::{Kind, Marks};
use super::stuffing::Writing;
use super::types::{Action, Config, Credentials, Question, Security};

/// Output gathered before it is sent although more could be added.
const OUTPUT_MARK: usize = 64 * 1024;
/// Entries asked for at once in a listing.
const LISTING_STEP: u32 = 2048;
/// Waiting retrievals counted at most.
const WAITING_LIMIT: usize = 256;
/// Octets of pipelined commands held.
const INPUT_LIMIT: usize = 16 * 1024;
/// Buffers larger than this are given back when the peer is idle.
const IDLE_BUFFER: usize = 1024;

/// A POP3 server session as a value.
pub struct Session {
    config: Arc<Config>,
    security: Security,
    input: Vec<u8>,
    done: usize,
    output: Vec<u8>,
    output_given: bool,
    state: State,
    user: Option<String>,
    maildrop: Option<Maildrop>,
    ended: bool,
    stopping: bool,
    deadline: Instant,
    login_deadline: Instant,
    errors: u32,
    failed_logins: u32,
    commands: u32,
}

/// What is known of the maildrop.
#[derive(Clone, Debug)]
struct Maildrop {
    messages: u32,
    octets: u64,
    marks: Marks,
}

#[derive(Clone, Debug)]
enum State {
    Command,
    SkippingLine,
    SaslResponse,
    Asking(Open),
    Content(Writing),
    StartTls,
    Closed,
}

#[derive(Clone, Debug)]
enum Open {
    Login(Credentials),
    /// A multi-line listing that has come to message `from`.
    Listing {
        kind: Kind,
        from: u32,
    },
    /// `LIST n` or `UIDL n`.
    Single {
        kind: Kind,
        number: u32,
    },
    /// DELE needs the size, so that STAT stays right.
    Mark {
        number: u32,
    },
    Retrieve {
        number: u32,
        top: Option<u64>,
    },
    Update {
        deleted: Vec<u32>,
    },
}

impl Session {
    /// A session that begins with the greeting.
    pub fn new(config: Arc<Config>, security: Security, now: Instant) -> Session {
        let mut session = Session::silent(config, security, now);
        let greeting = format!("{} POP3 Pillarbox ready", session.config.hostname);
        session.ok(&greeting);
        session
    }

    fn silent(config: Arc<Config>, security: Security, now: Instant) -> Session {
        let login_deadline = now + config.limits.login;
        Session {
            config,
            security,
            input: Vec::new(),
            done: 0,
            output: Vec::new(),
            output_given: false,
            state: State::Command,
            user: None,
            maildrop: None,
            ended: false,
            stopping: false,
            deadline: login_deadline,
            login_deadline,
            errors: 0,
            failed_logins: 0,
            commands: 0,
        }
    }

    /// The session after the TLS handshake: nothing said before counts any more (RFC 2595 §4).
    pub fn start_tls(self, now: Instant) -> Session {
        Session {
            errors: self.errors,
            stopping: self.stopping,
            ..Session::silent(self.config, Security::Tls, now)
        }
    }

    /// When the peer has been silent for too long: poll then says what follows.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How many octets may be received now; at least 1.
    pub fn wants_input(&self) -> usize {
        INPUT_LIMIT.max(self.config.limits.line).saturating_sub(self.input.len() - self.done).max(1)
    }

    /// Octets held in memory for this session.
    pub fn buffered(&self) -> usize {
        self.input.len() + self.output.len()
    }

    /// Takes octets from the peer; an empty slice changes nothing.
    /// The time counts when poll finds a command in them.
    pub fn receive(&mut self, _now: Instant, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        self.settle();
        self.input.drain(..self.done);
        self.done = 0;
        self.input.extend_from_slice(octets);
    }

    /// The peer closed its side: nothing is deleted (RFC 1939 §6).
    pub fn peer_closed(&mut self) {
        self.ended = true;
    }

    /// The server stops: the peer learns it after the current response; nothing is deleted.
    pub fn shut_down(&mut self) {
        self.stopping = true;
    }

    /// RFC 1939 §3: commands put the autologout off.
    /// Octets that never become one don't.
    fn arm(&mut self, now: Instant) {
        self.deadline = match self.maildrop {
            // Slow typing must not hold a place for ever.
            None => self.login_deadline,
            Some(_) => now + self.config.limits.autologout,
        };
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.output_given) {
            self.output.clear();
        }
    }

    /// What to do next.
    pub fn poll(&mut self, now: Instant) -> Action<'_> {
        if self.output_given {
            // A slow line is not a silent peer: its ten minutes begin when it has taken the response.
            self.arm(now);
        }
        self.settle();
        loop {
            match &self.state {
                State::Asking(_) if self.output.len() < OUTPUT_MARK => return self.question(),
                State::Asking(_) => return self.send(),
                State::Content(_) if self.output.is_empty() => return Action::Input,
                State::Content(_) => return self.send(),
                State::Closed if self.output.is_empty() => return Action::Close,
                State::StartTls if self.output.is_empty() => return Action::StartTls,
                State::Closed | State::StartTls => return self.send(),
                State::SkippingLine | State::Command | State::SaslResponse => {}
            }
            if self.stopping {
                self.err(Some("SYS/TEMP"), "This server is being stopped; nothing was deleted");
                self.state = State::Closed;
                continue;
            }
            if self.output.len() >= OUTPUT_MARK {
                return self.send();
            }
            if self.next_line(now) {
                continue;
            }
            if !self.output.is_empty() {
                return self.send();
            }
            if self.ended || now >= self.deadline {
                // RFC 1939 §3: an autologout says nothing and deletes nothing.
                self.state = State::Closed;
                continue;
            }
            self.shrink();
            return Action::Input;
        }
    }

    fn send(&mut self) -> Action<'_> {
        self.output_given = true;
        Action::Send(&self.output)
    }

    fn shrink(&mut self) {
        if self.done == self.input.len() && self.input.capacity() > IDLE_BUFFER {
            (self.input, self.done) = (Vec::new(), 0);
        }
        if self.output.capacity() > IDLE_BUFFER {
            self.output = Vec::new();
        }
    }

    fn question(&self) -> Action<'_> {
        let State::Asking(open) = &self.state else { return Action::Close };
        Action::Ask(match open {
            Open::Login(credentials) => Question::Login(credentials),
            Open::Listing { from, .. } => Question::Listing { from: *from, limit: LISTING_STEP },
            Open::Single { number, .. } | Open::Mark { number } => {
                Question::Listing { from: *number, limit: 1 }
            }
            Open::Retrieve { number, .. } => Question::Retrieve { number: *number },
            Open::Update { deleted } => Question::Update { deleted },
        })
    }

    fn ok(&mut self, text: &str) {
        self.output.extend_from_slice(b"+OK ");
        self.put_text(text);
    }

    fn err(&mut self, code: Option<&str>, text: &str) {
        self.output.extend_from_slice(b"-ERR ");
        if let Some(code) = code {
            self.output.extend_from_slice(format!("[{code}] ").as_bytes());
        }
        self.put_text(text);
    }

    fn put_text(&mut self, text: &str) {
        // RFC 2449 §4: 512 octets with everything around it.
        let text = &text[..text.floor_char_boundary(400)];
        self.output.extend(
            text.bytes().map(|octet| if octet < b' ' || octet == 0x7f { b' ' } else { octet }),
        );
        self.output.extend_from_slice(b"\r\n");
    }

    /// A response that counts as the peer's error; too many end the session.
    fn error(&mut self, text: &str) {
        self.errors += 1;
        if self.errors > self.config.limits.errors {
            self.err(None, &format!("{text}; too many errors, goodbye"));
            self.state = State::Closed;
        } else {
            self.err(None, text);
        }
    }

    // Input.

    /// Takes the next line, if there is a whole one.
    /// A line may end in LF alone: people type by hand, and nothing here can be smuggled by it.
    fn next_line(&mut self, now: Instant) -> bool {
        let limit = self.config.limits.line;
        let waiting = &self.input[self.done..];
        let skipping = matches!(self.state, State::SkippingLine);
        let seen = if skipping { waiting.len() } else { waiting.len().min(limit) };
        let Some(length) = memchr::memchr(b'\n', &waiting[..seen]) else {
            if skipping {
                self.done = self.input.len();
            } else if waiting.len() >= limit {
                self.state = State::SkippingLine;
                return true;
            }
            return false;
        };
        let line = waiting[..length].strip_suffix(b"\r").unwrap_or(&waiting[..length]).to_vec();
        self.done += length + 1;
        self.arm(now);
        let text = match String::from_utf8(line) {
            Ok(text) if !text.contains(['\0', '\r']) => text,
            _ => {
                self.state = State::Command;
                self.error("This line has octets that are no text");
                return true;
            }
        };
        match std::mem::replace(&mut self.state, State::Command) {
            State::SkippingLine => self.error("This line is too long"),
            State::SaslResponse => self.sasl(&text),
            _ => self.command(&text),
        }
        true
    }
}
