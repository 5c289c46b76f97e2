//! What a record of the ledger, or a row of the queue, says beside its fate: as data that decisions can be made on.
//!
//! Main type: [`Detail`].
//! Its `Display` is the wording for logs, the command line and pages.
//! Records from before version 3 kept this wording; [`Detail::of_record`] and [`Detail::of_attempt`] turn it into data
//! when they are read.

use std::borrow::Cow;
use std::fmt;

use crate::engine::codec::{Cursor, put_bytes, put_varint};
use crate::ids::DeviceId;
use crate::ledger::{Fate, Service};

/// What programs are called that have no password of their own, in logs and the ledger.
pub const ACCOUNT_PASSWORD: &str = "account password";

const GIVEN_UP: &str = "given up by the owner of this box";
const BEFORE: &str = "; before that: ";
const TOO_LATE: &str = " (removed from the queue while it was being sent, too late)";
const REMOVED: &str = "removed from the queue by the owner";
const NOT_WRITTEN: &str = " more refusals within a second were not written down";
const DRAFT: &str = "draft";
const TRASH: &str = "Trash";

/// Longest name of a server that is kept, in octets (RFC 1035 §2.3.4).
const HOST_OCTETS: usize = 255;

/// An enhanced status code (RFC 3463 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// 2, 4 or 5.
    pub class: u8,
    /// 0 to 999.
    pub subject: u16,
    /// 0 to 999.
    pub detail: u16,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Status {
    /// The status in front of a text and a space, and the text behind it.
    pub fn leading(text: &str) -> Option<(Status, &str)> {
        let (word, rest) = text.split_once(' ')?;
        let mut numbers = word
            .split('.')
            .map(|part| if part.len() <= 3 { part.parse::<u16>().ok() } else { None });
        let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let status = Status { class: u8::try_from(class).ok()?, subject, detail };
        // Signs and leading zeros are none of a status.
        (numbers.next().is_none() && status.is_valid() && status.to_string() == word)
            .then_some((status, rest))
    }

    fn is_valid(self) -> bool {
        matches!(self.class, 2 | 4 | 5) && self.subject <= 999 && self.detail <= 999
    }

    fn write(self, out: &mut Vec<u8>) {
        out.push(self.class);
        put_varint(out, u64::from(self.subject));
        put_varint(out, u64::from(self.detail));
    }

    /// Whatever was written is read again: a row must not be lost for a number that no standard knows.
    fn read(octets: &mut Cursor<'_>) -> Option<Status> {
        let class = octets.u8()?;
        Status::read_rest(class, octets)
    }

    fn read_rest(class: u8, octets: &mut Cursor<'_>) -> Option<Status> {
        let mut number = || u16::try_from(octets.varint()?).ok();
        Some(Status { class, subject: number()?, detail: number()? })
    }
}

/// A reply of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteReply {
    /// The server's name as it was looked up.
    pub host: String,
    /// 100 to 999; servers that follow RFC 5321 §4.2 use 200 to 599.
    pub code: u16,
    /// What stands in front of the text, whatever its class.
    pub status: Option<Status>,
    /// Its lines with a space between them.
    pub text: String,
}

impl RemoteReply {
    /// `mx.example.net said: 550 5.1.1 No such user`, back from its wording.
    fn of(text: &str) -> Option<RemoteReply> {
        let (host, reply) = text.split_once(" said: ")?;
        let (code, text) = code(reply)?;
        let (status, text) =
            Status::leading(text).map_or((None, text), |(status, text)| (Some(status), text));
        (!host.is_empty() && !host.contains(' ')).then(|| RemoteReply {
            host: host.into(),
            code,
            status,
            text: text.into(),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.host.as_bytes());
        out.extend_from_slice(&self.code.to_be_bytes());
        // No status is a class of 0.
        match self.status.filter(|status| status.class != 0) {
            Some(status) => status.write(out),
            None => out.push(0),
        }
        put_bytes(out, self.text.as_bytes());
    }

    fn read(octets: &mut Cursor<'_>) -> Option<RemoteReply> {
        let (host, code) = (octets.string()?, octets.u16()?);
        let status = match octets.u8()? {
            0 => None,
            class => Some(Status::read_rest(class, octets)?),
        };
        Some(RemoteReply { host, code, status, text: octets.string()? })
    }
}

/// The reply without the server's name.
impl fmt::Display for RemoteReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.code)?;
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        f.write_str(&self.text)
    }
}

