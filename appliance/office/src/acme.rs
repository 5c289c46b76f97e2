//! A certificate from an authority (RFC 8555): ordered, proven by HTTP, TLS or DNS, taken into use, renewed.

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType,
    HttpClient, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use pillarbox_outbound::{ClientTls, Handles};
use pillarbox_platform::clock;
use pillarbox_platform::config::Live;
use pillarbox_platform::dns::Dns;
use pillarbox_platform::tasks::Tasks;
use pillarbox_platform::tls::{self, Certificates, write_private};
use pillarbox_proto::reply::clip;
use pillarbox_store::Store;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use crate::error::{Error, Result};
use crate::settings;

/// Octets of an authority's answer.
const ANSWER: usize = 1 << 20;
/// Octets of an authority's reason that are kept.
const REASON_OCTETS: usize = 1024;
/// For one request.
const REQUEST: Duration = Duration::from_secs(30);
/// How long an authority may look at proofs, and make the certificate.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a record in the DNS is waited for.
const RECORD: Duration = Duration::from_secs(24 * 3600);
/// Seconds before the end at which a new certificate is ordered; for short-lived ones a third of their life.
const AHEAD: u64 = 30 * 86_400;
/// Seconds between two tries that the box makes by itself.
const AGAIN: u64 = 12 * 3600;
/// Names besides the host's that go into the certificate.
const NAMES: usize = 50;

/// How the box proves that a name is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The authority asks on port 80.
    Http,
    /// The authority asks on port 443.
    Tls,
    /// Somebody publishes records.
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
    last_try: Mutex<u64>,
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

    /// Somebody says that the records are published.
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
        && last + AGAIN <= now
        && is_due(&acme.certificates.facts(), &hostname, now)
    {
        start(acme, &[Method::Http, Method::Tls]);
    }
}

/// Whether another certificate is needed.
fn is_due(facts: &tls::Facts, hostname: &str, now: u64) -> bool {
    let ahead = AHEAD.min(facts.ends.saturating_sub(facts.starts) / 3);
    facts.is_self_signed || !facts.names(hostname) || now + ahead >= facts.ends
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
            prove_by_http(acme, &mut order).await?;
        }
        Method::Tls => {
            acme.set(Progress::Proving(method));
            prove_by_tls(acme, &mut order).await?;
        }
        Method::Dns => prove_by_dns(acme, &mut order).await?,
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

/// Why a name can't be proven this way.
fn missing(name: &str) -> Error {
    Error::NoSuchProof { name: name.to_string() }
}

/// Lays the proofs of all names ready on port 80.
async fn prove_by_http(acme: &Arc<Acme>, order: &mut Order) -> Result<()> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(Error::authority)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let mut challenge =
            authorization.challenge(ChallengeType::Http01).ok_or_else(|| missing(&name))?;
        let proof = challenge.key_authorization().as_str().to_string();
        acme.tokens
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .insert(challenge.token.clone(), proof);
        challenge.set_ready().await.map_err(Error::authority)?;
    }
    Ok(())
}

/// Shows the records, waits until somebody says that they are published, and lets the authority look.
async fn prove_by_dns(acme: &Arc<Acme>, order: &mut Order) -> Result<()> {
    let mut records = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(Error::authority)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        let challenge =
            authorization.challenge(ChallengeType::Dns01).ok_or_else(|| missing(&name))?;
        records
            .push((format!("_acme-challenge.{name}"), challenge.key_authorization().dns_value()));
    }
    if records.is_empty() {
        return Ok(());
    }
    acme.set(Progress::WaitingForRecords(records));
    let waiting = tokio::time::timeout(RECORD, acme.records_are_there.notified()).await;
    waiting.map_err(|_| Error::RecordsMissing)?;
    acme.set(Progress::Proving(Method::Dns));
    ready(order).await
}

/// Proves one name after the other over TLS: one proof at a time stands on port 443.
async fn prove_by_tls(acme: &Arc<Acme>, order: &mut Order) -> Result<()> {
    while let Some(name) = next_by_tls(acme, order).await? {
        settled(order, &name).await?;
    }
    Ok(())
}

/// Lays the proof for the next name ready; `None` when there is none left.
async fn next_by_tls(acme: &Arc<Acme>, order: &mut Order) -> Result<Option<String>> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(Error::authority)?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = authorization.identifier().to_string();
        let mut challenge =
            authorization.challenge(ChallengeType::TlsAlpn01).ok_or_else(|| missing(&name))?;
        acme.certificates.prove(Some((&name, challenge.key_authorization().digest().as_ref())))?;
        challenge.set_ready().await.map_err(Error::authority)?;
        return Ok(Some(name));
    }
    Ok(None)
}

