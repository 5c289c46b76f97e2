//! What follows from the driver's answers.

use std::time::Instant;

use super::action::Answer;
use super::content::Content;
use super::dots::Dots;
use super::{Asked, Phase, Session, auth, replies};
use crate::reply::{Enhanced, Reply};

impl Session {
    /// Answers the open question.
    /// Without one, the answer is ignored (and a fault of the driver).
    pub fn answer(&mut self, now: Instant, answer: Answer) {
        let Some(asked) = self.asked.take() else {
            debug_assert!(false, "nothing was asked");
            return;
        };
        self.renew_deadline(now);
        match asked {
            Asked::Authenticate(credentials) => self.answer_login(credentials, answer),
            Asked::Mail(mail) => {
                let text = "Sender ok";
                if let Some(reply) = self.settle(answer, Reply::new(250, Enhanced(2, 1, 0), text)) {
                    self.envelope.mail = Some(mail);
                    self.say(&reply);
                }
            }
            Asked::Recipient(recipient) => {
                let text = "Recipient ok";
                if let Some(reply) = self.settle(answer, Reply::new(250, Enhanced(2, 1, 5), text)) {
                    self.envelope.recipients.push(recipient);
                    self.say(&reply);
                }
            }
            Asked::BeginData => self.answer_data(answer, now),
            Asked::BeginChunk(chunk) => {
                self.content = Some(match verdict(answer, replies::confused()) {
                    Ok(_) => Content::new(&self.config.limits, self.announced(), now),
                    Err(reply) => Content::unwanted(&self.config.limits, now, reply),
                });
                self.begin_chunk(chunk, now);
            }
            Asked::EndContent { .. } => self.answer_message(answer),
        }
    }

    /// The reply to say on acceptance; a refusal is said at once.
    fn settle(&mut self, answer: Answer, usual: Reply) -> Option<Reply> {
        match verdict(answer, usual) {
            Ok(reply) => Some(reply),
            Err(reply) => {
                self.say(&reply);
                None
            }
        }
    }

    fn answer_data(&mut self, answer: Answer, now: Instant) {
        match verdict(answer, replies::confused()) {
            Ok(_) => {
                self.content = Some(Content::new(&self.config.limits, self.announced(), now));
                self.phase = Phase::Data(Dots::LineStart);
                self.deadline = now + self.config.limits.timeouts.data_initiation;
                self.say(&Reply::plain(
                    354,
                    "Send the message; end it with a line that holds only a dot",
                ));
            }
            Err(reply) => {
                self.reset();
                self.say(&reply);
            }
        }
    }

    /// The size that MAIL announced.
    fn announced(&self) -> Option<u64> {
        self.envelope.mail.as_ref().and_then(|mail| mail.size)
    }

    fn answer_message(&mut self, answer: Answer) {
        // The driver knows what became of the content; there is nothing to discard.
        self.content = None;
        self.reset();
        match verdict(answer, replies::ok("Message accepted")) {
            Ok(reply) => {
                self.tally.messages += 1;
                self.tally.commands = 0;
                self.say(&reply);
            }
            Err(reply) => self.say(&reply),
        }
    }

    fn answer_login(&mut self, credentials: crate::smtp::Credentials, answer: Answer) {
        let (identity, reply) = match answer {
            Answer::Authenticated { identity } => (identity, auth::welcome()),
            Answer::Accept => (credentials.user, auth::welcome()),
            Answer::AcceptAs(reply) if reply.is_positive() => (credentials.user, reply),
            Answer::AcceptAs(reply) | Answer::Refuse(reply) => {
                return self.login_failed(&as_refusal(reply));
            }
        };
        self.identity = Some(identity);
        self.say(&reply);
    }
}

/// Sorts an answer into a positive reply, `usual` if the driver has none of its own, and a negative one.
fn verdict(answer: Answer, usual: Reply) -> Result<Reply, Reply> {
    match answer {
        Answer::Accept => Ok(usual),
        Answer::AcceptAs(reply) if reply.is_positive() => Ok(reply),
        Answer::AcceptAs(reply) | Answer::Refuse(reply) => Err(as_refusal(reply)),
        Answer::Authenticated { .. } => {
            debug_assert!(false, "nobody wanted to log in");
            Err(replies::confused())
        }
    }
}

/// A refusal must not read as success, whatever the driver wrote.
fn as_refusal(reply: Reply) -> Reply {
    debug_assert!(!reply.is_positive(), "a refusal needs a negative reply");
    match reply.is_positive() {
        true => replies::confused(),
        false => reply,
    }
}
