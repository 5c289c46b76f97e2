//! Every route in every role, and the gates before them.

mod mail;

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
    peopled(World::new().await).await
}

async fn peopled(world: World) -> World {
    let store = &world.context.store;
    tokio::task::block_in_place(|| {
        let hash = hash::password(PASSWORD).unwrap();
        store.change(Change::SetPassword { address: ANN.into(), hash: hash.clone(), at: clock::now() }).wait().unwrap();
        let bob = Change::AddAccount { address: BOB.into(), name: String::new(), hash, policy: MailboxPolicy::Keep, at: clock::now() };
        store.change(bob).wait().unwrap();
        for address in [ANN, BOB] {
            deliver(&world, address, MESSAGE);
        }
    });
    world
}

const MESSAGE: &str = "From: Cy <cy@a.test>\r\nTo: ann@box.test\r\nCc: dee@a.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@a.test>\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>hello <b>you</b><script>alert(1)</script><img src=\"https://evil.test/p\"></p>\r\n\
    --b\r\nContent-Type: application/pdf; name=\"../offer.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--b--\r\n";

/// Puts a message into somebody's inbox. Blocks.
fn deliver(world: &World, address: &str, content: &str) {
    use pillarbox_store::{Delivery, Fate, Flags, FolderId, LedgerRecord, Placement, ShortCode};
    let store = &world.context.store;
    let account = store.read(|r| r.account(address)).unwrap().unwrap().0;
    let mut spool = store.spool();
    spool.append(content.as_bytes()).unwrap();
    let placement = Placement { account, folder: FolderId::INBOX, flags: Flags::default() };
    let record = LedgerRecord::new(clock::now(), Fate::Delivered, ShortCode(9));
    store.deliver(Delivery::local(spool.finish().unwrap(), 0, vec![placement], record)).wait().unwrap();
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

fn least_of(path: &str) -> &'static Role {
    &PAGES.iter().find(|(page, _)| *page == path).unwrap().1
}

