//! When has someone tried too often?
//! A pure decision over a bounded memory of failures.
//!
//! A program with a stale password repeats the same wrong one for hours: that counts once.
//! From outside, waits grow to an hour, for the address, for the networks around it and for the account.
//! Whoever sits near (behind some routers that is the whole internet) is slowed down, but never shut out: the owner
//! must get in.
//! The same holds for an account at a place where it signed in before: what others guess elsewhere does not count
//! there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use pillarbox_host::net::network_of;

use super::cache::Fingerprint;

/// Most networks and accounts remembered.
const LIMIT: usize = 8192;
/// Of a full memory so many are forgotten at once, those that cost least: sorting is not worth one.
const EVICTED: usize = LIMIT / 16;
/// Longest wait.
const LONGEST: Duration = Duration::from_secs(3600);
/// Failures older than this are forgotten.
const MEMORY: Duration = Duration::from_secs(3600);
/// How many different wrong passwords are recognised when they come again.
const RECENT: usize = 8;
/// Longest pause between two attempts of the same neighbour at the same account.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// A neighbour's attempts stand in line for so long; a longer line is sent away to come again.
const LINE: Duration = Duration::from_secs(12);

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Try,
    /// In a moment: the attempt is kept waiting for so long.
    Pause(Duration),
    /// Not for so many seconds.
    Wait(u64),
}

/// Whether an account signed in from a place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Known,
    New,
}

/// Someone who has to wait before the next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// A network, or a user name as tried from outside.
    pub who: String,
    pub failures: u32,
    /// How long still.
    pub seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// The first so many bits of addresses from outside.
    Network(IpAddr, u8),
    /// An account as tried from outside.
    Account(String),
    /// An account as tried by a neighbour.
    Near(IpAddr, String),
}

impl Key {
    /// How many times the usual number of failures cost nothing: in a larger network more people sit who only mistype.
    fn allowance(&self) -> u32 {
        match self {
            Key::Network(IpAddr::V4(_), 24) | Key::Network(_, 48) => 4,
            Key::Network(_, 32) if self.is_v6() => 16,
            _ => 1,
        }
    }

    fn is_v6(&self) -> bool {
        matches!(self, Key::Network(IpAddr::V6(_), _))
    }
}

struct Failures {
    count: u32,
    last: Instant,
    recent: Vec<Fingerprint>,
    /// When a neighbour's next attempt may be made.
    next: Instant,
}

impl Failures {
    fn new(now: Instant) -> Failures {
        Failures { count: 0, last: now, recent: Vec::new(), next: now }
    }
}

/// Memory of failed logins.
pub struct Throttle {
    free: u32,
    first_wait: Duration,
    /// Who is never shut out.
    is_near: fn(IpAddr) -> bool,
    failures: HashMap<Key, Failures>,
}

impl Throttle {
    /// `free` failures cost nothing; then waits begin at `first_wait` seconds and double.
    pub fn new(free: u32, first_wait: u64, is_near: fn(IpAddr) -> bool) -> Throttle {
        Throttle {
            free: free.max(1),
            first_wait: Duration::from_secs(first_wait),
            is_near,
            failures: HashMap::new(),
        }
    }

    /// May this peer try this user name now?
    /// A pause that is decided on is also kept free for this attempt.
    pub fn decide(&mut self, peer: IpAddr, user: &str, place: Place, now: Instant) -> Decision {
        if (self.is_near)(peer) {
            return self.decide_near(peer, user, now);
        }
        let keys = keys(peer, user)
            .into_iter()
            .filter(|key| place == Place::New || !matches!(key, Key::Account(_)));
        let waits =
            keys.filter_map(|key| Some((self.failures.get(&key)?, key))).map(|(failures, key)| {
                let until = failures.last + self.wait(failures.count, &key);
                until.saturating_duration_since(now)
            });
        match waits.max() {
            Some(wait) if !wait.is_zero() => Decision::Wait(wait.as_secs() + 1),
            _ => Decision::Try,
        }
    }