/// Waits until the authority has looked at the proof for a name.
async fn settled(order: &mut Order, name: &str) -> Result<()> {
    const PAUSE: Duration = Duration::from_secs(1);
    for _ in 0..PATIENCE.as_secs() {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(Error::authority)?;
            if authorization.identifier().to_string() == name {
                let state = authorization.refresh().await.map_err(Error::authority)?;
                if state.status != AuthorizationStatus::Pending {
                    return Ok(());
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Error::ProofUnseen { name: name.to_string() })
}

async fn ready(order: &mut Order) -> Result<()> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(Error::authority)?;
        if authorization.status == AuthorizationStatus::Pending
            && let Some(mut challenge) = authorization.challenge(ChallengeType::Dns01)
        {
            challenge.set_ready().await.map_err(Error::authority)?;
        }
    }
    Ok(())
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
    let addresses = async |name: &str| {
        dns.addresses(name).await.map(|(v4, v6)| [v4.records, v6.records].concat())
    };
    let ours = addresses(&host).await.map_err(|_| Error::Unpublished { host: host.clone() })?;
    let mut names = vec![host];
    for domain in acme.store.read_off_thread(|r| r.domains()).await? {
        for prefix in ["mta-sts", "autoconfig", "autodiscover"] {
            let name = format!("{prefix}.{domain}");
            let leads_here =
                addresses(&name).await.is_ok_and(|found| found.iter().any(|a| ours.contains(a)));
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
    let client = || Account::builder_with_http(Box::new(Client { acme: Arc::downgrade(acme) }));
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

/// Requests over our own names, trust and limits.
struct Client {
    acme: std::sync::Weak<Acme>,
}

impl HttpClient for Client {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let acme = self.acme.upgrade();
        Box::pin(async move {
            let acme = acme.ok_or_else(|| other(asking("the box was stopped")))?;
            let asked = tokio::time::timeout(REQUEST, ask(&acme, request)).await;
            asked.unwrap_or_else(|_| Err(asking("no answer in time"))).map_err(other)
        })
    }
}

fn other(error: Error) -> instant_acme::Error {
    instant_acme::Error::Other(error.into())
}

fn asking(why: impl std::fmt::Display) -> Error {
    Error::failed("asking the authority")(why)
}

async fn ask(
    acme: &Arc<Acme>,
    mut request: http::Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse> {
    let uri = request.uri().clone();
    let host = uri
        .host()
        .ok_or_else(|| asking("its address has no host"))?
        .trim_matches(['[', ']'])
        .to_string();
    if uri.scheme_str() != Some("https") {
        return Err(asking(format!("{uri} is not https")));
    }
    let port = uri.port_u16().unwrap_or(443);
    let tcp = connect(acme, &host, port).await?;
    let tls: Arc<ClientConfig> = acme.tls.verified();
    let name = ServerName::try_from(host.clone()).map_err(asking)?;
    let tls = TlsConnector::from(tls).connect(name, tcp).await.map_err(asking)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(asking)?;
    tokio::spawn(connection);
    let authority = uri.authority().map(|a| a.to_string()).unwrap_or(host);
    let value = http::HeaderValue::from_str(&authority).map_err(asking)?;
    request.headers_mut().insert(http::header::HOST, value);
    *request.uri_mut() = uri
        .path_and_query()
        .map_or("/", |p| p.as_str())
        .parse()
        .map_err(|_| asking("a strange address"))?;
    let (parts, body) = sender.send_request(request).await.map_err(asking)?.into_parts();
    let body = Limited::new(body, ANSWER).collect().await.map_err(asking)?.to_bytes();
    Ok(BytesResponse::from(http::Response::from_parts(parts, http_body_util::Full::new(body))))
}

async fn connect(acme: &Arc<Acme>, host: &str, port: u16) -> Result<TcpStream> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => {
            let found = acme.dns.addresses(host).await;
            let (v4, v6) = found.map_err(|e| asking(format!("{host} was not found: {e:?}")))?;
            [v4.records, v6.records].concat()
        }
    };
    let mut last = format!("{host} has no address");
    for address in addresses {
        match TcpStream::connect((address, port)).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = format!("{host} [{address}]: {error}"),
        }
    }
    Err(asking(last))
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
            starts: starts * DAY,
            ends: ends * DAY,
            is_self_signed: false,
            fingerprint: String::new(),
        };
        assert!(!is_due(&facts(0, 90), "mail.example", 59 * DAY));
        assert!(is_due(&facts(0, 90), "mail.example", 60 * DAY));
        assert!(is_due(&facts(0, 90), "new.example", DAY));
        // Six days of life: two days ahead.
        assert!(
            !is_due(&facts(0, 6), "mail.example", 3 * DAY)
                && is_due(&facts(0, 6), "mail.example", 4 * DAY)
        );
        assert!(is_due(
            &tls::Facts { is_self_signed: true, ..facts(0, 9000) },
            "mail.example",
            DAY
        ));
    }
}
