//! A certificate from an authority (RFC 8555): ordered, proven by HTTP, TLS or DNS, taken into use, renewed.

mod client;
mod proofs;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use pillarbox_outbound::{ClientTls, Handles};
use pillarbox_platform::clock;
use pillarbox_platform::config::Live;
use pillarbox_platform::dns::Dns;
use pillarbox_platform::tasks::Tasks;
use pillarbox_platform::tls::{self, Certificates, write_private};
use pillarbox_proto::reply::clip;
use pillarbox_store::Store;
use tokio::sync::Notify;

use crate::error::{Error, Result};
use crate::settings;
use client::Client;
use pillarbox_vocabulary::Timestamp;
/// Octets of an authority's reason that are kept.
const REASON_OCTETS: usize = 1024;
/// How long an authority may look at proofs, and make the certificate.
const PATIENCE: Duration = Duration::from_secs(120);
/// Seconds before the end at which a new certificate is ordered; for short-lived ones a third of their life.
const AHEAD: Duration = Duration::from_secs(30 * 86_400);
/// Seconds between two tries that the box makes by itself.
const AGAIN: Duration = Duration::from_secs(12 * 3600);
/// Names besides the host's that go into the certificate.
const NAMES: usize = 50;

/// How the box proves that a name is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The authority asks on port 80.
    Http,
    /// The authority asks on port 443.
    Tls,
    /// The owner publishes records.
    Dns,
}

/// What is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    #[default]
    Idle,
    Ordering,
    /// The authority looks at the proofs.
    Proving(Method),
    /// Names and values of TXT records that must be there before it goes on.
    WaitingForRecords(Vec<(String, String)>),
    Failed(String),
}

/// The work with the authority.
pub struct Acme {
    settings: Live,
    store: Store,
    certificates: Arc<Certificates>,
    dns: Arc<Dns>,
    tls: Arc<ClientTls>,
    tasks: Tasks,
    /// Key authorizations by token, for port 80.
    tokens: Mutex<HashMap<String, String>>,
    progress: Mutex<Progress>,
    /// One order at a time.
    busy: tokio::sync::Mutex<()>,
    records_are_there: Notify,
    last_try: Mutex<Timestamp>,
}

impl Acme {
    pub fn new(settings: Live, certificates: Arc<Certificates>, handles: Handles) -> Acme {
        let Handles { store, dns, tls, tasks, .. } = handles;
        Acme {
            settings,
            store,
            certificates,
            dns,
            tls,
            tasks,
            tokens: Mutex::default(),
            progress: Mutex::default(),
            busy: tokio::sync::Mutex::default(),
            records_are_there: Notify::new(),
            last_try: Mutex::default(),
        }
    }

    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    fn set(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(|e| e.into_inner()) = progress;
    }

    /// What the authority finds at `/.well-known/acme-challenge/` (RFC 8555 §8.3).
    pub fn key_authorization(&self, token: &str) -> Option<String> {
        self.tokens.lock().unwrap_or_else(|e| e.into_inner()).get(token).cloned()
    }

    /// The owner says that the records are published.
    pub fn go_on(&self) {
        self.records_are_there.notify_one();
    }
}

/// Starts an order beside everything else; nothing happens while one is under way.
pub fn start(acme: &Arc<Acme>, methods: &'static [Method]) {
    if !matches!(acme.progress(), Progress::Idle | Progress::Failed(_)) {
        return;
    }
    acme.set(Progress::Ordering);
    let acme = acme.clone();
    tokio::spawn(async move {
        let _alive = acme.tasks.begin();
        let _one = acme.busy.lock().await;
        *acme.last_try.lock().unwrap_or_else(|e| e.into_inner()) = clock::now();
        let mut stop = acme.tasks.stop();
        let result = tokio::select! {
            result = obtain(&acme, methods) => result,
            _ = stop.changed() => Err(Error::Stopped),
        };
        acme.tokens.lock().unwrap_or_else(|e| e.into_inner()).clear();
        let ended = acme.certificates.prove(None).map_err(Error::from).and(result);
        match ended {
            Ok(()) => {
                tracing::info!(names = ?acme.certificates.facts().names, "a certificate from the authority is in use");
                acme.set(Progress::Idle);
            }
            Err(error) => {
                tracing::error!(%error, "no certificate from the authority");
                acme.set(Progress::Failed(clip(&error.to_string(), REASON_OCTETS).to_string()));
            }
        }
    });
}

/// Orders a new certificate when the one in use comes near its end.
/// Housekeeping calls this.
pub async fn renew(acme: &Arc<Acme>) {
    let now = clock::now();
    let chosen = acme.store.read_off_thread(|r| r.setting(settings::CERTIFICATE)).await;
    let is_wanted = chosen.is_ok_and(|choice| choice.as_deref() == Some("acme"));
    let last = *acme.last_try.lock().unwrap_or_else(|e| e.into_inner());
    let hostname = acme.settings.get().hostname();
    if is_wanted
        && clock::is_trusted()
        && last.plus(AGAIN) <= now
        && is_due(&acme.certificates.facts(), &hostname, now)
    {
        start(acme, &[Method::Http, Method::Tls]);
    }
}

/// Whether another certificate is needed.
fn is_due(facts: &tls::Facts, hostname: &str, now: Timestamp) -> bool {
    let ahead = AHEAD.min(facts.ends.since(facts.starts) / 3);
    facts.is_self_signed || !facts.names(hostname) || now.plus(ahead) >= facts.ends
}

