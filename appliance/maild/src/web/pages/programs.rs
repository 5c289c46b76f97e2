//! Setting up mail programs: for people to read, and for programs to fetch.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{Frame, page};
use crate::context::Context;
use crate::server::Service;
use crate::web::session::Person;

#[derive(Template)]
#[template(path = "programs.html")]
struct ProgramsPage {
    frame: Frame,
    address: String,
    servers: Servers,
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
    page(StatusCode::OK, &ProgramsPage { frame, address: visitor.address, servers: servers(&visit.context) })
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
