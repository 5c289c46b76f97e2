//! People and their mailboxes.

use askama::Template;
use axum::Form;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_proto::address::Address;
use pillarbox_store::{Change, Error, MailboxPolicy};
use serde::Deserialize;

use super::{Frame, is_own, page, trouble};
use crate::auth::hash;
use crate::clock;
use crate::context::off_thread;
use crate::web::session::{Owner, Visit};

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    people: Vec<(String, String)>,
    domain: String,
    /// Address and password of the mailbox that was just made: shown once.
    fresh: Option<(String, String)>,
}

pub async fn show(Owner(visit, _): Owner) -> Response {
    let frame = Frame::new(&visit, "/people", "people-title");
    list(&visit, StatusCode::OK, frame, None).await
}

async fn list(visit: &Visit, status: StatusCode, frame: Frame, fresh: Option<(String, String)>) -> Response {
    match visit.context.read(|r| Ok((r.accounts()?, r.domains()?))).await {
        Ok((accounts, domains)) => {
            let people = accounts.into_iter().map(|(_, account)| (account.address, account.name)).collect();
            page(status, &PeoplePage { frame, people, domain: domains.into_iter().next().unwrap_or_default(), fresh })
        }
        Err(error) => trouble(visit, &error),
    }
}

#[derive(Deserialize)]
pub struct Add {
    #[serde(default)]
    token: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    name: String,
}

pub async fn add(Owner(visit, visitor): Owner, Form(form): Form<Add>) -> Response {
    if !is_own(&visitor, &form.token) {
        return super::notice(&visit, StatusCode::FORBIDDEN, "stale-title", "stale");
    }
    let frame = || Frame::new(&visit, "/people", "people-title");
    let Ok(address) = Address::parse(form.address.trim()) else {
        return list(&visit, StatusCode::BAD_REQUEST, frame().trouble(visit.texts.get("people-wrong-address")), None).await;
    };
    let (address, name, store) = (address.canonical(), form.name.trim().to_string(), visit.context.store.clone());
    let made = off_thread(move || {
        let password = hash::generate().map_err(|why| Error::Invalid { why })?;
        let hash = hash::password(&password).map_err(|why| Error::Invalid { why })?;
        let policy = MailboxPolicy::TrashAfter { days: 30 };
        store.change(Change::AddAccount { address: address.clone(), name, hash, policy, at: clock::now() }).wait()?;
        Ok((address, password))
    });
    match made.await {
        Ok(fresh) => {
            let message = visit.texts.with("people-added", "address", &fresh.0).into_owned();
            list(&visit, StatusCode::OK, frame().done(message), Some(fresh)).await
        }
        Err(Error::Exists { .. }) => list(&visit, StatusCode::BAD_REQUEST, frame().trouble(visit.texts.get("people-exists")), None).await,
        Err(Error::NotFound { .. }) => list(&visit, StatusCode::BAD_REQUEST, frame().trouble(visit.texts.get("people-no-domain")), None).await,
        Err(error) => trouble(&visit, &error),
    }
}
