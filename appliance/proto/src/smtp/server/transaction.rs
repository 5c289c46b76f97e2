//! The commands of a mail transaction (RFC 5321 §3.3): MAIL, RCPT, DATA, BDAT.

use std::time::Instant;

use super::content::Content;
use super::{Asked, Chunk, Hello, Phase, Place, Session, replies};
use crate::reply::{Enhanced, Reply};
use crate::smtp::command;
use crate::smtp::envelope::{ForwardPath, ReversePath};
use crate::smtp::params;

impl Session {
    pub(super) fn mail(&mut self, rest: &str) {
        match self.check_mail(rest) {
            Ok(asked) => self.asked = Some(asked),
            Err(reply) => self.say(&reply),
        }
    }

    fn check_mail(&self, rest: &str) -> Result<Asked, Reply> {
        if matches!(self.hello, Hello::None) {
            return Err(replies::bad_sequence("Say EHLO first"));
        }
        if self.envelope.mail.is_some() {
            return Err(replies::bad_sequence(
                "A message was already begun; finish it or say RSET",
            ));
        }
        self.check_login()?;
        if self.tally.messages >= self.config.limits.messages {
            return Err(replies::too_many_messages(&self.config));
        }
        let (inner, words) = command::path(rest, "FROM:").map_err(replies::bad_sender)?;
        self.check_parameters_allowed(words)?;
        let path = match inner {
            "" => ReversePath::Null,
            inner => ReversePath::Address(command::address(inner).map_err(replies::bad_sender)?),
        };
        let mail = params::mail(path, words, self.dsn()).map_err(replies::bad_parameter)?;
        match &mail.reverse_path {
            ReversePath::Address(address) if !address.is_ascii() && !mail.smtputf8 => {
                return Err(replies::needs_smtputf8());
            }
            _ => {}
        }
        if mail.requiretls && !self.is_tls() {
            return Err(Reply::new(
                550,
                Enhanced(5, 7, 30),
                "REQUIRETLS has to be asked for under TLS",
            ));
        }
        let most = self.config.limits.message_octets;
        if mail.size.is_some_and(|size| size > most) {
            return Err(replies::too_big(most));
        }
        Ok(Asked::Mail(mail))
    }

    /// As EHLO says it.
    pub(super) fn dsn(&self) -> params::Dsn {
        match self.is_submission() {
            true => params::Dsn::Offered,
            // Notices of success to strangers would be mail to whomever they name.
            false => params::Dsn::NotOffered,
        }
    }

    /// RFC 6409 §4.3: who submits must log in.
    fn check_login(&self) -> Result<(), Reply> {
        if !self.is_submission() || self.identity.is_some() {
            return Ok(());
        }
        let text = match self.is_tls() {
            true => "Log in first: your mail program must send user name and password",
            false => {
                "Switch on TLS (STARTTLS) and log in first; see the settings of your mail program"
            }
        };
        Err(Reply::new(530, Enhanced(5, 7, 0), text))
    }

    fn check_parameters_allowed(&self, words: &str) -> Result<(), Reply> {
        match matches!(self.hello, Hello::Helo(_)) && !words.trim().is_empty() {
            true => Err(replies::no_parameters_after_helo()),
            false => Ok(()),
        }
    }

    pub(super) fn rcpt(&mut self, rest: &str) {
        match self.check_rcpt(rest) {
            Ok(asked) => self.asked = Some(asked),
            Err(reply) => self.say(&reply),
        }
    }

    fn check_rcpt(&self, rest: &str) -> Result<Asked, Reply> {
        let Some(mail) = &self.envelope.mail else {
            return Err(replies::bad_sequence("Begin a message with MAIL first"));
        };
        if self.content.is_some() {
            return Err(replies::bad_sequence(
                "The message has begun; it takes no more recipients",
            ));
        }
        let (inner, words) = command::path(rest, "TO:").map_err(replies::bad_recipient)?;
        self.check_parameters_allowed(words)?;
        let path = match inner {
            "" => return Err(replies::empty_recipient()),
            name if name.eq_ignore_ascii_case("postmaster") => ForwardPath::Postmaster,
            inner => ForwardPath::Address(command::address(inner).map_err(replies::bad_recipient)?),
        };
        match &path {
            ForwardPath::Address(address) if !address.is_ascii() && !mail.smtputf8 => {
                return Err(replies::needs_smtputf8());
            }
            _ => {}
        }
        let recipient =
            params::recipient(path, words, self.dsn()).map_err(replies::bad_parameter)?;
        let most = self.config.limits.recipients;
        match self.envelope.recipients.len() < most {
            true => Ok(Asked::Recipient(recipient)),
            false => Err(replies::too_many_recipients(most)),
        }
    }

    pub(super) fn data(&mut self, rest: &str) {
        if !rest.is_empty() {
            return self.say(&replies::bad_argument("DATA takes no arguments"));
        }
        if self.content.is_some() {
            return self.say(&replies::bad_sequence(
                "The message began with BDAT and must go on with BDAT",
            ));
        }
        match self.check_content() {
            Ok(()) => self.asked = Some(Asked::BeginData),
            Err(reply) => self.say(&reply),
        }
    }

    fn check_content(&self) -> Result<(), Reply> {
        if self.envelope.mail.is_none() {
            return Err(replies::bad_sequence("Begin a message with MAIL first"));
        }
        match self.envelope.recipients.is_empty() {
            true => Err(replies::no_valid_recipients()),
            false => Ok(()),
        }
    }

    /// RFC 3030 §2.
    /// Whatever is wrong with it, its octets are content and are never read as commands.
    pub(super) fn bdat(&mut self, rest: &str, now: Instant) {
        let Some((declared, place)) = parse_chunk(rest) else {
            let text = "Write it as BDAT 1234 or BDAT 1234 LAST; closing the connection";
            return self.part(&replies::bad_argument(text));
        };
        if declared == 0 && self.is_one_command_too_many() {
            return;
        }
        let chunk = Chunk { declared, remaining: declared, place: place.unwrap_or(Place::Inner) };
        let refusal = match place {
            None => Err(replies::bad_argument("After its size BDAT takes nothing but LAST")),
            Some(_) => self.check_content(),
        };
        match refusal {
            Err(reply) => {
                self.reset();
                self.content = Some(Content::unwanted(&self.config.limits, now, reply));
                self.begin_chunk(chunk, now);
            }
            Ok(()) if self.content.is_none() => self.asked = Some(Asked::BeginChunk(chunk)),
            Ok(()) => self.begin_chunk(chunk, now),
        }
    }

    /// Starts to read the octets of a chunk.
    pub(super) fn begin_chunk(&mut self, chunk: Chunk, now: Instant) {
        if let Some(reply) =
            self.content.as_ref().and_then(|content| content.overflow(chunk.declared))
        {
            self.spoil(reply);
        }
        self.deadline = now + self.config.limits.timeouts.data_block;
        self.phase = Phase::Chunk(chunk);
    }
}

/// The size of a chunk, and its place unless that is not understood.
fn parse_chunk(rest: &str) -> Option<(u64, Option<Place>)> {
    let (size, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let is_number = size.bytes().all(|b| b.is_ascii_digit());
    let size = size.parse().ok().filter(|_| is_number)?;
    let place = match rest.trim() {
        "" => Some(Place::Inner),
        word if word.eq_ignore_ascii_case("LAST") => Some(Place::Last),
        _ => None,
    };
    Some((size, place))
}
