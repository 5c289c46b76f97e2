//! What every connection shares.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use pillarbox_proto::{pop3, smtp};
use pillarbox_store::{Fate, LedgerRecord, Reader, ShortCode, Store};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::auth::{Authenticator, network_of};
use crate::clock;
use crate::config::{Config, seconds};
use crate::outbound::Outbound;
use crate::tls::Certificates;
use crate::web;

/// The server's shared state.
pub struct Context {
    pub store: Store,
    pub auth: Authenticator,
    pub certificates: Certificates,
    pub outbound: Outbound,
    /// KiB of message content that may still come into memory.
    pub budget: Semaphore,
    /// KiB that `budget` had at the start: three quarters of `limits.octets_in_flight`.
    pub budget_kib: u64,
    /// KiB of messages that may still be read ahead for POP3 programs. A pool of its own: a program that
    /// stops half-way must not keep mail from coming in.
    pub read_ahead: Semaphore,
    pub connections: Connections,
    /// False while mail has to wait outside because the disk is nearly full.
    pub has_space: AtomicBool,
    /// When each device last logged in, for LOGIN-DELAY.
    pub logins: Mutex<HashMap<(u32, u16), std::time::Instant>>,
    /// Wrong claim codes.
    pub claims: Mutex<web::ClaimGuard>,
    settings: RwLock<Arc<Settings>>,
    /// Turns true when the server stops.
    stop: watch::Receiver<bool>,
    /// Every conversation holds a clone: when all are gone, the server may end.
    alive: mpsc::Sender<()>,
}

/// What can change by a reload.
pub struct Settings {
    pub config: Config,
    pub smtp: Arc<smtp::Config>,
    pub submission: Arc<smtp::Config>,
    pub submissions: Arc<smtp::Config>,
    pub pop3: Arc<pop3::Config>,
    pub pop3_trusted: Arc<pop3::Config>,
}

impl Settings {
    /// Derives the protocol settings from the file's.
    pub fn new(config: Config) -> Settings {
        let smtp = |role, starttls| Arc::new(smtp_config(&config, role, starttls));
        Settings {
            smtp: smtp(smtp::Role::Mta, smtp::Offer::Yes),
            submission: smtp(smtp::Role::Submission, smtp::Offer::Yes),
            submissions: smtp(smtp::Role::Submission, smtp::Offer::No),
            pop3: Arc::new(pop3_config(&config, pop3::PlaintextLogin::OnlyUnderTls)),
            pop3_trusted: Arc::new(pop3_config(&config, pop3::PlaintextLogin::Allowed)),
            config,
        }
    }
}

fn smtp_config(config: &Config, role: smtp::Role, starttls: smtp::Offer) -> smtp::Config {
    let limits = smtp::Limits {
        command_line: config.limits.command_line,
        message_octets: config.limits.message_octets,
        recipients: config.limits.recipients,
        messages: config.limits.messages,
        errors: config.limits.errors,
        commands: config.limits.commands,
        received_headers: config.limits.received_fields,
        failed_logins: config.limits.failed_logins,
        timeouts: smtp::Timeouts {
            command: seconds(config.timeouts.smtp_command),
            data_initiation: seconds(config.timeouts.smtp_data),
            data_block: seconds(config.timeouts.smtp_data),
        },
        ..smtp::Limits::default()
    };
    smtp::Config { hostname: config.hostname(), role, starttls, limits }
}

fn pop3_config(config: &Config, plaintext_login: pop3::PlaintextLogin) -> pop3::Config {
    pop3::Config {
        hostname: config.hostname(),
        stls: pop3::Offer::Yes,
        plaintext_login,
        login_delay: (config.login.delay > 0).then(|| seconds(config.login.delay)),
        // RFC 2449 §6.7: what a program does not delete stays for ever.
        expire: pop3::Expire::Never,
        implementation: format!("Pillarbox-{}", env!("CARGO_PKG_VERSION")),
        limits: pop3::Limits {
            failed_logins: config.limits.failed_logins,
            errors: config.limits.errors,
            autologout: seconds(config.timeouts.pop3_idle),
            login: seconds(config.timeouts.pop3_login),
            ..pop3::Limits::default()
        },
    }
}

