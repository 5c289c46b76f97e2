//! Domains, the DNS records they should have, and what the world sees of them now.

use std::sync::Arc;

use askama::Template;
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_platform::clock;
use pillarbox_store::{AddDomain, AnyChange, Error, RemoveDomain};
use pillarbox_vocabulary::Domain;
use serde::Deserialize;

use crate::frame::{Frame, page, trouble};
use crate::session::{Owner, Visit};
use crate::signed::Signed;
use crate::text::Texts;
use pillarbox_office::Office;
use pillarbox_office::records::{self, Check, DnsRecord, Need};

/// Records looked up for one page; a box has few domains.
const LOOKS: usize = 120;

#[derive(Template)]
#[template(path = "domains.html")]
struct DomainsPage {
    frame: Frame,
    domains: Vec<DomainRecords>,
    is_checked: bool,
}

struct DomainRecords {
    name: String,
    must: Vec<Shown>,
    good: Vec<Shown>,
    zone: String,
    /// A message for whoever keeps the domain's DNS.
    letter: String,
    /// Signing keys are still being made.
    is_waiting: bool,
}

struct Shown {
    record: DnsRecord,
    /// The name without the domain.
    short: String,
    why: String,
    /// The state's colour and words; empty when it was not looked up.
    state: &'static str,
    word: String,
    /// What is there instead, or why it could not be seen.
    detail: String,
    /// Whether the detail is what is there instead.
    is_there: bool,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    check: String,
    /// The domain whose zone lines are wanted as a file.
    #[serde(default)]
    zone: String,
}

pub async fn show(Owner(visit, _): Owner, Query(asked): Query<Asked>) -> Response {
    let found = match read(&visit.office).await {
        Ok(found) => found,
        Err(error) => return trouble(&visit, &error),
    };
    if !asked.zone.is_empty() {
        return match found.into_iter().find(|(name, _)| *name == asked.zone) {
            Some((_, records)) => zone_file(&asked.zone, &records),
            None => super::not_found(visit).await,
        };
    }
    let is_checked = !asked.check.is_empty();
    let checks = match is_checked {
        false => Vec::new(),
        true => {
            let own = visit.office.clone();
            let facts = match visit
                .office
                .store
                .read_off_thread(move |r| {
                    records::Facts::of(r, &own.settings.get(), &own.certificates)
                })
                .await
            {
                Ok(facts) => facts,
                Err(error) => return trouble(&visit, &error),
            };
            look(&visit.office, facts, wanted(&found)).await
        }
    };
    answer(&visit, StatusCode::OK, Frame::new(&visit, "/domains", "domains-title"), found, checks)
}

async fn read(office: &Arc<Office>) -> Result<Vec<(String, Vec<DnsRecord>)>, Error> {
    let own = office.clone();
    office
        .store
        .read_off_thread(move |r| {
            let facts = records::Facts::of(r, &own.settings.get(), &own.certificates)?;
            let of = |name: String| {
                records::records(r, &name, &facts, clock::now()).map(|records| (name, records))
            };
            r.domains()?.into_iter().map(of).collect()
        })
        .await
}

fn zone_file(name: &str, records: &[DnsRecord]) -> Response {
    let name: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).collect();
    let disposition = format!("attachment; filename=\"{name}.zone\"");
    (
        [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_string()),
            (header::CONTENT_DISPOSITION, disposition),
        ],
        records::zone_lines(records),
    )
        .into_response()
}

fn answer(
    visit: &Visit,
    status: StatusCode,
    frame: Frame,
    found: Vec<(String, Vec<DnsRecord>)>,
    checks: Vec<Check>,
) -> Response {
    let t = visit.texts;
    let is_checked = !checks.is_empty();
    let mut checks = checks.into_iter();
    let domains = found.into_iter().map(|(name, records)| {
        let zone = records::zone_lines(&records);
        let letter = format!("{}\n\n{zone}", t.with("domains-letter", "domain", &name));
        let is_waiting = !records.iter().any(|record| record.name.contains("._domainkey."));
        let shown: Vec<Shown> =
            records.into_iter().map(|record| shown(t, &name, record, checks.next())).collect();
        let (must, good) = shown.into_iter().partition(|shown| shown.record.need == Need::Must);
        DomainRecords { name, must, good, zone, letter, is_waiting }
    });
    let domains = domains.collect();
    page(status, &DomainsPage { frame, domains, is_checked })
}

fn shown(t: Texts, domain: &str, record: DnsRecord, check: Option<Check>) -> Shown {
    let is_there = matches!(check, Some(Check::Different(_)));
    let (state, key, detail) = match check {
        None => ("", "", String::new()),
        Some(Check::Right) => ("delivered", "check-right", String::new()),
        // What is only good to have is no alarm.
        Some(Check::Missing) if record.need == Need::Good => {
            ("queued", "check-missing", String::new())
        }
        Some(Check::Missing) => ("bounced", "check-missing", String::new()),
        Some(Check::Different(now)) => ("bounced", "check-different", now),
        Some(Check::Unknown(why)) => ("queued", "check-unknown", why),
    };
    let word = if key.is_empty() { String::new() } else { t.get(key).into_owned() };
    let why = t.get(record.key).into_owned();
    let short = t.with("domains-short", "name", &records::short_name(&record, domain)).into_owned();
    Shown { record, short, why, state, word, detail, is_there }
}

/// The records that are looked up, with their domains.
fn wanted(found: &[(String, Vec<DnsRecord>)]) -> Vec<(String, DnsRecord)> {
    let all = found
        .iter()
        .flat_map(|(name, records)| records.iter().map(|record| (name.clone(), record.clone())));
    all.take(LOOKS).collect()
}

/// Looks all records up at once: the page takes as long as the slowest.
async fn look(
    office: &Arc<Office>,
    facts: records::Facts,
    records: Vec<(String, DnsRecord)>,
) -> Vec<Check> {
    let facts = Arc::new(facts);
    let mut looks = tokio::task::JoinSet::new();
    let mut count = 0;
    for (domain, record) in records {
        let (office, facts, place) = (office.clone(), facts.clone(), count);
        looks.spawn(async move {
            (place, records::look(&office.handles.dns, &facts, &domain, &record).await)
        });
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wish {
    Remove,
    #[default]
    #[serde(other)]
    Add,
}

#[derive(Deserialize)]
pub struct Order {
    #[serde(default)]
    order: Wish,
    #[serde(default)]
    domain: String,
}

pub async fn change(Signed(Owner(visit, _), form): Signed<Owner, Order>) -> Response {
    let refuse = async |key: &str| {
        let frame = Frame::new(&visit, "/domains", "domains-title").trouble(visit.texts.get(key));
        match read(&visit.office).await {
            Ok(found) => answer(&visit, StatusCode::BAD_REQUEST, frame, found, Vec::new()),
            Err(error) => trouble(&visit, &error),
        }
    };
    let name = Domain::parse(form.domain.trim())
        .ok()
        .filter(|name| !name.is_literal())
        .map(|name| name.to_string());
    let Some(name) = name.filter(|name| name.contains('.')) else {
        return refuse("setup-wrong-domain").await;
    };
    let change = match form.order {
        Wish::Remove => AnyChange::of(RemoveDomain { name }),
        Wish::Add => AnyChange::of(AddDomain { name, at: clock::now() }),
    };
    match visit.office.store.change(change).done().await {
        Ok(_) | Err(Error::Exists { .. } | Error::NotFound { .. }) => {
            Redirect::to("/domains").into_response()
        }
        Err(Error::Invalid { .. }) => refuse("domains-in-use").await,
        Err(error) => trouble(&visit, &error),
    }
}
