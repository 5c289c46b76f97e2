//! The machine itself: which of its two systems runs, updates, starting anew, as it came.
//! Asked of `pillarbox-privop`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use askama::Template;
use axum::extract::multipart::Field;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_host::values::BundleName;
use pillarbox_host::{Answer, Request as Wish};
use pillarbox_store::{Disk, off_thread};
use serde::Deserialize;

use crate::error::Error;
use crate::frame::{Frame, hindrance, page, stale, trouble};
use crate::session::{Owner, Visit};
use crate::signed::{Signed, SignedFiles};
use pillarbox_office::update::{self, NotKept};

/// Octets of an update.
pub const UPDATE: usize = 600 << 20;
/// How long the system may take for a wish, and for writing an update onto a slow card.
pub const PATIENCE: Duration = Duration::from_secs(30);
const LONG_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long a helper that is not there yet is waited for, and how often it is looked for.
const STARTING: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(200);

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage {
    frame: Frame,
    is_box: bool,
    version: &'static str,
    slots: Vec<Slot>,
    not_kept: Option<NotKept>,
}

/// One of the two systems.
struct Slot {
    name: String,
    is_running: bool,
    is_good: bool,
    version: String,
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    let frame = frame(&visit);
    answer(&visit, StatusCode::OK, frame).await
}

fn frame(visit: &Visit) -> Frame {
    Frame::new(visit, "/system", "system-title")
}

/// This is a box, not any machine: its settings say so.
/// What happens to be there at a moment says nothing, as a start has many.
pub fn is_box(visit: &Visit) -> bool {
    socket(visit).is_some()
}

fn socket(visit: &Visit) -> Option<PathBuf> {
    Some(visit.office.settings.get().privop.clone()).filter(|path| !path.as_os_str().is_empty())
}

async fn answer(visit: &Visit, status: StatusCode, frame: Frame) -> Response {
    let slots = match ask(visit, Wish::Slots, PATIENCE).await {
        Ok(text) => slots(&text),
        Err(_) => Vec::new(),
    };
    shown(visit, status, frame, slots)
}

fn shown(visit: &Visit, status: StatusCode, frame: Frame, slots: Vec<Slot>) -> Response {
    let not_kept = update::not_kept(&visit.office.settings.get().updates);
    page(
        status,
        &SystemPage {
            frame,
            is_box: is_box(visit),
            version: env!("CARGO_PKG_VERSION"),
            slots,
            not_kept,
        },
    )
}

/// Asks the system; what it said, or why not.
pub async fn ask(visit: &Visit, wish: Wish, patience: Duration) -> Result<String, Error> {
    let Some(path) = socket(visit) else { return Err(Error::NoBox) };
    // Just after a start the system's helper may not be there yet: it is asked again for a moment.
    let until = tokio::time::Instant::now() + STARTING;
    while !path.exists() {
        if tokio::time::Instant::now() >= until {
            return Err(Error::NotReady);
        }
        tokio::time::sleep(AGAIN).await;
    }
    let asked = off_thread(move || Ok(pillarbox_host::ask(&path, &wish, patience))).await;
    match asked?.map_err(|why| Error::System { why })? {
        Answer::Done { text } => Ok(text),
        Answer::Refused { why } | Answer::Failed { why } => Err(Error::System { why }),
    }
}

/// The systems, from what RAUC says of its slots.
fn slots(json: &str) -> Vec<Slot> {
    let facts: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let all = facts["slots"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|slot| slot.as_object()?.values().next());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let slot = |slot: &serde_json::Value| Slot {
        name: text(&slot["bootname"]),
        is_running: slot["state"] == "booted",
        is_good: slot["boot_status"] == "good",
        version: text(&slot["slot_status"]["bundle"]["version"]),
    };
    all.filter(|slot| slot["class"] == "rootfs").map(slot).collect()
}

/// What is asked of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Asked {
    /// The owner has read why an update was not kept.
    Seen,
    Restart,
    Off,
    /// Starts the other system.
    Other,
    /// As it came.
    Reset,
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
pub struct Order {
    #[serde(default)]
    order: Asked,
    #[serde(default)]
    confirm: String,
}

