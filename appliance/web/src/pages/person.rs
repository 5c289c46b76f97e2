//! One person: name, what happens to fetched mail, devices, a way back in, farewell.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_store::{
    Account, AccountId, AnyChange, DeviceId, Error, FolderId, MailboxPolicy, RemoveAccount,
    RemoveDevice, SetFactor, SetName, SetPolicy,
};
use serde::Deserialize;

use super::welcome::{self, Invitation};
use crate::frame::{Frame, notice, page, trouble};
use crate::session::{Owner, Visit};
use crate::signed::Signed;
use pillarbox_office::directory;

/// Days that can be chosen.
const DAYS: u16 = 3650;
/// Days where none were chosen.
const USUAL_DAYS: u16 = 30;

#[derive(Template)]
#[template(path = "person.html")]
struct PersonPage {
    frame: Frame,
    address: String,
    name: String,
    /// `keep`, `trash` or `delete`.
    policy: &'static str,
    days: u16,
    messages: u32,
    octets: String,
    devices: Vec<(u16, String)>,
    has_factor: bool,
    is_owner: bool,
    invitation: Option<Invitation>,
}

struct Found {
    id: AccountId,
    account: Account,
    devices: Vec<(u16, String)>,
    folder: Option<pillarbox_store::FolderState>,
    has_factor: bool,
    is_owner: bool,
}

async fn find(visit: &Visit, address: &str) -> Result<Option<Found>, Error> {
    let address = address.to_lowercase();
    visit
        .office
        .store
        .read_off_thread(move |r| {
            let Some((id, account)) = r.account(&address)? else { return Ok(None) };
            let devices = r
                .credentials(id)?
                .into_iter()
                .filter(|(device, _)| *device != DeviceId::MAIN)
                .map(|(d, c)| (d.0, c.label))
                .collect();
            let is_owner = r.accounts()?.first().is_some_and(|(first, _)| *first == id);
            Ok(Some(Found {
                id,
                account,
                devices,
                folder: r.folder(id, FolderId::INBOX)?,
                has_factor: r.factor(id)?.is_some(),
                is_owner,
            }))
        })
        .await
}

pub async fn show(Owner(visit, _): Owner, Path(address): Path<String>) -> Response {
    answer(&visit, &address, StatusCode::OK, Frame::new(&visit, "/people", "people-title"), None)
        .await
}

async fn answer(
    visit: &Visit,
    address: &str,
    status: StatusCode,
    frame: Frame,
    invitation: Option<Invitation>,
) -> Response {
    let found = match find(visit, address).await {
        Ok(Some(found)) => found,
        Ok(None) => return notice(visit, StatusCode::NOT_FOUND, "not-found-title", "not-found"),
        Err(error) => return trouble(visit, &error),
    };
    let (policy, days) = match found.account.policy {
        MailboxPolicy::Keep => ("keep", USUAL_DAYS),
        MailboxPolicy::TrashAfter { days } => ("trash", days),
        MailboxPolicy::DeleteWhenAll => ("delete", USUAL_DAYS),
    };
    let shown = PersonPage {
        frame,
        address: found.account.address,
        name: found.account.name,
        policy,
        days,
        messages: found.folder.map_or(0, |f| f.messages),
        octets: format!("{:.1} MB", found.folder.map_or(0, |f| f.octets) as f64 / 1e6),
        devices: found.devices,
        has_factor: found.has_factor,
        is_owner: found.is_owner,
        invitation,
    };
    page(status, &shown)
}

/// What the owner does with a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wish {
    /// Name and policy.
    Save,
    /// A link for a new password.
    Link,
    /// A program's password is removed.
    Device,
    /// The second factor is removed.
    Factor,
    /// The mailbox is removed.
    Remove,
    #[default]
    #[serde(other)]
    Unknown,
}

/// What becomes of mail that a program has fetched and deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Policy {
    Keep,
    Delete,
    #[default]
    #[serde(other)]
    Trash,
}

#[derive(Deserialize)]
pub struct Order {
    #[serde(default)]
    order: Wish,
    #[serde(default)]
    name: String,
    #[serde(default)]
    policy: Policy,
    #[serde(default)]
    days: String,
    #[serde(default)]
    device: String,
    /// The address once more, so that a mailbox is not removed by a slip.
    #[serde(default)]
    confirm: String,
}

pub async fn change(
    Path(address): Path<String>,
    Signed(Owner(visit, _), form): Signed<Owner, Order>,
) -> Response {
    let found = match find(&visit, &address).await {
        Ok(Some(found)) => found,
        Ok(None) => return notice(&visit, StatusCode::NOT_FOUND, "not-found-title", "not-found"),
        Err(error) => return trouble(&visit, &error),
    };
    let (address, frame) = (&found.account.address, Frame::new(&visit, "/people", "people-title"));
    match form.order {
        Wish::Link => match welcome::invite(&visit, found.id).await {
            Ok(invitation) => {
                answer(&visit, address, StatusCode::OK, frame, Some(invitation)).await
            }
            Err(error) => trouble(&visit, &error),
        },
        Wish::Remove => remove(&visit, frame, &found, &form.confirm).await,
        Wish::Save | Wish::Device | Wish::Factor | Wish::Unknown => {
            for change in changes(&found, &form) {
                match visit.office.store.change(change).done().await {
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return trouble(&visit, &error),
                }
            }
            let frame = frame.done(visit.texts.get("saved"));
            answer(&visit, address, StatusCode::OK, frame, None).await
        }
    }
}

/// The store's changes for what is done with a person who stays.
fn changes(found: &Found, form: &Order) -> Vec<AnyChange> {
    let address = found.account.address.clone();
    match form.order {
        Wish::Save => {
            let (name, policy) = (directory::clean_name(&form.name), policy(form));
            vec![
                AnyChange::of(SetName { address: address.clone(), name }),
                AnyChange::of(SetPolicy { address, policy }),
            ]
        }
        Wish::Device => {
            let device = form.device.parse().map(DeviceId);
            let change = device.map(|device| AnyChange::of(RemoveDevice { address, device }));
            change.into_iter().collect()
        }
        Wish::Factor => vec![AnyChange::of(SetFactor { account: found.id, factor: None })],
        Wish::Link | Wish::Remove | Wish::Unknown => Vec::new(),
    }
}

fn policy(form: &Order) -> MailboxPolicy {
    match form.policy {
        Policy::Keep => MailboxPolicy::Keep,
        Policy::Delete => MailboxPolicy::DeleteWhenAll,
        Policy::Trash => {
            let days = form.days.trim().parse().ok().filter(|days| (1..=DAYS).contains(days));
            MailboxPolicy::TrashAfter { days: days.unwrap_or(USUAL_DAYS) }
        }
    }
}

/// Removes a person with all mail, unless it is the owner; `confirm` is the address once more.
async fn remove(visit: &Visit, frame: Frame, found: &Found, confirm: &str) -> Response {
    let address = &found.account.address;
    let refused = if found.is_owner {
        Some("person-owner-stays")
    } else if confirm.trim().to_lowercase() != *address {
        Some("person-confirm-wrong")
    } else {
        None
    };
    if let Some(key) = refused {
        let frame = frame.trouble(visit.texts.get(key));
        return answer(visit, address, StatusCode::BAD_REQUEST, frame, None).await;
    }
    match visit.office.store.change(RemoveAccount { address: address.clone() }).done().await {
        Ok(_) => Redirect::to("/people").into_response(),
        Err(error) => trouble(visit, &error),
    }
}
