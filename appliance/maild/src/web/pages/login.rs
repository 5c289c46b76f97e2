//! Signing in and out.

use std::time::Instant;

use askama::Template;
use axum::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_store::{Change, DeviceId};
use serde::Deserialize;

use super::{Frame, is_own, page, redirect_with, trouble};
use crate::auth::Verdict;
use crate::web::session::{self, Person, Visit};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    user: String,
}

#[derive(Deserialize)]
pub struct Login {
    #[serde(default)]
    user: String,
    #[serde(default)]
    password: String,
}

pub async fn show(visit: Visit) -> Response {
    if visit.visitor.is_some() {
        return Redirect::to("/").into_response();
    }
    page(StatusCode::OK, &LoginPage { frame: Frame::new(&visit, "/login", "login-title"), user: String::new() })
}

pub async fn sign_in(visit: Visit, Form(login): Form<Login>) -> Response {
    let context = visit.context.clone();
    let user = login.user.trim().to_string();
    let verdict = context.auth.verify(&context.store, &user, &login.password, visit.link.peer, Instant::now()).await;
    let t = visit.texts;
    let (status, message) = match verdict {
        Verdict::Accepted(identity) if identity.device == DeviceId::MAIN => {
            return match session::sign_in(&visit, identity.account).await {
                Ok(cookie) => redirect_with(cookie, "/"),
                Err(error) => trouble(&visit, &error),
            };
        }
        // A device's password opens its mail program, not the web.
        Verdict::Accepted(_) => (StatusCode::FORBIDDEN, t.get("login-device")),
        Verdict::Denied(_) if !user.contains('@') => (StatusCode::FORBIDDEN, t.get("login-short")),
        Verdict::Denied(_) => (StatusCode::FORBIDDEN, t.get("login-wrong")),
        Verdict::Wait(seconds) => (StatusCode::TOO_MANY_REQUESTS, t.count("login-wait", seconds)),
        Verdict::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, t.get("trouble")),
    };
    let frame = Frame::new(&visit, "/login", "login-title").trouble(message);
    page(status, &LoginPage { frame, user })
}

#[derive(Deserialize)]
pub struct SignOut {
    #[serde(default)]
    token: String,
}

pub async fn sign_out(Person(visit, visitor): Person, Form(form): Form<SignOut>) -> Response {
    if !is_own(&visitor, &form.token) {
        return super::notice(&visit, StatusCode::FORBIDDEN, "stale-title", "stale");
    }
    match visit.context.store.change(Change::RemoveSession { key: visitor.key }).done().await {
        Ok(_) => redirect_with(session::cookie("", visit.link), "/login"),
        Err(error) => trouble(&visit, &error),
    }
}
