//! Fields that only this box may write into what it delivers: those that came along are whatever somebody wrote, and
//! are taken off.
//!
//! Two of a kind would leave readers and programs with a choice: of the way back (RFC 5321 §4.4), of what was proven
//! (RFC 8601 §5), of the reasons for a folder.

/// The verdict of the box with its reasons.
pub const VERDICT: &str = "Pillarbox-Verdict";

/// Names in small letters, and what of them goes.
const FIELDS: [(&[u8], Goes); 3] = [
    (b"return-path", Goes::Always),
    (b"pillarbox-verdict", Goes::Always),
    (b"authentication-results", Goes::InOurName),
];
/// Octets of a line's beginning that are held until it is known what field it is; blanks before the colon (RFC 5322
/// §4.5) are counted.
const HELD: usize = 64;
/// Octets of a field that are held until it is known in whose name it is; honest ones say so at once.
const CLAIM: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goes {
    Always,
    /// When it claims to be of this box.
    InOurName,
}

/// A filter for content on its way into a mailbox, however it is cut.
#[derive(Debug, Default)]
pub struct OwnFields {
    hostname: String,
    state: State,
    /// The beginning of a line, or of a field, that may have to go.
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
    /// In a line of a field that goes.
    Dropped,
    /// Behind a line of a field that goes: a blank folds it on.
    AfterDropped,
    /// In a field that may be in our name.
    Claim,
    /// Behind a line of such a field.
    AfterClaim,
    Body,
}

