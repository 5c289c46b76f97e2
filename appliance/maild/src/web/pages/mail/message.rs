//! One message: read, its HTML in a frame of its own, its parts, its source.

use std::collections::HashMap;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use pillarbox_store::{Change, Content, Error, Flags, FolderId, MailOrder, MailWhat, MessageId, QueueKey, QueueState, Store};
use serde::Deserialize;

use super::{Folder, failed, frame, missing, open, shown, size};
use crate::clock;
use crate::context::off_thread;
use crate::mail::calendar;
use crate::mail::html::{self, Remote};
use crate::mail::reading::{self, SHOWN};
use crate::mail::structure::{Part, Person as Correspondent, Structure};
use crate::mail::transfer::Decoder;
use crate::outbound::Source;
use crate::web::pages::{Frame, page};
use crate::web::session::{Person, Visit};
use crate::web::stream;
use crate::web::text::Texts;

/// Octets of pictures that an HTML message brings along and shows.
const PICTURE: usize = 2 << 20;
const PICTURES: usize = 8 << 20;
/// Recipients of a sent message whose state is shown.
const STATES: usize = 20;
/// Pieces that wait for a slow browser.
const WAITING: usize = 2;

/// The frame's own policy: nothing runs, nothing is asked for but what is allowed, and it stands on our pages only.
const FRAME: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups allow-popups-to-escape-sandbox; \
                     base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
const FRAME_WITH_PICTURES: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data: https: http:; sandbox allow-popups \
                                   allow-popups-to-escape-sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
/// What a file is shown under when it is opened in the browser: as nothing but itself.
const FILE: &str = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox";

#[derive(Template)]
#[template(path = "mail-message.html")]
struct MessagePage {
    frame: Frame,
    folders: Vec<Folder>,
    folder: u32,
    uid: u32,
    structure: Structure,
    subject: String,
    at: String,
    text: String,
    has_html: bool,
    shows_html: bool,
    blocked: usize,
    with_pictures: bool,
    files: Vec<File>,
    is_flagged: bool,
    is_draft: bool,
    is_junk: bool,
    is_trash: bool,
    states: Vec<(String, String)>,
    /// Notices that came about this message.
    reports: Vec<(u32, u32)>,
    unsubscribe: String,
    card: Option<Card>,
}

/// An invitation.
struct Card {
    event: calendar::Event,
    starts: String,
    ends: String,
}

struct File {
    number: usize,
    name: String,
    size: String,
    is_picture: bool,
}

#[derive(Deserialize)]
pub struct Asked {
    /// Any value: pictures of other servers are shown.
    #[serde(default)]
    pictures: String,
    /// Any value: as text, although there is HTML.
    #[serde(default)]
    plain: String,
}

pub async fn show(Person(visit, visitor): Person, Path((folder, uid)): Path<(u32, u32)>, Query(asked): Query<Asked>) -> Response {
    let (account, folder) = (visitor.account, FolderId(folder));
    let (entry, content) = match open(&visit, account, folder, uid).await {
        Ok(Some(found)) => found,
        Ok(None) => return missing(&visit),
        Err(error) => return failed(&visit, &error),
    };
    if !entry.flags.contains(Flags::SEEN) {
        let what = MailWhat::Flag { add: Flags::SEEN, remove: Flags::default() };
        let order = MailOrder { account, folder, uids: vec![uid], what, at: clock::now() };
        if let Err(error) = visit.context.store.change(Change::Mail(order)).done().await {
            return failed(&visit, &error);
        }
    }
    let (store, t) = (visit.context.store.clone(), visit.texts);
    let wants_plain = !asked.plain.is_empty();
    let read = off_thread(move || {
        let structure = reading::structure(&store, &content)?;
        let (_, html_part) = structure.bodies();
        let shows_html = html_part.is_some() && !wants_plain;
        let blocked = match html_part.filter(|_| shows_html) {
            Some(at) => html::clean(&reading::text(&store, &content, &structure.parts[at], SHOWN)?, &HashMap::new(), Remote::Blocked).blocked,
            None => 0,
        };
        let text = if shows_html { String::new() } else { reading::plain(&store, &content, &structure, SHOWN)? };
        let (states, reports) = states(&store, t, account, entry.message)?;
        let folders = store.read(|r| r.folders(account))?;
        let invitation = structure.parts.iter().find(|part| part.kind == "text/calendar");
        let event = match invitation {
            Some(part) => calendar::event(&reading::text(&store, &content, part, calendar::OCTETS)?),
            None => None,
        };
        Ok((event, structure, html_part.is_some(), shows_html, blocked, text, states, reports, folders))
    });
    let (event, structure, has_html, shows_html, blocked, text, states, reports, folders) = match read.await {
        Ok(read) => read,
        Err(error) => return failed(&visit, &error),
    };
    let files = structure.attachments().into_iter().map(|(number, part)| file(t, number, part)).collect();
    let subject = if structure.subject.is_empty() { t.get("mail-no-subject").into_owned() } else { structure.subject.clone() };
    let mut frame = frame(&visit, "mail-title");
    frame.title = subject.clone();
    let shown = MessagePage {
        frame,
        folders: shown(t, &folders, folder),
        folder: folder.0,
        uid,
        at: t.moment(if structure.date > 0 { structure.date } else { entry.saved_at }, clock::now()),
        card: event.map(|event| card(t, event)),
        unsubscribe: unsubscribe(&structure.list_unsubscribe),
        subject,
        structure,
        text,
        has_html,
        shows_html,
        blocked,
        with_pictures: !asked.pictures.is_empty(),
        files,
        is_flagged: entry.flags.contains(Flags::FLAGGED),
        is_draft: folder == FolderId::DRAFTS,
        is_junk: folder == FolderId::JUNK,
        is_trash: folder == FolderId::TRASH,
        states,
        reports,
    };
    page(StatusCode::OK, &shown)
}

