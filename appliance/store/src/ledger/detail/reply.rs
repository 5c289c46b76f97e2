//! What another server replied, as data.

use std::fmt;

use crate::engine::codec::{Cursor, put_bytes, put_varint};

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

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.push(self.class);
        put_varint(out, u64::from(self.subject));
        put_varint(out, u64::from(self.detail));
    }

    /// Whatever was written is read again: a row must not be lost for a number that no standard knows.
    pub(super) fn read(octets: &mut Cursor<'_>) -> Option<Status> {
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
    /// What is in front of the text, whatever its class.
    pub status: Option<Status>,
    /// Its lines with a space between them.
    pub text: String,
}

impl RemoteReply {
    /// `mx.example.net said: 550 5.1.1 No such user`, back from its wording.
    pub(super) fn of(text: &str) -> Option<RemoteReply> {
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

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.host.as_bytes());
        out.extend_from_slice(&self.code.to_be_bytes());
        // No status is a class of 0.
        match self.status.filter(|status| status.class != 0) {
            Some(status) => status.write(out),
            None => out.push(0),
        }
        put_bytes(out, self.text.as_bytes());
    }

    pub(super) fn read(octets: &mut Cursor<'_>) -> Option<RemoteReply> {
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
pub(super) fn code(reply: &str) -> Option<(u16, &str)> {
    let (word, text) = reply.split_once(' ')?;
    let is_code =
        word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit()) && !word.starts_with('0');
    is_code.then(|| word.parse().ok())?.map(|code| (code, text))
}
