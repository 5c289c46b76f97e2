//! The box's own records: its addresses, and its services as they are browsed for (RFC 6763).

use std::net::IpAddr;

use hickory_proto::rr::rdata::{A, AAAA, NULL, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::packet::{Known, Question};

/// What the box serves, and on which port; an instance has the box's own name.
/// Mail programs and browsers look for these.
const SERVICES: [(&str, u16); 4] =
    [("_http", 80), ("_pop3s", 995), ("_smtp", 25), ("_submission", 587)];

/// Seconds that records with the host's name in them, and all others, may be kept (RFC 6762 §10).
pub const TTL_HOST: u32 = 120;
const TTL_OTHER: u32 = 4500;

/// One of the box's records.
/// Numbers are places in [`SERVICES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Address(IpAddr),
    /// Which types of address there are, and that there are no others (RFC 6762 §6.1).
    HostTypes,
    /// That the box serves this at all (RFC 6763 §9).
    Service(usize),
    /// Who serves it.
    Instance(usize),
    /// Where.
    Server(usize),
    /// More about it: nothing.
    Text(usize),
    InstanceTypes(usize),
}

impl Item {
    /// Other machines have records of this name and type, too: answers of several wait for each other (RFC 6762 §6).
    pub fn is_shared(self) -> bool {
        matches!(self, Item::Service(_) | Item::Instance(_))
    }
}

/// A name with all that follows from it.
#[derive(Debug)]
pub struct Names {
    pub host: Name,
    list: Name,
    services: Vec<Name>,
    instances: Vec<Name>,
}

impl Names {
    /// `label`: one of [`super::candidates`], so that no name made of it is too long.
    pub fn of(label: &str) -> Names {
        let name = |labels: &[&str]| {
            let octets = labels.iter().chain(&["local"]).map(|label| label.as_bytes());
            Name::from_labels(octets).unwrap_or_default()
        };
        Names {
            host: name(&[label]),
            list: name(&["_services", "_dns-sd", "_udp"]),
            services: SERVICES.iter().map(|(service, _)| name(&[service, "_tcp"])).collect(),
            instances: SERVICES
                .iter()
                .map(|(service, _)| name(&[label, service, "_tcp"]))
                .collect(),
        }
    }

    /// Everything that is announced.
    pub fn all(addresses: &[IpAddr]) -> Vec<Item> {
        let services = (0..SERVICES.len()).flat_map(|at| {
            [
                Item::Service(at),
                Item::Instance(at),
                Item::Server(at),
                Item::Text(at),
                Item::InstanceTypes(at),
            ]
        });
        addresses
            .iter()
            .copied()
            .map(Item::Address)
            .chain([Item::HostTypes])
            .chain(services)
            .collect()
    }

    /// The answers to a question; empty when it is about nothing of ours.
    pub fn answers(&self, question: &Question, addresses: &[IpAddr]) -> Vec<Item> {
        let is_any = question.kind == RecordType::ANY;
        let asks = |kind| is_any || question.kind == kind;
        if question.name == self.host {
            let found = addresses
                .iter()
                .copied()
                .filter(|address| asks(type_of(*address)))
                .map(Item::Address)
                .collect::<Vec<_>>();
            return if found.is_empty() { vec![Item::HostTypes] } else { found };
        }
        if question.name == self.list && asks(RecordType::PTR) {
            return (0..SERVICES.len()).map(Item::Service).collect();
        }
        if let Some(at) = self.services.iter().position(|service| *service == question.name) {
            return if asks(RecordType::PTR) { vec![Item::Instance(at)] } else { Vec::new() };
        }
        let Some(at) = self.instances.iter().position(|instance| *instance == question.name) else {
            return Vec::new();
        };
        match question.kind {
            RecordType::ANY => vec![Item::Server(at), Item::Text(at)],
            RecordType::SRV => vec![Item::Server(at)],
            RecordType::TXT => vec![Item::Text(at)],
            _ => vec![Item::InstanceTypes(at)],
        }
    }

