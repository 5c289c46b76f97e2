//! What stands before every page: roles, origins, names, networks, TLS, sessions. And the table of who may see what.

use super::*;

/// Who may see what: path, and the least role for GET. The test below holds it against the router itself.
const PAGES: [(&str, Role); 57] = [
    ("/", Role::Nobody),
    ("/setup", Role::Nobody),
    ("/setup/resume", Role::Owner),
    ("/login", Role::Nobody),
    ("/welcome/x", Role::Nobody),
    ("/home", Role::Owner),
    ("/people", Role::Owner),
    ("/people/bob@box.test", Role::Owner),
    ("/domains", Role::Owner),
    ("/domains?zone=box.test", Role::Owner),
    ("/name", Role::Owner),
    ("/line", Role::Owner),
    ("/certificate", Role::Owner),
    ("/round", Role::Owner),
    ("/log", Role::Owner),
    ("/about", Role::Owner),
    ("/about/licences", Role::Owner),
    ("/queue", Role::Owner),
    ("/find?q=x", Role::Owner),
    ("/doctor", Role::Owner),
    ("/security", Role::Worker),
    ("/network", Role::Owner),
    ("/system", Role::Owner),
    ("/coach", Role::Worker),
    ("/programs", Role::Worker),
    ("/programs/card", Role::Worker),
    ("/programs/pillarbox.mobileconfig", Role::Worker),
    ("/mail/config-v1.1.xml?emailaddress=ann@box.test", Role::Nobody),
    ("/.well-known/autoconfig/mail/config-v1.1.xml", Role::Nobody),
    ("/autodiscover/autodiscover.xml", Role::Nobody),
    ("/Autodiscover/Autodiscover.xml", Role::Nobody),
    ("/AutoDiscover/AutoDiscover.JSON?Protocol=AutodiscoverV1", Role::Nobody),
    ("/autodiscover/autodiscover.json/v1.0/ann@box.test?Protocol=AutodiscoverV1", Role::Nobody),
    ("/autodiscover/autodiscover.json?Protocol=AutodiscoverV1", Role::Nobody),
    ("/.well-known/mta-sts.txt", Role::Nobody),
    ("/.well-known/acme-challenge/x", Role::Nobody),
    ("/health", Role::Nobody),
    ("/metrics", Role::Nobody),
    ("/assets/x", Role::Nobody),
    ("/mail", Role::Worker),
    ("/mail/1", Role::Worker),
    ("/mail/1?q=hello+from:x", Role::Worker),
    ("/mail/1/1", Role::Worker),
    ("/mail/1/1/html", Role::Worker),
    ("/mail/1/1/raw", Role::Worker),
    ("/mail/1/1/part/1", Role::Worker),
    ("/mail/1/1/part/1/inside/0", Role::Worker),
    ("/mail/1/1/files", Role::Worker),
    ("/mail/contacts", Role::Worker),
    ("/mail/contacts/file", Role::Worker),
    ("/mail/settings", Role::Worker),
    ("/mail/events", Role::Worker),
    ("/compose", Role::Worker),
    ("/compose?answers=1.1&how=reply", Role::Worker),
    ("/logout", Role::Nobody),
    ("/setup/next", Role::Nobody),
    ("/nothing-here", Role::Nobody),
];

/// Forms that change something, and the least role.
const FORMS: [(&str, &str, Role); 25] = [
    ("/mail/settings", "signature=x", Role::Worker),
    ("/mail/act", "id=1.1&order=delete", Role::Worker),
    ("/mail/message", "id=1.1&order=pictures", Role::Worker),
    ("/mail/contacts", "address=x@a.test", Role::Worker),
    ("/mail/contacts/file", "x", Role::Worker),
    ("/mail/folders", "order=make&name=x", Role::Worker),
    ("/compose", "to=x@a.test", Role::Worker),
    ("/people", "address=cy@box.test", Role::Owner),
    ("/people/alias", "order=add&address=info&to=bob@box.test", Role::Owner),
    ("/people/bob@box.test", "order=remove&confirm=bob@box.test", Role::Owner),
    ("/domains", "order=add&domain=new.test", Role::Owner),
    ("/name", "name=other.test", Role::Owner),
    ("/line", "order=direct", Role::Owner),
    ("/certificate", "order=net", Role::Owner),
    ("/round", "to=x@a.test", Role::Owner),
    ("/setup/next", "step=name", Role::Owner),
    ("/network", "order=name&name=post", Role::Owner),
    ("/system", "order=restart", Role::Owner),
    ("/system/update", "x", Role::Owner),
    ("/queue", "number=1.0&order=remove", Role::Owner),
    ("/doctor", "address=x@a.test", Role::Owner),
    ("/logout", "", Role::Worker),
    ("/security", "order=end-others", Role::Worker),
    ("/programs/device", "name=x", Role::Worker),
    ("/programs/password", "old=x&new=1234567890", Role::Worker),
];

