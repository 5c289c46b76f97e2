//! A message on its way out: dots stuffed (RFC 1939 §3), for TOP cut after some lines (§7).

use super::types::ContentNeed;

/// Writes one message as a multi-line response.
#[derive(Clone, Debug)]
pub struct Writing {
    /// The last two octets so far; at first as if a line had ended.
    tail: [u8; 2],
    top: Option<Top>,
}

#[derive(Clone, Debug)]
struct Top {
    in_header: bool,
    lines_left: u64,
    /// Nothing but CR in the current line so far.
    is_blank: bool,
}

impl Writing {
    /// `top`: how many lines of the body; `None`: all.
    pub fn new(top: Option<u64>) -> Writing {
        let top = top.map(|lines_left| Top { in_header: true, lines_left, is_blank: true });
        Writing { tail: *b"\r\n", top }
    }

    /// Whether more content is of use.
    pub fn need(&self) -> ContentNeed {
        match &self.top {
            Some(Top { in_header: false, lines_left: 0, .. }) => ContentNeed::Enough,
            _ => ContentNeed::More,
        }
    }

    /// Appends content with a dot in front of each line that begins with one.
    pub fn write(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let content = match self.top {
            Some(_) => &content[..self.wanted(content)],
            None => content,
        };
        let Some(&last) = content.last() else { return };
        let mut from = 0;
        if self.tail[1] == b'\n' && content[0] == b'.' {
            out.push(b'.');
        }
        // Dots in front of lines are rare: look for them, and copy everything between.
        for end in memchr::memmem::find_iter(content, b"\n.") {
            out.extend_from_slice(&content[from..=end]);
            out.push(b'.');
            from = end + 1;
        }
        out.extend_from_slice(&content[from..]);
        self.tail = match content {
            [.., before, last] => [*before, *last],
            _ => [self.tail[1], last],
        };
    }

    /// How much of the content TOP wants.
    fn wanted(&mut self, content: &[u8]) -> usize {
        let Some(top) = &mut self.top else { return content.len() };
        let mut at = 0;
        while top.in_header || top.lines_left > 0 {
            let rest = &content[at..];
            let Some(length) = memchr::memchr(b'\n', rest) else {
                top.is_blank &= is_blank(rest);
                return content.len();
            };
            match top.in_header {
                true => top.in_header = !(top.is_blank && is_blank(&rest[..length])),
                false => top.lines_left -= 1,
            }
            top.is_blank = true;
            at += length + 1;
        }
        at
    }

    /// Ends the response: the last line gets its line end if it had none.
    pub fn end(self, out: &mut Vec<u8>) {
        // A program looks for CRLF.CRLF: a lone LF in front of the dot would keep it waiting for ever.
        match self.tail {
            [b'\r', b'\n'] => {}
            [_, b'\r'] => out.push(b'\n'),
            _ => out.extend_from_slice(b"\r\n"),
        }
        out.extend_from_slice(b".\r\n");
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|&octet| octet == b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(content: &[u8], top: Option<u64>, cuts: &[usize]) -> Vec<u8> {
        let (mut writing, mut out, mut from) = (Writing::new(top), Vec::new(), 0);
        for &cut in cuts {
            let to = (from + cut).min(content.len());
            writing.write(&content[from..to], &mut out);
            from = to;
        }
        writing.write(&content[from..], &mut out);
        writing.end(&mut out);
        out
    }

    fn unstuffed(out: &[u8]) -> Vec<u8> {
        let body = out.strip_suffix(b".\r\n").unwrap();
        let mut content = Vec::new();
        for line in body.split_inclusive(|&o| o == b'\n') {
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
        content
    }

    proptest! {
        #[test]
        fn unstuffing_gives_the_message_back_however_it_was_cut(
            words in proptest::collection::vec(prop_oneof!["\\.", "\r\n", "a", "\\.\\.", "\r\n\\."], 0..40),
            cuts in proptest::collection::vec(0usize..4, 0..60),
        ) {
            let mut content = words.concat().into_bytes();
            let out = written(&content, None, &cuts);
            prop_assert_eq!(&out, &written(&content, None, &[]));
            if !content.is_empty() && !content.ends_with(b"\r\n") {
                content.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!(unstuffed(&out), content);
        }

        #[test]
        fn top_is_the_same_however_it_was_cut(lines in 0u64..5, cuts in proptest::collection::vec(0usize..4, 0..60)) {
            let content = b"A: 1\r\nB: 2\r\n\r\none\r\n.two\r\nthree";
            prop_assert_eq!(written(content, Some(lines), &cuts), written(content, Some(lines), &[]));
        }
    }

    #[test]
    fn top_counts_lines_of_the_body() {
        let content = b"A: 1\r\n\r\none\r\n.two\r\nthree";
        for (lines, wanted) in [
            (0, "A: 1\r\n\r\n.\r\n"),
            (1, "A: 1\r\n\r\none\r\n.\r\n"),
            (2, "A: 1\r\n\r\none\r\n..two\r\n.\r\n"),
            (9, "A: 1\r\n\r\none\r\n..two\r\nthree\r\n.\r\n"),
        ] {
            assert_eq!(String::from_utf8(written(content, Some(lines), &[])).unwrap(), wanted);
        }
        assert_eq!(written(b"no body at all", Some(0), &[]), b"no body at all\r\n.\r\n");
    }

    #[test]
    fn the_terminator_always_stands_after_crlf() {
        for (content, wanted) in [
            ("", ".\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\r", "a\r\n.\r\n"),
            ("a\n", "a\n\r\n.\r\n"),
            ("\n", "\n\r\n.\r\n"),
            (".", "..\r\n.\r\n"),
        ] {
            for cuts in [&[][..], &[1, 1, 1]] {
                assert_eq!(
                    String::from_utf8(written(content.as_bytes(), None, cuts)).unwrap(),
                    wanted,
                    "{content:?}"
                );
            }
        }
    }
}
