//! A header field written so that every server carries it: in ASCII, and in lines of at most 998 octets
//! (RFC 5322 §2.1.1).
//!
//! Text and names become encoded words (RFC 2047 §5), names of files extended parameters (RFC 2231 §3), lists are
//! folded behind their commas (RFC 5322 §2.2.3).
//! What has no other form stays as it is: an address with letters beyond ASCII, one endless word of an identifier.

use std::borrow::Cow;

use crate::charset;
use crate::encode::{WORD, decoded, encoded_words};
use crate::head;
use crate::lines;
use crate::names::extended_parameter;
use crate::repair::{fields, parameters};

/// Columns after which a list goes on in the next line.
const COLUMNS: usize = 70;
/// Octets of the name of a parameter.
const KEY: usize = 40;

/// Letters that a field may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// RFC 5322.
    Ascii,
    /// Whatever came (RFC 6532).
    Any,
}

/// What the value of a field is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    People,
    Parameters,
    /// Tokens, identifiers, dates: they are folded and nothing else.
    Other,
}

impl Kind {
    fn of(name: &str) -> Kind {
        let name = name.trim_end().to_ascii_lowercase();
        match name.strip_prefix("resent-").unwrap_or(&name) {
            "from"
            | "sender"
            | "reply-to"
            | "to"
            | "cc"
            | "bcc"
            | "disposition-notification-to"
            | "return-receipt-to"
            | "errors-to" => Kind::People,
            "content-type" | "content-disposition" => Kind::Parameters,
            "message-id"
            | "in-reply-to"
            | "references"
            | "received"
            | "return-path"
            | "date"
            | "mime-version"
            | "content-id"
            | "content-transfer-encoding"
            | "content-language"
            | "content-location"
            | "dkim-signature"
            | "domainkey-signature"
            | "auto-submitted"
            | "authentication-results"
            | "autocrypt" => Kind::Other,
            name if name.starts_with("arc-") || name.starts_with("list-") => Kind::Other,
            _ => Kind::Text,
        }
    }
}

/// All fields of a header, each in a fit form; line ends and what is no field stay.
pub fn fit_all(header: &[u8], letters: Letters) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len() + 64);
    fields(header).for_each(|field| out.extend_from_slice(&fit(field, letters)));
    out
}

/// One field, further lines and line ends included, in a form that is fit; most are already.
pub fn fit(field: &[u8], letters: Letters) -> Cow<'_, [u8]> {
    let is_wide = letters == Letters::Ascii && !field.is_ascii();
    if !is_wide && !has_long_line(field) {
        return Cow::Borrowed(field);
    }
    let Some(name) = head::name(field) else { return Cow::Owned(folded(field)) };
    // From the colon on: a mark of byte order counts at the beginning of a text only.
    let (front, value) = field.split_at(field.iter().position(|&b| b == b':').unwrap_or(0));
    let value = match std::str::from_utf8(value) {
        Ok(value) => Cow::Borrowed(value),
        Err(_) if !is_wide => return Cow::Owned(folded(field)),
        Err(_) => Cow::Owned(charset::decode(value, "")),
    };
    let value = value.strip_prefix(':').unwrap_or_default();
    let needs = |text: &str| {
        is_wide && !text.is_ascii() || text.split_ascii_whitespace().any(|word| word.len() > WORD)
    };
    let end = if value.ends_with('\n') { "\r\n" } else { "" };
    let value = match Kind::of(name) {
        Kind::Text => words(value, needs),
        Kind::People => People::new(value, front.len() + 1).write(needs),
        Kind::Parameters => with_extended(value, needs),
        Kind::Other => return Cow::Owned(folded(field)),
    };
    let value = format!(":{}{end}", value.trim_ascii_end());
    Cow::Owned(folded(&[front, value.as_bytes()].concat()))
}

