//! How many connections are open, for which service and from where, and whether one more may come.
//!
//! Every service has a reserve, for the office and for the world: however many connections others hold, a worker's mail
//! program and another server's message still get one.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use pillarbox_host::net::{is_near, network_of};

use crate::config::Config;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Mail from other servers.
    Relay,
    Submission,
    Pop3,
    Pages,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A private network, the box's own, or a place where somebody signed in lately.
    Known,
    Outside,
}

const CELLS: [(Purpose, Origin); 8] = [
    (Purpose::Relay, Origin::Known),
    (Purpose::Relay, Origin::Outside),
    (Purpose::Submission, Origin::Known),
    (Purpose::Submission, Origin::Outside),
    (Purpose::Pop3, Origin::Known),
    (Purpose::Pop3, Origin::Outside),
    (Purpose::Pages, Origin::Known),
    (Purpose::Pages, Origin::Outside),
];

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMany {
    /// All together.
    InAll,
    /// From this address.
    FromAddress,
}

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All together.
    pub all: usize,
    /// From one address, or one IPv6 network, for one purpose.
    pub per_address: usize,
}

impl Limits {
    pub fn of(config: &Config) -> Limits {
        Limits { all: config.limits.connections, per_address: config.limits.connections_per_address }
    }

    /// Connections kept free for a purpose and an origin: an eighth of all for what the office needs, a sixteenth for the world.
    fn reserve(self, (_, origin): (Purpose, Origin)) -> usize {
        match origin {
            Origin::Known => self.all / 8,
            Origin::Outside => self.all / 16,
        }
    }
}

/// What is open.
#[derive(Debug, Default)]
struct Open {
    cells: HashMap<(Purpose, Origin), usize>,
    addresses: HashMap<(IpAddr, Purpose), usize>,
}

impl Open {
    fn count(&self, cell: (Purpose, Origin)) -> usize {
        self.cells.get(&cell).copied().unwrap_or(0)
    }

    /// How many more may come: what neither is held nor kept free for others.
    fn room(&self, limits: Limits, cell: (Purpose, Origin)) -> usize {
        let others: usize = CELLS.into_iter().filter(|other| *other != cell).map(|other| self.count(other).max(limits.reserve(other))).sum();
        let held: usize = CELLS.into_iter().map(|cell| self.count(cell)).sum();
        // The reserve is there even when others took more than they may by now, after a change of the limits.
        let reserve = limits.reserve(cell).saturating_sub(self.count(cell)).min(limits.all.saturating_sub(held));
        limits.all.saturating_sub(others + self.count(cell)).max(reserve)
    }

    fn admit(&mut self, limits: Limits, address: IpAddr, cell: (Purpose, Origin)) -> Result<(), TooMany> {
        if self.room(limits, cell) == 0 {
            return Err(TooMany::InAll);
        }
        let from_address = self.addresses.entry((address, cell.0)).or_insert(0);
        if *from_address >= limits.per_address {
            return Err(TooMany::FromAddress);
        }
        *from_address += 1;
        *self.cells.entry(cell).or_insert(0) += 1;
        Ok(())
    }

    fn leave(&mut self, address: IpAddr, cell: (Purpose, Origin)) {
        if let Some(count) = self.cells.get_mut(&cell) {
            *count -= 1;
        }
        if let Some(count) = self.addresses.get_mut(&(address, cell.0)) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&(address, cell.0));
            }
        }
    }
}

/// Counts open connections.
#[derive(Clone, Default)]
pub struct Connections {
    open: Arc<Mutex<Open>>,
    known: Arc<Mutex<Places>>,
}

/// A counted connection; dropping it counts it off.
pub struct Counted {
    open: Arc<Mutex<Open>>,
    address: IpAddr,
    cell: (Purpose, Origin),
}

impl Connections {
    /// Counts a connection in, or says which limit it would break.
    pub fn admit(&self, limits: Limits, peer: IpAddr, purpose: Purpose) -> Result<Counted, TooMany> {
        let (address, cell) = (network_of(peer), (purpose, self.origin(peer)));
        self.open.lock().unwrap_or_else(|e| e.into_inner()).admit(limits, address, cell)?;
        Ok(Counted { open: self.open.clone(), address, cell })
    }

