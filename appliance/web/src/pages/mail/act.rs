//! What a person does with messages and folders: forms that work without a script.

use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_platform::clock;
use pillarbox_proto::address::Address;
use pillarbox_store::{
    AccountId, Error, Flags, FolderId, MAIL_ORDER, MailOrder, MailWhat, MakeFolder, RemoveFolder,
    RenameFolder, Service,
};
use serde::Deserialize;

use super::failed;
use super::leaving::{Leaving, unsubscribe};
use crate::frame::{notice, said};
use crate::session::{Person, Visit};
use crate::signed::{Fields, Signed};
use pillarbox_office::code;
use pillarbox_office::mail::preferences::PICTURES_FROM;
use pillarbox_office::oneclick;
use pillarbox_office::submission::Refusal;
use pillarbox_office::submission::later;

/// Characters of a folder's name.
const NAME: usize = 60;

/// `folder.uid`
pub fn parse_id(text: &str) -> Option<(FolderId, u32)> {
    let (folder, uid) = text.split_once('.')?;
    Some((FolderId(folder.parse().ok()?), uid.parse().ok()?))
}

/// Only our own lists: nobody is led elsewhere by a form.
fn back(text: &str) -> String {
    let is_ours = text.starts_with("/mail/")
        && !text.contains("//")
        && text.bytes().all(|b| b.is_ascii_graphic());
    if is_ours { text.to_string() } else { "/mail/1".into() }
}

pub async fn act(Signed(Person(visit, visitor), fields): Signed<Person, Fields>) -> Response {
    let back = back(fields.one("back"));
    let mut by_folder: std::collections::BTreeMap<FolderId, Vec<u32>> =
        std::collections::BTreeMap::new();
    for (folder, uid) in fields.all("id").filter_map(parse_id) {
        by_folder.entry(folder).or_default().push(uid);
    }
    // Taking back: a folder and a span of UIDs, `4:57-59:1`.
    if let Some((folder, uids, to)) = parse_undo(fields.one("undo")) {
        let order = MailOrder {
            account: visitor.account,
            folder,
            uids,
            what: MailWhat::Move { to },
            at: clock::now(),
            service: Service::Web,
        };
        return match visit.office.store.change(order).done().await {
            Ok(_) => Redirect::to(&back).into_response(),
            Err(error) => failed(&visit, &error),
        };
    }
    let mut undo = String::new();
    for (folder, uids) in by_folder {
        let what = match what(fields.order("order"), folder, fields.one("to")) {
            Some(what) => what,
            None => return Redirect::to(&back).into_response(),
        };
        let target = match what {
            MailWhat::Move { to } => Some(to),
            MailWhat::Judge { is_junk } => {
                Some(if is_junk { FolderId::JUNK } else { FolderId::INBOX })
            }
            _ => None,
        };
        let account = visitor.account;
        let first = match next_uid(&visit, account, target).await {
            Ok(first) => first,
            Err(error) => return failed(&visit, &error),
        };
        let count = uids.len() as u32;
        for uids in uids.chunks(MAIL_ORDER) {
            let order = MailOrder {
                account,
                folder,
                uids: uids.to_vec(),
                what: what.clone(),
                at: clock::now(),
                service: Service::Web,
            };
            loop {
                match visit.office.store.change(order.clone()).done().await {
                    Ok(1..) => {}
                    Ok(0) => break,
                    // The folder was removed in another window.
                    Err(Error::NotFound { .. }) => return Redirect::to("/mail/1").into_response(),
                    Err(error) => return failed(&visit, &error),
                }
            }
        }
        if let (Some(to), Some(first)) = (target, first) {
            undo = format!("{}:{first}-{}:{}", to.0, first + count - 1, folder.0);
        }
    }
    let back = if undo.is_empty() {
        back
    } else {
        format!("{back}{}undo={undo}", if back.contains('?') { '&' } else { '?' })
    };
    Redirect::to(&back).into_response()
}

/// What is done with some messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    Read,
    Unread,
    Flag,
    Unflag,
    /// Into the trash, and in the trash for good.
    Delete,
    Junk,
    NotJunk,
    Move,
    #[default]
    #[serde(other)]
    Unknown,
}

/// The store's order for one of ours.
fn what(order: Act, folder: FolderId, to: &str) -> Option<MailWhat> {
    let flag = |add, remove| Some(MailWhat::Flag { add, remove });
    let none = Flags::default();
    match order {
        Act::Read => flag(Flags::SEEN, none),
        Act::Unread => flag(none, Flags::SEEN),
        Act::Flag => flag(Flags::FLAGGED, none),
        Act::Unflag => flag(none, Flags::FLAGGED),
        Act::Delete if folder == FolderId::TRASH => Some(MailWhat::Delete { code: code::fresh() }),
        Act::Delete => Some(MailWhat::Move { to: FolderId::TRASH }),
        Act::Junk => Some(MailWhat::Judge { is_junk: true }),
        Act::NotJunk => Some(MailWhat::Judge { is_junk: false }),
        Act::Move => to.parse().ok().map(|to| MailWhat::Move { to: FolderId(to) }),
        Act::Unknown => None,
    }
}

fn parse_undo(text: &str) -> Option<(FolderId, Vec<u32>, FolderId)> {
    let mut parts = text.split(':');
    let folder = FolderId(parts.next()?.parse().ok()?);
    let (first, last) = parts.next()?.split_once('-')?;
    let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
    let to = FolderId(parts.next()?.parse().ok()?);
    (first <= last && last - first < MAIL_ORDER as u32)
        .then(|| (folder, (first..=last).collect(), to))
}

