//! Who may send as whom, and what is mended in the header of a submitted message (RFC 6409 §6, §8).

use mail_parser::{HeaderName, MessageParser};
use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::ReversePath;
use pillarbox_store::{AccountId, Reader, Resolution, SubAddresses};

use super::mailbox::{self, Fault};

type Result<T> = pillarbox_store::Result<T>;

/// Longest header of a submitted message, in octets.
pub const HEADER_OCTETS: usize = 256 * 1024;

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

/// Gathers the header of a message on its way in.
#[derive(Default)]
pub struct Gathering {
    header: Vec<u8>,
}

/// What gathering came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Gathered {
    More,
    /// The header with its empty line, and what follows it.
    Header(Vec<u8>, Vec<u8>),
    TooLong,
}

impl Gathering {
    pub fn push(&mut self, octets: &[u8]) -> Gathered {
        let from = self.header.len().saturating_sub(3);
        self.header.extend_from_slice(octets);
        let end = match self.header.starts_with(b"\r\n") {
            true => Some(2),
            false => {
                memchr::memmem::find(&self.header[from..], b"\r\n\r\n").map(|at| from + at + 4)
            }
        };
        match end {
            Some(end) => {
                let rest = self.header.split_off(end);
                Gathered::Header(std::mem::take(&mut self.header), rest)
            }
            None if self.header.len() > HEADER_OCTETS => Gathered::TooLong,
            None => Gathered::More,
        }
    }

    /// The content ended: all of it is header.
    pub fn finish(self) -> Vec<u8> {
        self.header
    }
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

/// A header fit to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub header: Vec<u8>,
    /// Addresses in From and Sender.
    pub senders: Vec<String>,
    /// What is wrong with one of these fields.
    pub fault: Option<Fault>,
    pub message_id: String,
    pub subject: String,
    /// It says of itself that a program made it (RFC 3834 §5).
    pub is_automatic: bool,
    /// RFC 8689 §5.
    pub is_tls_optional: bool,
}

/// Mends a submitted header (RFC 6409 §8): takes blind copies out, adds what is missing.
pub fn prepare(header: &[u8], additions: &Additions) -> Prepared {
    let (mut fields, empty_line) = Fields::read(header);
    fields.complete(additions);
    let Fields { mut kept, senders: sender_fields, is_automatic, is_tls_optional, .. } = fields;
    let (mut senders, mut fault) = (Vec::new(), None);
    for field in &sender_fields {
        match addresses(field) {
            Ok(found) => senders.extend(found),
            Err(wrong) => fault = fault.or(Some(wrong)),
        }
    }
    let (message_id, subject) = message_id_and_subject(&kept);
    kept.extend_from_slice(empty_line);
    Prepared { header: kept, senders, fault, message_id, subject, is_automatic, is_tls_optional }
}

/// The fields of a header, as its lines are read one after the other.
#[derive(Default)]
struct Fields {
    /// All that is sent.
    kept: Vec<u8>,
    /// From and Sender fields, each by itself: of two of a kind a parser would show one.
    senders: Vec<Vec<u8>>,
    has_from: bool,
    has_date: bool,
    has_id: bool,
    is_automatic: bool,
    is_tls_optional: bool,
    /// Whether the field of the last line is not sent.
    is_dropped: bool,
    /// Whether it names senders.
    is_sender: bool,
}

impl Fields {
    /// Reads a header up to its empty line, and gives that, too.
    fn read(header: &[u8]) -> (Fields, &[u8]) {
        let kept = Vec::with_capacity(header.len() + 200);
        let mut fields = Fields { kept, ..Fields::default() };
        let mut empty_line: &[u8] = b"";
        for line in header.split_inclusive(|&b| b == b'\n') {
            if line == b"\r\n" {
                empty_line = line;
                break;
            }
            fields.line(line);
        }
        if !fields.kept.is_empty() && !fields.kept.ends_with(b"\r\n") {
            fields.kept.extend_from_slice(b"\r\n");
        }
        (fields, empty_line)
    }

    fn line(&mut self, line: &[u8]) {
        let is_continued = matches!(line.first(), Some(b' ' | b'\t'));
        let colon = line.iter().position(|&b| b == b':').unwrap_or(0);
        if !is_continued {
            self.field(&line[..colon], &line[colon..]);
        }
        match self.senders.last_mut().filter(|_| self.is_sender) {
            Some(field) if is_continued => field.extend_from_slice(line),
            Some(field) => field.extend_from_slice(&line[colon..]),
            None => {}
        }
        if !self.is_dropped {
            self.kept.extend_from_slice(line);
        }
    }

