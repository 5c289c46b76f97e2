//! The list of a folder, or of what a search found.

mod cards;
mod events;
mod rows;
mod search;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_office::Office;
use pillarbox_office::mail::query::Query as Search;
use pillarbox_platform::clock;
use pillarbox_store::{AccountId, Ask, Error, FolderId, FolderState, Found, MessageId};
use serde::Deserialize;

use super::act::parse_id;
use super::{Folder, failed, folder_name, frame, missing, shown, size};
use crate::frame::{Frame, page};
use crate::session::Person;
use crate::text::Texts;
use cards::with_cards;
use rows::{Look, Row};
use search::{Hits, ROWS, searched};

pub use events::events;

/// Characters of an undo that a page repeats.
const UNDO: usize = 60;

#[derive(Template)]
#[template(path = "mail-list.html")]
struct ListPage {
    frame: Frame,
    folders: Vec<Folder>,
    folder: u32,
    name: String,
    rows: Vec<Row>,
    q: String,
    /// How the address of the next page ends; empty on the last one.
    next: String,
    is_trash: bool,
    is_junk: bool,
    /// What can be taken back: folder, UIDs and the folder it came from.
    undo: String,
    /// A message that goes out in a moment: `folder.uid`.
    later: String,
    unseen: u32,
    /// New mail is shown outside the window too.
    notifies: bool,
    /// Folders this one can be moved into.
    parents: Vec<Folder>,
    used: String,
}

#[derive(Deserialize)]
pub struct Asked {
    /// The UID below which a folder's list goes on, or the message below which a search does; 0: from the beginning.
    #[serde(default)]
    before: u64,
    #[serde(default)]
    q: String,
    #[serde(default)]
    undo: String,
    #[serde(default)]
    later: String,
}

/// A person's folders, with the names they have for them.
struct Folders {
    t: Texts,
    all: Vec<(FolderId, String, FolderState)>,
}

impl Folders {
    /// A folder's name and state.
    fn get(&self, folder: FolderId) -> Option<(String, &FolderState)> {
        let (_, name, state) = self.all.iter().find(|(id, ..)| *id == folder)?;
        Some((folder_name(self.t, folder, name), state))
    }

    /// The folder that somebody means by a name in lower case: as it is shown, or as it is stored.
    fn named(&self, wanted: &str) -> Option<FolderId> {
        let is_named = |(id, stored, _): &&(FolderId, String, _)| {
            folder_name(self.t, *id, stored).to_lowercase() == wanted
                || stored.to_lowercase() == wanted
        };
        self.all.iter().find(is_named).map(|(id, ..)| *id)
    }
}

pub async fn start(Person(..): Person) -> Response {
    Redirect::to("/mail/1").into_response()
}

pub async fn show(
    Person(visit, visitor): Person,
    Path(folder): Path<u32>,
    Query(asked): Query<Asked>,
) -> Response {
    let (t, account, folder) = (visit.texts, visitor.account, FolderId(folder));
    let folders = match visit.office.store.read_off_thread(move |r| r.folders(account)).await {
        Ok(all) => Folders { t, all },
        Err(error) => return failed(&visit, &error),
    };
    let Some((name, state)) = folders.get(folder) else { return missing(&visit) };
    let Search { ask, words } = Search::parse(&asked.q, &|name| folders.named(name));
    let (found, next) = match found(&visit.office, account, folder, &asked, ask).await {
        Ok(found) => found,
        Err(error) => return failed(&visit, &error),
    };
    let is_searched = !asked.q.is_empty();
    let look = Look {
        t,
        now: clock::now(),
        joins_conversations: visit.preferences.conversations,
        shows_recipient: folder == FolderId::SENT || folder == FolderId::DRAFTS,
        place: |id| {
            folders.get(id).filter(|_| is_searched).map(|(name, _)| name).unwrap_or_default()
        },
        words: &words,
    };
    let rows = look.rows(with_cards(&visit.office, t, account, found).await);
    let mut frame = frame(&visit, "mail-title");
    frame.title = name.clone();
    let shown = ListPage {
        frame,
        folders: shown(t, &folders.all, folder),
        folder: folder.0,
        name,
        rows,
        q: asked.q,
        next,
        is_trash: folder == FolderId::TRASH,
        is_junk: folder == FolderId::JUNK,
        undo: asked
            .undo
            .chars()
            .filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | ':'))
            .take(UNDO)
            .collect(),
        later: parse_id(&asked.later)
            .map_or_else(String::new, |(folder, uid)| format!("{}.{uid}", folder.0)),
        unseen: state.unseen,
        notifies: visit.preferences.notifies,
        parents: shown(t, &folders.all, folder)
            .into_iter()
            .filter(|one| one.is_own && !one.is_here)
            .collect(),
        used: size(folders.all.iter().map(|(_, _, state)| state.octets).sum()),
    };
    page(StatusCode::OK, &shown)
}

/// A page of a folder or of a search, and how the address of the next page ends; empty: there is none.
async fn found(
    office: &Arc<Office>,
    account: AccountId,
    folder: FolderId,
    asked: &Asked,
    ask: Ask,
) -> Result<(Hits, String), Error> {
    if ask == Ask::All(Vec::new()) {
        let (found, next) = listed(office, account, folder, asked.before).await?;
        let next = if next > 0 { format!("before={next}") } else { String::new() };
        return Ok((found, next));
    }
    let before = Some(MessageId(asked.before)).filter(|before| before.0 > 0);
    let (found, next) = searched(office, account, ask, before).await?;
    if next == 0 {
        return Ok((found, String::new()));
    }
    let next = form_urlencoded::Serializer::new(String::new())
        .append_pair("q", &asked.q)
        .append_pair("before", &next.to_string())
        .finish();
    Ok((found, next))
}

/// A page of a folder, and below which UID it goes on, or 0.
async fn listed(
    office: &Arc<Office>,
    account: AccountId,
    folder: FolderId,
    before: u64,
) -> Result<(Hits, u32), Error> {
    let before = u32::try_from(before).ok().filter(|before| *before > 0).unwrap_or(u32::MAX - 1);
    let found = office.store.read_off_thread(move |r| {
        let entries = r.entries_before(account, folder, before, ROWS + 1)?;
        entries
            .into_iter()
            .map(|(uid, entry)| Ok((Found { folder, uid, entry }, r.card(account, entry.message)?)))
            .collect::<Result<Vec<_>, Error>>()
    });
    let mut found = found.await?;
    let next = if found.len() > ROWS { found[ROWS - 1].0.uid } else { 0 };
    found.truncate(ROWS);
    Ok((found, next))
}
