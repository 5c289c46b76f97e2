//! Writing: new messages, answers, forwards, drafts gone on with, messages sent once more.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_message::choice::Form;
use pillarbox_message::draft::{self, Answerer, Draft, How, Phrases};
use pillarbox_message::html;
use pillarbox_message::names::message_name;
use pillarbox_message::structure::{Part, Structure};
use pillarbox_store::{Content, FolderId, SetTimed, Store};
use serde::Deserialize;

use super::act::parse_id;
use super::correspondents::{contacts, own_addresses, senders};
use super::{failed, frame, missing, open, size, unread};
use crate::frame::{Frame, page};
use crate::session::{Person, Visit, Visitor};
use crate::text::Texts;
use pillarbox_office::mail::readers::{Budget, Unread};
use pillarbox_office::mail::reading::{self, Piece, SHOWN};
use pillarbox_vocabulary::Timestamp;

/// In place of a part's number: all of the message.
pub const WHOLE: &str = "message";

#[derive(Template)]
#[template(path = "mail-compose.html")]
struct ComposePage {
    frame: Frame,
    draft: Draft,
    contacts: Vec<String>,
    /// Files of another message that can go along.
    carried: Vec<Carried>,
    /// Addresses the person may write from, with the signatures for them.
    senders: Vec<(String, String)>,
    limit: String,
    limit_octets: u64,
    /// The text speaks of a file and none is there.
    asks_for_file: bool,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    to: String,
    #[serde(default)]
    subject: String,
    /// `folder.uid`
    #[serde(default)]
    answers: String,
    /// `reply`, `all`, `forward`, `attach` (forwarded as a file), `draft`, or `again` (to somebody else than before).
    #[serde(default)]
    how: String,
}

/// A message that is being written, and what of others can go along.
struct Begun {
    draft: Draft,
    carried: Vec<Carried>,
}

/// `folder.uid.part`, name and size.
type Carried = (String, String, String);

pub async fn show(Person(visit, visitor): Person, Query(asked): Query<Asked>) -> Response {
    let how = How::of(&asked.how);
    let begun = match parse_id(&asked.answers) {
        Some((folder, uid)) => answer(&visit, &visitor, (folder, uid), how, &asked).await,
        None => {
            let (to, subject) = (asked.to, asked.subject);
            Ok(Begun { draft: Draft { to, subject, ..Draft::default() }, carried: Vec::new() })
        }
    };
    let Begun { mut draft, carried } = match begun {
        Ok(begun) => begun,
        Err(answer) => return answer,
    };
    if !goes_on(how) {
        sign(&visit, &visitor, &mut draft);
    }
    let frame = frame(&visit, "compose-title");
    answer_page(&visit, &visitor, StatusCode::OK, frame, draft, carried, false).await
}

/// It was written before: signature and formatting are in it.
fn goes_on(how: How) -> bool {
    matches!(how, How::Draft | How::Again)
}

/// A message that begins with another one.
async fn answer(
    visit: &Visit,
    visitor: &Visitor,
    (folder, uid): (FolderId, u32),
    how: How,
    asked: &Asked,
) -> Result<Begun, Response> {
    let account = visitor.account;
    let (entry, content) = match open(visit, account, folder, uid).await {
        Ok(Some(found)) => found,
        Ok(None) => return Err(missing(visit)),
        Err(error) => return Err(failed(visit, &error)),
    };
    let answerer = Answerer {
        own: own_addresses(&visit.office, account, &visitor.address).await,
        senders: senders(&visit.office, &visitor.address).await,
        has_sent_it: folder == FolderId::SENT,
    };
    let (store, t, id) = (visit.office.store.clone(), visit.texts, asked.answers.clone());
    let read = visit.office.readers.message(account, content.message, move |budget| {
        let mut structure = reading::structure(&store, &content, budget)?;
        if structure.date == 0 {
            structure.date = entry.saved_at.0;
        }
        let text = reading::plain(&store, &content, &structure, SHOWN, budget)?;
        let html = if goes_on(how) {
            formatted(&store, &content, &structure, budget)?
        } else {
            String::new()
        };
        let draft = draft::answer(&phrases(t, &structure), &answerer, &id, how, &structure, &text);
        Ok((structure, Draft { html, ..draft }))
    });
    let (structure, mut draft) = read.await.map_err(|why| unread(visit, &why))?;
    if how == How::Draft {
        // A message that is worked on must not go out meanwhile.
        let change = SetTimed { account, message: entry.message, timed: None };
        let changed = visit.office.store.change(change).done().await;
        changed.map_err(|error| failed(visit, &error))?;
    }
    if how == How::Again {
        draft.to = asked.to.clone();
    }
    let carried = match how {
        How::Forward | How::Draft | How::Again => files(&structure, &asked.answers),
        How::Attach => vec![whole(&structure, &asked.answers, u64::from(entry.octets))],
        How::Reply | How::All => Vec::new(),
    };
    Ok(Begun { draft, carried })
}

