//! SPF as a receiver evaluates it (RFC 7208): may this address send mail of this domain?

use std::net::IpAddr;
use std::pin::Pin;

use crate::config::Network;
use crate::dns::{Dns, DnsError};
use crate::line;

/// Terms that ask the DNS (§4.6.4).
const LOOKUPS: u32 = 10;
/// Answers with nothing in them (§4.6.4).
const VOID_LOOKUPS: u32 = 2;
/// Hosts of one `mx` or `ptr` term (§4.6.4).
const HOSTS: usize = 10;

/// What a receiver concludes (§2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    None,
    Neutral,
    Pass,
    Fail,
    SoftFail,
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The records are wrong (`permerror`).
    Wrong,
    /// Something could not be looked up now (`temperror`).
    Unknown(String),
}

/// Evaluates a domain's record for one address; `helo` is the name that the sender says in EHLO.
pub async fn evaluate(dns: &Dns, domain: &str, address: IpAddr, helo: &str) -> Result<Verdict, Trouble> {
    let address = address.to_canonical();
    Evaluation { dns, address, origin: domain, helo, lookups: 0, voids: 0 }.domain(domain.to_string()).await
}

/// The records among a domain's texts that are SPF records (§4.5).
pub fn is_record(text: &str) -> bool {
    let version = text.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1")
}

