//! Every route in every role, and the gates before them.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use pillarbox_store::{Change, MailboxPolicy};
use tower::ServiceExt;

use super::serve::Link;
use crate::auth::hash;
use crate::clock;
use crate::outbound::tests::world::{ANN, World};

const PASSWORD: &str = "correct horse battery";
const BOB: &str = "bob@box.test";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Nobody,
    Worker,
    Owner,
}

/// A box with an owner (Ann) and a worker (Bob), both with the same password.
async fn world() -> World {
    let world = World::new().await;
    let store = &world.context.store;
    tokio::task::block_in_place(|| {
        let hash = hash::password(PASSWORD).unwrap();
        store.change(Change::SetPassword { address: ANN.into(), hash: hash.clone(), at: clock::now() }).wait().unwrap();
        let bob = Change::AddAccount { address: BOB.into(), name: String::new(), hash, policy: MailboxPolicy::Keep, at: clock::now() };
        store.change(bob).wait().unwrap();
    });
    world
}

fn request(method: Method, path: &str, cookie: &str, form: &str) -> Request<Body> {
    let mut builder = Request::builder().method(method.clone()).uri(path).header(header::HOST, "box.test");
    if method == Method::POST {
        builder = builder.header(header::ORIGIN, "https://box.test").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    if !cookie.is_empty() {
        builder = builder.header(header::COOKIE, cookie);
    }
    builder.body(Body::from(form.to_string())).unwrap()
}

struct Answer {
    status: StatusCode,
    location: String,
    cookie: String,
    headers: axum::http::HeaderMap,
    body: String,
}

async fn ask_from(world: &World, peer: &str, mut request: Request<Body>) -> Answer {
    request.extensions_mut().insert(Link { peer: peer.parse().unwrap(), is_secure: true });
    let answer = super::router(world.context.clone()).oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let text = |name| parts.headers.get(name).and_then(|v: &axum::http::HeaderValue| v.to_str().ok()).unwrap_or_default().to_string();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Answer {
        status: parts.status,
        location: text(header::LOCATION),
        cookie: text(header::SET_COOKIE),
        body: String::from_utf8_lossy(&body).into_owned(),
        headers: parts.headers,
    }
}

async fn ask(world: &World, request: Request<Body>) -> Answer {
    ask_from(world, "192.168.1.5", request).await
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Signs in and gives the cookie.
async fn cookie(world: &World, role: Role) -> String {
    let user = match role {
        Role::Nobody => return String::new(),
        Role::Worker => BOB,
        Role::Owner => ANN,
    };
    let form = format!("user={}&password={}", encoded(user), encoded(PASSWORD));
    let answer = ask(world, request(Method::POST, "/login", "", &form)).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert!(answer.cookie.contains("HttpOnly") && answer.cookie.contains("SameSite=Strict") && answer.cookie.contains("Secure"));
    answer.cookie.split(';').next().unwrap().to_string()
}

/// Who may see what: path, and the least role for GET.
const PAGES: [(&str, Role); 12] = [
    ("/doctor", Role::Owner),
    ("/home", Role::Owner),
    ("/people", Role::Owner),
    ("/domains", Role::Owner),
    ("/queue", Role::Owner),
    ("/find?q=x", Role::Owner),
    ("/programs", Role::Worker),
    ("/login", Role::Nobody),
    ("/", Role::Nobody),
    ("/health", Role::Nobody),
    ("/mail/config-v1.1.xml?emailaddress=ann@box.test", Role::Nobody),
    ("/.well-known/autoconfig/mail/config-v1.1.xml", Role::Nobody),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_in_every_role_and_method() {
    let world = world().await;
    let cookies = [
        (Role::Nobody, String::new()),
        (Role::Worker, cookie(&world, Role::Worker).await),
        (Role::Owner, cookie(&world, Role::Owner).await),
    ];
    for (path, least) in PAGES {
        for (role, cookie) in &cookies {
            let answer = ask(&world, request(Method::GET, path, cookie, "")).await;
            let may = (*role as u8) >= (least as u8);
            let expected = match (may, role) {
                (true, _) if answer.status == StatusCode::SEE_OTHER => matches!(path, "/" | "/login"),
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
    // Forms that change something: without a session, with another's, and without the token of the page.
    let forms = [
        ("/people", "address=cy@box.test"),
        ("/queue", "number=1.0&order=remove"),
        ("/logout", ""),
        ("/doctor", "address=x@a.test"),
        ("/programs/device", "name=x"),
        ("/programs/password", "old=x&new=1234567890"),
    ];
    for (path, form) in forms {
        for (role, cookie) in &cookies {
            let answer = ask(&world, request(Method::POST, path, cookie, form)).await;
            let sent_away = answer.status == StatusCode::SEE_OTHER && answer.location == "/login";
            assert!(answer.status == StatusCode::FORBIDDEN || *role == Role::Nobody && sent_away, "POST {path} as {role:?}: {}", answer.status);
        }
    }
    assert_eq!(world.context.store.read(|r| r.accounts()).unwrap().len(), 2);
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
    let token = home.body.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_string();
    assert_eq!(ask(&world, request(Method::POST, "/logout", &fresh, &format!("token={token}"))).await.location, "/login");
    assert_eq!(ask(&world, request(Method::GET, "/home", &fresh, "")).await.location, "/login");
    // A new password signs everybody out.
    let again = cookie(&world, Role::Owner).await;
    let hash = tokio::task::block_in_place(|| hash::password("another long one").unwrap());
    world.context.store.change(Change::SetPassword { address: ANN.into(), hash, at: clock::now() }).done().await.unwrap();
    assert_eq!(ask(&world, request(Method::GET, "/home", &again, "")).await.location, "/login");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_compared_with_what_should_be() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    world.zone.mx("box.test", 10, "box.test");
    world.zone.txt("box.test", "v=spf1 include:elsewhere.test -all");
    let body = ask(&world, request(Method::GET, "/domains", &owner, "")).await.body;
    assert!(!body.contains(">right<") && !body.contains(">missing<"), "nothing is claimed that was not looked at");
    let body = ask(&world, request(Method::GET, "/domains?check=now", &owner, "")).await.body;
    assert!(body.contains(">right<") && body.contains(">different<") && body.contains(">missing<"), "{body}");
    assert!(body.contains("v=spf1 include:elsewhere.test -all"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_shows_the_way_and_sends_nothing() {
    use crate::outbound::tests::peer::Script;
    let world = world().await;
    let script = Script { recipients: vec![("no@a.test", "550 5.1.1 unknown")], ..Script::default() };
    let peer = world.server("a.test", 1, 10, vec![script]).await;
    let owner = cookie(&world, Role::Owner).await;
    let page = ask(&world, request(Method::GET, "/doctor", &owner, "")).await.body;
    let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_string();
    let examine = async |address: &str| {
        let form = format!("token={token}&address={}", encoded(address));
        ask(&world, request(Method::POST, "/doctor", &owner, &form)).await.body
    };
    let page = examine("yes@a.test").await;
    assert!(page.contains("mx1.test said: 250 2.1.5 ok") && page.contains("EHLO box.test") && !page.contains("trouble"), "{page}");
    let page = examine("no@a.test").await;
    assert!(page.contains("550 5.1.1 unknown") && page.contains("does not exist"), "{page}");
    assert!(examine("x@nowhere.test").await.contains("does not exist on the internet"));
    assert!(peer.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_passwords_are_the_persons_own_business() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let page = ask(&world, request(Method::GET, "/programs", &bob, "")).await.body;
    let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_string();
    let form = format!("token={token}&name=Reception+PC");
    let page = ask(&world, request(Method::POST, "/programs/device", &bob, &form)).await.body;
    let password = page.split("<code class=\"big\">").last().unwrap().split('<').next().unwrap().to_string();
    // A device's password opens its program, not the web.
    let form = format!("user={}&password={}", encoded(BOB), encoded(&password));
    let answer = ask(&world, request(Method::POST, "/login", "", &form)).await;
    assert!(answer.status == StatusCode::FORBIDDEN && answer.body.contains("mail program"));
    let page = ask(&world, request(Method::POST, "/programs/device", &bob, &format!("token={token}&remove=1"))).await.body;
    assert!(page.contains("None yet."));
    let change = |old: &str, new: &str| request(Method::POST, "/programs/password", &bob, &format!("token={token}&old={}&new={}", encoded(old), encoded(new)));
    assert_eq!(ask(&world, change("wrong", "a new long one")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask(&world, change(PASSWORD, "short")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(ask(&world, change(PASSWORD, "a new long one")).await.status, StatusCode::SEE_OTHER);
    // The session from before is over.
    assert_eq!(ask(&world, request(Method::GET, "/programs", &bob, "")).await.location, "/login");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_programs_find_their_settings_and_names_stay_in_their_place() {
    let world = world().await;
    let answer = ask(&world, request(Method::GET, "/mail/config-v1.1.xml?emailaddress=x@evil%22%3E.example", "", "")).await;
    assert!(answer.body.contains("<emailProvider id=\"box.test\">") && answer.body.contains("%EMAILADDRESS%"));
    let owner = cookie(&world, Role::Owner).await;
    let answer = ask(&world, request(Method::GET, "/find?q=%3Cscript%3Ealert(1)%3C/script%3E", &owner, "")).await;
    assert!(!answer.body.contains("<script>alert"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_stay_quick_with_much_mail_and_a_long_queue() {
    let world = world().await;
    let recipients: Vec<String> = (0..1000).map(|n| format!("r{n}@d{}.test", n % 97)).collect();
    tokio::task::block_in_place(|| (0..10).for_each(|_| world.enqueue_at(&recipients, world.at() + 1000)));
    let owner = cookie(&world, Role::Owner).await;
    for path in ["/home", "/queue", "/find?q=r5@d5.test"] {
        let answer = ask(&world, request(Method::GET, path, &owner, "")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body.len() < 100_000, "{path} has {} octets", answer.body.len());
    }
}
