//! The machinery: from buffered octets to the next action.

use std::ops::Range;
use std::time::Instant;

use memchr::memchr;

use super::action::{Action, Question};
use super::content::Ending;
use super::dots::{Dots, Found};
use super::{
    AUTH_LINE_OCTETS, Asked, Chunk, OUTPUT_OCTETS, Pending, Phase, Place, Session, replies,
};
use crate::reply::Reply;

/// An action that borrows nothing yet.
enum Step {
    Input,
    Send,
    Ask,
    Content(Range<usize>),
    /// The CRLF that content in chunks lacks at its end.
    LineEnd,
    Discard,
    StartTls,
    Close,
}

/// What reading from the buffer came to.
enum Progress {
    Again,
    Starved,
    Yield(Step),
}

/// How a command line in the buffer ends.
enum Line {
    Whole(String),
    Refused(Reply),
    /// LF alone.
    Bare,
    TooLong,
    Unfinished,
}

impl Session {
    /// The next thing to do.
    /// Never gives `Input` while something else can be done.
    pub fn poll(&mut self, now: Instant) -> Action<'_> {
        match self.step(now) {
            Step::Input => Action::Input,
            Step::Send => {
                self.sent.clear();
                std::mem::swap(&mut self.sent, &mut self.output);
                Action::Send(&self.sent)
            }
            Step::Ask => self.question(),
            Step::Content(range) => Action::Content(self.input.taken(range)),
            Step::LineEnd => Action::Content(b"\r\n"),
            Step::Discard => Action::DiscardContent,
            Step::StartTls => Action::StartTls,
            Step::Close => Action::Close,
        }
    }

    fn question(&self) -> Action<'_> {
        Action::Ask(match &self.asked {
            None => return Action::Input,
            Some(Asked::Mail(mail)) => Question::Mail(mail),
            Some(Asked::Recipient(recipient)) => Question::Recipient(recipient),
            Some(Asked::BeginData | Asked::BeginChunk(_)) => Question::BeginContent,
            Some(Asked::EndContent { octets }) => Question::EndContent { octets: *octets },
            Some(Asked::Authenticate(credentials)) => Question::Authenticate(credentials),
        })
    }

    fn step(&mut self, now: Instant) -> Step {
        loop {
            if self.discard == Pending::Yes {
                self.discard = Pending::No;
                return Step::Discard;
            }
            if self.asked.is_some() {
                return Step::Ask;
            }
            // 354, the reply to STARTTLS and the last words go out before anything else happens.
            let is_turn = matches!(self.phase, Phase::Data(_) | Phase::Tls | Phase::Closing);
            if self.output.len() >= OUTPUT_OCTETS || is_turn && !self.output.is_empty() {
                return Step::Send;
            }
            let progress = match self.phase {
                Phase::Tls => return Step::StartTls,
                Phase::Closing => return Step::Close,
                Phase::Command | Phase::Auth(_) => self.read_line(now),
                Phase::LongLine { last } => self.skip_line(last, now),
                Phase::Data(dots) => self.read_data(dots, now),
                Phase::Chunk(chunk) => self.read_chunk(chunk, now),
            };
            match progress {
                Progress::Again => {}
                Progress::Yield(step) => return step,
                Progress::Starved => match self.wait(now) {
                    Some(step) => return step,
                    None => continue,
                },
            }
        }
    }

    /// There is nothing more to work on.
    fn wait(&mut self, now: Instant) -> Option<Step> {
        if !self.output.is_empty() {
            return Some(Step::Send);
        }
        if self.eof == Pending::Yes {
            self.close();
        } else if now >= self.deadline() {
            self.part(&replies::timed_out(&self.config));
        } else {
            return Some(Step::Input);
        }
        None
    }

    /// Octets that a line may have, CRLF included.
    pub(super) fn line_limit(&self) -> usize {
        let is_auth =
            self.input.unread().get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH"));
        match is_auth || matches!(self.phase, Phase::Auth(_)) {
            true => AUTH_LINE_OCTETS.max(self.config.limits.command_line),
            false => self.config.limits.command_line,
        }
    }

    fn read_line(&mut self, now: Instant) -> Progress {
        // Between commands is the time to stop, unless content came in chunks and more are to follow.
        if self.stop == Pending::Yes && self.content.is_none() {
            self.part(&replies::stopping(&self.config));
            return Progress::Again;
        }
        match self.take_line() {
            Line::Unfinished => return Progress::Starved,
            Line::Whole(line) => {
                self.renew_deadline(now);
                match self.phase {
                    Phase::Auth(_) => self.auth_line(&line),
                    _ => self.command(&line, now),
                }
            }
            Line::Refused(reply) => {
                self.renew_deadline(now);
                self.phase = Phase::Command;
                self.say(&reply);
            }
            Line::Bare => self.part(&replies::bare_line_feed()),
            Line::TooLong => {}
        }
        Progress::Again
    }

    pub(super) fn renew_deadline(&mut self, now: Instant) {
        self.deadline = now + self.config.limits.timeouts.command;
    }

    fn take_line(&mut self) -> Line {
        let limit = self.line_limit();
        let unread = self.input.unread();
        let end = memchr(b'\n', unread);
        if end.unwrap_or(unread.len()) >= limit {
            // Its end is looked for in the same way whether it is already here or not.
            let last = unread[limit - 1];
            self.input.take(limit);
            self.phase = Phase::LongLine { last };
            return Line::TooLong;
        }
        let Some(end) = end else { return Line::Unfinished };
        let line = match unread[..end].strip_suffix(b"\r") {
            None => Line::Bare,
            Some(line) if line.iter().any(|&b| b.is_ascii_control() && b != b'\t') => {
                Line::Refused(replies::not_understood("That line holds control characters"))
            }
            Some(line) => match std::str::from_utf8(line) {
                Ok(line) => Line::Whole(line.to_string()),
                Err(_) => Line::Refused(replies::not_understood("That line is not UTF-8")),
            },
        };
        self.input.take(end + 1);
        line
    }

    /// Reads past a line that is too long; nothing of it is kept.
    fn skip_line(&mut self, last: u8, now: Instant) -> Progress {
        let unread = self.input.unread();
        let Some(end) = memchr(b'\n', unread) else {
            let last = unread.last().copied().unwrap_or(last);
            self.input.take(usize::MAX);
            self.phase = Phase::LongLine { last };
            return Progress::Starved;
        };
        let before = if end == 0 { last } else { unread[end - 1] };
        self.input.take(end + 1);
        self.renew_deadline(now);
        self.phase = Phase::Command;
        match before {
            b'\r' => self.say(&replies::line_too_long()),
            _ => self.part(&replies::bare_line_feed()),
        }
        Progress::Again
    }

    fn read_data(&mut self, mut dots: Dots, now: Instant) -> Progress {
        let found = dots.next(self.input.unread());
        self.phase = Phase::Data(dots);
        match found {
            Found::Starved => Progress::Starved,
            Found::Content(count) => {
                let range = self.input.take(count);
                self.gather(range)
            }
            Found::Stuffing => {
                self.input.take(1);
                Progress::Again
            }
            Found::Stray => {
                self.input.take(1);
                self.spoil(replies::stray_line_end());
                Progress::Again
            }
            Found::End => {
                self.input.take(3);
                self.end_content(now);
                Progress::Again
            }
        }
    }

    fn read_chunk(&mut self, chunk: Chunk, now: Instant) -> Progress {
        if chunk.remaining == 0 {
            return self.end_chunk(chunk, now);
        }
        let available = self.input.unread().len();
        if available == 0 {
            return Progress::Starved;
        }
        let count = usize::try_from(chunk.remaining).unwrap_or(usize::MAX).min(available);
        let range = self.input.take(count);
        self.phase = Phase::Chunk(Chunk { remaining: chunk.remaining - count as u64, ..chunk });
        let octets = self.input.taken(range.clone());
        if let Some(content) = self.content.as_mut().filter(|content| content.refusal.is_none())
            && let Some(reply) = content.stray_fault(octets)
        {
            self.spoil(reply);
        }
        self.gather(range)
    }

    fn end_chunk(&mut self, chunk: Chunk, now: Instant) -> Progress {
        let Some(content) = &mut self.content else { return Progress::Starved };
        if chunk.place == Place::Last && content.refusal.is_none() {
            match content.ending() {
                Ending::Line => {}
                Ending::StrayCr => self.spoil(replies::stray_line_end()),
                Ending::NoLine => {
                    // Everything behind us (mailboxes, POP3) thinks in lines; RFC 6376 §3.4 also completes the last.
                    content.stray(b"\r\n");
                    match content.count(b"\r\n") {
                        Ok(()) => return Progress::Yield(Step::LineEnd),
                        Err(reply) => self.spoil(reply),
                    }
                }
            }
        }
        let is_refused = self.content.as_ref().is_some_and(|content| content.refusal.is_some());
        if chunk.place == Place::Last || is_refused {
            self.end_content(now);
        } else {
            self.phase = Phase::Command;
            self.renew_deadline(now);
            self.say(&replies::ok(&format!("{} octets taken", chunk.declared)));
        }
        Progress::Again
    }

    /// Hands a piece of content over, or reads past it.
    fn gather(&mut self, range: Range<usize>) -> Progress {
        let octets = self.input.taken(range.clone());
        match self.content.as_mut() {
            Some(content) if content.refusal.is_none() => match content.count(octets) {
                Ok(()) => Progress::Yield(Step::Content(range)),
                Err(reply) => {
                    self.spoil(reply);
                    Progress::Again
                }
            },
            _ => Progress::Again,
        }
    }

    /// The message will be refused; the driver hears at once, the peer at the end.
    pub(super) fn spoil(&mut self, reply: Reply) {
        if let Some(content) = &mut self.content
            && content.refusal.is_none()
        {
            content.refusal = Some(reply);
            self.discard = Pending::Yes;
        }
    }

    /// All content was read: ask for its fate, or tell it.
    fn end_content(&mut self, now: Instant) {
        self.phase = Phase::Command;
        self.renew_deadline(now);
        let Some(content) = &mut self.content else { return };
        match content.refusal.take() {
            None => self.asked = Some(Asked::EndContent { octets: content.octets }),
            Some(reply) => {
                self.content = None;
                self.reset();
                self.say(&reply);
            }
        }
    }
}