/// Whether a line of this text is longer than mail may have.
pub fn has_long_line(text: &[u8]) -> bool {
    let mut lengths = lines::Lengths::default();
    lengths.look(text);
    lengths.has_long()
}

fn folded(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len() + 64);
    field.split_inclusive(|&b| b == b'\n').for_each(|line| lines::fold(line, &mut out));
    out
}

/// Text whose words are encoded from the first that has to be to the last.
/// Encoded words between them are decoded first, so that all of it is read as it would have been.
fn words(text: &str, needs: impl Fn(&str) -> bool) -> String {
    let one_line = text.replace(['\r', '\n'], "");
    let pieces: Vec<&str> = one_line.split(' ').collect();
    let (Some(first), Some(last)) =
        (pieces.iter().position(|word| needs(word)), pieces.iter().rposition(|word| needs(word)))
    else {
        return text.to_string();
    };
    // A blank between two encoded words is not shown (RFC 2047 §6.2): those beside are taken in.
    let is_encoded = |at: usize| pieces.get(at).is_some_and(|word| word.starts_with("=?"));
    let first = (0..first).rev().take_while(|&at| is_encoded(at)).last().unwrap_or(first);
    let last = (last + 1..pieces.len()).take_while(|&at| is_encoded(at)).last().unwrap_or(last);
    let encoded = encoded_words(&decoded(&pieces[first..=last].join(" ")));
    [&pieces[..first], &[&encoded], &pieces[last + 1..]].concat().join(" ")
}

/// Mailboxes of a field on their way into a new value (RFC 5322 §3.4).
struct People<'v> {
    rest: &'v str,
    out: String,
    /// Octets of the current line.
    column: usize,
}

impl<'v> People<'v> {
    fn new(value: &'v str, column: usize) -> People<'v> {
        People { rest: value, out: String::with_capacity(value.len() + 64), column }
    }

    fn write(mut self, needs: impl Fn(&str) -> bool) -> String {
        while let Some(c) = self.rest.chars().next() {
            match c {
                '"' => {
                    let quoted = self.take(quoted_end(self.rest, '"', '"'));
                    // In front of an `@` it is part of an address.
                    match needs(quoted) && !self.rest.starts_with('@') {
                        true => self.put_encoded(&unquoted(quoted)),
                        false => self.put(quoted),
                    }
                }
                '(' => {
                    let comment = self.take(quoted_end(self.rest, '(', ')'));
                    match needs(comment) {
                        true => {
                            self.put("(");
                            self.put_encoded(&unquoted(comment));
                            self.put(")");
                        }
                        false => self.put(comment),
                    }
                }
                '<' => {
                    let end = self.rest.find('>').map_or(self.rest.len(), |at| at + 1);
                    let address = self.take(end);
                    self.put(address);
                }
                ',' | ';' | ':' => {
                    let mark = self.take(1);
                    self.put(mark);
                    if self.column > COLUMNS && !self.rest.starts_with("\r\n") {
                        self.rest = self.rest.trim_start_matches([' ', '\t']);
                        self.put("\r\n ");
                    }
                }
                _ => {
                    let end = self.rest.find(['"', '(', '<', ',', ';', ':']);
                    let phrase = self.take(end.unwrap_or(self.rest.len()));
                    let text = phrase.trim();
                    match needs(text) && !text.contains('@') {
                        true => {
                            let (front, back) = phrase.split_once(text).unwrap_or_default();
                            self.put(front);
                            self.put_encoded(text);
                            self.put(back);
                        }
                        false => self.put(phrase),
                    }
                }
            }
        }
        self.out
    }

    fn take(&mut self, octets: usize) -> &'v str {
        let (taken, rest) = self.rest.split_at(octets);
        self.rest = rest;
        taken
    }

    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column = match text.rfind('\n') {
            Some(at) => text.len() - at,
            None => self.column + text.len(),
        };
    }

    fn put_encoded(&mut self, text: &str) {
        let one_line = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        self.put(&encoded_words(&decoded(&one_line)));
    }
}

