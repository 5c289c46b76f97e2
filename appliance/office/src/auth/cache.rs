//! Right passwords, remembered for a few minutes as a keyed hash: a program that polls costs no argon2.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A keyed hash of user name and password; worthless outside this process.
pub type Fingerprint = [u8; 32];

/// Most passwords remembered.
const LIMIT: usize = 1024;

/// The memory of right passwords.
pub struct Cache {
    key: [u8; 32],
    keep: Duration,
    known: HashMap<Fingerprint, Known>,
}

struct Known {
    /// The stored hash it matched.
    hash: String,
    until: Instant,
}

impl Cache {
    /// Remembers for `seconds`.
    pub fn new(seconds: u64) -> Cache {
        let mut key = [0; 32];
        // Without random numbers nothing is remembered at all.
        let keep = getrandom::fill(&mut key).map_or(0, |()| seconds);
        Cache { key, keep: Duration::from_secs(keep), known: HashMap::new() }
    }

    /// The fingerprint of an attempt, right or wrong.
    pub fn fingerprint(&self, user: &str, password: &str) -> Fingerprint {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key)
            .unwrap_or_else(|_| Hmac::new(&Default::default()));
        mac.update(user.as_bytes());
        mac.update(&[0]);
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// True when this attempt was right not long ago, against the same stored hash.
    pub fn knows(&self, attempt: &Fingerprint, hash: &str, now: Instant) -> bool {
        self.known.get(attempt).is_some_and(|known| known.until > now && known.hash == hash)
    }

    /// Notes a right attempt.
    pub fn remember(&mut self, attempt: Fingerprint, hash: &str, now: Instant) {
        if self.known.len() >= LIMIT {
            self.known.retain(|_, known| known.until > now);
        }
        if self.known.len() < LIMIT {
            self.known.insert(attempt, Known { hash: hash.to_string(), until: now + self.keep });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_password_is_known_until_it_expires_or_changes() {
        let mut cache = Cache::new(600);
        let now = Instant::now();
        let right = cache.fingerprint("ann@example.org", "secret");
        assert!(!cache.knows(&right, "hash", now));
        cache.remember(right, "hash", now);
        assert!(cache.knows(&right, "hash", now + Duration::from_secs(599)));
        assert!(!cache.knows(&right, "hash", now + Duration::from_secs(600)));
        assert!(!cache.knows(&right, "new hash", now));
        assert_ne!(right, cache.fingerprint("ann@example.or", "gsecret"));
    }
}
