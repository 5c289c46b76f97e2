//! The mailboxes in a From or Sender field (RFC 5322 §3.4), read so strictly that nobody reads others in it than we do:
//! what we sign must not look like somebody else's.

use pillarbox_message::encode::decoded;
use pillarbox_vocabulary::Address;

/// Why such a field is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no address in it, or one that is none.
    NoAddress,
    /// Others may find another address in it than we do.
    Unclear,
    /// A name reads as an address: many programs show the name alone.
    Disguise,
}

/// The addresses of a field's value, in their canonical form.
pub fn addresses(value: &str) -> Result<Vec<String>, Fault> {
    let mut parser =
        Parser { rest: value, mailbox: Mailbox::default(), found: Vec::new(), is_group: false };
    parser.run()?;
    match parser.found.is_empty() {
        true => Err(Fault::NoAddress),
        false => Ok(parser.found),
    }
}

/// One mailbox as it is read.
#[derive(Default)]
struct Mailbox {
    /// What stands outside of angle brackets, comments left out; a quoted string belongs to the word it stands in.
    words: Vec<String>,
    /// Words that are open for more: no blank came since.
    is_open: bool,
    /// Text of words that was not quoted, of quoted strings, of comments.
    unquoted: String,
    quoted: String,
    comments: String,
    angle: Option<String>,
}

struct Parser<'v> {
    rest: &'v str,
    mailbox: Mailbox,
    found: Vec<String>,
    is_group: bool,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        while let Some(c) = self.next() {
            match c {
                c if c.is_whitespace() => {
                    self.mailbox.is_open = false;
                    self.mailbox.unquoted.push(' ');
                }
                '(' => {
                    let comment = self.comment()?;
                    self.mailbox.comments.extend([" ", &comment]);
                }
                '"' => {
                    let text = self.quoted()?;
                    self.mailbox.quoted.extend([" ", &text.replace('\\', "")]);
                    self.word(&format!("\"{text}\""));
                }
                '<' if self.mailbox.angle.is_some() => return Err(Fault::Unclear),
                '<' => self.mailbox.angle = Some(self.angle()?),
                '[' => {
                    let literal = self.until(']')?;
                    self.word(&format!("[{literal}]"));
                }
                // A group (RFC 6854): its name is a name, its members are mailboxes.
                ':' if !self.is_group && self.mailbox.angle.is_none() => {
                    self.mailbox.check_names()?;
                    (self.mailbox, self.is_group) = (Mailbox::default(), true);
                }
                ',' => self.end()?,
                ';' if self.is_group => {
                    self.end()?;
                    self.is_group = false;
                }
                '>' | ')' | ']' | ':' | ';' => return Err(Fault::Unclear),
                c => {
                    self.mailbox.unquoted.push(c);
                    self.word(c.encode_utf8(&mut [0; 4]));
                }
            }
        }
        match self.is_group {
            true => Err(Fault::Unclear),
            false => self.end(),
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn word(&mut self, text: &str) {
        match self.mailbox.words.last_mut().filter(|_| self.mailbox.is_open) {
            Some(word) => word.push_str(text),
            None => self.mailbox.words.push(text.to_string()),
        }
        self.mailbox.is_open = true;
    }

    fn until(&mut self, end: char) -> Result<String, Fault> {
        let (text, rest) = self.rest.split_once(end).ok_or(Fault::Unclear)?;
        self.rest = rest;
        Ok(text.to_string())
    }

    /// A quoted string up to its end, its backslashes kept.
    fn quoted(&mut self) -> Result<String, Fault> {
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '"' => return Ok(text),
                '\\' => text.extend([Some('\\'), self.next()].into_iter().flatten()),
                c => text.push(c),
            }
        }
        Err(Fault::Unclear)
    }

    fn comment(&mut self) -> Result<String, Fault> {
        let (mut text, mut depth) = (String::new(), 1);
        while let Some(c) = self.next() {
            match c {
                '(' => depth += 1,
                ')' if depth == 1 => return Ok(text),
                ')' => depth -= 1,
                '\\' => text.extend(self.next()),
                c => text.push(c),
            }
        }
        Err(Fault::Unclear)
    }

    /// What is in angle brackets, without blanks around it.
    /// A quoted local part may hold a bracket of its own.
    fn angle(&mut self) -> Result<String, Fault> {
        let mut text = String::new();
        while let Some(c) = self.next() {
            match c {
                '>' => return Ok(text.trim().to_string()),
                '<' => return Err(Fault::Unclear),
                '"' => {
                    let inner = self.quoted()?;
                    text.push_str(&format!("\"{inner}\""));
                }
                c => text.push(c),
            }
        }
        Err(Fault::Unclear)
    }

    fn end(&mut self) -> Result<(), Fault> {
        let mailbox = std::mem::take(&mut self.mailbox);
        let text = match (&mailbox.angle, &mailbox.words[..]) {
            (Some(angle), _) => {
                mailbox.check_names()?;
                angle
            }
            // RFC 5322 §4.4: an empty place in a list.
            (None, []) => return Ok(()),
            (None, [only]) => {
                mailbox.check_beside()?;
                only
            }
            (None, _) if mailbox.unquoted.contains('@') => return Err(Fault::Unclear),
            (None, _) => return Err(Fault::NoAddress),
        };
        let address = Address::parse(text).map_err(|_| {
            if text.matches('@').count() > 1 { Fault::Unclear } else { Fault::NoAddress }
        })?;
        self.found.push(address.canonical());
        Ok(())
    }
}