/// Where a quoted string or a comment ends that begins here.
fn quoted_end(text: &str, open: char, close: char) -> usize {
    let (mut depth, mut is_escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == close && at > 0 => {
                depth -= i32::from(open != close);
                if depth <= 0 {
                    return at + c.len_utf8();
                }
            }
            c if c == open && open != close => depth += 1,
            _ => {}
        }
    }
    text.len()
}

/// What is between quotes or brackets, its backslashes read.
fn unquoted(text: &str) -> String {
    let inner = text.get(1..).unwrap_or_default();
    let inner = inner.strip_suffix(['"', ')']).unwrap_or(inner);
    let (mut out, mut is_escaped) = (String::with_capacity(inner.len()), false);
    for c in inner.chars() {
        is_escaped = c == '\\' && !is_escaped;
        if !is_escaped {
            out.push(c);
        }
    }
    out
}

/// The name of a parameter stands in front of each piece of its value: a short one, as all that have a meaning are.
fn is_key(key: &str) -> bool {
    (1..=KEY).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*".contains(&b))
}

/// A value whose parameters are extended ones where they have to be; each has a line of its own then.
fn with_extended(value: &str, needs: impl Fn(&str) -> bool) -> String {
    let written = parameters(value).enumerate().map(|(number, parameter)| {
        let pair = parameter
            .split_once('=')
            .filter(|(key, _)| number > 0 && needs(parameter) && is_key(key.trim()));
        let Some((key, value)) = pair else { return parameter.trim_end().to_string() };
        let key = key.trim().trim_end_matches('*');
        let value = value.trim();
        let value =
            if value.starts_with('"') { unquoted(value) } else { value.replace(['\r', '\n'], "") };
        format!("\r\n {}", extended_parameter(key, &decoded(&value)))
    });
    written.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::{Structure, Walker};

    fn read(header: &[u8]) -> Structure {
        let mut walker = Walker::new();
        walker.push(&[header, b"\r\nx"].concat());
        walker.finish()
    }

    fn fitted(field: &[u8]) -> String {
        let fit = fit(field, Letters::Ascii).into_owned();
        assert!(fit.is_ascii() && !has_long_line(&fit), "{}", fit.escape_ascii());
        String::from_utf8(fit).unwrap()
    }

    #[test]
    fn what_is_fit_stays_and_raw_letters_are_encoded() {
        for (field, is) in [
            ("Subject: plain =?utf-8?q?=C3=BC?=\r\n", "Subject: plain =?utf-8?q?=C3=BC?=\r\n"),
            ("Subject: S ü\r\n", "Subject: S =?utf-8?B?w7w=?=\r\n"),
            ("Subject: a ü b ß c\r\n", "Subject: a =?utf-8?B?w7wgYiDDnw==?= c\r\n"),
            ("Subject: =?utf-8?q?a?= ü\r\n", "Subject: =?utf-8?B?YSDDvA==?=\r\n"),
            ("To: ü <a@x.test>\r\n", "To: =?utf-8?B?w7w=?= <a@x.test>\r\n"),
            (
                "To: \"ü, b\" <a@x.test>, c@x.test\r\n",
                "To: =?utf-8?B?w7wsIGI=?= <a@x.test>, c@x.test\r\n",
            ),
            ("Cc: a@x.test (ü \\(b)\r\n", "Cc: a@x.test (=?utf-8?B?w7wgKGI=?=)\r\n"),
            ("To: Grüße:;\r\n", "To: =?utf-8?B?R3LDvMOfZQ==?=:;\r\n"),
            (
                "Content-Disposition: attachment; filename=\"ü b.pdf\"\r\n",
                "Content-Disposition: attachment;\r\n filename*0*=utf-8''%C3%BC%20b.pdf\r\n",
            ),
        ] {
            assert_eq!(fitted(field.as_bytes()), is);
        }
        assert_eq!(fitted(b"Subject: \xe4\xff\r\n"), "Subject: =?utf-8?B?w6TDvw==?=\r\n");
        let wide = "To: ü@x.test\r\n".as_bytes();
        assert_eq!(*fit(wide, Letters::Ascii), *wide, "an address has no other form");
        assert_eq!(*fit(wide, Letters::Any), *wide);
    }

    #[test]
    fn long_lines_are_folded_or_encoded_and_read_as_before() {
        let people = (0..300).map(|n| format!("u{n}@x.test")).collect::<Vec<_>>().join(",");
        let (word, name) = ("y".repeat(3000), format!("\"{}\"", "z ,".repeat(1000)));
        for header in [
            format!("To: {people}\r\n"),
            format!("Cc: Office: {people};\r\n"),
            format!("Subject: {word}\r\n"),
            format!("Subject: a {word} b {word}\r\n"),
            format!("Subject: =?utf-8?q?{}?=\r\n", "=C3=BC".repeat(300)),
            format!("From: {word} <a@x.test>\r\n"),
            format!("To: {name} <a@x.test>, b@x.test\r\n"),
            format!("Content-Type: a/b; name={}\r\n", "n".repeat(120)),
        ] {
            let (before, after) =
                (read(header.as_bytes()), read(fitted(header.as_bytes()).as_bytes()));
            assert_eq!(before.subject, after.subject);
            assert_eq!(before.to, after.to);
            assert_eq!((before.from, before.cc), (after.from, after.cc));
        }
        let name = "n".repeat(2000);
        let long = fitted(format!("Content-Type: a/b; charset=x; name={name}\r\n").as_bytes());
        let rest: String = long
            .split("\r\n ")
            .skip(1)
            .filter_map(|piece| piece.split_once('='))
            .map(|(_, text)| text)
            .collect();
        assert_eq!(rest.replace("utf-8''", "").replace([';', '\r', '\n'], ""), name);
        // One endless identifier can't be made shorter.
        let id = format!("Message-ID: <{word}@x.test>\r\n");
        assert!(has_long_line(&fit(id.as_bytes(), Letters::Ascii)));
    }

    proptest::proptest! {
        #[test]
        fn any_field_is_read_as_before(
            name in proptest::sample::select(vec!["Subject", "To", "From", "X-Y"]),
            words in proptest::collection::vec("[a-zäöü]{1,6}|=\\?utf-8\\?q\\?a=C3=BC_b\\?=|y{950,1100}", 1..6),
        ) {
            let text = words.join(" ");
            let value = if matches!(name, "To" | "From") { format!("{text} <a@x.test>") } else { text };
            let header = format!("{name}: {value}\r\n");
            let fit = fit(header.as_bytes(), Letters::Ascii);
            proptest::prop_assert!(fit.is_ascii() && !has_long_line(&fit), "{}", fit.escape_ascii());
            let (before, after) = (read(header.as_bytes()), read(&fit));
            proptest::prop_assert_eq!(before.subject, after.subject);
            proptest::prop_assert_eq!((before.from, before.to), (after.from, after.to));
        }

        #[test]
        fn any_octets_are_taken(field in proptest::collection::vec(proptest::prop_oneof![
            proptest::sample::select(vec![b'"', b'(', b')', b'<', b'>', b',', b';', b':', b'\\', b' ', b'=', b'?', b'\r', b'\n', b'@']),
            proptest::prelude::any::<u8>(),
        ], 0..80), name in proptest::sample::select(vec!["Subject: ", "To:", "Content-Type: a/b;", ""])) {
            let field = [name.as_bytes(), &field].concat();
            for letters in [Letters::Ascii, Letters::Any] {
                proptest::prop_assert!(fit_all(&field, letters).len() <= 20 * field.len() + 200);
            }
        }
    }
}
