//! People and their mailboxes, and the addresses that lead to them.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_platform::clock;
use pillarbox_store::{
    AddressTarget, AnyChange, Error, FolderId, RemoveAlias, SetAlias, off_thread,
};
use pillarbox_vocabulary::{Address, Domain};
use serde::Deserialize;

use super::welcome::{self, Invitation};
use crate::frame::{Frame, page, trouble};
use crate::signed::Signed;

use crate::session::{Owner, Visit};
use pillarbox_office::directory::{self, Password, USUAL_POLICY};

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    people: Vec<Row>,
    aliases: Vec<(String, String)>,
    domain: String,
    /// What the new person needs: shown once.
    fresh: Option<Fresh>,
}

struct Row {
    address: String,
    name: String,
    messages: u32,
}

/// How a new person gets in.
struct Fresh {
    address: String,
    /// Empty where it was chosen, or a link is given.
    password: String,
    invitation: Option<Invitation>,
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    let frame = Frame::new(&visit, "/people", "people-title");
    list(&visit, StatusCode::OK, frame, None).await
}

async fn list(visit: &Visit, status: StatusCode, frame: Frame, fresh: Option<Fresh>) -> Response {
    let read = visit.office.store.read_off_thread(|r| {
        let row = |(id, account): (_, pillarbox_store::Account)| {
            let inbox = r.folder(id, FolderId::INBOX)?;
            Ok(Row {
                address: account.address,
                name: account.name,
                messages: inbox.map_or(0, |f| f.messages),
            })
        };
        let people = r.accounts()?.into_iter().map(row).collect::<Result<Vec<_>, Error>>()?;
        Ok((people, r.addresses()?, r.domains()?))
    });
    match read.await {
        Ok((people, addresses, domains)) => {
            let alias = |(address, target)| match target {
                AddressTarget::Alias(to) => Some((address, to.join(", "))),
                AddressTarget::Account(_) => None,
            };
            let aliases = addresses.into_iter().filter_map(alias).collect();
            page(
                status,
                &PeoplePage {
                    frame,
                    people,
                    aliases,
                    domain: domains.into_iter().next().unwrap_or_default(),
                    fresh,
                },
            )
        }
        Err(error) => trouble(visit, &error),
    }
}

/// How a new person comes to a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// Chosen behind a link that works once.
    Link,
    /// Chosen by the owner.
    Choose,
    /// Made by the box.
    #[default]
    #[serde(other)]
    Make,
}

#[derive(Deserialize)]
pub struct Add {
    #[serde(default)]
    address: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    how: How,
    #[serde(default)]
    password: String,
}

pub async fn add(Signed(Owner(visit, _), form): Signed<Owner, Add>) -> Response {
    let frame = || Frame::new(&visit, "/people", "people-title");
    let refuse = async |key: &str| {
        list(&visit, StatusCode::BAD_REQUEST, frame().trouble(visit.texts.get(key)), None).await
    };
    let domain = directory::first_domain(&visit.office.store).await;
    let typed = form.address.trim();
    let whole = if typed.contains('@') { typed.to_string() } else { format!("{typed}@{domain}") };
    let Ok(address) = Address::parse(&whole) else { return refuse("people-wrong-address").await };
    let password = match form.how {
        How::Choose => match Password::chosen(form.password) {
            Ok(password) => password,
            Err(_) => return refuse("setup-short-password").await,
        },
        How::Link | How::Make => Password::Made,
    };
    let (to, name, store) = (address.clone(), form.name, visit.office.store.clone());
    let address = address.canonical();
    let made = off_thread(move || {
        let password = password.prepare()?;
        let made = store
            .change(directory::person(&to, &name, &password, USUAL_POLICY, clock::now()))
            .wait()?;
        Ok((made, password.made.unwrap_or_default()))
    });
    let (account, password) = match made.await {
        Ok(made) => made,
        Err(Error::Exists { .. }) => return refuse("people-exists").await,
        Err(Error::NotFound { .. }) => return refuse("people-no-domain").await,
        Err(error) => return trouble(&visit, &error),
    };
    let invitation = match form.how {
        How::Link => match welcome::invite(&visit, account).await {
            Ok(invitation) => Some(invitation),
            Err(error) => return trouble(&visit, &error),
        },
        How::Choose | How::Make => None,
    };
    let message = visit.texts.with("people-added", "address", &address).into_owned();
    let password = if invitation.is_some() { String::new() } else { password };
    let fresh = (invitation.is_some() || !password.is_empty()).then_some(Fresh {
        address,
        password,
        invitation,
    });
    list(&visit, StatusCode::OK, frame().done(message), fresh).await
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AliasOrder {
    Remove,
    #[default]
    #[serde(other)]
    Add,
}

#[derive(Deserialize)]
pub struct Alias {
    #[serde(default)]
    order: AliasOrder,
    #[serde(default)]
    address: String,
    /// Addresses, with commas or spaces.
    #[serde(default)]
    to: String,
}

/// An address that leads to others; `*@domain` and `@domain` catch what has no mailbox.
fn alias_address(text: &str, domain: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('*');
    if let Some(name) = text.strip_prefix('@') {
        return Domain::parse(name).ok().filter(|d| !d.is_literal()).map(|d| format!("@{d}"));
    }
    let whole = if text.contains('@') { text.to_string() } else { format!("{text}@{domain}") };
    Address::parse(&whole).ok().map(|address| address.canonical())
}

pub async fn alias(Signed(Owner(visit, _), form): Signed<Owner, Alias>) -> Response {
    let refuse = async |key: &str| {
        let frame = Frame::new(&visit, "/people", "people-title").trouble(visit.texts.get(key));
        list(&visit, StatusCode::BAD_REQUEST, frame, None).await
    };
    let domain = directory::first_domain(&visit.office.store).await;
    let Some(address) = alias_address(&form.address, &domain) else {
        return refuse("people-wrong-address").await;
    };
    let change = match form.order {
        AliasOrder::Remove => AnyChange::of(RemoveAlias { address }),
        AliasOrder::Add => {
            let words =
                form.to.split([',', ';', ' ', '\n']).map(str::trim).filter(|word| !word.is_empty());
            let targets: Option<Vec<String>> = words
                .map(|word| alias_address(word, &domain).filter(|a| !a.starts_with('@')))
                .collect();
            match targets.filter(|targets| !targets.is_empty()) {
                Some(targets) => AnyChange::of(SetAlias { address, targets }),
                None => return refuse("people-wrong-target").await,
            }
        }
    };
    match visit.office.store.change(change).done().await {
        Ok(_) => Redirect::to("/people").into_response(),
        Err(Error::Exists { .. }) => refuse("people-alias-is-mailbox").await,
        Err(Error::NotFound { what: "domain", .. }) => refuse("people-no-domain").await,
        Err(Error::NotFound { .. }) => refuse("people-wrong-target").await,
        Err(error) => trouble(&visit, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_read_as_people_write_them() {
        for (typed, is) in [
            ("info", Some("info@a.example")),
            ("Info@b.example", Some("info@b.example")),
            ("*@b.example", Some("@b.example")),
            ("@b.example", Some("@b.example")),
            ("in fo", None),
            ("", None),
        ] {
            assert_eq!(alias_address(typed, "a.example").as_deref(), is, "{typed}");
        }
    }
}
