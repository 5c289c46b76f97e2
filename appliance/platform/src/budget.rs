//! Memory for messages that come in: charged as their octets arrive, bounded in all, per network and for strangers.
//!
//! A session that sends nothing holds nothing.
//! No network has more than its share, and mail from outside leaves a part to the people of the office.
//! Where the budget is nearly used up, who sends too slowly is let go.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pillarbox_host::net::network_of;
use tokio::sync::Notify;

/// Memory is charged in steps of this many octets.
const STEP: usize = 16 * 1024;
/// A network that holds no more than this may take from the last quarter.
const SMALL: usize = 128 * 1024;
/// How long a message waits for memory before its sender hears "later".
const PATIENCE: Duration = Duration::from_secs(20);
/// A silent sender is let go after this long while memory is scarce.
const SILENCE: Duration = Duration::from_secs(15);
/// While memory is scarce, a message older than this must have come in at [`LEAST_RATE`] on the average.
const GRACE: Duration = Duration::from_secs(30);
/// Octets a second: a slow telephone line.
const LEAST_RATE: u64 = 1024;

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Another server, or whoever says so.
    Stranger,
    /// Somebody who logged in, or sits in the office.
    Office,
}

/// There was no memory in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// The budget of one server.
pub struct Budget {
    limits: Limits,
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    all: usize,
    /// Of one network: an IPv4 address, or the first half of an IPv6 address.
    network: usize,
    strangers: usize,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    strangers: usize,
    networks: HashMap<IpAddr, usize>,
}

impl Budget {
    /// `octets` in all; of them a network gets a quarter and strangers three quarters, but always enough for a message.
    pub fn new(octets: usize) -> Budget {
        let limits = Limits {
            all: octets,
            network: (octets / 4).max(octets.min(1 << 20)),
            strangers: octets / 4 * 3,
        };
        Budget { limits, held: Mutex::default(), freed: Notify::new() }
    }

    /// A charge that holds nothing yet.
    pub fn charge(&self, peer: IpAddr, party: Party) -> Charge<'_> {
        Charge { budget: self, network: network_of(peer), party, octets: 0 }
    }

    /// Whether memory is scarce: for all, or for strangers.
    pub fn is_scarce(&self, party: Party) -> bool {
        let held = self.lock();
        let all = held.all >= self.limits.all / 2;
        all || party == Party::Stranger && held.strangers >= self.limits.strangers / 2
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Held {
    fn take(&mut self, limits: Limits, network: IpAddr, party: Party, more: usize) -> bool {
        let of_network = self.networks.get(&network).copied().unwrap_or(0);
        let of_strangers = if party == Party::Stranger { self.strangers + more } else { 0 };
        // Who holds much leaves a part to those who hold next to nothing: a server with one small message does not wait
        // for them.
        let part = |limit: usize| if of_network + more > SMALL { limit / 4 * 3 } else { limit };
        if self.all + more > part(limits.all)
            || of_network + more > limits.network
            || of_strangers > part(limits.strangers)
        {
            return false;
        }
        self.all += more;
        if party == Party::Stranger {
            self.strangers += more;
        }
        *self.networks.entry(network).or_insert(0) += more;
        true
    }

    fn give_back(&mut self, network: IpAddr, party: Party, octets: usize) {
        self.all -= octets;
        if party == Party::Stranger {
            self.strangers -= octets;
        }
        if let Some(held) = self.networks.get_mut(&network) {
            *held -= octets;
            if *held == 0 {
                self.networks.remove(&network);
            }
        }
    }
}

/// What one message holds; given back when dropped.
pub struct Charge<'a> {
    budget: &'a Budget,
    network: IpAddr,
    party: Party,
    octets: usize,
}

