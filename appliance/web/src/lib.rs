//! The web edge: setup, the owner's pages, and what mail programs ask for.
//!
//! Every request passes the same gates in the same order (`guard`): the host it was sent to, where it comes from,
//! whether a form is ours.
//! A page is a function from request facts to HTML; all texts come from `pillarbox_texts`, all looks in
//! `assets/style.css`.

mod assets;
mod error;
mod frame;
mod guard;
mod memory;
mod pages;
mod patience;
mod routes;
mod serve;
mod session;
mod signed;
mod stream;
mod svg;
#[cfg(test)]
mod tests;
mod text;

use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router};

use pages::mail::{act, compose, contacts, files, folders, list, message, send, settings};
use pages::{
    about, certificate, discovery, doctor, domains, find, home, internet_connection, login,
    loopback, metrics, network, people, person, programs, queue, security, setup, spam, system,
    welcome,
};
use routes::{Group, Reach, Role, Route, Routes};

pub use memory::Site;
pub use serve::serve;

/// The pages as a service.
pub fn router(site: Site) -> Router {
    // A message with its files; base64 makes a third more of them, and the form has words of its own.
    let message = site.office.settings.get().limits.message_octets as usize + guard::BODY_OCTETS;
    let (routes, router) = Routes::of(table(message));
    router
        .fallback(discovery::stray)
        .layer(DefaultBodyLimit::max(guard::BODY_OCTETS))
        .layer(axum::middleware::from_fn_with_state(site.clone(), guard::check))
        .layer(Extension(routes))
        .with_state(site)
}