    /// Where a peer comes from.
    pub fn origin(&self, peer: IpAddr) -> Origin {
        let is_known = is_near(peer) || self.known.lock().unwrap_or_else(|e| e.into_inner()).contains(peer);
        if is_known { Origin::Known } else { Origin::Outside }
    }

    /// Whether hardly a connection is left for peers of this kind: who is silent then makes room for others.
    pub fn is_scarce(&self, limits: Limits, peer: IpAddr, purpose: Purpose) -> bool {
        let cell = (purpose, self.origin(peer));
        let open = self.open.lock().unwrap_or_else(|e| e.into_inner());
        open.room(limits, cell) <= limits.all / 16
    }

    /// Somebody signed in from there.
    pub fn signed_in_from(&self, peer: IpAddr) {
        self.known.lock().unwrap_or_else(|e| e.into_inner()).note(peer);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.lock().unwrap_or_else(|e| e.into_inner()).leave(self.address, self.cell);
    }
}

/// The places where somebody signed in lately, the newest last.
#[derive(Default)]
struct Places {
    networks: VecDeque<IpAddr>,
}

/// Places remembered; an office of fifty has fewer.
const MOST_PLACES: usize = 1024;

impl Places {
    fn contains(&self, peer: IpAddr) -> bool {
        self.networks.contains(&network_of(peer))
    }

    fn note(&mut self, peer: IpAddr) {
        let network = network_of(peer);
        if self.networks.back() == Some(&network) {
            return;
        }
        self.networks.retain(|known| *known != network);
        if self.networks.len() >= MOST_PLACES {
            self.networks.pop_front();
        }
        self.networks.push_back(network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(number: usize) -> IpAddr {
        IpAddr::from([203, 0, (number / 250) as u8, (number % 250) as u8])
    }

    /// Opens as many as it gets.
    fn fill(connections: &Connections, limits: Limits, purpose: Purpose) -> Vec<Counted> {
        (0..limits.all * 2).filter_map(|number| connections.admit(limits, outside(number), purpose).ok()).collect()
    }

    #[test]
    fn whatever_the_world_holds_every_service_and_the_office_keep_their_reserve() {
        for all in [40, 160, 2000] {
            let limits = Limits { all, per_address: 50 };
            for first in [Purpose::Relay, Purpose::Submission, Purpose::Pop3, Purpose::Pages] {
                let connections = Connections::default();
                let mut held = fill(&connections, limits, first);
                assert!(held.len() >= all / 4, "{first:?} has much of it: {}", held.len());
                for purpose in [Purpose::Relay, Purpose::Submission, Purpose::Pop3, Purpose::Pages] {
                    held.extend(fill(&connections, limits, purpose));
                    let office = connections.admit(limits, "192.168.1.9".parse().unwrap(), purpose);
                    assert!(office.is_ok(), "the office needs {purpose:?} of {all} after {first:?}");
                }
                assert!(held.len() <= all);
            }
        }
    }

    #[test]
    fn a_known_place_counts_as_the_office() {
        let (connections, limits, home) = (Connections::default(), Limits { all: 160, per_address: 50 }, "198.51.100.7".parse().unwrap());
        let _held = fill(&connections, limits, Purpose::Pop3);
        assert_eq!(connections.admit(limits, home, Purpose::Pop3).err(), Some(TooMany::InAll));
        connections.signed_in_from(home);
        assert!(connections.admit(limits, home, Purpose::Pop3).is_ok());
    }

    #[test]
    fn an_address_has_its_own_limit_for_each_service_and_all_is_counted_off() {
        let (connections, limits, peer) = (Connections::default(), Limits { all: 100, per_address: 2 }, outside(1));
        let held: Vec<_> = (0..3).map(|_| connections.admit(limits, peer, Purpose::Pages)).collect();
        assert_eq!(held.iter().filter(|one| one.is_ok()).count(), 2);
        assert!(connections.admit(limits, peer, Purpose::Relay).is_ok());
        drop(held);
        let open = connections.open.lock().unwrap();
        assert!(open.addresses.is_empty() && open.cells.values().all(|count| *count == 0));
    }
}
