//! The internet connection: what it can do for mail, and whether mail goes out directly or through a provider.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_message::encode::encoded_words;
use pillarbox_outbound::{ROUTE_PURPOSE, Trial, release_after_login, try_route};
use pillarbox_platform::clock;
use pillarbox_store::{Detail, Error, RemoveRoute, Route, RouteTls, SetRoute, off_thread};
use pillarbox_vocabulary::{Address, Domain, Timestamp};
use serde::Deserialize;

use super::doctor::{Step, step};
use super::providers::{PRESETS, Preset};
use crate::frame::{Frame, page, trouble};
use crate::session::{Owner, Visit, Visitor};
use crate::signed::Signed;
use crate::text::Texts;
use pillarbox_office::internet_connection::{Advice, Facts, advise, examine};
use pillarbox_office::settings;

#[derive(Template)]
#[template(path = "internet-connection.html")]
struct InternetConnectionPage {
    frame: Frame,
    found: Option<Found>,
    presets: &'static [Preset],
    form: Provider,
    /// The provider in use: host and user name.
    current: Option<(String, String)>,
    fault: String,
    tried: Vec<Step>,
}

struct Found {
    verdict: String,
    is_well: bool,
    reasons: Vec<String>,
    rows: Vec<(String, String)>,
    details: String,
}

/// What the owner wants of the way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wish {
    /// Without a provider.
    Direct,
    /// Tried with a message, and kept when that goes.
    #[default]
    #[serde(other)]
    Save,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tls {
    Starttls,
    /// From the start.
    #[default]
    #[serde(other)]
    Implicit,
}

#[derive(Clone, Default, Deserialize)]
pub struct Provider {
    #[serde(default)]
    order: Wish,
    #[serde(default)]
    host: String,
    #[serde(default)]
    port: String,
    #[serde(default)]
    tls: Tls,
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    to: String,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    check: String,
    #[serde(default)]
    preset: String,
}

pub async fn show(Owner(visit, visitor): Owner, Query(asked): Query<Asked>) -> Response {
    let found = match asked.check.as_str() {
        "" => None,
        _ => match check(&visit).await {
            Ok(found) => Some(found),
            Err(error) => return trouble(&visit, &error),
        },
    };
    let preset = PRESETS.iter().find(|preset| preset.host == asked.preset);
    let mut frame = Frame::new(&visit, "/line", "line-title");
    if let Some(preset) = preset.filter(|preset| !preset.hint.is_empty()) {
        frame = frame.done(visit.texts.get(preset.hint));
    }
    let form = preset.map_or_else(Provider::default, |preset| Provider {
        host: preset.host.into(),
        port: preset.port.to_string(),
        tls: if preset.starttls { Tls::Starttls } else { Tls::Implicit },
        ..Provider::default()
    });
    answer(
        &visit,
        StatusCode::OK,
        frame,
        found,
        Provider { to: visitor.address.clone(), ..form },
        Vec::new(),
    )
    .await
}

/// Examines the connection, and keeps the address that the world sees.
async fn check(visit: &Visit) -> Result<Found, Error> {
    let office = &visit.office;
    let facts = examine(&office.settings.get(), &office.handles.dns, &office.outbound).await;
    if let Some(address) = facts.address {
        let store = office.store.clone();
        off_thread(move || {
            settings::set(&store, settings::PUBLIC_ADDRESS, Some(address.to_string()))
        })
        .await?;
    }
    Ok(found(visit, &facts))
}

async fn answer(
    visit: &Visit,
    status: StatusCode,
    frame: Frame,
    found: Option<Found>,
    form: Provider,
    tried: Vec<Step>,
) -> Response {
    let routes = match visit.office.store.read_off_thread(|r| r.routes()).await {
        Ok(routes) => routes,
        Err(error) => return trouble(visit, &error),
    };
    let route = routes.into_iter().find(|(name, _)| name.is_empty()).map(|(_, route)| route);
    let fault = route.as_ref().map(|route| route.fault.to_string()).unwrap_or_default();
    let current = route.map(|route| (route.host, route.user));
    page(
        status,
        &InternetConnectionPage {
            frame,
            found,
            presets: &PRESETS,
            form: Provider { password: String::new(), ..form },
            current,
            fault,
            tried,
        },
    )
}

fn found(visit: &Visit, facts: &Facts) -> Found {
    let t = visit.texts;
    let (advice, reasons) = advise(facts);
    let verdict = match advice {
        Advice::Direct => "line-direct",
        Advice::DirectAfterMending => "line-mend",
        Advice::Provider => "line-provider",
    };
    let none = || t.get("line-none").into_owned();
    let rows = [
        (
            "line-row-port",
            facts.reached.clone().unwrap_or_else(|| t.get("line-row-port-closed").into_owned()),
        ),
        ("line-row-address", facts.address.map_or_else(none, |a| a.to_string())),
        ("line-row-name", facts.name.clone().unwrap_or_else(none)),
        ("line-row-lists", if facts.listed.is_empty() { none() } else { facts.listed.join(", ") }),
        (
            "line-row-dial-up",
            if facts.dial_up.is_empty() { none() } else { facts.dial_up.join(", ") },
        ),
        ("line-row-silent", if facts.silent.is_empty() { none() } else { facts.silent.join(", ") }),
    ];
    Found {
        verdict: t.get(verdict).into_owned(),
        is_well: advice == Advice::Direct,
        reasons: reasons.into_iter().map(|reason| t.get(reason.key()).into_owned()).collect(),
        rows: rows.into_iter().map(|(key, value)| (t.get(key).into_owned(), value)).collect(),
        details: facts.failures.join("\n"),
    }
}

