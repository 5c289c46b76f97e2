//! Answers and forwards: to whom, from which address, with which words.

use super::{Draft, How};
use crate::addresses::field;
use crate::structure::{Person as Correspondent, Structure};

/// Words of the reader's language that an answer begins with.
pub struct Phrases {
    /// "… wrote, at …:"
    pub intro: String,
    /// The line above a forwarded message.
    pub forwarded: String,
    /// When the message was written, as the reader's language has it.
    pub at: String,
}

/// Who answers.
pub struct Answerer {
    /// Addresses that lead to them alone, in lower case.
    pub own: Vec<String>,
    /// Addresses they may write from; the first is the account's own.
    pub senders: Vec<String>,
    /// The message is among those they sent.
    pub has_sent_it: bool,
}

impl Answerer {
    fn is(&self, person: &Correspondent) -> bool {
        let address = person.address.to_lowercase();
        // What is behind a `+` is the person's own affair (RFC 5233).
        let plain = address
            .split_once('@')
            .and_then(|(local, domain)| Some(format!("{}@{domain}", local.split_once('+')?.0)));
        self.own.contains(&address) || plain.is_some_and(|plain| self.own.contains(&plain))
    }

    /// These, each once, without the answerer and without those who are named already.
    fn others<'p>(
        &self,
        people: impl Iterator<Item = &'p Correspondent>,
        named: &[Correspondent],
    ) -> Vec<Correspondent> {
        let mut found: Vec<Correspondent> = Vec::new();
        for person in people {
            let is_same =
                |known: &Correspondent| known.address.eq_ignore_ascii_case(&person.address);
            if !self.is(person) && !named.iter().any(is_same) && !found.iter().any(is_same) {
                found.push(person.clone());
            }
        }
        found
    }

    /// To and Cc of an answer.
    /// One to an own message goes to those it went to (RFC 5322 §3.6.3 leaves it to the program).
    fn recipients(
        &self,
        structure: &Structure,
        how: How,
    ) -> (Vec<Correspondent>, Vec<Correspondent>) {
        let is_own = self.has_sent_it || structure.from.first().is_some_and(|from| self.is(from));
        let mut to = match is_own {
            true => self.others(structure.to.iter(), &[]),
            false if structure.reply_to.is_empty() => structure.from.clone(),
            false => structure.reply_to.clone(),
        };
        if to.is_empty() {
            // A note to oneself, or one that went to hidden recipients.
            to =
                if structure.to.is_empty() { structure.from.clone() } else { structure.to.clone() };
        }
        let cc = if how == How::All {
            self.others(structure.to.iter().chain(&structure.cc), &to)
        } else {
            Vec::new()
        };
        (to, cc)
    }

    /// The address to answer from: the one that was written to or from, if it is not the account's own; empty: that
    /// one.
    fn from(&self, structure: &Structure) -> String {
        let written = structure.to.iter().chain(&structure.cc).chain(if self.has_sent_it {
            structure.from.as_slice()
        } else {
            &[]
        });
        let usable = |person: &Correspondent| {
            self.senders.iter().find(|sender| sender.eq_ignore_ascii_case(&person.address))
        };
        let found: Vec<&String> = written.filter_map(usable).collect();
        // Who was written to by their own name answers by it.
        match found.iter().any(|sender| Some(*sender) == self.senders.first()) {
            true => String::new(),
            false => found.first().map(|sender| sender.to_string()).unwrap_or_default(),
        }
    }
}

/// The beginning of an answer, a forward, or a draft gone on with.
pub fn answer(
    phrases: &Phrases,
    answerer: &Answerer,
    id: &str,
    how: How,
    structure: &Structure,
    text: &str,
) -> Draft {
    if matches!(how, How::Draft | How::Again) {
        let continues = if how == How::Draft { id.to_string() } else { String::new() };
        return Draft { continues, ..same(structure, text) };
    }
    let mut references = structure.references.clone();
    references.push(structure.message_id.clone());
    let mut draft = Draft {
        answers: format!("{id}:{}", how.as_str()),
        in_reply_to: structure.message_id.clone(),
        references: references.join(" "),
        ..Draft::default()
    };
    match how {
        How::Attach => draft.subject = prefixed("Fwd:", &structure.subject),
        How::Forward => {
            draft.subject = prefixed("Fwd:", &structure.subject);
            draft.body = forwarded(phrases, structure, text);
        }
        _ => {
            draft.subject = prefixed("Re:", &structure.subject);
            draft.body = format!("\n\n{}\n{}", phrases.intro, quote(text));
            let (to, cc) = answerer.recipients(structure, how);
            (draft.from, draft.to, draft.cc) = (answerer.from(structure), field(&to), field(&cc));
        }
    }
    draft
}

/// The same message once more.
fn same(structure: &Structure, text: &str) -> Draft {
    Draft {
        from: structure.from.first().map(|from| from.address.clone()).unwrap_or_default(),
        to: field(&structure.to),
        cc: field(&structure.cc),
        bcc: field(&structure.bcc),
        subject: structure.subject.clone(),
        body: text.to_string(),
        references: structure.references.join(" "),
        ..Draft::default()
    }
}

/// A forwarded message below the writer's own words.
fn forwarded(phrases: &Phrases, structure: &Structure, text: &str) -> String {
    let (from, to) = (field(&structure.from), field(&structure.to));
    let Phrases { forwarded, at, .. } = phrases;
    let subject = &structure.subject;
    format!("\n\n{forwarded}\nFrom: {from}\nTo: {to}\nDate: {at}\nSubject: {subject}\n\n{text}")
}

/// Text with marks in front of its lines.
fn quote(text: &str) -> String {
    let mark = |line: &str| if line.starts_with('>') { ">" } else { "> " };
    text.lines().map(|line| format!("{}{line}\n", mark(line))).collect()
}

/// A subject with this in front, once.
fn prefixed(prefix: &str, subject: &str) -> String {
    match subject.to_lowercase().starts_with(&prefix.to_lowercase()) {
        true => subject.to_string(),
        false => format!("{prefix} {subject}"),
    }
}