impl OwnFields {
    /// `hostname`: of this box.
    pub fn new(hostname: &str) -> OwnFields {
        OwnFields { hostname: hostname.into(), ..OwnFields::default() }
    }

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
                State::Kept | State::Dropped => rest = self.line(rest),
                State::AfterDropped => {
                    self.state = if is_blank(octet) { State::Dropped } else { State::Name }
                }
                State::AfterClaim if is_blank(octet) => self.state = State::Claim,
                State::AfterClaim => {
                    self.judge(true);
                    self.state = State::Name;
                }
                State::Claim => {
                    self.claim(octet);
                    rest = &rest[1..];
                }
                State::Name => {
                    self.name(octet);
                    rest = &rest[1..];
                }
            }
        }
        &self.out
    }

    /// The end of the content: what stays of what was held.
    pub fn finish(&mut self) -> &[u8] {
        self.out.clear();
        match self.state {
            State::Claim | State::AfterClaim => self.judge(true),
            _ => self.out.append(&mut self.held),
        }
        &self.out
    }

    /// The rest of a line; gives what is behind it.
    fn line<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let end = memchr::memchr(b'\n', rest).map(|at| at + 1);
        let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let is_kept = self.state == State::Kept;
        if is_kept {
            self.out.extend_from_slice(line);
        }
        if end.is_some() {
            self.state = if is_kept { State::Name } else { State::AfterDropped };
        }
        behind
    }

    /// One more octet of a line's beginning.
    fn name(&mut self, octet: u8) {
        self.held.push(octet);
        let is_end = octet == b':';
        let held = if is_end { &self.held[..self.held.len() - 1] } else { &self.held[..] };
        let blanks = held.iter().rev().take_while(|&&b| is_blank(b)).count();
        let name = &held[..held.len() - blanks];
        let is_whole = is_end || blanks > 0;
        let may_be = |field: &[u8]| match is_whole {
            true => field.eq_ignore_ascii_case(name),
            false => field.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)),
        };
        let found = FIELDS.iter().find(|(field, _)| may_be(field));
        self.state = match found {
            Some((_, Goes::Always)) if is_end => {
                self.held.clear();
                State::Dropped
            }
            Some((_, Goes::InOurName)) if is_end => State::Claim,
            Some(_) if self.held.len() < HELD => return,
            _ if self.held == b"\r" => return,
            _ => {
                let state = match &self.held[..] {
                    b"\r\n" => State::Body,
                    [.., b'\n'] => State::Name,
                    _ => State::Kept,
                };
                self.out.append(&mut self.held);
                state
            }
        };
    }

    /// One more octet of a field that may be in our name.
    fn claim(&mut self, octet: u8) {
        self.held.push(octet);
        match octet {
            b'\n' => self.state = State::AfterClaim,
            _ if octet == b';' || self.held.len() >= CLAIM => self.judge(false),
            _ => {}
        }
    }

    /// Lets what is held of the field stay or go, as soon as it says in whose name it is.
    fn judge(&mut self, is_all: bool) {
        let colon = self.held.iter().position(|&b| b == b':').map_or(0, |at| at + 1);
        let is_known = match server(&self.held[colon..]) {
            Some(server) => {
                Some(server.trim_ascii().eq_ignore_ascii_case(self.hostname.as_bytes()))
            }
            // Who hides it longer than anybody honest has a reason.
            None if is_all || self.held.len() >= CLAIM => Some(true),
            None => None,
        };
        match is_known {
            Some(true) => {
                self.held.clear();
                self.state = State::Dropped;
            }
            Some(false) => {
                self.out.append(&mut self.held);
                self.state = State::Kept;
            }
            None => {}
        }
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// The first word of a field's value, without comments and quotes (RFC 8601 §2.2: `authserv-id`).
/// `None`: a comment or a quoted word does not end.
fn server(value: &[u8]) -> Option<Vec<u8>> {
    let (mut word, mut depth, mut is_quoted) = (Vec::new(), 0u32, false);
    let mut octets = value.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' if depth > 0 => drop(octets.next()?),
            b'\\' if is_quoted => word.push(octets.next()?),
            b'(' if !is_quoted && depth == 0 && !word.is_empty() => return Some(word),
            b'(' if !is_quoted => depth += 1,
            b')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            b'"' if is_quoted => return Some(word),
            b'"' => is_quoted = true,
            b' ' | b'\t' | b'\r' | b'\n' if !is_quoted && word.is_empty() => {}
            b' ' | b'\t' | b'\r' | b'\n' | b';' if !is_quoted => return Some(word),
            b'\r' | b'\n' => {}
            _ => word.push(octet),
        }
    }
    (depth == 0 && !is_quoted).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(content: &[u8], piece: usize) -> Vec<u8> {
        let (mut filter, mut out) = (OwnFields::new("mail.box.test"), Vec::new());
        content.chunks(piece).for_each(|piece| out.extend_from_slice(filter.push(piece)));
        out.extend_from_slice(filter.finish());
        out
    }

    fn check(content: &str, expected: &str) {
        for piece in 1..=content.len().max(1) {
            assert_eq!(
                String::from_utf8(filtered(content.as_bytes(), piece)).unwrap(),
                expected,
                "{content:?} in pieces of {piece}"
            );
        }
    }

    #[test]
    fn what_came_along_goes_and_everything_else_stays() {
        for (content, expected) in [
            ("Return-Path: <evil@x>\r\nFrom: a\r\n\r\nbody\r\n", "From: a\r\n\r\nbody\r\n"),
            (
                "From: a\r\nRETURN-PATH : <evil@x>\r\n folded\r\n\tonce more\r\nTo: b\r\n\r\n",
                "From: a\r\nTo: b\r\n\r\n",
            ),
            (
                "return-path:\r\nReturn-Path: <b>\r\n\r\nReturn-Path: <in the body>\r\n",
                "\r\nReturn-Path: <in the body>\r\n",
            ),
            ("Pillarbox-verdict: inbox\r\nA: b\r\n\r\n", "A: b\r\n\r\n"),
            ("Return-Path: <x>\r\n", ""),
            ("", ""),
        ] {
            check(content, expected);
        }
        for kept in [
            "Return-Path-X: a\r\nReturn-Pat: b\r\nX-Return-Path: c\r\n\r\n",
            "Return\r\nReturn-Path\r\n\r\nx\r\n",
            "Subject: a\r\n Return-Path: folded\r\n\r\n",
            "\r\nReturn-Path: <body>\r\n",
            "Return",
            "A: b\r\n\r",
        ] {
            check(kept, kept);
        }
    }

    #[test]
    fn what_was_proven_elsewhere_stays_unless_it_is_said_in_our_name() {
        for ours in [
            "Authentication-Results: mail.box.test; spf=pass\r\n",
            "authentication-results :\r\n\tMAIL.box.test 1;\r\n\tdkim=pass\r\n",
            "Authentication-Results: (a (b\\)) c) \"mail.box.test\";spf=pass\r\n",
            "Authentication-Results: mail.box.test(x); spf=pass\r\n",
            "Authentication-Results: mail.box.test\r\n",
            "Authentication-Results: (; mail.other.test; spf=pass\r\n",
            "Authentication-Results: \"mail.box\\.test\"; spf=pass\r\n",
        ] {
            check(&format!("A: b\r\n{ours}C: d\r\n\r\ne\r\n"), "A: b\r\nC: d\r\n\r\ne\r\n");
            check(ours, "");
        }
        for other in [
            "Authentication-Results: mail.other.test; spf=pass\r\n",
            "Authentication-Results: mail.box.test.other; spf=pass\r\n dkim=pass; mail.box.test\r\n",
            "Authentication-Results: (mail.box.test;) mail.other.test;\r\n\tspf=pass\r\n",
            "Authentication-Results:\r\n\r\n",
            "X-Authentication-Results: mail.box.test; spf=pass\r\n",
        ] {
            check(other, other);
            check(&format!("A: b\r\n{other}C: d\r\n"), &format!("A: b\r\n{other}C: d\r\n"));
        }
        let long = format!("Authentication-Results: ({}\r\n", "x".repeat(3 * CLAIM));
        assert_eq!(filtered(format!("{long}A: b\r\n\r\n").as_bytes(), 100), b"A: b\r\n\r\n");
    }

    proptest::proptest! {
        #[test]
        fn without_the_field_nothing_changes(lines in proptest::collection::vec("[Rr]e(turn)?(-path)?[ \t]{0,3}[:x]?[a-z]{0,5}|Authentication-Results:[ (;a]{0,5}(mail\\.box\\.test)?[;)]?", 0..8), piece in 1usize..9) {
            let content = lines.iter().map(|line| format!("{line}\r\n")).collect::<String>() + "\r\nbody\r\n";
            let is_return_path = |line: &str| line.to_ascii_lowercase().strip_prefix("return-path").is_some_and(|rest| rest.trim_start().starts_with(':'));
            let is_ours = |line: &str| line.strip_prefix("Authentication-Results:").is_some_and(|rest| {
                server(rest.as_bytes()).is_none_or(|server| server == b"mail.box.test")
            });
            let expected = lines.iter().filter(|line| !is_return_path(line) && !is_ours(line)).map(|line| format!("{line}\r\n")).collect::<String>() + "\r\nbody\r\n";
            proptest::prop_assert_eq!(String::from_utf8(filtered(content.as_bytes(), piece)).unwrap(), expected);
        }
    }
}