/// All routes: path, who may see it, from where, its handlers, its place in the navigation.
/// `message`: most octets of a message with its files.
/// A test walks each of them in each role.
fn table(message: usize) -> Vec<Route> {
    use Reach::{Office, Remote, World};
    use Role::{Anyone, Owner, Person};
    let at = Route::new;
    vec![
        at("/", Anyone, Remote).get(pages::start),
        at("/setup", Anyone, Office).get(setup::show).post(setup::claim),
        at("/setup/resume", Owner, Office).get(setup::resume),
        at("/setup/next", Owner, Office).post(setup::next),
        at("/login", Anyone, Remote).get(login::show).post(login::sign_in),
        at("/login/code", Anyone, Remote).post(login::code),
        at("/welcome/{token}", Anyone, Remote).get(welcome::show).post(welcome::choose),
        at("/language", Anyone, Remote).post(login::language),
        at("/logout", Person, Remote).post(login::sign_out),
        at("/home", Owner, Office).get(home::show).menu(Group::Home, "nav-home"),
        at("/people", Owner, Office)
            .get(people::show)
            .post(people::add)
            .menu(Group::People, "nav-people"),
        at("/people/alias", Owner, Office).post(people::alias),
        at("/people/{address}", Owner, Office).get(person::show).post(person::change),
        at("/domains", Owner, Office)
            .get(domains::show)
            .post(domains::change)
            .menu(Group::Box, "nav-domains"),
        at("/line", Owner, Office)
            .get(internet_connection::show)
            .post(internet_connection::change)
            .menu(Group::Box, "nav-line"),
        at("/certificate", Owner, Office)
            .get(certificate::show)
            .post(certificate::order)
            .menu(Group::Box, "nav-certificate"),
        at("/name", Owner, Office)
            .get(setup::name)
            .post(setup::rename)
            .menu(Group::Box, "nav-name"),
        at("/round", Owner, Office)
            .get(loopback::show)
            .post(loopback::run)
            .menu(Group::Box, "nav-round"),
        at("/log", Owner, Office).get(about::log).menu(Group::Box, "nav-log"),
        at("/network", Owner, Office)
            .get(network::show)
            .post(network::order)
            .menu(Group::Box, "nav-network"),
        at("/system", Owner, Office)
            .get(system::show)
            .post(system::order)
            .menu(Group::Box, "nav-system"),
        at("/system/update", Owner, Office).post(system::update).limit(pages::system::UPDATE),
        at("/about", Owner, Office).get(about::show).menu(Group::Box, "nav-about"),
        at("/about/licences", Owner, Office).get(about::licences),
        at("/queue", Owner, Office)
            .get(queue::show)
            .post(queue::order)
            .menu(Group::Mail, "nav-queue"),
        at("/find", Owner, Office).get(find::show).menu(Group::Mail, "nav-find"),
        at("/doctor", Owner, Office)
            .get(doctor::show)
            .post(doctor::examine)
            .menu(Group::Mail, "nav-doctor"),
        at("/spam", Owner, Office).get(spam::show).post(spam::change).menu(Group::Mail, "nav-spam"),
        at("/mail", Person, Remote).get(list::start).menu(Group::Webmail, "nav-webmail"),
        at("/mail/act", Person, Remote).post(act::act),
        at("/mail/message", Person, Remote).post(act::message),
        at("/mail/contacts", Person, Remote)
            .get(contacts::show)
            .post(contacts::change)
            .menu(Group::Own, "nav-contacts"),
        at("/mail/contacts/file", Person, Remote)
            .get(contacts::file)
            .post(contacts::import)
            .limit(contacts::FILE),
        at("/mail/folders", Person, Remote).post(folders::change),
        at("/mail/settings", Person, Remote)
            .get(settings::show)
            .post(settings::save)
            .menu(Group::Own, "nav-mail-settings"),
        at("/mail/events", Person, Remote).get(list::events),
        at("/mail/{folder}", Person, Remote).get(list::show),
        at("/mail/{folder}/{uid}", Person, Remote).get(message::show),
        at("/mail/{folder}/{uid}/html", Person, Remote).get(message::document),
        at("/mail/{folder}/{uid}/raw", Person, Remote).get(files::raw),
        at("/mail/{folder}/{uid}/files", Person, Remote).get(files::all),
        at("/mail/{folder}/{uid}/part/{number}", Person, Remote).get(files::part),
        at("/mail/{folder}/{uid}/part/{number}/inside/{at}", Person, Remote).get(files::inside),
        at("/compose", Person, Remote).get(compose::show).post(send::send).limit(message),
        at("/programs", Person, Remote).get(programs::show).menu(Group::Own, "nav-programs"),
        at("/programs/card", Person, Remote).get(programs::card),
        at("/programs/pillarbox.mobileconfig", Person, Remote).get(discovery::mobileconfig),
        at("/programs/device", Person, Remote).post(programs::device),
        at("/programs/password", Person, Remote).post(programs::password),
        at("/coach", Person, Remote).get(programs::coach).menu(Group::Own, "nav-coach"),
        at("/security", Person, Remote)
            .get(security::show)
            .post(security::change)
            .menu(Group::Own, "nav-security"),
        at("/mail/config-v1.1.xml", Anyone, World).get(discovery::autoconfig).plain(),
        at("/.well-known/autoconfig/mail/config-v1.1.xml", Anyone, World)
            .get(discovery::autoconfig)
            .plain(),
        at("/autodiscover/autodiscover.xml", Anyone, World)
            .get(discovery::autodiscover)
            .post(discovery::autodiscover)
            .for_programs(),
        at("/autodiscover/autodiscover.json", Anyone, World).get(discovery::autodiscover_json),
        at("/.well-known/mta-sts.txt", Anyone, World).get(discovery::mta_sts),
        at("/.well-known/acme-challenge/{token}", Anyone, World).get(certificate::proof).plain(),
        at("/policy-report", Anyone, Remote).post(metrics::policy_report).for_programs(),
        at("/health", Anyone, Remote).get(metrics::health).plain(),
        at("/metrics", Anyone, Office).get(metrics::show).plain(),
        at("/assets/{name}", Anyone, Remote).get(assets::show),
    ]
}
