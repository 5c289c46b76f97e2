//! The first visit: the code from the box's console makes somebody its owner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_proto::address::{Address, Domain};
use pillarbox_store::{Change, Changed, Error, MailboxPolicy};
use serde::Deserialize;

use super::{Frame, page, redirect_with, trouble};
use crate::auth::hash;
use crate::clock;
use crate::context::{Context, off_thread};
use crate::web::session::{self, Visit};

/// Characters of an owner's password.
const SHORTEST: usize = 10;
/// Wrong codes before one has to wait, and how long.
const FREE: u32 = 5;
const WAIT: Duration = Duration::from_secs(60);

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    frame: Frame,
    form: Claim,
    is_secure: bool,
}

#[derive(Clone, Default, Deserialize)]
pub struct Claim {
    #[serde(default)]
    code: String,
    #[serde(default)]
    domain: String,
    #[serde(default)]
    local: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
}

/// Counts wrong codes of everybody together: there is one code, and one person who should know it.
#[derive(Default)]
pub struct ClaimGuard {
    wrong: u32,
    until: Option<Instant>,
}

impl ClaimGuard {
    fn waits(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    fn failed(&mut self, now: Instant) {
        self.wrong += 1;
        if self.wrong >= FREE {
            self.until = Some(now + WAIT);
        }
    }
}

async fn is_claimed(context: &Arc<Context>) -> bool {
    context.read(|r| r.accounts()).await.map_or(true, |accounts| !accounts.is_empty())
}

pub async fn show(visit: Visit) -> Response {
    if is_claimed(&visit.context).await {
        return Redirect::to("/").into_response();
    }
    answer(&visit, StatusCode::OK, Claim { local: "".into(), ..Claim::default() }, None)
}

fn answer(visit: &Visit, status: StatusCode, form: Claim, wrong: Option<&str>) -> Response {
    let frame = Frame::new(visit, "/setup", "setup-title");
    let frame = match wrong {
        Some(key) => frame.trouble(visit.texts.get(key)),
        None => frame,
    };
    page(status, &SetupPage { frame, form: Claim { password: String::new(), ..form }, is_secure: visit.link.is_secure })
}

pub async fn claim(visit: Visit, Form(form): Form<Claim>) -> Response {
    let context = visit.context.clone();
    if is_claimed(&context).await {
        return Redirect::to("/").into_response();
    }
    let refuse = |key: &'static str| answer(&visit, StatusCode::BAD_REQUEST, form.clone(), Some(key));
    let code = context.claim_code();
    {
        let mut guard = context.claims.lock().unwrap_or_else(|e| e.into_inner());
        if guard.waits(Instant::now()) {
            return answer(&visit, StatusCode::TOO_MANY_REQUESTS, form.clone(), Some("setup-wait"));
        }
        let given: String = form.code.chars().filter(char::is_ascii_alphanumeric).collect();
        if !code.is_some_and(|code| hash::equal(&code, &given.to_ascii_uppercase())) {
            guard.failed(Instant::now());
            return refuse("setup-wrong-code");
        }
    }
    let Ok(domain) = Domain::parse(form.domain.trim()) else { return refuse("setup-wrong-domain") };
    let Ok(address) = Address::parse(&format!("{}@{domain}", form.local.trim())) else { return refuse("setup-wrong-address") };
    if domain.is_literal() {
        return refuse("setup-wrong-domain");
    }
    if form.password.chars().count() < SHORTEST {
        return refuse("setup-short-password");
    }
    let made = make_owner(&context, domain.to_string(), address.canonical(), form.name.trim().to_string(), form.password.clone()).await;
    match made {
        Ok(account) => {
            context.forget_claim_code();
            match session::sign_in(&visit, account).await {
                Ok(cookie) => redirect_with(cookie, "/domains"),
                Err(error) => trouble(&visit, &error),
            }
        }
        Err(error) => trouble(&visit, &error),
    }
}

async fn make_owner(
    context: &Arc<Context>,
    domain: String,
    address: String,
    name: String,
    password: String,
) -> Result<pillarbox_store::AccountId, Error> {
    let store = context.store.clone();
    off_thread(move || {
        let at = clock::now();
        match store.change(Change::AddDomain { name: domain, at }).wait() {
            Ok(_) | Err(Error::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
        let hash = hash::password(&password).map_err(|why| Error::Invalid { why })?;
        let policy = MailboxPolicy::TrashAfter { days: 30 };
        match store.change(Change::AddAccount { address, name, hash, policy, at }).wait()? {
            Changed::Account(id) => Ok(id),
            _ => Err(Error::Closed),
        }
    })
    .await
}
