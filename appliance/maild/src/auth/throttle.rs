//! When has someone tried too often? A pure decision over a bounded memory of failures.
//!
//! A program with a stale password repeats the same wrong one for hours: that counts once. Private
//! networks are never made to wait: in an office everybody sits behind them, and the owner must get in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use pillarbox_host::net::network_of;

use super::cache::Fingerprint;

/// Most addresses and accounts remembered.
const LIMIT: usize = 8192;
/// Longest wait.
const LONGEST: Duration = Duration::from_secs(3600);
/// Failures older than this are forgotten.
const MEMORY: Duration = Duration::from_secs(3600);
/// How many different wrong passwords are recognised when they come again.
const RECENT: usize = 8;

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Try,
    /// Not for so many seconds.
    Wait(u64),
}

/// Someone who has to wait before the next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// An address, or a user name as tried from outside.
    pub who: String,
    pub failures: u32,
    /// How long still.
    pub seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Peer(IpAddr),
    /// An account as tried from outside; attempts from private networks don't count.
    Account(String),
}

struct Failures {
    count: u32,
    last: Instant,
    recent: Vec<Fingerprint>,
}

/// Memory of failed logins.
pub struct Throttle {
    free: u32,
    first_wait: Duration,
    /// Who never waits.
    is_near: fn(IpAddr) -> bool,
    failures: HashMap<Key, Failures>,
}

impl Throttle {
    /// `free` failures cost nothing; then waits begin at `first_wait` seconds and double.
    pub fn new(free: u32, first_wait: u64, is_near: fn(IpAddr) -> bool) -> Throttle {
        Throttle { free: free.max(1), first_wait: Duration::from_secs(first_wait), is_near, failures: HashMap::new() }
    }

    /// May this peer try this user name now?
    pub fn decide(&self, peer: IpAddr, user: &str, now: Instant) -> Decision {
        if (self.is_near)(peer) {
            return Decision::Try;
        }
        let waits = keys(peer, user).into_iter().filter_map(|key| self.failures.get(&key)).map(|failures| {
            let until = failures.last + self.wait(failures.count);
            until.saturating_duration_since(now)
        });
        match waits.max() {
            Some(wait) if !wait.is_zero() => Decision::Wait(wait.as_secs() + 1),
            _ => Decision::Try,
        }
    }

    fn wait(&self, count: u32) -> Duration {
        match count.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(excess) => self.first_wait.saturating_mul(1 << excess.min(12)).min(LONGEST),
        }
    }

    /// Whoever has to wait now, longest first.
    pub fn waiting(&self, now: Instant) -> Vec<Waiting> {
        let wait = |(key, failures): (&Key, &Failures)| {
            let left = (failures.last + self.wait(failures.count)).saturating_duration_since(now).as_secs();
            let who = match key {
                Key::Peer(peer) => peer.to_string(),
                Key::Account(user) => user.clone(),
            };
            (left > 0).then_some(Waiting { who, failures: failures.count, seconds: left })
        };
        let mut waiting: Vec<Waiting> = self.failures.iter().filter_map(wait).collect();
        waiting.sort_by(|a, b| b.seconds.cmp(&a.seconds).then(a.who.cmp(&b.who)));
        waiting
    }

    /// A wrong password was tried.
    pub fn failed(&mut self, peer: IpAddr, user: &str, attempt: Fingerprint, now: Instant) {
        if (self.is_near)(peer) {
            return;
        }
        if self.failures.len() >= LIMIT {
            self.failures.retain(|_, failures| now.saturating_duration_since(failures.last) < MEMORY);
        }
        for key in keys(peer, user) {
            if self.failures.len() >= LIMIT && !self.failures.contains_key(&key) {
                continue;
            }
            let failures = self.failures.entry(key).or_insert(Failures { count: 0, last: now, recent: Vec::new() });
            if now.saturating_duration_since(failures.last) >= MEMORY {
                *failures = Failures { count: 0, last: now, recent: Vec::new() };
            }
            if failures.recent.contains(&attempt) {
                continue;
            }
            if failures.recent.len() == RECENT {
                failures.recent.remove(0);
            }
            failures.recent.push(attempt);
            failures.count += 1;
            failures.last = now;
        }
    }

    /// A right password: what that peer did before is forgiven.
    pub fn succeeded(&mut self, peer: IpAddr, user: &str) {
        for key in keys(peer, user) {
            self.failures.remove(&key);
        }
    }
}