    /// A field begins; `value` is its first line from the colon on.
    fn field(&mut self, name: &[u8], value: &[u8]) {
        let name = name.trim_ascii_end().to_ascii_lowercase();
        let value = value.trim_ascii().to_ascii_lowercase();
        let is_no = value == b": no" || value == b":no";
        self.is_sender = matches!(&name[..], b"from" | b"sender");
        if self.is_sender {
            self.senders.push(b"From".to_vec());
        }
        self.is_dropped = matches!(&name[..], b"bcc" | b"resent-bcc" | b"return-path");
        match &name[..] {
            b"from" => self.has_from = true,
            b"date" => self.has_date = true,
            b"message-id" => self.has_id = true,
            b"auto-submitted" => self.is_automatic = !is_no,
            b"tls-required" => self.is_tls_optional = is_no,
            _ => {}
        }
    }

    /// Adds the fields that are missing.
    fn complete(&mut self, additions: &Additions) {
        let id = format!("<{}>", additions.message_id);
        for (is_there, name, value) in [
            (self.has_from, "From", additions.from),
            (self.has_date, "Date", additions.date),
            (self.has_id, "Message-ID", &id),
        ] {
            if !is_there {
                self.kept.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
        }
        if !self.has_from {
            self.senders.push(format!("From: {}\r\n", additions.from).into_bytes());
        }
    }
}

/// Both in plain text, empty where there is none.
fn message_id_and_subject(header: &[u8]) -> (String, String) {
    let parser = MessageParser::new()
        .header_text(HeaderName::Subject)
        .header_id(HeaderName::MessageId)
        .default_header_ignore();
    let parsed = parser.parse_headers(&[header, b"\r\n"].concat()).map(|message| {
        (
            message.message_id().unwrap_or_default().to_string(),
            message.subject().unwrap_or_default().to_string(),
        )
    });
    parsed.unwrap_or_default()
}

/// The addresses in one From or Sender field.
fn addresses(field: &[u8]) -> std::result::Result<Vec<String>, Fault> {
    let text = String::from_utf8_lossy(field);
    mailbox::addresses(text.split_once(':').map_or("", |(_, value)| value))
}

/// The reply to a From or Sender field that is not taken.
pub fn faulty_sender(fault: Fault, login: &str, code: &str) -> Reply {
    let (enhanced, text) = match fault {
        Fault::NoAddress => (
            Enhanced(5, 1, 7),
            format!("From or Sender of the message holds no usable address; set a sender's address in your program or device, such as {login}"),
        ),
        Fault::Unclear => (Enhanced(5, 1, 7), "From or Sender of the message can be read in more than one way; write the sender as Name <address>".to_string()),
        Fault::Disguise => (
            Enhanced(5, 7, 1),
            "The sender's name in From or Sender reads as an address, which would mislead those who see the name alone; use another name".to_string(),
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
    fn a_header_is_gathered_however_it_is_cut() {
        let content = b"From: a\r\nTo: b\r\n\r\nbody\r\n\r\nmore";
        for piece in 1..=content.len() {
            let mut gathering = Gathering::default();
            let mut body = Vec::new();
            let mut header = None;
            for chunk in content.chunks(piece) {
                match (&header, chunk) {
                    (Some(_), chunk) => body.extend_from_slice(chunk),
                    (None, chunk) => {
                        if let Gathered::Header(whole, rest) = gathering.push(chunk) {
                            header = Some(whole);
                            body = rest;
                        }
                    }
                }
            }
            assert_eq!(header.unwrap(), b"From: a\r\nTo: b\r\n\r\n");
            assert_eq!(body, b"body\r\n\r\nmore");
        }
        assert_eq!(
            Gathering::default().push(b"\r\nbody"),
            Gathered::Header(b"\r\n".to_vec(), b"body".to_vec())
        );
        assert_eq!(Gathering::default().push(&vec![b'x'; HEADER_OCTETS + 1]), Gathered::TooLong);
    }

    #[test]
    fn blind_copies_go_and_what_lacks_is_added() {
        let header = b"To: b@x\r\nBCC: secret@x,\r\n hidden@x\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n";
        let prepared = prepare(header, &ADDITIONS);
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
        let prepared = prepare(header, &ADDITIONS);
        assert_eq!(prepared.header, header);
        assert_eq!(prepared.senders, ["a@x", "b@y", "c@z"]);
        assert_eq!(prepared.message_id, "m@x");
    }

    #[test]
    fn special_wishes_are_seen_and_rubbish_does_no_harm() {
        let of = |header: &str| prepare(header.as_bytes(), &ADDITIONS);
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
}
