//! Setting up mail programs, for people to read; what programs fetch is in `discovery`.

use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_host::net;
use pillarbox_platform::clock;
use pillarbox_platform::config::Config;
use pillarbox_platform::service::Service;
use pillarbox_store::{AddDevice, DeviceId, Error, RemoveDevice, SetPassword, off_thread};
use serde::Deserialize;

use crate::frame::{Frame, page, redirect_with, trouble};
use crate::session::{self, Person, Visit, Visitor};
use crate::signed::Signed;
use crate::svg;
use crate::text::Texts;
use pillarbox_office::Office;
use pillarbox_office::auth::hash;
use pillarbox_office::directory;
use pillarbox_office::history::{Event, What};
use pillarbox_vocabulary::Timestamp;

/// Characters of a device's name, and devices of an account.
const NAME: usize = 60;
const DEVICES: usize = 50;

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

/// Where mail programs fetch and send.
#[derive(Clone)]
pub struct Servers {
    pub host: String,
    pub pop3s: u16,
    pub submissions: u16,
    pub submission: u16,
}

/// What leads to the box: its name, or its address where no name was chosen and none could be had in the office.
fn host(config: &Config) -> String {
    let is_nameless = config.hostname.is_empty() && net::local_name().is_none();
    let address = is_nameless.then(crate::frame::office_address).flatten();
    address.map_or_else(|| config.hostname(), |address| address.to_string())
}

/// The box's own host and ports.
pub fn servers(office: &Office) -> Servers {
    let settings = office.settings.get();
    let port = |service: Service, usual| {
        service.addresses(&settings).first().map(|a| a.port()).filter(|&p| p != 0).unwrap_or(usual)
    };
    Servers {
        host: host(&settings),
        pop3s: port(Service::Pop3s, 995),
        submissions: port(Service::Submissions, 465),
        submission: port(Service::Submission, 587),
    }
}

pub async fn show(Person(visit, visitor): Person) -> Response {
    let frame = Frame::new(&visit, "/programs", "programs-title");
    answer(&visit, &visitor, StatusCode::OK, frame, None).await
}

async fn answer(
    visit: &Visit,
    visitor: &Visitor,
    status: StatusCode,
    frame: Frame,
    fresh: Option<(String, String)>,
) -> Response {
    let address = visitor.address.clone();
    let read = visit.office.store.read_off_thread(move |r| match r.account(&address)? {
        Some((id, _)) => r.credentials(id),
        None => Ok(Vec::new()),
    });
    match read.await {
        Ok(credentials) => {
            let devices = credentials
                .into_iter()
                .filter(|(id, _)| *id != DeviceId::MAIN)
                .map(|(id, c)| (id.0, c.label))
                .collect();
            page(
                status,
                &ProgramsPage {
                    frame,
                    address: visitor.address.clone(),
                    servers: servers(&visit.office),
                    devices,
                    fresh,
                },
            )
        }
        Err(error) => trouble(visit, &error),
    }
}

#[derive(Deserialize)]
pub struct Device {
    #[serde(default)]
    name: String,
    /// The device to lock out; empty to add one.
    #[serde(default)]
    remove: String,
}

pub async fn device(Signed(Person(visit, visitor), form): Signed<Person, Device>) -> Response {
    let (store, address) = (visit.office.store.clone(), visitor.address.clone());
    let frame = Frame::new(&visit, "/programs", "programs-title");
    if let Ok(device) = form.remove.parse::<u16>() {
        let change = RemoveDevice { address, device: DeviceId(device) };
        return match store.change(change).done().await {
            Ok(_) | Err(Error::NotFound { .. }) => {
                answer(&visit, &visitor, StatusCode::OK, frame, None).await
            }
            Err(error) => trouble(&visit, &error),
        };
    }
    let label: String = form
        .name
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME)
        .collect::<String>()
        .trim()
        .to_string();
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
        let password =
            hash::generate().map_err(|error| Error::Invalid { why: error.to_string() })?;
        let add = AddDevice {
            address,
            label: label.clone(),
            hash: hash::device(&password),
            at: clock::now(),
        };
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
    old: String,
    #[serde(default)]
    new: String,
}