/// A reply code of three digits in front of a space, and the text behind it.
fn code(reply: &str) -> Option<(u16, &str)> {
    let (word, text) = reply.split_once(' ')?;
    let is_code =
        word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit()) && !word.starts_with('0');
    is_code.then(|| word.parse().ok())?.map(|code| (code, text))
}

/// Why something happened, or who did it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    #[default]
    None,
    /// Text for people that nothing is decided on.
    Text(String),
    /// What another server replied.
    Reply(RemoteReply),
    /// The same for a recipient that the owner had removed from the queue meanwhile.
    ReplyTooLate(RemoteReply),
    /// What the box found on its own, such as a host that can't be reached.
    Found { status: Status, text: String },
    /// The owner gave it up; and what came of the last attempt, which is no `GivenUp` itself.
    GivenUp(Option<Box<Detail>>),
    /// The owner removed it from the queue.
    Removed,
    /// The name of a mail program or device.
    Device(String),
    /// A program that has no password of its own.
    AccountPassword,
    /// What the box replied.
    Answer { code: u16, text: String },
    /// So many refusals have no record of their own.
    NotWritten(u64),
    /// A draft was kept.
    Draft,
    /// It has been in Trash for long enough.
    Trash,
}

impl Detail {
    pub fn text(text: impl Into<String>) -> Detail {
        Detail::Text(text.into())
    }

    /// What the box found, with a status of class, subject and detail.
    pub fn found(class: u8, subject: u16, detail: u16, text: impl Into<String>) -> Detail {
        Detail::Found { status: Status { class, subject, detail }, text: text.into() }
    }

    /// The program that a device's password is for.
    pub fn device(device: DeviceId, label: &str) -> Detail {
        if device == DeviceId::MAIN {
            Detail::AccountPassword
        } else {
            Detail::Device(label.into())
        }
    }

    pub fn is_none(&self) -> bool {
        *self == Detail::None
    }

    fn reply(&self) -> Option<&RemoteReply> {
        match self {
            Detail::Reply(reply) | Detail::ReplyTooLate(reply) => Some(reply),
            _ => None,
        }
    }

    /// The other server, where it is a reply of one.
    pub fn host(&self) -> Option<&str> {
        self.reply().map(|reply| reply.host.as_str())
    }

    /// The enhanced status code in it.
    pub fn status(&self) -> Option<Status> {
        match self {
            Detail::Found { status, .. } => Some(*status),
            _ => self.reply().and_then(|reply| reply.status),
        }
    }

    /// The wording without the other server's name.
    pub fn words(&self) -> String {
        match self {
            Detail::Reply(reply) => reply.to_string(),
            Detail::ReplyTooLate(reply) => format!("{reply}{TOO_LATE}"),
            other => other.to_string(),
        }
    }

