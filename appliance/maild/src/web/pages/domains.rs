//! Domains and the DNS records they should have.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Frame, page, trouble};
use crate::clock;
use crate::dkim::{self, DnsRecord};
use crate::web::session::Owner;

#[derive(Template)]
#[template(path = "domains.html")]
struct DomainsPage {
    frame: Frame,
    domains: Vec<DomainRecords>,
}

struct DomainRecords {
    name: String,
    records: Vec<DnsRecord>,
    zone: String,
    /// Signing keys are still being made.
    is_waiting: bool,
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    let hostname = visit.context.settings().config.hostname();
    let read = visit.context.read(move |r| {
        let of = |name: String| {
            let records = dkim::records(r, &name, &hostname, clock::now())?;
            let is_waiting = !records.iter().any(|record| record.name.contains("._domainkey."));
            Ok(DomainRecords { zone: dkim::zone_lines(&records), name, records, is_waiting })
        };
        r.domains()?.into_iter().map(of).collect::<Result<Vec<_>, _>>()
    });
    match read.await {
        Ok(domains) => page(StatusCode::OK, &DomainsPage { frame: Frame::new(&visit, "/domains", "domains-title"), domains }),
        Err(error) => trouble(&visit, &error),
    }
}
