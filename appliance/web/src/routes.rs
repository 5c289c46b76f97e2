//! What a row of the route table says: who may see a page, from where, and its place in the navigation.
//!
//! The table itself is in `lib.rs`.
//! The router is built from it; the gate (`guard`) and the frame of every page read its [`Facts`], and so does the test
//! that asks for each route in each role.
//! Knows no page.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::MethodRouter;

use crate::memory::Site;

/// The least role that a page is for.
/// The page's handler asks for it by an extractor (`Person`, `Owner`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Anyone,
    /// Whoever has a mailbox and is signed in.
    Person,
    Owner,
}

/// From where a page can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The box's own network; the internet with `web.owner_from_everywhere`, under TLS.
    Office,
    /// The same, and the internet with `web.from_everywhere`, under TLS.
    Remote,
    /// Everywhere: what mail programs fetch to set themselves up, what other servers read of our TLS policy, and the
    /// proofs that a certificate authority looks at.
    World,
}

/// A group of the navigation.
/// The table's order is the order of the pages within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Webmail,
    Home,
    Mail,
    People,
    Box,
    Own,
}

impl Group {
    /// In the order they are shown.
    pub const ALL: [Group; 6] =
        [Group::Webmail, Group::Home, Group::Mail, Group::People, Group::Box, Group::Own];

    /// Its name in the catalogues.
    pub fn name(self) -> &'static str {
        match self {
            Group::Webmail => "nav-webmail",
            Group::Home => "nav-home",
            Group::Mail => "nav-mail",
            Group::People => "nav-people",
            Group::Box => "nav-box",
            Group::Own => "nav-own",
        }
    }
}

/// A row without its handlers.
#[derive(Clone, Debug)]
pub struct Facts {
    /// As axum writes it: `/mail/{folder}`.
    pub path: &'static str,
    pub methods: Vec<Method>,
    pub role: Role,
    pub reach: Reach,
    /// Stays on plain HTTP when there is a certificate: authorities, monitors and programs ask there.
    /// A domain's own name is rarely in the certificate, and settings are no secret.
    pub is_plain: bool,
    /// Sent by programs, which know nothing of forms; nothing is changed by it.
    pub is_for_programs: bool,
    /// Its group in the navigation, and its name there.
    pub menu: Option<(Group, &'static str)>,
}

/// A row of the table.
pub struct Route {
    facts: Facts,
    handlers: MethodRouter<Site>,
    /// Most octets of what is sent, where it is no plain form.
    limit: Option<usize>,
}

impl Route {
    pub fn new(path: &'static str, role: Role, reach: Reach) -> Route {
        let facts = Facts {
            path,
            methods: Vec::new(),
            role,
            reach,
            is_plain: false,
            is_for_programs: false,
            menu: None,
        };
        Route { facts, handlers: MethodRouter::new(), limit: None }
    }

    pub fn get<T: 'static>(mut self, handler: impl Handler<T, Site>) -> Route {
        self.facts.methods.push(Method::GET);
        Route { handlers: self.handlers.get(handler), ..self }
    }

    pub fn post<T: 'static>(mut self, handler: impl Handler<T, Site>) -> Route {
        self.facts.methods.push(Method::POST);
        Route { handlers: self.handlers.post(handler), ..self }
    }

    pub fn limit(self, octets: usize) -> Route {
        Route { limit: Some(octets), ..self }
    }

    pub fn menu(self, group: Group, name: &'static str) -> Route {
        Route { facts: Facts { menu: Some((group, name)), ..self.facts }, ..self }
    }

    pub fn plain(self) -> Route {
        Route { facts: Facts { is_plain: true, ..self.facts }, ..self }
    }

    pub fn for_programs(self) -> Route {
        Route { facts: Facts { is_for_programs: true, ..self.facts }, ..self }
    }
}

/// The facts of all rows; cheap to clone.
#[derive(Clone, Debug)]
pub struct Routes(Arc<[Facts]>);