    /// What whoever gets these answers asks for next (RFC 6763 §12, RFC 6762 §6.2).
    pub fn more(answers: &[Item], addresses: &[IpAddr]) -> Vec<Item> {
        let mut more = Vec::new();
        for item in answers {
            if let Item::Instance(at) = item {
                more.extend([Item::Server(*at), Item::Text(*at)]);
            }
        }
        if answers
            .iter()
            .any(|item| matches!(item, Item::Address(_) | Item::Instance(_) | Item::Server(_)))
        {
            more.extend(addresses.iter().copied().map(Item::Address));
            if !(addresses.iter().any(IpAddr::is_ipv4) && addresses.iter().any(IpAddr::is_ipv6)) {
                more.push(Item::HostTypes);
            }
        }
        more.retain(|item| !answers.contains(item));
        more
    }

    /// The record itself.
    /// `addresses` are those of the interface that it is sent on.
    pub fn record(&self, item: Item, addresses: &[IpAddr]) -> Record {
        let instance = |at: usize| self.instances[at].clone();
        let (name, ttl, data) = match item {
            Item::Address(IpAddr::V4(v4)) => (self.host.clone(), TTL_HOST, RData::A(A(v4))),
            Item::Address(IpAddr::V6(v6)) => (self.host.clone(), TTL_HOST, RData::AAAA(AAAA(v6))),
            Item::HostTypes => {
                let mut types: Vec<RecordType> = addresses.iter().copied().map(type_of).collect();
                types.dedup();
                (self.host.clone(), TTL_HOST, only(&self.host, &types))
            }
            Item::Service(at) => {
                (self.list.clone(), TTL_OTHER, RData::PTR(PTR(self.services[at].clone())))
            }
            Item::Instance(at) => {
                (self.services[at].clone(), TTL_OTHER, RData::PTR(PTR(instance(at))))
            }
            Item::Server(at) => (
                instance(at),
                TTL_HOST,
                RData::SRV(SRV::new(0, 0, SERVICES[at].1, self.host.clone())),
            ),
            // RFC 6763 §6.1: one string of no octets.
            Item::Text(at) => (instance(at), TTL_OTHER, RData::TXT(TXT::new(vec![String::new()]))),
            Item::InstanceTypes(at) => (
                instance(at),
                TTL_OTHER,
                only(&self.instances[at], &[RecordType::TXT, RecordType::SRV]),
            ),
        };
        let mut record = Record::from_rdata(name, ttl, data);
        record.mdns_cache_flush = !item.is_shared();
        record
    }

    /// Does the one who asks know this record already, for at least half of its time (RFC 6762 §7.1)?
    pub fn is_known(&self, item: Item, addresses: &[IpAddr], known: &[Known]) -> bool {
        let ours = self.record(item, addresses);
        known.iter().any(|known| {
            known.data == ours.data && known.name == ours.name && known.ttl >= ours.ttl / 2
        })
    }
}

pub fn type_of(address: IpAddr) -> RecordType {
    if address.is_ipv4() { RecordType::A } else { RecordType::AAAA }
}

/// NSEC as multicast DNS has it: of this name there are these types and no others (RFC 6762 §6.1, RFC 4034 §4.1).
/// All types are below 256, so there is one block of bits.
fn only(name: &Name, types: &[RecordType]) -> RData {
    let mut bits = [0u8; 32];
    for kind in types {
        let number = usize::from(u16::from(*kind)) & 0xff;
        bits[number / 8] |= 0x80 >> (number % 8);
    }
    let length = bits.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    let mut octets = Vec::new();
    for label in name.iter() {
        // A label has at most 63 octets.
        octets.push(label.len() as u8);
        octets.extend_from_slice(label);
    }
    octets.extend([0, 0, length as u8]);
    octets.extend_from_slice(&bits[..length]);
    RData::Unknown { code: RecordType::NSEC, rdata: NULL::with(octets) }
}
