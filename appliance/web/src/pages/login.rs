//! Signing in, with a second factor where there is one, and out.

use std::time::Instant;

use askama::Template;
use axum::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_platform::clock;
use pillarbox_store::{AccountId, Error, RemoveSession, ReplaceFactor, Service, SignIn};
use serde::Deserialize;

use crate::frame::{Frame, page, redirect_with, trouble};
use crate::memory::WAITING;
use crate::session::{self, Person, Visit};
use crate::signed::Signed;
use crate::text::Texts;
use pillarbox_office::auth::{Identity, Refusal, factor};
use pillarbox_office::history::What;
use pillarbox_office::mail::preferences::Preferences;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    user: String,
}

#[derive(Template)]
#[template(path = "code.html")]
struct CodePage {
    frame: Frame,
    pending: String,
}

#[derive(Deserialize)]
pub struct Login {
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: String,
}

pub async fn show(visit: Visit) -> Response {
    if visit.visitor.is_some() {
        return Redirect::to("/").into_response();
    }
    page(
        StatusCode::OK,
        &LoginPage { frame: Frame::new(&visit, "/login", "login-title"), user: String::new() },
    )
}

pub async fn sign_in(visit: Visit, Form(login): Form<Login>) -> Response {
    let office = visit.office.clone();
    let user = login.user.trim().to_string();
    // Read before it is checked: should the password change in between, the session is refused.
    let credential = credential_of(&visit, &user).await;
    let refusal =
        match office.sign_ins.verify(Service::Web, &user, &login.password, visit.link.peer).await {
            Ok(identity) => return first_half(&visit, identity, credential).await,
            Err(refusal) => refusal,
        };
    let t = visit.texts;
    let (status, message) = match refusal {
        Refusal::DevicePassword | Refusal::NeedsDevicePassword => {
            (StatusCode::FORBIDDEN, t.get("login-device"))
        }
        Refusal::ShortName => (StatusCode::FORBIDDEN, t.get("login-short")),
        Refusal::Wrong => (StatusCode::FORBIDDEN, t.get("login-wrong")),
        Refusal::Wait(seconds) => (StatusCode::TOO_MANY_REQUESTS, t.count("login-wait", seconds)),
        Refusal::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, t.get("trouble")),
    };
    let frame = Frame::new(&visit, "/login", "login-title").trouble(message);
    page(status, &LoginPage { frame, user })
}

