//! The message whose content is arriving: how much, how often it was relayed, and whether it is still welcome.

use std::time::Instant;

use memchr::{memchr, memchr2_iter};

use super::replies;
use crate::reply::Reply;
use crate::smtp::config::Limits;

/// State of a message between its first and its last octet.
#[derive(Debug)]
pub struct Content {
    pub octets: u64,
    /// Why the message will be refused at its end.
    /// The driver then gathers nothing (any more).
    pub refusal: Option<Reply>,
    /// When all of it must have arrived.
    pub until: Instant,
    hops: Hops,
    most_octets: u64,
    /// What the peer announced, with some room; never more than `most_octets`.
    announced: u64,
    most_hops: u32,
    /// The last octet that came in a chunk.
    last: u8,
}

/// Room beyond the size that was announced: RFC 1870 §3 wants CR LF counted, and some programs count one octet for it.
fn with_room(size: u64) -> u64 {
    size.saturating_add(size / 8).saturating_add(1024)
}

impl Content {
    /// `size` is what the peer announced with MAIL (RFC 1870 §6).
    pub fn new(limits: &Limits, size: Option<u64>, now: Instant) -> Content {
        Content {
            octets: 0,
            refusal: None,
            until: now + limits.content_duration,
            hops: Hops::default(),
            most_octets: limits.message_octets,
            announced: size
                .map_or(limits.message_octets, |size| with_room(size).min(limits.message_octets)),
            most_hops: limits.received_headers,
            last: b'\n',
        }
    }

    /// Content that is not wanted and only has to be read past.
    pub fn unwanted(limits: &Limits, now: Instant, refusal: Reply) -> Content {
        Content { refusal: Some(refusal), ..Content::new(limits, None, now) }
    }

    /// Why `more` octets are too many, if they are.
    pub fn overflow(&self, more: u64) -> Option<Reply> {
        match self.octets.saturating_add(more) > self.announced {
            true if self.announced < self.most_octets => Some(replies::bigger_than_announced()),
            true => Some(replies::too_big(self.most_octets)),
            false => None,
        }
    }

    /// Counts decoded content; says why it is not acceptable.
    /// Of several faults the one that comes first in the message counts, however it is cut into pieces.
    pub fn count(&mut self, octets: &[u8]) -> Result<(), Reply> {
        let room =
            usize::try_from(self.announced.saturating_sub(self.octets)).unwrap_or(usize::MAX);
        let within = &octets[..room.min(octets.len())];
        let nul = memchr(0, within);
        self.hops.look(&within[..nul.unwrap_or(within.len())]);
        if self.hops.count > self.most_hops {
            return Err(replies::loops());
        }
        if nul.is_some() {
            return Err(replies::holds_nul());
        }
        if let Some(reply) = self.overflow(octets.len() as u64) {
            return Err(reply);
        }
        self.octets += octets.len() as u64;
        Ok(())
    }

    /// Looks for a CR or LF without its partner in a chunk: where the octet is that shows it.
    /// An unpaired CR at the chunk's end is remembered.
    pub fn stray(&mut self, octets: &[u8]) -> Option<usize> {
        let (&first, &last) = octets.first().zip(octets.last())?;
        let before = std::mem::replace(&mut self.last, last);
        if before == b'\r' && first != b'\n' {
            return Some(0);
        }
        memchr2_iter(b'\r', b'\n', octets).find_map(|at| match octets[at] {
            b'\r' => octets.get(at + 1).filter(|next| **next != b'\n').map(|_| at + 1),
            _ => ((if at == 0 { before } else { octets[at - 1] }) != b'\r').then_some(at),
        })
    }

    /// Why a chunk with a CR or LF without its partner is refused.
    /// Of several faults the one that comes first counts, however the content is cut.
    pub fn stray_fault(&mut self, octets: &[u8]) -> Option<Reply> {
        let place = self.stray(octets)?;
        Some(self.count(&octets[..place]).err().unwrap_or_else(replies::stray_line_end))
    }

    /// How content that came in chunks ends.
    pub fn ending(&self) -> Ending {
        match self.last {
            b'\n' => Ending::Line,
            b'\r' => Ending::StrayCr,
            _ => Ending::NoLine,
        }
    }
}

/// How content ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Line,
    /// Without a CRLF; RFC 3030 doesn't ask for one.
    NoLine,
    StrayCr,
}

/// Counts `Received:` fields in the header section, however it is cut into pieces.
#[derive(Debug, Default)]
struct Hops {
    at: At,
    count: u32,
}

#[derive(Debug)]
enum At {
    /// So many octets of the line match [`FIELD`].
    Name(usize),
    /// In a line that needs no more looking at.
    Rest,
    Body,
}

impl Default for At {
    fn default() -> Self {
        At::Name(0)
    }
}

const FIELD: &[u8] = b"received";

