//! Lines longer than mail may have (RFC 5322 §2.1.1): found as content comes in, and the ways to make them shorter.
//!
//! Servers cut such lines where they like, or refuse them; a cut line breaks a signature, and sometimes the text.
//! So what goes out is encoded, folded or wrapped here.

/// Octets of a line, CRLF not counted.
pub(crate) const LINE_OCTETS: usize = 998;
/// Characters of an encoded line (RFC 2045 §6.7, rule 5; §6.8).
const ENCODED_LINE: usize = 76;

/// Watches content for lines that are too long, however it is cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lengths {
    /// Octets of the line so far, a CR counted.
    current: usize,
    has_long: bool,
}

impl Lengths {
    /// Takes a piece of content, of any size.
    pub fn look(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while !rest.is_empty() && !self.has_long {
            // As much as the line may still have, one octet more for the CR and one for its LF: only the last line that
            // ends in there matters, as all that end before it are short.
            // Most lines are never looked at by themselves.
            let window = &rest[..rest.len().min(LINE_OCTETS + 2 - self.current)];
            let passed = match memchr::memrchr(b'\n', window) {
                Some(end) => {
                    self.current = 0;
                    end + 1
                }
                None => {
                    self.current += window.len();
                    self.has_long = self.current > LINE_OCTETS + 1;
                    window.len()
                }
            };
            rest = &rest[passed..];
        }
    }

    /// Whether a line of more than 998 octets came so far.
    pub fn has_long(&self) -> bool {
        self.has_long
    }
}

/// Folds a header field's line at its blanks (RFC 5322 §2.2.3); what has none stays as it is.
pub(crate) fn fold(line: &[u8], out: &mut Vec<u8>) {
    let text = line.strip_suffix(b"\r\n").unwrap_or(line);
    let (mut from, mut is_first) = (0, true);
    while text.len() - from > LINE_OCTETS {
        let window = &text[from..from + LINE_OCTETS];
        // Not in front of the field's first word: a line of blanks only would be left.
        let floor = if is_first {
            window.iter().position(|&b| b == b':').map_or(1, |at| at + 2)
        } else {
            1
        };
        let Some(at) =
            window.iter().rposition(|b| matches!(b, b' ' | b'\t')).filter(|&at| at >= floor)
        else {
            break;
        };
        if window[..at].iter().all(|b| matches!(b, b' ' | b'\t')) {
            break;
        }
        out.extend_from_slice(&window[..at]);
        out.extend_from_slice(b"\r\n");
        (from, is_first) = (from + at, false);
    }
    out.extend_from_slice(&text[from..]);
    out.extend_from_slice(&line[text.len()..]);
}

/// Cuts a line that nothing can encode; a blank goes in front of what follows, as other servers do it.
pub(crate) fn wrap(text: &[u8], out: &mut Vec<u8>) {
    for (at, piece) in text.chunks(LINE_OCTETS - 1).enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\r\n ");
        }
        out.extend_from_slice(piece);
    }
}

/// Breaks a line of base64; decoders pass line ends over (RFC 2045 §6.8).
/// The last piece has no line end.
pub(crate) fn rewrap_base64(text: &[u8], out: &mut Vec<u8>) {
    for (at, piece) in text.chunks(ENCODED_LINE).enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(piece);
    }
}

/// Breaks a line of quoted-printable by soft line breaks, never within an escape (RFC 2045 §6.7, rule 5).
pub(crate) fn rewrap_quoted_printable(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while rest.len() > ENCODED_LINE {
        let mut at = ENCODED_LINE - 1;
        if let Some(escape) = rest[at - 2..at].iter().rposition(|&b| b == b'=') {
            at = at - 2 + escape;
        }
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(b"=\r\n");
        rest = &rest[at..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_seen_however_content_is_cut() {
        for (length, is_long) in [(0, false), (998, false), (999, true), (5000, true)] {
            let content = format!("a: b\r\n\r\n{}\r\nshort\r\n", "x".repeat(length));
            for piece in [1, 7, 100, 997, 998, 999, 1000, 10_000] {
                let mut lengths = Lengths::default();
                content.as_bytes().chunks(piece).for_each(|octets| lengths.look(octets));
                assert_eq!(lengths.has_long(), is_long, "{length} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn lines_are_broken_where_nothing_is_lost() {
        let made = |make: fn(&[u8], &mut Vec<u8>), text: &str| {
            let mut out = Vec::new();
            make(text.as_bytes(), &mut out);
            assert!(
                out.split(|&b| b == b'\n').all(|line| line.len() <= LINE_OCTETS + 1),
                "{}",
                out.escape_ascii()
            );
            String::from_utf8(out).unwrap()
        };
        let references = format!("References: {}\r\n", "<0123456789@example.org> ".repeat(100));
        let folded = made(fold, &references);
        assert_eq!(folded.replace("\r\n ", " "), references.replace("\r\n ", " "));
        assert_eq!(made(fold, "Subject: short\r\n"), "Subject: short\r\n");
        let base64 = "QUJD".repeat(1000);
        assert_eq!(made(rewrap_base64, &base64).replace("\r\n", ""), base64);
        for shift in 0..4 {
            let quoted = format!("{}{}", "x".repeat(shift), "=C3=BC".repeat(1000));
            let made = made(rewrap_quoted_printable, &quoted);
            assert!(
                made.split("\r\n")
                    .all(|line| line.len() <= ENCODED_LINE
                        && (line.len() < 76 || line.ends_with('=')))
            );
            assert_eq!(made.replace("=\r\n", ""), quoted);
        }
        assert_eq!(made(wrap, &"y".repeat(2000)).replace("\r\n ", ""), "y".repeat(2000));
        // A word without blanks can't be folded.
        let mut out = Vec::new();
        let word = format!("X: {}\r\n", "z".repeat(2000));
        fold(word.as_bytes(), &mut out);
        assert_eq!(out, word.as_bytes());
    }
}
