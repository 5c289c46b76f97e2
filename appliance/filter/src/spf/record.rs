//! SPF records as they are written (RFC 7208 §4.6, §5, §7): terms, and the macros within them.

use std::net::IpAddr;

use pillarbox_vocabulary::AddressBlock;

/// What a receiver concludes (§2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    None,
    Neutral,
    Pass,
    Fail,
    SoftFail,
}

/// The records among a domain's texts that are SPF records (§4.5).
pub fn is_record(text: &str) -> bool {
    let version = text.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1")
}

/// One term of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    Mechanism(Verdict, Mechanism),
    Redirect(String),
    /// Where the domain explains a refusal (§6.2); nobody here asks.
    Explanation,
    /// A modifier that is unknown (§6).
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    All,
    Include(String),
    /// Addresses, or those of the mail exchangers, with the lengths of the prefixes that count.
    A(Option<String>, Prefixes),
    Mx(Option<String>, Prefixes),
    Ptr(Option<String>),
    Ip(AddressBlock),
    Exists(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    v4: u8,
    v6: u8,
}

/// Reads a record behind its version; `None`: a receiver makes `permerror` of it (§4.6).
pub fn parse(record: &str) -> Option<Vec<Term>> {
    let is_text = record.bytes().all(|b| matches!(b, b' '..=b'~'));
    let words = record.split(' ').skip(1).filter(|word| !word.is_empty());
    let terms = words.map(term).collect::<Option<Vec<_>>>().filter(|_| is_text)?;
    let count = |is: fn(&Term) -> bool| terms.iter().filter(|term| is(term)).count();
    let is_once = count(|term| matches!(term, Term::Redirect(_))) <= 1
        && count(|term| matches!(term, Term::Explanation)) <= 1;
    is_once.then_some(terms)
}

fn term(word: &str) -> Option<Term> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    if let Some((name, value)) = word.split_once('=').filter(|(name, _)| is_name(name)) {
        return match name.to_ascii_lowercase().as_str() {
            "redirect" => is_domain_spec(value).then(|| Term::Redirect(value.to_string())),
            "exp" => is_domain_spec(value).then_some(Term::Explanation),
            _ => macros(value).map(|_| Term::Other),
        };
    }
    let (verdict, word) = match word.split_at_checked(1)? {
        ("+", rest) => (Verdict::Pass, rest),
        ("-", rest) => (Verdict::Fail, rest),
        ("~", rest) => (Verdict::SoftFail, rest),
        ("?", rest) => (Verdict::Neutral, rest),
        _ => (Verdict::Pass, word),
    };
    let end = word.find([':', '/']).unwrap_or(word.len());
    let (name, rest) = word.split_at(end);
    let domain =
        |rest: &str| rest.strip_prefix(':').filter(|spec| is_domain_spec(spec)).map(str::to_string);
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if rest.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(domain(rest)?),
        "exists" => Mechanism::Exists(domain(rest)?),
        "ptr" if rest.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(domain(rest)?)),
        "ip4" | "ip6" => {
            let text = rest.strip_prefix(':')?;
            let (_, length) = text.split_once('/').unwrap_or((text, "1"));
            let network = AddressBlock::try_from(text.to_string()).ok()?;
            let is_v4 = !String::from(network).contains(':');
            let is_right = is_v4 == name.eq_ignore_ascii_case("ip4") && is_number(length);
            is_right.then_some(Mechanism::Ip(network))?
        }
        name @ ("a" | "mx") => {
            // Names may have such signs, too: the lengths are at the end.
            let lengths = rest.len() - lengths(rest);
            let (host, lengths) = rest.split_at(lengths);
            let host = if host.is_empty() { None } else { Some(domain(host)?) };
            let prefixes = prefixes(lengths)?;
            if name == "a" { Mechanism::A(host, prefixes) } else { Mechanism::Mx(host, prefixes) }
        }
        _ => return None,
    };
    Some(Term::Mechanism(verdict, mechanism))
}

