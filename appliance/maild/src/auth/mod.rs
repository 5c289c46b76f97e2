//! Who is logging in? One answer for SMTP, POP3 and later the web: same throttle, same cache, same words.

mod cache;
pub mod factor;
pub mod hash;
mod throttle;

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Instant;

use pillarbox_store::{Account, AccountId, Credential, DeviceId, Store};
use tokio::sync::Semaphore;

use crate::config::Config;
use cache::Cache;
use pillarbox_host::net::is_near;
pub use throttle::Waiting;
use throttle::{Decision, Throttle};

/// What programs are called that have no password of their own, in logs and the ledger.
pub const ACCOUNT_PASSWORD: &str = "account password";

/// Someone who proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub account: AccountId,
    /// The account's full address.
    pub address: String,
    pub device: DeviceId,
    /// The device's name; [`ACCOUNT_PASSWORD`] for device 0.
    pub label: String,
}

/// What came of a login attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted(Identity),
    /// Wrong; the text says what to do about it.
    Denied(&'static str),
    /// Too many wrong attempts: seconds to wait.
    Wait(u64),
    /// We can't tell right now.
    Unavailable,
}

const WRONG: &str = "Wrong user name or password";
const SHORT_NAME: &str = "Wrong user name: it is the full e-mail address, such as ann@example.org";

/// Checks passwords.
pub struct Authenticator {
    throttle: Mutex<Throttle>,
    cache: Mutex<Cache>,
    /// Password hashes need much memory: only so many at once.
    checks: Semaphore,
    decoy: String,
}

impl Authenticator {
    pub fn new(config: &Config) -> Authenticator {
        Authenticator {
            throttle: Mutex::new(Throttle::new(config.login.failures, config.login.wait, is_near)),
            cache: Mutex::new(Cache::new(config.login.remember)),
            checks: Semaphore::new(config.limits.password_checks),
            decoy: hash::DECOY.to_string(),
        }
    }

    /// Checks a password for the user name given, from a peer, at an instant.
    pub async fn verify(&self, store: &Store, user: &str, password: &str, peer: IpAddr, now: Instant) -> Verdict {
        let user = user.trim().to_lowercase();
        let attempt = self.lock_cache().fingerprint(&user, password);
        if let Decision::Wait(seconds) = self.lock_throttle().decide(peer, &user, now) {
            return Verdict::Wait(seconds);
        }
        let Ok(found) = look_up(store, &user).await else { return Verdict::Unavailable };
        let identity = match found {
            Some((id, account, credentials)) => self.matching(id, &account, &credentials, password, attempt, now).await,
            None => {
                // As much work as for a real account, so that time doesn't tell which names exist.
                self.argon2_matches(&self.decoy, password).await;
                None
            }
        };
        match identity {
            Some(identity) => {
                self.lock_throttle().succeeded(peer, &user);
                Verdict::Accepted(identity)
            }
            None => {
                self.lock_throttle().failed(peer, &user, attempt, now);
                Verdict::Denied(if user.contains('@') { WRONG } else { SHORT_NAME })
            }
        }
    }

    /// Who has to wait now, longest first.
    pub fn waiting(&self, now: Instant) -> Vec<Waiting> {
        self.lock_throttle().waiting(now)
    }

    async fn matching(
        &self,
        account: AccountId,
        record: &Account,
        credentials: &[(DeviceId, Credential)],
        password: &str,
        attempt: cache::Fingerprint,
        now: Instant,
    ) -> Option<Identity> {
        let identity = |device: DeviceId, credential: &Credential| Identity {
            account,
            address: record.address.clone(),
            device,
            label: match device {
                DeviceId::MAIN => ACCOUNT_PASSWORD.into(),
                _ => credential.label.clone(),
            },
        };
        let device_hash = hash::device(password);
        if let Some((device, credential)) = credentials.iter().find(|(_, c)| hash::equal(&c.hash, &device_hash)) {
            return Some(identity(*device, credential));
        }
        let (device, main) = credentials.iter().find(|(device, _)| *device == DeviceId::MAIN)?;
        // The remembered hash must still be the account's: a changed password ends the memory at once.
        if self.lock_cache().knows(&attempt, &main.hash, now) {
            return Some(identity(*device, main));
        }
        if !self.argon2_matches(&main.hash, password).await {
            return None;
        }
        self.lock_cache().remember(attempt, &main.hash, now);
        Some(identity(*device, main))
    }

    async fn argon2_matches(&self, stored: &str, password: &str) -> bool {
        let Ok(_permit) = self.checks.acquire().await else { return false };
        let (stored, password) = (stored.to_string(), password.to_string());
        tokio::task::spawn_blocking(move || hash::matches(&stored, &password)).await.unwrap_or(false)
    }

    fn lock_cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn lock_throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(|e| e.into_inner())
    }
}

type Found = Option<(AccountId, Account, Vec<(DeviceId, Credential)>)>;

async fn look_up(store: &Store, user: &str) -> Result<Found, ()> {
    let (store, user) = (store.clone(), user.to_string());
    let read = tokio::task::spawn_blocking(move || {
        store.read(|r| {
            let Some((id, account)) = r.account(&user)? else { return Ok(None) };
            let credentials = r.credentials(id)?;
            Ok(Some((id, account, credentials)))
        })
    });
    match read.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => {
            tracing::error!(%error, "looking up an account failed");
            Err(())
        }
        Err(_) => Err(()),
    }
}