/// The form token of a page.
fn token_in(page: &str) -> String {
    page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_string()
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
    // Answers that go on and on are read for a moment.
    let is_endless = text(header::CONTENT_TYPE) == "text/event-stream";
    let body = if is_endless { Default::default() } else { axum::body::to_bytes(body, 1 << 20).await.unwrap() };
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

/// Who may see what: path, and the least role for GET. The test below holds it against the router itself.
const PAGES: [(&str, Role); 54] = [
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
    let routes = include_str!("../mod.rs").split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
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
                (true, _) if *least_of(path) == Role::Nobody => answer.status == StatusCode::OK || answer.status.is_client_error(),
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
    world.zone.silence("_dmarc.box.test");
    let body = ask(&world, request(Method::GET, "/domains", &owner, "")).await.body;
    assert!(!body.contains(">right<") && !body.contains(">missing<"), "nothing is claimed that was not looked at");
    let body = ask(&world, request(Method::GET, "/domains?check=now", &owner, "")).await.body;
    assert!(body.contains(">right<") && body.contains(">different<") && body.contains(">missing<") && body.contains(">could not be looked up<"), "{body}");
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
    let token = token_in(&page);
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
    let token = token_in(&page);
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

/// An ask that posts a form with the session's token.
async fn post(world: &World, path: &str, cookie: &str, form: &str) -> Answer {
    let page = ask(world, request(Method::GET, "/security", cookie, "")).await.body;
    ask(world, request(Method::POST, path, cookie, &format!("token={}&{form}", token_in(&page)))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_set_up_is_left_and_taken_up_again_where_it_was() {
    let world = World::empty().await;
    world.context.prepare_claim().unwrap();
    let code = world.context.claim_code().unwrap();
    assert_eq!(ask(&world, request(Method::GET, "/", "", "")).await.location, "/setup");
    let form = |code: &str| format!("code={code}&domain=box.test&local=ann&name=Ann&password={}", encoded(PASSWORD));
    assert_eq!(ask(&world, request(Method::POST, "/setup", "", &form("0000000"))).await.status, StatusCode::BAD_REQUEST);
    let claimed = ask(&world, request(Method::POST, "/setup", "", &form(&code.to_lowercase()))).await;
    let owner = claimed.cookie.split(';').next().unwrap().to_string();
    assert_eq!((claimed.status, world.context.claim_code()), (StatusCode::SEE_OTHER, None));
    let start = async || ask(&world, request(Method::GET, "/", &owner, "")).await.location;
    assert_eq!(start().await, "/name");
    assert_eq!(post(&world, "/name", &owner, "name=not+a+name").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post(&world, "/name", &owner, "name=Mail.Box.test").await.location, "/line");
    assert_eq!(world.context.settings().config.hostname(), "mail.box.test");
    assert!(world.context.certificates.facts().names("mail.box.test"));
    assert_eq!(post(&world, "/setup/next", &owner, "step=line").await.location, "/domains");
    // Another browser, another day: where it was left.
    let again = cookie(&world, Role::Owner).await;
    assert_eq!(ask(&world, request(Method::GET, "/", &again, "")).await.location, "/domains");
    let page = ask(&world, request(Method::GET, "/domains", &again, "")).await.body;
    assert!(page.contains("class=\"wizard\"") && page.contains("mail.box.test."));
    for (step, next) in [("dns", "/certificate"), ("certificate", "/people"), ("people", "/round"), ("test", "/home")] {
        assert_eq!(post(&world, "/setup/next", &again, &format!("step={step}")).await.location, next);
    }
    assert_eq!(start().await, "/home");
    assert!(!ask(&world, request(Method::GET, "/domains", &again, "")).await.body.contains("class=\"wizard\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_is_examined_and_a_provider_is_kept_only_when_it_works() {
    use crate::outbound::tests::peer::Script;
    let world = world().await;
    world.change_config(|config| {
        config.line.probes = vec!["big.test".into()];
        config.line.lists = vec!["list.test".into(), "dialup.test".into(), "broken.test".into()];
    });
    let owner = cookie(&world, Role::Owner).await;
    let look = async || ask(&world, request(Method::GET, "/line?check=now", &owner, "")).await.body;
    assert!(look().await.contains("Send through a provider: directly"), "nobody answers on port 25");
    let script = Script { abilities: vec!["PIPELINING", "XSEEN [203.0.113.9]"], ..Script::default() };
    let _big = world.server("big.test", 1, 10, vec![script.clone(), script.clone(), script]).await;
    world.zone.pointer("9.113.0.203.in-addr.arpa", "mail.box.test");
    world.zone.address("mail.box.test", "203.0.113.9".parse().unwrap());
    world.context.outbound.dns.clear_cache();
    let page = look().await;
    assert!(page.contains("Your line is fit for sending directly") && page.contains("203.0.113.9") && page.contains("mail.box.test"), "{page}");
    world.zone.address("9.113.0.203.dialup.test", "127.0.0.11".parse().unwrap());
    world.zone.address("9.113.0.203.broken.test", "127.255.255.254".parse().unwrap());
    world.context.outbound.dns.clear_cache();
    let page = look().await;
    assert!(page.contains("list of lines that should not send") && page.contains("broken.test"), "{page}");
    // A provider that nobody answers for is not kept.
    let form = "order=save&host=smtp.nowhere.test&port=2525&user=me&password=x&to=me@a.test";
    let page = post(&world, "/line", &owner, form).await;
    assert!(page.body.contains("nothing was changed") && world.context.store.read(|r| r.routes()).unwrap().is_empty(), "{}", page.body);
    assert_eq!(post(&world, "/line", &owner, "order=save&host=bad+host&user=me&password=x&to=me@a.test").await.status, StatusCode::BAD_REQUEST);
    let preset = ask(&world, request(Method::GET, "/line?preset=smtp.gmail.com", &owner, "")).await.body;
    assert!(preset.contains("value=\"smtp.gmail.com\"") && preset.contains("app password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_gives_a_new_password_once() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    let bob = cookie(&world, Role::Worker).await;
    let page = post(&world, "/people/bob@box.test", &owner, "order=link").await.body;
    let link = page.split("/welcome/").nth(1).unwrap().split('<').next().unwrap().to_string();
    let path = format!("/welcome/{link}");
    assert!(ask(&world, request(Method::GET, &path, "", "")).await.body.contains(BOB));
    assert_eq!(ask(&world, request(Method::POST, &path, "", "password=short")).await.status, StatusCode::BAD_REQUEST);
    let chosen = ask(&world, request(Method::POST, &path, "", "password=bobs+own+words")).await;
    assert_eq!((chosen.status, chosen.location.as_str()), (StatusCode::SEE_OTHER, "/"));
    // The old session is over, the link is used up, and nobody else's link is made of it.
    assert_eq!(ask(&world, request(Method::GET, "/programs", &bob, "")).await.location, "/login");
    assert_eq!(ask(&world, request(Method::POST, &path, "", "password=somebody+elses")).await.status, StatusCode::NOT_FOUND);
    let form = format!("user={}&password=bobs+own+words", encoded(BOB));
    assert_eq!(ask(&world, request(Method::POST, "/login", "", &form)).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_changed_and_removed_with_care() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    let page = post(&world, "/people", &owner, "address=cy&name=Cy&how=choose&password=short").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    let page = post(&world, "/people", &owner, "address=cy&name=Cy&how=make").await.body;
    assert!(page.contains("cy@box.test has a mailbox now") && page.contains("code class=\"big\""));
    assert!(post(&world, "/people/alias", &owner, "order=add&address=info&to=cy@box.test,bob@box.test").await.status.is_redirection());
    assert!(post(&world, "/people/alias", &owner, "order=add&address=*@box.test&to=ann").await.status.is_redirection());
    for wrong in ["address=info&to=nobody", "address=cy&to=bob", "address=x@other.test&to=bob", "address=y&to="] {
        assert_eq!(post(&world, "/people/alias", &owner, &format!("order=add&{wrong}")).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let list = ask(&world, request(Method::GET, "/people", &owner, "")).await.body;
    assert!(list.contains("*@box.test") && list.contains("info@box.test"));
    let saved = post(&world, "/people/cy@box.test", &owner, "order=save&name=Cyril&policy=trash&days=7").await.body;
    assert!(saved.contains("value=\"Cyril\"") && saved.contains("value=\"7\""));
    assert_eq!(post(&world, "/people/cy@box.test", &owner, "order=remove&confirm=bob@box.test").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post(&world, "/people/ann@box.test", &owner, "order=remove&confirm=ann@box.test").await.status, StatusCode::BAD_REQUEST);
    assert!(post(&world, "/people/cy@box.test", &owner, "order=remove&confirm=CY@box.test").await.status.is_redirection());
    assert_eq!(ask(&world, request(Method::GET, "/people/cy@box.test", &owner, "")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_asked_for_and_programs_need_their_own_passwords() {
    use crate::auth::{Verdict, factor};
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let page = post(&world, "/security", &bob, "order=offer").await.body;
    let sealed = page.split("name=\"sealed\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_string();
    let wrong = post(&world, "/security", &bob, &format!("order=confirm&sealed={sealed}&code=000000")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    // Another's sealed secret is nobody else's.
    let owner = cookie(&world, Role::Owner).await;
    assert_eq!(post(&world, "/security", &owner, &format!("order=confirm&sealed={sealed}&code=000000")).await.status, StatusCode::FORBIDDEN);
    let octets: Vec<u8> = (0..sealed.len() / 2).map(|n| u8::from_str_radix(&sealed[2 * n..2 * n + 2], 16).unwrap()).collect();
    let account = world.context.store.read(|r| r.account(BOB)).unwrap().unwrap().0;
    let secret = world.context.outbound.secrets.open_sealed(&format!("offer:{}", account.0), &octets).unwrap();
    let code = |step: u64| (0..1_000_000).map(|n| format!("{n:06}")).find(|code| factor::step_of(&secret, code, step - 1, step * 30) == Some(step)).unwrap();
    let step = clock::now() / 30;
    let page = post(&world, "/security", &bob, &format!("order=confirm&sealed={sealed}&code={}", code(step))).await.body;
    let recovery = page.split("<li><code class=\"big\">").nth(1).unwrap().split('<').next().unwrap().to_string();
    // Now the password alone opens nothing.
    let form = format!("user={}&password={}", encoded(BOB), encoded(PASSWORD));
    let half = async || ask(&world, request(Method::POST, "/login", "", &form)).await;
    let answer = half().await;
    assert!(answer.cookie.is_empty() && answer.body.contains("name=\"pending\""));
    let pending = answer.body.split("name=\"pending\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_string();
    let try_code = async |pending: &str, code: &str| ask(&world, request(Method::POST, "/login/code", "", &format!("pending={pending}&code={code}"))).await;
    assert_eq!(try_code(&pending, &code(step)).await.status, StatusCode::FORBIDDEN, "the code that switched it on is used up");
    assert_eq!(try_code("nonsense", "000000").await.status, StatusCode::FORBIDDEN);
    let inside = try_code(&pending, &recovery).await;
    assert!(inside.status.is_redirection() && !inside.cookie.is_empty());
    assert_eq!(try_code(&pending, &recovery).await.status, StatusCode::FORBIDDEN);
    // Five wrong codes end the half sign-in.
    let pending = half().await.body.split("name=\"pending\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_string();
    for _ in 0..5 {
        assert!(try_code(&pending, "111111").await.body.contains("That code is wrong"));
    }
    assert!(try_code(&pending, "111111").await.body.contains("too many wrong codes"));
    let program = world.context.verify("pop3", BOB, PASSWORD, "192.168.1.9".parse().unwrap()).await;
    assert!(matches!(program, Verdict::Denied(text) if text.contains("password for this program")));
    let page = ask(&world, request(Method::GET, "/security", &bob, "")).await.body;
    assert!(page.contains("7 recovery codes are left"), "{page}");
    assert_eq!(post(&world, "/security", &bob, "order=off&password=wrong").await.status, StatusCode::FORBIDDEN);
    assert!(post(&world, "/security", &bob, &format!("order=off&password={}", encoded(PASSWORD))).await.status.is_redirection());
    assert!(half().await.status.is_redirection());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coach_tells_a_person_what_their_program_did() {
    use crate::history::What;
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let (near, far) = ("192.168.1.5".parse().unwrap(), "192.168.1.77".parse().unwrap());
    world.context.note(near, "pop3s", What::Connected, "", "");
    world.context.verify("pop3", "bob", "x", far).await;
    world.context.verify("submission", BOB, "<wrong>", far).await;
    world.context.note(far, "pop3s", What::TlsFailed, "", "");
    let page = ask(&world, request(Method::GET, "/coach", &bob, "")).await.body;
    assert!(page.contains("POP3, port 995") && page.contains("full address") && page.contains("was wrong"));
    assert!(!page.contains("broke the encryption off"), "somebody else's machine");
    // And it is in the history of sign-ins, which nobody waits for: one more write, and it is there.
    world.context.store.change(Change::SetSetting { key: "x".into(), value: None }).done().await.unwrap();
    let page = ask(&world, request(Method::GET, "/security", &bob, "")).await.body;
    assert!(page.contains("192.168.1.77") && page.contains("refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_servers_find_what_they_ask_for() {
    let world = world().await;
    let pox = "<Autodiscover><Request><EMailAddress>ann@box.test</EMailAddress></Request></Autodiscover>";
    let mut outlook = request(Method::POST, "/autodiscover/autodiscover.xml", "", pox);
    outlook.headers_mut().remove(header::ORIGIN);
    let answer = ask_from(&world, "203.0.113.9", outlook).await;
    assert!(answer.status == StatusCode::OK && answer.body.contains("<LoginName>ann@box.test</LoginName>"), "{}", answer.body);
    let json = ask(&world, request(Method::GET, "/autodiscover/autodiscover.json?Email=a@box.test&Protocol=AutodiscoverV1", "", "")).await;
    assert!(json.body.contains("\"Protocol\":\"AutodiscoverV1\""));
    let bob = cookie(&world, Role::Worker).await;
    let profile = ask(&world, request(Method::GET, "/programs/pillarbox.mobileconfig", &bob, "")).await;
    assert!(profile.body.contains("<string>bob@box.test</string>") && profile.headers["content-type"].to_str().unwrap().contains("aspen"));
    // No policy is promised with a certificate that others don't believe.
    let policy = |host: &'static str| {
        let mut request = request(Method::GET, "/.well-known/mta-sts.txt", "", "");
        request.headers_mut().insert(header::HOST, axum::http::HeaderValue::from_static(host));
        request
    };
    assert_eq!(ask(&world, policy("mta-sts.box.test")).await.status, StatusCode::NOT_FOUND);
    world.install_certificate(&["box.test"]);
    let answer = ask_from(&world, "203.0.113.9", policy("mta-sts.box.test")).await;
    assert!(answer.body.contains("mode: enforce\r\nmx: box.test\r\n"), "{}", answer.body);
    assert_eq!(ask(&world, policy("box.test")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_the_pages_are_under_tls_only() {
    let world = world().await;
    let plain = async |path: &str, host: &'static str| {
        let mut request = request(Method::GET, path, "", "");
        request.headers_mut().insert(header::HOST, axum::http::HeaderValue::from_static(host));
        request.extensions_mut().insert(Link { peer: "192.168.1.5".parse().unwrap(), is_secure: false });
        let answer = super::router(world.context.clone()).oneshot(request).await.unwrap();
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

/// A form as browsers send files.
fn multipart(path: &str, cookie: &str, fields: &[(&str, &str)], files: &[(&str, &str)]) -> Request<Body> {
    let mut body = String::new();
    for (name, value) in fields {
        body.push_str(&format!("--BB\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    for (name, content) in files {
        body.push_str(&format!("--BB\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain\r\n\r\n{content}\r\n"));
    }
    body.push_str("--BB--\r\n");
    let mut request = request(Method::POST, path, cookie, &body);
    request.headers_mut().insert(header::CONTENT_TYPE, axum::http::HeaderValue::from_static("multipart/form-data; boundary=BB"));
    request
}

/// The program that does what needs root, on a folder that stands for the system.
fn machine(world: &World) -> tempfile::TempDir {
    use pillarbox_host::Caller;
    use pillarbox_host::serve::{System, serve};
    let root = tempfile::tempdir().unwrap();
    let (socket, folder) = (root.path().join("privop.sock"), root.path().to_path_buf());
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve(&stream, &stream, Some(Caller::Server), &System::rehearsed(&folder)).unwrap();
        }
    });
    world.change_config(|config| (config.privop, config.updates) = (socket.clone(), root.path().to_path_buf()));
    root
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_is_changed_and_the_new_address_confirmed_where_it_is() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    assert!(ask(&world, request(Method::GET, "/network", &owner, "")).await.body.contains("not in its own box"));
    let root = machine(&world);
    let read = |name: &str| std::fs::read_to_string(root.path().join("data/system").join(name)).ok();
    let page = ask(&world, request(Method::GET, "/network", &owner, "")).await.body;
    assert!(page.contains("Use this address") && !page.contains("Yes, keep it"), "{page}");
    let wrong = post(&world, "/network", &owner, "order=cable&address=192.168.1.7/24&gateway=10.0.0.1").await;
    assert!(
        wrong.status == StatusCode::BAD_REQUEST && wrong.body.contains("must be another address") && wrong.body.contains("value=\"192.168.1.7/24\""),
        "{}",
        wrong.body
    );
    assert!(read("network/10-owner.network").is_none());
    let page = post(&world, "/network", &owner, "order=cable&address=192.168.1.7/24&gateway=192.168.1.1&servers=9.9.9.9").await.body;
    assert!(page.contains("http://192.168.1.7/network") && page.contains("unless you confirm") && !page.contains("Yes, keep it"), "{page}");
    assert!(read("network/10-owner.network").unwrap().contains("Address=192.168.1.7/24"));
    // From the old address nothing is confirmed: that the page is seen here says nothing about there.
    let early = post(&world, "/network", &owner, "order=confirm").await;
    assert!(early.status == StatusCode::CONFLICT && read("network/10-owner.before").is_some(), "{}", early.body);
    let at = |method, body: &str| {
        let mut request = request(method, "/network", &owner, body);
        request.headers_mut().insert(header::HOST, axum::http::HeaderValue::from_static("192.168.1.7"));
        request.headers_mut().insert(header::ORIGIN, axum::http::HeaderValue::from_static("http://192.168.1.7"));
        request
    };
    let page = ask(&world, at(Method::GET, "")).await.body;
    assert!(page.contains("Yes, keep it"), "{page}");
    let kept = ask(&world, at(Method::POST, &format!("order=confirm&token={}", token_in(&page)))).await;
    assert!(kept.body.contains("The new address stays") && !kept.body.contains("Yes, keep it"), "{}", kept.body);
    assert!(read("network/10-owner.before").is_none() && read("network/10-owner.network").is_some());
    assert!(post(&world, "/network", &owner, "order=wireless&ssid=Caf%C3%A9&password=eight+%22letters%22&country=de").await.body.contains("joins the Wi-Fi"));
    assert!(read("wifi.conf").unwrap().contains("country=DE\nnetwork={\n  ssid=436166c3a9\n  psk=\"eight \"letters\"\"\n"));
    assert!(post(&world, "/network", &owner, "order=name&name=Post").await.body.contains("has its new name") && read("hostname").as_deref() == Some("post\n"));
    assert!(
        post(&world, "/network", &owner, "order=zone&zone=Europe/Berlin").await.body.contains("time zone is set")
            && read("zone").as_deref() == Some("Europe/Berlin\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_is_asked_for_updates_and_restarts() {
    let world = world().await;
    let owner = cookie(&world, Role::Owner).await;
    let page = ask(&world, request(Method::GET, "/system", &owner, "")).await.body;
    assert!(page.contains("not in its own box") && !page.contains("Switch it off"), "{page}");
    let root = machine(&world);
    // What knows the two systems does not answer here, as it does not in a box's first seconds.
    let page = ask(&world, request(Method::GET, "/system", &owner, "")).await.body;
    assert!(page.contains("Switch it off") && page.contains("not known at the moment"), "{page}");
    assert!(post(&world, "/system", &owner, "order=restart").await.body.contains("The box restarts"));
    // An update that was not kept is told of, until that was seen.
    assert!(!page.contains("was not kept"));
    std::fs::write(root.path().join("fell-back"), "pillarbox-9\nmail does not work here: <no answer>\n").unwrap();
    let page = ask(&world, request(Method::GET, "/system", &owner, "")).await.body;
    assert!(page.contains("An update was not kept") && page.contains("pillarbox-9") && page.contains("&#60;no answer&#62;"), "{page}");
    assert!(ask(&world, request(Method::GET, "/home", &owner, "")).await.body.contains("tried and not kept"));
    assert!(!post(&world, "/system", &owner, "order=seen").await.body.contains("was not kept"));
    assert!(!ask(&world, request(Method::GET, "/home", &owner, "")).await.body.contains("tried and not kept"));
    // A reset needs the owner's own address, typed.
    assert_eq!(post(&world, "/system", &owner, "order=reset&confirm=yes").await.status, StatusCode::BAD_REQUEST);
    assert!(!root.path().join("data/system/reset").exists());
    assert!(post(&world, "/system", &owner, "order=reset&confirm=ANN@box.test").await.body.contains("is empty then"));
    assert!(root.path().join("data/system/reset").exists());
    let token = token_in(&ask(&world, request(Method::GET, "/system", &owner, "")).await.body);
    let send = async |name: &str, token: &str| ask(&world, multipart("/system/update", &owner, &[("token", token)], &[(name, "bundle")])).await;
    assert!(send("pillarbox-2.raucb", &token).await.body.contains("The update is installed"));
    assert!(!root.path().join("pillarbox-2.raucb").exists(), "what was installed takes no room");
    assert!(send("../evil.img", &token).await.body.contains("was not installed"));
    assert_eq!(send("pillarbox-2.raucb", "x").await.status, StatusCode::FORBIDDEN);
    assert!(!root.path().join("pillarbox-2.raucb").exists());
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
