//! The one way in for every service: a password is checked, and who tried is remembered.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use pillarbox_platform::clock;
use pillarbox_platform::config::Config;
use pillarbox_platform::connections::Connections;
use pillarbox_store::{DeviceId, NoteSignIn, Service, SignIn, Store};

use super::{Authenticator, Identity, Refusal, Waiting};
use crate::history::{Event, History, What};

/// Everybody who signs in, and what became of it.
pub struct SignIns {
    store: Store,
    authenticator: Authenticator,
    connections: Arc<Connections>,
    history: Mutex<History>,
}

impl SignIns {
    pub fn new(store: Store, config: &Config, connections: Arc<Connections>) -> SignIns {
        SignIns {
            store,
            authenticator: Authenticator::new(config),
            connections,
            history: Mutex::default(),
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Checks a password, and remembers who tried.
    /// Programs of somebody with a second factor need passwords of their own, and those open no pages.
    pub async fn verify(
        &self,
        service: Service,
        user: &str,
        password: &str,
        peer: IpAddr,
    ) -> Result<Identity, Refusal> {
        let mut verdict =
            self.authenticator.verify(&self.store, user, password, peer, Instant::now()).await;
        if let Ok(identity) = &verdict
            && identity.device == DeviceId::MAIN
            && service != Service::Web
        {
            let account = identity.account;
            match self.store.read_off_thread(move |r| r.factor(account)).await {
                Ok(None) => {}
                Ok(Some(_)) => verdict = Err(Refusal::NeedsDevicePassword),
                Err(_) => verdict = Err(Refusal::Unavailable),
            }
        }
        let (what, device) = match &verdict {
            // The page's own sign-in is complete only after a second factor.
            Ok(identity) if service == Service::Web => {
                self.connections.signed_in_from(peer);
                return if identity.device == DeviceId::MAIN {
                    verdict
                } else {
                    Err(Refusal::DevicePassword)
                };
            }
            Ok(identity) => (What::SignedIn, identity.label.clone()),
            Err(Refusal::NeedsDevicePassword) => (What::NeedsDevice, String::new()),
            Err(Refusal::ShortName) => (What::ShortName, String::new()),
            Err(Refusal::Wrong | Refusal::DevicePassword) => (What::WrongPassword, String::new()),
            Err(Refusal::Wait(_)) => (What::MustWait, String::new()),
            Err(Refusal::Unavailable) => return verdict,
        };
        self.note(peer, service.as_str(), what, user, &device);
        let is_accepted = what == What::SignedIn;
        if is_accepted {
            self.connections.signed_in_from(peer);
        }
        if is_accepted || what == What::WrongPassword {
            self.note_sign_in(user, SignIn { peer, service, device, is_accepted }).await;
        }
        verdict
    }

    /// Notes what a program did.
    pub fn note(&self, peer: IpAddr, service: &'static str, what: What, user: &str, device: &str) {
        self.history().note(clock::now(), peer, service, what, user, device);
    }

    /// Writes a sign-in into the account's history, where it is worth that.
    pub async fn note_sign_in(&self, user: &str, sign_in: SignIn) {
        let (user, at) = (user.trim().to_lowercase(), clock::now());
        let Ok(Some((account, _))) = self.store.read_off_thread(move |r| r.account(&user)).await
        else {
            return;
        };
        if self.history().is_worth_keeping(account, &sign_in, at) {
            // No one waits for it, and nothing depends on it.
            drop(self.store.change(NoteSignIn { account, at, sign_in }));
        }
    }

    /// What programs of this address, or from this peer, did of late.
    pub fn events(&self, address: &str, peer: IpAddr) -> Vec<Event> {
        self.history().of(address, peer, 0)
    }

    /// Accounts and places that have to wait after wrong passwords.
    pub fn waiting(&self, now: Instant) -> Vec<Waiting> {
        self.authenticator.waiting(now)
    }
}
