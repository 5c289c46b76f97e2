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
    /// Mail from people's programs.
    Submission,
    /// Programs that fetch mail, by POP3.
    Pop3,
    /// Browsers.
    Pages,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A private network, the box's own, or a place where somebody signed in lately.
    Known,
    /// Anywhere else.
    Outside,
}

/// Whether an address has a connection for the purpose already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rank {
    First,
    Further,
}

/// What is counted apart, each with a reserve of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Cell(Purpose, Origin, Rank);

const PURPOSES: [Purpose; 4] = [Purpose::Relay, Purpose::Submission, Purpose::Pop3, Purpose::Pages];

fn cells() -> impl Iterator<Item = Cell> {
    let of = |purpose| {
        let ranks =
            |origin| [Cell(purpose, origin, Rank::First), Cell(purpose, origin, Rank::Further)];
        ranks(Origin::Known).into_iter().chain(ranks(Origin::Outside))
    };
    PURPOSES.into_iter().flat_map(of)
}

/// Connections to the pages from one address outside: a browser opens six.
const BROWSERS: usize = 12;

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
    /// Those of the settings.
    pub fn of(config: &Config) -> Limits {
        Limits {
            all: config.limits.connections,
            per_address: config.limits.connections_per_address,
        }
    }

    /// Connections kept free: for the office a sixteenth of all for each purpose, half of it for one address, as an
    /// office may be that to us; for the world half as much, for addresses that have none yet: sixty with fifty each
    /// must not keep the next server out.
    /// Five eighths of all are anybody's.
    fn reserve(self, Cell(_, origin, rank): Cell) -> usize {
        match (origin, rank) {
            (Origin::Known, Rank::First | Rank::Further) => self.all / 32,
            (Origin::Outside, Rank::First) => self.all / 32,
            (Origin::Outside, Rank::Further) => 0,
        }
    }
}

/// What is open.
#[derive(Debug, Default)]
struct Open {
    cells: HashMap<Cell, usize>,
    addresses: HashMap<(IpAddr, Purpose), usize>,
}

impl Open {
    fn count(&self, cell: Cell) -> usize {
        self.cells.get(&cell).copied().unwrap_or(0)
    }

    /// How many more may come: what neither is held nor kept free for others.
    fn room(&self, limits: Limits, cell: Cell) -> usize {
        let others: usize = cells()
            .filter(|other| *other != cell)
            .map(|other| self.count(other).max(limits.reserve(other)))
            .sum();
        let held: usize = cells().map(|cell| self.count(cell)).sum();
        // The reserve is there even when others took more than they may by now, after a change of the limits.
        let reserve = limits
            .reserve(cell)
            .saturating_sub(self.count(cell))
            .min(limits.all.saturating_sub(held));
        let room = limits.all.saturating_sub(others + self.count(cell)).max(reserve);
        match cell {
            // What one address outside has beside its first never fills more than a quarter of all: each costs memory.
            Cell(_, Origin::Outside, Rank::Further) => {
                room.min((limits.all / 4).saturating_sub(self.count(cell)))
            }
            _ => room,
        }
    }

    fn admit(
        &mut self,
        limits: Limits,
        address: IpAddr,
        purpose: Purpose,
        origin: Origin,
    ) -> Result<Cell, TooMany> {
        let held = self.addresses.get(&(address, purpose)).copied().unwrap_or(0);
        let most = match (purpose, origin) {
            (Purpose::Pages, Origin::Outside) => limits.per_address.min(BROWSERS),
            _ => limits.per_address,
        };
        if held >= most {
            return Err(TooMany::FromAddress);
        }
        let cell = Cell(purpose, origin, if held == 0 { Rank::First } else { Rank::Further });
        if self.room(limits, cell) == 0 {
            return Err(TooMany::InAll);
        }
        *self.addresses.entry((address, purpose)).or_insert(0) += 1;
        *self.cells.entry(cell).or_insert(0) += 1;
        Ok(cell)
    }

    fn leave(&mut self, address: IpAddr, cell: Cell) {
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
    cell: Cell,
}

impl Connections {
    /// Counts a connection in, or says which limit it would break.
    pub fn admit(
        &self,
        limits: Limits,
        peer: IpAddr,
        purpose: Purpose,
    ) -> Result<Counted, TooMany> {
        let (address, origin) = (network_of(peer), self.origin(peer));
        let cell = self
            .open
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .admit(limits, address, purpose, origin)?;
        Ok(Counted { open: self.open.clone(), address, cell })
    }

