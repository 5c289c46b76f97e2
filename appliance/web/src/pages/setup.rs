//! The first visit: the code from the box's console makes somebody its owner.
//! And the steps after that.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_host::net;
use pillarbox_platform::clock;
use pillarbox_store::{AddDomain, Error, off_thread};
use pillarbox_vocabulary::{Address, Domain};
use serde::Deserialize;

use crate::frame::{Frame, in_link, office_address, page, redirect_with, trouble};
use crate::session::{self, Owner, Visit};
use crate::signed::Signed;
use crate::text::Texts;
use pillarbox_office::Office;
use pillarbox_office::auth::hash;
use pillarbox_office::directory::{self, Password, USUAL_POLICY};
use pillarbox_office::preseed;
use pillarbox_office::settings::{self, Progress, Step};
use pillarbox_office::{claim, naming};

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    frame: Frame,
    form: Claim,
    is_secure: bool,
    /// Where the same page is under TLS, and the certificate's fingerprint.
    secure: String,
    fingerprint: String,
    /// A file for the set-up was there and could not be used.
    is_file_wrong: bool,
    /// How the box is found in the office.
    found_as: Option<String>,
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

async fn is_claimed(office: &Arc<Office>) -> bool {
    office
        .store
        .read_off_thread(|r| r.accounts())
        .await
        .map_or(true, |accounts| !accounts.is_empty())
}

pub async fn show(visit: Visit) -> Response {
    if is_claimed(&visit.office).await {
        return Redirect::to("/").into_response();
    }
    let domain = directory::first_domain(&visit.office.store).await;
    answer(&visit, StatusCode::OK, Claim { domain, ..Claim::default() }, None)
}

/// How the box is found in the office; `None` where nothing holds a name for it, as on a machine of somebody's own.
fn found_as(t: Texts) -> Option<String> {
    match net::held_name(Path::new(net::LOCAL_NAME))? {
        none if none.is_empty() => office_address().map(|address| {
            t.with("setup-found-address", "address", &in_link(address)).into_owned()
        }),
        name => Some(t.with("setup-found", "name", &name).into_owned()),
    }
}

fn answer(visit: &Visit, status: StatusCode, form: Claim, wrong: Option<&str>) -> Response {
    let frame = Frame::new(visit, "/setup", "setup-title");
    let frame = match wrong {
        Some(key) => frame.trouble(visit.texts.get(key)),
        None => frame,
    };
    let https =
        visit.office.settings.get().listen.https.first().map_or(443, |address| address.port());
    let name = visit.host.rsplit_once(':').map_or(visit.host.as_str(), |(name, _)| name);
    let shown = SetupPage {
        frame,
        form: Claim { password: String::new(), ..form },
        is_secure: visit.link.is_secure,
        secure: if https == 443 {
            format!("https://{name}/setup")
        } else {
            format!("https://{name}:{https}/setup")
        },
        fingerprint: visit.office.certificates.facts().fingerprint,
        found_as: found_as(visit.texts),
        is_file_wrong: preseed::mistake(&visit.office.settings.get().data).exists(),
    };
    page(status, &shown)
}