/// Octets of the lengths at the end of a text: `/24`, `//64`, `/24//64`.
fn lengths(text: &str) -> usize {
    let without = |text: &str, sign: &str| {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let front = digits.strip_suffix(sign).filter(|_| digits.len() < text.len());
        front.map(str::len)
    };
    let front = without(text, "//").map_or(text, |end| &text[..end]);
    let front = without(front, "/").map_or(front, |end| &front[..end]);
    text.len() - front.len()
}

/// Digits without a zero in front.
fn is_number(text: &str) -> bool {
    let is_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_digits && (text == "0" || !text.starts_with('0'))
}

/// `/24`, `//64`, `/24//64` (§5.6).
fn prefixes(text: &str) -> Option<Prefixes> {
    let (v4, v6) = text.split_once("//").map_or((text, None), |(v4, v6)| (v4, Some(v6)));
    let length = |text: &str, most: u8| {
        text.parse().ok().filter(|&length| is_number(text) && length <= most)
    };
    let v4 = match v4 {
        "" => 32,
        text => length(text.strip_prefix('/')?, 32)?,
    };
    let v6 = v6.map_or(Some(128), |text| length(text, 128))?;
    Some(Prefixes { v4, v6 })
}

/// Whether a text names a domain (§7.1 `domain-spec`): it ends with a macro, or with a label as domains at the top
/// have them.
fn is_domain_spec(text: &str) -> bool {
    let Some(end) = macros(text) else { return false };
    if end > 0 && end == text.len() {
        return true;
    }
    let rest = &text[end..];
    let rest = rest.strip_suffix('.').unwrap_or(rest);
    rest.rsplit_once('.').is_some_and(|(_, label)| {
        let is_of_letters = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let is_numeric = label.bytes().all(|b| b.is_ascii_digit());
        let is_at_edge = label.starts_with('-') || label.ends_with('-');
        is_of_letters && !label.is_empty() && !is_numeric && !is_at_edge
    })
}

/// Reads a text with macros (§7.1 `macro-string`); gives where the last one ends, 0 without one.
fn macros(text: &str) -> Option<usize> {
    let (mut at, mut end) = (0, 0);
    while let Some(found) = text[at..].find('%') {
        at += found + 1;
        at += match text[at..].chars().next()? {
            '%' | '_' | '-' => 1,
            '{' => {
                let inner = &text[at + 1..at + text[at..].find('}')?];
                let (letter, rest) = inner.split_at_checked(1)?;
                if !"slodiphvSLODIPHV".contains(letter) {
                    return None;
                }
                let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                let rest = rest.strip_prefix(['r', 'R']).unwrap_or(rest);
                if !rest.chars().all(|c| ".-+,/_=".contains(c)) {
                    return None;
                }
                inner.len() + 2
            }
            _ => return None,
        };
        end = at;
    }
    Some(end)
}

impl Prefixes {
    /// Whether an address that was looked up stands for the sender's.
    pub fn cover(self, found: IpAddr, address: IpAddr) -> bool {
        let length = if found.is_ipv4() { self.v4 } else { self.v6 };
        AddressBlock::try_from(format!("{found}/{length}"))
            .is_ok_and(|network| network.contains(address))
    }
}

/// Who sends, as macros tell of it.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    pub address: IpAddr,
    /// The local part of the sender's address.
    pub local: &'a str,
    /// The sender's domain.
    pub origin: &'a str,
    /// The name said in EHLO.
    pub helo: &'a str,
    /// The name of the address that leads back to it; `unknown` where there is none (§7.3).
    pub name: &'a str,
}

