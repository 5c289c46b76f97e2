//! What the driver knows and gives: answers, and the octets of messages.

use std::time::Instant;

use super::super::listing::{Kind, Marks, put_number};
use super::super::stuffing::Writing;
use super::super::types::{Answer, ContentNeed, Entry, Refusal};
use super::{Maildrop, OUTPUT_MARK, Open, Session, State, WAITING_LIMIT};

impl Session {
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
            _ => Refusal {
                code: Some("SYS/TEMP"),
                text: "Logging in is not possible right now".into(),
            },
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

    /// How many further RETR commands for the messages after the open one are waiting already.
    pub fn more_retrievals_waiting(&self) -> usize {
        let State::Asking(Open::Retrieve { number, top: None }) = self.state else { return 0 };
        let lines = self.input[self.done..].split_inclusive(|&octet| octet == b'\n');
        let wanted = lines.zip(number.saturating_add(1)..).take_while(|(line, next)| {
            let line = line.strip_suffix(b"\n").map(|l| l.strip_suffix(b"\r").unwrap_or(l));
            let number = line
                .and_then(|l| l.split_at_checked(5))
                .filter(|(verb, _)| verb.eq_ignore_ascii_case(b"RETR "));
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
