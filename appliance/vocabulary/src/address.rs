//! Mail addresses (RFC 5321 §4.1.2 and §4.1.3, RFC 6531 §3.3): parsed once, valid ever after.

use crate::text::is_unseen;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest local part in octets, as sent (RFC 5321 §4.5.3.1.1).
pub const LOCAL_OCTETS: usize = 64;
/// Longest domain in octets (RFC 5321 §4.5.3.1.2).
pub const DOMAIN_OCTETS: usize = 255;
/// Longest name that the DNS can hold, in octets without the dot at its end (RFC 1035 §2.3.4).
pub const HOST_OCTETS: usize = 253;
/// Longest label of a domain in octets (RFC 1035 §2.3.4).
pub const LABEL_OCTETS: usize = 63;

/// Why a text is no address.
/// Its text is fit for a reply to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// There is no `@` and no domain after it.
    NoDomain,
    /// The part before the `@` is empty, too long or holds characters that need quotes.
    BadLocal,
    /// The part after the `@` is neither a domain name nor an address literal.
    BadDomain,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::NoDomain => "an address needs a domain, as in user@example.org",
            AddressError::BadLocal => "the part before the @ is not valid",
            AddressError::BadDomain => "the part after the @ is not a valid domain",
        })
    }
}

impl std::error::Error for AddressError {}

/// A mailbox: local part and domain (RFC 5321 §4.1.2, `Mailbox`).
///
/// Equality is that of the text: the local part keeps its case.
/// Use [`Address::canonical`] to look one up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    local: String,
    domain: Domain,
}

impl Address {
    /// Parses `local@domain` without angle brackets; the local part may be a quoted string.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let (local, rest) = match text.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => text
                .split_once('@')
                .map(|(l, r)| (l.to_string(), r))
                .ok_or(AddressError::NoDomain)?,
        };
        let sent = text.len() - rest.len() - 1;
        let is_quoted = text.starts_with('"');
        if sent > LOCAL_OCTETS || !is_quoted && !is_dot_string(&local) {
            return Err(AddressError::BadLocal);
        }
        Ok(Address { local, domain: Domain::parse(rest)? })
    }

    /// The local part without quotes, in the case it was sent.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether the address can travel without SMTPUTF8 (RFC 6531 §3.4).
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.0.is_ascii()
    }

    /// The address of a look-up key; `None` when it is none.
    pub fn of_key(key: &str) -> Option<Address> {
        let (local, domain) = key.rsplit_once('@')?;
        let escaped = local.replace('\\', "\\\\").replace('"', "\\\"");
        Address::parse(key).or_else(|_| Address::parse(&format!("\"{escaped}\"@{domain}"))).ok()
    }

    /// The look-up key: local part and domain in lower case, unquoted.
    /// The domain begins after the last `@`.
    ///
    /// RFC 5321 §2.4 lets the receiving host decide that case does not matter in its local parts; it doesn't here.
    pub fn canonical(&self) -> String {
        format!("{}@{}", self.local, self.domain).to_lowercase()
    }
}

impl fmt::Display for Address {
    /// A valid `Mailbox`, with quotes where the local part needs them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if c == '"' || c == '\\' {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

/// Splits a quoted string, its opening quote gone, into its value and what follows `"@` (RFC 5321 §4.1.2).
fn unquote(text: &str) -> Result<(String, &str), AddressError> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let c = match c {
            '"' => {
                let rest = text[at + 1..].strip_prefix('@').ok_or(AddressError::NoDomain)?;
                return Ok((value, rest));
            }
            '\\' => chars.next().ok_or(AddressError::BadLocal)?.1,
            other => other,
        };
        if c.is_control() {
            return Err(AddressError::BadLocal);
        }
        value.push(c);
    }
    Err(AddressError::BadLocal)
}

/// Whether a local part needs no quotes (`Dot-string`, widened by RFC 6531 §3.3).
fn is_dot_string(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c),
        false => is_visible(c),
    }
}