impl Sender<'_> {
    /// A term's domain with its macros filled in (§7), at most 253 octets; `None`: a receiver makes `permerror` of it.
    pub fn expand(&self, spec: &str, domain: &str) -> Option<String> {
        let (mut out, mut rest) = (String::new(), spec);
        while let Some((before, macros)) = rest.split_once('%') {
            out.push_str(before);
            rest = match macros.split_at_checked(1)? {
                ("%", behind) => {
                    out.push('%');
                    behind
                }
                ("_", behind) => {
                    out.push(' ');
                    behind
                }
                ("-", behind) => {
                    out.push_str("%20");
                    behind
                }
                ("{", behind) => {
                    let (inner, behind) = behind.split_once('}')?;
                    out.push_str(&self.macro_text(inner, domain)?);
                    behind
                }
                _ => return None,
            };
        }
        out.push_str(rest);
        // §7.3: what is too long loses labels on the left.
        while out.len() > 253 {
            out = out.split_once('.').map(|(_, shorter)| shorter.to_string())?;
        }
        Some(out)
    }

    fn macro_text(&self, inner: &str, domain: &str) -> Option<String> {
        let letter = inner.chars().next()?.to_ascii_lowercase();
        let value = match letter {
            's' => format!("{}@{}", self.local, self.origin),
            'l' => self.local.to_string(),
            'o' => self.origin.to_string(),
            'd' => domain.to_string(),
            'i' => match self.address {
                IpAddr::V4(v4) => v4.to_string(),
                IpAddr::V6(v6) => v6
                    .octets()
                    .iter()
                    .flat_map(|octet| [octet >> 4, octet & 15])
                    .map(|n| format!("{n:x}"))
                    .collect::<Vec<_>>()
                    .join("."),
            },
            'v' => if self.address.is_ipv4() { "in-addr" } else { "ip6" }.to_string(),
            'h' => self.helo.to_string(),
            'p' => self.name.to_string(),
            _ => return None,
        };
        let rest = &inner[letter.len_utf8()..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (count, rest) = rest.split_at(digits);
        let (is_reversed, delimiters) = match rest.strip_prefix(['r', 'R']) {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if !delimiters.chars().all(|c| ".-+,/_=".contains(c)) {
            return None;
        }
        let delimiters = if delimiters.is_empty() { "." } else { delimiters };
        let mut parts: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
        if is_reversed {
            parts.reverse();
        }
        let keep = if count.is_empty() {
            parts.len()
        } else {
            count.parse().ok().filter(|&n: &usize| n > 0)?
        };
        Some(parts[parts.len().saturating_sub(keep)..].join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_or_refused_as_a_whole() {
        for good in [
            "v=spf1",
            "v=spf1 mx ~all",
            "V=SPF1 a:x.test/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?all",
            "v=spf1 exp=%{d} x.y-z=1 redirect=_spf.x.test",
            "v=spf1 a:foo:bar/baz.x.test/24 mx:%{d}//64 exists:%{ir}.x.test. a:%{d2}",
        ] {
            assert!(is_record(good) && parse(good).is_some(), "{good}");
        }
        for bad in [
            "v=spf1 mxx", "v=spf1 ip4:x", "v=spf1 ip4:2001:db8::1", "v=spf1 ip6:192.0.2.1",
            "v=spf1 a/33", "v=spf1 include", "v=spf1 include:", "v=spf1 all:x", "v=spf1 -",
            "v=spf1 redirect=", "v=spf1 exp=x.test exp=y.test", "v=spf1 a:x.test\0",
            "v=spf1 a:gr\u{fc}n.test", "v=spf1 a:x", "v=spf1 a:1.2.3.4", "v=spf1 a:x.test/032",
            "v=spf1 ip4:192.0.2.0/024", "v=spf1 exists:x.test/24", "v=spf1 -all foo=%abc",
            "v=spf1 exp=%{r}.x.test", "v=spf1 a:x.test:8080", "v=spf1 a:x.-test",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(
            !is_record("v=spf10 mx") && !is_record("\"v=spf1 mx\"") && !is_record("spf2.0/pra")
        );
    }
}