    fn decide_near(&mut self, peer: IpAddr, user: &str, now: Instant) -> Decision {
        let free = self.free;
        let Some(failures) = self.failures.get_mut(&near(peer, user)) else { return Decision::Try };
        if failures.count < free || now.saturating_duration_since(failures.last) >= MEMORY {
            return Decision::Try;
        }
        let gap = Duration::from_secs(1 << (failures.count - free).min(2)).min(LONGEST_PAUSE);
        let turn = failures.next.max(now);
        match turn.saturating_duration_since(now) {
            pause if pause > LINE => Decision::Wait(pause.as_secs() + 1),
            pause => {
                failures.next = turn + gap;
                if pause.is_zero() { Decision::Try } else { Decision::Pause(pause) }
            }
        }
    }

    fn wait(&self, count: u32, key: &Key) -> Duration {
        match count.checked_sub(self.free.saturating_mul(key.allowance())) {
            None => Duration::ZERO,
            Some(excess) => self.first_wait.saturating_mul(1 << excess.min(12)).min(LONGEST),
        }
    }

    /// Whoever has to wait now, longest first.
    pub fn waiting(&self, now: Instant) -> Vec<Waiting> {
        let wait = |(key, failures): (&Key, &Failures)| {
            let who = match key {
                Key::Network(address, 64) if key.is_v6() => address.to_string(),
                Key::Network(address, 32) if !key.is_v6() => address.to_string(),
                Key::Network(address, bits) => format!("{address}/{bits}"),
                Key::Account(user) => user.clone(),
                Key::Near(..) => return None,
            };
            let left = (failures.last + self.wait(failures.count, key))
                .saturating_duration_since(now)
                .as_secs();
            (left > 0).then_some(Waiting { who, failures: failures.count, seconds: left })
        };
        let mut waiting: Vec<Waiting> = self.failures.iter().filter_map(wait).collect();
        waiting.sort_by(|a, b| b.seconds.cmp(&a.seconds).then(a.who.cmp(&b.who)));
        waiting
    }

