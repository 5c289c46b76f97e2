//! What a command line does: reply at once, or a question to the driver.

use super::super::listing::{Kind, Marks, put_number};
use super::{Open, Session, State};

impl Session {
    pub(super) fn command(&mut self, line: &str) {
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
            // RFC 6856 §2: before the login only.
            // It changes nothing: messages go out as they came in.
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
            ("USER" | "PASS" | "AUTH" | "STLS" | "UTF8", true) => {
                self.error("You are logged in already")
            }
            ("NOOP" | "STAT" | "LIST" | "UIDL" | "RETR" | "TOP" | "DELE" | "RSET", false) => {
                self.error("Log in first")
            }
            _ => self.error("This command is not known here"),
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
    pub(super) fn go_on_listing(&mut self, kind: Kind, from: u32) {
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
}

fn no_message(number: &str, messages: u32) -> String {
    format!("There is no message {number}; this mailbox has {messages}")
}
