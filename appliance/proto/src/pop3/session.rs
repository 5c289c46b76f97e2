//! The POP3 server session (RFC 1939).
//!
//! Call order: [`Session::poll`] until it says `Input`, then [`Session::receive`] (or
//! [`Session::peer_closed`]) and poll again; on `Ask`, [`Session::answer`] and poll again. After
//! [`Answer::Content`] the driver feeds the message with [`Session::content`] while
//! [`Session::content_room`] is not 0, polling for `Send` in between, and ends with [`Session::content_end`].
//!
//! States: AUTHORIZATION, TRANSACTION (both as `logged_in`), a question is open, a message goes out,
//! about to start TLS, closed. UPDATE is the question [`Question::Update`]: nothing is ever deleted
//! anywhere else, so a line that drops deletes nothing.

use std::sync::Arc;
use std::time::Instant;

use crate::smtp::{Secret, base64};

use super::listing::{Kind, Marks, put_number};
use super::stuffing::Writing;
use super::types::{
    Action, Answer, Config, ContentNeed, Credentials, Entry, Expire, Offer, PlaintextLogin, Question, Refusal, Security,
};

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
    Listing { kind: Kind, from: u32 },
    /// `LIST n` or `UIDL n`.
    Single { kind: Kind, number: u32 },
    /// DELE needs the size, so that STAT stays right.
    Mark { number: u32 },
    Retrieve { number: u32, top: Option<u64> },
    Update { deleted: Vec<u32> },
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
        Session { errors: self.errors, stopping: self.stopping, ..Session::silent(self.config, Security::Tls, now) }
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

    /// Takes octets from the peer; an empty slice changes nothing. The time counts when poll finds a command in them.
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

    /// The server stops: the peer is told after the current response; nothing is deleted.
    pub fn shut_down(&mut self) {
        self.stopping = true;
    }

    /// RFC 1939 §3: commands put the autologout off. Octets that never become one don't.
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
            Open::Single { number, .. } | Open::Mark { number } => Question::Listing { from: *number, limit: 1 },
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
        self.output.extend(text.bytes().map(|octet| if octet < b' ' || octet == 0x7f { b' ' } else { octet }));
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

    // Commands.

    /// Takes the next line, if there is a whole one. A line may end in LF alone: people type by hand, and
    /// nothing here can be smuggled by it.
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

    fn command(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        if self.maildrop.is_none() {
            self.commands += 1;
            if self.commands > self.config.limits.commands_before_login {
                self.err(Some("SYS/TEMP"), "Too many commands before the login; goodbye");
                self.state = State::Closed;
                return;
            }
        }
        match (verb.as_str(), self.maildrop.is_some()) {
            ("CAPA", _) => self.capa(),
            ("QUIT", false) => {
                self.ok("Goodbye");
                self.state = State::Closed;
            }
            ("QUIT", true) => self.quit(),
            // RFC 6856 §2: before the login only. It changes nothing: messages go out as they came in.
            ("UTF8", false) => self.ok("UTF-8 is fine here"),
            ("USER", false) => self.user(rest),
            ("PASS", false) => self.pass(rest),
            ("AUTH", false) => self.auth(rest),
            ("STLS", false) => self.stls(),
            ("NOOP", true) => self.ok("Ok"),
            ("STAT", true) => self.stat(),
            ("LIST", true) => self.list(Kind::Sizes, rest),
            ("UIDL", true) => self.list(Kind::UniqueIds, rest),
            ("RETR", true) => self.retrieve(rest, None),
            ("TOP", true) => self.top(rest),
            ("DELE", true) => self.dele(rest),
            ("RSET", true) => self.rset(),
            ("USER" | "PASS" | "AUTH" | "STLS" | "UTF8", true) => self.error("You are logged in already"),
            ("NOOP" | "STAT" | "LIST" | "UIDL" | "RETR" | "TOP" | "DELE" | "RSET", false) => self.error("Log in first"),
            _ => self.error("This command is not known here"),
        }
    }

    fn may_log_in(&self) -> bool {
        self.security == Security::Tls || self.config.plaintext_login == PlaintextLogin::Allowed
    }

    fn offers_stls(&self) -> bool {
        self.security == Security::Plain && self.config.stls == Offer::Yes && self.maildrop.is_none()
    }

    /// RFC 2449 §5.
    fn capa(&mut self) {
        self.ok("This server can");
        let mut lines: Vec<String> =
            ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8"].map(String::from).to_vec();
        lines.push(match self.config.expire {
            Expire::Never => "EXPIRE NEVER".into(),
            Expire::Days(days) => format!("EXPIRE {days}"),
        });
        if let Some(delay) = self.config.login_delay {
            lines.push(format!("LOGIN-DELAY {}", delay.as_secs()));
        }
        if self.maildrop.is_none() && self.may_log_in() {
            lines.extend(["USER".into(), "SASL PLAIN".into()]);
        }
        if self.offers_stls() {
            lines.push("STLS".into());
        }
        lines.push(format!("IMPLEMENTATION {}", self.config.implementation));
        for line in lines {
            self.put_text(&line);
        }
        self.output.extend_from_slice(b".\r\n");
    }

    fn stls(&mut self) {
        if !self.offers_stls() {
            return self.error("TLS is on already, or not offered here");
        }
        // RFC 2595 §4: what was sent along in the clear may be an attacker's.
        (self.input, self.done) = (Vec::new(), 0);
        self.ok("Begin TLS now");
        self.state = State::StartTls;
    }

    fn refuse_plaintext(&mut self) -> bool {
        if self.may_log_in() {
            return false;
        }
        // RFC 3206 is about wrong credentials; this is about how they came, so there is no code.
        self.error("Passwords only under encryption: switch on SSL/TLS (port 995) or STARTTLS in your mail program");
        true
    }

    fn user(&mut self, name: &str) {
        if self.refuse_plaintext() {
            return;
        }
        if name.is_empty() {
            return self.error("USER wants the full e-mail address");
        }
        self.user = Some(name.to_string());
        self.ok("Now the password");
    }

    fn pass(&mut self, password: &str) {
        if self.refuse_plaintext() {
            return;
        }
        let Some(user) = self.user.take() else { return self.error("Say USER first") };
        let password = Secret::new(password.to_string());
        self.state = State::Asking(Open::Login(Credentials { authorization: String::new(), user, password }));
    }

    /// RFC 5034 §4.
    fn auth(&mut self, rest: &str) {
        if rest.is_empty() {
            self.ok("Mechanisms");
            let list: &[u8] = if self.may_log_in() { b"PLAIN\r\n.\r\n" } else { b".\r\n" };
            return self.output.extend_from_slice(list);
        }
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        if !mechanism.eq_ignore_ascii_case("PLAIN") {
            return self.error("Use AUTH PLAIN, or USER and PASS");
        }
        if self.refuse_plaintext() {
            return;
        }
        match initial.trim() {
            "" => {
                self.output.extend_from_slice(b"+ \r\n");
                self.state = State::SaslResponse;
            }
            response => self.sasl(response),
        }
    }

    fn sasl(&mut self, response: &str) {
        if response == "*" {
            return self.error("Login cancelled");
        }
        match sasl_plain(response) {
            Some(credentials) => self.state = State::Asking(Open::Login(credentials)),
            None => self.error("The login is not proper base64"),
        }
    }

    fn stat(&mut self) {
        let Some(maildrop) = &self.maildrop else { return };
        let messages = maildrop.messages - maildrop.marks.count;
        let octets = maildrop.octets.saturating_sub(maildrop.marks.octets);
        self.output.extend_from_slice(b"+OK ");
        put_number(&mut self.output, u64::from(messages));
        self.output.push(b' ');
        put_number(&mut self.output, octets);
        self.output.extend_from_slice(b"\r\n");
    }

    /// A message number of this maildrop that is not marked as deleted.
    fn number(&mut self, text: &str) -> Option<u32> {
        let (messages, marks) = self.maildrop.as_ref().map(|m| (m.messages, &m.marks))?;
        let text = text.trim();
        let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        let problem = match text.parse::<u32>() {
            _ if !is_number => "Say the number of a message".into(),
            Ok(number) if !(1..=messages).contains(&number) => no_message(text, messages),
            Ok(number) if marks.has(number) => format!("Message {number} is marked as deleted"),
            Ok(number) => return Some(number),
            Err(_) => no_message(text, messages),
        };
        self.error(&problem);
        None
    }

    fn list(&mut self, kind: Kind, rest: &str) {
        if !rest.trim().is_empty() {
            if let Some(number) = self.number(rest) {
                self.state = State::Asking(Open::Single { kind, number });
            }
            return;
        }
        match self.maildrop.as_ref().map_or(0, |m| m.messages) {
            0 => self.output.extend_from_slice(b"+OK Messages follow\r\n.\r\n"),
            _ => self.state = State::Asking(Open::Listing { kind, from: 1 }),
        }
    }

    /// Asks for the next part of a listing, or ends it.
    fn go_on_listing(&mut self, kind: Kind, from: u32) {
        if self.maildrop.as_ref().is_some_and(|m| from <= m.messages) {
            self.state = State::Asking(Open::Listing { kind, from });
        } else {
            self.output.extend_from_slice(b".\r\n");
        }
    }

    fn retrieve(&mut self, rest: &str, top: Option<u64>) {
        if let Some(number) = self.number(rest) {
            self.state = State::Asking(Open::Retrieve { number, top });
        }
    }

    fn top(&mut self, rest: &str) {
        match rest.trim().split_once(' ').map(|(number, lines)| (number, lines.trim().parse())) {
            Some((number, Ok(lines))) => self.retrieve(number, Some(lines)),
            _ => self.error("TOP wants a message number and a number of lines"),
        }
    }

    fn dele(&mut self, rest: &str) {
        if let Some(number) = self.number(rest) {
            self.state = State::Asking(Open::Mark { number });
        }
    }

    fn rset(&mut self) {
        if let Some(maildrop) = &mut self.maildrop {
            maildrop.marks = Marks::default();
        }
        self.ok("No message is marked as deleted any more");
    }

    fn quit(&mut self) {
        let deleted = self.maildrop.as_ref().map_or_else(Vec::new, |m| m.marks.numbers());
        self.state = State::Asking(Open::Update { deleted });
    }

    // Answers.

    /// Answers the open question; without one nothing happens.
    pub fn answer(&mut self, now: Instant, answer: Answer) {
        self.settle();
        let open = match std::mem::replace(&mut self.state, State::Command) {
            State::Asking(open) => open,
            other => {
                self.state = other;
                return;
            }
        };
        match (open, answer) {
            (Open::Login(_), Answer::LoggedIn { messages, octets }) => {
                self.maildrop = Some(Maildrop { messages, octets, marks: Marks::default() });
                self.ok(&format!("{messages} messages, {octets} octets"));
            }
            (Open::Login(_), other) => self.login_refused(other),
            (Open::Listing { kind, from }, Answer::Listing(entries)) if !entries.is_empty() => {
                self.listed(kind, from, &entries);
            }
            // The "+OK" is out already: an incomplete list must not look complete.
            (Open::Listing { from, .. }, _) if from > 1 => self.state = State::Closed,
            (Open::Single { kind, number }, Answer::Listing(entries)) if !entries.is_empty() => {
                self.output.extend_from_slice(b"+OK ");
                kind.write(number, &entries[0], &mut self.output);
                self.output.extend_from_slice(b"\r\n");
            }
            (Open::Mark { number }, Answer::Listing(entries)) if !entries.is_empty() => {
                if let Some(maildrop) = &mut self.maildrop {
                    maildrop.marks.set(number, entries[0].octets);
                }
                self.ok("Marked as deleted");
            }
            (Open::Retrieve { top, .. }, Answer::Content { octets }) => {
                self.output.extend_from_slice(b"+OK ");
                put_number(&mut self.output, octets);
                self.output.extend_from_slice(b" octets\r\n");
                self.state = State::Content(Writing::new(top));
            }
            (Open::Update { .. }, Answer::Accept) => {
                self.ok("Goodbye");
                self.state = State::Closed;
            }
            (open, Answer::Refuse(Refusal { code, text })) => {
                self.err(code, &text);
                if let Open::Update { .. } = open {
                    self.state = State::Closed;
                }
            }
            _ => self.err(Some("SYS/TEMP"), "Something went wrong here; try again later"),
        }
        self.arm(now);
    }

    fn login_refused(&mut self, answer: Answer) {
        let refusal = match answer {
            Answer::Refuse(refusal) => refusal,
            _ => Refusal { code: Some("SYS/TEMP"), text: "Logging in is not possible right now".into() },
        };
        self.err(refusal.code, &refusal.text);
        self.failed_logins += 1;
        if self.failed_logins >= self.config.limits.failed_logins {
            self.state = State::Closed;
        }
    }

    fn listed(&mut self, kind: Kind, from: u32, entries: &[Entry]) {
        let Some(maildrop) = &self.maildrop else { return };
        let messages = maildrop.messages;
        if from == 1 {
            self.output.extend_from_slice(b"+OK Messages follow\r\n");
        }
        for (entry, number) in entries.iter().zip(from..=messages) {
            if !maildrop.marks.has(number) {
                kind.write(number, entry, &mut self.output);
                self.output.extend_from_slice(b"\r\n");
            }
        }
        let next = from.saturating_add(entries.len() as u32);
        self.go_on_listing(kind, next);
    }

    // Content.

    /// How many further RETR commands for the messages after the open one are waiting already.
    pub fn more_retrievals_waiting(&self) -> usize {
        let State::Asking(Open::Retrieve { number, top: None }) = self.state else { return 0 };
        let lines = self.input[self.done..].split_inclusive(|&octet| octet == b'\n');
        let wanted = lines.zip(number.saturating_add(1)..).take_while(|(line, next)| {
            let line = line.strip_suffix(b"\n").map(|l| l.strip_suffix(b"\r").unwrap_or(l));
            let number = line.and_then(|l| l.split_at_checked(5)).filter(|(verb, _)| verb.eq_ignore_ascii_case(b"RETR "));
            number.and_then(|(_, n)| std::str::from_utf8(n).ok()?.parse().ok()) == Some(*next)
        });
        wanted.take(WAITING_LIMIT).count()
    }

    /// Octets of content that may be given before output has to be sent; 0: poll for `Send` first.
    pub fn content_room(&self) -> usize {
        let held = if self.output_given { 0 } else { self.output.len() };
        OUTPUT_MARK.saturating_sub(held)
    }

    /// Whether more of the message is of use.
    pub fn content_satisfied(&self) -> ContentNeed {
        match &self.state {
            State::Content(writing) => writing.need(),
            _ => ContentNeed::Enough,
        }
    }

    /// Gives a piece of the open message.
    pub fn content(&mut self, octets: &[u8]) {
        self.settle();
        if let State::Content(writing) = &mut self.state {
            writing.write(octets, &mut self.output);
        }
    }

    /// The open message is complete.
    pub fn content_end(&mut self) {
        self.settle();
        match std::mem::replace(&mut self.state, State::Command) {
            State::Content(writing) => writing.end(&mut self.output),
            other => self.state = other,
        }
    }
}

fn no_message(number: &str, messages: u32) -> String {
    format!("There is no message {number}; this mailbox has {messages}")
}

/// RFC 4616: authorization identity, user name and password, separated by NUL, in base64.
fn sasl_plain(response: &str) -> Option<Credentials> {
    let text = String::from_utf8(base64::decode(response)?).ok()?;
    let mut parts = text.split('\0');
    let (authorization, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && !user.is_empty()).then(|| Credentials {
        authorization: authorization.to_string(),
        user: user.to_string(),
        password: Secret::new(password.to_string()),
    })
}
