//! Who is asking: the cookie, the session behind it, the role.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_platform::clock::{self, Zone};
use pillarbox_store::{
    AccountId, BeginSession, DeviceId, Error, RemoveSession, SeeSession, WebSession,
};
use sha2::{Digest, Sha256};

use super::memory::{Memory, Site};
use super::routes::Routes;
use super::serve::Link;
use super::text::Texts;
use pillarbox_office::Office;
use pillarbox_office::mail::preferences::Preferences;
use pillarbox_office::settings::Progress;
use pillarbox_platform::config::seconds;

const COOKIE: &str = "pillarbox";
const LANGUAGE: &str = "language";
/// Octets of what a browser calls itself that are kept.
const AGENT: usize = 120;

/// Facts of any request.
pub struct Visit {
    pub office: Arc<Office>,
    pub memory: Arc<Memory>,
    pub link: Link,
    pub texts: Texts,
    pub agent: String,
    /// The name and port the browser used.
    pub host: String,
    pub visitor: Option<Visitor>,
    /// All pages, for the navigation.
    pub routes: Routes,
    /// The visitor's; without one, the defaults.
    pub preferences: Preferences,
}

/// Somebody signed in.
#[derive(Clone, Debug)]
pub struct Visitor {
    pub account: AccountId,
    pub address: String,
    pub is_owner: bool,
    /// Must come back with every form.
    pub form_token: String,
    /// The session's key in the store.
    pub key: String,
    /// How far the set-up is, for the owner while it is not done.
    pub progress: Option<Progress>,
}

impl<S: Send + Sync> FromRequestParts<S> for Visit
where
    Site: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Site { office, memory } = Site::from_ref(state);
        let missing = || axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
        let link = parts.extensions.get::<Link>().copied().ok_or_else(missing)?;
        let routes = parts.extensions.get::<Routes>().cloned().ok_or_else(missing)?;
        let header = |name| {
            parts.headers.get(name).and_then(|h| h.to_str().ok()).unwrap_or_default().to_string()
        };
        let (visitor, preferences) = visitor(&office, &memory, &parts.headers).await.unzip();
        let preferences = preferences.unwrap_or_default();
        let chosen = Texts::chosen(&preferences.language)
            .or_else(|| Texts::chosen(&cookie_named(&parts.headers, LANGUAGE)?));
        let texts = chosen.unwrap_or_else(|| Texts::choose(&header(header::ACCEPT_LANGUAGE)));
        Ok(Visit {
            texts: texts.in_zone(Zone::named(&preferences.zone).unwrap_or_default()),
            preferences,
            agent: header(header::USER_AGENT),
            host: header(header::HOST),
            link,
            visitor,
            routes,
            office,
            memory,
        })
    }
}

/// The owner; anybody else is sent to sign in, or reads that the page is not theirs.
pub struct Owner(pub Visit, pub Visitor);

impl<S: Send + Sync> FromRequestParts<S> for Owner
where
    Site: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let Person(visit, visitor) = Person::from_request_parts(parts, state).await?;
        match visitor.is_owner {
            true => Ok(Owner(visit, visitor)),
            false => Err(crate::frame::notice(
                &visit,
                axum::http::StatusCode::FORBIDDEN,
                "not-yours-title",
                "not-yours",
            )),
        }
    }
}

/// Anybody signed in.
pub struct Person(pub Visit, pub Visitor);

impl<S: Send + Sync> FromRequestParts<S> for Person
where
    Site: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let visit = Visit::from_request_parts(parts, state).await?;
        match visit.visitor.clone() {
            Some(visitor) => Ok(Person(visit, visitor)),
            None => Err(Redirect::to("/login").into_response()),
        }
    }
}

fn token(headers: &HeaderMap) -> Option<String> {
    cookie_named(headers, COOKIE).filter(|value| value.len() == 64)
}

fn cookie_named(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|c| c.to_str().ok())
        .flat_map(|c| c.split(';'));
    let mut found =
        cookies.filter_map(|c| c.trim().split_once('=')).filter(|(name, _)| *name == wanted);
    found.next().map(|(_, value)| value.to_string())
}

