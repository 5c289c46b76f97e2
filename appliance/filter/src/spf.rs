//! SPF as a receiver evaluates it (RFC 7208): may this address send mail of this domain?

pub mod record;

use std::net::IpAddr;
use std::pin::Pin;

use pillarbox_platform::dns::{Answer, Dns, DnsError, reverse_name};
pub use record::Verdict;
use record::{Mechanism, Prefixes, Sender, Term, is_record, parse};

/// Terms that ask the DNS (§4.6.4).
const LOOKUPS: u32 = 10;
/// Answers with nothing in them (§4.6.4).
const VOID_LOOKUPS: u32 = 2;
/// Hosts of one `mx` or `ptr` term (§4.6.4).
const HOSTS: usize = 10;

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The records are wrong (`permerror`).
    Wrong,
    /// Something could not be looked up now (`temperror`).
    Unknown(String),
}

/// What a receiver concludes, or why it can't.
pub type Outcome = Result<Verdict, Trouble>;

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    pub address: IpAddr,
    /// The name said in EHLO.
    pub helo: &'a str,
    /// The local part of the reverse-path; `postmaster` where there is none (§4.3).
    pub local: &'a str,
}

/// Evaluates a domain's record for a client.
pub async fn evaluate(dns: &Dns, domain: &str, client: &Client<'_>) -> Outcome {
    let Client { address, helo, local } = *client;
    let sender =
        Sender { address: address.to_canonical(), local, origin: domain, helo, name: "unknown" };
    let name = None;
    Evaluation { dns: Names(dns), sender, name, lookups: 0, voids: 0 }
        .domain(domain.to_string())
        .await
}

/// Questions to the DNS as small futures: records lead from one to the next, and what asks needs much of a stack.
#[derive(Clone, Copy)]
struct Names<'a>(&'a Dns);

type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, DnsError>> + Send + 'a>>;

