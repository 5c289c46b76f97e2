//! What replies mean, up to the login; those within a transaction are in `outcomes`.

use std::time::Instant;

use super::{Expect, Phase, REPLY_OCTETS, Session};
use crate::reply::Reply;
use crate::smtp::client::input::{Codes, Heard};
use crate::smtp::client::peer::Peer;
use crate::smtp::client::types::{Failure, StartTls, TranscriptLine};

impl Session {
    /// Takes a reply that is whole.
    pub(super) fn heard(&mut self, heard: Heard, now: Instant) {
        let Heard { reply, codes } = heard;
        // Such as `220-mx ready`, `521 your address is on a list`: no welcome, and no clear "never" either.
        let is_broken = codes == Codes::Mixed
            && self.expected.front() == Some(&Expect::Greeting)
            && !reply.is_positive();
        if is_broken {
            let reply = reply.clipped(REPLY_OCTETS);
            self.note(TranscriptLine::Theirs(reply.on_one_line(" / ")));
            return self.fail(Failure::BrokenGreeting { reply });
        }
        self.reply(reply, now);
    }

    fn reply(&mut self, reply: Reply, now: Instant) {
        let stage = self.stage();
        // A list of extensions is read as a whole; of everything else a reader needs the beginning.
        let reply = if self.expected.front() == Some(&Expect::Ehlo) {
            reply
        } else {
            reply.clipped(REPLY_OCTETS)
        };
        self.note(TranscriptLine::Theirs(reply.on_one_line(" / ")));
        let Some(expect) = self.expected.pop_front() else {
            return self.fail(Failure::NotSmtp { stage });
        };
        self.wait_for(self.config.timeouts.command, now);
        let is_bye = reply.code == 421 && expect != Expect::Quit;
        match expect {
            Expect::Greeting if reply.code / 100 == 2 && !is_bye => {
                self.greeting = reply.lines.first().cloned().unwrap_or_default();
                self.hello();
            }
            Expect::Ehlo if reply.code / 100 == 2 => {
                self.peer = Peer::of(&reply);
                self.after_hello();
            }
            // RFC 5321 §3.2: a server that does not know EHLO may know HELO.
            Expect::Ehlo if reply.is_permanent() => {
                self.queue(format!("HELO {}", self.config.hello), Expect::Helo)
            }
            Expect::Helo if reply.code / 100 == 2 => self.after_hello(),
            Expect::StartTls if reply.code / 100 == 2 => {
                // Octets that came along are not under TLS: they must not be read as if (RFC 3207 §4.2).
                match self.replies.has_rest() {
                    true => self.fail(Failure::NotSmtp { stage }),
                    false => self.phase = Phase::Tls,
                }
            }
            // No to STARTTLS after it was offered: plain mail may go on, where it may go plain.
            Expect::StartTls if self.config.starttls == StartTls::IfOffered && !is_bye => {
                self.peer.starttls = false;
                self.after_hello();
            }
            Expect::Auth(mechanism, step) if reply.code / 100 == 2 || reply.code == 334 => {
                self.auth(mechanism, step, reply)
            }
            Expect::Greeting
            | Expect::Ehlo
            | Expect::Helo
            | Expect::StartTls
            | Expect::Auth(..) => {
                self.fail(Failure::Refused { stage, reply: reply.clipped(REPLY_OCTETS) });
            }
            Expect::Quit => self.phase = Phase::Close,
            Expect::Reset if is_bye => self.fail(Failure::Refused { stage, reply }),
            Expect::Reset => {}
            Expect::Mail => self.mail_reply(reply, is_bye),
            Expect::Recipient(index) => self.recipient_reply(index, reply, is_bye),
            Expect::Data => self.data_reply(reply, now, is_bye),
            Expect::Final => self.final_reply(reply, is_bye),
        }
    }
}
