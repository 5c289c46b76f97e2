//! Dot-stuffing (RFC 5321 §4.5.2): the way out.

use memchr::{memchr, memchr_iter};

/// Remembers across pieces whether a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuffing {
    at_line_start: bool,
    ends_with_crlf: bool,
    last: u8,
}

impl Stuffing {
    pub fn new() -> Stuffing {
        Stuffing { at_line_start: true, ends_with_crlf: true, last: 0 }
    }

    /// Appends a piece of content with a dot before each dot that begins a line.
    /// A NUL becomes `?`: no message has one (RFC 5322 §2.1), and for a server that drops it `CRLF NUL . CRLF` would be
    /// an end.
    pub fn encode(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        self.encode_lines(content, out);
        if memchr(0, content).is_some() {
            out[begin..].iter_mut().filter(|octet| **octet == 0).for_each(|octet| *octet = b'?');
        }
    }

    fn encode_lines(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let mut from = 0;
        if self.at_line_start && content.first() == Some(&b'.') {
            out.push(b'.');
        }
        for end in memchr_iter(b'\n', content) {
            if content.get(end + 1) == Some(&b'.') {
                out.extend_from_slice(&content[from..=end]);
                out.push(b'.');
                from = end + 1;
            }
        }
        out.extend_from_slice(&content[from..]);
        if let Some(&last) = content.last() {
            let before = if content.len() > 1 { content[content.len() - 2] } else { self.last };
            self.ends_with_crlf = last == b'\n' && before == b'\r';
            self.at_line_start = last == b'\n';
            self.last = last;
        }
    }

    /// Appends the end: the last line is completed if it is not.
    pub fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.ends_with_crlf { b".\r\n" } else { b"\r\n.\r\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_never_leaves() {
        for piece in 1..8 {
            let (mut stuffing, mut out) = (Stuffing::new(), b"DATA\0".to_vec());
            b"a\r\n\0.\r\n.\0\r\n"
                .chunks(piece)
                .for_each(|content| stuffing.encode(content, &mut out));
            stuffing.finish(&mut out);
            assert_eq!(out.escape_ascii().to_string(), "DATA\\x00a\\r\\n?.\\r\\n..?\\r\\n.\\r\\n");
        }
    }

    #[test]
    fn dots_are_stuffed_however_content_is_cut() {
        let table: [(&[u8], &[u8]); 7] = [
            (b"", b".\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"a\r\n.b\r\n..c\r\n", b"a\r\n..b\r\n...c\r\n.\r\n"),
            (b"a.\r\n\r\n.\r\n", b"a.\r\n\r\n..\r\n.\r\n"),
            (b"no end", b"no end\r\n.\r\n"),
            (b"x\r\n.", b"x\r\n..\r\n.\r\n"),
        ];
        for (content, wire) in table {
            for piece in 1..=content.len().max(1) {
                let (mut stuffing, mut out) = (Stuffing::new(), Vec::new());
                content.chunks(piece).for_each(|chunk| stuffing.encode(chunk, &mut out));
                stuffing.finish(&mut out);
                assert_eq!(out, wire, "{:?} by {piece}", content.escape_ascii());
            }
        }
    }
}