/// What was typed as a route; the error is the key of a text.
fn route(visit: &Visit, form: &Provider) -> Result<Route, &'static str> {
    let host = Domain::parse(form.host.trim())
        .ok()
        .filter(|host| !host.is_literal())
        .ok_or("line-wrong-host")?;
    let starttls = form.tls == Tls::Starttls;
    let usual = if starttls { 587 } else { 465 };
    let port = if form.port.trim().is_empty() {
        usual
    } else {
        form.port.trim().parse().map_err(|_| "line-wrong-port")?
    };
    if form.user.trim().is_empty() || form.password.is_empty() {
        return Err("line-wrong-login");
    }
    let sealed = visit
        .office
        .handles
        .secrets
        .seal(ROUTE_PURPOSE, form.password.as_bytes())
        .map_err(|_| "trouble")?;
    Ok(Route {
        host: host.to_string(),
        port,
        tls: if starttls { RouteTls::StartTls } else { RouteTls::Implicit },
        user: form.user.trim().to_string(),
        sealed,
        fault: Detail::None,
        told_at: Timestamp(0),
    })
}

pub async fn change(Signed(Owner(visit, visitor), form): Signed<Owner, Provider>) -> Response {
    match form.order {
        Wish::Direct => remove(&visit).await,
        Wish::Save => save(&visit, &visitor, form).await,
    }
}

/// Mail goes out directly from now on.
async fn remove(visit: &Visit) -> Response {
    let removed = visit.office.store.change(RemoveRoute { domain: String::new() }).done().await;
    let released = match removed {
        Ok(_) | Err(Error::NotFound { .. }) => release(visit).await,
        Err(error) => Err(error),
    };
    match released {
        Ok(()) => Redirect::to("/line").into_response(),
        Err(error) => trouble(visit, &error),
    }
}

/// Mail goes out through a provider from now on, if a message to try it with does.
async fn save(visit: &Visit, visitor: &Visitor, form: Provider) -> Response {
    let t = visit.texts;
    let frame = Frame::new(visit, "/line", "line-title");
    let (route, to) = match understood(visit, &form) {
        Ok(understood) => understood,
        Err(key) => {
            let frame = frame.trouble(t.get(key));
            return answer(visit, StatusCode::BAD_REQUEST, frame, None, form, Vec::new()).await;
        }
    };
    let (sender, to) = (&visitor.address, to.to_string());
    let content = trial_message(t, sender, &to, &visit.office.settings.get().hostname());
    let trial = Trial { sender, recipient: &to, content: content.into_bytes() };
    let findings = try_route(&visit.office.outbound, &route, trial).await;
    let works = !findings.is_empty() && findings.iter().all(|finding| finding.is_well);
    let tried: Vec<Step> = findings.into_iter().map(|finding| step(t, finding)).collect();
    if !works {
        let frame = frame.trouble(t.get("line-trial-failed"));
        return answer(visit, StatusCode::OK, frame, None, form, tried).await;
    }
    let change = SetRoute { domain: String::new(), route };
    if let Err(error) = visit.office.store.change(change).done().await {
        return trouble(visit, &error);
    }
    if let Err(error) = release(visit).await {
        return trouble(visit, &error);
    }
    let frame = frame.done(t.with("line-trial-done", "to", &to).into_owned());
    answer(visit, StatusCode::OK, frame, None, Provider::default(), tried).await
}

/// What was typed: the route, and to whom the trial goes; the error is the key of a text.
fn understood(visit: &Visit, form: &Provider) -> Result<(Route, Address), &'static str> {
    let route = route(visit, form)?;
    let to = Address::parse(form.to.trim()).map_err(|_| "people-wrong-address")?;
    Ok((route, to))
}

/// A message (RFC 5322) that shows whether the provider takes mail.
fn trial_message(t: Texts, sender: &str, to: &str, hostname: &str) -> String {
    let subject = encoded_words(&t.get("line-trial-subject"));
    let date = clock::rfc5322(clock::now());
    let unique = getrandom::u64().unwrap_or_default();
    format!(
        "From: <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: {date}\r\n\
         Message-ID: <trial-{unique:016x}@{hostname}>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\nPillarbox\r\n"
    )
}

/// What waited for the provider's password is tried at once.
async fn release(visit: &Visit) -> Result<(), Error> {
    let store = visit.office.store.clone();
    off_thread(move || release_after_login(&store, clock::now())).await?;
    visit.office.outbound.wake();
    Ok(())
}
