//! What a person does with messages: forms that work without a script.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_message::structure::Structure;
use pillarbox_platform::clock;
use pillarbox_store::{
    AccountId, Content, Error, Flags, FolderId, MAIL_ORDER, MailOrder, MailWhat, Service,
};
use pillarbox_vocabulary::Address;
use serde::Deserialize;

use super::files::taken_apart;
use super::leaving::{Leaving, unsubscribe};
use super::{failed, missing};
use crate::frame::said;
use crate::session::{Person, Visit, Visitor};
use crate::signed::{Fields, Signed};
use pillarbox_office::code;
use pillarbox_office::mail::preferences::PICTURES_FROM;
use pillarbox_office::oneclick::{self, Target};
use pillarbox_office::submission::Refusal;
use pillarbox_office::submission::later;

/// `folder.uid`
pub fn parse_id(text: &str) -> Option<(FolderId, u32)> {
    let (folder, uid) = text.split_once('.')?;
    Some((FolderId(folder.parse().ok()?), uid.parse().ok()?))
}

/// Only our own lists: a form leads to no other site.
fn back(text: &str) -> String {
    let is_ours = text.starts_with("/mail/")
        && !text.contains("//")
        && text.bytes().all(|b| b.is_ascii_graphic());
    if is_ours { text.to_string() } else { "/mail/1".into() }
}

pub async fn act(Signed(Person(visit, visitor), fields): Signed<Person, Fields>) -> Response {
    let (account, back) = (visitor.account, back(fields.one("back")));
    if let Some((folder, uids, to)) = parse_undo(fields.one("undo")) {
        let taken_back = order(account, folder, uids, MailWhat::Move { to });
        return match visit.office.store.change(taken_back).done().await {
            Ok(_) => Redirect::to(&back).into_response(),
            Err(error) => failed(&visit, &error),
        };
    }
    let mut undo = String::new();
    for (folder, uids) in by_folder(&fields) {
        let Some(what) = what(fields.order("order"), folder, fields.one("to")) else {
            return Redirect::to(&back).into_response();
        };
        let target = target(&what);
        let first = match next_uid(&visit, account, target).await {
            Ok(first) => first,
            Err(error) => return failed(&visit, &error),
        };
        match carry_out(&visit, account, folder, &uids, &what).await {
            Ok(()) => {}
            // The folder was removed in another window.
            Err(Error::NotFound { .. }) => return Redirect::to("/mail/1").into_response(),
            Err(error) => return failed(&visit, &error),
        }
        if let (Some(to), Some(first)) = (target, first) {
            let last = first + uids.len() as u32 - 1;
            undo = format!("{}:{first}-{last}:{}", to.0, folder.0);
        }
    }
    let back = if undo.is_empty() {
        back
    } else {
        format!("{back}{}undo={undo}", if back.contains('?') { '&' } else { '?' })
    };
    Redirect::to(&back).into_response()
}

/// The messages that a form names, by folder.
fn by_folder(fields: &Fields) -> BTreeMap<FolderId, Vec<u32>> {
    let mut found: BTreeMap<FolderId, Vec<u32>> = BTreeMap::new();
    for (folder, uid) in fields.all("id").filter_map(parse_id) {
        found.entry(folder).or_default().push(uid);
    }
    found
}

fn order(account: AccountId, folder: FolderId, uids: Vec<u32>, what: MailWhat) -> MailOrder {
    MailOrder { account, folder, uids, what, at: clock::now(), service: Service::Web }
}

/// Gives the store's orders one after the other, each until nothing of it is left to do.
async fn carry_out(
    visit: &Visit,
    account: AccountId,
    folder: FolderId,
    uids: &[u32],
    what: &MailWhat,
) -> Result<(), Error> {
    for uids in uids.chunks(MAIL_ORDER) {
        let order = order(account, folder, uids.to_vec(), what.clone());
        while visit.office.store.change(order.clone()).done().await? > 0 {}
    }
    Ok(())
}

/// The folder that messages go into, if they leave theirs.
fn target(what: &MailWhat) -> Option<FolderId> {
    match what {
        MailWhat::Move { to } => Some(*to),
        MailWhat::Judge { is_junk: true } => Some(FolderId::JUNK),
        MailWhat::Judge { is_junk: false } => Some(FolderId::INBOX),
        _ => None,
    }
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

/// What is taken back: a folder, a span of UIDs and where they were, `4:57-59:1`.
fn parse_undo(text: &str) -> Option<(FolderId, Vec<u32>, FolderId)> {
    let mut parts = text.split(':');
    let folder = FolderId(parts.next()?.parse().ok()?);
    let (first, last) = parts.next()?.split_once('-')?;
    let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
    let to = FolderId(parts.next()?.parse().ok()?);
    (first <= last && last - first < MAIL_ORDER as u32)
        .then(|| (folder, (first..=last).collect(), to))
}

/// The UID that the next message of a folder gets.
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
    let Some((folder, uid)) = parse_id(fields.one("id")) else { return missing(&visit) };
    let (content, structure) = match taken_apart(&visit, &visitor, folder.0, uid).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let here = format!("/mail/{}/{uid}", folder.0);
    match fields.order("order") {
        Once::Pictures => {
            if let Err(error) = show_pictures(&visit, visitor.account, &structure).await {
                return failed(&visit, &error);
            }
            Redirect::to(&here).into_response()
        }
        Once::Leave => match oneclick::target(&unsubscribe(&structure.list_unsubscribe)) {
            Some(target) => {
                let outcome = leave(&visit, &target).await;
                Redirect::to(&format!("{here}?list={}", outcome.as_str())).into_response()
            }
            None => missing(&visit),
        },
        Once::Again => match Address::parse(fields.one("to")) {
            Ok(to) => again(&visit, &visitor, &structure, &content, to).await,
            Err(_) => missing(&visit),
        },
        Once::Unknown => Redirect::to(&here).into_response(),
    }
}

/// Pictures of this message's sender are shown from now on.
async fn show_pictures(
    visit: &Visit,
    account: AccountId,
    structure: &Structure,
) -> Result<(), Error> {
    let sender = structure.from.first().map(|from| from.address.to_lowercase()).unwrap_or_default();
    let mut preferences = visit.preferences.clone();
    if preferences.pictures_from.len() < PICTURES_FROM && !sender.is_empty() {
        preferences.pictures_from.insert(sender);
    }
    visit.office.store.change(preferences.change(account)).done().await.map(|_| ())
}

async fn leave(visit: &Visit, target: &Target) -> Leaving {
    let (dns, tls) = (&visit.office.handles.dns, &visit.office.handles.tls);
    match oneclick::leave(dns, tls, target, pillarbox_host::net::is_public).await {
        Ok(()) => Leaving::Left,
        Err(why) => {
            tracing::info!(host = target.host, %why, "a mailing list could not be left");
            Leaving::NotLeft
        }
    }
}

/// Sends a message again, to one recipient.
async fn again(
    visit: &Visit,
    visitor: &Visitor,
    structure: &Structure,
    content: &Content,
    to: Address,
) -> Response {
    let submission = &visit.office.submission;
    let (account, from) = (visitor.account, &visitor.address);
    match later::submit_to(submission, account, from, structure, content, vec![to]).await {
        Ok(()) => Redirect::to("/mail/2").into_response(),
        Err(Refusal::Said(reply)) => said(visit, reply.lines.join(" ")),
        Err(Refusal::Trouble(error)) => failed(visit, &error),
    }
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
