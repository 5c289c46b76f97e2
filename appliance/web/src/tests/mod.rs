//! The pages as browsers ask for them: what all these tests share.

mod card;
mod factor;
mod gates;
mod hostile;
mod machine;
mod mail;
mod owner;
mod person;
mod programs;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use pillarbox_platform::clock;
use pillarbox_store::{AddAccount, MailboxPolicy, SetPassword};
use tower::ServiceExt;

use super::router;
use super::serve::Link;
use crate::Site;
use pillarbox_office::auth::hash;
use pillarbox_office::world::{self, ANN};

const PASSWORD: &str = "correct horse battery";
const BOB: &str = "bob@box.test";

/// A box with its pages.
struct World {
    site: Site,
    inner: world::World,
}

impl std::ops::Deref for World {
    type Target = world::World;
    fn deref(&self) -> &world::World {
        &self.inner
    }
}

impl World {
    fn around(inner: world::World) -> World {
        World { site: Site::new(inner.office.clone()), inner }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Nobody,
    Worker,
    Owner,
}

/// A box with an owner (Ann) and a worker (Bob), both with the same password.
async fn world() -> World {
    peopled(World::around(world::World::new().await)).await
}

async fn peopled(world: World) -> World {
    let store = &world.office.store;
    tokio::task::block_in_place(|| {
        let hash = hash::password(PASSWORD).unwrap();
        store
            .change(SetPassword { address: ANN.into(), hash: hash.clone(), at: clock::now() })
            .wait()
            .unwrap();
        let bob = AddAccount {
            address: BOB.into(),
            name: String::new(),
            hash,
            policy: MailboxPolicy::Keep,
            at: clock::now(),
        };
        store.change(bob).wait().unwrap();
        for address in [ANN, BOB] {
            deliver(&world, address, MESSAGE);
        }
    });
    world
}

const MESSAGE: &str = "From: Cy <cy@a.test>\r\nTo: ann@box.test\r\nCc: dee@a.test\r\n\
    Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@a.test>\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n\
    <p>hello <b>you</b><script>alert(1)</script><img src=\"https://evil.test/p\"></p>\r\n\
    --b\r\nContent-Type: application/pdf; name=\"../offer.pdf\"\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--b--\r\n";

/// Puts a message into somebody's inbox.
/// Blocks.
fn deliver(world: &World, address: &str, content: &str) {
    use pillarbox_store::{Delivery, Fate, Flags, FolderId, LedgerRecord, Placement, ShortCode};
    let store = &world.office.store;
    let account = store.read(|r| r.account(address)).unwrap().unwrap().0;
    let mut spool = store.spool();
    spool.append(content.as_bytes()).unwrap();
    let placement = Placement { account, folder: FolderId::INBOX, flags: Flags::default() };
    let record = LedgerRecord::new(clock::now(), Fate::Delivered, ShortCode(9));
    store
        .deliver(Delivery::local(spool.finish().unwrap(), 0, vec![placement], record))
        .wait()
        .unwrap();
}

fn request(method: Method, path: &str, cookie: &str, form: &str) -> Request<Body> {
    let mut builder =
        Request::builder().method(method.clone()).uri(path).header(header::HOST, "box.test");
    if method == Method::POST {
        builder = builder
            .header(header::ORIGIN, "https://box.test")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    if !cookie.is_empty() {
        builder = builder.header(header::COOKIE, cookie);
    }
    builder.body(Body::from(form.to_string())).unwrap()
}

/// What a hidden field of a page's form holds.
fn hidden_in(page: &str, name: &str) -> String {
    page.split(&format!("name=\"{name}\" value=\""))
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_string()
}

/// The form token of a page.
fn token_in(page: &str) -> String {
    hidden_in(page, "token")
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
    let answer = router(world.site.clone()).oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let text = |name| {
        parts
            .headers
            .get(name)
            .and_then(|v: &axum::http::HeaderValue| v.to_str().ok())
            .unwrap_or_default()
            .to_string()
    };
    // Answers that go on and on are read for a moment.
    let is_endless = text(header::CONTENT_TYPE) == "text/event-stream";
    let body = if is_endless {
        Default::default()
    } else {
        axum::body::to_bytes(body, 1 << 20).await.unwrap()
    };
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
    text.bytes()
        .map(
            |b| {
                if b.is_ascii_alphanumeric() {
                    (b as char).to_string()
                } else {
                    format!("%{b:02X}")
                }
            },
        )
        .collect()
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
    assert!(
        answer.cookie.contains("HttpOnly")
            && answer.cookie.contains("SameSite=Strict")
            && answer.cookie.contains("Secure")
    );
    answer.cookie.split(';').next().unwrap().to_string()
}

/// An ask that posts a form with the session's token.
async fn post(world: &World, path: &str, cookie: &str, form: &str) -> Answer {
    let page = ask(world, request(Method::GET, "/security", cookie, "")).await.body;
    ask(world, request(Method::POST, path, cookie, &format!("token={}&{form}", token_in(&page))))
        .await
}

/// The browser of somebody who is signed in.
struct Browser<'a> {
    world: &'a World,
    cookie: String,
}

impl Browser<'_> {
    async fn of(world: &World, role: Role) -> Browser<'_> {
        Browser { world, cookie: cookie(world, role).await }
    }

    async fn get(&self, path: &str) -> Answer {
        ask(self.world, request(Method::GET, path, &self.cookie, "")).await
    }

    /// The body of a page.
    async fn page(&self, path: &str) -> String {
        self.get(path).await.body
    }

    /// Posts a form with the session's token.
    async fn post(&self, path: &str, form: &str) -> Answer {
        post(self.world, path, &self.cookie, form).await
    }

    /// Sends a form with files; the token is among the fields.
    async fn send(&self, path: &str, fields: &[(&str, &str)], files: &[(&str, &str)]) -> Answer {
        ask(self.world, multipart(path, &self.cookie, fields, files)).await
    }
}

/// A form as browsers send files.
fn multipart(
    path: &str,
    cookie: &str,
    fields: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Request<Body> {
    let mut body = String::new();
    for (name, value) in fields {
        body.push_str(&format!(
            "--BB\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    for (name, content) in files {
        body.push_str(&format!(
            "--BB\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
            Content-Type: text/plain\r\n\r\n{content}\r\n"
        ));
    }
    body.push_str("--BB--\r\n");
    let mut request = request(Method::POST, path, cookie, &body);
    request.headers_mut().insert(
        header::CONTENT_TYPE,
        axum::http::HeaderValue::from_static("multipart/form-data; boundary=BB"),
    );
    request
}