/// The cookie that keeps a person's language for a year.
pub fn language_cookie(texts: Texts) -> String {
    format!("{LANGUAGE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000", texts.lang())
}

/// What is kept of such a word.
pub fn key(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// Octets in hex, lower case.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A word of 256 random bits, for cookies and links.
pub fn random() -> Result<String, pillarbox_office::Error> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets)
        .map_err(|e| pillarbox_office::Error::NoRandomNumbers { why: e.to_string() })?;
    Ok(hex(&octets))
}

async fn visitor(
    office: &Arc<Office>,
    memory: &Memory,
    headers: &HeaderMap,
) -> Option<(Visitor, Preferences)> {
    let key = key(&token(headers)?);
    let (now, life) = (clock::now(), seconds(office.settings.get().web.session_hours * 3600));
    let (wanted, volatile) =
        (key.clone(), memory.volatile_sessions.find(&key, office.store.unwritable().is_none()));
    let found = office.store.read_off_thread(move |r| {
        let Some(session) = r.session(&wanted)?.or(volatile) else { return Ok(None) };
        let account = r.account_by_id(session.account)?;
        let is_owner = r.accounts()?.first().is_some_and(|(id, _)| *id == session.account);
        let progress = if is_owner { Progress::read(r)? } else { None };
        let preferences = Preferences::read(r, session.account)?;
        Ok(account.map(|account| (session, account, is_owner, progress, preferences)))
    });
    let (session, account, is_owner, progress, preferences) = found.await.ok().flatten()?;
    if session.seen.plus(life) < now {
        // A session that is not removed now is removed when it is met next.
        let _ = office.store.change(RemoveSession { key }).done().await;
        return None;
    }
    // Once a minute is enough to know who is there.
    if session.seen.plus(Duration::from_secs(60)) < now {
        let _ = office.store.change(SeeSession { key: key.clone(), at: now }).done().await;
    }
    let visitor = Visitor {
        account: session.account,
        address: account.address,
        is_owner,
        form_token: session.form_token,
        key,
        progress,
    };
    Some((visitor, preferences))
}

/// The hash of an account's own password: who signs in proves it before and names it then, so that a change in between
/// counts.
pub async fn credential(office: &Arc<Office>, account: AccountId) -> Result<String, Error> {
    let own = office.store.read_off_thread(move |r| {
        Ok(r.credentials(account)?.into_iter().find(|(device, _)| *device == DeviceId::MAIN))
    });
    let missing = || Error::NotFound { what: "password of account", name: account.0.to_string() };
    own.await?.map(|(_, credential)| credential.hash).ok_or_else(missing)
}

/// Signs an account in with a fresh token (never one that was there before) and gives the cookie; `credential` is the
/// hash of the password that was proved.
/// Refused when that is no longer the account's.
pub async fn sign_in(
    visit: &Visit,
    account: AccountId,
    credential: String,
) -> Result<String, Error> {
    let fresh = || random().map_err(|error| Error::Invalid { why: error.to_string() });
    let (token, form_token, now) = (fresh()?, fresh()?, clock::now());
    let agent = visit.agent.chars().filter(|c| !c.is_control()).take(AGENT).collect();
    let session = WebSession { account, form_token, created: now, seen: now, agent };
    let begin = BeginSession { key: key(&token), session: session.clone(), credential };
    match visit.office.store.change(begin).done().await {
        // Whoever wants to read needs no card that can be written.
        Err(Error::Unwritable { .. }) => visit.memory.volatile_sessions.keep(key(&token), session),
        begun => drop(begun?),
    }
    Ok(cookie(&token, visit.link))
}

/// The cookie; without a value it takes the old one away.
pub fn cookie(token: &str, link: Link) -> String {
    let secure = if link.is_secure { "; Secure" } else { "" };
    let age = if token.is_empty() { "; Max-Age=0" } else { "" };
    format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{secure}{age}")
}
