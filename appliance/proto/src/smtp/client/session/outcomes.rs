//! What replies within a transaction mean for its recipients.

use std::time::Instant;

use super::{Expect, Phase, Session};
use crate::reply::{Enhanced, Reply};
use crate::smtp::client::stuffing::Stuffing;
use crate::smtp::client::types::{Failure, Stage, TranscriptLine};

impl Session {
    pub(super) fn mail_reply(&mut self, reply: Reply, is_bye: bool) {
        let Some(transaction) = &mut self.transaction else { return };
        if reply.code / 100 == 2 {
            return;
        }
        transaction.is_refused = true;
        transaction.outcomes.fill(Some(reply.clone()));
        if is_bye {
            return self.fail(Failure::Refused { stage: Stage::Envelope, reply });
        }
        // Recipients that were not named yet need not be.
        self.waiting.clear();
        if self.expected.is_empty() {
            self.finish();
        }
    }

    pub(super) fn recipient_reply(&mut self, index: usize, reply: Reply, is_bye: bool) {
        let Some(transaction) = &mut self.transaction else { return };
        let reply = match is_too_many(&reply) {
            true => later(reply),
            false => reply,
        };
        if !transaction.is_refused {
            match reply.code / 100 {
                2 if !transaction.is_question => transaction.accepted.push(index),
                _ => transaction.outcomes[index] = Some(reply.clone()),
            }
        }
        if is_bye {
            return self.fail(Failure::Refused { stage: Stage::Envelope, reply });
        }
        if (transaction.is_refused || transaction.is_question) && self.expected.is_empty() {
            self.finish();
        }
    }

    pub(super) fn data_reply(&mut self, reply: Reply, now: Instant, is_bye: bool) {
        let nobody = self.none_accepted();
        if reply.code == 354 {
            if nobody {
                // RFC 2920 §3.1: it waits for content that there is none of.
                self.output.extend_from_slice(b".\r\n");
                self.expected.push_back(Expect::Final);
                return self.wait_for(self.config.timeouts.final_reply, now);
            }
            self.note(TranscriptLine::Ours("(the message)".into()));
            self.phase = Phase::Content(Stuffing::new());
            return;
        }
        if reply.is_positive() {
            // A yes to content that it has not got is no yes to anything.
            return self.fail(Failure::NotSmtp { stage: Stage::Envelope });
        }
        self.settle_accepted(&reply);
        match is_bye {
            true => self.fail(Failure::Refused { stage: Stage::Envelope, reply }),
            false => self.finish(),
        }
    }

    pub(super) fn final_reply(&mut self, reply: Reply, is_bye: bool) {
        self.settle_accepted(&reply);
        self.is_open = false;
        match is_bye {
            true => self.fail(Failure::Refused { stage: Stage::FinalReply, reply }),
            false => self.finish(),
        }
    }

    fn settle_accepted(&mut self, reply: &Reply) {
        if let Some(transaction) = &mut self.transaction {
            for &index in &transaction.accepted {
                transaction.outcomes[index] = Some(reply.clone());
            }
        }
    }
}

/// Whether a reply to RCPT says "too many recipients", which RFC 821 had 552 for: RFC 5321 §4.5.3.1.10 wants it taken
/// as 452.
/// Where the enhanced code says that a mailbox is full, a message too large or a policy against it, "never" is meant.
fn is_too_many(reply: &Reply) -> bool {
    reply.code == 552
        && reply.enhanced.is_none_or(|Enhanced(_, subject, _)| matches!(subject, 0 | 4 | 5))
}

/// The same reply as "not now"; its text keeps the code that was sent.
fn later(mut reply: Reply) -> Reply {
    let sent = reply.enhanced.map_or("552".to_string(), |enhanced| format!("552 {enhanced}"));
    reply.code = 452;
    reply.enhanced =
        reply.enhanced.map(|Enhanced(_, subject, detail)| Enhanced(4, subject, detail));
    let text = reply.lines.pop().unwrap_or_default();
    reply.lines.push(format!("{text} (sent as {sent})"));
    reply
}
