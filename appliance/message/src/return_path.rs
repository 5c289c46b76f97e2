//! Final delivery puts a Return-Path of its own in front and takes off what came along (RFC 5321 §4.4): two of them
//! would leave readers with a choice, and the one that came is whatever somebody wrote.

/// The field's name.
const FIELD: &[u8] = b"return-path";
/// Octets of a line's beginning that are held until it is known what field it is; blanks before the colon (RFC 5322
/// §4.5) are counted.
const HELD: usize = 40;

/// A filter for content on its way into a mailbox, however it is cut.
#[derive(Debug, Default)]
pub struct ReturnPaths {
    state: State,
    /// The beginning of a line that may be the field.
    held: Vec<u8>,
    out: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At the beginning of a line, or in the name of its field.
    #[default]
    Name,
    /// In a line that stays.
    Kept,
    /// In a line of the field.
    Dropped,
    /// Behind a line of the field: a blank folds it on.
    AfterDropped,
    Body,
}

impl ReturnPaths {
    /// Takes a piece of content; gives what stays of it, and of what was held before.
    pub fn push<'a>(&'a mut self, piece: &'a [u8]) -> &'a [u8] {
        if self.state == State::Body && self.held.is_empty() {
            return piece;
        }
        self.out.clear();
        let mut rest = piece;
        while let Some(&octet) = rest.first() {
            match self.state {
                State::Body => {
                    self.out.extend_from_slice(rest);
                    break;
                }
                State::Kept | State::Dropped => {
                    let end = memchr::memchr(b'\n', rest).map(|at| at + 1);
                    let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
                    if self.state == State::Kept {
                        self.out.extend_from_slice(line);
                    }
                    if end.is_some() {
                        self.state = if self.state == State::Kept {
                            State::Name
                        } else {
                            State::AfterDropped
                        };
                    }
                    rest = behind;
                }
                State::AfterDropped => {
                    self.state =
                        if matches!(octet, b' ' | b'\t') { State::Dropped } else { State::Name }
                }
                State::Name => {
                    self.name(octet);
                    rest = &rest[1..];
                }
            }
        }
        &self.out
    }

    /// One more octet of a line's beginning.
    fn name(&mut self, octet: u8) {
        self.held.push(octet);
        let (name, blanks) = self.held.split_at(self.held.len().min(FIELD.len()));
        let is_start = FIELD[..name.len()].eq_ignore_ascii_case(name);
        let is_blank = |octets: &[u8]| octets.iter().all(|b| matches!(b, b' ' | b'\t'));
        self.state = match blanks.split_last() {
            None if is_start => return,
            _ if is_start && is_blank(blanks) && self.held.len() < HELD => return,
            Some((b':', blanks)) if is_start && is_blank(blanks) => {
                self.held.clear();
                self.state = State::Dropped;
                return;
            }
            _ if self.held == b"\r" => return,
            _ if self.held == b"\r\n" => State::Body,
            _ if octet == b'\n' => State::Name,
            _ => State::Kept,
        };
        self.out.append(&mut self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(content: &[u8], piece: usize) -> Vec<u8> {
        let (mut filter, mut out) = (ReturnPaths::default(), Vec::new());
        content.chunks(piece).for_each(|piece| out.extend_from_slice(filter.push(piece)));
        out
    }

    #[test]
    fn what_came_along_goes_and_everything_else_stays() {
        let table: [(&str, &str); 9] = [
            ("Return-Path: <evil@x>\r\nFrom: a\r\n\r\nbody\r\n", "From: a\r\n\r\nbody\r\n"),
            (
                "From: a\r\nRETURN-PATH : <evil@x>\r\n folded\r\n\tonce more\r\nTo: b\r\n\r\n",
                "From: a\r\nTo: b\r\n\r\n",
            ),
            (
                "return-path:\r\nReturn-Path: <b>\r\n\r\nReturn-Path: <in the body>\r\n",
                "\r\nReturn-Path: <in the body>\r\n",
            ),
            (
                "Return-Path-X: a\r\nReturn-Pat: b\r\nX-Return-Path: c\r\n\r\n",
                "Return-Path-X: a\r\nReturn-Pat: b\r\nX-Return-Path: c\r\n\r\n",
            ),
            ("Return\r\nReturn-Path\r\n\r\nx\r\n", "Return\r\nReturn-Path\r\n\r\nx\r\n"),
            (
                "Subject: a\r\n Return-Path: folded\r\n\r\n",
                "Subject: a\r\n Return-Path: folded\r\n\r\n",
            ),
            ("\r\nReturn-Path: <body>\r\n", "\r\nReturn-Path: <body>\r\n"),
            ("Return-Path: <x>\r\n", ""),
            ("", ""),
        ];
        for (content, expected) in table {
            for piece in 1..=content.len().max(1) {
                assert_eq!(
                    String::from_utf8(filtered(content.as_bytes(), piece)).unwrap(),
                    expected,
                    "{content:?} in pieces of {piece}"
                );
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn without_the_field_nothing_changes(lines in proptest::collection::vec("[Rr]e(turn)?(-path)?[ \t]{0,3}[:x]?[a-z]{0,5}", 0..8), piece in 1usize..9) {
            let content = lines.iter().map(|line| format!("{line}\r\n")).collect::<String>() + "\r\nbody\r\n";
            let is_field = |line: &str| line.to_ascii_lowercase().strip_prefix("return-path").is_some_and(|rest| rest.trim_start().starts_with(':'));
            let expected = lines.iter().filter(|line| !is_field(line)).map(|line| format!("{line}\r\n")).collect::<String>() + "\r\nbody\r\n";
            proptest::prop_assert_eq!(String::from_utf8(filtered(content.as_bytes(), piece)).unwrap(), expected);
        }
    }
}
