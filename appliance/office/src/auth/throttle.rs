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
/// A neighbour's attempts wait in line for so long; a longer line is sent away to come again.
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
mod tests;