/// Whether a character outside ASCII may stand in an address: no control, space or unseen direction mark, which could
/// make one address look like another.
fn is_visible(c: char) -> bool {
    let is_mark =
        matches!(c, '\u{2028}'..='\u{202f}' | '\u{fffc}' | '\u{fffd}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !c.is_whitespace() && !is_unseen(c) && !is_mark
}

/// A domain name in lower case, or an address literal `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(String);

impl Domain {
    /// Parses a name or literal; one trailing dot of a name is dropped.
    ///
    /// `_` is let through although RFC 5321 §4.1.2 has no place for it: such host names exist and send mail.
    pub fn parse(text: &str) -> Result<Domain, AddressError> {
        if let Some(literal) = text.strip_prefix('[') {
            let literal = literal.strip_suffix(']').ok_or(AddressError::BadDomain)?;
            return parse_literal(literal).ok_or(AddressError::BadDomain);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        match name.len() <= DOMAIN_OCTETS && name.split('.').all(is_label) {
            true => Ok(Domain(name.to_ascii_lowercase())),
            false => Err(AddressError::BadDomain),
        }
    }

    /// The name, or the literal with its brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a name that a host may give itself (RFC 5321 §2.3.5 and §4.1.2): ASCII letters, digits and
    /// hyphens, and no number at its end, which would be read as an IPv4 address (RFC 1123 §2.1).
    pub fn is_host_name(&self) -> bool {
        let is_number = |label: &str| label.bytes().all(|octet| octet.is_ascii_digit());
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        self.0.len() <= HOST_OCTETS
            && self.0.chars().all(fits)
            && !self.0.rsplit('.').next().is_some_and(is_number)
    }

    /// Whether this is an address literal.
    pub fn is_literal(&self) -> bool {
        self.0.starts_with('[')
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parse_literal(text: &str) -> Option<Domain> {
    if text.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
        let address: Ipv6Addr = text[5..].parse().ok()?;
        return Some(Domain(format!("[IPv6:{address}]")));
    }
    let address: Ipv4Addr = text.parse().ok()?;
    Some(Domain(format!("[{address}]")))
}

fn is_label(label: &str) -> bool {
    let is_letter = |c: char| match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || c == '-' || c == '_',
        // The full stops of other scripts would be read as label separators (RFC 3490 §3.1).
        false => is_visible(c) && !matches!(c, '\u{3002}' | '\u{ff0e}' | '\u{ff61}'),
    };
    (1..=LABEL_OCTETS).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses() {
        // As sent, as displayed, as looked up.
        let table = [
            ("ann@example.org", "ann@example.org", "ann@example.org"),
            ("Ann.Lee@EXAMPLE.org.", "Ann.Lee@example.org", "ann.lee@example.org"),
            ("o'neil+tag=x@a-b.example", "o'neil+tag=x@a-b.example", "o'neil+tag=x@a-b.example"),
            ("\"ann\"@example.org", "ann@example.org", "ann@example.org"),
            ("\"a b\"@example.org", "\"a b\"@example.org", "a b@example.org"),
            ("\"a\\\"\\\\b\\c\"@x", "\"a\\\"\\\\bc\"@x", "a\"\\bc@x"),
            ("\"a@b\"@x", "\"a@b\"@x", "a@b@x"),
            ("\"\"@x", "\"\"@x", "@x"),
            ("\"a..b\"@x", "\"a..b\"@x", "a..b@x"),
            ("a@[192.0.2.1]", "a@[192.0.2.1]", "a@[192.0.2.1]"),
            ("a@[ipv6:2001:DB8:0::1]", "a@[IPv6:2001:db8::1]", "a@[ipv6:2001:db8::1]"),
            ("grüße@bücher.example", "grüße@bücher.example", "grüße@bücher.example"),
            ("उदा@डाटामेल.भारत", "उदा@डाटामेल.भारत", "उदा@डाटामेल.भारत"),
            ("a@my_host.example", "a@my_host.example", "a@my_host.example"),
        ];
        for (sent, shown, key) in table {
            let address = Address::parse(sent).unwrap_or_else(|e| panic!("{sent}: {e}"));
            assert_eq!((address.to_string().as_str(), address.canonical().as_str()), (shown, key));
            assert_eq!(Address::parse(shown), Ok(address), "{shown} parses as itself");
        }
    }

    #[test]
    fn bad_addresses() {
        use AddressError::*;
        let table = [
            ("", NoDomain),
            ("ann", NoDomain),
            ("\"ann\"", NoDomain),
            ("\"ann\"x@y", NoDomain),
            ("@example.org", BadLocal),
            (".a@x", BadLocal),
            ("a.@x", BadLocal),
            ("a..b@x", BadLocal),
            ("a b@x", BadLocal),
            ("a<b@x", BadLocal),
            ("\"a@x", BadLocal),
            ("\"a\\", BadLocal),
            ("\"a\tb\"@x", BadLocal),
            ("\"a\0b\"@x", BadLocal),
            ("a\u{202e}b@x", BadLocal),
            ("a@", BadDomain),
            ("a@.", BadDomain),
            ("a@b@c", BadDomain),
            ("a@x..y", BadDomain),
            ("a@x..", BadDomain),
            ("a@-x", BadDomain),
            ("a@x-.y", BadDomain),
            ("a@x y", BadDomain),
            ("a@x\u{3002}y", BadDomain),
            ("a@[192.0.2.1", BadDomain),
            ("a@[192.0.2.300]", BadDomain),
            ("a@[2001:db8::1]", BadDomain),
            ("a@[IPv6:zz]", BadDomain),
            ("a@[é]", BadDomain),
        ];
        for (text, error) in table {
            assert_eq!(Address::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_host_gives_itself_only_names_that_every_peer_reads() {
        for (text, is_host_name) in [
            ("mail.example.org", true),
            ("box", true),
            ("3com.example", true),
            ("xn--mil-ula.test", true),
            ("mäil.test", false),
            ("my_host.example", false),
            ("192.0.2.1", false),
            ("mail.1", false),
            ("[192.0.2.1]", false),
            ("[IPv6:2001:db8::1]", false),
        ] {
            assert_eq!(Domain::parse(text).unwrap().is_host_name(), is_host_name, "{text}");
        }
        let long = |last| {
            let name = format!("{}{}", "abcdefg.".repeat(31), "a".repeat(last));
            Domain::parse(&name).unwrap().is_host_name()
        };
        assert!(long(5) && !long(6));
    }

    #[test]
    fn lengths_end_where_the_standard_says() {
        let local = |n| Address::parse(&format!("{}@x", "a".repeat(n))).is_ok();
        assert!(local(64) && !local(65));
        let label = |n| Domain::parse(&"a".repeat(n)).is_ok();
        assert!(label(63) && !label(64));
        let domain =
            |last| Domain::parse(&format!("{}{}", "abcdefg.".repeat(31), "a".repeat(last))).is_ok();
        assert!(domain(7) && !domain(8));
    }
}
