//! What a person likes, and how much room their mail takes.

use askama::Template;
use axum::Form;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{failed, frame, size};
use crate::mail::preferences::{LONGEST_UNDO, Preferences, SIGNATURE};
use crate::web::pages::{Frame, is_own, page};
use crate::web::session::{Person, Visit, Visitor};

#[derive(Template)]
#[template(path = "mail-settings.html")]
struct SettingsPage {
    frame: Frame,
    preferences: Preferences,
    used: String,
}

pub async fn show(Person(visit, visitor): Person) -> Response {
    answer(&visit, &visitor, frame(&visit, "mail-settings-title")).await
}

async fn answer(visit: &Visit, visitor: &Visitor, mut frame: Frame) -> Response {
    frame.here = "/mail/settings";
    let account = visitor.account;
    let read = visit.context.read(move |r| {
        let octets = r.folders(account)?.iter().map(|(_, _, state)| state.octets).sum();
        Ok((Preferences::read(r, account)?, octets))
    });
    match read.await {
        Ok((preferences, octets)) => page(StatusCode::OK, &SettingsPage { frame, preferences, used: size(octets) }),
        Err(error) => failed(visit, &error),
    }
}

#[derive(Deserialize)]
pub struct Chosen {
    #[serde(default)]
    token: String,
    #[serde(default)]
    signature: String,
    #[serde(default)]
    conversations: String,
    #[serde(default)]
    undo: String,
}

pub async fn save(Person(visit, visitor): Person, Form(form): Form<Chosen>) -> Response {
    if !is_own(&visitor, &form.token) {
        return super::super::stale(&visit);
    }
    let mut signature = form.signature.replace("\r\n", "\n");
    signature.truncate(signature.floor_char_boundary(SIGNATURE));
    let preferences = Preferences {
        signature,
        conversations: !form.conversations.is_empty(),
        undo: form.undo.parse().unwrap_or(10).min(LONGEST_UNDO),
    };
    match visit.context.store.change(preferences.change(visitor.account)).done().await {
        Ok(_) => answer(&visit, &visitor, frame(&visit, "mail-settings-title").done(visit.texts.get("saved"))).await,
        Err(error) => failed(&visit, &error),
    }
}