    /// Where a peer comes from.
    pub fn origin(&self, peer: IpAddr) -> Origin {
        let is_known =
            is_near(peer) || self.known.lock().unwrap_or_else(|e| e.into_inner()).contains(peer);
        if is_known { Origin::Known } else { Origin::Outside }
    }

    /// Whether hardly a connection is left for peers of this kind: who is silent then makes room for others.
    pub fn is_scarce(&self, limits: Limits, peer: IpAddr, purpose: Purpose) -> bool {
        let further = Cell(purpose, self.origin(peer), Rank::Further);
        self.open.lock().unwrap_or_else(|e| e.into_inner()).room(limits, further) <= limits.all / 16
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
        (0..limits.all * 2)
            .filter_map(|number| connections.admit(limits, outside(number), purpose).ok())
            .collect()
    }

    #[test]
    fn whatever_the_world_holds_every_service_and_the_office_keep_their_reserve() {
        for all in [40, 160, 2000] {
            let limits = Limits { all, per_address: 50 };
            for first in [Purpose::Relay, Purpose::Submission, Purpose::Pop3, Purpose::Pages] {
                let connections = Connections::default();
                let mut held = fill(&connections, limits, first);
                assert!(held.len() >= all / 5, "{first:?} has much of it: {}", held.len());
                for purpose in [Purpose::Relay, Purpose::Submission, Purpose::Pop3, Purpose::Pages]
                {
                    held.extend(fill(&connections, limits, purpose));
                    let office = connections.admit(limits, "192.168.1.9".parse().unwrap(), purpose);
                    assert!(
                        office.is_ok(),
                        "the office needs {purpose:?} of {all} after {first:?}"
                    );
                }
                assert!(held.len() <= all);
            }
        }
    }

    #[test]
    fn a_few_addresses_with_many_leave_room_for_one_more_with_none() {
        let (connections, limits) = (Connections::default(), Limits { all: 2000, per_address: 50 });
        let many = |purpose| {
            (0..60)
                .flat_map(|address| vec![address; 50])
                .filter_map(|a| connections.admit(limits, outside(a), purpose).ok())
                .collect::<Vec<_>>()
        };
        let _held = [Purpose::Pages, Purpose::Relay, Purpose::Submission, Purpose::Pop3].map(many);
        for purpose in [Purpose::Relay, Purpose::Submission, Purpose::Pop3, Purpose::Pages] {
            assert!(connections.admit(limits, outside(4000), purpose).is_ok(), "{purpose:?}");
        }
    }

    #[test]
    fn an_office_that_is_one_address_may_have_half_of_all() {
        let (connections, limits) =
            (Connections::default(), Limits { all: 2000, per_address: 2000 });
        let held = (0..1000).map(|number| {
            connections.admit(
                limits,
                "127.0.0.1".parse().unwrap(),
                if number % 2 == 0 { Purpose::Relay } else { Purpose::Pop3 },
            )
        });
        assert!(held.collect::<Result<Vec<_>, _>>().is_ok());
    }

    #[test]
    fn a_known_place_counts_as_the_office() {
        let (connections, limits, home) = (
            Connections::default(),
            Limits { all: 160, per_address: 50 },
            "198.51.100.7".parse().unwrap(),
        );
        let _held = fill(&connections, limits, Purpose::Pop3);
        assert_eq!(connections.admit(limits, home, Purpose::Pop3).err(), Some(TooMany::InAll));
        connections.signed_in_from(home);
        assert!(connections.admit(limits, home, Purpose::Pop3).is_ok());
    }

    #[test]
    fn an_address_has_its_own_limit_for_each_service_and_all_is_counted_off() {
        let (connections, limits, peer) =
            (Connections::default(), Limits { all: 100, per_address: 2 }, outside(1));
        let held: Vec<_> =
            (0..3).map(|_| connections.admit(limits, peer, Purpose::Pages)).collect();
        assert_eq!(held.iter().filter(|one| one.is_ok()).count(), 2);
        assert!(connections.admit(limits, peer, Purpose::Relay).is_ok());
        drop(held);
        let open = connections.open.lock().unwrap();
        assert!(open.addresses.is_empty() && open.cells.values().all(|count| *count == 0));
    }
}