/// Gets a certificate, by the first method that the authority accepts.
async fn obtain(acme: &Arc<Acme>, methods: &[Method]) -> Result<()> {
    let account = account(acme).await?;
    let names = names(acme).await?;
    let mut reasons = Vec::new();
    for &method in methods {
        match order(acme, &account, &names, method).await {
            Ok(()) => {
                let store = acme.store.clone();
                let kept = pillarbox_store::off_thread(move || {
                    settings::set(&store, settings::CERTIFICATE, Some("acme".into()))
                });
                return Ok(kept.await?);
            }
            Err(error) => {
                tracing::warn!(%error, ?method, "the authority did not accept the proof");
                reasons.push(error);
            }
        }
    }
    Err(Error::NotProven(reasons))
}

async fn order(
    acme: &Arc<Acme>,
    account: &Account,
    names: &[String],
    method: Method,
) -> Result<()> {
    acme.set(Progress::Ordering);
    let identifiers: Vec<Identifier> =
        names.iter().map(|name| Identifier::Dns(name.clone())).collect();
    let mut order =
        account.new_order(&NewOrder::new(&identifiers)).await.map_err(Error::authority)?;
    match method {
        Method::Http => {
            acme.set(Progress::Proving(method));
            proofs::by_http(acme, &mut order).await?;
        }
        Method::Tls => {
            acme.set(Progress::Proving(method));
            proofs::by_tls(acme, &mut order).await?;
        }
        Method::Dns => proofs::by_dns(acme, &mut order).await?,
    }
    let retry = RetryPolicy::new().timeout(PATIENCE);
    let status = order.poll_ready(&retry).await.map_err(Error::authority)?;
    if status != OrderStatus::Ready {
        return Err(Error::authority(
            why(&mut order).await.unwrap_or_else(|| format!("the order became {status:?}")),
        ));
    }
    let key = order.finalize().await.map_err(Error::authority)?;
    let chain = order.poll_certificate(&retry).await.map_err(Error::authority)?;
    let acme = acme.clone();
    let installed = tokio::task::spawn_blocking(move || acme.certificates.install(&chain, &key));
    Ok(installed.await.map_err(Error::failed("taking the certificate into use"))??)
}

/// What the authority says was wrong.
async fn why(order: &mut Order) -> Option<String> {
    let mut authorizations = order.authorizations();
    let mut found = Vec::new();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let name = state.identifier().to_string();
        let problems = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        found.extend(
            problems
                .map(|problem| format!("{name}: {}", problem.detail.clone().unwrap_or_default())),
        );
    }
    (!found.is_empty()).then(|| found.join(" · "))
}

/// The host's name, and those names of the domains that lead to the same machine.
async fn names(acme: &Arc<Acme>) -> Result<Vec<String>> {
    let host = acme.settings.get().hostname();
    let dns = &acme.dns;
    let ours =
        dns.all_addresses(&host).await.map_err(|_| Error::Unpublished { host: host.clone() })?;
    let mut names = vec![host];
    for domain in acme.store.read_off_thread(|r| r.domains()).await? {
        for prefix in ["mta-sts", "autoconfig", "autodiscover"] {
            let name = format!("{prefix}.{domain}");
            let found = dns.all_addresses(&name).await;
            let leads_here = found.is_ok_and(|found| found.iter().any(|a| ours.contains(a)));
            if leads_here && !names.contains(&name) && names.len() < NAMES {
                names.push(name);
            }
        }
    }
    Ok(names)
}

/// Our account with the authority, made at the first order.
async fn account(acme: &Arc<Acme>) -> Result<Account> {
    let settings = acme.settings.get();
    let path = settings.data.join("tls").join("acme-account.json");
    let directory = settings.acme.directory.clone();
    let client = || {
        let (dns, tls) = (acme.dns.clone(), acme.tls.clone());
        Account::builder_with_http(Box::new(Client { dns, tls }))
    };
    let known = std::fs::read_to_string(&path).ok().and_then(|text| {
        let (from, credentials) = text.split_once('\n')?;
        (from == directory)
            .then(|| serde_json::from_str::<AccountCredentials>(credentials).ok())
            .flatten()
    });
    if let Some(credentials) = known {
        return client().from_credentials(credentials).await.map_err(Error::authority);
    }
    let fresh =
        NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) =
        client().create(&fresh, directory.clone(), None).await.map_err(Error::authority)?;
    let text = serde_json::to_string(&credentials).map_err(Error::failed("keeping the account"))?;
    write_private(&path, &format!("{directory}\n{text}"))?;
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_time_and_for_the_right_name() {
        const DAY: u64 = 86_400;
        let facts = |starts, ends| tls::Facts {
            names: vec!["mail.example".into()],
            issuer: "CA".into(),
            starts: Timestamp(starts * DAY),
            ends: Timestamp(ends * DAY),
            is_self_signed: false,
            fingerprint: String::new(),
        };
        assert!(!is_due(&facts(0, 90), "mail.example", Timestamp(59 * DAY)));
        assert!(is_due(&facts(0, 90), "mail.example", Timestamp(60 * DAY)));
        assert!(is_due(&facts(0, 90), "new.example", Timestamp(DAY)));
        // Six days of life: two days ahead.
        assert!(
            !is_due(&facts(0, 6), "mail.example", Timestamp(3 * DAY))
                && is_due(&facts(0, 6), "mail.example", Timestamp(4 * DAY))
        );
        assert!(is_due(
            &tls::Facts { is_self_signed: true, ..facts(0, 9000) },
            "mail.example",
            Timestamp(DAY)
        ));
    }
}
