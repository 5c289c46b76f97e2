//! Does mail work?
//! One look for the owner.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_platform::clock;
use pillarbox_store::{Fate, Hour, LedgerRecord};

use super::about;
use crate::frame::{Frame, page, trouble};
use crate::session::Owner;
use crate::svg;
use crate::text::Texts;
use pillarbox_office::Office;
use pillarbox_office::condition::Trouble;
use pillarbox_office::statistics;

/// Ledger records looked at for the last mail in and out.
const RECENT: usize = 500;
/// Recipients of a message that are named in a line.
const RECIPIENTS: usize = 5;
/// Hours in the picture of mail and of the queue, and days in the picture of the disk.
const HOURS: u64 = 48;
const DAYS: u64 = 30;
/// Days before a certificate's end at which the owner hears of it.
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

pub async fn show(Owner(visit, _): Owner) -> Response {
    let office = visit.office.clone();
    let now = clock::now();
    let hour = now / 3600;
    let own = office.clone();
    let read = office.store.read_off_thread(move |r| {
        let rows = statistics::known(&own.statistics, r, hour.saturating_sub(DAYS * 24))?;
        let mut skipped = 0;
        for id in own.readers.marks.skipped() {
            skipped += u64::from(r.content(id)?.is_some());
        }
        Ok((
            skipped,
            r.queue_counts()?,
            r.ledger_recent(RECENT)?,
            r.routes()?,
            r.accounts()?.len(),
            r.domains()?,
            rows,
        ))
    });
    let (skipped, (all, scheduled), ledger, routes, people, domains, rows) = match read.await {
        Ok(read) => read,
        Err(error) => return trouble(&visit, &error),
    };
    let t = visit.texts;
    let attention = attention(&office, t, &routes, skipped, all.saturating_sub(scheduled), now);
    let last = |wanted: &[Fate]| {
        ledger
            .iter()
            .find(|(_, r)| wanted.contains(&r.fate))
            .map_or_else(|| t.get("home-never").into_owned(), |(_, r)| t.moment(r.at, now))
    };
    let tile = |label: &str, value: String, note: String| Tile {
        label: t.get(label).into_owned(),
        value,
        note,
    };
    let certificate = office.certificates.facts();
    let (free, size) = office.condition.disk();
    let days = certificate.ends.saturating_sub(now) / DAY;
    let certificate_note = t
        .get(if certificate.is_self_signed { "home-self-signed" } else { "home-issued" })
        .into_owned();
    let memory = about::memory()
        .map_or_else(|| "-".into(), |octets| format!("{:.0} MB", octets as f64 / 1e6));
    let tiles = vec![
        tile("home-last-in", last(&[Fate::Delivered]), String::new()),
        tile("home-last-out", last(&[Fate::Relayed]), String::new()),
        tile("home-queue", all.to_string(), t.count("queue-count", all).into_owned()),
        tile("home-people", people.to_string(), domains.join(", ")),
        tile(
            "home-disk",
            gigabytes(free),
            t.with("home-of", "size", &gigabytes(size)).into_owned(),
        ),
        tile(
            "home-certificate",
            if certificate.is_self_signed {
                t.get("home-own").into_owned()
            } else {
                t.count("home-days", days).into_owned()
            },
            certificate_note,
        ),
        tile("home-memory", memory, String::new()),
        tile(
            "home-clock-tile",
            t.get(if clock::is_trusted() { "home-clock-right" } else { "home-clock-wrong" })
                .into_owned(),
            t.moment(now, now),
        ),
    ];
    let recent = ledger.iter().take(8).map(|(_, record)| line(t, record)).collect();
    let pictures = pictures(t, &rows, hour, size);
    page(
        StatusCode::OK,
        &HomePage {
            frame: Frame::new(&visit, "/home", "home-title"),
            attention,
            tiles,
            pictures,
            recent,
        },
    )
}

/// What needs the owner, the worst first.
fn attention(
    office: &Office,
    t: Texts,
    routes: &[(String, pillarbox_store::Route)],
    skipped: u64,
    held: u64,
    now: u64,
) -> Vec<Item> {
    let mut attention = Vec::new();
    let mut item = |text: String, to, action: &str| {
        attention.push(Item { text, to, action: t.get(action).into_owned() })
    };
    for trouble in office.condition.look() {
        match trouble {
            Trouble::Unwritable(why) => {
                item(t.with("home-unwritable", "why", &why).into_owned(), "/home", "home-again")
            }
            Trouble::NoSpace => {
                item(t.get("home-disk-full").into_owned(), "/people", "home-see-people")
            }
            Trouble::NoFiles => {
                item(t.get("home-no-files").into_owned(), "/people", "home-see-people")
            }
            Trouble::Damaged(count) => {
                item(t.count("home-damaged", count as u64).into_owned(), "/log", "home-see-log")
            }
            Trouble::Clock => item(t.get("home-clock").into_owned(), "/home", "home-again"),
            Trouble::UpdateNotKept => {
                item(t.get("home-not-kept").into_owned(), "/system", "home-see-system")
            }
        }
    }
    if skipped > 0 {
        item(t.count("home-skipped", skipped).into_owned(), "/log", "home-see-log");
    }
    for (_, route) in routes.iter().filter(|(_, r)| !r.fault.is_none()) {
        item(t.with("home-provider", "host", &route.host).into_owned(), "/line", "home-see-line");
    }
    if held > 0 {
        item(t.count("home-held", held).into_owned(), "/queue", "home-see-queue");
    }
    let certificate = office.certificates.facts();
    let hostname = office.settings.get().hostname();
    if !certificate.is_self_signed && certificate.ends < now + CERTIFICATE * DAY {
        item(
            t.count("home-certificate-ends", certificate.ends.saturating_sub(now) / DAY)
                .into_owned(),
            "/certificate",
            "home-see-certificate",
        );
    }
    if !certificate.is_self_signed && !certificate.names(&hostname) {
        item(
            t.with("home-certificate-name", "name", &hostname).into_owned(),
            "/certificate",
            "home-see-certificate",
        );
    }
    attention
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
