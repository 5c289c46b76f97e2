//! What a person likes, and how much room their mail takes.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_platform::clock::Zone;

use super::correspondents::senders;
use super::{failed, frame, size};
use crate::frame::{Frame, page};
use crate::session::{Person, Visit, Visitor};
use crate::signed::{Fields, Signed};
use crate::text::Texts;
use pillarbox_office::mail::preferences::{LONGEST_UNDO, Preferences, SIGNATURE, SIGNATURES};

#[derive(Template)]
#[template(path = "mail-settings.html")]
struct SettingsPage {
    frame: Frame,
    preferences: Preferences,
    used: String,
    free: String,
    /// The part of the disk that is taken, in percent.
    taken: u64,
    /// Addresses one writes from, with their signatures.
    signatures: Vec<(String, String)>,
    zones: Vec<String>,
}

pub async fn show(Person(visit, visitor): Person) -> Response {
    let preferences = visit.preferences.clone();
    answer(&visit, &visitor, preferences, frame(&visit, "mail-settings-title")).await
}

async fn answer(
    visit: &Visit,
    visitor: &Visitor,
    preferences: Preferences,
    mut frame: Frame,
) -> Response {
    frame.here = "/mail/settings";
    let account = visitor.account;
    let read = visit.office.store.read_off_thread(move |r| {
        Ok(r.folders(account)?.iter().map(|(_, _, state)| state.octets).sum())
    });
    let octets = match read.await {
        Ok(octets) => octets,
        Err(error) => return failed(visit, &error),
    };
    let (free, total) = visit.office.condition.disk();
    let signed =
        |address: String| (address.clone(), preferences.signature_for(&address).to_string());
    let signatures = senders(&visit.office, &visitor.address)
        .await
        .into_iter()
        .take(SIGNATURES)
        .map(signed)
        .collect();
    let taken = (total.saturating_sub(free) * 100).checked_div(total).unwrap_or(0);
    page(
        StatusCode::OK,
        &SettingsPage {
            frame,
            used: size(octets),
            free: size(free),
            taken,
            signatures,
            zones: Zone::names(),
            preferences,
        },
    )
}

pub async fn save(Signed(Person(visit, visitor), fields): Signed<Person, Fields>) -> Response {
    let own = senders(&visit.office, &visitor.address).await;
    let mut preferences = visit.preferences.clone();
    put_signatures(&mut preferences, &fields, &visitor.address, &own);
    preferences.conversations = !fields.one("conversations").is_empty();
    preferences.is_rich = !fields.one("rich").is_empty();
    preferences.notifies = !fields.one("notifies").is_empty();
    preferences.undo = fields.one("undo").parse().unwrap_or(10).min(LONGEST_UNDO);
    preferences.language = Texts::chosen(fields.one("language"))
        .map(|texts| texts.lang().to_string())
        .unwrap_or_default();
    let zone = fields.one("zone").trim();
    if !zone.is_empty() && Zone::named(zone).is_none() {
        let said = visit.texts.with("mail-zone-unknown", "zone", zone).into_owned();
        let frame = frame(&visit, "mail-settings-title").trouble(said);
        return answer(&visit, &visitor, preferences, frame).await;
    }
    preferences.zone = zone.to_string();
    for sender in fields.all("forget") {
        preferences.pictures_from.remove(sender);
    }
    match visit.office.store.change(preferences.change(visitor.account)).done().await {
        Ok(_) => {
            let texts = Texts::chosen(&preferences.language)
                .unwrap_or(visit.texts)
                .in_zone(Zone::named(&preferences.zone).unwrap_or_default());
            let visit = Visit { texts, ..visit };
            let frame = frame(&visit, "mail-settings-title").done(visit.texts.get("saved"));
            answer(&visit, &visitor, preferences, frame).await
        }
        Err(error) => failed(&visit, &error),
    }
}

/// Takes the signatures for a person's own addresses; each field follows the address it is for.
fn put_signatures(preferences: &mut Preferences, fields: &Fields, main: &str, own: &[String]) {
    let typed = fields.all("address").zip(fields.all("signature"));
    let usable = typed.filter(|(address, _)| own.iter().any(|known| known == address));
    for (address, signature) in usable.take(SIGNATURES) {
        let mut signature = signature.replace("\r\n", "\n");
        signature.truncate(signature.floor_char_boundary(SIGNATURE));
        match address == main {
            true => preferences.signature = signature,
            false => drop(preferences.signatures.insert(address.to_string(), signature)),
        }
    }
}
