//! The responder: packets and time go in, packets come out.
//!
//! Call order: [`Responder::set_links`] whenever the interfaces may have changed, [`Responder::receive`] for each
//! packet, [`Responder::advance`] at [`Responder::deadline`]; after each of them [`Responder::poll`] until it gives
//! nothing, and [`Responder::standing`].
//! [`Responder::stop`] says good-bye.
//!
//! | the name | on an interface | meaning |
//! |---|---|---|
//! | sought | probing | asks whether the name is taken (RFC 6762 §8.1) |
//! | held | announcing, held | answers and defends it (§8.3, §9) |
//! | held | probing | a new interface, or a check after somebody else answered for the name |
//! | none | | all names are taken; silent for [`SILENCE`] |

mod answers;
mod conflicts;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_proto::rr::Record;

use super::candidates::candidates;
use super::link::{Address, GAP, Link, Phase, Probing};
use super::packet::{self, PORT};
use super::records::{Item, Names, TTL_HOST};

/// The kernel's number of an interface.
pub type LinkId = u32;

/// RFC 6762 §8.1: questions, the time between two of them, and at most so long before the first.
const PROBES: u8 = 3;
const PROBE_GAP: Duration = Duration::from_millis(250);
/// RFC 6762 §8.3.
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCEMENT_GAP: Duration = Duration::from_secs(1);
/// An address that was ours a moment ago is still ours when it comes back to us.
const ECHO: Duration = Duration::from_secs(120);
/// A name that is held is checked when somebody else answers for it, but then not again for so long; twice as long each
/// time.
const CHECK_GAP: Duration = Duration::from_secs(5);
/// All names are taken: tried again after this.
const SILENCE: Duration = Duration::from_secs(600);
/// Addresses in a claim, of all interfaces together.
const CLAIMED: usize = 32;

/// What has become of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Not yet known.
    Sought,
    /// Without its ".local".
    Held(&'a str),
    /// All are taken.
    None,
}

/// A packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub link: LinkId,
    pub to: Target,
    pub octets: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everybody on the link, by IPv4 and IPv6.
    Group,
    One(SocketAddr),
}

/// How a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the group's address, so from this link.
    Group,
    /// To the machine's own address.
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sought,
    Held,
    None { until: Instant },
}

/// Holds a name for the machine.
/// It knows neither sockets nor a clock; the time must never go back.
#[derive(Debug)]
pub struct Responder {
    labels: Vec<String>,
    /// Which of the labels is tried or held, and how many were lost since one was held.
    at: usize,
    lost: usize,
    names: Names,
    state: State,
    links: BTreeMap<LinkId, Link>,
    /// Addresses that were ours, and until when they count.
    recent: BTreeMap<IpAddr, Instant>,
    last_check: Option<Instant>,
    check_gap: Duration,
    chance: fastrand::Rng,
    out: VecDeque<Packet>,
}

impl Responder {
    /// `machine`: the machine's own name.
    /// `last`: the name it held before, which is tried first if it follows from the machine's.
    /// `seed`: for the waits that chance decides.
    pub fn new(machine: &str, last: Option<&str>, seed: u64) -> Responder {
        let labels = candidates(machine);
        let at = labels.iter().position(|label| Some(&label[..]) == last).unwrap_or(0);
        Responder {
            names: Names::of(&labels[at]),
            labels,
            at,
            lost: 0,
            state: State::Sought,
            links: BTreeMap::new(),
            recent: BTreeMap::new(),
            last_check: None,
            check_gap: CHECK_GAP,
            chance: fastrand::Rng::with_seed(seed),
            out: VecDeque::new(),
        }
    }

    /// Could this machine hold that name?
    pub fn may_hold(&self, label: &str) -> bool {
        self.labels.iter().any(|known| known == label)
    }