    /// A wrong password was tried.
    pub fn failed(&mut self, peer: IpAddr, user: &str, attempt: Fingerprint, now: Instant) {
        let keys = if (self.is_near)(peer) { vec![near(peer, user)] } else { keys(peer, user) };
        self.make_room(keys.len(), now);
        for key in keys {
            let failures = self.failures.entry(key).or_insert_with(|| Failures::new(now));
            if now.saturating_duration_since(failures.last) >= MEMORY {
                *failures = Failures::new(now);
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

    /// Forgets what is old, and of a full memory what costs least: those who tried often are never pushed out by many
    /// who tried once.
    fn make_room(&mut self, wanted: usize, now: Instant) {
        if self.failures.len() + wanted <= LIMIT {
            return;
        }
        self.failures.retain(|_, failures| now.saturating_duration_since(failures.last) < MEMORY);
        if self.failures.len() + wanted <= LIMIT {
            return;
        }
        let mut costs: Vec<(u32, Instant)> = self
            .failures
            .iter()
            .map(|(key, failures)| (cost(key, failures), failures.last))
            .collect();
        let (_, bound, _) = costs.select_nth_unstable(EVICTED);
        let (bound, mut left) = (*bound, EVICTED);
        self.failures.retain(|key, failures| {
            let goes = left > 0 && (cost(key, failures), failures.last) <= bound;
            left -= usize::from(goes);
            !goes
        });
    }

    /// A right password: what that peer did before is forgiven.
    pub fn succeeded(&mut self, peer: IpAddr, user: &str) {
        for key in keys(peer, user).into_iter().chain([near(peer, user)]) {
            // One right password says nothing of the others in a large network.
            if key.allowance() == 1 {
                self.failures.remove(&key);
            }
        }
    }
}

/// What it is worth to remember someone: failures in parts of the allowance.
fn cost(key: &Key, failures: &Failures) -> u32 {
    failures.count * 16 / key.allowance()
}

fn keys(peer: IpAddr, user: &str) -> Vec<Key> {
    let peer = peer.to_canonical();
    let bits: &[u8] = if peer.is_ipv4() { &[32, 24] } else { &[64, 48, 32] };
    let networks = bits.iter().map(|&bits| Key::Network(first_bits(peer, bits), bits));
    networks.chain([Key::Account(user.to_string())]).collect()
}

fn near(peer: IpAddr, user: &str) -> Key {
    Key::Near(network_of(peer), user.to_string())
}

fn first_bits(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let rest = 32 - u32::from(bits.min(32));
            IpAddr::from(
                (u32::from(v4).checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0))
                    .to_be_bytes(),
            )
        }
        IpAddr::V6(v6) => {
            let rest = 128 - u32::from(bits.min(128));
            IpAddr::from(
                (u128::from(v6).checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0))
                    .to_be_bytes(),
            )
        }
    }
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
            assert_eq!(throttle.decide(peer, "ann", Place::New, start), Decision::Try);
            throttle.failed(peer, "ann", attempt(n), start);
        }
        assert_eq!(throttle.decide(peer, "bob", Place::New, start), Decision::Wait(61));
        let waiting: Vec<String> = throttle.waiting(start).into_iter().map(|w| w.who).collect();
        assert_eq!(waiting, ["203.0.113.9", "ann"]);
        assert!(throttle.waiting(start + MEMORY).is_empty());
        throttle.failed(peer, "ann", attempt(9), start);
        assert_eq!(throttle.decide(peer, "ann", Place::New, start), Decision::Wait(121));
        assert_eq!(
            throttle.decide(peer, "ann", Place::New, start + Duration::from_secs(121)),
            Decision::Try
        );
        throttle.failed(peer, "ann", attempt(10), start + MEMORY);
        assert_eq!(throttle.decide(peer, "ann", Place::New, start + MEMORY), Decision::Try);
    }

    #[test]
    fn the_same_wrong_password_counts_once() {
        let (peer, now) = ("203.0.113.9".parse().unwrap(), Instant::now());
        let mut throttle = Throttle::new(2, 60, is_private);
        (0..100).for_each(|_| throttle.failed(peer, "ann", attempt(1), now));
        assert_eq!(throttle.decide(peer, "ann", Place::New, now), Decision::Try);
    }

    #[test]
    fn neighbours_are_slowed_down_and_never_shut_out() {
        let start = Instant::now();
        for near in [
            "127.0.0.1", "192.168.1.5", "10.1.1.1", "172.16.0.1", "100.64.0.1", "fd00::1", "::1",
            "::ffff:10.0.0.1",
        ] {
            let (mut throttle, peer) = (Throttle::new(3, 60, is_private), near.parse().unwrap());
            let (mut now, mut guesses) = (start, 0u8);
            // As fast as it is let, for ten minutes.
            while now < start + Duration::from_secs(600) && guesses < 255 {
                match throttle.decide(peer, "ann", Place::New, now) {
                    Decision::Try => {}
                    Decision::Pause(pause) => now += pause,
                    Decision::Wait(_) => panic!("{near}: one after the other there is no line"),
                }
                throttle.failed(peer, "ann", attempt(guesses), now);
                guesses += 1;
            }
            assert!((100..200).contains(&guesses), "{near}: {guesses} guesses in ten minutes");
            let line = (0..50).map(|_| throttle.decide(peer, "ann", Place::New, now));
            let tried = line.filter(|decision| !matches!(decision, Decision::Wait(_))).count();
            assert!(tried <= 5, "a crowd stands in one line: {tried}");
            assert_eq!(
                throttle.decide(peer, "bob", Place::New, now),
                Decision::Try,
                "others are not slowed down"
            );
            let later = now + Duration::from_secs(20);
            assert_eq!(
                throttle.decide(peer, "ann", Place::New, later),
                Decision::Try,
                "nor anybody for long"
            );
            assert_eq!(
                throttle.decide("198.51.100.1".parse().unwrap(), "ann", Place::New, now),
                Decision::Try
            );
        }
    }

    #[test]
    fn guesses_of_others_count_for_nothing_at_a_known_place() {
        let (mut throttle, now, home) =
            (Throttle::new(2, 60, is_private), Instant::now(), "203.0.113.1".parse().unwrap());
        (0..99u8)
            .for_each(|n| throttle.failed(IpAddr::from([198, 51, n, 1]), "ann", attempt(n), now));
        assert!(matches!(throttle.decide(home, "ann", Place::New, now), Decision::Wait(_)));
        assert_eq!(throttle.decide(home, "ann", Place::Known, now), Decision::Try);
        (0..3).for_each(|n| throttle.failed(home, "ann", attempt(n), now));
        assert!(
            matches!(throttle.decide(home, "ann", Place::Known, now), Decision::Wait(_)),
            "its own do"
        );
    }

    #[test]
    fn a_full_memory_still_counts() {
        let (mut throttle, now, peer) =
            (Throttle::new(10, 60, is_private), Instant::now(), "203.0.113.1".parse().unwrap());
        (0..20).for_each(|n| throttle.failed(peer, "ann", attempt(n), now));
        let spread =
            |n: u32| IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(n) << 64).to_be_bytes());
        for n in 0..20_000u32 {
            let mut fresh = [0; 32];
            fresh[..4].copy_from_slice(&n.to_be_bytes());
            throttle.failed(
                spread(n),
                &format!("u{n}"),
                fresh,
                now + Duration::from_millis(u64::from(n)),
            );
            assert!(throttle.failures.len() <= LIMIT);
        }
        let later = now + Duration::from_secs(20);
        assert!(
            matches!(throttle.decide(peer, "x", Place::New, later), Decision::Wait(_)),
            "who tried often is remembered"
        );
        (0..20)
            .for_each(|n| throttle.failed("192.0.2.7".parse().unwrap(), "new", attempt(n), later));
        assert!(
            matches!(
                throttle.decide("192.0.2.7".parse().unwrap(), "y", Place::New, later),
                Decision::Wait(_)
            ),
            "and new ones count"
        );
        // All of those networks lie in one of 32 bits.
        assert!(matches!(
            throttle.decide(spread(70_000), "z", Place::New, later),
            Decision::Wait(_)
        ));
    }

    #[test]
    fn an_attacked_account_waits_from_outside_only() {
        let now = Instant::now();
        let mut throttle = Throttle::new(2, 60, is_private);
        for n in 0..9u8 {
            throttle.failed(IpAddr::from([198, 51, 100, n]), "ann", attempt(n), now);
        }
        assert!(matches!(
            throttle.decide("203.0.113.1".parse().unwrap(), "ann", Place::New, now),
            Decision::Wait(_)
        ));
        assert_eq!(
            throttle.decide("203.0.113.1".parse().unwrap(), "bob", Place::New, now),
            Decision::Try
        );
        assert_eq!(
            throttle.decide("192.168.0.2".parse().unwrap(), "ann", Place::New, now),
            Decision::Try
        );
    }

    #[test]
    fn one_ipv6_network_is_one_peer() {
        let now = Instant::now();
        let mut throttle = Throttle::new(2, 60, is_private);
        for n in 0..3u16 {
            throttle.failed(
                IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]),
                &format!("u{n}"),
                attempt(n as u8),
                now,
            );
        }
        assert!(matches!(
            throttle.decide("2001:db8:0:1::99".parse().unwrap(), "x", Place::New, now),
            Decision::Wait(_)
        ));
    }
}
