//! What every request passes before it reaches a page: roles, origins, names, networks, TLS, sessions.
//! And that each page is for those the route table says.

use super::*;
use crate::routes::Routes;

/// Addresses that are written in another way than the rows of the route table.
const VARIANTS: [&str; 11] = [
    "/domains?zone=box.test",
    "/find?q=x",
    "/mail/config-v1.1.xml?emailaddress=ann@box.test",
    "/Autodiscover/Autodiscover.xml",
    "/AutoDiscover/AutoDiscover.JSON?Protocol=AutodiscoverV1",
    "/autodiscover/autodiscover.json/v1.0/ann@box.test?Protocol=AutodiscoverV1",
    "/autodiscover/autodiscover.json?Protocol=AutodiscoverV1",
    "/mail/1?q=hello+from:x",
    "/compose?answers=1.1&how=reply",
    "/setup/next",
    "/nothing-here",
];

/// Forms that change something, one for each row of the table that takes any from somebody who is signed in.
pub(super) const FORMS: [(&str, &str); 26] = [
    ("/mail/settings", "signature=x"),
    ("/mail/act", "id=1.1&order=delete"),
    ("/mail/message", "id=1.1&order=pictures"),
    ("/mail/contacts", "address=x@a.test"),
    ("/mail/contacts/file", "x"),
    ("/mail/folders", "order=make&name=x"),
    ("/compose", "to=x@a.test"),
    ("/people", "address=cy@box.test"),
    ("/people/alias", "order=add&address=info&to=bob@box.test"),
    ("/people/bob@box.test", "order=remove&confirm=bob@box.test"),
    ("/domains", "order=add&domain=new.test"),
    ("/name", "name=other.test"),
    ("/line", "order=direct"),
    ("/certificate", "order=net"),
    ("/round", "to=x@a.test"),
    ("/setup/next", "step=name"),
    ("/network", "order=name&name=post"),
    ("/system", "order=restart"),
    ("/system/update", "x"),
    ("/queue", "number=1.0&order=remove"),
    ("/doctor", "address=x@a.test"),
    ("/spam", "forwarders=uni.test"),
    ("/logout", ""),
    ("/security", "order=end-others"),
    ("/programs/device", "name=x"),
    ("/programs/password", "old=x&new=1234567890"),
];

fn routes() -> Routes {
    Routes::of(crate::table(crate::guard::BODY_OCTETS)).0
}

/// A row's path with something that is there in the place of each name.
fn example(path: &str) -> String {
    let named = [
        ("{address}", "bob@box.test"),
        ("{folder}", "1"),
        ("{uid}", "1"),
        ("{number}", "1"),
        ("{at}", "0"),
        ("{token}", "x"),
        ("{name}", "x"),
    ];
    named.into_iter().fold(path.to_string(), |path, (name, value)| path.replace(name, value))
}

/// The least role that a path is for; the rows of the table have no queries.
fn least(routes: &Routes, path: &str, method: &Method) -> crate::routes::Role {
    let row = routes.find(path.split('?').next().unwrap_or_default());
    row.filter(|row| row.methods.contains(method))
        .map_or(crate::routes::Role::Anyone, |row| row.role)
}

/// Each row that takes a form of somebody has an example: a new form can't be forgotten.
#[test]
fn every_form_has_an_example() {
    let routes = routes();
    let forms = routes.all().iter().filter(|row| {
        row.methods.contains(&Method::POST) && row.role != crate::routes::Role::Anyone
    });
    let known: Vec<&str> =
        FORMS.iter().filter_map(|(path, _)| routes.find(path)).map(|row| row.path).collect();
    for row in forms {
        assert!(known.contains(&row.path), "{} has no example", row.path);
    }
    assert_eq!(known.len(), FORMS.len());
}