    /// With a wording of at most so many octets: the end of its text goes, cut between two characters.
    pub fn clipped(&self, octets: usize) -> Cow<'_, Detail> {
        let excess = self.octets().saturating_sub(octets);
        if excess == 0 {
            return Cow::Borrowed(self);
        }
        let mut clipped = self.clone();
        clipped.shorten(excess);
        Cow::Owned(clipped)
    }

    /// Octets of the wording.
    fn octets(&self) -> usize {
        struct Count(usize);
        impl fmt::Write for Count {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0 += text.len();
                Ok(())
            }
        }
        let mut count = Count(0);
        // Counting can't fail.
        let _ = fmt::write(&mut count, format_args!("{self}"));
        count.0
    }

    fn shorten(&mut self, excess: usize) {
        let (text, excess) = match self {
            Detail::Reply(reply) | Detail::ReplyTooLate(reply) => {
                let host = reply.host.len();
                reply.host.truncate(reply.host.floor_char_boundary(HOST_OCTETS));
                (&mut reply.text, excess.saturating_sub(host - reply.host.len()))
            }
            Detail::Text(text)
            | Detail::Found { text, .. }
            | Detail::Device(text)
            | Detail::Answer { text, .. } => (text, excess),
            Detail::GivenUp(Some(before)) => return before.shorten(excess),
            _ => return,
        };
        text.truncate(text.floor_char_boundary(text.len().saturating_sub(excess)));
    }

    /// From the wording in a row of the queue or of a provider, where only attempts and what the owner did are told.
    pub(crate) fn of_attempt(text: String) -> Detail {
        let given_up = text.strip_prefix(GIVEN_UP).and_then(|rest| match rest {
            "" => Some(None),
            _ => rest
                .strip_prefix(BEFORE)
                .map(|before| Some(Box::new(Detail::of_one_attempt(before)))),
        });
        given_up.map_or_else(|| Detail::of_one_attempt(&text), Detail::GivenUp)
    }

    fn of_one_attempt(text: &str) -> Detail {
        if text.is_empty() {
            return Detail::None;
        }
        let too_late =
            text.strip_suffix(TOO_LATE).and_then(RemoteReply::of).map(Detail::ReplyTooLate);
        let found = || {
            Status::leading(text).map(|(status, text)| Detail::Found { status, text: text.into() })
        };
        too_late
            .or_else(|| RemoteReply::of(text).map(Detail::Reply))
            .or_else(found)
            .unwrap_or_else(|| Detail::text(text))
    }

    /// From the wording in a record of a fate, and the service that it stands for.
    pub(crate) fn of_record(fate: Fate, text: String) -> (Detail, Option<Service>) {
        if text.is_empty() {
            return (Detail::None, None);
        }
        match fate {
            Fate::Relayed | Fate::Queued | Fate::Bounced | Fate::Expired => {
                (Detail::of_attempt(text), None)
            }
            Fate::Refused => (Detail::of_refusal(text), None),
            Fate::Delivered if text == DRAFT => (Detail::Draft, None),
            Fate::Delivered | Fate::Quarantined => (Detail::Text(text), None),
            Fate::Deleted if text == REMOVED => (Detail::Removed, None),
            Fate::Deleted if text == TRASH => (Detail::Trash, None),
            Fate::Deleted if Service::of_ledger_word(&text).is_some() => {
                (Detail::None, Service::of_ledger_word(&text))
            }
            Fate::Deleted | Fate::Collected if text == ACCOUNT_PASSWORD => {
                (Detail::AccountPassword, Some(Service::Pop3))
            }
            Fate::Deleted | Fate::Collected => (Detail::Device(text), Some(Service::Pop3)),
        }
    }

    fn of_refusal(text: String) -> Detail {
        let not_written = text
            .strip_suffix(NOT_WRITTEN)
            .and_then(|number| number.parse().ok())
            .map(Detail::NotWritten);
        if let Some(found) = not_written.filter(|found| found.to_string() == text) {
            return found;
        }
        match code(&text) {
            Some((code, text)) => Detail::Answer { code, text: text.into() },
            None => Detail::Text(text),
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Detail::None => 0,
            Detail::Text(_) => 1,
            Detail::Reply(_) => 2,
            Detail::ReplyTooLate(_) => 3,
            Detail::Found { .. } => 4,
            Detail::GivenUp(None) => 5,
            Detail::GivenUp(Some(_)) => 6,
            Detail::Removed => 7,
            Detail::Device(_) => 8,
            Detail::AccountPassword => 9,
            Detail::Answer { .. } => 10,
            Detail::NotWritten(_) => 11,
            Detail::Draft => 12,
            Detail::Trash => 13,
        });
        match self {
            Detail::Text(text) | Detail::Device(text) => put_bytes(out, text.as_bytes()),
            Detail::Reply(reply) | Detail::ReplyTooLate(reply) => reply.write(out),
            Detail::Found { status, text } => {
                status.write(out);
                put_bytes(out, text.as_bytes());
            }
            Detail::GivenUp(Some(before)) => before.write(out),
            Detail::Answer { code, text } => {
                out.extend_from_slice(&code.to_be_bytes());
                put_bytes(out, text.as_bytes());
            }
            Detail::NotWritten(count) => put_varint(out, *count),
            Detail::None
            | Detail::GivenUp(None)
            | Detail::Removed
            | Detail::AccountPassword
            | Detail::Draft
            | Detail::Trash => {}
        }
    }

    pub(crate) fn read(octets: &mut Cursor<'_>) -> Option<Detail> {
        Some(match octets.u8()? {
            5 => Detail::GivenUp(None),
            6 => {
                let kind = octets.u8()?;
                Detail::GivenUp(Some(Box::new(Detail::read_one(kind, octets)?)))
            }
            kind => return Detail::read_one(kind, octets),
        })
    }

    /// Any but `GivenUp`: what is read is one level deep.
    fn read_one(kind: u8, octets: &mut Cursor<'_>) -> Option<Detail> {
        Some(match kind {
            0 => Detail::None,
            1 => Detail::Text(octets.string()?),
            2 => Detail::Reply(RemoteReply::read(octets)?),
            3 => Detail::ReplyTooLate(RemoteReply::read(octets)?),
            4 => Detail::Found { status: Status::read(octets)?, text: octets.string()? },
            7 => Detail::Removed,
            8 => Detail::Device(octets.string()?),
            9 => Detail::AccountPassword,
            10 => Detail::Answer { code: octets.u16()?, text: octets.string()? },
            11 => Detail::NotWritten(octets.varint()?),
            12 => Detail::Draft,
            13 => Detail::Trash,
            _ => return None,
        })
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Detail::None => Ok(()),
            Detail::Text(text) | Detail::Device(text) => f.write_str(text),
            Detail::Reply(reply) => write!(f, "{} said: {reply}", reply.host),
            Detail::ReplyTooLate(reply) => write!(f, "{} said: {reply}{TOO_LATE}", reply.host),
            Detail::Found { status, text } => write!(f, "{status} {text}"),
            Detail::GivenUp(None) => f.write_str(GIVEN_UP),
            Detail::GivenUp(Some(before)) => write!(f, "{GIVEN_UP}{BEFORE}{before}"),
            Detail::Removed => f.write_str(REMOVED),
            Detail::AccountPassword => f.write_str(ACCOUNT_PASSWORD),
            Detail::Answer { code, text } => write!(f, "{code} {text}"),
            Detail::NotWritten(count) => write!(f, "{count}{NOT_WRITTEN}"),
            Detail::Draft => f.write_str(DRAFT),
            Detail::Trash => f.write_str(TRASH),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply(code: u16, status: Option<Status>, text: &str) -> RemoteReply {
        RemoteReply { host: "mx.x".into(), code, status, text: text.into() }
    }

    const UNKNOWN: Status = Status { class: 5, subject: 1, detail: 1 };

    #[test]
    fn old_wordings_become_data() {
        for (fate, text, expected) in [
            (
                Fate::Bounced,
                "mx.x said: 550 5.1.1 No such user",
                Detail::Reply(reply(550, Some(UNKNOWN), "No such user")),
            ),
            (Fate::Relayed, "mx.x said: 250 ok", Detail::Reply(reply(250, None, "ok"))),
            (
                Fate::Relayed,
                "mx.x said: 250 2.0.0 ",
                Detail::Reply(reply(250, Some(Status { class: 2, subject: 0, detail: 0 }), "")),
            ),
            (
                Fate::Relayed,
                &format!("mx.x said: 250 ok{TOO_LATE}"),
                Detail::ReplyTooLate(reply(250, None, "ok")),
            ),
            // What a server says with codes of two classes is kept as it said it.
            (
                Fate::Bounced,
                "mx.x said: 450 5.1.1 no",
                Detail::Reply(reply(450, Some(UNKNOWN), "no")),
            ),
            (
                Fate::Queued,
                "4.4.1 connecting to mx.x: refused",
                Detail::found(4, 4, 1, "connecting to mx.x: refused"),
            ),
            (Fate::Bounced, "given up by the owner of this box", Detail::GivenUp(None)),
            (
                Fate::Bounced,
                "given up by the owner of this box; before that: mx.x said: 451 later",
                Detail::GivenUp(Some(Box::new(Detail::Reply(reply(451, None, "later"))))),
            ),
            (Fate::Queued, "mx.x said: 5500 5.1.1 no", Detail::text("mx.x said: 5500 5.1.1 no")),
            (Fate::Queued, "my host said: 550 no", Detail::text("my host said: 550 no")),
            (Fate::Queued, "5.01.1 no", Detail::text("5.01.1 no")),
            (Fate::Queued, "", Detail::None),
            (
                Fate::Refused,
                "550 There is no such mailbox",
                Detail::Answer { code: 550, text: "There is no such mailbox".into() },
            ),
            (
                Fate::Refused,
                "12 more refusals within a second were not written down",
                Detail::NotWritten(12),
            ),
            (
                Fate::Refused,
                "+1 more refusals within a second were not written down",
                Detail::text(format!("+1{NOT_WRITTEN}")),
            ),
            (Fate::Collected, "Reception PC", Detail::Device("Reception PC".into())),
            (Fate::Collected, "4.4.1 is my name", Detail::Device("4.4.1 is my name".into())),
            (Fate::Collected, "account password", Detail::AccountPassword),
            (Fate::Deleted, "removed from the queue by the owner", Detail::Removed),
            (Fate::Deleted, "Trash", Detail::Trash),
            (Fate::Deleted, "Reception PC", Detail::Device("Reception PC".into())),
            (Fate::Delivered, "draft", Detail::Draft),
            (Fate::Delivered, "", Detail::None),
        ] {
            let (detail, _) = Detail::of_record(fate, text.to_string());
            assert_eq!(detail, expected);
            assert_eq!(detail.to_string(), text);
        }
        for (text, service) in [("webmail", Service::Web), ("command-line", Service::CommandLine)] {
            assert_eq!(
                Detail::of_record(Fate::Deleted, text.into()),
                (Detail::None, Some(service))
            );
        }
        assert_eq!(
            Detail::of_record(Fate::Collected, "webmail".into()),
            (Detail::Device("webmail".into()), Some(Service::Pop3))
        );
    }

    #[test]
    fn a_reply_is_split_into_server_and_words() {
        let detail = Detail::Reply(reply(550, Some(UNKNOWN), "No such user"));
        assert_eq!(
            (detail.host(), detail.words().as_str(), detail.status()),
            (Some("mx.x"), "550 5.1.1 No such user", Some(UNKNOWN))
        );
        let found = Detail::found(4, 4, 1, "refused");
        assert_eq!((found.host(), found.words().as_str()), (None, "4.4.1 refused"));
    }

    #[test]
    fn the_text_is_cut_and_the_rest_stays() {
        let long = "ü".repeat(1000);
        let reply =
            |text: &str| RemoteReply { host: "h".repeat(300), ..reply(550, Some(UNKNOWN), text) };
        for detail in [
            Detail::text(long.clone()),
            Detail::Reply(reply(&long)),
            Detail::ReplyTooLate(reply(&long)),
            Detail::found(4, 4, 1, long.clone()),
            Detail::GivenUp(Some(Box::new(Detail::found(4, 4, 1, long.clone())))),
            Detail::Device(long.clone()),
            Detail::Answer { code: 550, text: long.clone() },
        ] {
            let clipped = detail.clipped(400).into_owned();
            let octets = clipped.to_string().len();
            assert!((395..=400).contains(&octets), "{octets}");
            assert_eq!(
                (clipped.status(), clipped.clipped(400).into_owned()),
                (detail.status(), clipped)
            );
        }
        assert!(matches!(Detail::text("short").clipped(400), Cow::Borrowed(_)));
    }

    #[test]
    fn a_status_that_no_standard_knows_is_read_again() {
        let strange = |class| Status { class, subject: u16::MAX, detail: u16::MAX };
        let read_again = |detail: &Detail| {
            let mut octets = Vec::new();
            detail.write(&mut octets);
            Detail::read(&mut Cursor(&octets))
        };
        for detail in [
            Detail::Found { status: strange(0), text: "x".into() },
            Detail::Reply(reply(1000, Some(strange(9)), "x")),
        ] {
            assert_eq!(read_again(&detail), Some(detail));
        }
        assert_eq!(
            read_again(&Detail::Reply(reply(550, Some(strange(0)), "x"))),
            Some(Detail::Reply(reply(550, None, "x")))
        );
    }

    fn fates() -> impl Strategy<Value = Fate> {
        proptest::sample::select(Fate::ALL.to_vec())
    }

    /// Wordings that are near the known ones.
    fn wordings() -> impl Strategy<Value = String> {
        let pieces = [
            "mx.x", " said: ", "550", " ", "-", "5.1.1", "4.4.1 ", "0", "12", "no", GIVEN_UP,
            BEFORE, TOO_LATE, REMOVED, NOT_WRITTEN, DRAFT, TRASH, ACCOUNT_PASSWORD, "webmail", "ü",
        ];
        prop_oneof![
            any::<String>(),
            proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..8)
                .prop_map(|pieces| pieces.concat())
        ]
    }

    proptest! {
        #[test]
        fn no_wording_is_lost(fate in fates(), text in wordings()) {
            let (detail, service) = Detail::of_record(fate, text.clone());
            match service.filter(|_| detail.is_none()) {
                Some(service) => prop_assert_eq!(service.ledger_word(), text),
                None => prop_assert_eq!(detail.to_string(), text),
            }
            let mut octets = Vec::new();
            detail.write(&mut octets);
            prop_assert_eq!(Detail::read(&mut Cursor(&octets)), Some(detail));
        }
    }
}
