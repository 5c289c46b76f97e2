//! The pages. Each has its template in `templates/`.

pub mod doctor;
pub mod domains;
pub mod find;
pub mod home;
pub mod login;
pub mod people;
pub mod programs;
pub mod queue;
pub mod setup;

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::session::{Visit, Visitor};
use super::text::Texts;
use super::assets;

/// What every page shows around its own part.
pub struct Frame {
    pub t: Texts,
    pub style: &'static str,
    pub script: &'static str,
    pub title: String,
    pub here: &'static str,
    pub visitor: Option<Visitor>,
    /// A sentence about what was just done or refused; empty: nothing.
    pub message: String,
    pub is_trouble: bool,
}

impl Frame {
    pub fn new(visit: &Visit, here: &'static str, title: &str) -> Frame {
        Frame {
            t: visit.texts,
            style: assets::style(),
            script: assets::script(),
            title: visit.texts.get(title).into_owned(),
            here,
            visitor: visit.visitor.clone(),
            message: String::new(),
            is_trouble: false,
        }
    }

    pub fn trouble(mut self, message: impl Into<String>) -> Frame {
        (self.message, self.is_trouble) = (message.into(), true);
        self
    }

    pub fn done(mut self, message: impl Into<String>) -> Frame {
        self.message = message.into();
        self
    }

    /// What forms have to send along.
    pub fn form_token(&self) -> &str {
        self.visitor.as_ref().map_or("", |v| &v.form_token)
    }
}

/// A page as an answer.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page can't be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage {
    frame: Frame,
    text: String,
}

/// A page of one sentence and a way on.
pub fn notice(visit: &Visit, status: StatusCode, title: &'static str, text: &'static str) -> Response {
    page(status, &NoticePage { frame: Frame::new(visit, "", title), text: visit.texts.get(text).into_owned() })
}

/// The world failed: the person hears that and what to do, the log why.
pub fn trouble(visit: &Visit, error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "a page could not be made");
    notice(visit, StatusCode::INTERNAL_SERVER_ERROR, "trouble-title", "trouble")
}

pub async fn not_found(visit: Visit) -> Response {
    notice(&visit, StatusCode::NOT_FOUND, "not-found-title", "not-found")
}

/// Where a visitor begins.
pub async fn start(visit: Visit) -> Response {
    let to = match &visit.visitor {
        Some(visitor) if visitor.is_owner => "/home",
        Some(_) => "/programs",
        None if visit.context.read(|r| r.accounts()).await.is_ok_and(|a| a.is_empty()) => "/setup",
        None => "/login",
    };
    Redirect::to(to).into_response()
}

/// Goes on to a page, with a cookie to set.
fn redirect_with(cookie: String, to: &str) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

/// Whether a form came from a page that this visitor got.
fn is_own(visitor: &Visitor, token: &str) -> bool {
    crate::auth::hash::equal(&visitor.form_token, token)
}
