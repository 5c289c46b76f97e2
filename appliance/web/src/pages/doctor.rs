//! The delivery doctor: type an address and watch how mail gets there, or why not.

use std::borrow::Cow;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_outbound::{Finding, Topic};
use pillarbox_vocabulary::Address;
use serde::Deserialize;

use crate::frame::{Frame, page};
use crate::session::Owner;
use crate::signed::Signed;
use crate::stream;
use crate::text::Texts;

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    frame: Frame,
    address: String,
    is_running: bool,
}

/// One finding, for people.
#[derive(Template)]
#[template(path = "step.html")]
pub struct Step {
    t: Texts,
    title: String,
    why: String,
    is_well: bool,
    summary: String,
    lines: String,
    /// What it means and what to do, where something is wrong.
    advice: Vec<Cow<'static, str>>,
}

/// A finding with its title, what the step is for, and what to do when it went wrong.
pub fn step(t: Texts, finding: Finding) -> Step {
    let (title, why) = match finding.topic {
        Topic::Hosts => ("doctor-hosts", "doctor-hosts-why"),
        Topic::Policy => ("doctor-policy", "doctor-policy-why"),
        Topic::Connection => ("doctor-connection", "doctor-connection-why"),
        Topic::Recipient => ("doctor-recipient", "doctor-recipient-why"),
        Topic::Login => ("doctor-login", "doctor-login-why"),
        Topic::Sending => ("doctor-sending", "doctor-sending-why"),
        Topic::Stored => ("doctor-stored", "doctor-stored-why"),
        Topic::Fetching => ("doctor-fetching", "doctor-fetching-why"),
    };
    let explanation = pillarbox_outbound::failure_class(&finding.summary).explain(t.language());
    Step {
        t,
        title: t.get(title).into_owned(),
        why: t.get(why).into_owned(),
        is_well: finding.is_well,
        advice: if finding.is_well {
            Vec::new()
        } else {
            vec![explanation.what, explanation.whose, explanation.advice]
        },
        summary: finding.summary.to_string(),
        lines: finding.lines.join("\n"),
    }
}

/// The same as HTML.
pub fn piece(t: Texts, finding: Finding) -> String {
    step(t, finding).render().unwrap_or_default()
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    let frame = Frame::new(&visit, "/doctor", "doctor-title");
    page(StatusCode::OK, &DoctorPage { frame, address: String::new(), is_running: false })
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    address: String,
}

pub async fn examine(Signed(Owner(visit, visitor), asked): Signed<Owner, Asked>) -> Response {
    let t = visit.texts;
    let frame = || Frame::new(&visit, "/doctor", "doctor-title");
    let Ok(address) = Address::parse(asked.address.trim()) else {
        let frame = frame().trouble(t.get("people-wrong-address"));
        return page(
            StatusCode::BAD_REQUEST,
            &DoctorPage { frame, address: asked.address, is_running: false },
        );
    };
    let (findings, found) = pillarbox_outbound::findings();
    if !pillarbox_outbound::examine(
        &visit.office.outbound,
        &visitor.address,
        &address.to_string(),
        findings,
    ) {
        let frame = frame().trouble(t.get("doctor-busy"));
        return page(
            StatusCode::TOO_MANY_REQUESTS,
            &DoctorPage { frame, address: asked.address, is_running: false },
        );
    }
    let around = DoctorPage { frame: frame(), address: address.to_string(), is_running: true };
    stream::page(&around, found, move |finding| piece(t, finding))
}
