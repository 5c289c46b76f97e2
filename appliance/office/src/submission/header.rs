//! Who may send as whom, and what is mended in the header of a submitted message (RFC 6409 §6, §8).

use std::borrow::Cow;

use pillarbox_message::field::{self, Letters};
use pillarbox_message::head;
use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::ReversePath;
use pillarbox_store::{AccountId, Reader, Resolution, SubAddresses};

use super::mailbox::{self, Fault};

type Result<T> = pillarbox_store::Result<T>;

/// Whether an address may be used by an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Own,
    Foreign,
}

/// A sender must be an address of the account: its own, an alias that leads to it, or the null path of a notice.
pub fn sender(reader: &Reader, account: AccountId, path: &ReversePath) -> Result<Sender> {
    match path {
        ReversePath::Null => Ok(Sender::Own),
        ReversePath::Address(address) => owns(reader, account, &address.canonical()),
    }
}

fn owns(reader: &Reader, account: AccountId, address: &str) -> Result<Sender> {
    // Whatever the settings say of incoming mail: an address with a detail belongs to the same person.
    Ok(match reader.resolve_with(address, SubAddresses::On)? {
        Resolution::Accounts(accounts) if accounts.contains(&account) => Sender::Own,
        _ => Sender::Foreign,
    })
}

/// The first of some addresses that is not the account's.
pub fn first_foreign(
    reader: &Reader,
    account: AccountId,
    addresses: &[String],
) -> Result<Option<String>> {
    for address in addresses {
        if owns(reader, account, &address.to_lowercase())? == Sender::Foreign {
            return Ok(Some(address.clone()));
        }
    }
    Ok(None)
}

/// The reply to a sender that is not the account's; `place` is where it stood.
pub fn foreign_sender(place: &str, address: &str, login: &str, code: &str) -> Reply {
    let text = format!(
        "You are logged in as {login}, which may not send as <{address}> ({place}); choose one of your own addresses as sender ({code})"
    );
    Reply::new(550, Enhanced(5, 7, 1), text)
}

/// What is put into a header that lacks it.
pub struct Additions<'a> {
    /// The sender's address.
    pub from: &'a str,
    /// RFC 5322 §3.3.
    pub date: &'a str,
    /// Without angle brackets.
    pub message_id: &'a str,
}

/// Why a header is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// What is wrong with From or Sender.
    Sender(Fault),
    /// A field that may be there once is there again (RFC 5322 §3.6): programs show one or the other.
    Doubled(&'static str),
    /// A line among the fields that is none (RFC 5322 §2.2); its beginning.
    NoField(String),
    /// A field with a word that no line of mail may hold (RFC 5322 §2.1.1); its name.
    LongWord(String),
}

/// A header fit to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub header: Vec<u8>,
    /// Addresses in From and Sender.
    pub senders: Vec<String>,
    pub flaw: Option<Flaw>,
    pub message_id: String,
    pub subject: String,
    /// It says of itself that a program made it (RFC 3834 §5).
    pub is_automatic: bool,
    /// RFC 8689 §5.
    pub is_tls_optional: bool,
}

/// Mends a submitted header (RFC 6409 §8): takes blind copies out, adds what is missing, writes long lines and, unless
/// they are allowed, letters beyond ASCII as every server carries them.
/// Without any field in it the whole is text: the header is put in front.
pub fn prepare(header: &[u8], letters: Letters, additions: &Additions) -> Prepared {
    let (mut fields, rest) = Fields::read(header, letters);
    fields.complete(additions);
    let (mut senders, mut flaw) = (Vec::new(), fields.flaw);
    for field in &fields.senders {
        match addresses(field) {
            Ok(found) => senders.extend(found),
            Err(wrong) => flaw = flaw.or(Some(Flaw::Sender(wrong))),
        }
    }
    let mut kept = fields.kept.concat();
    let head::Facts { subject, message_id } = head::facts(&[&kept[..], b"\r\n"].concat());
    kept.extend_from_slice(rest);
    Prepared {
        header: kept,
        senders,
        flaw,
        message_id,
        subject,
        is_automatic: fields.is_automatic,
        is_tls_optional: fields.is_tls_optional,
    }
}