fn card(t: Texts, event: calendar::Event) -> Card {
    let at = |moment: Option<u64>| moment.map_or_else(String::new, |at| t.moment(at, clock::now()));
    Card { starts: at(event.starts), ends: at(event.ends), event }
}

fn file(t: Texts, number: usize, part: &Part) -> File {
    // Base64 is a third larger than what it carries.
    let octets = match part.encoding {
        crate::mail::transfer::Encoding::Base64 => (part.end - part.start) * 73 / 100,
        _ => part.end - part.start,
    };
    let name = match part.file_name.is_empty() {
        true => format!("{} ({})", t.get("mail-part"), part.kind),
        false => part.file_name.clone(),
    };
    File { number, name, size: size(octets), is_picture: part.kind.starts_with("image/") && part.kind != "image/svg+xml" }
}

type States = (Vec<(String, String)>, Vec<(u32, u32)>);

/// Where a sent message is on its way, and the notices that came about it.
fn states(store: &Store, t: Texts, account: pillarbox_store::AccountId, message: MessageId) -> Result<States, Error> {
    store.read(|r| {
        let waiting = r.queue(QueueKey { message, recipient: 0 }, STATES)?;
        let state = |(key, waiting): (QueueKey, pillarbox_store::Waiting)| {
            let text = match waiting.state {
                _ if key.message != message => return None,
                QueueState::Scheduled => t.with("queue-next", "at", &t.moment(waiting.due, clock::now())).into_owned(),
                _ => t.get("mail-state-held").into_owned(),
            };
            Some((waiting.address, format!("{text} {}", waiting.last)))
        };
        let states = waiting.into_iter().filter_map(state).collect();
        let mut reports = Vec::new();
        for report in r.reports(message)? {
            let found = r.entries_before(account, FolderId::INBOX, u32::MAX - 1, 1000)?.into_iter().find(|(_, entry)| entry.message == report);
            reports.extend(found.map(|(uid, _)| (FolderId::INBOX.0, uid)));
        }
        Ok((states, reports))
    })
}

/// The first web address of the field (RFC 2369 §3.2); others are offered by no button.
fn unsubscribe(field: &str) -> String {
    let addresses = field.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    let mut usable = addresses.map(str::trim).filter(|address| address.starts_with("https://") && !address.contains(['"', ' ']));
    usable.next().unwrap_or_default().to_string()
}

/// The HTML body, cleaned, as a document of its own.
pub async fn document(Person(visit, visitor): Person, Path((folder, uid)): Path<(u32, u32)>, Query(asked): Query<Asked>) -> Response {
    let content = match open(&visit, visitor.account, FolderId(folder), uid).await {
        Ok(Some((_, content))) => content,
        Ok(None) => return missing(&visit),
        Err(error) => return failed(&visit, &error),
    };
    let remote = if asked.pictures.is_empty() { Remote::Blocked } else { Remote::Allowed };
    let store = visit.context.store.clone();
    let cleaned = off_thread(move || {
        let structure = reading::structure(&store, &content)?;
        let (_, Some(at)) = structure.bodies() else { return Ok(None) };
        let body = reading::text(&store, &content, &structure.parts[at], SHOWN)?;
        let pictures = pictures(&store, &content, &structure, &body)?;
        Ok(Some(html::clean(&body, &pictures, remote).html))
    });
    let html = match cleaned.await {
        Ok(Some(html)) => html,
        Ok(None) => return missing(&visit),
        Err(error) => return failed(&visit, &error),
    };
    let document = format!(
        "<!doctype html><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light\"><style>body{{margin:12px;font:16px/1.5 system-ui,sans-serif;\
         background:#fff;color:#111;overflow-wrap:anywhere}}img{{max-width:100%;height:auto}}table{{max-width:100%}}\
         a[href]:hover::after{{content:' ['attr(href)']';font-size:12px;color:#555}}</style>{html}"
    );
    let policy = if remote == Remote::Allowed { FRAME_WITH_PICTURES } else { FRAME };
    let mut response = Html(document).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The pictures that came along and that the body names, as data addresses.
fn pictures(store: &Store, content: &Content, structure: &Structure, body: &str) -> Result<HashMap<String, String>, Error> {
    let mut found = HashMap::new();
    let mut left = PICTURES;
    for part in structure.parts.iter().filter(|part| !part.content_id.is_empty() && part.kind.starts_with("image/")) {
        let is_plain = ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&part.kind.as_str());
        if !is_plain || !body.contains(&part.content_id) || (part.end - part.start) as usize > PICTURE.min(left) * 3 / 2 {
            continue;
        }
        let octets = reading::octets(store, content, part, PICTURE)?;
        left = left.saturating_sub(octets.len());
        found.insert(part.content_id.clone(), format!("data:{};base64,{}", part.kind, pillarbox_proto::smtp::encode_base64(&octets)));
    }
    Ok(found)
}