/// Puts the signature below a new message, formatted if the person writes so.
fn sign(visit: &Visit, visitor: &Visitor, draft: &mut Draft) {
    let from = if draft.from.is_empty() { &visitor.address } else { &draft.from };
    let signature = visit.preferences.signature_for(from).trim_end();
    if !signature.is_empty() {
        draft.body = format!("\n\n-- \n{signature}\n{}", draft.body);
    }
    if visit.preferences.is_rich {
        draft.html = draft::as_html(&draft.body);
    }
}

/// What is written above a quoted or forwarded message.
fn phrases(t: Texts, structure: &Structure) -> Phrases {
    let names = structure.from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let at = t.date(Timestamp(structure.date));
    Phrases {
        intro: t.with_two("compose-wrote", ("who", &names), ("at", &at)),
        forwarded: t.get("compose-forwarded").into_owned(),
        at,
    }
}

/// The formatted text of a message that was begun here; empty where there is none, or more than is shown.
fn formatted(
    store: &Store,
    content: &Content,
    structure: &Structure,
    budget: &Budget,
) -> Result<String, Unread> {
    let body = reading::body(store, content, structure, Form::Html, SHOWN, budget)?;
    if !body.iter().any(|piece| matches!(piece, Piece::Html(_))) {
        return Ok(String::new());
    }
    let html = |piece: &Piece| match piece {
        Piece::Html(html) => html::written(html),
        Piece::Text(text) => Ok(draft::as_html(text)),
        Piece::Picture(_) => Ok(String::new()),
    };
    Ok(body.iter().map(html).collect::<Result<String, _>>().unwrap_or_default())
}

/// The name a message goes along under.
pub fn whole_name(structure: &Structure) -> String {
    message_name("", &structure.subject)
}

/// A message as a whole; `id` is `folder.uid`.
fn whole(structure: &Structure, id: &str, octets: u64) -> Carried {
    (format!("{id}.{WHOLE}"), whole_name(structure), size(octets))
}

/// A message's files; `id` is `folder.uid`.
fn files(structure: &Structure, id: &str) -> Vec<Carried> {
    let one = |(number, part): (usize, &Part)| {
        let name = match part.file_name.is_empty() {
            _ if part.is_message() => message_name(&part.file_name, ""),
            true => part.kind.clone(),
            false => part.file_name.clone(),
        };
        (format!("{id}.{number}"), name, size((part.end - part.start) * 73 / 100))
    };
    structure.attachments().into_iter().map(one).collect()
}

/// The page with a message in it, not sent yet.
pub async fn answer_page(
    visit: &Visit,
    visitor: &Visitor,
    status: StatusCode,
    frame: Frame,
    draft: Draft,
    carried: Vec<Carried>,
    asks_for_file: bool,
) -> Response {
    let contacts = contacts(&visit.office, visitor.account).await;
    // Base64 makes a third more of a file.
    let limit_octets = visit.office.settings.get().limits.message_octets * 73 / 100;
    let signed = |address: String| {
        (address.clone(), visit.preferences.signature_for(&address).trim_end().to_string())
    };
    let senders = senders(&visit.office, &visitor.address).await.into_iter().map(signed).collect();
    page(
        status,
        &ComposePage {
            frame,
            draft,
            contacts,
            carried,
            senders,
            limit: size(limit_octets),
            limit_octets,
            asks_for_file,
        },
    )
}