/// Fields that a message has once at most, and that are shown or signed.
const ONCE: [&str; 8] =
    ["From", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References"];
/// Characters of a line that a reply repeats.
const REPEATED: usize = 40;

/// The fields of a header, as they are read one after the other.
#[derive(Default)]
struct Fields {
    /// All that is sent, a field each.
    kept: Vec<Vec<u8>>,
    /// From and Sender fields, each by itself.
    senders: Vec<Vec<u8>>,
    /// Which of the fields of `ONCE` are there.
    once: [bool; ONCE.len()],
    /// Places of To and Cc in what is kept: of each kind one goes out.
    lists: [Option<usize>; 2],
    is_automatic: bool,
    is_tls_optional: bool,
    flaw: Option<Flaw>,
    /// There is no header: what came is the text.
    text_follows: bool,
}

impl Fields {
    /// Reads a header up to its empty line, and gives that, too; or all of it if it has no field.
    fn read(header: &[u8], letters: Letters) -> (Fields, &[u8]) {
        let mut fields = Fields::default();
        let (block, empty_line) = match header.strip_suffix(b"\r\n\r\n") {
            Some(_) => header.split_at(header.len() - 2),
            None if header == b"\r\n" => header.split_at(0),
            None => (header, &b""[..]),
        };
        if !block.is_empty() && !head::fields(block).any(|field| head::name(field).is_some()) {
            fields.text_follows = true;
            return (fields, header);
        }
        for (number, field) in head::fields(block).enumerate() {
            match head::name(field) {
                Some(name) => fields.field(name, field, letters),
                // What mailbox files put in front of a message.
                None if number == 0 && head::is_separator(field) => {}
                None => fields.note(Flaw::NoField(beginning(field))),
            }
        }
        (fields, empty_line)
    }

    fn note(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
    }

    fn field(&mut self, name: &str, field: &[u8], letters: Letters) {
        let name = name.to_ascii_lowercase();
        let (_, value) = field.split_at(field.iter().position(|&b| b == b':').unwrap_or(0));
        let is_no = value[1..].trim_ascii().eq_ignore_ascii_case(b"no");
        if let Some(at) = ONCE.iter().position(|once| once.eq_ignore_ascii_case(&name))
            && std::mem::replace(&mut self.once[at], true)
        {
            self.note(Flaw::Doubled(ONCE[at]));
        }
        match name.as_str() {
            "bcc" | "resent-bcc" | "return-path" => return,
            "from" | "sender" => self.senders.push(field.to_vec()),
            "auto-submitted" => self.is_automatic = !is_no,
            "tls-required" => self.is_tls_optional = is_no,
            _ => {}
        }
        let field = field::fit(field, letters);
        // One that stayed as it came has no long line.
        if matches!(field, Cow::Owned(_)) && field::has_long_line(&field) {
            self.note(Flaw::LongWord(beginning(name.as_bytes())));
        }
        let mut field = field.into_owned();
        if !field.ends_with(b"\r\n") {
            field.extend_from_slice(b"\r\n");
        }
        // RFC 5322 §3.6 has one of each; servers refuse more, and devices write one for each recipient.
        let list = ["to", "cc"].iter().position(|list| *list == name);
        if let Some(list) = list {
            match self.lists[list] {
                Some(first) => return append(&mut self.kept[first], &field),
                None => self.lists[list] = Some(self.kept.len()),
            }
        }
        self.kept.push(field);
    }

    fn has(&self, name: &str) -> bool {
        ONCE.iter().position(|once| *once == name).is_some_and(|at| self.once[at])
    }

    /// Adds the fields that are missing.
    fn complete(&mut self, additions: &Additions) {
        let id = format!("<{}>", additions.message_id);
        for (name, value) in
            [("From", additions.from), ("Date", additions.date), ("Message-ID", &id)]
        {
            if !self.has(name) {
                let field = format!("{name}: {value}\r\n").into_bytes();
                if name == "From" {
                    self.senders.push(field.clone());
                }
                self.kept.push(field);
            }
        }
        if self.text_follows {
            self.kept.push(b"\r\n".to_vec());
        }
    }
}

/// Appends the people of a further field to a first one.
fn append(first: &mut Vec<u8>, further: &[u8]) {
    let colon = further.iter().position(|&b| b == b':').unwrap_or(0);
    let people = further[colon..].strip_prefix(b":").unwrap_or_default().trim_ascii();
    if !people.is_empty() {
        first.truncate(first.trim_ascii_end().len());
        [&b",\r\n "[..], people, b"\r\n"].iter().for_each(|piece| first.extend_from_slice(piece));
    }
}

/// The beginning of a line for a reply: printable ASCII, and little of it.
fn beginning(line: &[u8]) -> String {
    let line = line.trim_ascii_end().iter().take(REPEATED);
    line.map(|&b| if (b' '..=b'~').contains(&b) { char::from(b) } else { '?' }).collect()
}

/// The addresses in one From or Sender field.
fn addresses(field: &[u8]) -> std::result::Result<Vec<String>, Fault> {
    let text = String::from_utf8_lossy(field);
    mailbox::addresses(text.split_once(':').map_or("", |(_, value)| value))
}

/// The reply to a header that is not sent.
pub fn flawed(flaw: &Flaw, login: &str, code: &str) -> Reply {
    let (enhanced, text) = match flaw {
        Flaw::Sender(Fault::NoAddress) => (
            Enhanced(5, 1, 7),
            format!("From or Sender of the message holds no usable address; set a sender's address in your program or device, such as {login}"),
        ),
        Flaw::Sender(Fault::Unclear) => (Enhanced(5, 1, 7), "From or Sender of the message can be read in more than one way; write the sender as Name <address>".to_string()),
        Flaw::Sender(Fault::Disguise) => (
            Enhanced(5, 7, 1),
            "The sender's name in From or Sender reads as an address, which would mislead those who see the name alone; use another name".to_string(),
        ),
        Flaw::Doubled(name) => (
            Enhanced(5, 6, 0),
            format!("The message has more than one {name} field; mail has one, and programs would not agree which one counts"),
        ),
        Flaw::NoField(line) => (
            Enhanced(5, 6, 0),
            format!("The header of the message has a line that is no field: \"{line}\"; a field is written as Name: value, and an empty line stands between header and text"),
        ),
        Flaw::LongWord(name) => (
            Enhanced(5, 6, 0),
            format!("The field {name} of the message has a word longer than a line of mail may be (998 characters)"),
        ),
    };
    Reply::new(550, enhanced, format!("{text} ({code})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDITIONS: Additions =
        Additions { from: "ann@box.example", date: "DATE", message_id: "ID@box.example" };

    #[test]
    fn blind_copies_go_and_what_lacks_is_added() {
        let header = b"To: b@x\r\nBCC: secret@x,\r\n hidden@x\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n";
        let prepared = prepare(header, Letters::Any, &ADDITIONS);
        let text = String::from_utf8(prepared.header).unwrap();
        assert_eq!(
            text,
            "To: b@x\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nFrom: ann@box.example\r\nDate: DATE\r\nMessage-ID: <ID@box.example>\r\n\r\n"
        );
        assert_eq!(
            (prepared.senders, prepared.message_id.as_str()),
            (vec!["ann@box.example".to_string()], "ID@box.example")
        );
        assert_eq!(prepared.subject, "Grüße");
    }

    #[test]
    fn what_is_whole_stays_octet_for_octet() {
        let header = b"Date: D\r\nFROM: Ann <a@x>, b@y\r\nSender: c@z\r\nMessage-id: <m@x>\r\nX: \xe9\r\n\r\n";
        let prepared = prepare(header, Letters::Any, &ADDITIONS);
        assert_eq!(prepared.header, header);
        assert_eq!(prepared.senders, ["a@x", "b@y", "c@z"]);
        assert_eq!(prepared.message_id, "m@x");
    }

    #[test]
    fn special_wishes_are_seen_and_rubbish_does_no_harm() {
        let of = |header: &str| prepare(header.as_bytes(), Letters::Any, &ADDITIONS);
        assert!(of("Auto-Submitted: auto-replied\r\n\r\n").is_automatic);
        assert!(!of("Auto-Submitted: no\r\n\r\n").is_automatic);
        assert!(of("TLS-Required: No\r\n\r\n").is_tls_optional);
        for rubbish in [
            "", "\r\n", "no colon", "no colon\r\n folded", ":\r\n:\r\n\r\n", "From:\r\n\r\n",
            "From: <@@@>\r\n\r\n",
        ] {
            of(rubbish);
        }
        // A second From does not slip past.
        assert_eq!(of("From: a@x\r\nFrom: evil@y\r\n\r\n").senders.len(), 2);
    }

    #[test]
    fn a_header_that_others_read_differently_is_not_sent() {
        let flaw = |header: &str| prepare(header.as_bytes(), Letters::Ascii, &ADDITIONS).flaw;
        for name in ONCE {
            let value = if matches!(name, "From" | "Sender") { "ann@x" } else { "<1@x>" };
            let twice =
                format!("{name}: {value}\r\nX: y\r\n{}: {value}\r\n\r\n", name.to_uppercase());
            assert_eq!(flaw(&twice), Some(Flaw::Doubled(name)));
        }
        let no_field = |line: &str| Some(Flaw::NoField(line.into()));
        for (header, is) in [
            (" folded\r\nFrom: ann@x\r\n\r\n", no_field(" folded")),
            ("garbage\r\nFrom: ann@x\r\n\r\n", no_field("garbage")),
            ("From: ann@x\r\ngar bage: x\r\n\r\n", no_field("gar bage: x")),
            ("From: ann@x\r\n: x\r\n\r\n", no_field(": x")),
            ("Fr\u{f6}m: ann@x\r\nTo: x\r\n\r\n", no_field("Fr??m: ann@x")),
            ("From ann Mon Jan 1\r\nFrom: ann@x\r\n\r\n", None),
            ("From : ann@x\r\nTo:x\r\n\r\n", None),
            ("X:\r\n\r\n", None),
        ] {
            assert_eq!(flaw(header), is, "{header}");
        }
        let long = format!("From: ann@x\r\nMessage-ID: <{}@x>\r\n\r\n", "y".repeat(1000));
        assert_eq!(flaw(&long), Some(Flaw::LongWord("message-id".into())));
        let reply = flawed(&Flaw::NoField("x\u{7}".into()), "ann@x", "ABC");
        assert_eq!((reply.code, reply.enhanced), (550, Some(Enhanced(5, 6, 0))));
    }

    #[test]
    fn text_without_a_header_gets_one_and_lists_are_one() {
        let of = |header: &str| {
            String::from_utf8(prepare(header.as_bytes(), Letters::Ascii, &ADDITIONS).header)
                .unwrap()
        };
        let ours = "From: ann@box.example\r\nDate: DATE\r\nMessage-ID: <ID@box.example>\r\n";
        for text in ["hello", "hello\r\n\r\n", " hello\r\nthere\r\n\r\n"] {
            assert_eq!(of(text), format!("{ours}\r\n{text}"));
        }
        assert_eq!((of(""), of("\r\n")), (ours.to_string(), format!("{ours}\r\n")));
        let header = "To: a@x\r\nCC: c@x\r\nto : b@x,\r\n d@x\r\nCc:e@x\r\nTo: \r\n\r\n";
        assert_eq!(
            of(header),
            format!("To: a@x,\r\n b@x,\r\n d@x\r\nCC: c@x,\r\n e@x\r\n{ours}\r\n")
        );
        let raw = "To: J\u{f6}rg <j@x>\r\nSubject: \u{fc}\r\n\r\n";
        assert!(of(raw).is_ascii());
        let wide = prepare(raw.as_bytes(), Letters::Any, &ADDITIONS).header;
        assert!(wide.starts_with(&raw.as_bytes()[..raw.len() - 2]));
    }
}