impl<'a> Names<'a> {
    #[inline(never)]
    fn txt(self, name: &'a str) -> Asking<'a, Answer<String>> {
        Box::pin(self.0.txt(name))
    }

    #[inline(never)]
    fn mx(self, name: &'a str) -> Asking<'a, Answer<(u16, String)>> {
        Box::pin(self.0.mx(name))
    }

    #[inline(never)]
    fn ptr(self, name: &'a str) -> Asking<'a, Answer<String>> {
        Box::pin(self.0.ptr(name))
    }

    #[inline(never)]
    fn addresses(self, name: &'a str) -> Asking<'a, Vec<IpAddr>> {
        Box::pin(self.0.all_addresses(name))
    }
}

struct Evaluation<'a> {
    dns: Names<'a>,
    sender: Sender<'a>,
    /// The name of the address, once it was asked for.
    name: Option<String>,
    lookups: u32,
    voids: u32,
}

type Evaluating<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

impl Evaluation<'_> {
    /// `check_host` (§4).
    fn domain(&mut self, domain: String) -> Evaluating<'_> {
        Box::pin(async move {
            let texts = match self.dns.txt(&domain).await {
                Ok(answer) => answer.records,
                Err(DnsError::NoSuchName | DnsError::NoData) => return Ok(Verdict::None),
                Err(DnsError::Temporary(why)) => return Err(Trouble::Unknown(why)),
            };
            let mut records = texts.iter().filter(|text| is_record(text));
            let (Some(record), None) = (records.next(), records.next()) else {
                return if texts.iter().any(|text| is_record(text)) {
                    Err(Trouble::Wrong)
                } else {
                    Ok(Verdict::None)
                };
            };
            let terms = parse(record).ok_or(Trouble::Wrong)?;
            for term in &terms {
                if let Term::Mechanism(verdict, mechanism) = term
                    && self.matches(mechanism, &domain).await?
                {
                    return Ok(*verdict);
                }
            }
            // There is one at most, else the record is none.
            let redirect = terms.iter().find_map(|term| {
                if let Term::Redirect(target) = term { Some(target) } else { None }
            });
            let Some(target) = redirect else { return Ok(Verdict::Neutral) };
            self.count()?;
            let target = self.expand(target, &domain).await?;
            match self.domain(target).await? {
                Verdict::None => Err(Trouble::Wrong),
                verdict => Ok(verdict),
            }
        })
    }

    /// Whether a mechanism is about the sender's address (§5).
    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Trouble> {
        match mechanism {
            Mechanism::All => return Ok(true),
            Mechanism::Ip(network) => return Ok(network.contains(self.sender.address)),
            _ => self.count()?,
        }
        match mechanism {
            Mechanism::All | Mechanism::Ip(_) => Ok(false),
            Mechanism::Include(target) => {
                let target = self.expand(target, domain).await?;
                match self.domain(target).await? {
                    Verdict::Pass => Ok(true),
                    Verdict::None => Err(Trouble::Wrong),
                    _ => Ok(false),
                }
            }
            Mechanism::A(host, prefixes) => {
                let host = self.expand(or_domain(host), domain).await?;
                self.is_covered(&host, *prefixes).await
            }
            Mechanism::Mx(host, prefixes) => {
                let host = self.expand(or_domain(host), domain).await?;
                self.is_exchanger(&host, *prefixes).await
            }
            Mechanism::Ptr(host) => {
                let host = self.expand(or_domain(host), domain).await?;
                self.is_named_below(&host.to_ascii_lowercase()).await
            }
            Mechanism::Exists(target) => {
                let target = self.expand(target, domain).await?;
                Ok(self.addresses(&target).await?.iter().any(IpAddr::is_ipv4))
            }
        }
    }

    /// Whether the sender's address is one of a host's, or near it (§5.3).
    async fn is_covered(&mut self, host: &str, prefixes: Prefixes) -> Result<bool, Trouble> {
        let addresses = self.addresses(host).await?;
        Ok(addresses.into_iter().any(|found| prefixes.cover(found, self.sender.address)))
    }

    /// Whether the sender's address is one of the hosts that take mail for a domain (§5.4).
    async fn is_exchanger(&mut self, domain: &str, prefixes: Prefixes) -> Result<bool, Trouble> {
        let answer = self.dns.mx(domain).await.map(|answer| answer.records);
        let hosts = self.or_void(answer)?;
        if hosts.len() > HOSTS {
            return Err(Trouble::Wrong);
        }
        for (_, exchanger) in hosts {
            if self.is_covered(&exchanger, prefixes).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the sender's address has a name in a domain, which leads back to the address (§5.5).
    async fn is_named_below(&mut self, domain: &str) -> Result<bool, Trouble> {
        let reverse = reverse_name(self.sender.address);
        let names = self.dns.ptr(&reverse).await.map(|answer| answer.records);
        let names = self.or_void(names)?;
        let below = format!(".{domain}");
        for name in names.into_iter().take(HOSTS) {
            if (name == domain || name.ends_with(&below))
                && self.addresses(&name).await?.contains(&self.sender.address)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A name with its macros filled in (§7).
    async fn expand(&mut self, spec: &str, domain: &str) -> Result<String, Trouble> {
        let wants_name = spec.contains("%{p") || spec.contains("%{P");
        if wants_name && self.name.is_none() {
            self.name = Some(self.name_for(domain).await);
        }
        let name = self.name.as_deref().unwrap_or(self.sender.name);
        Sender { name, ..self.sender }.expand(spec, domain).ok_or(Trouble::Wrong)
    }

    /// A name of the address that leads back to it (§7.3): the domain's own, else one below it, else any.
    async fn name_for(&self, domain: &str) -> String {
        let reverse = reverse_name(self.sender.address);
        let names = self.dns.ptr(&reverse).await.map(|answer| answer.records).unwrap_or_default();
        let mut found = Vec::new();
        for name in names.into_iter().take(HOSTS) {
            let addresses = self.dns.addresses(&name).await;
            if addresses.is_ok_and(|found| found.contains(&self.sender.address)) {
                found.push(name.trim_end_matches('.').to_ascii_lowercase());
            }
        }
        let (domain, below) = (domain.to_ascii_lowercase(), format!(".{}", domain.to_lowercase()));
        let best = found.iter().find(|name| **name == domain);
        let best = best.or_else(|| found.iter().find(|name| name.ends_with(&below)));
        best.or(found.first()).cloned().unwrap_or_else(|| self.sender.name.to_string())
    }

    /// Counts a term that asks the DNS.
    fn count(&mut self) -> Result<(), Trouble> {
        self.lookups += 1;
        if self.lookups > LOOKUPS { Err(Trouble::Wrong) } else { Ok(()) }
    }

    async fn addresses(&mut self, host: &str) -> Result<Vec<IpAddr>, Trouble> {
        let answer = self.dns.addresses(host).await;
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
}

/// The host of a mechanism; without one the domain itself is meant.
fn or_domain(host: &Option<String>) -> &str {
    host.as_deref().unwrap_or("%{d}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pillarbox_outbound::tests::world::World;

    fn client(address: &str) -> Client<'static> {
        Client { address: address.parse().unwrap(), helo: "mx.box.test", local: "ann" }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_says_of_this_address_what_a_receiver_makes_of_it() {
        let world = World::new().await;
        let zone = &world.zone;
        zone.mx("box.test", 10, "mx.box.test");
        zone.address("mx.box.test", "203.0.113.9".parse().unwrap());
        zone.address("elsewhere.test", "198.51.100.77".parse().unwrap());
        zone.address("203.0.113.9.ok.box.test", "127.0.0.2".parse().unwrap());
        zone.address("ann.203.0.113.9.ok.box.test", "127.0.0.2".parse().unwrap());
        zone.pointer("9.113.0.203.in-addr.arpa", "mx.box.test");
        zone.txt("_spf.good.test", "v=spf1 ip4:203.0.113.0/28 -all");
        zone.txt("_spf.bad.test", "v=spf1 ip4:198.51.100.0/28 -all");
        zone.txt("loop.test", "v=spf1 include:loop.test -all");
        let dns = &world.handles.dns;
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
            ("v=spf1 exists:%{l}.%{i}.ok.%{d} -all", Ok(Verdict::Pass)),
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
            assert_eq!(
                evaluate(dns, "box.test", &client("203.0.113.9")).await,
                expected,
                "{record}"
            );
        }
        zone.txt("box.test", "v=spf1 mx -all");
        dns.clear_cache();
        let client = client("203.0.113.9");
        assert_eq!(evaluate(dns, "box.test", &client).await, Err(Trouble::Wrong), "two records");
        assert_eq!(evaluate(dns, "no-texts.test", &client).await, Ok(Verdict::None));
        zone.silence("silent.test");
        assert!(matches!(evaluate(dns, "silent.test", &client).await, Err(Trouble::Unknown(_))));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_record_makes_it_panic_or_go_on_for_ever() {
        use proptest::strategy::{Strategy, ValueTree};
        let world = World::new().await;
        let dns = &world.handles.dns;
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
            let _ = evaluate(dns, "box.test", &client("2001:db8::9")).await;
            assert!(world.zone.asked().len() - asked < 100, "{record}");
        }
    }
}