/// One term of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Mechanism(Verdict, Mechanism),
    Redirect(String),
    /// `exp` and what nobody knows (§6).
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mechanism {
    All,
    Include(String),
    /// Addresses, or those of the mail exchangers, with the lengths of the prefixes that count.
    A(Option<String>, Prefixes),
    Mx(Option<String>, Prefixes),
    Ptr(Option<String>),
    Ip(Network),
    Exists(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefixes {
    v4: u8,
    v6: u8,
}

/// Reads a record behind its version; `None`: a receiver makes `permerror` of it (§4.6).
fn parse(record: &str) -> Option<Vec<Term>> {
    record.split(' ').skip(1).filter(|word| !word.is_empty()).map(term).collect()
}

fn term(word: &str) -> Option<Term> {
    let is_name =
        |name: &str| name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
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
    let argument = |rest: &str| rest.strip_prefix(':').filter(|value| !value.is_empty()).map(str::to_string);
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if rest.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(argument(rest)?),
        "exists" => Mechanism::Exists(argument(rest)?),
        "ptr" if rest.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(argument(rest)?)),
        "ip4" | "ip6" => {
            let network = Network::try_from(argument(rest)?).ok()?;
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
    fn cover(self, found: IpAddr, address: IpAddr) -> bool {
        let length = if found.is_ipv4() { self.v4 } else { self.v6 };
        Network::try_from(format!("{found}/{length}")).is_ok_and(|network| network.contains(address))
    }
}

struct Evaluation<'a> {
    dns: &'a Dns,
    address: IpAddr,
    /// The sender's domain.
    origin: &'a str,
    helo: &'a str,
    lookups: u32,
    voids: u32,
}

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<Verdict, Trouble>> + Send + 'a>>;

impl Evaluation<'_> {
    /// `check_host` (§4).
    fn domain(&mut self, domain: String) -> Outcome<'_> {
        Box::pin(async move {
            let texts = match self.dns.txt(&domain).await {
                Ok(answer) => answer.records,
                Err(DnsError::NoSuchName | DnsError::NoData) => return Ok(Verdict::None),
                Err(DnsError::Temporary(why)) => return Err(Trouble::Unknown(why)),
            };
            let mut records = texts.iter().filter(|text| is_record(text));
            let (Some(record), None) = (records.next(), records.next()) else {
                return if texts.iter().any(|text| is_record(text)) { Err(Trouble::Wrong) } else { Ok(Verdict::None) };
            };
            let terms = parse(record).ok_or(Trouble::Wrong)?;
            for term in &terms {
                if let Term::Mechanism(verdict, mechanism) = term
                    && self.matches(mechanism, &domain).await?
                {
                    return Ok(*verdict);
                }
            }
            let mut redirects = terms.iter().filter_map(|term| if let Term::Redirect(target) = term { Some(target) } else { None });
            match (redirects.next(), redirects.next()) {
                (None, _) => Ok(Verdict::Neutral),
                (Some(target), None) => {
                    self.count()?;
                    let target = self.expand(target, &domain)?;
                    match self.domain(target).await? {
                        Verdict::None => Err(Trouble::Wrong),
                        verdict => Ok(verdict),
                    }
                }
                _ => Err(Trouble::Wrong),
            }
        })
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Trouble> {
        match mechanism {
            Mechanism::All => return Ok(true),
            Mechanism::Ip(network) => return Ok(network.contains(self.address)),
            _ => self.count()?,
        }
        let target = |spec: &Option<String>| spec.clone().unwrap_or_else(|| "%{d}".into());
        match mechanism {
            Mechanism::All | Mechanism::Ip(_) => Ok(false),
            Mechanism::Include(target) => {
                let target = self.expand(target, domain)?;
                match self.domain(target).await? {
                    Verdict::Pass => Ok(true),
                    Verdict::None => Err(Trouble::Wrong),
                    _ => Ok(false),
                }
            }
            Mechanism::A(host, prefixes) => {
                let host = self.expand(&target(host), domain)?;
                Ok(self.addresses(&host).await?.into_iter().any(|found| prefixes.cover(found, self.address)))
            }
            Mechanism::Mx(host, prefixes) => {
                let host = self.expand(&target(host), domain)?;
                let answer = self.dns.mx(&host).await.map(|answer| answer.records);
                let hosts = self.or_void(answer)?;
                if hosts.len() > HOSTS {
                    return Err(Trouble::Wrong);
                }
                for (_, exchanger) in hosts {
                    if self.addresses(&exchanger).await?.into_iter().any(|found| prefixes.cover(found, self.address)) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Mechanism::Ptr(host) => {
                let wanted = self.expand(&target(host), domain)?.to_ascii_lowercase();
                let names = self.dns.ptr(&line::reverse_name(self.address)).await.map(|answer| answer.records);
                let names = self.or_void(names)?;
                for name in names.into_iter().take(HOSTS).filter(|name| *name == wanted || name.ends_with(&format!(".{wanted}"))) {
                    if self.addresses(&name).await?.contains(&self.address) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Mechanism::Exists(target) => {
                let target = self.expand(target, domain)?;
                Ok(self.addresses(&target).await?.iter().any(IpAddr::is_ipv4))
            }
        }
    }

    fn count(&mut self) -> Result<(), Trouble> {
        self.lookups += 1;
        if self.lookups > LOOKUPS { Err(Trouble::Wrong) } else { Ok(()) }
    }

    async fn addresses(&mut self, host: &str) -> Result<Vec<IpAddr>, Trouble> {
        let answer = self.dns.addresses(host).await.map(|(v4, v6)| v4.records.into_iter().chain(v6.records).collect());
        self.or_void(answer)
    }

    /// An empty answer is none; too many of them are a fault of the record.
    fn or_void<T>(&mut self, answer: Result<Vec<T>, DnsError>) -> Result<Vec<T>, Trouble> {
        match answer {
            Ok(records) => Ok(records),
            Err(DnsError::Temporary(why)) => Err(Trouble::Unknown(why)),
            Err(DnsError::NoSuchName | DnsError::NoData) => {
                self.voids += 1;
                if self.voids > VOID_LOOKUPS { Err(Trouble::Wrong) } else { Ok(Vec::new()) }
            }
        }
    }

    /// Macros (§7).
    fn expand(&self, spec: &str, domain: &str) -> Result<String, Trouble> {
        let (mut out, mut rest) = (String::new(), spec);
        while let Some((before, macros)) = rest.split_once('%') {
            out.push_str(before);
            rest = match macros.split_at_checked(1).ok_or(Trouble::Wrong)? {
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
                    let (inner, behind) = behind.split_once('}').ok_or(Trouble::Wrong)?;
                    out.push_str(&self.macro_text(inner, domain).ok_or(Trouble::Wrong)?);
                    behind
                }
                _ => return Err(Trouble::Wrong),
            };
        }
        out.push_str(rest);
        // §7.3: what is too long loses labels on the left.
        while out.len() > 253 {
            out = out.split_once('.').map(|(_, shorter)| shorter.to_string()).ok_or(Trouble::Wrong)?;
        }
        Ok(out)
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
                IpAddr::V6(v6) => v6.octets().iter().flat_map(|octet| [octet >> 4, octet & 15]).map(|n| format!("{n:x}")).collect::<Vec<_>>().join("."),
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
        let keep = if count.is_empty() { parts.len() } else { count.parse().ok().filter(|&n: &usize| n > 0)? };
        Some(parts[parts.len().saturating_sub(keep)..].join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::tests::world::World;

    #[test]
    fn records_are_read_or_refused_as_a_whole() {
        for good in
            ["v=spf1", "v=spf1 mx ~all", "V=SPF1 a:x.test/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?all", "v=spf1 exp=%{d} x.y-z=1 redirect=_spf.x.test"]
        {
            assert!(is_record(good) && parse(good).is_some(), "{good}");
        }
        for bad in [
            "v=spf1 mxx", "v=spf1 ip4:x", "v=spf1 ip4:2001:db8::1", "v=spf1 ip6:192.0.2.1", "v=spf1 a/33", "v=spf1 include", "v=spf1 include:", "v=spf1 all:x",
            "v=spf1 -", "v=spf1 redirect=",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(!is_record("v=spf10 mx") && !is_record("\"v=spf1 mx\"") && !is_record("spf2.0/pra"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_says_of_this_address_what_a_receiver_makes_of_it() {
        let world = World::new().await;
        let zone = &world.zone;
        zone.mx("box.test", 10, "mx.box.test");
        zone.address("mx.box.test", "203.0.113.9".parse().unwrap());
        zone.address("elsewhere.test", "198.51.100.77".parse().unwrap());
        zone.address("203.0.113.9.ok.box.test", "127.0.0.2".parse().unwrap());
        zone.pointer("9.113.0.203.in-addr.arpa", "mx.box.test");
        zone.txt("_spf.good.test", "v=spf1 ip4:203.0.113.0/28 -all");
        zone.txt("_spf.bad.test", "v=spf1 ip4:198.51.100.0/28 -all");
        zone.txt("loop.test", "v=spf1 include:loop.test -all");
        let dns = &world.context.outbound.dns;
        let table = [
            ("v=spf1 mx ~all", Ok(Verdict::Pass)),
            ("v=spf1 ip4:198.51.100.77 -all", Ok(Verdict::Fail)),
            ("v=spf1 a:elsewhere.test -all", Ok(Verdict::Fail)),
            ("v=spf1 a:elsewhere.test/0 -all", Ok(Verdict::Pass)),
            ("v=spf1 -all mx", Ok(Verdict::Fail)),
            ("v=spf1 ip4:203.0.113.9", Ok(Verdict::Pass)),
            ("v=spf1 ?mx -all", Ok(Verdict::Neutral)),
            ("v=spf1", Ok(Verdict::Neutral)),
            ("v=spf1 ~all", Ok(Verdict::SoftFail)),
            ("v=spf1 include:_spf.good.test -all", Ok(Verdict::Pass)),
            ("v=spf1 include:_spf.bad.test ~all", Ok(Verdict::SoftFail)),
            ("v=spf1 include:nothing.test -all", Err(Trouble::Wrong)),
            ("v=spf1 redirect=_spf.good.test", Ok(Verdict::Pass)),
            ("v=spf1 redirect=_spf.bad.test", Ok(Verdict::Fail)),
            ("v=spf1 redirect=_spf.bad.test ?all", Ok(Verdict::Neutral)),
            ("v=spf1 exists:%{i}.ok.%{d} -all", Ok(Verdict::Pass)),
            ("v=spf1 exists:%{ir}.ok.%{d2} -all", Ok(Verdict::Fail)),
            ("v=spf1 ptr:box.test -all", Ok(Verdict::Pass)),
            ("v=spf1 ptr:other.test -all", Ok(Verdict::Fail)),
            ("v=spf1 include:loop.test -all", Err(Trouble::Wrong)),
            ("v=spf1 a:n1.test a:n2.test a:n3.test mx -all", Err(Trouble::Wrong)),
            ("v=spf1 mxx mx", Err(Trouble::Wrong)),
            ("v=spf1 mx -all foo", Err(Trouble::Wrong)),
        ];
        for (record, expected) in table {
            zone.remove("box.test", hickory_proto::rr::RecordType::TXT);
            zone.txt("box.test", record);
            dns.clear_cache();
            assert_eq!(evaluate(dns, "box.test", "203.0.113.9".parse().unwrap(), "mx.box.test").await, expected, "{record}");
        }
        zone.txt("box.test", "v=spf1 mx -all");
        dns.clear_cache();
        let address = "203.0.113.9".parse().unwrap();
        assert_eq!(evaluate(dns, "box.test", address, "x").await, Err(Trouble::Wrong), "two records");
        assert_eq!(evaluate(dns, "no-texts.test", address, "x").await, Ok(Verdict::None));
        zone.silence("silent.test");
        assert!(matches!(evaluate(dns, "silent.test", address, "x").await, Err(Trouble::Unknown(_))));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_record_makes_it_panic_or_go_on_for_ever() {
        use proptest::strategy::{Strategy, ValueTree};
        let world = World::new().await;
        let dns = &world.context.outbound.dns;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let terms = "v=spf1( [-+~?]?(all|a|mx|ptr|include|exists|ip4|ip6|redirect|exp)[:=/]?(%\\{[slodivhpx][0-9]{0,3}r?[.+]?\\}|box\\.test|\\PC{0,5}|[0-9./:]{0,9})){0,8}";
        let records = proptest::string::string_regex(terms).unwrap();
        for _ in 0..300 {
            let record = records.new_tree(&mut runner).unwrap().current();
            world.zone.remove("box.test", hickory_proto::rr::RecordType::TXT);
            if record.len() < 255 {
                world.zone.txt("box.test", &record);
            }
            dns.clear_cache();
            let asked = world.zone.asked().len();
            let _ = evaluate(dns, "box.test", "2001:db8::9".parse().unwrap(), "mx.box.test").await;
            assert!(world.zone.asked().len() - asked < 100, "{record}");
        }
    }
}
