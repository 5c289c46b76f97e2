//! The delivery doctor: type an address and see how mail gets there, or why not.

use askama::Template;
use axum::Form;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_proto::address::Address;
use serde::Deserialize;

use super::{Frame, is_own, page};
use crate::outbound::{self, Finding, Language, Topic};
use crate::web::session::Owner;

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    frame: Frame,
    address: String,
    steps: Vec<Step>,
}

struct Step {
    title: String,
    why: String,
    is_well: bool,
    summary: String,
    lines: String,
    /// What it means and what to do, where something is wrong.
    advice: Vec<&'static str>,
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    let frame = Frame::new(&visit, "/doctor", "doctor-title");
    page(StatusCode::OK, &DoctorPage { frame, address: String::new(), steps: Vec::new() })
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    token: String,
    #[serde(default)]
    address: String,
}

pub async fn examine(Owner(visit, visitor): Owner, Form(asked): Form<Asked>) -> Response {
    if !is_own(&visitor, &asked.token) {
        return super::notice(&visit, StatusCode::FORBIDDEN, "stale-title", "stale");
    }
    let t = visit.texts;
    let frame = || Frame::new(&visit, "/doctor", "doctor-title");
    let Ok(address) = Address::parse(asked.address.trim()) else {
        let frame = frame().trouble(t.get("people-wrong-address"));
        return page(StatusCode::BAD_REQUEST, &DoctorPage { frame, address: asked.address, steps: Vec::new() });
    };
    let Some(findings) = outbound::examine(&visit.context, &visitor.address, &address.to_string()).await else {
        let frame = frame().trouble(t.get("doctor-busy"));
        return page(StatusCode::TOO_MANY_REQUESTS, &DoctorPage { frame, address: asked.address, steps: Vec::new() });
    };
    let language = if t.lang() == "de" { Language::German } else { Language::English };
    let step = |finding: Finding| {
        let (title, why) = match finding.topic {
            Topic::Hosts => ("doctor-hosts", "doctor-hosts-why"),
            Topic::Policy => ("doctor-policy", "doctor-policy-why"),
            Topic::Connection => ("doctor-connection", "doctor-connection-why"),
            Topic::Recipient => ("doctor-recipient", "doctor-recipient-why"),
        };
        let explanation = outbound::cause(&finding.summary).explain(language);
        Step {
            title: t.get(title).into_owned(),
            why: t.get(why).into_owned(),
            is_well: finding.is_well,
            advice: if finding.is_well { Vec::new() } else { vec![explanation.what, explanation.whose, explanation.advice] },
            summary: finding.summary,
            lines: finding.lines.join("\n"),
        }
    };
    let steps = findings.into_iter().map(step).collect();
    page(StatusCode::OK, &DoctorPage { frame: frame(), address: address.to_string(), steps })
}