pub async fn order(Signed(Owner(visit, visitor), form): Signed<Owner, Order>) -> Response {
    let t = visit.texts;
    let (wish, said) = match form.order {
        Asked::Seen => {
            update::forget(&visit.office.settings.get().updates);
            return answer(&visit, StatusCode::OK, frame(&visit)).await;
        }
        Asked::Restart => (Wish::Reboot, "system-restarts"),
        Asked::Off => (Wish::PowerOff, "system-goes-off"),
        Asked::Other => (Wish::OtherSlot, "system-other-starts"),
        Asked::Reset if form.confirm.trim().eq_ignore_ascii_case(&visitor.address) => {
            (Wish::FactoryReset, "system-resets")
        }
        Asked::Reset => {
            return answer(
                &visit,
                StatusCode::BAD_REQUEST,
                frame(&visit).trouble(t.get("system-reset-confirm")),
            )
            .await;
        }
        Asked::Unknown => return answer(&visit, StatusCode::BAD_REQUEST, frame(&visit)).await,
    };
    tracing::warn!(account = visitor.address, order = ?form.order, "asked of the system");
    match ask(&visit, wish, PATIENCE).await {
        // At once, without looking at the systems: the machine goes down in seconds.
        Ok(_) => shown(&visit, StatusCode::OK, frame(&visit).done(t.get(said)), Vec::new()),
        Err(why) => {
            answer(&visit, StatusCode::BAD_GATEWAY, frame(&visit).trouble(why.said(t))).await
        }
    }
}

/// Takes an update in and has it installed into the other system; RAUC checks who signed it.
pub async fn update(SignedFiles(Owner(visit, _), form): SignedFiles<Owner>) -> Response {
    let Some(mut form) = form else { return stale(&visit) };
    let folder = visit.office.settings.get().updates.clone();
    let mut taken = Err(Error::NoUpdate);
    while let Ok(Some(mut field)) = form.next_field().await {
        if field.name() == Some("file") {
            taken = take(&mut field, &folder).await;
        }
    }
    let installed = match taken {
        Ok(bundle) => {
            let place = folder.join(bundle.as_str());
            let outcome = ask(&visit, Wish::Update { bundle }, LONG_PATIENCE).await;
            // It is in its slot, or of no use.
            let _ = std::fs::remove_file(place);
            outcome
        }
        Err(why) => Err(why),
    };
    match installed {
        Ok(_) => {
            answer(&visit, StatusCode::OK, frame(&visit).done(visit.texts.get("system-updated")))
                .await
        }
        Err(why @ Error::File { .. }) if hindrance(&visit, &why).is_some() => trouble(&visit, &why),
        Err(why) => {
            tracing::warn!(%why, "an update was not installed");
            let said =
                format!("{} {}", visit.texts.get("system-not-updated"), why.said(visit.texts));
            answer(&visit, StatusCode::BAD_REQUEST, frame(&visit).trouble(said)).await
        }
    }
}

async fn take(field: &mut Field<'_>, folder: &Path) -> Result<BundleName, Error> {
    let name = field
        .file_name()
        .unwrap_or_default()
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default()
        .to_string();
    let bundle = BundleName::try_from(name)
        .map_err(|wrong| Error::NotAnUpdate { why: wrong.to_string() })?;
    let path = folder.join(bundle.as_str());
    let wrong = |error: std::io::Error| Error::File { path: path.clone(), why: error.to_string() };
    update::sweep(folder);
    let mut file = std::fs::File::create(&path).map_err(wrong)?;
    // What is not taken whole goes again, also when the browser leaves in the middle: it would keep mail outside.
    let part = Part(Some(path.clone()));
    while let Some(piece) =
        field.chunk().await.map_err(|error| Error::BrokenOff { why: error.to_string() })?
    {
        let room = Disk::of(folder).map_or(u64::MAX, |disk| disk.free);
        if room < piece.len() as u64 + ROOM {
            return Err(Error::NoRoom);
        }
        tokio::task::block_in_place(|| file.write_all(&piece)).map_err(wrong)?;
    }
    part.keep();
    Ok(bundle)
}

/// Octets that an update leaves free while it comes in, so that mail goes on.
const ROOM: u64 = 96 << 20;

/// A file that goes unless it is kept.
struct Part(Option<PathBuf>);

impl Part {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn slots_are_read_as_rauc_reports_them() {
        let said = r#"{"compatible":"x","booted":"A","slots":[
            {"rootfs.0":{"class":"rootfs","bootname":"A","state":"booted","boot_status":"good",
             "slot_status":{"bundle":{"version":"2"}}}},
            {"kernel.0":{"class":"kernel","state":"active"}},
            {"rootfs.1":{"class":"rootfs","bootname":"B","state":"inactive","boot_status":"bad"}}
        ]}"#;
        let found = super::slots(said);
        assert_eq!(
            found
                .iter()
                .map(|slot| (
                    slot.name.as_str(),
                    slot.is_running,
                    slot.is_good,
                    slot.version.as_str()
                ))
                .collect::<Vec<_>>(),
            [("A", true, true, "2"), ("B", false, false, "")]
        );
        assert!(super::slots("no json").is_empty());
    }
}