#[test]
fn what_the_internet_programs_and_plain_http_get_is_known() {
    let routes = routes();
    let those = |which: fn(&crate::routes::Facts) -> bool| {
        routes.all().iter().filter(|row| which(row)).map(|row| row.path).collect::<Vec<_>>()
    };
    assert_eq!(
        those(|row| row.reach == crate::routes::Reach::World),
        [
            "/mail/config-v1.1.xml",
            "/.well-known/autoconfig/mail/config-v1.1.xml",
            "/autodiscover/autodiscover.xml",
            "/autodiscover/autodiscover.json",
            "/.well-known/mta-sts.txt",
            "/.well-known/acme-challenge/{token}",
        ]
    );
    assert_eq!(
        those(|row| row.is_for_programs),
        ["/autodiscover/autodiscover.xml", "/policy-report"]
    );
    assert_eq!(
        those(|row| row.is_plain),
        [
            "/mail/config-v1.1.xml",
            "/.well-known/autoconfig/mail/config-v1.1.xml",
            "/.well-known/acme-challenge/{token}",
            "/health",
            "/metrics",
        ]
    );
    // The owner's pages have a switch of their own.
    assert!(
        routes.all().iter().all(|row| row.role != crate::routes::Role::Owner
            || row.reach == crate::routes::Reach::Office)
    );
}

/// The roles, each with a session of its own, or none.
async fn cookies(world: &World) -> [(Role, String); 3] {
    [
        (Role::Nobody, String::new()),
        (Role::Worker, cookie(world, Role::Worker).await),
        (Role::Owner, cookie(world, Role::Owner).await),
    ]
}

