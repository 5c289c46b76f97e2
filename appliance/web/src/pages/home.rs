//! Does mail work?
//! One look for the owner.

use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_platform::clock;
use pillarbox_store::{Error, Fate, Hour, LedgerId, LedgerRecord, Reader, Route};

use super::about;
use crate::frame::{Frame, page, trouble};
use crate::session::Owner;
use crate::svg;
use crate::text::Texts;
use pillarbox_office::Office;
use pillarbox_office::condition::Trouble;
use pillarbox_office::statistics;
use pillarbox_vocabulary::Timestamp;

/// Ledger records looked at for the last mail in and out.
const RECENT: usize = 500;
/// Ledger records that are shown.
const LINES: usize = 8;
/// Recipients of a message that are named in a line.
const RECIPIENTS: usize = 5;
/// Hours in the picture of mail and of the queue, and days in the picture of the disk.
const HOURS: u64 = 48;
const DAYS: u64 = 30;
/// Days before a certificate's end from which on the page shows it.
const CERTIFICATE: u64 = 14;
const DAY: u64 = 86_400;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    attention: Vec<Item>,
    tiles: Vec<Tile>,
    pictures: Vec<Picture>,
    recent: Vec<Line>,
}

/// Something that needs the owner, with the page that mends it.
struct Item {
    text: String,
    to: &'static str,
    action: String,
}

struct Tile {
    label: String,
    value: String,
    note: String,
}

struct Picture {
    title: String,
    note: String,
    svg: String,
}

pub struct Line {
    pub at: String,
    /// The fate's name, for its colour.
    pub fate: &'static str,
    /// The fate for people.
    pub word: String,
    pub text: String,
}

/// One line of the ledger, for people.
pub fn line(t: Texts, record: &LedgerRecord) -> Line {
    let subject = if record.subject.is_empty() {
        String::new()
    } else {
        format!(" “{}”", record.subject)
    };
    let from = if record.sender.is_empty() { String::new() } else { format!("{} ", record.sender) };
    let mut to = record.recipients.iter().take(RECIPIENTS).cloned().collect::<Vec<_>>().join(", ");
    if let Some(more) = record.recipients.len().checked_sub(RECIPIENTS).filter(|&more| more > 0) {
        to.push_str(&t.count("and-more", more as u64));
    }
    Line {
        at: t.moment(record.at, clock::now()),
        fate: record.fate.as_str(),
        word: t.get(&format!("fate-{}", record.fate.as_str())).into_owned(),
        text: format!("{from}→ {}{subject} {}", to, record.wording()),
    }
}

/// What the page shows of the store.
struct Known {
    /// Recipients in the queue, and those of them that are tried by themselves.
    queued: u64,
    scheduled: u64,
    ledger: Vec<(LedgerId, LedgerRecord)>,
    routes: Vec<(String, Route)>,
    people: usize,
    domains: Vec<String>,
    /// Statistics by the hour, counted since 1970.
    hours: Vec<(u64, Hour)>,
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    let (office, t, now) = (&visit.office, visit.texts, clock::now());
    let hour = now.hour();
    let own = office.clone();
    let known = match office.store.read_off_thread(move |r| read(&own, r, hour)).await {
        Ok(known) => known,
        Err(error) => return trouble(&visit, &error),
    };
    let (free, size) = office.condition.disk();
    let shown = HomePage {
        frame: Frame::new(&visit, "/home", "home-title"),
        attention: attention(office, t, &known, now),
        tiles: tiles(office, t, &known, (free, size), now),
        pictures: pictures(t, &known.hours, hour, size),
        recent: known.ledger.iter().take(LINES).map(|(_, record)| line(t, record)).collect(),
    };
    page(StatusCode::OK, &shown)
}

fn read(office: &Office, r: &Reader, hour: u64) -> Result<Known, Error> {
    let hours = statistics::known(&office.statistics, r, hour.saturating_sub(DAYS * 24))?;
    let (queued, scheduled) = r.queue_counts()?;
    Ok(Known {
        queued,
        scheduled,
        ledger: r.ledger_recent(RECENT)?,
        routes: r.routes()?,
        people: r.accounts()?.len(),
        domains: r.domains()?,
        hours,
    })
}

/// The figures; `free` and `size` of the disk in octets.
fn tiles(
    office: &Office,
    t: Texts,
    known: &Known,
    (free, size): (u64, u64),
    now: Timestamp,
) -> Vec<Tile> {
    let last = |wanted: Fate| {
        let found = known.ledger.iter().find(|(_, record)| record.fate == wanted);
        found.map_or_else(|| t.get("home-never").into_owned(), |(_, r)| t.moment(r.at, now))
    };
    let tile = |label: &str, value: String, note: String| Tile {
        label: t.get(label).into_owned(),
        value,
        note,
    };
    let memory = about::memory()
        .map_or_else(|| "-".into(), |octets| format!("{:.0} MB", octets as f64 / 1e6));
    let of = t.with("home-of", "size", &gigabytes(size)).into_owned();
    let clock = if clock::is_trusted() { "home-clock-right" } else { "home-clock-wrong" };
    let certificate = office.certificates.facts();
    let (validity, issuer) = if certificate.is_self_signed {
        (t.get("home-own"), "home-self-signed")
    } else {
        (t.count("home-days", certificate.ends.since(now).as_secs() / DAY), "home-issued")
    };
    let queue = t.count("queue-count", known.queued).into_owned();
    vec![
        tile("home-last-in", last(Fate::Delivered), String::new()),
        tile("home-last-out", last(Fate::Relayed), String::new()),
        tile("home-queue", known.queued.to_string(), queue),
        tile("home-people", known.people.to_string(), known.domains.join(", ")),
        tile("home-disk", gigabytes(free), of),
        tile("home-certificate", validity.into_owned(), t.get(issuer).into_owned()),
        tile("home-memory", memory, String::new()),
        tile("home-clock-tile", t.get(clock).into_owned(), t.moment(now, now)),
    ]
}

