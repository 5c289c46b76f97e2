//! What pages share: what the box can do, and what only pages keep, in memory until the server stops.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::extract::FromRef;
use pillarbox_host::plan::UNDO_SECONDS;
use pillarbox_office::Office;
use pillarbox_office::auth::Identity;
use pillarbox_store::{AccountId, WebSession};

use crate::guard::name_of;

/// What pages need: what the box can do, and what only pages keep.
#[derive(Clone)]
pub struct Site {
    pub office: Arc<Office>,
    pub memory: Arc<Memory>,
}

/// What pages keep in memory until the server stops.
pub struct Memory {
    pub started: Instant,
    /// Sign-ins that wait for the code of a second factor.
    pub pending: Mutex<Pending>,
    /// A change of the box's address that its owner has not confirmed yet.
    pub network_change: Mutex<Option<NetworkChange>>,
    /// Sessions of a box whose card can't be written.
    pub volatile_sessions: VolatileSessions,
    /// Wrong claim codes.
    pub claims: Mutex<ClaimGuard>,
    /// Things that browsers kept pages of ours, or mail in them, from doing.
    pub policy_reports: AtomicU64,
}

impl Site {
    pub fn new(office: Office) -> Site {
        let memory = Memory {
            started: Instant::now(),
            pending: Mutex::default(),
            network_change: Mutex::default(),
            volatile_sessions: VolatileSessions::default(),
            claims: Mutex::default(),
            policy_reports: AtomicU64::new(0),
        };
        Site { office: Arc::new(office), memory: Arc::new(memory) }
    }
}

impl FromRef<Site> for Arc<Office> {
    fn from_ref(site: &Site) -> Self {
        site.office.clone()
    }
}

impl FromRef<Site> for Arc<Memory> {
    fn from_ref(site: &Site) -> Self {
        site.memory.clone()
    }
}

/// Sessions of a box that can't write any: in memory only, the oldest go first, and a start ends them.
#[derive(Default)]
pub struct VolatileSessions(Mutex<VecDeque<(String, WebSession)>>);

/// Sessions kept in memory.
const VOLATILE: usize = 256;

impl VolatileSessions {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, WebSession)>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// When the box can write again, all of them end: whoever is still there signs in once more.
    pub fn find(&self, key: &str, is_writable: bool) -> Option<WebSession> {
        let mut all = self.lock();
        if is_writable {
            all.clear();
        }
        all.iter().find(|(known, _)| known == key).map(|(_, session)| session.clone())
    }

    pub fn keep(&self, key: String, session: WebSession) {
        let mut all = self.lock();
        if all.len() >= VOLATILE {
            all.pop_front();
        }
        all.push_back((key, session));
    }

    /// Ends a session; to be called with that of the store.
    pub fn forget(&self, key: &str) {
        self.lock().retain(|(known, _)| known != key);
    }
}

/// How long a password counts while the code is looked for, and wrong codes before it no longer does.
const PATIENCE: Duration = Duration::from_secs(300);
const TRIES: u32 = 5;
/// Wrong codes of an account within an hour before it has to wait: a right password must not buy endless guesses.
const WRONG: u32 = 15;
const HOUR: Duration = Duration::from_secs(3600);
/// Sign-ins that wait at the same time.
pub const WAITING: usize = 200;

/// Sign-ins whose password was right and whose code is still missing.
#[derive(Default)]
pub struct Pending {
    waiting: HashMap<String, Half>,
    wrong: HashMap<AccountId, (Instant, u32)>,
}

struct Half {
    account: AccountId,
    address: String,
    /// The hash of the password that was right.
    credential: String,
    since: Instant,
    tries: u32,
}

impl Pending {
    pub fn begin(&mut self, token: String, identity: &Identity, credential: String, now: Instant) {
        self.waiting.retain(|_, half| half.since + PATIENCE > now);
        if self.waiting.len() < WAITING {
            self.waiting.insert(
                token,
                Half {
                    account: identity.account,
                    address: identity.address.clone(),
                    credential,
                    since: now,
                    tries: 0,
                },
            );
        }
    }

    /// Whose code is awaited; each call is a try.
    pub fn attempt(&mut self, token: &str, now: Instant) -> Option<(AccountId, String, String)> {
        let half = self
            .waiting
            .get_mut(token)
            .filter(|half| half.since + PATIENCE > now && half.tries < TRIES)?;
        half.tries += 1;
        let is_locked = self
            .wrong
            .get(&half.account)
            .is_some_and(|(since, count)| *since + HOUR > now && *count >= WRONG);
        (!is_locked).then(|| (half.account, half.address.clone(), half.credential.clone()))
    }

    pub fn failed(&mut self, account: AccountId, now: Instant) {
        let (since, count) = self.wrong.entry(account).or_insert((now, 0));
        if *since + HOUR <= now {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }

    pub fn end(&mut self, token: &str) {
        self.waiting.remove(token);
    }
}

/// Wrong codes before one has to wait, and how long.
const FREE: u32 = 5;
const WAIT: Duration = Duration::from_secs(60);

/// Counts wrong codes of everybody together: there is one code, and one person who should know it.
#[derive(Default)]
pub struct ClaimGuard {
    wrong: u32,
    until: Option<Instant>,
}

impl ClaimGuard {
    pub fn waits(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    pub fn failed(&mut self, now: Instant) {
        self.wrong += 1;
        if self.wrong >= FREE {
            self.until = Some(now + WAIT);
        }
    }
}

/// Until then a page at the old address may only mean that the change has not begun.
pub const SETTLED: Duration = Duration::from_secs(10);

/// A change of the address that waits to be confirmed.
#[derive(Clone, Copy, Debug)]
pub struct NetworkChange {
    pub asked: Instant,
    /// Where it must be confirmed; none: wherever the box is found, once it has settled.
    pub address: Option<IpAddr>,
}

impl NetworkChange {
    /// Seconds until it is undone; `None` when it was.
    pub fn left(&self, now: Instant) -> Option<u64> {
        Duration::from_secs(UNDO_SECONDS)
            .checked_sub(now.saturating_duration_since(self.asked))
            .map(|left| left.as_secs())
    }

    /// Whether a page at this address shows that the change works.
    pub fn is_proven_at(&self, host: &str, now: Instant) -> bool {
        match self.address {
            Some(address) => name_of(host).trim_matches(['[', ']']).parse() == Ok(address),
            None => now.saturating_duration_since(self.asked) >= SETTLED,
        }
    }
}
