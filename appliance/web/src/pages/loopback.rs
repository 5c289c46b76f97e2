//! The loopback test: a message of the box comes in and goes out like the world's, and the page shows each hop; then
//! the way out into the world.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_message::encode::encoded_words;
use pillarbox_store::Fate;
use pillarbox_vocabulary::Address;
use serde::Deserialize;

use super::doctor::piece;
use super::home::{Line, line};
use crate::frame::{Frame, page, trouble};
use crate::session::{Owner, Visit, Visitor};
use crate::signed::Signed;
use crate::stream;
use pillarbox_office::loopback;
use pillarbox_office::submission::Refusal;
use pillarbox_office::submission::send;

/// Ledger records looked at for mail from and to the world.
const RECENT: usize = 200;

#[derive(Template)]
#[template(path = "loopback.html")]
struct LoopbackPage {
    frame: Frame,
    address: String,
    is_running: bool,
    /// The newest mail that came from and went to other servers.
    arrived: Vec<Line>,
    left: Vec<Line>,
}

pub async fn show(Owner(visit, visitor): Owner) -> Response {
    let mut frame = Frame::new(&visit, "/round", "round-title");
    frame.every = 5;
    answer(&visit, &visitor, StatusCode::OK, frame).await
}

async fn answer(visit: &Visit, visitor: &Visitor, status: StatusCode, frame: Frame) -> Response {
    let recent = match visit.office.store.read_off_thread(|r| r.ledger_recent(RECENT)).await {
        Ok(recent) => recent,
        Err(error) => return trouble(visit, &error),
    };
    let t = visit.texts;
    let from_outside = |fate: Fate, peer: Option<std::net::IpAddr>| {
        fate == Fate::Delivered && peer.is_some_and(|peer| !peer.is_loopback())
    };
    let arrived = recent
        .iter()
        .filter(|(_, r)| from_outside(r.fate, r.peer))
        .take(3)
        .map(|(_, r)| line(t, r))
        .collect();
    let fates = [Fate::Queued, Fate::Relayed, Fate::Bounced, Fate::Expired];
    let left = recent
        .iter()
        .filter(|(_, r)| fates.contains(&r.fate))
        .take(3)
        .map(|(_, r)| line(t, r))
        .collect();
    page(
        status,
        &LoopbackPage { frame, address: visitor.address.clone(), is_running: false, arrived, left },
    )
}

#[derive(Deserialize)]
pub struct Asked {
    /// An address elsewhere; empty for the test within the box.
    #[serde(default)]
    to: String,
}

pub async fn run(Signed(Owner(visit, visitor), asked): Signed<Owner, Asked>) -> Response {
    let t = visit.texts;
    let frame = Frame::new(&visit, "/round", "round-title");
    if asked.to.trim().is_empty() {
        let (findings, found) = pillarbox_outbound::findings();
        loopback::start(
            &visit.office.settings,
            &visit.office.handles,
            &visitor.address,
            t.get("round-subject").into_owned(),
            findings,
        );
        let around = LoopbackPage {
            frame,
            address: visitor.address.clone(),
            is_running: true,
            arrived: Vec::new(),
            left: Vec::new(),
        };
        return stream::page(&around, found, move |finding| piece(t, finding));
    }
    let Ok(to) = Address::parse(asked.to.trim()) else {
        return answer(
            &visit,
            &visitor,
            StatusCode::BAD_REQUEST,
            frame.trouble(t.get("people-wrong-address")),
        )
        .await;
    };
    match send(&visit, &visitor, to).await {
        Ok(()) => {
            let mut frame = frame.done(t.with("round-sent", "to", asked.to.trim()));
            frame.every = 3;
            answer(&visit, &visitor, StatusCode::OK, frame).await
        }
        Err(Refusal::Said(reply)) => {
            answer(&visit, &visitor, StatusCode::OK, frame.trouble(reply.lines.join(" "))).await
        }
        Err(Refusal::Trouble(error)) => trouble(&visit, &error),
    }
}

/// Submits a message of the owner to an address.
async fn send(visit: &Visit, visitor: &Visitor, to: Address) -> Result<(), Refusal> {
    let t = visit.texts;
    let content = format!(
        "From: <{}>\r\nTo: <{to}>\r\nSubject: {}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
        visitor.address,
        encoded_words(&t.get("round-subject")),
        t.get("round-body"),
    );
    let sender = send::Sender {
        account: visitor.account,
        address: visitor.address.clone(),
        from: visitor.address.clone(),
        peer: visit.link.peer,
    };
    send::submit(&visit.office.submission, sender, vec![to], content.as_bytes()).await.map(drop)
}
