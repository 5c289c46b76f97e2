//! Webmail: lists, messages, writing.
//! A person sees and changes their own mail only: every question to the store carries the account of the session.

pub mod act;
mod body;
pub mod compose;
pub mod contacts;
mod correspondents;
pub mod fate;
pub mod files;
pub mod folders;
mod leaving;
pub mod list;
pub mod message;
pub mod send;
pub mod settings;

use pillarbox_store::{AccountId, Content, Entry, Error, FolderId, FolderState};

use crate::frame::{Frame, notice, trouble};
use crate::session::{Visit, Visitor};
use crate::text::Texts;
use pillarbox_office::mail::readers::Unread;

/// A folder as it is shown.
#[derive(Clone, Debug)]
pub struct Folder {
    pub id: FolderId,
    /// The last part of its name, and how many folders it is within.
    pub name: String,
    pub depth: usize,
    /// All of its name.
    pub path: String,
    pub unseen: u32,
    pub is_here: bool,
    /// Made by the person: can be renamed and removed.
    pub is_own: bool,
}

impl Folder {
    /// Whether it is directly in another.
    fn is_within(&self, parent: &Folder) -> bool {
        self.path.rsplit_once('/').is_some_and(|(front, _)| front == parent.path)
    }
}

/// Folders everybody has are named in the reader's language.
fn folder_name(t: Texts, id: FolderId, name: &str) -> String {
    let key = match id {
        FolderId::INBOX => "folder-inbox",
        FolderId::SENT => "folder-sent",
        FolderId::DRAFTS => "folder-drafts",
        FolderId::TRASH => "folder-trash",
        FolderId::JUNK => "folder-junk",
        _ => return name.to_string(),
    };
    t.get(key).into_owned()
}

fn shown(t: Texts, found: &[(FolderId, String, FolderState)], here: FolderId) -> Vec<Folder> {
    let folder = |(id, name, state): &(FolderId, String, FolderState)| Folder {
        id: *id,
        name: folder_name(t, *id, name.rsplit('/').next().unwrap_or_default()),
        depth: name.matches('/').count().min(4),
        path: folder_name(t, *id, name),
        // Unread is of interest where mail comes in.
        unseen: if matches!(*id, FolderId::SENT | FolderId::DRAFTS | FolderId::TRASH) {
            0
        } else {
            state.unseen
        },
        is_here: *id == here,
        is_own: id.0 >= 16,
    };
    let mut folders: Vec<Folder> = found.iter().map(folder).collect();
    // Those everybody has, then one's own by name: a folder comes before those within it.
    folders.sort_by_cached_key(|folder| {
        (
            folder.is_own,
            if folder.is_own {
                folder.path.to_lowercase().replace('/', "\u{1}")
            } else {
                String::new()
            },
        )
    });
    folders
}

/// A message of a person's own: its entry and content.
async fn open(
    visit: &Visit,
    account: AccountId,
    folder: FolderId,
    uid: u32,
) -> Result<Option<(Entry, Content)>, Error> {
    visit
        .office
        .store
        .read_off_thread(move |r| {
            let Some(entry) = r.entry(account, folder, uid)? else { return Ok(None) };
            Ok(r.content(entry.message)?.map(|content| (entry, content)))
        })
        .await
}

/// The frame of a mail page.
fn frame(visit: &Visit, title: &str) -> Frame {
    Frame::new(visit, "/mail", title)
}

/// Octets for people.
pub fn size(octets: u64) -> String {
    match octets {
        0..1_000 => format!("{octets} B"),
        1_000..1_000_000 => format!("{:.0} KB", octets as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", octets as f64 / 1e6),
        _ => format!("{:.1} GB", octets as f64 / 1e9),
    }
}

/// The mail that was asked for is not there (any more), or belongs to another person.
fn missing(visit: &Visit) -> axum::response::Response {
    notice(visit, axum::http::StatusCode::NOT_FOUND, "mail-gone-title", "mail-gone")
}

/// A message that was not read.
fn unread(visit: &Visit, why: &Unread) -> axum::response::Response {
    use axum::http::StatusCode;
    match why {
        Unread::Withheld => {
            notice(visit, StatusCode::CONFLICT, "mail-withheld-title", "mail-withheld")
        }
        Unread::Busy | Unread::GivenUp => {
            tracing::warn!(%why, "a message was not read for a page");
            notice(visit, StatusCode::SERVICE_UNAVAILABLE, "mail-busy-title", "mail-busy")
        }
        Unread::Store(error) => failed(visit, error),
    }
}

/// What the store could not do, as far as there is a word for it that helps.
fn failed(visit: &Visit, error: &Error) -> axum::response::Response {
    match error {
        Error::Damaged { .. } => {
            tracing::error!(%error, "a page could not be made");
            notice(visit, axum::http::StatusCode::GONE, "mail-damaged-title", "mail-damaged")
        }
        error => trouble(visit, error),
    }
}

/// Who writes, for the submission.
fn sender(visit: &Visit, visitor: &Visitor) -> pillarbox_office::submission::send::Sender {
    pillarbox_office::submission::send::Sender {
        account: visitor.account,
        address: visitor.address.clone(),
        from: visitor.address.clone(),
        peer: visit.link.peer,
    }
}
