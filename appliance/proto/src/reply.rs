//! SMTP replies (RFC 5321 §4.2) with enhanced status codes (RFC 3463).
//!
//! A reply is text for people.
//! It is written so that no text, wherever it came from, can end a line early.

use std::fmt;

/// Longest reply line in octets, CRLF included (RFC 5321 §4.5.3.1.5).
pub const LINE_OCTETS: usize = 512;

/// An enhanced status code: class, subject, detail (RFC 3463 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A reply: a code and one or more lines of text (RFC 5321 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// Stands in front of each line's text; none where RFC 2034 §4 forbids it (greeting, EHLO, 3yz).
    pub enhanced: Option<Enhanced>,
    /// Text without line ends; none is the same as one empty line.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply of one line with an enhanced status code.
    pub fn new(code: u16, enhanced: Enhanced, text: impl Into<String>) -> Reply {
        Reply { code, enhanced: Some(enhanced), lines: vec![text.into()] }
    }

    /// A reply of one line without an enhanced status code.
    pub fn plain(code: u16, text: impl Into<String>) -> Reply {
        Reply { code, enhanced: None, lines: vec![text.into()] }
    }

    /// Success, or "go on" (2yz and 3yz, RFC 5321 §4.2.1).
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// The peer may try again later (4yz).
    pub fn is_transient(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// The peer should not try the same again (5yz).
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// The reply with no more text than a reader needs: lines while they fit into so many octets, the last one cut
    /// between two characters.
    /// Codes stay.
    pub fn clipped(mut self, octets: usize) -> Reply {
        let mut room = octets;
        let mut lines = 0;
        for line in &mut self.lines {
            if line.len() > room {
                *line = clip(line, room).to_string();
            }
            lines += 1;
            room = room.saturating_sub(line.len() + 1);
            if room == 0 {
                break;
            }
        }
        self.lines.truncate(lines);
        self
    }

    /// The reply for people to read: the codes once, and the lines with `between` between them.
    pub fn on_one_line(&self, between: &str) -> String {
        format!("{} {}{}", self.code, self.status(), self.lines.join(between))
    }

    /// The enhanced status code and a space, if there is one.
    fn status(&self) -> String {
        self.enhanced.map_or(String::new(), |enhanced| format!("{enhanced} "))
    }

    /// Appends the reply as it goes over the wire.
    /// Control characters become spaces; a line that would be longer than [`LINE_OCTETS`] is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let code = self.code.clamp(200, 599);
        let prefix = self.status();
        let last = self.lines.len().saturating_sub(1);
        let lines = self.lines.iter().map(String::as_str);
        for (index, text) in lines.chain(self.lines.is_empty().then_some("")).enumerate() {
            let separator = if index == last { ' ' } else { '-' };
            let mut line = format!("{code}{separator}{prefix}");
            append_clean(&mut line, text);
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// The beginning of a text, in at most so many octets, cut between two characters.
pub fn clip(text: &str, octets: usize) -> &str {
    &text[..text.floor_char_boundary(octets)]
}

/// Appends `text` without control characters while it fits into a line.
fn append_clean(line: &mut String, text: &str) {
    for c in text.chars() {
        if line.len() + c.len_utf8() + 2 > LINE_OCTETS {
            return;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_carry_code_and_enhanced_code() {
        let mut reply = Reply::new(250, Enhanced(2, 1, 0), "one");
        assert_eq!(encoded(&reply), "250 2.1.0 one\r\n");
        reply.lines.push("two".into());
        assert_eq!(encoded(&reply), "250-2.1.0 one\r\n250 2.1.0 two\r\n");
        assert_eq!(reply.on_one_line(" / "), "250 2.1.0 one / two");
        assert_eq!(encoded(&Reply { code: 250, enhanced: None, lines: vec![] }), "250 \r\n");
        assert_eq!(encoded(&Reply::plain(334, "")), "334 \r\n");
    }

    #[test]
    fn text_never_ends_a_line_early() {
        assert_eq!(
            encoded(&Reply::new(550, Enhanced(5, 1, 1), "a\r\n250 b\0\x7f\u{85}c")),
            "550 5.1.1 a  250 b   c\r\n"
        );
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let line = encoded(&Reply::plain(250, "é".repeat(600)));
        assert!(
            line.len() <= LINE_OCTETS && line.len() >= LINE_OCTETS - 1 && line.ends_with("é\r\n")
        );
    }

    #[test]
    fn what_is_kept_is_cut_between_characters() {
        assert_eq!(
            (clip("äöü", 3), clip("äöü", 4), clip("äöü", 99), clip("äöü", 0)),
            ("ä", "äö", "äöü", "")
        );
        let reply = Reply {
            code: 550,
            enhanced: Some(Enhanced(5, 7, 1)),
            lines: vec!["é".repeat(300), "ü".repeat(400), "third".into()],
        };
        let kept = reply.clone().clipped(1024);
        assert_eq!((kept.code, kept.enhanced, kept.lines.len()), (550, Some(Enhanced(5, 7, 1)), 2));
        assert_eq!((kept.lines[0].len(), kept.lines[1].len()), (600, 422));
        assert_eq!(reply.clone().clipped(10_000), reply);
    }

    #[test]
    fn classes() {
        for (code, classes) in [
            (250, (true, false, false)),
            (354, (true, false, false)),
            (421, (false, true, false)),
            (554, (false, false, true)),
        ] {
            let reply = Reply::plain(code, "");
            assert_eq!((reply.is_positive(), reply.is_transient(), reply.is_permanent()), classes);
        }
    }
}
