//! The pages.
//! Each has its template in `templates/`.

pub mod about;
pub mod certificate;
pub mod discovery;
pub mod doctor;
pub mod domains;
pub mod find;
pub mod home;
pub mod internet_connection;
pub mod login;
pub mod loopback;
pub mod mail;
pub mod metrics;
pub mod network;
pub mod people;
pub mod person;
pub mod programs;
mod providers;
pub mod queue;
pub mod security;
pub mod setup;
pub mod spam;
pub mod system;
pub mod welcome;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use crate::frame::notice;
use crate::session::Visit;

pub async fn not_found(visit: Visit) -> Response {
    notice(&visit, StatusCode::NOT_FOUND, "not-found-title", "not-found")
}

/// Where a visitor begins.
pub async fn start(visit: Visit) -> Response {
    let to = match &visit.visitor {
        Some(visitor) if visitor.is_owner => {
            visitor.progress.as_ref().and_then(|p| p.next()).map_or("/home", |step| step.page())
        }
        Some(_) => "/mail",
        None if visit
            .office
            .store
            .read_off_thread(|r| r.accounts())
            .await
            .is_ok_and(|a| a.is_empty()) =>
        {
            "/setup"
        }
        None => "/login",
    };
    Redirect::to(to).into_response()
}