impl Context {
    pub fn new(
        config: Config,
        store: Store,
        certificates: Certificates,
        outbound: Outbound,
        stop: watch::Receiver<bool>,
        alive: mpsc::Sender<()>,
    ) -> Context {
        Context {
            auth: Authenticator::new(&config),
            budget: Semaphore::new(config.limits.octets_in_flight / 1024 / 4 * 3),
            budget_kib: config.limits.octets_in_flight as u64 / 1024 / 4 * 3,
            read_ahead: Semaphore::new(config.limits.octets_in_flight / 1024 / 4),
            connections: Connections::default(),
            has_space: AtomicBool::new(true),
            logins: Mutex::new(HashMap::new()),
            claims: Mutex::default(),
            settings: RwLock::new(Arc::new(Settings::new(config))),
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
                crate::tls::write_private(&path, &fresh_code().to_string())?;
            }
            let code = self.claim_code().unwrap_or_default();
            tracing::info!(code, "this box is nobody's yet: open its page and give this claim code");
        }
        Ok(())
    }

    fn claim_file(&self) -> std::path::PathBuf {
        self.settings().config.data.join("claim-code")
    }

    /// The code that makes somebody the owner; `None` when there is none.
    pub fn claim_code(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.claim_file()).ok()?;
        Some(text.trim().to_string()).filter(|code| code.len() == 7)
    }

    /// The box is somebody's: the code is of no more use.
    pub fn forget_claim_code(&self) {
        if let Err(error) = std::fs::remove_file(self.claim_file()) {
            tracing::warn!(%error, "the claim code can't be removed");
        }
    }

    /// The settings new connections get.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Takes new settings; addresses and sizes of pools stay as they were at the start.
    pub fn reload(&self, config: Config) {
        *self.settings.write().unwrap_or_else(|e| e.into_inner()) = Arc::new(Settings::new(config));
    }

    /// Whether mail can be taken on at all.
    pub fn has_space(&self) -> bool {
        self.has_space.load(Ordering::Relaxed)
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
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> pillarbox_store::Result<T> + Send + 'static,
    ) -> pillarbox_store::Result<T> {
        let store = self.store.clone();
        off_thread(move || store.read(read)).await
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

/// Runs something that may block where that harms nobody.
pub async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> pillarbox_store::Result<T> + Send + 'static,
) -> pillarbox_store::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(pillarbox_store::Error::Closed))
}

/// A fresh code for a reply and the ledger.
pub fn fresh_code() -> ShortCode {
    // Codes need not be secret; without random numbers the time has to do.
    ShortCode(getrandom::u32().unwrap_or_else(|_| clock::now() as u32))
}

/// Counts open connections, all and by address.
#[derive(Default)]
pub struct Connections {
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A counted connection; dropping it counts it off.
pub struct Counted {
    context: Arc<Context>,
    address: IpAddr,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMany {
    /// All together.
    InAll,
    /// From this address.
    FromAddress,
}

impl Connections {
    /// Counts a connection in, or says which limit it would break.
    pub fn admit(context: &Arc<Context>, peer: IpAddr) -> Result<Counted, TooMany> {
        let settings = context.settings();
        let limits = &settings.config.limits;
        let address = network_of(peer);
        let mut open = context.connections.open.lock().unwrap_or_else(|e| e.into_inner());
        if open.values().sum::<usize>() >= limits.connections {
            return Err(TooMany::InAll);
        }
        let count = open.entry(address).or_insert(0);
        if *count >= limits.connections_per_address {
            return Err(TooMany::FromAddress);
        }
        *count += 1;
        Ok(Counted { context: context.clone(), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.context.connections.open.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}
