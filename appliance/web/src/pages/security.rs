//! Who is signed in as me, how I prove that it is me, and who tried.

use std::time::Instant;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_platform::clock;
use pillarbox_store::{Error, RemoveSession, ReplaceFactor, Service, SetFactor};
use serde::Deserialize;

use crate::frame::{Frame, page, stale, trouble};
use crate::session::{Person, Visit, Visitor, hex};
use crate::signed::Signed;
use crate::svg;
use pillarbox_office::auth::{self, factor};

/// Sign-ins shown.
const SIGN_INS: usize = 30;
/// Those who wait, shown to the owner.
const WAITING: usize = 50;

#[derive(Template)]
#[template(path = "security.html")]
struct SecurityPage {
    frame: Frame,
    sessions: Vec<Session>,
    sign_ins: Vec<SignedIn>,
    waiting: Vec<auth::Waiting>,
    is_owner: bool,
    /// Recovery codes left; `None` without a second factor.
    factor: Option<u64>,
    /// A factor that is being set up: its secret for typing, as a picture, and sealed for the form.
    offer: Option<Offer>,
    /// Recovery codes: shown once.
    codes: Vec<String>,
}

struct Session {
    key: String,
    agent: String,
    seen: String,
    is_this: bool,
}

struct SignedIn {
    at: String,
    peer: String,
    service: String,
    device: String,
    is_accepted: bool,
}

struct Offer {
    text: String,
    qr: String,
    sealed: String,
}

pub async fn show(Person(visit, visitor): Person) -> Response {
    answer(
        &visit,
        &visitor,
        StatusCode::OK,
        Frame::new(&visit, "/security", "security-title"),
        None,
        Vec::new(),
    )
    .await
}

async fn answer(
    visit: &Visit,
    visitor: &Visitor,
    status: StatusCode,
    frame: Frame,
    offer: Option<Offer>,
    codes: Vec<String>,
) -> Response {
    let (account, own) = (visitor.account, visitor.key.clone());
    let read = visit.office.store.read_off_thread(move |r| {
        Ok((r.sessions()?, r.sign_ins(account, SIGN_INS)?, r.factor(account)?))
    });
    let (sessions, sign_ins, known) = match read.await {
        Ok(read) => read,
        Err(error) => return trouble(visit, &error),
    };
    let (t, now) = (visit.texts, clock::now());
    let mine = sessions.into_iter().filter(|(_, session)| session.account == account);
    let mut sessions: Vec<Session> = mine
        .map(|(key, s)| Session {
            is_this: key == own,
            agent: browser(&s.agent),
            seen: t.moment(s.seen, now),
            key,
        })
        .collect();
    sessions.sort_by_key(|session| !session.is_this);
    let sign_ins = sign_ins.into_iter().map(|(at, s)| SignedIn {
        at: t.moment(at, now),
        peer: s.peer.to_string(),
        service: t.get(&format!("service-{}", s.service.as_str())).into_owned(),
        device: if s.service == Service::Web { browser(&s.device) } else { s.device },
        is_accepted: s.is_accepted,
    });
    let mut waiting =
        if visitor.is_owner { visit.office.sign_ins.waiting(Instant::now()) } else { Vec::new() };
    waiting.truncate(WAITING);
    let shown = SecurityPage {
        frame,
        sessions,
        sign_ins: sign_ins.collect(),
        waiting,
        is_owner: visitor.is_owner,
        factor: known.map(|factor| factor.recovery.len() as u64),
        offer,
        codes,
    };
    page(status, &shown)
}

/// What a browser calls itself, in the two words that tell people something.
fn browser(agent: &str) -> String {
    let first = |known: &[(&'static str, &'static str)]| {
        known.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name)
    };
    let program = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program}, {system}"),
        (Some(only), None) | (None, Some(only)) => only.to_string(),
        (None, None) => agent.chars().take(40).collect(),
    }
}

/// What is done about browsers and the second factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wish {
    /// Signs one browser out.
    End,
    /// Signs all but this one out.
    EndOthers,
    /// Shows a new secret.
    Offer,
    /// The phone has the secret.
    Confirm,
    /// No second factor any more.
    Off,
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
pub struct Order {
    #[serde(default)]
    order: Wish,
    #[serde(default)]
    session: String,
    #[serde(default)]
    sealed: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    password: String,
}

/// What the sealed secret in the form is for: one account, so that it can't be used for another.
fn purpose(visitor: &Visitor) -> String {
    format!("offer:{}", visitor.account.0)
}

