//! The web edge: setup, the owner's pages, and what mail programs ask for.
//!
//! Every request passes the same gates in the same order (`guard`): the host it was sent to, where it comes from, whether a form
//! is ours. A page is a function from request facts to HTML; all texts come from `pillarbox_texts`, all looks in `assets/style.css`.

mod assets;
mod frame;
mod guard;
mod memory;
mod pages;
mod patience;
mod serve;
mod session;
mod signed;
mod stream;
mod svg;
#[cfg(test)]
mod tests;
mod text;

use axum::Router;
use axum::routing::{get, post};

pub use memory::Site;
pub use serve::serve;

/// All routes. A test walks each of them in each role.
pub fn router(site: Site) -> Router {
    let office = &site.office;
    // A letter with its files; base64 makes a third more of them, and the form has words of its own.
    let letter = axum::extract::DefaultBodyLimit::max(office.settings.get().limits.message_octets as usize + guard::BODY_OCTETS);
    let cards = axum::extract::DefaultBodyLimit::max(pages::mail::contacts::FILE);
    Router::new()
        .route("/", get(pages::start))
        .route("/setup", get(pages::setup::show).post(pages::setup::claim))
        .route("/setup/resume", get(pages::setup::resume))
        .route("/setup/next", post(pages::setup::next))
        .route("/login", get(pages::login::show).post(pages::login::sign_in))
        .route("/login/code", post(pages::login::code))
        .route("/welcome/{token}", get(pages::welcome::show).post(pages::welcome::choose))
        .route("/language", post(pages::login::language))
        .route("/logout", post(pages::login::sign_out))
        .route("/home", get(pages::home::show))
        .route("/people", get(pages::people::show).post(pages::people::add))
        .route("/people/alias", post(pages::people::alias))
        .route("/people/{address}", get(pages::person::show).post(pages::person::change))
        .route("/domains", get(pages::domains::show).post(pages::domains::change))
        .route("/name", get(pages::setup::name).post(pages::setup::rename))
        .route("/line", get(pages::line::show).post(pages::line::change))
        .route("/certificate", get(pages::certificate::show).post(pages::certificate::order))
        .route("/round", get(pages::round::show).post(pages::round::run))
        .route("/log", get(pages::about::log))
        .route("/about", get(pages::about::show))
        .route("/about/licences", get(pages::about::licences))
        .route("/network", get(pages::network::show).post(pages::network::order))
        .route("/system", get(pages::system::show).post(pages::system::order))
        .route("/system/update", post(pages::system::update).layer(axum::extract::DefaultBodyLimit::max(pages::system::UPDATE)))
        .route("/security", get(pages::security::show).post(pages::security::change))
        .route("/queue", get(pages::queue::show).post(pages::queue::order))
        .route("/find", get(pages::find::show))
        .route("/doctor", get(pages::doctor::show).post(pages::doctor::examine))
        .route("/mail", get(pages::mail::list::start))
        .route("/mail/act", post(pages::mail::act::act))
        .route("/mail/message", post(pages::mail::act::message))
        .route("/mail/contacts", get(pages::mail::contacts::show).post(pages::mail::contacts::change))
        .route("/mail/contacts/file", get(pages::mail::contacts::file).post(pages::mail::contacts::import).layer(cards))
        .route("/mail/folders", post(pages::mail::act::folders))
        .route("/mail/settings", get(pages::mail::settings::show).post(pages::mail::settings::save))
        .route("/mail/events", get(pages::mail::list::events))
        .route("/mail/{folder}", get(pages::mail::list::show))
        .route("/mail/{folder}/{uid}", get(pages::mail::message::show))
        .route("/mail/{folder}/{uid}/html", get(pages::mail::message::document))
        .route("/mail/{folder}/{uid}/raw", get(pages::mail::files::raw))
        .route("/mail/{folder}/{uid}/files", get(pages::mail::files::all))
        .route("/mail/{folder}/{uid}/part/{number}", get(pages::mail::files::part))
        .route("/mail/{folder}/{uid}/part/{number}/inside/{at}", get(pages::mail::files::inside))
        .route("/compose", get(pages::mail::compose::show).post(pages::mail::send::send).layer(letter))
        .route("/programs", get(pages::programs::show))
        .route("/coach", get(pages::programs::coach))
        .route("/programs/card", get(pages::programs::card))
        .route("/programs/pillarbox.mobileconfig", get(pages::discovery::mobileconfig))
        .route("/programs/device", post(pages::programs::device))
        .route("/programs/password", post(pages::programs::password))
        .route("/mail/config-v1.1.xml", get(pages::discovery::autoconfig))
        .route("/.well-known/autoconfig/mail/config-v1.1.xml", get(pages::discovery::autoconfig))
        .route("/autodiscover/autodiscover.xml", get(pages::discovery::autodiscover).post(pages::discovery::autodiscover))
        .route("/autodiscover/autodiscover.json", get(pages::discovery::autodiscover_json))
        .route("/.well-known/mta-sts.txt", get(pages::discovery::mta_sts))
        .route("/.well-known/acme-challenge/{token}", get(pages::certificate::proof))
        .route("/policy-report", post(pages::metrics::policy_report))
        .route("/health", get(pages::metrics::health))
        .route("/metrics", get(pages::metrics::show))
        .route("/assets/{name}", get(assets::show))
        .fallback(pages::discovery::stray)
        .layer(axum::extract::DefaultBodyLimit::max(guard::BODY_OCTETS))
        .layer(axum::middleware::from_fn_with_state(site.clone(), guard::check))
        .with_state(site)
}
