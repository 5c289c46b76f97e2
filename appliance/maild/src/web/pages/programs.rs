//! Setting up mail programs: for people to read, and for programs to fetch.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use pillarbox_store::{Change, DeviceId, Error};
use serde::Deserialize;

use super::{Frame, is_own, page, redirect_with, trouble};
use crate::auth::{Verdict, hash};
use crate::clock;
use crate::context::{Context, off_thread};
use crate::server::Service;
use crate::web::session::{self, Person, Visit, Visitor};

/// Characters of a device's name, and devices of an account.
const NAME: usize = 60;
const DEVICES: usize = 50;
/// Characters of an account's password.
const SHORTEST: usize = 10;

#[derive(Template)]
#[template(path = "programs.html")]
struct ProgramsPage {
    frame: Frame,
    address: String,
    servers: Servers,
    devices: Vec<(u16, String)>,
    /// Name and password of the device that was just added: shown once.
    fresh: Option<(String, String)>,
}

#[derive(Clone)]
struct Servers {
    host: String,
    pop3s: u16,
    submissions: u16,
    submission: u16,
}

#[derive(Template)]
#[template(path = "autoconfig.xml", escape = "html")]
struct Autoconfig {
    domain: String,
    servers: Servers,
}

fn servers(context: &Context) -> Servers {
    let settings = context.settings();
    let port = |service: Service, usual| service.addresses(&settings.config).first().map(|a| a.port()).filter(|&p| p != 0).unwrap_or(usual);
    Servers {
        host: settings.config.hostname(),
        pop3s: port(Service::Pop3s, 995),
        submissions: port(Service::Submissions, 465),
        submission: port(Service::Submission, 587),
    }
}

pub async fn show(Person(visit, visitor): Person) -> Response {
    let frame = Frame::new(&visit, "/programs", "programs-title");
    answer(&visit, &visitor, StatusCode::OK, frame, None).await
}

async fn answer(visit: &Visit, visitor: &Visitor, status: StatusCode, frame: Frame, fresh: Option<(String, String)>) -> Response {
    let address = visitor.address.clone();
    let read = visit.context.read(move |r| match r.account(&address)? {
        Some((id, _)) => r.credentials(id),
        None => Ok(Vec::new()),
    });
    match read.await {
        Ok(credentials) => {
            let devices = credentials.into_iter().filter(|(id, _)| *id != DeviceId::MAIN).map(|(id, c)| (id.0, c.label)).collect();
            page(status, &ProgramsPage { frame, address: visitor.address.clone(), servers: servers(&visit.context), devices, fresh })
        }
        Err(error) => trouble(visit, &error),
    }
}

#[derive(Deserialize)]
pub struct Device {
    #[serde(default)]
    token: String,
    #[serde(default)]
    name: String,
    /// The device to lock out; empty to add one.
    #[serde(default)]
    remove: String,
}

pub async fn device(Person(visit, visitor): Person, Form(form): Form<Device>) -> Response {
    if !is_own(&visitor, &form.token) {
        return super::notice(&visit, StatusCode::FORBIDDEN, "stale-title", "stale");
    }
    let (store, address) = (visit.context.store.clone(), visitor.address.clone());
    let frame = Frame::new(&visit, "/programs", "programs-title");
    if let Ok(device) = form.remove.parse::<u16>() {
        let change = Change::RemoveDevice { address, device: DeviceId(device) };
        return match store.change(change).done().await {
            Ok(_) | Err(Error::NotFound { .. }) => answer(&visit, &visitor, StatusCode::OK, frame, None).await,
            Err(error) => trouble(&visit, &error),
        };
    }
    let label: String = form.name.chars().filter(|c| !c.is_control()).take(NAME).collect::<String>().trim().to_string();
    if label.is_empty() {
        return answer(&visit, &visitor, StatusCode::BAD_REQUEST, frame, None).await;
    }
    let made = off_thread(move || {
        let known = store.read(|r| match r.account(&address)? {
            Some((id, _)) => r.credentials(id),
            None => Ok(Vec::new()),
        })?;
        if known.len() > DEVICES {
            return Err(Error::Invalid { why: format!("{address} has {DEVICES} devices already") });
        }
        let password = hash::generate().map_err(|why| Error::Invalid { why })?;
        let add = Change::AddDevice { address, label: label.clone(), hash: hash::device(&password), at: clock::now() };
        store.change(add).wait()?;
        Ok((label, password))
    });
    match made.await {
        Ok(fresh) => answer(&visit, &visitor, StatusCode::OK, frame, Some(fresh)).await,
        Err(error) => trouble(&visit, &error),
    }
}

#[derive(Deserialize)]
pub struct Password {
    #[serde(default)]
    token: String,
    #[serde(default)]
    old: String,
    #[serde(default)]
    new: String,
}

/// A new password for the account: the old one is asked for, all browsers are signed out, this one in again.
pub async fn password(Person(visit, visitor): Person, Form(form): Form<Password>) -> Response {
    if !is_own(&visitor, &form.token) {
        return super::notice(&visit, StatusCode::FORBIDDEN, "stale-title", "stale");
    }
    let frame = Frame::new(&visit, "/programs", "programs-title");
    let context = visit.context.clone();
    let refuse = |frame: Frame, key: &str| frame.trouble(visit.texts.get(key));
    if form.new.chars().count() < SHORTEST {
        let frame = refuse(frame, "setup-short-password");
        return answer(&visit, &visitor, StatusCode::BAD_REQUEST, frame, None).await;
    }
    let verdict = context.auth.verify(&context.store, &visitor.address, &form.old, visit.link.peer, Instant::now()).await;
    let account = match verdict {
        Verdict::Accepted(identity) if identity.device == DeviceId::MAIN => identity.account,
        _ => {
            let frame = refuse(frame, "login-wrong");
            return answer(&visit, &visitor, StatusCode::FORBIDDEN, frame, None).await;
        }
    };
    let (store, address, new) = (context.store.clone(), visitor.address.clone(), form.new.clone());
    let changed = off_thread(move || {
        let hash = hash::password(&new).map_err(|why| Error::Invalid { why })?;
        store.change(Change::SetPassword { address, hash, at: clock::now() }).wait()
    });
    match changed.await {
        Ok(_) => match session::sign_in(&visit, account).await {
            Ok(cookie) => redirect_with(cookie, "/programs"),
            Err(error) => trouble(&visit, &error),
        },
        Err(error) => trouble(&visit, &error),
    }
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    emailaddress: String,
}

/// What Thunderbird and others fetch (the "autoconfiguration" format, version 1.1).
pub async fn autoconfig(State(context): State<Arc<Context>>, Query(asked): Query<Asked>) -> Response {
    let domains = context.read(|r| r.domains()).await.unwrap_or_default();
    let wanted = asked.emailaddress.rsplit_once('@').map(|(_, domain)| domain.to_lowercase());
    let domain = wanted.filter(|d| domains.contains(d)).or_else(|| domains.first().cloned());
    let Some(domain) = domain else { return StatusCode::NOT_FOUND.into_response() };
    match (Autoconfig { domain, servers: servers(&context) }).render() {
        Ok(xml) => ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], xml).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