impl Routes {
    /// The router of a table, and its facts.
    pub fn of(table: Vec<Route>) -> (Routes, Router<Site>) {
        let mut router = Router::new();
        let mut facts = Vec::with_capacity(table.len());
        for route in table {
            let handlers = match route.limit {
                Some(octets) => route.handlers.layer(DefaultBodyLimit::max(octets)),
                None => route.handlers,
            };
            router = router.route(route.facts.path, handlers);
            facts.push(route.facts);
        }
        (Routes(facts.into()), router)
    }

    #[cfg(test)]
    pub fn all(&self) -> &[Facts] {
        &self.0
    }

    /// The row of a path, in whatever case it is written: programs are not strict.
    pub fn find(&self, path: &str) -> Option<&Facts> {
        let fitting = self.0.iter().filter(|facts| fits(facts.path, path));
        // `/mail/contacts` goes before `/mail/{folder}`, as in the router.
        fitting.min_by_key(|facts| facts.path.matches('{').count())
    }

    /// From where a path can be reached.
    /// One that is in no row is as open as what it is below, and answered as missing.
    pub fn reach(&self, path: &str) -> Reach {
        // The first page has nothing below it.
        let above = std::iter::successors(Some(path), |path| {
            path.rsplit_once('/').map(|(above, _)| above).filter(|above| above.len() > 1)
        });
        above
            .filter_map(|path| self.find(path))
            .map(|facts| facts.reach)
            .next()
            .unwrap_or(Reach::Office)
    }

    /// The pages of a group, and their names.
    pub fn menu(&self, group: Group) -> Vec<(&'static str, &'static str)> {
        let named = |facts: &Facts| {
            facts.menu.filter(|(of, _)| *of == group).map(|(_, name)| (facts.path, name))
        };
        self.0.iter().filter_map(named).collect()
    }

    /// The least role that a group is for.
    pub fn role(&self, group: Group) -> Role {
        let roles = self
            .0
            .iter()
            .filter(|facts| facts.menu.is_some_and(|(of, _)| of == group))
            .map(|facts| facts.role);
        roles.min().unwrap_or(Role::Owner)
    }
}

/// Whether a path is one of a route: as many parts, and each the same or in the place of a `{name}`.
fn fits(route: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    let all_fit = route.split('/').all(|known| {
        parts.next().is_some_and(|part| known.starts_with('{') || part.eq_ignore_ascii_case(known))
    });
    all_fit && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_its_row_and_strangers_are_as_open_as_what_they_are_below() {
        let row = |path, reach| Route::new(path, Role::Anyone, reach);
        let (routes, _) = Routes::of(vec![
            row("/", Reach::Remote),
            row("/mail", Reach::Remote),
            row("/mail/{folder}", Reach::Remote),
            row("/mail/open.xml", Reach::World),
            row("/people/{address}", Reach::Office),
            row("/proof/{token}", Reach::World),
        ]);
        let found = |path| routes.find(path).map_or("", |facts| facts.path);
        assert_eq!(
            (found("/"), found("/mail/7"), found("/mail/Open.XML")),
            ("/", "/mail/{folder}", "/mail/open.xml")
        );
        assert_eq!((found("/mail/7/8"), found("/mail/open.xml/"), found("//")), ("", "", ""));
        for (path, reach) in [
            ("/", Reach::Remote),
            ("/mail/7/8/9", Reach::Remote),
            ("/mail/", Reach::Remote),
            ("/mail/open.xml", Reach::World),
            ("/proof/", Reach::World),
            ("/proof/a/b", Reach::World),
            ("/people/x/y", Reach::Office),
            ("/people", Reach::Office),
            ("/nothing", Reach::Office),
            ("//", Reach::Office),
            ("", Reach::Office),
        ] {
            assert_eq!(routes.reach(path), reach, "{path}");
        }
    }
}
