//! The transparency procedure of DATA (RFC 5321 §4.5.2).
//!
//! Only CRLF.CRLF ends content.
//! A CR or LF alone is reported and ends nothing: where one server takes LF.LF or CR.CR for the end and the next does
//! not, a message can be smuggled past the first one's checks.

use memchr::memchr2;

/// The decoder's memory between two buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dots {
    /// A line begins; DATA itself counts as the end of the line before.
    LineStart,
    Line,
}

/// What is at the front of the octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// So many octets of content.
    Content(usize),
    /// One dot that was put in front of a line.
    Stuffing,
    /// One CR or LF without its partner.
    Stray,
    /// Three octets that end the content.
    End,
    /// Nothing that can be decided without more octets.
    Starved,
}

impl Dots {
    pub fn next(&mut self, octets: &[u8]) -> Found {
        if *self == Dots::LineStart && octets.first() == Some(&b'.') {
            return self.dot(octets);
        }
        let mut from = 0;
        while let Some(at) = memchr2(b'\r', b'\n', &octets[from..]).map(|at| from + at) {
            match (octets[at], octets.get(at + 1)) {
                (b'\r', Some(b'\n')) => from = at + 2,
                (b'\r', None) if at == 0 => return Found::Starved,
                _ if at == 0 => {
                    *self = Dots::Line;
                    return Found::Stray;
                }
                // Content first; the next call looks at this octet again.
                _ => {
                    *self = Dots::Line;
                    return Found::Content(at);
                }
            }
            if matches!(octets.get(from), None | Some(b'.')) {
                *self = Dots::LineStart;
                return Found::Content(from);
            }
        }
        if octets.is_empty() {
            return Found::Starved;
        }
        *self = Dots::Line;
        Found::Content(octets.len())
    }

    fn dot(&mut self, octets: &[u8]) -> Found {
        match (octets.get(1), octets.get(2)) {
            (None, _) | (Some(b'\r'), None) => Found::Starved,
            (Some(b'\r'), Some(b'\n')) => Found::End,
            _ => {
                *self = Dots::Line;
                Found::Stuffing
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of `piece` octets: content, number of strays, octets after the end.
    fn decode(wire: &[u8], piece: usize) -> Option<(Vec<u8>, usize, Vec<u8>)> {
        let (mut dots, mut content, mut strays) = (Dots::LineStart, Vec::new(), 0);
        let (mut held, mut rest) = (Vec::new(), wire);
        loop {
            let count = match dots.next(&held) {
                Found::Content(count) => {
                    content.extend_from_slice(&held[..count]);
                    count
                }
                Found::Stuffing => 1,
                Found::Stray => {
                    strays += 1;
                    1
                }
                Found::End => {
                    held.drain(..3);
                    held.extend_from_slice(rest);
                    return Some((content, strays, held));
                }
                Found::Starved if rest.is_empty() => return None,
                Found::Starved => {
                    let (now, later) = rest.split_at(piece.min(rest.len()));
                    held.extend_from_slice(now);
                    rest = later;
                    0
                }
            };
            held.drain(..count);
        }
    }

    #[test]
    fn content_ends_only_at_a_true_end() {
        // Wire, content, strays; nothing may remain.
        let table: [(&[u8], &[u8], usize); 16] = [
            (b".\r\n", b"", 0),
            (b"a\r\n.\r\n", b"a\r\n", 0),
            (b"..\r\n.\r\n", b".\r\n", 0),
            (b".a\r\n..b\r\n.\r\n", b"a\r\n.b\r\n", 0),
            (b"\r\n\r\n.\r\n", b"\r\n\r\n", 0),
            (b"a.\r\n.b.\r\n.\r\n", b"a.\r\nb.\r\n", 0),
            (b"a\n.\n\r\n.\r\n", b"a.\r\n", 2),
            (b"a\r.\r\r\n.\r\n", b"a.\r\n", 2),
            (b"a\n.\r\n.\r\n", b"a.\r\n", 1),
            (b"a\r\n.\n.\r\n.\r\n", b"a\r\n.\r\n", 1),
            (b"a\r\n.\r.\r\n.\r\n", b"a\r\n.\r\n", 1),
            (b"a\r\n.\r\r\n.\r\n", b"a\r\n\r\n", 1),
            (b"a\r.\r\n.\r\n", b"a.\r\n", 1),
            (b"a\r\n\n.\r\n.\r\n", b"a\r\n.\r\n", 1),
            (b"a\r\n\r.\r\n.\r\n", b"a\r\n.\r\n", 1),
            (b"\r\r\n.\r\n", b"\r\n", 1),
        ];
        for (wire, content, strays) in table {
            for piece in 1..=wire.len() {
                let decoded = decode(wire, piece);
                assert_eq!(
                    decoded,
                    Some((content.to_vec(), strays, Vec::new())),
                    "{:?} by {piece}",
                    wire.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn octets_after_the_end_stay() {
        assert_eq!(decode(b"a\r\n.\r\n.\r\n", 3), Some((b"a\r\n".to_vec(), 0, b".\r\n".to_vec())));
        for wire in [
            &b""[..],
            b".",
            b".\r",
            b"a\r\n.",
            b"a\r\n.\r",
            b"a",
            b"a\r",
            b".\n",
            b"\n.\n",
            b"\r.\r",
        ] {
            assert_eq!(decode(wire, 2), None, "{:?}", wire.escape_ascii());
        }
    }
}