/// What needs the owner, the worst first.
fn attention(office: &Office, t: Texts, known: &Known, now: Timestamp) -> Vec<Item> {
    let item =
        |text: String, to, action: &str| Item { text, to, action: t.get(action).into_owned() };
    let mut items: Vec<Item> =
        office.condition.look().iter().map(|one| trouble_item(t, one)).collect();
    for (_, route) in known.routes.iter().filter(|(_, route)| !route.fault.is_none()) {
        let text = t.with("home-provider", "host", &route.host).into_owned();
        items.push(item(text, "/line", "home-see-line"));
    }
    let held = known.queued.saturating_sub(known.scheduled);
    if held > 0 {
        items.push(item(t.count("home-held", held).into_owned(), "/queue", "home-see-queue"));
    }
    let certificate = office.certificates.facts();
    if !certificate.is_self_signed
        && certificate.ends < now.plus(Duration::from_secs(CERTIFICATE * DAY))
    {
        let days = certificate.ends.since(now).as_secs() / DAY;
        let text = t.count("home-certificate-ends", days).into_owned();
        items.push(item(text, "/certificate", "home-see-certificate"));
    }
    let hostname = office.settings.get().hostname();
    if !certificate.is_self_signed && !certificate.names(&hostname) {
        let text = t.with("home-certificate-name", "name", &hostname).into_owned();
        items.push(item(text, "/certificate", "home-see-certificate"));
    }
    items
}

fn trouble_item(t: Texts, trouble: &Trouble) -> Item {
    let (text, to, action) = match trouble {
        Trouble::Unwritable(why) => (t.with("home-unwritable", "why", why), "/home", "home-again"),
        Trouble::NoSpace => (t.get("home-disk-full"), "/people", "home-see-people"),
        Trouble::NoFiles => (t.get("home-no-files"), "/people", "home-see-people"),
        Trouble::Damaged(count) => (t.count("home-damaged", *count as u64), "/log", "home-see-log"),
        Trouble::Skipped(count) => (t.count("home-skipped", *count as u64), "/log", "home-see-log"),
        Trouble::Clock => (t.get("home-clock"), "/home", "home-again"),
        Trouble::UpdateNotKept => (t.get("home-not-kept"), "/system", "home-see-system"),
    };
    Item { text: text.into_owned(), to, action: t.get(action).into_owned() }
}

fn pictures(t: Texts, rows: &[(u64, Hour)], hour: u64, size: u64) -> Vec<Picture> {
    let at = |wanted: u64| {
        rows.iter().find(|(h, _)| *h == wanted).map(|(_, row)| *row).unwrap_or_default()
    };
    let lately: Vec<Hour> = (hour.saturating_sub(HOURS - 1)..=hour).map(at).collect();
    let mail: Vec<(u64, u64)> = lately.iter().map(|row| (row.delivered, row.relayed)).collect();
    let oldest: Vec<u64> = lately.iter().map(|row| row.oldest).collect();
    let (in_all, out_all) = mail.iter().fold((0, 0), |(a, b), (x, y)| (a + x, b + y));
    let longest = oldest.iter().copied().max().unwrap_or(0);
    // A day without a row keeps what the day before had.
    let mut disk: Vec<u64> = Vec::new();
    for day in (0..DAYS).rev() {
        let until = hour.saturating_sub(day * 24);
        let known =
            rows.iter().rev().find(|(h, row)| *h <= until && row.disk > 0).map(|(_, row)| row.disk);
        disk.extend(known);
    }
    if let [only] = disk[..] {
        disk.push(only);
    }
    let picture = |title: &str, note: String, svg: &dyn Fn(&str) -> String| {
        let title = t.get(title).into_owned();
        Picture { svg: svg(&format!("{title}: {note}")), title, note }
    };
    let numbers =
        t.with_two("home-mail-note", ("in", &in_all.to_string()), ("out", &out_all.to_string()));
    vec![
        picture("home-mail", numbers, &|title| svg::bars(&mail, title)),
        picture(
            "home-oldest",
            t.count("home-oldest-note", longest.div_ceil(60)).into_owned(),
            &|title| svg::curve(&oldest, longest.max(3600), title),
        ),
        picture("home-disk-picture", gigabytes(disk.last().copied().unwrap_or(0)), &|title| {
            svg::curve(&disk, size, title)
        }),
    ]
}

fn gigabytes(octets: u64) -> String {
    format!("{:.1} GB", octets as f64 / 1e9)
}