async fn next_uid(
    visit: &Visit,
    account: AccountId,
    folder: Option<FolderId>,
) -> Result<Option<u32>, Error> {
    let Some(folder) = folder else { return Ok(None) };
    Ok(visit
        .office
        .store
        .read_off_thread(move |r| r.folder(account, folder))
        .await?
        .map(|state| state.next_uid))
}

/// What a person does with one message besides moving it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Once {
    /// Pictures of its sender are shown from now on.
    Pictures,
    /// Leaves its mailing list.
    Leave,
    /// Sends it again, to one recipient.
    Again,
    #[default]
    #[serde(other)]
    Unknown,
}

pub async fn message(Signed(Person(visit, visitor), fields): Signed<Person, Fields>) -> Response {
    let Some((folder, uid)) = parse_id(fields.one("id")) else { return super::missing(&visit) };
    let (content, structure) =
        match super::files::taken_apart(&visit, &visitor, folder.0, uid).await {
            Ok(found) => found,
            Err(answer) => return answer,
        };
    let here = format!("/mail/{}/{uid}", folder.0);
    match fields.order("order") {
        Once::Pictures => {
            let sender =
                structure.from.first().map(|from| from.address.to_lowercase()).unwrap_or_default();
            let mut preferences = visit.preferences.clone();
            if preferences.pictures_from.len() < PICTURES_FROM && !sender.is_empty() {
                preferences.pictures_from.insert(sender);
            }
            match visit.office.store.change(preferences.change(visitor.account)).done().await {
                Ok(_) => Redirect::to(&here).into_response(),
                Err(error) => failed(&visit, &error),
            }
        }
        Once::Leave => {
            let Some(target) = oneclick::target(&unsubscribe(&structure.list_unsubscribe)) else {
                return super::missing(&visit);
            };
            let outcome = match oneclick::leave(
                &visit.office.handles.dns,
                &visit.office.handles.tls,
                &target,
                pillarbox_host::net::is_public,
            )
            .await
            {
                Ok(()) => Leaving::Left,
                Err(why) => {
                    tracing::info!(host = target.host, %why, "a mailing list could not be left");
                    Leaving::NotLeft
                }
            };
            Redirect::to(&format!("{here}?list={}", outcome.as_str())).into_response()
        }
        Once::Again => {
            let Ok(to) = Address::parse(fields.one("to")) else { return super::missing(&visit) };
            match later::submit_to(
                &visit.office.submission,
                visitor.account,
                &visitor.address,
                &structure,
                &content,
                vec![to],
            )
            .await
            {
                Ok(()) => Redirect::to("/mail/2").into_response(),
                Err(Refusal::Said(reply)) => said(&visit, reply.lines.join(" ")),
                Err(Refusal::Trouble(error)) => failed(&visit, &error),
            }
        }
        Once::Unknown => Redirect::to(&here).into_response(),
    }
}

/// What a person does with a folder of one's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Folders {
    Make,
    Rename,
    Remove,
    #[default]
    #[serde(other)]
    Unknown,
}

/// Folders of one's own.
pub async fn folders(Signed(Person(visit, visitor), fields): Signed<Person, Fields>) -> Response {
    let name: String =
        fields.one("name").trim().chars().filter(|c| !c.is_control()).take(NAME).collect();
    let folder = FolderId(fields.one("folder").parse().unwrap_or(0));
    let account = visitor.account;
    let changed = match fields.order("order") {
        Folders::Make if !name.is_empty() => {
            let made = visit.office.store.change(MakeFolder { account, name }).done().await;
            made.map(|made| format!("/mail/{}", made.0))
        }
        Folders::Rename if !name.is_empty() => {
            return rename(&visit, account, folder, fields.one("within"), &name).await;
        }
        Folders::Remove => visit
            .office
            .store
            .change(RemoveFolder { account, folder })
            .done()
            .await
            .map(|()| "/mail/1".to_string()),
        Folders::Make | Folders::Rename | Folders::Unknown => {
            return Redirect::to("/mail/1").into_response();
        }
    };
    match changed {
        Ok(there) => Redirect::to(&there).into_response(),
        Err(Error::Exists { .. } | Error::NotFound { .. }) => {
            Redirect::to("/mail/1").into_response()
        }
        Err(Error::Invalid { .. }) => {
            notice(&visit, axum::http::StatusCode::CONFLICT, "folder-full-title", "folder-full")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_name_messages_and_ways_back_of_ours_only() {
        assert_eq!(parse_id("1.57"), Some((FolderId(1), 57)));
        assert_eq!((parse_id("1"), parse_id("a.b"), parse_id("1.-5")), (None, None, None));
        assert_eq!(parse_undo("4:57-58:1"), Some((FolderId(4), vec![57, 58], FolderId(1))));
        assert_eq!(
            (parse_undo(""), parse_undo("4:9-8:1"), parse_undo("4:1-4000000000:1")),
            (None, None, None)
        );
        for (text, is) in [
            ("/mail/1?before=5", "/mail/1?before=5"),
            ("https://evil.example", "/mail/1"),
            ("//evil", "/mail/1"),
            ("/mail//evil.example", "/mail/1"),
            ("/mail/1\r\nx", "/mail/1"),
        ] {
            assert_eq!(back(text), is);
        }
    }
}