/// The hash of a person's own password; empty where there is no such person.
async fn credential_of(visit: &Visit, user: &str) -> String {
    let wanted = user.to_lowercase();
    if !wanted.contains('@') {
        return String::new();
    }
    match visit.office.store.read_off_thread(move |r| r.account(&wanted)).await {
        Ok(Some((account, _))) => {
            session::credential(&visit.office, account).await.unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// The password was right.
async fn first_half(visit: &Visit, identity: Identity, credential: String) -> Response {
    let account = identity.account;
    match visit.office.store.read_off_thread(move |r| r.factor(account)).await {
        Ok(None) => enter(visit, account, &identity.address, credential).await,
        Ok(Some(_)) => match session::random() {
            Ok(pending) => {
                let mut waiting = visit.memory.pending.lock().unwrap_or_else(|e| e.into_inner());
                waiting.begin(pending.clone(), &identity, credential, Instant::now());
                page(
                    StatusCode::OK,
                    &CodePage { frame: Frame::new(visit, "/login", "code-title"), pending },
                )
            }
            Err(error) => trouble(visit, &error),
        },
        Err(error) => trouble(visit, &error),
    }
}

async fn enter(visit: &Visit, account: AccountId, address: &str, credential: String) -> Response {
    let cookie = match session::sign_in(visit, account, credential).await {
        Ok(cookie) => cookie,
        // The password was changed while its sign-in was under way.
        Err(Error::NotFound { .. }) => return begin_again(visit),
        Err(error) => return trouble(visit, &error),
    };
    let device = visit.agent.chars().take(120).collect();
    let sign_in =
        SignIn { peer: visit.link.peer, service: Service::Web, device, is_accepted: true };
    visit.office.sign_ins.note_sign_in(address, sign_in).await;
    visit.office.sign_ins.note(visit.link.peer, Service::Web.as_str(), What::SignedIn, address, "");
    redirect_with(cookie, "/")
}

fn begin_again(visit: &Visit) -> Response {
    let frame = Frame::new(visit, "/login", "login-title").trouble(visit.texts.get("code-over"));
    page(StatusCode::FORBIDDEN, &LoginPage { frame, user: String::new() })
}

#[derive(Deserialize)]
pub struct Code {
    #[serde(default)]
    pending: String,
    #[serde(default)]
    code: String,
}

pub async fn code(visit: Visit, Form(form): Form<Code>) -> Response {
    let office = visit.office.clone();
    let lock = || visit.memory.pending.lock().unwrap_or_else(|e| e.into_inner());
    let half = lock().attempt(&form.pending, Instant::now());
    let Some((account, address, credential)) = half else { return begin_again(&visit) };
    match use_code(&visit, account, &form.code).await {
        Ok(Checked::Right) => {}
        Ok(Checked::Wrong) => {
            lock().failed(account, Instant::now());
            let sign_in = SignIn {
                peer: visit.link.peer,
                service: Service::Web,
                device: String::new(),
                is_accepted: false,
            };
            office.sign_ins.note_sign_in(&address, sign_in).await;
            let frame =
                Frame::new(&visit, "/login", "code-title").trouble(visit.texts.get("code-wrong"));
            return page(StatusCode::FORBIDDEN, &CodePage { frame, pending: form.pending });
        }
        Err(error) => return trouble(&visit, &error),
    }
    lock().end(&form.pending);
    enter(&visit, account, &address, credential).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checked {
    Right,
    Wrong,
}

/// Checks a code and uses it up.
/// What a code makes of the factor is written only over what it was checked against: somebody who used another one at
/// the same moment makes this one be looked at again (RFC 6238 §5.2: no code counts twice).
async fn use_code(visit: &Visit, account: AccountId, code: &str) -> Result<Checked, Error> {
    let office = &visit.office;
    for _ in 0..WAITING {
        // The factor may have been taken away meanwhile.
        let Some(factor) = office.store.read_off_thread(move |r| r.factor(account)).await? else {
            return Ok(Checked::Right);
        };
        let used = factor::check(&office.handles.secrets, &factor, code, clock::now())
            .map_err(|error| Error::Invalid { why: error.to_string() })?;
        let Some(used) = used else { return Ok(Checked::Wrong) };
        match office
            .store
            .change(ReplaceFactor { account, was: Some(factor), factor: used })
            .done()
            .await
        {
            Ok(_) => return Ok(Checked::Right),
            Err(Error::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Checked::Wrong)
}

#[derive(Deserialize)]
pub struct SignOut {}

pub async fn sign_out(
    Signed(Person(visit, visitor), SignOut {}): Signed<Person, SignOut>,
) -> Response {
    visit.memory.volatile_sessions.forget(&visitor.key);
    match visit.office.store.change(RemoveSession { key: visitor.key }).done().await {
        Ok(_) | Err(Error::Unwritable { .. }) => {
            redirect_with(session::cookie("", visit.link), "/login")
        }
        Err(error) => trouble(&visit, &error),
    }
}

#[derive(Deserialize)]
pub struct Language {
    #[serde(default)]
    language: String,
    /// The page to go back to.
    #[serde(default)]
    back: String,
}

/// A person chooses the language of the pages.
pub async fn language(visit: Visit, Form(form): Form<Language>) -> Response {
    let texts = Texts::chosen(&form.language).unwrap_or(visit.texts);
    if let Some(visitor) = &visit.visitor {
        let preferences =
            Preferences { language: texts.lang().into(), ..visit.preferences.clone() };
        if let Err(error) =
            visit.office.store.change(preferences.change(visitor.account)).done().await
        {
            return trouble(&visit, &error);
        }
    }
    // Only paths of ours: a form leads to no other site.
    let is_ours = form.back.starts_with('/')
        && !form.back.starts_with("//")
        && form.back.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'/');
    redirect_with(session::language_cookie(texts), if is_ours { &form.back } else { "/" })
}
