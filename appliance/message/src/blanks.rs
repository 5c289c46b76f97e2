//! Relaxed body canonicalization, its first half (RFC 6376 §3.4.4 a): blanks at the ends of lines go, runs of them
//! become one space.
//!
//! The crate that signs drops empty lines at the end of a body before it looks at blanks, so it keeps a last line that
//! holds nothing else.
//! The standard has it the other way round, and every verifier follows the standard.
//! [`Blanks`] is in front of the crate, which then meets no blank where the order matters.

/// Where the header section ends.
const BOUNDARY: &[u8] = b"\r\n\r\n";

/// The filter.
/// It keeps four octets at most, however long a run of blanks is.
#[derive(Debug, Default)]
pub struct Blanks {
    /// So many octets of [`BOUNDARY`] were met; all of them: this is the body.
    matched: usize,
    /// Blanks came that may be the end of a line.
    has_blank: bool,
    /// A CR came that may begin a line end.
    has_cr: bool,
    out: Vec<u8>,
}

impl Blanks {
    /// For a body without the header section in front of it.
    pub fn in_body() -> Blanks {
        Blanks { matched: BOUNDARY.len(), ..Blanks::default() }
    }

    /// What was held back to the end: a CR that began no line end, with blanks in front of it.
    pub fn rest(&mut self) -> &[u8] {
        let (has_blank, has_cr) =
            (std::mem::take(&mut self.has_blank), std::mem::take(&mut self.has_cr));
        match (has_cr, has_blank) {
            (true, true) => b" \r",
            (true, false) => b"\r",
            (false, _) => b"",
        }
    }

    /// Takes a piece of a message and gives what may be hashed of it.
    /// The header section passes as it is: its fields have a canonicalization of their own.
    pub fn push(&mut self, piece: &[u8]) -> &[u8] {
        self.out.clear();
        let body = self.header(piece);
        self.out.extend_from_slice(&piece[..piece.len() - body.len()]);
        self.body(body);
        &self.out
    }

    /// Reads on in the header section; returns what is behind it.
    fn header<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let mut rest = piece;
        while self.matched < BOUNDARY.len() {
            let Some((&octet, behind)) = rest.split_first() else { return rest };
            self.matched = match octet {
                octet if octet == BOUNDARY[self.matched] => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            rest = behind;
        }
        rest
    }

    fn body(&mut self, mut rest: &[u8]) {
        while let Some(&first) = rest.first() {
            match first {
                b' ' | b'\t' if !self.has_cr => {
                    self.has_blank = true;
                    rest = &rest[1..];
                }
                b'\r' if !self.has_cr => {
                    self.has_cr = true;
                    rest = &rest[1..];
                }
                b'\n' if self.has_cr => {
                    (self.has_blank, self.has_cr) = (false, false);
                    self.out.extend_from_slice(b"\r\n");
                    rest = &rest[1..];
                }
                _ => {
                    // What was held back ends no line.
                    self.out.extend_from_slice(if std::mem::take(&mut self.has_blank) {
                        b" "
                    } else {
                        b""
                    });
                    if std::mem::take(&mut self.has_cr) {
                        self.out.push(b'\r');
                        continue;
                    }
                    let end = memchr::memchr3(b' ', b'\t', b'\r', rest).unwrap_or(rest.len());
                    self.out.extend_from_slice(&rest[..end]);
                    rest = &rest[end..];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filtered(message: &[u8], cuts: &[usize]) -> Vec<u8> {
        let (mut blanks, mut out, mut rest) = (Blanks::default(), Vec::new(), message);
        for cut in cuts.iter().copied().cycle().take(message.len() + cuts.len()) {
            let (piece, behind) = rest.split_at(cut.min(rest.len()));
            out.extend_from_slice(blanks.push(piece));
            rest = behind;
        }
        assert!(rest.is_empty());
        out
    }

    #[test]
    fn blanks_before_line_ends_go_and_runs_are_one_space() {
        let table: [(&str, &str); 10] = [
            ("text\r\n \r\n", "text\r\n\r\n"),
            ("text\r\n\t \t\r\n\r\n", "text\r\n\r\n\r\n"),
            ("a \t b\t\r\n", "a b\r\n"),
            ("  a\r\n\tb\r\n", " a\r\n b\r\n"),
            (" ", ""),
            ("\r\n \r\n", "\r\n\r\n"),
            ("a \rb\r\n", "a \rb\r\n"),
            ("a\r\r\n", "a\r\r\n"),
            ("a \r\r\n", "a \r\r\n"),
            ("a\nb \nc\r\n", "a\nb \nc\r\n"),
        ];
        for (body, expected) in table {
            // The header section is left alone, also a fold of blanks only.
            let header = "Subject: a \r\n \r\n\r\n";
            for cut in 1..=header.len() + body.len() {
                let message = filtered(format!("{header}{body}").as_bytes(), &[cut]);
                assert_eq!(
                    String::from_utf8(message).unwrap(),
                    format!("{header}{expected}"),
                    "{body:?} in pieces of {cut}"
                );
            }
        }
    }

    #[test]
    fn a_run_of_blanks_takes_no_memory() {
        let mut blanks = Blanks::default();
        blanks.push(b"A: b\r\n\r\nx");
        for _ in 0..1000 {
            assert_eq!(blanks.push(&[b' '; 1000]), b"");
        }
        assert_eq!(blanks.push(b"y\r\n"), b" y\r\n");
        assert!(blanks.out.capacity() < 4096);
    }

    proptest! {
        #[test]
        fn no_cut_changes_anything(
            letters in proptest::collection::vec(prop::sample::select(vec!["a", "b", " ", "\t", "\r\n", "  \r\n"]), 0..60),
            cuts in proptest::collection::vec(1usize..9, 1..6),
        ) {
            let body: String = letters.concat();
            let out = filtered(format!("A: b\r\n\r\n{body}").as_bytes(), &cuts);
            // RFC 6376 §3.4.4 a, as it is written.
            let expected = body.split("\r\n").map(|line| {
                let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
                let indent = if line.starts_with([' ', '\t']) && !words.is_empty() { " " } else { "" };
                format!("{indent}{}", words.join(" "))
            });
            let expected = expected.collect::<Vec<_>>().join("\r\n");
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("A: b\r\n\r\n{expected}"));
        }
    }
}