    pub fn standing(&self) -> Standing<'_> {
        match self.state {
            State::Sought => Standing::Sought,
            State::Held => Standing::Held(&self.labels[self.at]),
            State::None { .. } => Standing::None,
        }
    }

    /// When [`Responder::advance`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::None { until } => Some(until),
            _ => self.links.values().filter_map(Link::deadline).min(),
        }
    }

    /// The next packet to send.
    pub fn poll(&mut self) -> Option<Packet> {
        self.out.pop_front()
    }

    /// The interfaces that lead to others, each with all its addresses.
    /// The name is tried on those that are new, and where an interface can now be reached by a family of addresses that
    /// it did not have; other changes are announced (RFC 6762 §8.4).
    pub fn set_links(&mut self, found: &[(LinkId, Vec<Address>)], now: Instant) {
        self.recent.retain(|_, until| *until > now);
        let found: BTreeMap<LinkId, Vec<Address>> =
            found.iter().filter(|(_, addresses)| !addresses.is_empty()).cloned().collect();
        for (id, link) in &self.links {
            let is_gone = |address: &&Address| {
                found.get(id).is_none_or(|left| !left.iter().any(|other| other.ip == address.ip))
            };
            self.recent.extend(
                link.addresses().iter().filter(is_gone).map(|address| (address.ip, now + ECHO)),
            );
        }
        self.links.retain(|id, _| found.contains_key(id));
        for (id, addresses) in found {
            let first = now + self.up_to(PROBE_GAP);
            let Some(link) = self.links.get_mut(&id) else {
                self.links.insert(id, Link::new(addresses, first));
                continue;
            };
            let before = link.announced();
            link.set_addresses(addresses);
            let after = link.announced();
            let has_new = |is_family: fn(&IpAddr) -> bool| {
                after.iter().any(is_family) && !before.iter().any(is_family)
            };
            if before == after || link.is_probing() {
                continue;
            }
            let gone: Vec<Record> = before
                .iter()
                .filter(|ip| !after.contains(ip))
                .map(|ip| ended(self.names.record(Item::Address(*ip), &before)))
                .collect();
            if has_new(IpAddr::is_ipv4) || has_new(IpAddr::is_ipv6) {
                link.probe(first, false);
            } else {
                link.phase = Phase::Announcing { left: ANNOUNCEMENTS, next: now };
            }
            if !gone.is_empty() {
                self.queue(id, &gone, &[]);
            }
        }
        self.advance(now);
    }

    /// Takes a packet.
    /// Whatever it is: it makes at most one answer to its sender, and what is sent to all is bounded by time.
    pub fn receive(&mut self, id: LinkId, from: SocketAddr, way: Way, octets: &[u8], now: Instant) {
        let Some(heard) = packet::read(octets) else { return };
        let Some(link) = self.links.get(&id) else { return };
        // RFC 6762 §11: what came to the group's address is from this link, whatever its sender's address.
        if way == Way::Direct && !link.reaches(from.ip())
            || matches!(self.state, State::None { .. })
        {
            return;
        }
        match heard.is_response {
            // RFC 6762 §6: only responders send from this port.
            true if from.port() == PORT => self.hear_answers(id, &heard, now),
            true => {}
            false => {
                if !self.hear_claim(id, &heard, now) {
                    self.answer(id, from, way, &heard, now);
                }
            }
        }
        self.advance(now);
    }

    /// Does what is due.
    pub fn advance(&mut self, now: Instant) {
        if let State::None { until } = self.state {
            if now < until {
                return;
            }
            (self.lost, self.state) = (0, State::Sought);
            self.try_name(0, now);
        }
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.advance_link(id, now);
        }
    }

    /// Says good-bye: what was announced is no longer so (RFC 6762 §10.1).
    /// What others may serve as well stays said.
    pub fn stop(&mut self) {
        self.say_goodbye(|item| !matches!(item, Item::Service(_)));
        self.links.clear();
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.chance.u64(0..=most.as_millis() as u64))
    }

    /// Is it an address of this machine, or was it one a moment ago?
    fn is_ours(&self, ip: IpAddr, now: Instant) -> bool {
        self.links.values().any(|link| link.has(ip))
            || self.recent.get(&ip).is_some_and(|until| *until > now)
    }

    /// All addresses under which others find the machine, whatever the interface: claims are compared as a whole, so
    /// that two machines that meet on two interfaces at once come to the same end on both.
    fn claim(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = self.links.values().flat_map(Link::announced).collect();
        all.sort();
        all.dedup();
        all.truncate(CLAIMED);
        all
    }

    fn try_name(&mut self, at: usize, now: Instant) {
        self.at = at;
        self.names = Names::of(&self.labels[at]);
        self.links.values_mut().for_each(Link::forget);
        self.probe_everywhere(now, false);
    }

    fn probe_everywhere(&mut self, now: Instant, is_check: bool) {
        let first = now + self.up_to(PROBE_GAP);
        self.links.values_mut().for_each(|link| link.probe(first, is_check));
    }

    fn advance_link(&mut self, id: LinkId, now: Instant) {
        let claim = self.claim();
        let Some(link) = self.links.get_mut(&id) else { return };
        match link.phase {
            Phase::Probing(probing) if probing.next <= now && probing.sent < PROBES => {
                link.phase = Phase::Probing(Probing {
                    sent: probing.sent + 1,
                    next: now + PROBE_GAP,
                    ..probing
                });
                // The first asks for an answer to us alone.
                // A repeater would get that answer instead: the others don't.
                let claims = claim
                    .iter()
                    .map(|ip| plain(self.names.record(Item::Address(*ip), &claim), TTL_HOST))
                    .collect();
                let octets = packet::probe(&self.names.host, probing.sent == 0, claims);
                self.out.push_back(Packet { link: id, to: Target::Group, octets });
            }
            Phase::Probing(probing) if probing.next <= now => {
                link.phase = Phase::Announcing { left: ANNOUNCEMENTS, next: now };
                self.state = State::Held;
                self.lost = 0;
                self.advance_link(id, now);
            }
            Phase::Announcing { left, next } if next <= now => {
                link.phase = if left > 1 {
                    Phase::Announcing { left: left - 1, next: now + ANNOUNCEMENT_GAP }
                } else {
                    Phase::Held
                };
                let items = Names::all(&link.announced());
                link.send(&items, now, GAP);
            }
            _ => {}
        }
        self.send_due(id, now);
    }

    fn send_due(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get(&id) else { return };
        let due = link.due(now);
        if !due.is_empty() {
            let mut more = Names::more(&due, &link.announced());
            more.retain(|item| !link.was_sent(*item, GAP, now));
            self.multicast(id, &due, &more, now);
        }
    }

    fn multicast(&mut self, id: LinkId, items: &[Item], more: &[Item], now: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.note_sent(items, now);
        link.note_sent(more, now);
        let addresses = link.announced();
        let records = |items: &[Item]| {
            items.iter().map(|item| self.names.record(*item, &addresses)).collect::<Vec<_>>()
        };
        let (answers, more) = (records(items), records(more));
        self.queue(id, &answers, &more);
    }

    fn queue(&mut self, id: LinkId, answers: &[Record], more: &[Record]) {
        let packets = packet::to_all(answers, more);
        self.out.extend(packets.into_iter().map(|octets| Packet {
            link: id,
            to: Target::Group,
            octets,
        }));
    }

    fn say_goodbye(&mut self, ends: impl Fn(&Item) -> bool) {
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            let Some(link) = self.links.get(&id).filter(|link| link.was_announced()) else {
                continue;
            };
            let addresses = link.announced();
            let records: Vec<Record> = Names::all(&addresses)
                .into_iter()
                .filter(&ends)
                .map(|item| ended(self.names.record(item, &addresses)))
                .collect();
            self.queue(id, &records, &[]);
        }
    }
}

/// For those who know nothing of multicast DNS, and in claims: without the mark that this is all there is.
fn plain(mut record: Record, most: u32) -> Record {
    record.mdns_cache_flush = false;
    record.ttl = record.ttl.min(most);
    record
}

/// A record that is no longer so.
/// Without the mark, so that another machine's stay.
fn ended(mut record: Record) -> Record {
    record.mdns_cache_flush = false;
    record.ttl = 0;
    record
}
