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
    /// `exp`, and modifiers that are unknown (§6).
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
    record.split(' ').skip(1).filter(|word| !word.is_empty()).map(term).collect()
}

fn term(word: &str) -> Option<Term> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    if let Some((name, value)) = word.split_once('=').filter(|(name, _)| is_name(name)) {
        return Some(match name.to_ascii_lowercase().as_str() {
            "redirect" if value.is_empty() => return None,
            "redirect" => Term::Redirect(value.to_string()),
            _ => Term::Other,
        });
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
    let argument =
        |rest: &str| rest.strip_prefix(':').filter(|value| !value.is_empty()).map(str::to_string);
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if rest.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(argument(rest)?),
        "exists" => Mechanism::Exists(argument(rest)?),
        "ptr" if rest.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(argument(rest)?)),
        "ip4" | "ip6" => {
            let network = AddressBlock::try_from(argument(rest)?).ok()?;
            let is_v4 = !String::from(network).contains(':');
            (is_v4 == name.eq_ignore_ascii_case("ip4")).then_some(Mechanism::Ip(network))?
        }
        name @ ("a" | "mx") => {
            let (host, lengths) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = if host.is_empty() { None } else { Some(argument(host)?) };
            let prefixes = prefixes(lengths)?;
            if name == "a" { Mechanism::A(host, prefixes) } else { Mechanism::Mx(host, prefixes) }
        }
        _ => return None,
    };
    Some(Term::Mechanism(verdict, mechanism))
}

/// `/24`, `//64`, `/24//64` (§5.6).
fn prefixes(text: &str) -> Option<Prefixes> {
    let (v4, v6) = text.split_once("//").map_or((text, None), |(v4, v6)| (v4, Some(v6)));
    let v4 = match v4 {
        "" => 32,
        text => text.strip_prefix('/')?.parse().ok().filter(|&length| length <= 32)?,
    };
    let v6 = v6.map_or(Some(128), |text| text.parse().ok().filter(|&length| length <= 128))?;
    Some(Prefixes { v4, v6 })
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
    /// The sender's domain; its local part counts as `postmaster`.
    pub origin: &'a str,
    /// The name said in EHLO.
    pub helo: &'a str,
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
            's' => format!("postmaster@{}", self.origin),
            'l' => "postmaster".to_string(),
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
            'p' => "unknown".to_string(),
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
        ] {
            assert!(is_record(good) && parse(good).is_some(), "{good}");
        }
        for bad in [
            "v=spf1 mxx", "v=spf1 ip4:x", "v=spf1 ip4:2001:db8::1", "v=spf1 ip6:192.0.2.1",
            "v=spf1 a/33", "v=spf1 include", "v=spf1 include:", "v=spf1 all:x", "v=spf1 -",
            "v=spf1 redirect=",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(
            !is_record("v=spf10 mx") && !is_record("\"v=spf1 mx\"") && !is_record("spf2.0/pra")
        );
    }
}
