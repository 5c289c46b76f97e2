//! The certificate: what it is, and how the box gets one that everybody trusts.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_platform::clock;
use pillarbox_platform::tls::Facts;
use serde::Deserialize;

use crate::frame::{Frame, page};
use crate::session::{Owner, Visit};
use crate::signed::Signed;
use pillarbox_office::Office;
use pillarbox_office::acme::{self, Method, Progress};

#[derive(Template)]
#[template(path = "certificate.html")]
struct CertificatePage {
    frame: Frame,
    facts: Facts,
    hostname: String,
    days: u64,
    is_from_files: bool,
    /// A name that the world could ask for.
    is_public_name: bool,
    is_busy: bool,
    working: String,
    failure: String,
    records: Vec<(String, String)>,
    terms: String,
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    answer(&visit, Frame::new(&visit, "/certificate", "certificate-title"))
}

/// Whether a name can stand in a certificate from an authority.
pub fn is_public_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    name.contains('.') && !["local", "localhost", "internal", "lan", "home", "arpa"].contains(&last)
}

fn answer(visit: &Visit, mut frame: Frame) -> Response {
    let (office, t) = (&visit.office, visit.texts);
    let facts = office.certificates.facts();
    let settings = office.settings.get();
    let progress = office.acme.progress();
    let (mut working, mut failure, mut records) = (String::new(), String::new(), Vec::new());
    match progress {
        Progress::Idle => {}
        Progress::Ordering => working = t.get("certificate-ordering").into_owned(),
        Progress::Proving(Method::Http) => working = t.get("certificate-proving-http").into_owned(),
        Progress::Proving(Method::Tls) => working = t.get("certificate-proving-tls").into_owned(),
        Progress::Proving(Method::Dns) => working = t.get("certificate-proving-dns").into_owned(),
        Progress::WaitingForRecords(wanted) => records = wanted,
        Progress::Failed(why) => failure = why,
    }
    let hostname = settings.hostname();
    if !working.is_empty() {
        frame.every = 2;
    }
    let shown = CertificatePage {
        days: facts.ends.since(clock::now()).as_secs() / 86_400,
        facts,
        is_from_files: office.certificates.is_from_files(),
        is_public_name: is_public_name(&hostname),
        is_busy: !working.is_empty() || !records.is_empty(),
        hostname,
        working,
        failure,
        records,
        terms: settings.acme.terms.clone(),
        frame,
    };
    page(StatusCode::OK, &shown)
}

/// How the name is proven to the authority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wish {
    /// By HTTP or TLS.
    Net,
    /// By records that the owner sets.
    Dns,
    /// The records are set.
    GoOn,
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
pub struct Order {
    #[serde(default)]
    order: Wish,
}

pub async fn order(Signed(Owner(visit, _), form): Signed<Owner, Order>) -> Response {
    let office = &visit.office;
    match form.order {
        _ if office.certificates.is_from_files()
            || !is_public_name(&office.settings.get().hostname()) => {}
        Wish::Net => acme::start(&office.acme, &[Method::Http, Method::Tls]),
        Wish::Dns => acme::start(&office.acme, &[Method::Dns]),
        Wish::GoOn => office.acme.go_on(),
        Wish::Unknown => {}
    }
    Redirect::to("/certificate").into_response()
}

/// What an authority looks at (RFC 8555 §8.3).
pub async fn proof(State(office): State<Arc<Office>>, Path(token): Path<String>) -> Response {
    match office.acme.key_authorization(&token) {
        Some(proof) => {
            ([(header::CONTENT_TYPE, "application/octet-stream")], proof).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_names_of_the_world_are_ordered() {
        for (name, is) in [
            ("mail.example.org", true),
            ("pillarbox.local", false),
            ("box", false),
            ("localhost", false),
        ] {
            assert_eq!(super::is_public_name(name), is, "{name}");
        }
    }
}