fn keys(peer: IpAddr, user: &str) -> [Key; 2] {
    [Key::Peer(network_of(peer)), Key::Account(user.to_string())]
}

#[cfg(test)]
mod tests {
    use pillarbox_host::net::is_private;

    use super::*;

    fn attempt(n: u8) -> Fingerprint {
        [n; 32]
    }

    #[test]
    fn strangers_wait_longer_and_longer_and_are_forgiven_after_an_hour() {
        let (peer, start) = ("203.0.113.9".parse().unwrap(), Instant::now());
        let mut throttle = Throttle::new(3, 60, is_private);
        for n in 0..3 {
            assert_eq!(throttle.decide(peer, "ann", start), Decision::Try);
            throttle.failed(peer, "ann", attempt(n), start);
        }
        assert_eq!(throttle.decide(peer, "bob", start), Decision::Wait(61));
        let waiting: Vec<String> = throttle.waiting(start).into_iter().map(|w| w.who).collect();
        assert_eq!(waiting, ["203.0.113.9", "ann"]);
        assert!(throttle.waiting(start + MEMORY).is_empty());
        throttle.failed(peer, "ann", attempt(9), start);
        assert_eq!(throttle.decide(peer, "ann", start), Decision::Wait(121));
        assert_eq!(throttle.decide(peer, "ann", start + Duration::from_secs(121)), Decision::Try);
        throttle.failed(peer, "ann", attempt(10), start + MEMORY);
        assert_eq!(throttle.decide(peer, "ann", start + MEMORY), Decision::Try);
    }

    #[test]
    fn the_same_wrong_password_counts_once() {
        let (peer, now) = ("203.0.113.9".parse().unwrap(), Instant::now());
        let mut throttle = Throttle::new(2, 60, is_private);
        (0..100).for_each(|_| throttle.failed(peer, "ann", attempt(1), now));
        assert_eq!(throttle.decide(peer, "ann", now), Decision::Try);
    }

    #[test]
    fn private_networks_never_wait_and_never_lock_an_account() {
        let now = Instant::now();
        let mut throttle = Throttle::new(1, 60, is_private);
        for private in ["127.0.0.1", "192.168.1.5", "10.1.1.1", "172.16.0.1", "100.64.0.1", "fd00::1", "::1", "::ffff:10.0.0.1"] {
            let peer = private.parse().unwrap();
            (0..50).for_each(|n| throttle.failed(peer, "ann", attempt(n), now));
            assert_eq!(throttle.decide(peer, "ann", now), Decision::Try, "{private}");
        }
        assert_eq!(throttle.decide("198.51.100.1".parse().unwrap(), "ann", now), Decision::Try);
    }

    #[test]
    fn an_attacked_account_waits_from_outside_only() {
        let now = Instant::now();
        let mut throttle = Throttle::new(2, 60, is_private);
        for n in 0..9u8 {
            throttle.failed(IpAddr::from([198, 51, 100, n]), "ann", attempt(n), now);
        }
        assert!(matches!(throttle.decide("203.0.113.1".parse().unwrap(), "ann", now), Decision::Wait(_)));
        assert_eq!(throttle.decide("203.0.113.1".parse().unwrap(), "bob", now), Decision::Try);
        assert_eq!(throttle.decide("192.168.0.2".parse().unwrap(), "ann", now), Decision::Try);
    }

    #[test]
    fn one_ipv6_network_is_one_peer() {
        let now = Instant::now();
        let mut throttle = Throttle::new(2, 60, is_private);
        for n in 0..3u16 {
            throttle.failed(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]), &format!("u{n}"), attempt(n as u8), now);
        }
        assert!(matches!(throttle.decide("2001:db8:0:1::99".parse().unwrap(), "x", now), Decision::Wait(_)));
    }
}