/// A new password for the account: the old one is asked for, all browsers are signed out, this one in again.
pub async fn password(Signed(Person(visit, visitor), form): Signed<Person, Password>) -> Response {
    let frame = Frame::new(&visit, "/programs", "programs-title");
    let office = visit.office.clone();
    let refuse = |frame: Frame, key: &str| frame.trouble(visit.texts.get(key));
    let Ok(new) = directory::Password::chosen(form.new) else {
        let frame = refuse(frame, "setup-short-password");
        return answer(&visit, &visitor, StatusCode::BAD_REQUEST, frame, None).await;
    };
    let verdict = office
        .sign_ins
        .verify(pillarbox_store::Service::Web, &visitor.address, &form.old, visit.link.peer)
        .await;
    let account = match verdict {
        Ok(identity) => identity.account,
        Err(_) => {
            let frame = refuse(frame, "login-wrong");
            return answer(&visit, &visitor, StatusCode::FORBIDDEN, frame, None).await;
        }
    };
    let (store, address) = (office.store.clone(), visitor.address.clone());
    let changed = off_thread(move || {
        let hash = new.prepare()?.hash;
        store
            .change(SetPassword { address, hash: hash.clone(), at: clock::now() })
            .wait()
            .map(|_| hash)
    });
    match changed.await {
        Ok(credential) => match session::sign_in(&visit, account, credential).await {
            Ok(cookie) => redirect_with(cookie, "/programs"),
            Err(error) => trouble(&visit, &error),
        },
        Err(error) => trouble(&visit, &error),
    }
}

#[derive(Template)]
#[template(path = "card.html")]
struct CardPage {
    frame: Frame,
    address: String,
    servers: Servers,
    qr: String,
}

/// A card to be printed and laid beside the keyboard; the code opens the same settings on a phone.
pub async fn card(Person(visit, visitor): Person) -> Response {
    let scheme = if visit.link.is_secure { "https" } else { "http" };
    let link = format!("{scheme}://{}/programs", visit.host);
    let shown = CardPage {
        frame: Frame::new(&visit, "/programs", "card-title"),
        address: visitor.address.clone(),
        servers: servers(&visit.office),
        qr: svg::qr(&link, &link),
    };
    page(StatusCode::OK, &shown)
}

#[derive(Template)]
#[template(path = "coach.html")]
struct CoachPage {
    frame: Frame,
    address: String,
    servers: Servers,
    events: Vec<Seen>,
}

/// What a program did, for the person in front of it.
struct Seen {
    at: String,
    is_well: bool,
    text: String,
    advice: String,
}

/// How far back the coach looks.
const COACH: Duration = Duration::from_secs(1800);
/// Events it shows.
const EVENTS: usize = 20;

fn seen(t: Texts, event: &Event, now: Timestamp) -> Seen {
    let service = t.get(&format!("service-{}", event.service));
    let (is_well, key, advice) = match event.what {
        What::Connected => (true, "coach-connected", ""),
        What::TlsFailed => (false, "coach-tls-failed", "coach-tls-failed-advice"),
        What::OldTls => (false, "coach-old-tls", "coach-old-tls-advice"),
        What::ShortName => (false, "coach-short-name", "coach-short-name-advice"),
        What::WrongPassword => (false, "coach-wrong-password", "coach-wrong-password-advice"),
        What::NeedsDevice => (false, "coach-needs-device", "coach-needs-device-advice"),
        What::MustWait => (false, "coach-must-wait", "coach-must-wait-advice"),
        What::SignedIn => (true, "coach-signed-in", ""),
    };
    let advice = if advice.is_empty() { String::new() } else { t.get(advice).into_owned() };
    Seen {
        at: t.moment(event.at, now),
        is_well,
        text: t.with_two(key, ("service", &service), ("user", &event.user)),
        advice,
    }
}

/// What arrived from a person's programs lately, while they set one up.
pub async fn coach(Person(visit, visitor): Person) -> Response {
    let (t, now) = (visit.texts, clock::now());
    let events = visit.office.sign_ins.events(&visitor.address, visit.link.peer);
    let recent = events
        .iter()
        .rev()
        .filter(|event| {
            event.at.plus(COACH) >= now && event.service != pillarbox_store::Service::Web.as_str()
        })
        .take(EVENTS);
    let mut frame = Frame::new(&visit, "/coach", "coach-title");
    frame.every = 2;
    let events = recent.map(|event| seen(t, event, now)).collect();
    page(
        StatusCode::OK,
        &CoachPage {
            frame,
            address: visitor.address.clone(),
            servers: servers(&visit.office),
            events,
        },
    )
}