impl Charge<'_> {
    /// Sees to it that so many octets are charged; [`Busy`] when they are not to be had within twenty seconds.
    /// What was charged before stays so.
    pub async fn hold(&mut self, octets: usize) -> Result<(), Busy> {
        self.hold_within(octets, PATIENCE).await
    }

    /// The same within another time.
    pub async fn hold_within(&mut self, octets: usize, patience: Duration) -> Result<(), Busy> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            // Asked for before looking, so that what is freed in between is not missed.
            let freed = self.budget.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.try_hold(octets) {
                return Ok(());
            }
            if tokio::time::timeout_at(until, freed).await.is_err() {
                return Err(Busy);
            }
        }
    }

    /// Whether it is to be had at once; if not, what was charged before stays so.
    fn try_hold(&mut self, octets: usize) -> bool {
        let wanted = octets.div_ceil(STEP) * STEP;
        let more = wanted.saturating_sub(self.octets);
        let is_taken = more == 0
            || self.budget.lock().take(self.budget.limits, self.network, self.party, more);
        if is_taken {
            self.octets = self.octets.max(wanted);
        }
        is_taken
    }

    /// Gives back what is beyond so many octets.
    pub fn shrink(&mut self, octets: usize) {
        let wanted = octets.div_ceil(STEP) * STEP;
        if wanted < self.octets {
            self.budget.lock().give_back(self.network, self.party, self.octets - wanted);
            self.octets = wanted;
            self.budget.freed.notify_waiters();
        }
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

/// How a message has come in so far.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// When its content began.
    pub begun: Instant,
    /// When the last piece came.
    pub heard: Instant,
    /// Octets of content so far.
    pub octets: u64,
}

impl Pace {
    /// Too slow to be waited for while memory is scarce.
    pub fn is_too_slow(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.begun);
        now.saturating_duration_since(self.heard) >= SILENCE
            || age >= GRACE && self.octets < age.as_secs() * LEAST_RATE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_has_its_share_and_strangers_leave_a_part_to_the_office() {
        let budget = Budget::new(16 << 20);
        let mut silent = budget.charge(ip("203.0.113.1"), Party::Stranger);
        silent.hold(0).await.unwrap();
        assert_eq!(budget.lock().all, 0, "who sends nothing holds nothing");
        let mut held: Vec<Charge> = Vec::new();
        // One IPv6 network, whatever addresses it comes from.
        for host in 0..64 {
            let mut charge = budget.charge(ip(&format!("2001:db8::{host:x}")), Party::Stranger);
            if charge.hold(256 * 1024).await.is_ok() {
                held.push(charge);
            }
        }
        assert_eq!(held.len(), 16, "a quarter for a network");
        for network in 1..20u8 {
            let mut charge = budget.charge(IpAddr::from([198, 51, 100, network]), Party::Stranger);
            if charge.hold(1 << 20).await.is_ok() {
                held.push(charge);
            }
        }
        assert_eq!(budget.lock().all, 9 << 20, "three quarters of what strangers may have");
        budget.charge(ip("203.0.113.9"), Party::Stranger).hold(64 * 1024).await.unwrap();
        assert!(budget.is_scarce(Party::Stranger));
        assert_eq!(silent.hold(1 << 20).await, Err(Busy));
        budget.charge(ip("192.168.1.7"), Party::Office).hold(3 << 20).await.unwrap();
        drop(held);
        silent.hold(1).await.unwrap();
        drop(silent);
        let left = budget.lock();
        assert_eq!((left.all, left.strangers, left.networks.len()), (0, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_goes_to_whoever_waits() {
        let budget = Budget::new(4 << 20);
        let mut first = budget.charge(ip("203.0.113.1"), Party::Office);
        first.hold(1 << 20).await.unwrap();
        let mut second = budget.charge(ip("203.0.113.1"), Party::Office);
        let (waited, ()) = tokio::join!(second.hold(STEP), async { first.shrink(100) });
        assert!(waited.is_ok());
        assert_eq!(budget.lock().all, 2 * STEP);
    }

    #[test]
    fn the_silent_and_the_dripping_are_too_slow() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let pace = |heard, octets| Pace { begun, heard: at(heard), octets };
        assert!(!pace(0, 0).is_too_slow(at(14)) && pace(0, 0).is_too_slow(at(15)));
        assert!(!pace(100, 200 * 1024).is_too_slow(at(101)), "slow but steady");
        assert!(pace(100, 100).is_too_slow(at(101)), "an octet now and then");
    }
}
