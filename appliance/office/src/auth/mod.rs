//! Who is logging in?
//! One answer for SMTP, POP3 and later the web: same throttle, same cache, same words.

mod cache;
pub mod factor;
pub mod hash;
mod sign_ins;
mod throttle;

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Instant;

use pillarbox_platform::config::Config;
pub use pillarbox_store::ACCOUNT_PASSWORD;
use pillarbox_store::{Account, AccountId, Credential, DeviceId, Store};
use tokio::sync::Semaphore;

use cache::Cache;
use pillarbox_host::net::{is_near, network_of};
pub use sign_ins::SignIns;
pub use throttle::Waiting;
use throttle::{Decision, Place, Throttle};

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

/// Why somebody is not let in.
/// Its text is what mail programs show; pages have texts of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such user, or the password is another one: which of both is not said.
    Wrong,
    /// The user name is no full address, which all user names here are.
    ShortName,
    /// With a second factor the account's own password opens no mail program.
    NeedsDevicePassword,
    /// The password of a mail program, which opens no pages.
    DevicePassword,
    /// Too many wrong attempts: seconds to wait.
    Wait(u64),
    /// It can't be decided right now.
    Unavailable,
}

impl Refusal {
    /// Whether the same password may be right later.
    /// SMTP says 454 then and else 535 (RFC 4954 §6), POP3 `SYS/TEMP` and else `AUTH` (RFC 3206).
    pub fn is_temporary(self) -> bool {
        matches!(self, Refusal::Wait(_) | Refusal::Unavailable)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::Wrong => "Wrong user name or password",
            Refusal::ShortName => "Wrong user name: it is the full e-mail address, such as ann@example.org",
            Refusal::NeedsDevicePassword => "This account has a second factor: make a password for this program on the box's page, under Mail programs",
            Refusal::DevicePassword => "This password is for a mail program only",
            Refusal::Wait(seconds) => return write!(f, "Too many wrong passwords; try again in {seconds} seconds"),
            Refusal::Unavailable => "Passwords can't be checked right now; try again soon",
        })
    }
}

/// Checks passwords.
pub struct Authenticator {
    throttle: Mutex<Throttle>,
    cache: Mutex<Cache>,
    /// Password hashes need much memory: only so many at once.
    /// Strangers have a line of their own: who guesses from outside must not keep the office waiting.
    checks: Semaphore,
    strangers_checks: Semaphore,
    decoy: String,
}

impl Authenticator {
    pub fn new(config: &Config) -> Authenticator {
        Authenticator {
            throttle: Mutex::new(Throttle::new(config.login.failures, config.login.wait, is_near)),
            cache: Mutex::new(Cache::new(config.login.remember)),
            checks: Semaphore::new(config.limits.password_checks),
            strangers_checks: Semaphore::new(config.limits.password_checks),
            decoy: hash::DECOY.to_string(),
        }
    }

    /// Checks a password for the user name given, from a peer, at an instant.
    pub async fn verify(
        &self,
        store: &Store,
        user: &str,
        password: &str,
        peer: IpAddr,
        now: Instant,
    ) -> Result<Identity, Refusal> {
        let user = user.trim().to_lowercase();
        let attempt = self.lock_cache().fingerprint(&user, password);
        let Ok(found) = look_up(store, &user, peer).await else { return Err(Refusal::Unavailable) };
        // Random with 80 bits, which can't be guessed: whoever has one need not wait for those who guess.
        if let Some(identity) = found.as_ref().and_then(|found| by_device(found, password)) {
            self.lock_throttle().succeeded(peer, &user);
            return Ok(identity);
        }
        let place = found.as_ref().map_or(Place::New, |found| found.place);
        let line = if place == Place::Known || is_near(peer) {
            &self.checks
        } else {
            &self.strangers_checks
        };
        let decision = self.lock_throttle().decide(peer, &user, place, now);
        match decision {
            Decision::Try => {}
            Decision::Pause(pause) => tokio::time::sleep(pause).await,
            Decision::Wait(seconds) => return Err(Refusal::Wait(seconds)),
        }
        let identity = match found {
            Some(found) => self.by_account_password(&found, password, attempt, (line, now)).await,
            None => {
                // As much work as for a real account, so that time doesn't tell which names exist.
                argon2_matches(line, &self.decoy, password).await;
                None
            }
        };
        match identity {
            Some(identity) => {
                self.lock_throttle().succeeded(peer, &user);
                Ok(identity)
            }
            None => {
                self.lock_throttle().failed(peer, &user, attempt, now);
                Err(if user.contains('@') { Refusal::Wrong } else { Refusal::ShortName })
            }
        }
    }

    /// Who has to wait now, longest first.
    pub fn waiting(&self, now: Instant) -> Vec<Waiting> {
        self.lock_throttle().waiting(now)
    }

    async fn by_account_password(
        &self,
        found: &Found,
        password: &str,
        attempt: cache::Fingerprint,
        (line, now): (&Semaphore, Instant),
    ) -> Option<Identity> {
        let (_, main) = found.credentials.iter().find(|(device, _)| *device == DeviceId::MAIN)?;
        let identity = found.identity(DeviceId::MAIN, ACCOUNT_PASSWORD);
        // The remembered hash must still be the account's: a changed password ends the memory at once.
        if self.lock_cache().knows(&attempt, &main.hash, now) {
            return Some(identity);
        }
        if !argon2_matches(line, &main.hash, password).await {
            return None;
        }
        self.lock_cache().remember(attempt, &main.hash, now);
        Some(identity)
    }

    fn lock_cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn lock_throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(|e| e.into_inner())
    }
}

async fn argon2_matches(line: &Semaphore, stored: &str, password: &str) -> bool {
    let Ok(_permit) = line.acquire().await else { return false };
    let (stored, password) = (stored.to_string(), password.to_string());
    tokio::task::spawn_blocking(move || hash::matches(&stored, &password)).await.unwrap_or(false)
}

/// An account with its passwords, and whether it signed in from the peer's place before.
struct Found {
    id: AccountId,
    account: Account,
    credentials: Vec<(DeviceId, Credential)>,
    place: Place,
}

impl Found {
    fn identity(&self, device: DeviceId, label: &str) -> Identity {
        Identity {
            account: self.id,
            address: self.account.address.clone(),
            device,
            label: label.to_string(),
        }
    }
}

fn by_device(found: &Found, password: &str) -> Option<Identity> {
    let typed = hash::device(password);
    let (device, credential) =
        found.credentials.iter().find(|(_, c)| hash::equal(&c.hash, &typed))?;
    Some(found.identity(*device, &credential.label))
}

/// Sign-ins looked at for the places an account is known at.
const PLACES: usize = 64;

async fn look_up(store: &Store, user: &str, peer: IpAddr) -> Result<Option<Found>, ()> {
    let (store, user) = (store.clone(), user.to_string());
    let read = tokio::task::spawn_blocking(move || {
        store.read(|r| {
            let Some((id, account)) = r.account(&user)? else { return Ok(None) };
            let credentials = r.credentials(id)?;
            let network = network_of(peer);
            let is_known = r
                .sign_ins(id, PLACES)?
                .iter()
                .any(|(_, sign_in)| sign_in.is_accepted && network_of(sign_in.peer) == network);
            let place = if is_known { Place::Known } else { Place::New };
            Ok(Some(Found { id, account, credentials, place }))
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
