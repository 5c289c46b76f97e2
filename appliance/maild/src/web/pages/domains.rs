//! Domains, the DNS records they should have, and what the world sees of them now.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{Frame, page, trouble};
use crate::clock;
use crate::dkim::{self, DnsRecord};
use crate::setup::{self, Check};
use crate::web::session::Owner;

/// Records looked up for one page; a box has few domains.
const LOOKS: usize = 40;

#[derive(Template)]
#[template(path = "domains.html")]
struct DomainsPage {
    frame: Frame,
    domains: Vec<DomainRecords>,
}

struct DomainRecords {
    name: String,
    records: Vec<Shown>,
    zone: String,
    /// Signing keys are still being made.
    is_waiting: bool,
}

struct Shown {
    record: DnsRecord,
    /// The state's colour and words; empty when it was not looked up.
    state: &'static str,
    word: String,
    /// What is there instead, or why it could not be seen.
    detail: String,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    check: String,
}

pub async fn show(Owner(visit, _): Owner, Query(asked): Query<Asked>) -> Response {
    let hostname = visit.context.settings().config.hostname();
    let read = visit.context.read(move |r| {
        let of = |name: String| {
            let records = dkim::records(r, &name, &hostname, clock::now())?;
            Ok((name, records))
        };
        r.domains()?.into_iter().map(of).collect::<Result<Vec<_>, _>>()
    });
    let found = match read.await {
        Ok(found) => found,
        Err(error) => return trouble(&visit, &error),
    };
    let checks = match asked.check.is_empty() {
        true => Vec::new(),
        false => look(&visit.context, found.iter().flat_map(|(_, records)| records).take(LOOKS)).await,
    };
    let mut checks = checks.into_iter();
    let t = visit.texts;
    let mut shown = |record: DnsRecord| {
        let (state, key, detail) = match checks.next() {
            None => ("", "", String::new()),
            Some(Check::Right) => ("delivered", "check-right", String::new()),
            Some(Check::Missing) => ("bounced", "check-missing", String::new()),
            Some(Check::Different(now)) => ("bounced", "check-different", now),
            Some(Check::Unknown(why)) => ("queued", "check-unknown", why),
        };
        let word = if key.is_empty() { String::new() } else { t.get(key).into_owned() };
        Shown { record, state, word, detail }
    };
    let domains = found.into_iter().map(|(name, records)| DomainRecords {
        zone: dkim::zone_lines(&records),
        is_waiting: !records.iter().any(|record| record.name.contains("._domainkey.")),
        records: records.into_iter().map(&mut shown).collect(),
        name,
    });
    let domains = domains.collect();
    page(StatusCode::OK, &DomainsPage { frame: Frame::new(&visit, "/domains", "domains-title"), domains })
}

/// Looks all records up at once: the page takes as long as the slowest.
async fn look(context: &std::sync::Arc<crate::context::Context>, records: impl Iterator<Item = &DnsRecord>) -> Vec<Check> {
    let mut looks = tokio::task::JoinSet::new();
    let mut count = 0;
    for record in records {
        let (context, record, place) = (context.clone(), record.clone(), count);
        looks.spawn(async move { (place, setup::look(&context.outbound.dns, &record).await) });
        count += 1;
    }
    let mut checks = vec![Check::Unknown(String::new()); count];
    while let Some(done) = looks.join_next().await {
        if let Ok((place, check)) = done {
            checks[place] = check;
        }
    }
    checks
}