/// Every route of the router is in one of the tables: a new page can't be forgotten.
#[test]
fn the_tables_name_every_route() {
    let routes = include_str!("../lib.rs").split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let is_like = |route: &str, path: &str| {
        let path = path.split('?').next().unwrap_or_default();
        let (a, b): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| *a == b || a.starts_with('{'))
    };
    let unguarded = ["/login/code", "/language", "/policy-report"];
    for route in routes.filter(|route| !unguarded.contains(route)) {
        let is_named = PAGES.iter().any(|(path, _)| is_like(route, path)) || FORMS.iter().any(|(path, ..)| is_like(route, path));
        assert!(is_named, "{route} is in no table");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_in_every_role_and_method() {
    let world = world().await;
    let cookies = [(Role::Nobody, String::new()), (Role::Worker, cookie(&world, Role::Worker).await), (Role::Owner, cookie(&world, Role::Owner).await)];
    for (path, least) in PAGES {
        for (role, cookie) in &cookies {
            let answer = ask(&world, request(Method::GET, path, cookie, "")).await;
            let may = (*role as u8) >= (least as u8);
            let expected = match (may, role) {
                (true, _) if answer.status == StatusCode::SEE_OTHER => matches!(path, "/" | "/login" | "/setup" | "/setup/resume" | "/mail"),
                // Nothing of that kind is in the message.
                (true, _) if path.contains("/inside/") => answer.status == StatusCode::NOT_FOUND,
                (true, _) if least == Role::Nobody => answer.status == StatusCode::OK || answer.status.is_client_error(),
                (true, _) => answer.status == StatusCode::OK,
                (false, Role::Nobody) => answer.status == StatusCode::SEE_OTHER && answer.location == "/login",
                (false, _) => answer.status == StatusCode::FORBIDDEN,
            };
            assert!(expected, "GET {path} as {role:?}: {} to {:?}", answer.status, answer.location);
            for name in ["content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy"] {
                assert!(answer.headers.contains_key(name), "{name} of {path}");
            }
            for method in [Method::PUT, Method::DELETE, Method::PATCH] {
                let answer = ask(&world, request(method.clone(), path, cookie, "")).await;
                assert!(answer.status.is_client_error(), "{method} {path} as {role:?}: {}", answer.status);
            }
        }
    }
    // Forms: without a session, with too small a role, and without the token of the page.
    for (path, form, least) in FORMS {
        for (role, cookie) in &cookies {
            let answer = ask(&world, request(Method::POST, path, cookie, form)).await;
            let sent_away = answer.status == StatusCode::SEE_OTHER && answer.location == "/login";
            assert!(answer.status == StatusCode::FORBIDDEN || *role == Role::Nobody && sent_away, "POST {path} as {role:?}: {}", answer.status);
        }
        if least == Role::Owner {
            // Also with the token of the worker's own session.
            let worker = &cookies[1].1;
            let page = ask(&world, request(Method::GET, "/programs", worker, "")).await.body;
            let answer = ask(&world, request(Method::POST, path, worker, &format!("token={}&{form}", token_in(&page)))).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "POST {path} by a worker");
        }
    }
    assert_eq!(world.office.store.read(|r| r.accounts()).unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_names_and_networks_are_turned_away() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    let with = |name: header::HeaderName, value: &'static str| {
        let mut request = request(Method::POST, "/logout", &owner, "");
        request.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
        request
    };
    assert_eq!(ask(&world, with(header::ORIGIN, "https://evil.example")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask(&world, with(header::HOST, "evil.example")).await.status, StatusCode::MISDIRECTED_REQUEST);
    for (path, is_open) in [("/home", false), ("/login", false), ("/setup", false), ("/mail/config-v1.1.xml", true)] {
        let answer = ask_from(&world, "203.0.113.9", request(Method::GET, path, &owner, "")).await;
        assert_eq!(answer.status == StatusCode::OK, is_open, "{path} from outside: {}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_fresh_end_and_are_not_chosen_by_others() {
    let world = world().await;
    // A cookie that somebody planted is not taken over by a login.
    let planted = format!("pillarbox={}", "a".repeat(64));
    let form = format!("user={}&password={}", encoded(ANN), encoded(PASSWORD));
    let answer = ask(&world, request(Method::POST, "/login", &planted, &form)).await;
    let fresh = answer.cookie.split(';').next().unwrap().to_string();
    assert_ne!(fresh, planted);
    assert_eq!(ask(&world, request(Method::GET, "/home", &planted, "")).await.location, "/login");
    let home = ask(&world, request(Method::GET, "/home", &fresh, "")).await;
    let token = token_in(&home.body);
    assert_eq!(ask(&world, request(Method::POST, "/logout", &fresh, &format!("token={token}"))).await.location, "/login");
    assert_eq!(ask(&world, request(Method::GET, "/home", &fresh, "")).await.location, "/login");
    // A new password signs everybody out.
    let again = cookie(&world, Role::Owner).await;
    let hash = tokio::task::block_in_place(|| hash::password("another long one").unwrap());
    world.office.store.change(SetPassword { address: ANN.into(), hash, at: clock::now() }).done().await.unwrap();
    assert_eq!(ask(&world, request(Method::GET, "/home", &again, "")).await.location, "/login");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_the_pages_are_under_tls_only() {
    let world = world().await;
    let plain = async |path: &str, host: &'static str| {
        let mut request = request(Method::GET, path, "", "");
        request.headers_mut().insert(header::HOST, axum::http::HeaderValue::from_static(host));
        request.extensions_mut().insert(Link { peer: "192.168.1.5".parse().unwrap(), is_secure: false });
        let answer = router(world.site.clone()).oneshot(request).await.unwrap();
        let location = answer.headers().get(header::LOCATION).map(|l| l.to_str().unwrap().to_string()).unwrap_or_default();
        (answer.status(), location)
    };
    assert_eq!(plain("/login", "box.test").await.0, StatusCode::OK);
    world.install_certificate(&["box.test"]);
    assert_eq!(plain("/login", "box.test").await, (StatusCode::TEMPORARY_REDIRECT, "https://box.test/login".into()));
    assert_eq!(plain("/login", "pillarbox.local").await.0, StatusCode::UPGRADE_REQUIRED);
    assert_eq!(plain("/health", "box.test").await.0, StatusCode::OK);
    assert_eq!(plain("/.well-known/acme-challenge/x", "box.test").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_internet_sees_webmail_when_it_may_and_the_owners_pages_only_when_they_may() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    let from_outside = async |path: &str| ask_from(&world, "203.0.113.9", request(Method::GET, path, &owner, "")).await.status == StatusCode::OK;
    for (everywhere, owner_too, webmail, home) in
        [(false, false, false, false), (true, false, true, false), (true, true, true, true), (false, true, true, true)]
    {
        world.change_config(|config| (config.web.from_everywhere, config.web.owner_from_everywhere) = (everywhere, owner_too));
        assert_eq!((from_outside("/mail/1").await, from_outside("/programs").await), (webmail, webmail), "{everywhere} {owner_too}");
        for path in ["/home", "/people", "/log", "/people/bob@box.test", "/metrics"] {
            assert_eq!(from_outside(path).await, home, "{path} {everywhere} {owner_too}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_is_the_browsers_or_the_persons_and_leads_nowhere_else() {
    let world = world().await;
    let login = async |cookie: &str| ask(&world, request(Method::GET, "/login", cookie, "")).await.body;
    assert!(login("").await.contains("lang=\"en\""));
    let answer = ask(&world, request(Method::POST, "/language", "", "language=de&back=/login")).await;
    assert_eq!(answer.location, "/login");
    assert!(login(answer.cookie.split(';').next().unwrap()).await.contains("<html lang=\"de\""));
    for back in ["//evil.example", "https://evil.example", "javascript:x", ""] {
        let answer = ask(&world, request(Method::POST, "/language", "", &format!("language=xx&back={}", encoded(back)))).await;
        assert_eq!(answer.location, "/", "{back}");
    }
}
