//! One-time links: whoever opens one chooses a password, once.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_platform::clock;
use pillarbox_store::{AccountId, Error, OneTimeLink, PutLink, UseLink, off_thread};
use serde::Deserialize;

use crate::frame::{Frame, notice, page, redirect_with, trouble};
use crate::session::{self, Visit};
use crate::svg;
use pillarbox_office::directory::Password;

/// How long a link works.
const LIFE: Duration = Duration::from_secs(7 * 86_400);

/// A link to be handed over: shown once.
pub struct Invitation {
    pub link: String,
    /// The same as a picture, for a phone.
    pub qr: String,
}

/// Makes a link with which the account's owner chooses a password; older links end.
pub async fn invite(visit: &Visit, account: AccountId) -> Result<Invitation, Error> {
    let token = session::random().map_err(|error| Error::Invalid { why: error.to_string() })?;
    let link = OneTimeLink { account, expires: clock::now().plus(LIFE) };
    visit.office.store.change(PutLink { key: session::key(&token), link }).done().await?;
    let scheme = if visit.link.is_secure { "https" } else { "http" };
    let link = format!("{scheme}://{}/welcome/{token}", visit.host);
    let qr = svg::qr(&link, &link);
    Ok(Invitation { link, qr })
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct WelcomePage {
    frame: Frame,
    address: String,
    token: String,
}

async fn address_of(visit: &Visit, token: &str) -> Result<Option<String>, Error> {
    let (key, now) = (session::key(token), clock::now());
    visit
        .office
        .store
        .read_off_thread(move |r| match r.link(&key)?.filter(|link| link.expires >= now) {
            Some(link) => Ok(r.account_by_id(link.account)?.map(|account| account.address)),
            None => Ok(None),
        })
        .await
}

pub async fn show(visit: Visit, Path(token): Path<String>) -> Response {
    match address_of(&visit, &token).await {
        Ok(Some(address)) => page(
            StatusCode::OK,
            &WelcomePage { frame: Frame::new(&visit, "", "welcome-title"), address, token },
        ),
        Ok(None) => notice(&visit, StatusCode::NOT_FOUND, "welcome-gone-title", "welcome-gone"),
        Err(error) => trouble(&visit, &error),
    }
}

#[derive(Deserialize)]
pub struct Choice {
    #[serde(default)]
    password: String,
}

pub async fn choose(visit: Visit, Path(token): Path<String>, Form(form): Form<Choice>) -> Response {
    let address = match address_of(&visit, &token).await {
        Ok(Some(address)) => address,
        Ok(None) => {
            return notice(&visit, StatusCode::NOT_FOUND, "welcome-gone-title", "welcome-gone");
        }
        Err(error) => return trouble(&visit, &error),
    };
    let Ok(password) = Password::chosen(form.password) else {
        let frame = Frame::new(&visit, "", "welcome-title")
            .trouble(visit.texts.get("setup-short-password"));
        return page(StatusCode::BAD_REQUEST, &WelcomePage { frame, address, token });
    };
    let (store, key) = (visit.office.store.clone(), session::key(&token));
    let used = off_thread(move || {
        let hash = password.prepare()?.hash;
        store
            .change(UseLink { key, hash: hash.clone(), at: clock::now() })
            .wait()
            .map(|account| (account, hash))
    });
    match used.await {
        Ok((account, credential)) => match session::sign_in(&visit, account, credential).await {
            Ok(cookie) => redirect_with(cookie, "/"),
            Err(error) => trouble(&visit, &error),
        },
        Err(Error::NotFound { .. }) => {
            notice(&visit, StatusCode::NOT_FOUND, "welcome-gone-title", "welcome-gone")
        }
        Err(error) => trouble(&visit, &error),
    }
}
