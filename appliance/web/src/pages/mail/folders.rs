//! Folders of one's own: made, renamed, moved, removed.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_store::{AccountId, Error, FolderId, MakeFolder, RemoveFolder, RenameFolder};
use serde::Deserialize;

use super::failed;
use crate::frame::notice;
use crate::session::{Person, Visit};
use crate::signed::{Fields, Signed};

/// Characters of a folder's name.
const NAME: usize = 60;

/// What a person does with a folder of one's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    Make,
    Rename,
    Remove,
    #[default]
    #[serde(other)]
    Unknown,
}

pub async fn change(Signed(Person(visit, visitor), fields): Signed<Person, Fields>) -> Response {
    let name: String =
        fields.one("name").trim().chars().filter(|c| !c.is_control()).take(NAME).collect();
    let folder = FolderId(fields.one("folder").parse().unwrap_or(0));
    let account = visitor.account;
    let changed = match fields.order("order") {
        Act::Make if !name.is_empty() => {
            let made = visit.office.store.change(MakeFolder { account, name }).done().await;
            made.map(|made| format!("/mail/{}", made.0))
        }
        Act::Rename if !name.is_empty() => {
            return rename(&visit, account, folder, fields.one("within"), &name).await;
        }
        Act::Remove => visit
            .office
            .store
            .change(RemoveFolder { account, folder })
            .done()
            .await
            .map(|()| "/mail/1".to_string()),
        Act::Make | Act::Rename | Act::Unknown => {
            return Redirect::to("/mail/1").into_response();
        }
    };
    match changed {
        Ok(there) => Redirect::to(&there).into_response(),
        Err(Error::Exists { .. } | Error::NotFound { .. }) => {
            Redirect::to("/mail/1").into_response()
        }
        Err(Error::Invalid { .. }) => {
            notice(&visit, StatusCode::CONFLICT, "folder-full-title", "folder-full")
        }
        Err(error) => failed(&visit, &error),
    }
}

/// Renames or moves a folder, and those within it with it: a folder within another has its name in front,
/// `Customers/Berlin`.
async fn rename(
    visit: &Visit,
    account: AccountId,
    folder: FolderId,
    within: &str,
    name: &str,
) -> Response {
    let folders = match visit.office.store.read_off_thread(move |r| r.folders(account)).await {
        Ok(folders) => folders,
        Err(error) => return failed(visit, &error),
    };
    let known = |id: FolderId| {
        folders.iter().find(|(known, ..)| *known == id).map(|(_, name, _)| name.clone())
    };
    let Some(old) = known(folder) else { return Redirect::to("/mail/1").into_response() };
    let parent =
        within.parse().ok().map(FolderId).filter(|id| id.0 >= 16 && *id != folder).and_then(known);
    // Never into one of its own.
    let parent = parent.filter(|parent| !format!("{parent}/").starts_with(&format!("{old}/")));
    let name = name.replace('/', "-");
    let new = parent.map_or(name.clone(), |parent| format!("{parent}/{name}"));
    for (id, known, _) in &folders {
        let Some(rest) = known
            .strip_prefix(old.as_str())
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            continue;
        };
        let change = RenameFolder { account, folder: *id, name: format!("{new}{rest}") };
        match visit.office.store.change(change).done().await {
            Ok(_) | Err(Error::Exists { .. } | Error::NotFound { .. }) => {}
            Err(error) => return failed(visit, &error),
        }
    }
    Redirect::to(&format!("/mail/{}", folder.0)).into_response()
}