#[derive(Deserialize)]
pub struct FileAsked {
    /// Any value: shown in the browser, if it is a picture, instead of saved.
    #[serde(default)]
    open: String,
}

/// One part as a file; streams.
pub async fn part(Person(visit, visitor): Person, Path((folder, uid, number)): Path<(u32, u32, usize)>, Query(asked): Query<FileAsked>) -> Response {
    let content = match open(&visit, visitor.account, FolderId(folder), uid).await {
        Ok(Some((_, content))) => content,
        Ok(None) => return missing(&visit),
        Err(error) => return failed(&visit, &error),
    };
    let (store, own) = (visit.context.store.clone(), content.clone());
    let part = match off_thread(move || reading::structure(&store, &own)).await {
        Ok(structure) => structure.parts.into_iter().nth(number),
        Err(error) => return failed(&visit, &error),
    };
    let Some(part) = part else { return missing(&visit) };
    let is_shown = !asked.open.is_empty() && ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&part.kind.as_str());
    let kind = if is_shown { part.kind.clone() } else { "application/octet-stream".into() };
    let name = if part.file_name.is_empty() { format!("part-{number}") } else { part.file_name.clone() };
    let disposition = disposition(&name, if is_shown { "inline" } else { "attachment" });
    let mut response = ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition)], body(&visit, content, Some(part))).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(FILE));
    response
}

/// The message as it came; streams.
pub async fn raw(Person(visit, visitor): Person, Path((folder, uid)): Path<(u32, u32)>) -> Response {
    match open(&visit, visitor.account, FolderId(folder), uid).await {
        Ok(Some((_, content))) => {
            let disposition = disposition(&format!("message-{uid}.eml"), "attachment");
            ([(header::CONTENT_TYPE, "message/rfc822".to_string()), (header::CONTENT_DISPOSITION, disposition)], body(&visit, content, None)).into_response()
        }
        Ok(None) => missing(&visit),
        Err(error) => failed(&visit, &error),
    }
}

/// A file name for the header (RFC 6266 §4): never a path, plain for old programs, whole for new ones.
fn disposition(name: &str, kind: &str) -> String {
    let name: String = name.rsplit(['/', '\\']).next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(150).collect();
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' }).collect();
    let whole: String = name.bytes().map(|b| if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

/// A part decoded, or all of a message as it is, in pieces.
fn body(visit: &Visit, content: Content, part: Option<Part>) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(WAITING);
    let store = visit.context.store.clone();
    tokio::spawn(async move {
        let mut source = Source::new(&store, &content, Vec::new(), false);
        let (from, to) = part.as_ref().map_or((0, u64::MAX), |part| (part.start, part.end));
        let mut decoder = Decoder::new(part.map(|part| part.encoding).unwrap_or_default());
        let mut at = 0u64;
        loop {
            // A message that can't be read to its end breaks the answer off: the browser says that the file is not whole.
            let Ok(Some(piece)) = source.piece().await else { break };
            let end = at + piece.len() as u64;
            let (first, last) = (from.clamp(at, end) - at, to.clamp(at, end) - at);
            let mut out = Vec::new();
            decoder.push(&piece[first as usize..last as usize], &mut out);
            at = end;
            if !out.is_empty() && sender.send(out.into()).await.is_err() || at >= to {
                break;
            }
        }
        let mut out = Vec::new();
        decoder.finish(&mut out);
        // Nobody reading any more is no failure.
        let _ = sender.send(out.into()).await;
    });
    Body::new(stream::Octets::new(receiver))
}

/// People as the page lists them.
impl MessagePage {
    fn list(&self, people: &[Correspondent]) -> String {
        people.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_stay_names() {
        assert_eq!(disposition("../../etc/passwd", "attachment"), "attachment; filename=\"passwd\"; filename*=UTF-8''passwd");
        assert_eq!(disposition("Rés\"umé\r\n.pdf", "inline"), "inline; filename=\"R_s_um_.pdf\"; filename*=UTF-8''R%C3%A9s%22um%C3%A9.pdf");
        assert_eq!(unsubscribe("<mailto:x@y>, <https://a.example/u?x=1>"), "https://a.example/u?x=1");
        assert_eq!(unsubscribe("<javascript:alert(1)>, <https://a.example/\"x>"), "");
    }
}
