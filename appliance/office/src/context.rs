//! What every connection shares.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use pillarbox_outbound::Outbound;
use pillarbox_platform::budget::Budget;
use pillarbox_platform::clock;
use pillarbox_platform::config::Config;
use pillarbox_platform::connections::Connections;
use pillarbox_platform::tls::Certificates;
use pillarbox_store::{DeviceId, Fate, Hour, LedgerRecord, NoteSignIn, Reader, Service, ShortCode, SignIn, Store};
use tokio::sync::{mpsc, watch};

use crate::acme::Acme;
use crate::auth::{Authenticator, Identity, Refusal};
use crate::history::{History, What};
use crate::{records, settings};

/// The server's shared state.
pub struct Context {
    pub store: Store,
    pub auth: Authenticator,
    pub certificates: Certificates,
    pub outbound: Arc<Outbound>,
    /// Memory for message content that comes in: three quarters of `limits.octets_in_flight`.
    pub budget: Budget,
    pub connections: Connections,
    /// False while mail has to wait outside because the disk is nearly full.
    pub has_space: AtomicBool,
    /// False while nothing can be written at all.
    pub is_writable: AtomicBool,
    pub acme: Acme,
    /// Where mail is taken apart for pages.
    pub readers: crate::mail::readers::Readers,
    pub history: Mutex<History>,
    /// The hours counted last, the current one at the end.
    pub hours: Mutex<Vec<(u64, Hour)>>,
    settings: RwLock<Arc<Config>>,
    /// Turns true when the server stops.
    stop: watch::Receiver<bool>,
    /// Every conversation holds a clone: when all are gone, the server may end.
    alive: mpsc::Sender<()>,
}

impl Context {
    pub fn new(
        config: Config,
        store: Store,
        certificates: Certificates,
        outbound: Arc<Outbound>,
        stop: watch::Receiver<bool>,
        alive: mpsc::Sender<()>,
    ) -> Context {
        let config = with_chosen_name(config, &store);
        outbound.configure(config.clone());
        Context {
            auth: Authenticator::new(&config),
            budget: Budget::new(config.limits.octets_in_flight / 4 * 3),
            connections: Connections::default(),
            has_space: AtomicBool::new(true),
            is_writable: AtomicBool::new(true),
            acme: Acme::default(),
            readers: crate::mail::readers::Readers::new(&config.data),
            history: Mutex::default(),
            hours: Mutex::default(),
            settings: RwLock::new(Arc::new(config)),
            store,
            certificates,
            outbound,
            stop,
            alive,
        }
    }

    /// Makes the claim code of a box that is nobody's yet, and says it.
    pub fn prepare_claim(&self) -> Result<(), String> {
        if self.store.read(|r| r.accounts()).map_err(|e| e.to_string())?.is_empty() {
            let path = self.claim_file();
            if self.claim_code().is_none() {
                pillarbox_platform::tls::write_private(&path, &fresh_code().to_string())?;
            }
            let code = self.claim_code().unwrap_or_default();
            let fingerprint = self.certificates.facts().fingerprint;
            tracing::info!(code, fingerprint, "this box is nobody's yet: open its page and give this claim code");
        } else if self.claim_file().exists() {
            // Somebody became the owner in another way: by a file, or on the command line.
            self.forget_claim_code();
        }
        Ok(())
    }

    fn claim_file(&self) -> std::path::PathBuf {
        self.settings().data.join("claim-code")
    }

