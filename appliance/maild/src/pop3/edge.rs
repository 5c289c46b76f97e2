//! What all POP3 connections share, and what the settings mean for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use pillarbox_office::Office;
use pillarbox_office::auth::SignIns;
use pillarbox_platform::config::{Config, Derived, Live, seconds};
use pillarbox_platform::tasks::Tasks;
use pillarbox_platform::tls::Certificates;
use pillarbox_proto::pop3;
use pillarbox_store::Store;
use tokio::sync::Semaphore;

/// What all POP3 connections share.
pub struct Edge {
    pub settings: Live,
    pub store: Store,
    pub certificates: Arc<Certificates>,
    pub sign_ins: Arc<SignIns>,
    pub tasks: Tasks,
    pub profiles: Derived<Profiles>,
    /// KiB of messages that may still be read ahead for programs.
    /// A pool of its own: a program that stops half-way must not keep mail from coming in.
    pub read_ahead: Semaphore,
    /// When each device last logged in, for LOGIN-DELAY.
    pub logins: Mutex<HashMap<(u32, u16), Instant>>,
}

/// What the settings mean for a session, by where it comes from.
pub struct Profiles {
    pub usual: Arc<pop3::Config>,
    /// For networks where a password may be sent without TLS.
    pub trusted: Arc<pop3::Config>,
}

impl Profiles {
    pub fn new(config: &Config) -> Profiles {
        Profiles {
            usual: Arc::new(profile(config, pop3::PlaintextLogin::OnlyUnderTls)),
            trusted: Arc::new(profile(config, pop3::PlaintextLogin::Allowed)),
        }
    }
}

fn profile(config: &Config, plaintext_login: pop3::PlaintextLogin) -> pop3::Config {
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

impl Edge {
    pub fn new(office: &Office) -> Edge {
        Edge {
            settings: office.settings.clone(),
            store: office.store.clone(),
            certificates: office.certificates.clone(),
            sign_ins: office.sign_ins.clone(),
            tasks: office.handles.tasks.clone(),
            profiles: Derived::default(),
            read_ahead: Semaphore::new(office.settings.get().limits.in_flight().ahead / 1024),
            logins: Mutex::default(),
        }
    }
}
