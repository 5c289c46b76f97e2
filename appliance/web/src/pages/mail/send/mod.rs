//! A message on its way out of the browser: sent while it comes in, so that no copy of it is in memory; or kept as a
//! draft.

mod after;
mod carry;
mod stop;
mod writing;

use axum::extract::multipart::{Field, Multipart};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_message::draft::{Draft, Order};
use pillarbox_message::html;
use pillarbox_office::mail::readers::Unread;
use pillarbox_office::submission::Refusal;
use pillarbox_store::Error;

use super::compose::answer_page;
use super::frame;
use crate::frame::{Hindrance, hindrance, stale};
use crate::session::{Person, Visit, Visitor};
use crate::signed::SignedFiles;
use after::after;
use stop::Stop;
use writing::{Writing, cleaned};

/// Octets of a text field.
const FIELD: usize = 1 << 20;
/// Files of other messages, and whole ones, that may go along.
const CARRIED: usize = 200;

pub async fn send(SignedFiles(Person(visit, visitor), form): SignedFiles<Person>) -> Response {
    let mut draft = Draft::default();
    let outcome = match form {
        Some(mut form) => take(&visit, &visitor, &mut form, &mut draft).await,
        None => Err(Stop::Broken),
    };
    let place = match outcome {
        Ok(place) => place,
        Err(why) => return stopped(&visit, &visitor, draft, why).await,
    };
    after(&visit, &visitor, &draft).await;
    match draft.order {
        // The script only wants to know where the draft is now.
        Order::Autosave => place.into_response(),
        _ => Redirect::to(&place).into_response(),
    }
}

/// Takes the form in: texts first, then files straight into the message.
async fn take(
    visit: &Visit,
    visitor: &Visitor,
    form: &mut Multipart,
    draft: &mut Draft,
) -> Result<String, Stop> {
    let mut begun: Option<Writing> = None;
    while let Some(mut field) = form.next_field().await.map_err(|_| Stop::Broken)? {
        let name = field.name().unwrap_or_default().to_string();
        if name != "file" {
            take_text(visit, draft, &name, &mut field).await?;
            continue;
        }
        let file_name = field.file_name().unwrap_or_default().to_string();
        if file_name.is_empty() {
            continue;
        }
        let writing = match &mut begun {
            Some(writing) => writing,
            None => begun.insert(Writing::begin(visit, visitor, draft, true).await?),
        };
        writing.attach(&file_name, &mut field).await?;
    }
    let carries = !draft.carry.is_empty();
    let has_files = begun.is_some() || carries;
    let mut writing = match begun {
        Some(writing) => writing,
        None if draft.order == Order::Send && !carries && draft.mentions_file() => {
            return Err(Stop::AsksForFile);
        }
        None => Writing::begin(visit, visitor, draft, carries).await?,
    };
    writing.carry(&draft.carry).await?;
    if has_files {
        writing.end_files().await?;
    }
    writing.finish(draft).await
}

async fn take_text(
    visit: &Visit,
    draft: &mut Draft,
    name: &str,
    field: &mut Field<'_>,
) -> Result<(), Stop> {
    let too_large = || Stop::Say(visit.texts.get("compose-too-large").into_owned());
    let mut text = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|_| Stop::Broken)? {
        if text.len() + piece.len() > FIELD {
            return Err(too_large());
        }
        text.extend_from_slice(&piece);
    }
    if name == "carry" && draft.carry.len() >= CARRIED {
        return Err(too_large());
    }
    draft.put(name, String::from_utf8_lossy(&text).into_owned());
    Ok(())
}

/// The page that says why a message did not go out; with what was typed, where that helps.
async fn stopped(visit: &Visit, visitor: &Visitor, draft: Draft, why: Stop) -> Response {
    let text = |key: &str| visit.texts.get(key).into_owned();
    let asks_for_file = matches!(why, Stop::AsksForFile);
    let (status, message) = match why {
        Stop::Say(text) => (StatusCode::BAD_REQUEST, text),
        Stop::AsksForFile => (StatusCode::BAD_REQUEST, String::new()),
        Stop::TooFormatted => (StatusCode::BAD_REQUEST, text("compose-too-formatted")),
        Stop::Broken => (StatusCode::BAD_REQUEST, text("compose-broken")),
        Stop::Stale => return stale(visit),
        Stop::Unread(Unread::Withheld) => (StatusCode::BAD_REQUEST, text("mail-withheld")),
        Stop::Unread(Unread::Busy | Unread::GivenUp) => {
            (StatusCode::BAD_REQUEST, text("mail-busy"))
        }
        Stop::Refused(Refusal::Said(reply)) => (StatusCode::BAD_REQUEST, reply.lines.join(" ")),
        Stop::Unread(Unread::Store(error))
        | Stop::Refused(Refusal::Trouble(error))
        | Stop::Store(error) => {
            let (status, key) = unkept(visit, &error);
            (status, text(key))
        }
    };
    let frame = frame(visit, "compose-title");
    let frame = if message.is_empty() { frame } else { frame.trouble(message) };
    let draft = harmless(visit, visitor, draft).await;
    answer_page(visit, visitor, status, frame, draft, Vec::new(), asks_for_file).await
}

/// What is said of a message that the store did not take; what was typed is in the page again, whatever the cause.
fn unkept(visit: &Visit, error: &Error) -> (StatusCode, &'static str) {
    let said = match (hindrance(visit, error), error) {
        (Some(Hindrance::Unwritable), _) => (StatusCode::SERVICE_UNAVAILABLE, "compose-unwritable"),
        (Some(Hindrance::Full), _) => (StatusCode::SERVICE_UNAVAILABLE, "compose-full"),
        (None, Error::Invalid { .. }) => (StatusCode::BAD_REQUEST, "compose-too-large"),
        (None, Error::Damaged { .. }) => (StatusCode::GONE, "mail-damaged"),
        (None, _) => (StatusCode::INTERNAL_SERVER_ERROR, "trouble"),
    };
    tracing::error!(%error, "a message was not taken");
    said
}

/// What goes into the page again is as harmless as what goes out.
async fn harmless(visit: &Visit, visitor: &Visitor, mut draft: Draft) -> Draft {
    if let Ok((cleaned, _)) = cleaned(visit, visitor, &draft).await {
        return cleaned;
    }
    if !draft.html.is_empty() {
        // Too much is being read: what was typed is kept without its formatting, which costs little.
        draft.body = html::to_text(&std::mem::take(&mut draft.html));
    }
    draft
}
