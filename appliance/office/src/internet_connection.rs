//! The internet connection: what it can do for mail, seen from here, and what follows from that.
//!
//! `examine` gathers, `advise` decides.
//! The public address is learnt from the servers that are asked anyway: many greet with the address they see.
//! No service is asked for nothing else than that.

use std::net::IpAddr;

use pillarbox_filter::listing::{self, Listing};
use pillarbox_host::net::{self, is_private};
use pillarbox_outbound::Outbound;
use pillarbox_platform::config::Config;
use pillarbox_platform::dns::{Dns, reverse_name};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// A mail server that answered on port 25.
    pub reached: Option<String>,
    /// What went wrong with those that did not.
    pub failures: Vec<String>,
    /// The address the world sees.
    pub address: Option<IpAddr>,
    /// Its name in the DNS.
    pub name: Option<String>,
    /// Whether that name leads back to the address.
    pub is_confirmed: bool,
    /// Lists that say the address sends spam.
    pub listed: Vec<String>,
    /// Lists that say it belongs to a connection that should not send mail itself.
    pub dial_up: Vec<String>,
    /// Lists that gave no answer.
    pub silent: Vec<String>,
}

/// What the owner should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Mail can go directly to the recipients' servers.
    Direct,
    /// It can once some things are mended.
    DirectAfterMending,
    /// It should go through a provider.
    Provider,
}

/// Why: the keys of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    PortClosed,
    AddressUnknown,
    NoName,
    NameNotConfirmed,
    LooksResidential,
    ListedAsDialUp,
    ListedAsSpammer,
}

impl Reason {
    /// Part of the key of its text.
    pub fn key(self) -> &'static str {
        match self {
            Reason::PortClosed => "line-port-closed",
            Reason::AddressUnknown => "line-address-unknown",
            Reason::NoName => "line-no-name",
            Reason::NameNotConfirmed => "line-name-not-confirmed",
            Reason::LooksResidential => "line-looks-residential",
            Reason::ListedAsDialUp => "line-listed-dial-up",
            Reason::ListedAsSpammer => "line-listed",
        }
    }
}

/// Decides by what was found.
pub fn advise(facts: &Facts) -> (Advice, Vec<Reason>) {
    let residential = facts
        .name
        .as_deref()
        .zip(facts.address)
        .is_some_and(|(name, address)| looks_residential(name, address));
    let known = facts.address.is_some();
    let candidates = [
        (facts.reached.is_none(), Reason::PortClosed),
        (!facts.dial_up.is_empty(), Reason::ListedAsDialUp),
        (residential, Reason::LooksResidential),
        (!facts.listed.is_empty(), Reason::ListedAsSpammer),
        (!known, Reason::AddressUnknown),
        (known && facts.name.is_none(), Reason::NoName),
        (facts.name.is_some() && !facts.is_confirmed, Reason::NameNotConfirmed),
    ];
    let reasons: Vec<Reason> =
        candidates.into_iter().filter(|(is, _)| *is).map(|(_, reason)| reason).collect();
    let advice = match reasons.first() {
        None => Advice::Direct,
        Some(
            Reason::PortClosed | Reason::ListedAsDialUp | Reason::LooksResidential | Reason::NoName,
        ) => Advice::Provider,
        Some(_) => Advice::DirectAfterMending,
    };
    (advice, reasons)
}

/// Whether a reverse name looks like that of a household's connection: words that providers use, or the address in it.
pub fn looks_residential(name: &str, address: IpAddr) -> bool {
    const WORDS: [&str; 16] = [
        "dyn", "dynamic", "dsl", "adsl", "vdsl", "cable", "pool", "dialup", "dial", "dip", "ppp",
        "pppoe", "dhcp", "client", "cust", "customer",
    ];
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> =
        name.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()).collect();
    let has_word = words.iter().any(|word| WORDS.contains(word));
    let numbers: Vec<&str> =
        name.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty()).collect();
    let has_address = match address.to_canonical() {
        IpAddr::V4(v4) => {
            let octets: Vec<String> = v4.octets().iter().map(ToString::to_string).collect();
            let mut backwards = octets.clone();
            backwards.reverse();
            numbers.windows(4).any(|w| w == octets.as_slice() || w == backwards.as_slice())
        }
        IpAddr::V6(_) => false,
    };
    has_word || has_address
}

