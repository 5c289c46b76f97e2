//! Commands outside the mail transaction, and the choice among all of them.

use std::time::Instant;

use super::{Hello, Phase, Session, Welcome, replies};
use crate::reply::{Enhanced, Reply};
use crate::smtp::command::{self, Verb};
use crate::smtp::config::Offer;
use crate::smtp::params::Dsn;

impl Session {
    /// Carries out one command line.
    pub(super) fn command(&mut self, line: &str, now: Instant) {
        let Some((verb, rest)) = command::split(line) else {
            return self
                .say(&replies::not_understood("Command not understood; HELP lists the commands"));
        };
        if verb == Verb::Http {
            return self.part(&replies::not_the_web());
        }
        if self.welcome == Welcome::TurnedAway && verb != Verb::Quit {
            return self.say(&replies::turned_away());
        }
        if !moves_mail(verb) && self.is_one_command_too_many() {
            return;
        }
        match verb {
            Verb::Helo | Verb::Ehlo => self.hello_command(verb, rest),
            Verb::Mail => self.mail(rest),
            Verb::Rcpt => self.rcpt(rest),
            Verb::Data => self.data(rest),
            Verb::Bdat => self.bdat(rest, now),
            Verb::Rset => self.rset(rest),
            Verb::Noop => self.say(&replies::ok("Ok")),
            Verb::Quit => self.quit(rest),
            Verb::Vrfy => self.vrfy(rest),
            Verb::Expn => {
                self.say(&replies::not_offered("This server does not tell who is on a list"))
            }
            Verb::Help => self.say(&help()),
            Verb::StartTls => self.starttls(rest),
            Verb::Auth => self.auth(rest),
            Verb::Http => {}
        }
    }

    /// Counts a command that moves no mail; too many end the session.
    pub(super) fn is_one_command_too_many(&mut self) -> bool {
        self.tally.commands += 1;
        let is_too_many = self.tally.commands > self.config.limits.commands;
        if is_too_many {
            self.say(&replies::too_many_commands(&self.config));
        }
        is_too_many
    }

    /// EHLO and HELO (RFC 5321 §4.1.1.1).
    /// The name is only noted: a wrong one is no ground for refusal (§4.1.4).
    fn hello_command(&mut self, verb: Verb, name: &str) {
        if name.is_empty() {
            return self
                .say(&replies::bad_argument("Say who you are, as in EHLO mail.example.org"));
        }
        self.reset();
        if verb == Verb::Helo {
            self.hello = Hello::Helo(name.to_string());
            return self.say(&Reply::plain(250, self.config.hostname.clone()));
        }
        self.hello = Hello::Ehlo(name.to_string());
        let mut lines = vec![self.config.hostname.clone(), "PIPELINING".into()];
        lines.push(format!("SIZE {}", self.config.limits.message_octets));
        lines.extend(["8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING"].map(String::from));
        if self.config.starttls == Offer::Yes && !self.is_tls() {
            lines.push("STARTTLS".into());
        }
        if self.is_tls() {
            lines.push("REQUIRETLS".into());
        }
        if self.dsn() == Dsn::Offered {
            lines.push("DSN".into());
        }
        if self.is_submission() && self.is_tls() {
            lines.push("AUTH PLAIN LOGIN".into());
        }
        self.say(&Reply { code: 250, enhanced: None, lines });
    }

    fn rset(&mut self, rest: &str) {
        if !rest.is_empty() {
            return self.say(&replies::bad_argument("RSET takes no arguments"));
        }
        self.reset();
        self.say(&replies::ok("Ok"));
    }

    fn quit(&mut self, rest: &str) {
        if !rest.is_empty() {
            return self.say(&replies::bad_argument("QUIT takes no arguments"));
        }
        self.part(&Reply::new(221, Enhanced(2, 0, 0), "Goodbye"));
    }

    /// RFC 5321 §7.3: whether a mailbox exists is not reported.
    fn vrfy(&mut self, rest: &str) {
        match rest.is_empty() {
            true => self.say(&replies::bad_argument("VRFY takes an address")),
            false => self.say(&Reply::new(
                252,
                Enhanced(2, 5, 0),
                "Not told here; send a message and see",
            )),
        }
    }

    /// RFC 3207.
    fn starttls(&mut self, rest: &str) {
        if self.is_tls() {
            return self.say(&replies::bad_sequence("TLS is already on"));
        }
        if self.config.starttls == Offer::No {
            return self.say(&replies::not_offered("STARTTLS is not offered here"));
        }
        if !rest.is_empty() {
            return self.say(&replies::bad_argument("STARTTLS takes no arguments"));
        }
        // Octets that came along were sent without protection, perhaps by somebody in between.
        // Whoever sent them, they must not count, and without them nobody knows where the peer believes to be.
        if !self.input.unread().is_empty() {
            let text = "Nothing may follow STARTTLS before TLS has begun; closing the connection";
            return self.part(&Reply::new(554, Enhanced(5, 5, 1), text));
        }
        self.reset();
        self.say(&Reply::new(220, Enhanced(2, 0, 0), "Go ahead with TLS"));
        if !matches!(self.phase, Phase::Closing) {
            self.phase = Phase::Tls;
        }
    }
}

/// Commands whose number is limited by recipients, messages or errors.
fn moves_mail(verb: Verb) -> bool {
    matches!(verb, Verb::Rcpt | Verb::Data | Verb::Bdat | Verb::Quit)
}

fn help() -> Reply {
    let lines = [
        "This server understands EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS AUTH QUIT",
        "Write to postmaster if mail does not get through",
    ];
    Reply { code: 214, enhanced: Some(Enhanced(2, 0, 0)), lines: lines.map(String::from).to_vec() }
}
