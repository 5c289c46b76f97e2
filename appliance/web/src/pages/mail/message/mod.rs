//! The page of one message.
//! Its HTML is a document of its own (`document`), its files and its source are in `files`.

mod content;
mod details;
mod document;
mod verdict;

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_message::calendar;
use pillarbox_message::structure::Structure;
use pillarbox_office::oneclick;
use pillarbox_platform::clock;
use pillarbox_store::{AccountId, Entry, Error, Flags, FolderId, MailOrder, MailWhat, Service};
use serde::Deserialize;

use super::fate::Story;
use super::leaving::{Leaving, unsubscribe};
use super::{Folder, failed, frame, missing, open, shown, unread};
use crate::frame::{Frame, page};
use crate::session::{Person, Visit};
use crate::text::Texts;
use content::{File, Message, Shown, subject};
use details::{details, people};
use pillarbox_vocabulary::Timestamp;

pub use document::document;

#[derive(Template)]
#[template(path = "mail-message.html")]
struct MessagePage {
    frame: Frame,
    folders: Vec<Folder>,
    folder: u32,
    uid: u32,
    structure: Structure,
    subject: String,
    at: String,
    text: String,
    /// Why it is not shown as it was written; empty: it is.
    note: String,
    has_html: bool,
    shows_html: bool,
    blocked: usize,
    with_pictures: bool,
    /// The sender's address, as far as pictures of theirs can be allowed.
    sender: String,
    files: Vec<File>,
    attached: Vec<Message>,
    is_flagged: bool,
    is_draft: bool,
    is_junk: bool,
    is_trash: bool,
    story: Story,
    /// Why it is in Junk, each reason with what it counts; empty: the box did not put it there.
    reasons: Vec<(String, String)>,
    /// What its files can do to whoever opens them.
    warnings: Vec<String>,
    /// Sentences on a bank account that is another one than before; none: it is not.
    payment: Vec<String>,
    /// How it came here, in plain words: name and value.
    details: Vec<(String, String)>,
    receipt_to: String,
    unsubscribe: String,
    /// The list's server can be asked by the box itself.
    leaves_by_click: bool,
    card: Option<Card>,
}

/// An invitation.
struct Card {
    event: calendar::Event,
    starts: String,
    ends: String,
}

#[derive(Deserialize)]
pub struct Asked {
    /// Any value: pictures of other servers are shown.
    #[serde(default)]
    pictures: String,
    /// Any value: as text, although there is HTML.
    #[serde(default)]
    plain: String,
    /// The mailing list was asked.
    #[serde(default)]
    list: Leaving,
}

pub async fn show(
    Person(visit, visitor): Person,
    Path((folder, uid)): Path<(u32, u32)>,
    Query(asked): Query<Asked>,
) -> Response {
    let (account, folder) = (visitor.account, FolderId(folder));
    let (entry, content) = match open(&visit, account, folder, uid).await {
        Ok(Some(found)) => found,
        Ok(None) => return missing(&visit),
        Err(error) => return failed(&visit, &error),
    };
    if !entry.flags.contains(Flags::SEEN)
        && let Err(error) = mark_seen(&visit, account, folder, uid).await
    {
        return failed(&visit, &error);
    }
    match content::read(&visit, account, content, !asked.plain.is_empty()).await {
        Ok(read) => {
            page(StatusCode::OK, &message_page(&visit, &asked, (folder, uid), &entry, read))
        }
        Err(why) => unread(&visit, &why),
    }
}

async fn mark_seen(
    visit: &Visit,
    account: AccountId,
    folder: FolderId,
    uid: u32,
) -> Result<(), Error> {
    let order = MailOrder {
        account,
        folder,
        uids: vec![uid],
        what: MailWhat::Flag { add: Flags::SEEN, remove: Flags::default() },
        at: clock::now(),
        service: Service::Web,
    };
    match visit.office.store.change(order).done().await {
        // It stays unread on a card that can't be written; reading goes on.
        Ok(_) | Err(Error::Unwritable { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn message_page(
    visit: &Visit,
    asked: &Asked,
    (folder, uid): (FolderId, u32),
    entry: &Entry,
    read: Shown,
) -> MessagePage {
    let (t, structure) = (visit.texts, read.structure);
    let subject = subject(t, &structure);
    let sender = structure.from.first().map(|from| from.address.to_lowercase()).unwrap_or_default();
    let unsubscribe = unsubscribe(&structure.list_unsubscribe);
    let written = if structure.date > 0 { Timestamp(structure.date) } else { entry.saved_at };
    MessagePage {
        frame: message_frame(visit, &subject, asked.list),
        folders: shown(t, &read.folders, folder),
        folder: folder.0,
        uid,
        at: t.moment(written, clock::now()),
        card: read.event.map(|event| card(t, event)),
        leaves_by_click: structure.unsubscribes_by_post && oneclick::target(&unsubscribe).is_some(),
        unsubscribe,
        receipt_to: if folder == FolderId::SENT {
            String::new()
        } else {
            structure.receipt_to.first().map(|to| to.address.clone()).unwrap_or_default()
        },
        payment: verdict::payment(t, read.payment.as_ref()),
        warnings: verdict::warnings(t, read.verdict.as_ref()),
        reasons: verdict::reasons(t, read.verdict.as_ref(), folder),
        details: details(t, &structure, &read.story, read.verdict.as_ref(), entry.saved_at),
        subject,
        structure,
        text: read.body.text,
        note: read.body.note.map(|note| t.get(note).into_owned()).unwrap_or_default(),
        has_html: read.body.has_html,
        shows_html: read.body.shows_html,
        blocked: read.body.blocked,
        with_pictures: !asked.pictures.is_empty()
            || visit.preferences.pictures_from.contains(&sender),
        sender,
        files: read.files,
        attached: read.attached,
        is_flagged: entry.flags.contains(Flags::FLAGGED),
        is_draft: folder == FolderId::DRAFTS,
        is_junk: folder == FolderId::JUNK,
        is_trash: folder == FolderId::TRASH,
        story: read.story,
    }
}

/// The subject is the page's title; what came of leaving the message's list is said above it.
fn message_frame(visit: &Visit, subject: &str, list: Leaving) -> Frame {
    let (t, mut frame) = (visit.texts, frame(visit, "mail-title"));
    frame.title = subject.to_string();
    match list {
        Leaving::Left => frame.done(t.get("mail-list-left")),
        Leaving::NotLeft => frame.trouble(t.get("mail-list-not-left")),
        Leaving::NotAsked => frame,
    }
}

fn card(t: Texts, event: calendar::Event) -> Card {
    let at = |moment: Option<u64>| {
        moment.map_or_else(String::new, |at| t.moment(Timestamp(at), clock::now()))
    };
    Card { starts: at(event.starts), ends: at(event.ends), event }
}