impl Mailbox {
    /// A name that is not quoted has no `@` at all (RFC 5322 §3.2.3): what has one is an address to whoever reads
    /// leniently.
    fn check_names(&self) -> Result<(), Fault> {
        match self.unquoted.contains('@') || is_disguise(&self.unquoted) {
            true => Err(Fault::Disguise),
            false => self.check_beside(),
        }
    }

    /// Comments are names, too, to old programs (RFC 822 §3.4.3); and many decode encoded words where none may stand,
    /// within quotes.
    /// A name in plain quotes may hold an address: pages of ours show the real one beside it.
    fn check_beside(&self) -> Result<(), Fault> {
        let misleads =
            is_disguise(&self.comments) || self.quoted.contains("=?") && is_disguise(&self.quoted);
        if misleads { Err(Fault::Disguise) } else { Ok(()) }
    }
}

/// Whether people read an address in a text, also with the wide and the small form of its sign.
/// Between blanks it is one if it has the dot of a domain: "Ann @ work" has none.
fn holds_address(text: &str) -> bool {
    let signs = ['@', '\u{ff20}', '\u{fe6b}'];
    let is_part = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace() && !signs.contains(&c));
    text.match_indices(signs).any(|(at, sign)| {
        let (before, behind) = (&text[..at], &text[at + sign.len()..]);
        let word = behind.split_whitespace().next().unwrap_or_default();
        let has_dot = word.char_indices().any(|(at, c)| {
            matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
                && at > 0
                && word[at + c.len_utf8()..].starts_with(char::is_alphanumeric)
        });
        let is_apart = has_dot && !before.trim().is_empty();
        is_apart || is_part(before.chars().next_back()) && is_part(behind.chars().next())
    })
}

/// Whether a name misleads: it reads as an address once its encoded words are read as pages read them, or has some left
/// that others may read further.
fn is_disguise(text: &str) -> bool {
    let text = decoded(&text.replace(['\r', '\n'], " "));
    let is_left = text.split_once("=?").is_some_and(|(_, behind)| behind.contains("?="));
    is_left || holds_address(&text)
}

#[cfg(test)]
mod tests {
    use pillarbox_vocabulary::Domain;

    use super::*;

    #[test]
    fn mailboxes_are_read_and_nothing_else_is_one() {
        for (value, is) in [
            ("ann@x.test", "ann@x.test"),
            (" Ann Example <Ann@X.test> ", "Ann@x.test"),
            ("\"Example, Ann\" <ann@x.test>, bob@y.test (Bob)", "ann@x.test bob@y.test"),
            ("\"ann@x.test\" <bob@y.test>", "bob@y.test"),
            ("\"Ann (at home) \\\" <x>\" <ann@x.test>", "ann@x.test"),
            ("=?utf-8?q?J=C3=B6rg_M=C3=BCller?= <j@x.test>", "j@x.test"),
            ("=?utf-8?q?Ann_=40_work?= <a@x.test>", "a@x.test"),
            ("J\u{f6}rg <j\u{f6}rg@x.test>", "j\u{f6}rg@x.test"),
            ("Office: ann@x.test, <bob@x.test>;", "ann@x.test bob@x.test"),
            (", a@x.test, ,", "a@x.test"),
            ("Box <a@[192.0.2.1]>", "a@[192.0.2.1]"),
            ("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"),
            ("Ann Example\r\n <ann@x.test>", "ann@x.test"),
        ] {
            let found = addresses(value).map(|found| found.join(" ").to_lowercase());
            assert_eq!(found, Ok(is.to_lowercase()), "{value}");
        }
    }

