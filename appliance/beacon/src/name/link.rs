//! What happens on one interface: the addresses there, how far the name has come, what waits to be said.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use pillarbox_vocabulary::AddressBlock;

use super::records::Item;

/// Addresses of one interface that are announced; IPv6 may give a machine more than are of use.
const ANNOUNCED: usize = 16;
/// RFC 6762 §6.2: a record is sent to all no more often than this, and no more often than that to defend a name.
pub const GAP: Duration = Duration::from_secs(1);
pub const GAP_DEFENCE: Duration = Duration::from_millis(250);

/// An address of an interface with the length of its network's prefix, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    pub ip: IpAddr,
    pub prefix: u8,
}

/// How far the name has come here (RFC 6762 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Probing(Probing),
    Announcing { left: u8, next: Instant },
    Held,
}

/// Asking whether the name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    /// Questions sent in this attempt.
    pub sent: u8,
    pub next: Instant,
    /// The name was held, and somebody answered for it: only answers to these questions count (RFC 6762 §9).
    pub is_check: bool,
    /// Attempts that were lost to somebody who asked for the same name at the same time.
    pub losses: u8,
}

#[derive(Debug)]
pub struct Link {
    addresses: Vec<Address>,
    pub phase: Phase,
    /// When each record was last sent to all.
    sent: BTreeMap<Item, Instant>,
    /// What is to be sent to all, and when.
    waiting: BTreeMap<Item, Instant>,
}

impl Link {
    /// `next`: when the first question is asked.
    pub fn new(addresses: Vec<Address>, next: Instant) -> Link {
        let mut link = Link {
            addresses: Vec::new(),
            phase: Phase::Held,
            sent: BTreeMap::new(),
            waiting: BTreeMap::new(),
        };
        link.set_addresses(addresses);
        link.probe(next, false);
        link
    }

    /// Begins to ask whether the name is taken; until that is known nothing is said about it.
    pub fn probe(&mut self, next: Instant, is_check: bool) {
        self.phase = Phase::Probing(Probing { sent: 0, next, is_check, losses: 0 });
        self.waiting.clear();
    }

    /// The name is another one: nothing was said of it yet.
    pub fn forget(&mut self) {
        self.waiting.clear();
        self.sent.clear();
    }

    /// Did the others hear of the name here?
    pub fn was_announced(&self) -> bool {
        !self.sent.is_empty()
    }

    pub fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::Probing(_))
    }

    pub fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|address| address.ip == ip)
    }

    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Takes the addresses in the order in which they are announced: IPv4, IPv6 beyond the link, what the interface
    /// gave itself.
    pub fn set_addresses(&mut self, mut addresses: Vec<Address>) {
        addresses.sort_by_key(|address| (is_link_local(address.ip), *address));
        addresses.dedup();
        self.addresses = addresses;
        let announced = self.announced();
        let is_there = |item: &Item| !matches!(item, Item::Address(ip) if !announced.contains(ip));
        self.sent.retain(|item, _| is_there(item));
        self.waiting.retain(|item, _| is_there(item));
    }

    /// What others may know.
    /// An IPv4 address that the interface gave itself is of use only where there is no other; one of IPv6 always is,
    /// because on a cable without a router it is all there is.
    pub fn announced(&self) -> Vec<IpAddr> {
        let has_better =
            self.addresses.iter().any(|address| address.ip.is_ipv4() && !is_link_local(address.ip));
        let of_use = |ip: &IpAddr| !(ip.is_ipv4() && has_better && is_link_local(*ip));
        let mut found: Vec<IpAddr> = self
            .addresses
            .iter()
            .map(|address| address.ip)
            .filter(of_use)
            .take(ANNOUNCED)
            .collect();
        found.sort_by_key(IpAddr::is_ipv6);
        found
    }

    /// Is it an address of this link (RFC 6762 §11)?
    pub fn reaches(&self, peer: IpAddr) -> bool {
        matches!(peer, IpAddr::V6(v6) if v6.is_unicast_link_local())
            || self
                .addresses
                .iter()
                .any(|own| AddressBlock::around(own.ip, own.prefix).contains(peer))
    }

    /// Sends these to all, at `earliest`, or as soon as each may be sent again.
    pub fn send(&mut self, items: &[Item], earliest: Instant, gap: Duration) {
        for item in items {
            let due = self.sent.get(item).map_or(earliest, |sent| earliest.max(*sent + gap));
            self.waiting.entry(*item).and_modify(|known| *known = due.min(*known)).or_insert(due);
        }
    }

    /// Was it sent to all within this time?
    pub fn was_sent(&self, item: Item, within: Duration, now: Instant) -> bool {
        self.sent.get(&item).is_some_and(|sent| now.duration_since(*sent) < within)
    }

    pub fn note_sent(&mut self, items: &[Item], now: Instant) {
        for item in items {
            self.sent.insert(*item, now);
            self.waiting.remove(item);
        }
    }

    /// What is to be sent to all now.
    pub fn due(&self, now: Instant) -> Vec<Item> {
        self.waiting.iter().filter(|(_, due)| **due <= now).map(|(item, _)| *item).collect()
    }

    /// When something is to be done here.
    pub fn deadline(&self) -> Option<Instant> {
        let step = match self.phase {
            Phase::Probing(probing) => Some(probing.next),
            Phase::Announcing { next, .. } => Some(next),
            Phase::Held => None,
        };
        step.into_iter().chain(self.waiting.values().copied()).min()
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        let (ip, prefix) = text.split_once('/').unwrap();
        Address { ip: ip.parse().unwrap(), prefix: prefix.parse().unwrap() }
    }

    #[test]
    fn a_link_has_its_networks() {
        let link = Link::new(
            vec![address("192.168.1.7/24"), address("2001:db8:1::7/64"), address("10.0.0.1/32")],
            Instant::now(),
        );
        for (peer, is) in [
            ("192.168.1.200", true),
            ("192.168.2.1", false),
            ("10.0.0.1", true),
            ("10.0.0.2", false),
            ("fe80::9", true),
            ("2001:db8:1::ffff", true),
            ("2001:db8:2::1", false),
        ] {
            assert_eq!(link.reaches(peer.parse().unwrap()), is, "{peer}");
        }
        let whole = Link::new(vec![address("192.168.1.7/0")], Instant::now());
        assert!(whole.reaches("8.8.8.8".parse().unwrap()));
    }

    #[test]
    fn what_an_interface_gave_itself_is_announced_where_it_is_of_use() {
        let announced = |texts: &[&str]| {
            let link = Link::new(texts.iter().map(|text| address(text)).collect(), Instant::now());
            link.announced().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            announced(&["fe80::7/64", "169.254.3.3/16", "2001:db8::7/64", "192.168.1.7/24"]),
            "192.168.1.7 2001:db8::7 fe80::7"
        );
        assert_eq!(announced(&["fe80::7/64", "169.254.3.3/16"]), "169.254.3.3 fe80::7");
        assert_eq!(announced(&["fe80::7/64"]), "fe80::7");
    }
}
