//! What a record of the ledger, or a row of the queue, says beside its fate: as data that decisions can be made on.
//!
//! Main type: [`Detail`].
//! Its `Display` is the wording for logs, the command line and pages.
//! Records from before version 3 kept this wording; [`Detail::of_record`] and [`Detail::of_attempt`] turn it into data
//! when they are read.

mod reply;
mod wording;

use std::borrow::Cow;
use std::fmt;

use crate::engine::codec::{Cursor, put_bytes, put_varint};
use crate::ids::DeviceId;
pub use reply::{RemoteReply, Status};

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
    use super::*;

    fn reply(code: u16, status: Option<Status>, text: &str) -> RemoteReply {
        RemoteReply { host: "mx.x".into(), code, status, text: text.into() }
    }

    const UNKNOWN: Status = Status { class: 5, subject: 1, detail: 1 };

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
}