    #[test]
    fn what_is_no_address_and_what_looks_like_another_is_refused() {
        use Fault::{Disguise, NoAddress, Unclear};
        for (value, fault) in [
            ("", NoAddress),
            ("scanner", NoAddress),
            ("<>", NoAddress),
            ("\"Scanner\" <>", NoAddress),
            ("undisclosed:;", NoAddress),
            ("scanner@", NoAddress),
            ("The Scanner", NoAddress),
            ("Scanner <scanner>", NoAddress),
            ("a@x.test, Scanner <>", NoAddress),
            ("ann@x.test <bob@y.test>", Disguise),
            ("Ann ann@x.test <bob@y.test>", Disguise),
            ("ann@x.test,<bob@y.test> <c@z.test>", Unclear),
            ("<ann@x.test> <bob@y.test>", Unclear),
            ("=?utf-8?q?ann=40x.test?= <bob@y.test>", Disguise),
            ("=?utf-8?b?YW5uQHgudGVzdA==?= <bob@y.test>", Disguise),
            ("=?utf-8?q?ann?= =?utf-8?q?=40x.test?= <bob@y.test>", Disguise),
            ("\"=?utf-8?q?ann=40x.test?=\" <bob@y.test>", Disguise),
            ("ann\u{ff20}x.test <bob@y.test>", Disguise),
            ("=?utf-8?q?ann=EF=BC=A0x.test?= <bob@y.test>", Disguise),
            ("=?hz-gb-2312?q?ann=40x.test?= <bob@y.test>", Disguise),
            ("=?utf-8?q?ann=40\tx.test?= <bob@y.test>", Disguise),
            ("=?utf-8?b?YW5u*QHgudGVzdA==?= <bob@y.test>", Disguise),
            ("=?utf-8?q?ann =40x.test?= <bob@y.test>", Disguise),
            ("=?utf-8?q?ann=C2=A0=40=C2=A0x.test?= <bob@y.test>", Disguise),
            ("=?utf-8?q?ann=E2=80=8A=40x.test?= <bob@y.test>", Disguise),
            ("=?utf-8?q?ann=40=E2=80=8Bx=E3=80=82test?= <bob@y.test>", Disguise),
            ("ann=?utf-8?q?=40x.test?= <bob@y.test>", Disguise),
            ("=?utf-8?q?=3D=3Futf-8=3Fq=3Fann=3D40x.test=3F=3D?= <bob@y.test>", Disguise),
            ("=?x-none?x?ann=40x.test?= <bob@y.test>", Disguise),
            ("\"ann =?utf-8?q?=40_x.test?=\" <bob@y.test>", Disguise),
            ("bob@y.test (ann@x.test)", Disguise),
            ("Bob <bob@y.test> (=?utf-8?q?ann=40x.test?=)", Disguise),
            ("ann@x.test: bob@y.test;", Disguise),
            ("Hans bob@y.test", Unclear),
            ("bob@y.test ann@x.test", Unclear),
            ("<bob@y.test> ann@x.test", Disguise),
            ("ann@x.test@y.test", Unclear),
            ("\"ann@x.test", Unclear),
            ("(ann", Unclear),
            ("a: b@x.test", Unclear),
            ("<@a.test,@b.test:c@y.test>", Unclear),
            ("<ann@x.test", Unclear),
        ] {
            assert_eq!(addresses(value), Err(fault), "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_read(value in "([<>()@,;:\\[\\]\"\\\\ a.]|=\\?utf-8\\?q\\?|\\?=|ü){0,60}") {
            if let Ok(found) = addresses(&value) {
                // Without the quotes of a local part they are keys, not addresses any more.
                let is_key = |key: &String| key.len() <= 320 && key.rsplit_once('@').is_some_and(|(_, domain)| Domain::parse(domain).is_ok());
                proptest::prop_assert!(!found.is_empty() && found.iter().all(is_key));
            }
        }
    }
}