    /// The code that makes somebody the owner; `None` when there is none.
    pub fn claim_code(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.claim_file()).ok()?;
        Some(text.trim().to_string()).filter(|code| code.len() == 7)
    }

    /// The box is somebody's: the code is of no more use, nor is a file for the set-up that had a mistake.
    pub fn forget_claim_code(&self) {
        crate::preseed::forget_mistake(&self.settings().data);
        if let Err(error) = std::fs::remove_file(self.claim_file()) {
            tracing::warn!(%error, "the claim code can't be removed");
        }
    }

    /// The settings new connections get.
    pub fn settings(&self) -> Arc<Config> {
        self.settings.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Takes new settings; addresses and sizes of pools stay as they were at the start.
    pub fn reload(&self, config: Config) {
        self.configure(with_chosen_name(config, &self.store));
    }

    fn configure(&self, config: Config) {
        self.outbound.configure(config.clone());
        *self.settings.write().unwrap_or_else(|e| e.into_inner()) = Arc::new(config);
    }

    /// Gives the box another name, at once and from now on. Blocks.
    pub fn rename(&self, hostname: &str) -> pillarbox_store::Result<()> {
        settings::set(&self.store, settings::HOSTNAME, Some(hostname.to_string()))?;
        let config = Config { hostname: hostname.to_string(), ..Config::clone(&self.settings()) };
        let names = certificate_names(&config);
        self.configure(config);
        if let Err(error) = self.certificates.rename(&names) {
            tracing::error!(error, "the self-signed certificate keeps the old name");
        }
        Ok(())
    }

    /// What the box knows of itself, for the records of its domains.
    pub fn facts(&self, reader: &Reader) -> pillarbox_store::Result<records::Facts> {
        let certificate = self.certificates.facts();
        let hostname = self.settings().hostname();
        Ok(records::Facts {
            address: reader.setting(settings::PUBLIC_ADDRESS)?.and_then(|address| address.parse().ok()),
            has_certificate: certificate.is_believed(&hostname, clock::now()),
            sends: match reader.routes()?.iter().any(|(domain, _)| domain.is_empty()) {
                true => records::Sends::ThroughProvider,
                false => records::Sends::Itself,
            },
            hostname,
        })
    }

    /// Notes what a program did.
    pub fn note(&self, peer: IpAddr, service: &'static str, what: What, user: &str, device: &str) {
        self.history.lock().unwrap_or_else(|e| e.into_inner()).note(clock::now(), peer, service, what, user, device);
    }

    /// Checks a password, and remembers who tried: the one way in for every service. Programs of somebody with a second factor
    /// need passwords of their own, and those open no pages.
    pub async fn verify(&self, service: Service, user: &str, password: &str, peer: IpAddr) -> Result<Identity, Refusal> {
        let mut verdict = self.auth.verify(&self.store, user, password, peer, std::time::Instant::now()).await;
        if let Ok(identity) = &verdict
            && identity.device == DeviceId::MAIN
            && service != Service::Web
        {
            let account = identity.account;
            match self.read(move |r| r.factor(account)).await {
                Ok(None) => {}
                Ok(Some(_)) => verdict = Err(Refusal::NeedsDevicePassword),
                Err(_) => verdict = Err(Refusal::Unavailable),
            }
        }
        let (what, device) = match &verdict {
            // The page's own sign-in is complete only after a second factor.
            Ok(identity) if service == Service::Web => {
                self.connections.signed_in_from(peer);
                return if identity.device == DeviceId::MAIN { verdict } else { Err(Refusal::DevicePassword) };
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

    /// Writes a sign-in into the account's history, where it is worth that.
    pub async fn note_sign_in(&self, user: &str, sign_in: SignIn) {
        let (user, at) = (user.trim().to_lowercase(), clock::now());
        let Ok(Some((account, _))) = self.read(move |r| r.account(&user)).await else { return };
        if self.history.lock().unwrap_or_else(|e| e.into_inner()).is_worth_keeping(account, &sign_in, at) {
            // Nobody waits for it, and nothing depends on it.
            drop(self.store.change(NoteSignIn { account, at, sign_in }));
        }
    }

    /// Whether mail can be taken on at all.
    pub fn has_space(&self) -> bool {
        self.has_space.load(Ordering::Relaxed)
    }

    /// Free and all octets of the data partition; both 0 when that can't be known.
    pub fn disk(&self) -> (u64, u64) {
        pillarbox_store::Disk::of(&self.settings().data).map_or((0, 0), |disk| (disk.free, disk.all))
    }

    /// A receiver that changes when the server stops.
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// Held by a conversation for as long as it lasts.
    pub fn alive(&self) -> mpsc::Sender<()> {
        self.alive.clone()
    }

    /// Reads the store off the async threads.
    pub async fn read<T: Send + 'static>(&self, read: impl FnOnce(&Reader) -> pillarbox_store::Result<T> + Send + 'static) -> pillarbox_store::Result<T> {
        self.store.read_off_thread(read).await
    }

    /// Notes a refusal in the ledger; nobody waits for it.
    pub fn note_refusal(&self, code: ShortCode, peer: IpAddr, sender: &str, recipient: Option<&str>, reply: &str) {
        self.store.note(LedgerRecord {
            peer: Some(peer),
            sender: sender.to_string(),
            recipients: recipient.iter().map(|r| r.to_string()).collect(),
            detail: reply.to_string(),
            ..LedgerRecord::new(clock::now(), Fate::Refused, code)
        });
    }
}

/// The box's pages as a service people sign in to.
pub const WEB: &str = Service::Web.as_str();

/// The name the owner chose counts where the file names none.
fn with_chosen_name(mut config: Config, store: &Store) -> Config {
    if config.hostname.is_empty() {
        match store.read(|r| r.setting(settings::HOSTNAME)) {
            Ok(chosen) => config.hostname = chosen.unwrap_or_default(),
            Err(error) => tracing::error!(%error, "the box's name can't be read"),
        }
    }
    config
}

/// The names that a self-signed certificate is made for.
pub fn certificate_names(config: &Config) -> Vec<String> {
    let mut names = vec![config.hostname(), "pillarbox.local".into(), "localhost".into(), "127.0.0.1".into(), "::1".into()];
    names.sort();
    names.dedup();
    names
}

/// A fresh code for a reply and the ledger.
pub fn fresh_code() -> ShortCode {
    ShortCode::fresh(clock::now())
}