/// Whether a page answers somebody as the route table has it.
fn is_right(path: &str, least: crate::routes::Role, role: Role, answer: &Answer) -> bool {
    let may = (role as u8) >= (least as u8);
    match (may, role) {
        (true, _) if answer.status == StatusCode::SEE_OTHER => {
            matches!(path, "/" | "/login" | "/setup" | "/setup/resume" | "/mail")
        }
        // Nothing of that kind is in the message.
        (true, _) if path.contains("/inside/") => answer.status == StatusCode::NOT_FOUND,
        (true, _) if least == crate::routes::Role::Anyone => {
            answer.status == StatusCode::OK || answer.status.is_client_error()
        }
        (true, _) => answer.status == StatusCode::OK,
        (false, Role::Nobody) => {
            answer.status == StatusCode::SEE_OTHER && answer.location == "/login"
        }
        (false, _) => answer.status == StatusCode::FORBIDDEN,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_in_every_role_and_method() {
    let world = world().await;
    let (routes, cookies) = (routes(), cookies(&world).await);
    let paths = routes.all().iter().map(|row| example(row.path)).chain(VARIANTS.map(String::from));
    for path in paths {
        let path = path.as_str();
        let least = least(&routes, path, &Method::GET);
        for (role, cookie) in &cookies {
            let answer = ask(&world, request(Method::GET, path, cookie, "")).await;
            assert!(
                is_right(path, least, *role, &answer),
                "GET {path} as {role:?}: {} to {:?}",
                answer.status,
                answer.location
            );
            for name in [
                "content-security-policy", "x-content-type-options", "x-frame-options",
                "referrer-policy",
            ] {
                assert!(answer.headers.contains_key(name), "{name} of {path}");
            }
            for method in [Method::PUT, Method::DELETE, Method::PATCH] {
                let answer = ask(&world, request(method.clone(), path, cookie, "")).await;
                assert!(
                    answer.status.is_client_error(),
                    "{method} {path} as {role:?}: {}",
                    answer.status
                );
            }
        }
    }
    assert_eq!(world.office.store.read(|r| r.accounts()).unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_is_taken_without_session_role_and_token() {
    let world = world().await;
    let (routes, cookies) = (routes(), cookies(&world).await);
    for (path, form) in FORMS {
        let least = least(&routes, path, &Method::POST);
        for (role, cookie) in &cookies {
            let answer = ask(&world, request(Method::POST, path, cookie, form)).await;
            let sent_away = answer.status == StatusCode::SEE_OTHER && answer.location == "/login";
            assert!(
                answer.status == StatusCode::FORBIDDEN || *role == Role::Nobody && sent_away,
                "POST {path} as {role:?}: {}",
                answer.status
            );
        }
        if least == crate::routes::Role::Owner {
            // Also with the token of the worker's own session.
            let worker = &cookies[1].1;
            let page = ask(&world, request(Method::GET, "/programs", worker, "")).await.body;
            let answer = ask(
                &world,
                request(Method::POST, path, worker, &format!("token={}&{form}", token_in(&page))),
            )
            .await;
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
    assert_eq!(
        ask(&world, with(header::ORIGIN, "https://evil.example")).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        ask(&world, with(header::HOST, "evil.example")).await.status,
        StatusCode::MISDIRECTED_REQUEST
    );
    for (path, is_open) in
        [("/home", false), ("/login", false), ("/setup", false), ("/mail/config-v1.1.xml", true)]
    {
        let answer = ask_from(&world, "203.0.113.9", request(Method::GET, path, &owner, "")).await;
        assert_eq!(
            answer.status == StatusCode::OK,
            is_open,
            "{path} from outside: {}",
            answer.status
        );
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
    assert_eq!(
        ask(&world, request(Method::POST, "/logout", &fresh, &format!("token={token}")))
            .await
            .location,
        "/login"
    );
    assert_eq!(ask(&world, request(Method::GET, "/home", &fresh, "")).await.location, "/login");
    // A new password signs everybody out.
    let again = cookie(&world, Role::Owner).await;
    let hash = tokio::task::block_in_place(|| hash::password("another long one").unwrap());
    world
        .office
        .store
        .change(SetPassword { address: ANN.into(), hash, at: clock::now() })
        .done()
        .await
        .unwrap();
    assert_eq!(ask(&world, request(Method::GET, "/home", &again, "")).await.location, "/login");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_the_pages_are_under_tls_only() {
    let world = world().await;
    let plain = async |path: &str, host: &'static str| {
        let mut request = request(Method::GET, path, "", "");
        request.headers_mut().insert(header::HOST, axum::http::HeaderValue::from_static(host));
        request
            .extensions_mut()
            .insert(Link { peer: "192.168.1.5".parse().unwrap(), is_secure: false });
        let answer = router(world.site.clone()).oneshot(request).await.unwrap();
        let location = answer
            .headers()
            .get(header::LOCATION)
            .map(|l| l.to_str().unwrap().to_string())
            .unwrap_or_default();
        (answer.status(), location)
    };
    assert_eq!(plain("/login", "box.test").await.0, StatusCode::OK);
    world.install_certificate(&["box.test"]);
    assert_eq!(
        plain("/login", "box.test").await,
        (StatusCode::TEMPORARY_REDIRECT, "https://box.test/login".into())
    );
    assert_eq!(plain("/login", "pillarbox.local").await.0, StatusCode::UPGRADE_REQUIRED);
    assert_eq!(plain("/health", "box.test").await.0, StatusCode::OK);
    assert_eq!(plain("/.well-known/acme-challenge/x", "box.test").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_internet_sees_webmail_when_it_may_and_the_owners_pages_only_when_they_may() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    let from_outside = async |path: &str| {
        ask_from(&world, "203.0.113.9", request(Method::GET, path, &owner, "")).await.status
            == StatusCode::OK
    };
    for (everywhere, owner_too, webmail, home) in [
        (false, false, false, false),
        (true, false, true, false),
        (true, true, true, true),
        (false, true, true, true),
    ] {
        world.change_config(|config| {
            (config.web.from_everywhere, config.web.owner_from_everywhere) = (everywhere, owner_too)
        });
        assert_eq!(
            (from_outside("/mail/1").await, from_outside("/programs").await),
            (webmail, webmail),
            "{everywhere} {owner_too}"
        );
        for path in ["/home", "/people", "/log", "/people/bob@box.test", "/metrics"] {
            assert_eq!(from_outside(path).await, home, "{path} {everywhere} {owner_too}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_language_is_the_browsers_or_the_persons_and_leads_nowhere_else() {
    let world = world().await;
    let login =
        async |cookie: &str| ask(&world, request(Method::GET, "/login", cookie, "")).await.body;
    assert!(login("").await.contains("lang=\"en\""));
    let answer =
        ask(&world, request(Method::POST, "/language", "", "language=de&back=/login")).await;
    assert_eq!(answer.location, "/login");
    assert!(login(answer.cookie.split(';').next().unwrap()).await.contains("<html lang=\"de\""));
    for back in ["//evil.example", "https://evil.example", "javascript:x", ""] {
        let answer = ask(
            &world,
            request(Method::POST, "/language", "", &format!("language=xx&back={}", encoded(back))),
        )
        .await;
        assert_eq!(answer.location, "/", "{back}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_broken_policies_are_counted() {
    let world = world().await;
    let report = request(Method::POST, "/policy-report", "", "{\"csp-report\":{}}");
    assert_eq!(ask(&world, report).await.status, StatusCode::NO_CONTENT);
    let ann = Browser::of(&world, Role::Owner).await;
    assert!(ann.page("/metrics").await.contains("pillarbox_policy_reports 1"));
}
