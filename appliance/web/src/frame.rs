//! What every page shows around its own part, and pages of one sentence.

use std::net::IpAddr;

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use pillarbox_host::net;
use pillarbox_store::Error;
use pillarbox_texts::Language;

use crate::assets;
use crate::routes::{Group, Role, Routes};
use crate::session::{Visit, Visitor};
use crate::text::Texts;
use pillarbox_office::settings::Step;

/// What every page shows around its own part.
pub struct Frame {
    pub t: Texts,
    pub style: &'static str,
    pub script: &'static str,
    pub title: String,
    pub here: &'static str,
    pub visitor: Option<Visitor>,
    routes: Routes,
    /// A sentence about what was just done or refused; empty: nothing.
    pub message: String,
    pub is_trouble: bool,
    /// Seconds after which the marked part of the page is fetched again; 0: never.
    pub every: u32,
}

/// An address of the box that others in the office can use; by IPv4 where there is one.
pub fn office_address() -> Option<IpAddr> {
    net::own()
        .into_iter()
        .filter(|address| net::is_for_others(*address))
        .min_by_key(IpAddr::is_ipv6)
}

/// An address as it is written in a link (RFC 3986 §3.2.2).
pub fn in_link(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

/// One link of a navigation.
pub struct Item {
    pub to: &'static str,
    pub text: String,
    pub is_here: bool,
}

/// One step of the set-up as the bar shows it.
pub struct BarStep {
    pub to: &'static str,
    pub text: String,
    pub is_here: bool,
    pub is_done: bool,
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
            routes: visit.routes.clone(),
            message: String::new(),
            is_trouble: false,
            every: 0,
        }
    }

    /// The groups that this visitor may see.
    fn shown(&self) -> impl Iterator<Item = Group> {
        let is_owner = self.visitor.as_ref().is_some_and(|visitor| visitor.is_owner);
        Group::ALL
            .into_iter()
            .filter(move |group| is_owner || self.routes.role(*group) <= Role::Person)
    }

    /// The languages there are, by their own names.
    pub fn languages(&self) -> Vec<(&'static str, &'static str)> {
        Language::all().map(|language| (language.tag(), language.name())).collect()
    }

    /// The groups of pages, each with a link to its first one.
    pub fn groups(&self) -> Vec<Item> {
        let item = |group: Group| {
            let pages = self.routes.menu(group);
            let is_here = pages.iter().any(|(page, _)| *page == self.here);
            pages.first().map(|(to, _)| Item {
                to,
                text: self.t.get(group.name()).into_owned(),
                is_here,
            })
        };
        self.shown().filter_map(item).collect()
    }

    /// The pages of the group this one belongs to, where there are several.
    pub fn siblings(&self) -> Vec<Item> {
        let mut groups = self.shown().map(|group| self.routes.menu(group));
        let pages = groups
            .find(|pages| pages.iter().any(|(page, _)| *page == self.here))
            .unwrap_or_default();
        let pages = if pages.len() > 1 { pages } else { Vec::new() };
        pages
            .into_iter()
            .map(|(to, name)| Item {
                to,
                text: self.t.get(name).into_owned(),
                is_here: to == self.here,
            })
            .collect()
    }

    /// The steps of the set-up, on their pages, while it is not done.
    pub fn steps(&self) -> Vec<BarStep> {
        let Some(progress) = self.visitor.as_ref().and_then(|visitor| visitor.progress.as_ref())
        else {
            return Vec::new();
        };
        let step = |step: Step| BarStep {
            to: step.page(),
            text: self.t.get(&format!("step-{}", step.name())).into_owned(),
            is_here: step.page() == self.here,
            is_done: progress.is_done(step),
        };
        let steps: Vec<BarStep> = Step::ALL.into_iter().map(step).collect();
        if steps.iter().any(|step| step.is_here) { steps } else { Vec::new() }
    }

    /// The name of the step this page is.
    pub fn step(&self) -> &'static str {
        Step::ALL.into_iter().find(|step| step.page() == self.here).map_or("", Step::name)
    }

    /// Whether the page is a part of a set-up that is not done, but shown without its bar.
    pub fn is_unfinished(&self) -> bool {
        self.steps().is_empty()
            && self.visitor.as_ref().is_some_and(|visitor| visitor.progress.is_some())
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
pub fn notice(
    visit: &Visit,
    status: StatusCode,
    title: &'static str,
    text: &'static str,
) -> Response {
    page(
        status,
        &NoticePage {
            frame: Frame::new(visit, "", title),
            text: visit.texts.get(text).into_owned(),
        },
    )
}

/// A page with what the box itself answered.
pub fn said(visit: &Visit, text: String) -> Response {
    page(StatusCode::CONFLICT, &NoticePage { frame: Frame::new(visit, "", "trouble-title"), text })
}

/// The world failed: the person reads that and what to do, the log has the reason.
/// This is the one place that knows what pages say of a card that takes nothing more, whatever was asked for.
pub fn trouble(visit: &Visit, error: &dyn Cause) -> Response {
    tracing::error!(%error, "a page could not be made");
    let (status, title, text) = match hindrance(visit, error) {
        Some(Hindrance::Unwritable) => {
            (StatusCode::SERVICE_UNAVAILABLE, "mail-unwritable-title", "mail-unwritable")
        }
        Some(Hindrance::Full) => (StatusCode::SERVICE_UNAVAILABLE, "mail-full-title", "mail-full"),
        None => (StatusCode::INTERNAL_SERVER_ERROR, "trouble-title", "trouble"),
    };
    notice(visit, status, title, text)
}

/// What keeps the box from writing until somebody does something about its card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// The card takes nothing more.
    Unwritable,
    /// The card is full.
    Full,
}

/// Whether the card is why something failed.
pub fn hindrance(visit: &Visit, error: &dyn Cause) -> Option<Hindrance> {
    match error.of_store() {
        Some(Error::Unwritable { .. } | Error::Spent) => Some(Hindrance::Unwritable),
        Some(Error::Full) => Some(Hindrance::Full),
        Some(_) => None,
        // A file beside the store has only the system's words, which differ; the card is the same.
        None => visit.office.store.unwritable().map(|_| Hindrance::Unwritable),
    }
}

/// Why a page could not be made.
pub trait Cause: std::fmt::Display {
    /// What the store said, where it was the store.
    fn of_store(&self) -> Option<&Error>;
}

impl Cause for Error {
    fn of_store(&self) -> Option<&Error> {
        Some(self)
    }
}

impl Cause for pillarbox_office::Error {
    fn of_store(&self) -> Option<&Error> {
        match self {
            pillarbox_office::Error::Store(error) => Some(error),
            pillarbox_office::Error::Outbound(error) => error.of_store(),
            _ => None,
        }
    }
}

impl Cause for pillarbox_outbound::Error {
    fn of_store(&self) -> Option<&Error> {
        match self {
            pillarbox_outbound::Error::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl Cause for pillarbox_platform::Error {
    fn of_store(&self) -> Option<&Error> {
        None
    }
}

impl Cause for crate::error::Error {
    fn of_store(&self) -> Option<&Error> {
        match self {
            crate::error::Error::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// The form is from another session, or none.
pub fn stale(visit: &Visit) -> Response {
    notice(visit, StatusCode::FORBIDDEN, "stale-title", "stale")
}

/// Goes on to a page, with a cookie to set.
pub fn redirect_with(cookie: String, to: &str) -> Response {
    ([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response()
}

/// Whether a form came from a page that this visitor got.
pub fn is_own(visitor: &Visitor, token: &str) -> bool {
    pillarbox_office::auth::hash::equal(&visitor.form_token, token)
}