fn offer(
    visit: &Visit,
    visitor: &Visitor,
    secret: &[u8],
) -> Result<Offer, pillarbox_office::Error> {
    let sealed = visit.office.handles.secrets.seal(&purpose(visitor), secret)?;
    let url = factor::url(secret, &visitor.address);
    Ok(Offer {
        text: factor::text(secret),
        qr: svg::qr(&url, &visit.texts.get("factor-qr")),
        sealed: hex(&sealed),
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (text.len().is_multiple_of(2) && text.is_ascii()).then_some(())?;
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

pub async fn change(Signed(Person(visit, visitor), form): Signed<Person, Order>) -> Response {
    let frame = || Frame::new(&visit, "/security", "security-title");
    match form.order {
        Wish::End | Wish::EndOthers => end(&visit, &visitor, &form).await,
        Wish::Offer => match factor::generate().and_then(|secret| offer(&visit, &visitor, &secret))
        {
            Ok(offer) => {
                answer(&visit, &visitor, StatusCode::OK, frame(), Some(offer), Vec::new()).await
            }
            Err(error) => trouble(&visit, &error),
        },
        Wish::Confirm => confirm(&visit, &visitor, &form).await,
        Wish::Off => {
            // Somebody at an open browser must not take the lock off.
            let verdict = visit
                .office
                .sign_ins
                .verify(Service::Web, &visitor.address, &form.password, visit.link.peer)
                .await;
            // Nor somebody with a mail program's password: it opens mail and nothing else.
            if !verdict.is_ok_and(|identity| identity.account == visitor.account) {
                let frame = frame().trouble(visit.texts.get("login-wrong"));
                return answer(&visit, &visitor, StatusCode::FORBIDDEN, frame, None, Vec::new())
                    .await;
            }
            match visit
                .office
                .store
                .change(SetFactor { account: visitor.account, factor: None })
                .done()
                .await
            {
                Ok(_) => Redirect::to("/security").into_response(),
                Err(error) => trouble(&visit, &error),
            }
        }
        Wish::Unknown => Redirect::to("/security").into_response(),
    }
}

/// Signs browsers out: one, or all others.
async fn end(visit: &Visit, visitor: &Visitor, form: &Order) -> Response {
    let account = visitor.account;
    let sessions = match visit.office.store.read_off_thread(|r| r.sessions()).await {
        Ok(sessions) => sessions,
        Err(error) => return trouble(visit, &error),
    };
    let mine =
        sessions.into_iter().filter(|(_, session)| session.account == account).map(|(key, _)| key);
    let ended = mine.filter(|key| {
        if form.order == Wish::End { *key == form.session } else { *key != visitor.key }
    });
    for key in ended {
        if let Err(error) = visit.office.store.change(RemoveSession { key }).done().await {
            return trouble(visit, &error);
        }
    }
    Redirect::to("/security").into_response()
}

/// A code from the phone shows that it has the secret: from now on it is asked for.
async fn confirm(visit: &Visit, visitor: &Visitor, form: &Order) -> Response {
    let secrets = &visit.office.handles.secrets;
    let secret =
        unhex(&form.sealed).and_then(|sealed| secrets.open_sealed(&purpose(visitor), &sealed).ok());
    let Some(secret) = secret else { return stale(visit) };
    let frame = Frame::new(visit, "/security", "security-title");
    let Some(step) = factor::step_of(&secret, &form.code, 0, clock::now()) else {
        let again = offer(visit, visitor, &secret).ok();
        return answer(
            visit,
            visitor,
            StatusCode::BAD_REQUEST,
            frame.trouble(visit.texts.get("code-wrong")),
            again,
            Vec::new(),
        )
        .await;
    };
    let made = factor::make(secrets, &secret, step)
        .map_err(|error| Error::Invalid { why: error.to_string() });
    let (factor, codes) = match made {
        Ok(made) => made,
        Err(error) => return trouble(visit, &error),
    };
    // Only where there is none: one that is there is taken off first, which asks for the password.
    match visit
        .office
        .store
        .change(ReplaceFactor { account: visitor.account, was: None, factor })
        .done()
        .await
    {
        Err(Error::Exists { .. }) => stale(visit),
        Ok(_) => {
            answer(
                visit,
                visitor,
                StatusCode::OK,
                frame.done(visit.texts.get("factor-on")),
                None,
                codes,
            )
            .await
        }
        Err(error) => trouble(visit, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_named_as_people_know_them() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
        let edge =
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120.0";
        assert_eq!(
            (browser(firefox), browser(edge)),
            ("Firefox, Linux".into(), "Edge, Windows".into())
        );
        assert_eq!(browser("curl/8"), "curl/8");
        assert_eq!(unhex("0aff"), Some(vec![10, 255]));
        assert_eq!((unhex("0a0"), unhex("zz"), unhex("ää")), (None, None, None));
    }
}