/// A public address that a server names in what it says: `250-mx at your service, [203.0.113.9]`.
pub fn address_in(lines: &[String], not: IpAddr) -> Option<IpAddr> {
    let said = lines.iter().filter_map(|line| line.strip_prefix('<'));
    let words = said
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_hexdigit() || c == '.' || c == ':')));
    let mut addresses =
        words.filter(|word| word.len() > 6).filter_map(|word| word.parse::<IpAddr>().ok());
    addresses.find(|address| !is_private(*address) && *address != not)
}

/// Looks at the connection.
/// Takes as long as the slowest of a few connections, at most about a minute.
pub async fn examine(settings: &Config, dns: &Dns, outbound: &Outbound) -> Facts {
    let mut facts = Facts::default();
    for domain in &settings.line.probes {
        match pillarbox_outbound::greet(outbound, domain).await {
            Ok((host, peer, said)) => {
                facts.address = facts.address.or_else(|| address_in(&said, peer));
                facts.reached.get_or_insert(host);
            }
            Err(why) => facts.failures.push(why.to_string()),
        }
        if facts.reached.is_some() && facts.address.is_some() {
            break;
        }
    }
    // A machine without a router before it has the address the world sees.
    let own = || net::own().into_iter().find(|a| !is_private(*a) && !a.is_unspecified());
    facts.address = facts.address.or_else(own);
    if let Some(address) = facts.address {
        reverse(dns, address, &mut facts).await;
        lists(&settings.line.lists, dns, address, &mut facts).await;
    }
    facts
}

async fn reverse(dns: &Dns, address: IpAddr, facts: &mut Facts) {
    let Ok(names) = dns.ptr(&reverse_name(address)).await else { return };
    for name in names.records.into_iter().take(5) {
        let leads_back = dns.all_addresses(&name).await.is_ok_and(|found| found.contains(&address));
        facts.name.get_or_insert(name);
        facts.is_confirmed |= leads_back;
    }
}

async fn lists(lists: &[String], dns: &Dns, address: IpAddr, facts: &mut Facts) {
    for list in lists {
        match listing::ask(dns, list, address).await {
            Listing::Listed => facts.listed.push(list.clone()),
            Listing::DialUp => facts.dial_up.push(list.clone()),
            Listing::Silent => facts.silent.push(list.clone()),
            Listing::Unlisted => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn household_lines_are_known_by_their_names() {
        for (name, is) in [
            ("p5b2e1f3a.dip0.t-ipconnect.de", true),
            ("p5b2e1f3a.dip.t-ipconnect.de", true),
            ("ip-203-0-113-9.example.net", true),
            ("9.113.0.203.dyn.example.net", true),
            ("203-0-113-9.static.example.net", true),
            ("mail.example.org", false),
            ("mx203.example.org", false),
            ("dynamo.example.org", false),
        ] {
            assert_eq!(looks_residential(name, ip("203.0.113.9")), is, "{name}");
        }
    }

    #[test]
    fn the_advice_follows_from_what_was_found() {
        let good = Facts {
            reached: Some("mx".into()),
            address: Some(ip("203.0.113.9")),
            name: Some("mail.example.org".into()),
            is_confirmed: true,
            ..Facts::default()
        };
        assert_eq!(advise(&good), (Advice::Direct, vec![]));
        assert_eq!(
            advise(&Facts { is_confirmed: false, ..good.clone() }),
            (Advice::DirectAfterMending, vec![Reason::NameNotConfirmed])
        );
        assert_eq!(
            advise(&Facts { listed: vec!["l".into()], ..good.clone() }).0,
            Advice::DirectAfterMending
        );
        assert_eq!(
            advise(&Facts { dial_up: vec!["l".into()], ..good.clone() }).0,
            Advice::Provider
        );
        assert_eq!(
            advise(&Facts { name: None, ..good.clone() }),
            (Advice::Provider, vec![Reason::NoName])
        );
        assert_eq!(advise(&Facts { reached: None, ..good }).0, Advice::Provider);
        assert_eq!(
            advise(&Facts::default()),
            (Advice::Provider, vec![Reason::PortClosed, Reason::AddressUnknown])
        );
    }

    #[test]
    fn addresses_are_read_from_what_servers_say() {
        let lines = |text: &str| vec!["> EHLO box".to_string(), format!("< {text}")];
        let not = ip("198.51.100.1");
        assert_eq!(
            address_in(&lines("250-mx.example at your service, [203.0.113.9]"), not),
            Some(ip("203.0.113.9"))
        );
        assert_eq!(
            address_in(&lines("250-mx.example Hello [2001:db8::5] pleased"), not),
            Some(ip("2001:db8::5"))
        );
        assert_eq!(address_in(&lines("250-mx.example [192.168.1.4] and 198.51.100.1"), not), None);
    }
}