pub async fn claim(visit: Visit, Form(form): Form<Claim>) -> Response {
    let office = visit.office.clone();
    if is_claimed(&office).await {
        return Redirect::to("/").into_response();
    }
    let refuse =
        |key: &'static str| answer(&visit, StatusCode::BAD_REQUEST, form.clone(), Some(key));
    let code = claim::current(&office.settings.get().data);
    {
        let mut guard = visit.memory.claims.lock().unwrap_or_else(|e| e.into_inner());
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
    let Ok(address) = Address::parse(&format!("{}@{domain}", form.local.trim())) else {
        return refuse("setup-wrong-address");
    };
    if domain.is_literal() {
        return refuse("setup-wrong-domain");
    }
    let Ok(password) = Password::chosen(form.password.clone()) else {
        return refuse("setup-short-password");
    };
    let made = make_owner(&office, domain.to_string(), address, form.name.clone(), password).await;
    match made {
        Ok((account, credential)) => {
            claim::forget(&office.settings.get().data);
            match session::sign_in(&visit, account, credential).await {
                Ok(cookie) => redirect_with(cookie, "/"),
                Err(error) => trouble(&visit, &error),
            }
        }
        Err(error) => trouble(&visit, &error),
    }
}

/// The account, and the hash of its password.
async fn make_owner(
    office: &Arc<Office>,
    domain: String,
    address: Address,
    name: String,
    password: Password,
) -> Result<(pillarbox_store::AccountId, String), Error> {
    let store = office.store.clone();
    off_thread(move || {
        let at = clock::now();
        match store.change(AddDomain { name: domain, at }).wait() {
            Ok(_) | Err(Error::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
        // Before the account: whoever is cut off here claims again, and is led on afterwards.
        if store.read(|r| r.setting(settings::SETUP))?.is_none() {
            store.change(Progress::default().change()).wait()?;
        }
        let password = password.prepare()?;
        let id =
            store.change(directory::person(&address, &name, &password, USUAL_POLICY, at)).wait()?;
        Ok((id, password.hash))
    })
    .await
}

/// Back to where the set-up was left.
pub async fn resume(Owner(_, visitor): Owner) -> Response {
    Redirect::to(visitor.progress.and_then(|progress| progress.next()).map_or("/home", Step::page))
        .into_response()
}

#[derive(Deserialize)]
pub struct Next {
    #[serde(default)]
    step: String,
}

/// A step is behind the owner; on to the next one.
pub async fn next(Signed(Owner(visit, visitor), form): Signed<Owner, Next>) -> Response {
    let (Some(progress), Some(step)) = (visitor.progress, Step::parse(&form.step)) else {
        return Redirect::to("/home").into_response();
    };
    let progress = progress.with(step);
    match visit.office.store.change(progress.change()).done().await {
        Ok(_) => Redirect::to(progress.next().map_or("/home", Step::page)).into_response(),
        Err(error) => trouble(&visit, &error),
    }
}

#[derive(Template)]
#[template(path = "name.html")]
struct NamePage {
    frame: Frame,
    hostname: String,
    suggestion: String,
    domain: String,
}

pub async fn name(Owner(visit, _): Owner) -> Response {
    name_page(&visit, StatusCode::OK, Frame::new(&visit, "/name", "name-title"), None).await
}

async fn name_page(
    visit: &Visit,
    status: StatusCode,
    frame: Frame,
    typed: Option<String>,
) -> Response {
    let domain = directory::first_domain(&visit.office.store).await;
    let hostname = visit.office.settings.get().hostname();
    let is_usable = super::certificate::is_public_name(&hostname);
    let suggestion = typed
        .unwrap_or_else(|| if is_usable { hostname.clone() } else { format!("mail.{domain}") });
    page(status, &NamePage { frame, hostname, suggestion, domain })
}

#[derive(Deserialize)]
pub struct Rename {
    #[serde(default)]
    name: String,
}

pub async fn rename(Signed(Owner(visit, visitor), form): Signed<Owner, Rename>) -> Response {
    let name = naming::host_name(&form.name).filter(|name| name.contains('.'));
    let Some(name) = name else {
        let frame =
            Frame::new(&visit, "/name", "name-title").trouble(visit.texts.get("name-wrong"));
        return name_page(&visit, StatusCode::BAD_REQUEST, frame, Some(form.name)).await;
    };
    let office = visit.office.clone();
    let renamed = off_thread(move || {
        naming::rename(&office.settings, &office.store, &office.certificates, &name)
    })
    .await;
    match (renamed, visitor.progress) {
        (Ok(()), Some(progress)) => {
            let progress = progress.with(Step::Name);
            match visit.office.store.change(progress.change()).done().await {
                Ok(_) => Redirect::to(progress.next().map_or("/home", Step::page)).into_response(),
                Err(error) => trouble(&visit, &error),
            }
        }
        (Ok(()), None) => Redirect::to("/name").into_response(),
        (Err(error), _) => trouble(&visit, &error),
    }
}
