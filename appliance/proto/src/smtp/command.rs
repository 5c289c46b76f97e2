//! Command lines (RFC 5321 §4.1.1): verbs, paths and the words after them.

use pillarbox_vocabulary::{Address, AddressError, Domain};

/// A command's verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Helo,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth,
    /// A request of a web browser, or of a web page that tries to send mail through one.
    Http,
}

const VERBS: [(&str, Verb); 20] = [
    ("HELO", Verb::Helo),
    ("EHLO", Verb::Ehlo),
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("BDAT", Verb::Bdat),
    ("RSET", Verb::Rset),
    ("NOOP", Verb::Noop),
    ("QUIT", Verb::Quit),
    ("VRFY", Verb::Vrfy),
    ("EXPN", Verb::Expn),
    ("HELP", Verb::Help),
    ("STARTTLS", Verb::StartTls),
    ("AUTH", Verb::Auth),
    ("GET", Verb::Http),
    ("HEAD", Verb::Http),
    ("POST", Verb::Http),
    ("PUT", Verb::Http),
    ("CONNECT", Verb::Http),
    ("OPTIONS", Verb::Http),
];

/// Splits a line into its verb and the rest without surrounding spaces; `None` for an unknown verb.
pub fn split(line: &str) -> Option<(Verb, &str)> {
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let (_, verb) = VERBS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word))?;
    Some((*verb, trim(rest)))
}

/// Trims what separates words on a command line.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Why a MAIL or RCPT command can't be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// `FROM:` or `TO:` is missing.
    NoKeyword,
    /// There is no `<` … `>` around the address.
    NoBrackets,
    /// What is between the brackets is no address.
    Address(AddressError),
}

/// Takes `FROM:<path>` or `TO:<path>` apart into the text within the brackets and the parameters after them.
///
/// A space after the colon is let through: many people and some programs write it, and nothing else can be meant.
pub fn path<'a>(rest: &'a str, keyword: &str) -> Result<(&'a str, &'a str), PathError> {
    let matches = rest.get(..keyword.len()).is_some_and(|word| word.eq_ignore_ascii_case(keyword));
    if !matches {
        return Err(PathError::NoKeyword);
    }
    let rest = trim(&rest[keyword.len()..]).strip_prefix('<').ok_or(PathError::NoBrackets)?;
    let end = closing_bracket(rest).ok_or(PathError::NoBrackets)?;
    let (inner, params) = (&rest[..end], &rest[end + 1..]);
    if !params.is_empty() && !params.starts_with([' ', '\t']) {
        return Err(PathError::NoBrackets);
    }
    Ok((inner, params))
}

/// The place of the `>` that is not within quotes.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => {
                chars.next();
            }
            '>' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Parses the text of a path, and drops a source route (RFC 5321 §4.1.1.3, appendix C: accept and ignore).
pub fn address(inner: &str) -> Result<Address, PathError> {
    let mut mailbox = inner;
    if inner.starts_with('@') {
        mailbox = after_route(inner).ok_or(PathError::Address(AddressError::BadDomain))?;
    }
    Address::parse(mailbox).map_err(PathError::Address)
}

/// What follows `@one,@two:`.
fn after_route(mut text: &str) -> Option<&str> {
    loop {
        text = text.strip_prefix('@')?;
        // The colons of an IPv6 literal do not end the route.
        let literal = if text.starts_with('[') { text.find(']')? } else { 0 };
        let end = literal + text[literal..].find([',', ':'])?;
        Domain::parse(&text[..end]).ok()?;
        let separator = text[end..].chars().next()?;
        text = &text[end + 1..];
        if separator == ':' {
            return Some(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs() {
        assert_eq!(split("mail FROM:<>"), Some((Verb::Mail, "FROM:<>")));
        assert_eq!(split("STARTTLS"), Some((Verb::StartTls, "")));
        assert_eq!(split("NOOP \t x  "), Some((Verb::Noop, "x")));
        for line in ["", " ", " NOOP", "MAILFROM:<>", "XYZZY", "DATA\u{a0}"] {
            assert_eq!(split(line), None, "{line:?}");
        }
    }

    #[test]
    fn paths() {
        let table = [
            ("TO:<a@b>", Ok(("a@b", ""))),
            ("to: <a@b> X=1", Ok(("a@b", " X=1"))),
            ("TO:<\"a>b\"@c>", Ok(("\"a>b\"@c", ""))),
            ("TO:<\"a\\\">b\"@c>", Ok(("\"a\\\">b\"@c", ""))),
            ("TO:<>", Ok(("", ""))),
            ("TO <a@b>", Err(PathError::NoKeyword)),
            ("", Err(PathError::NoKeyword)),
            ("TÖ:", Err(PathError::NoKeyword)),
            ("TO:a@b", Err(PathError::NoBrackets)),
            ("TO:<a@b", Err(PathError::NoBrackets)),
            ("TO:<a@b>X=1", Err(PathError::NoBrackets)),
            ("TO:<\"a@b>", Err(PathError::NoBrackets)),
        ];
        for (text, expected) in table {
            assert_eq!(path(text, "TO:"), expected, "{text:?}");
        }
    }

    #[test]
    fn source_routes_are_dropped() {
        for text in ["a@b", "@x:a@b", "@x,@y.example:a@b", "@[IPv6:::1]:a@b", "@[192.0.2.1],@x:a@b"]
        {
            assert_eq!(address(text).unwrap().to_string(), "a@b", "{text:?}");
        }
        for text in ["@", "@x", "@x,a@b", "@x,:a@b", "@:a@b", "@[1:a@b", "@x:", "@x:@y:a@b"] {
            assert!(address(text).is_err(), "{text:?}");
        }
    }
}
