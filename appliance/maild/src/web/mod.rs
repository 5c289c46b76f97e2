//! The web edge: setup, the owner's pages, and what mail programs ask for.
//!
//! Every request passes the same gates in the same order (`guard`): the host it was sent to, where it comes from, whether a form
//! is ours. A page is a function from request facts to HTML; all texts are in `i18n/`, all looks in `assets/style.css`.

mod assets;
mod guard;
mod pages;
mod serve;
mod session;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub use pages::setup::ClaimGuard;
pub use serve::serve;

use crate::context::Context;

/// All routes. A test walks each of them in each role.
pub fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route("/", get(pages::start))
        .route("/setup", get(pages::setup::show).post(pages::setup::claim))
        .route("/login", get(pages::login::show).post(pages::login::sign_in))
        .route("/logout", post(pages::login::sign_out))
        .route("/home", get(pages::home::show))
        .route("/people", get(pages::people::show).post(pages::people::add))
        .route("/domains", get(pages::domains::show))
        .route("/queue", get(pages::queue::show).post(pages::queue::order))
        .route("/find", get(pages::find::show))
        .route("/doctor", get(pages::doctor::show).post(pages::doctor::examine))
        .route("/programs", get(pages::programs::show))
        .route("/programs/device", post(pages::programs::device))
        .route("/programs/password", post(pages::programs::password))
        .route("/mail/config-v1.1.xml", get(pages::programs::autoconfig))
        .route("/.well-known/autoconfig/mail/config-v1.1.xml", get(pages::programs::autoconfig))
        .route("/health", get(pages::home::health))
        .route("/assets/{name}", get(assets::show))
        .fallback(pages::not_found)
        .layer(axum::extract::DefaultBodyLimit::max(guard::BODY_OCTETS))
        .layer(axum::middleware::from_fn_with_state(context.clone(), guard::check))
        .with_state(context)
}