impl Hops {
    fn look(&mut self, mut octets: &[u8]) {
        while let Some(&octet) = octets.first() {
            match self.at {
                At::Body => return,
                At::Rest => {
                    let Some(end) = memchr(b'\n', octets) else { return };
                    self.at = At::Name(0);
                    octets = &octets[end + 1..];
                    continue;
                }
                At::Name(0) if octet == b'\r' => self.at = At::Body,
                At::Name(matched) if FIELD.get(matched) == Some(&octet.to_ascii_lowercase()) => {
                    self.at = At::Name(matched + 1);
                }
                // RFC 5322 §4.5.8: spaces before the colon are obsolete, not unknown.
                At::Name(matched) if matched == FIELD.len() && matches!(octet, b' ' | b'\t') => {}
                At::Name(matched) => {
                    self.count += u32::from(matched == FIELD.len() && octet == b':');
                    self.at = if octet == b'\n' { At::Name(0) } else { At::Rest };
                }
            }
            octets = &octets[1..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_fields_are_counted_in_the_header_section_only() {
        let message = b"Received: a\r\nRECEIVED : b\r\n received: folded\r\nReceived-SPF: no\r\nReceive\r\nReceived\r\n\
            X: Received:\r\nreceived:\r\n\r\nReceived: body\r\n";
        for piece in 1..message.len() {
            let mut hops = Hops::default();
            message.chunks(piece).for_each(|octets| hops.look(octets));
            assert_eq!(hops.count, 3, "in pieces of {piece}");
        }
    }

    #[test]
    fn content_far_beyond_its_announced_size_is_refused() {
        let limits = Limits { message_octets: 1_000_000, ..Limits::default() };
        // A program that counts a line end as one octet announces too little, but not by much.
        for (size, octets, wanted) in [
            (Some(1), 380_000, Some("bigger than the SIZE")),
            (Some(0), 1025, Some("bigger than the SIZE")),
            (Some(0), 1024, None),
            (Some(100_000), 104_000, None),
            (Some(1_000_000), 1_000_001, Some("too big")),
            (None, 1_000_000, None),
            (None, 1_000_001, Some("too big")),
        ] {
            let mut content = Content::new(&limits, size, Instant::now());
            let refused =
                vec![b'x'; octets].chunks(997).find_map(|piece| content.count(piece).err());
            let text = refused.map(|reply| reply.lines.join(" "));
            assert_eq!(text.is_some(), wanted.is_some(), "{size:?} {octets}");
            assert!(
                text.unwrap_or_default().contains(wanted.unwrap_or_default()),
                "{size:?} {octets}"
            );
        }
    }

    #[test]
    fn the_first_fault_counts_however_a_message_is_cut() {
        let limits = Limits { message_octets: 100, received_headers: 1, ..Limits::default() };
        let (long, hops) = ("x".repeat(200), "Received: a\r\n".repeat(2));
        let table = [
            (format!("{long}\0"), None, "too big"),
            (format!("\0{long}"), None, "NUL"),
            (format!("{hops}\0{long}"), None, "circles"),
            (format!("Received: a\r\n\0{hops}{long}"), None, "NUL"),
            (format!("{hops}{long}"), Some(10), "circles"),
        ];
        for (text, size, wanted) in table {
            for piece in 1..=text.len() {
                let mut content = Content::new(&limits, size, Instant::now());
                let refused =
                    text.as_bytes().chunks(piece).find_map(|octets| content.count(octets).err());
                assert!(
                    refused.unwrap().lines.join(" ").contains(wanted),
                    "{wanted}: pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn the_first_fault_of_chunks_counts_however_they_are_cut() {
        let limits = Limits { message_octets: 10, ..Limits::default() };
        let table = [
            ("a\0\nb", "NUL"),
            ("a\n\0b", "alone"),
            ("a\r\0", "alone"),
            ("ab\rcd\0", "alone"),
            ("a\r\nb\0\r\r", "NUL"),
            ("twelve octet\n", "too big"),
            ("ten octets\nand", "alone"),
        ];
        for (text, wanted) in table {
            for piece in 1..=text.len() {
                let mut content = Content::new(&limits, None, Instant::now());
                let mut pieces = text.as_bytes().chunks(piece);
                let refused = pieces.find_map(|octets| {
                    content.stray_fault(octets).or_else(|| content.count(octets).err())
                });
                let said = refused.unwrap().lines.join(" ");
                assert!(said.contains(wanted), "{text:?} in pieces of {piece}: {said}");
            }
        }
    }

    #[test]
    fn nul_is_found_wherever_it_stands() {
        for text in ["\0", "Subject: a\0b\r\n\r\n", "\r\n\0.\r\n", "a: b\r\n\r\nbody\0"] {
            for piece in 1..=text.len() {
                let mut content = Content::new(&Limits::default(), None, Instant::now());
                assert!(
                    text.as_bytes().chunks(piece).any(|octets| content.count(octets).is_err()),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn strays_are_found_across_pieces() {
        let table: [(&[u8], bool); 8] = [
            (b"a\r\nb\r\n", false),
            (b"a\r\n\r\n", false),
            (b"ab", false),
            (b"a\nb", true),
            (b"a\rb", true),
            (b"a\r\r\n", true),
            (b"\n", true),
            (b"a\r\n\nb", true),
        ];
        for (text, expected) in table {
            for piece in 1..=text.len() {
                let mut content = Content::new(&Limits::default(), None, Instant::now());
                let found = text.chunks(piece).any(|octets| content.stray(octets).is_some());
                assert_eq!(found, expected, "{:?} in pieces of {piece}", text.escape_ascii());
            }
        }
    }
}
