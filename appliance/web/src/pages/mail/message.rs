//! One message: read, its HTML in a frame of its own, its parts, its source.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use pillarbox_message::calendar;
use pillarbox_message::choice::Form;
use pillarbox_message::html::{self, Remote};
use pillarbox_message::names::{file_name, message_name};
use pillarbox_message::structure::{Part, Person as Correspondent, Structure};
use pillarbox_message::transfer::Encoding;
use pillarbox_message::winmail;
use pillarbox_platform::clock;
use pillarbox_store::{
    AccountId, Content, Error, Flags, FolderId, FolderState, MailOrder, MailWhat, MessageId,
    Reader, Service, Store,
};
use serde::Deserialize;

use super::body::{fragments, pictures};
use super::fate::{self, Story};
use super::files::PICTURES;
use super::{Folder, failed, frame, missing, open, shown, size, unread};
use crate::frame::{Frame, page};
use crate::session::Person;
use crate::text::Texts;
use pillarbox_office::mail::readers::{Budget, Unread};
use pillarbox_office::mail::reading::{self, Attached, Piece, SHOWN};
use pillarbox_office::oneclick;

/// The frame's own policy: nothing runs, nothing is asked for but what is allowed, and it stands on our pages only.
const FRAME: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups allow-popups-to-escape-sandbox; \
                     base-uri 'none'; form-action 'none'; frame-ancestors 'self'; report-uri /policy-report";
const FRAME_WITH_PICTURES: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data: https: http:; sandbox allow-popups \
                                   allow-popups-to-escape-sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; report-uri /policy-report";
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
    /// Why it is not shown as it was written; empty: it is.
    note: String,
    has_html: bool,
    shows_html: bool,
    blocked: usize,
    with_pictures: bool,
    /// The sender's address, as far as pictures of theirs can be allowed.
    sender: String,
    files: Vec<File>,
    attached: Vec<Message>,
    is_flagged: bool,
    is_draft: bool,
    is_junk: bool,
    is_trash: bool,
    story: Story,
    /// How it came here, in plain words: name and value.
    details: Vec<(String, String)>,
    receipt_to: String,
    unsubscribe: String,
    /// The list's server can be asked by the box itself.
    leaves_by_click: bool,
    card: Option<Card>,
}

/// An invitation.
struct Card {
    event: calendar::Event,
    starts: String,
    ends: String,
}

/// A message that came along, as the page has it.
struct Message {
    from: String,
    to: String,
    at: String,
    subject: String,
    text: String,
    files: Vec<File>,
}

struct File {
    /// Where it is, below the message's own address.
    link: String,
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
    /// The mailing list was asked.
    #[serde(default)]
    list: Leaving,
}

/// What came of leaving a mailing list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leaving {
    Left,
    NotLeft,
    #[default]
    #[serde(other)]
    NotAsked,
}

impl Leaving {
    /// As it is written in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Leaving::Left => "left",
            Leaving::NotLeft => "not-left",
            Leaving::NotAsked => "",
        }
    }
}

/// A message as it was read from the store for its page.
struct Read {
    structure: Structure,
    has_html: bool,
    shows_html: bool,
    blocked: usize,
    text: String,
    /// The text that says why it is not shown as it was written.
    note: Option<&'static str>,
    files: Vec<File>,
    attached: Vec<Message>,
    story: Story,
    folders: Vec<(FolderId, String, FolderState)>,
    event: Option<calendar::Event>,
}

pub async fn show(
    Person(visit, visitor): Person,
    Path((folder, uid)): Path<(u32, u32)>,
    Query(asked): Query<Asked>,
) -> Response {
    let (account, folder) = (visitor.account, FolderId(folder));
    let (entry, content) = match open(&visit, account, folder, uid).await {
        Ok(Some(found)) => found,
        Ok(None) => return missing(&visit),
        Err(error) => return failed(&visit, &error),
    };
    if !entry.flags.contains(Flags::SEEN) {
        let what = MailWhat::Flag { add: Flags::SEEN, remove: Flags::default() };
        let order = MailOrder {
            account,
            folder,
            uids: vec![uid],
            what,
            at: clock::now(),
            service: Service::Web,
        };
        match visit.office.store.change(order).done().await {
            // It stays unread on a card that can't be written; reading goes on.
            Ok(_) | Err(Error::Unwritable { .. }) => {}
            Err(error) => return failed(&visit, &error),
        }
    }
    let (store, t, wants_plain, message) =
        (visit.office.store.clone(), visit.texts, !asked.plain.is_empty(), content.message);
    let taken_apart = visit
        .office
        .readers
        .message(account, message, move |budget| {
            read(&store, t, account, &content, wants_plain, budget)
        })
        .await;
    let read = match taken_apart {
        Ok(read) => Ok(read),
        Err(Unread::Withheld) => visit
            .office
            .store
            .read_off_thread(move |r| withheld(r, t, account, message))
            .await
            .map_err(Unread::Store),
        Err(why) => Err(why),
    };
    let read = match read {
        Ok(read) => read,
        Err(why) => return unread(&visit, &why),
    };
    let structure = read.structure;
    let subject = if structure.subject.is_empty() {
        t.get("mail-no-subject").into_owned()
    } else {
        structure.subject.clone()
    };
    let sender = structure.from.first().map(|from| from.address.to_lowercase()).unwrap_or_default();
    let mut frame = frame(&visit, "mail-title");
    frame.title = subject.clone();
    let frame = match asked.list {
        Leaving::Left => frame.done(t.get("mail-list-left")),
        Leaving::NotLeft => frame.trouble(t.get("mail-list-not-left")),
        _ => frame,
    };
    let shown = MessagePage {
        frame,
        folders: shown(t, &read.folders, folder),
        folder: folder.0,
        uid,
        at: t
            .moment(if structure.date > 0 { structure.date } else { entry.saved_at }, clock::now()),
        card: read.event.map(|event| card(t, event)),
        unsubscribe: unsubscribe(&structure.list_unsubscribe),
        leaves_by_click: structure.unsubscribes_by_post
            && oneclick::target(&unsubscribe(&structure.list_unsubscribe)).is_some(),
        receipt_to: if folder == FolderId::SENT {
            String::new()
        } else {
            structure.receipt_to.first().map(|to| to.address.clone()).unwrap_or_default()
        },
        details: details(t, &structure, &read.story, entry.saved_at),
        subject,
        structure,
        text: read.text,
        note: read.note.map(|note| t.get(note).into_owned()).unwrap_or_default(),
        has_html: read.has_html,
        shows_html: read.shows_html,
        blocked: read.blocked,
        with_pictures: !asked.pictures.is_empty()
            || visit.preferences.pictures_from.contains(&sender),
        sender,
        files: read.files,
        attached: read.attached,
        is_flagged: entry.flags.contains(Flags::FLAGGED),
        is_draft: folder == FolderId::DRAFTS,
        is_junk: folder == FolderId::JUNK,
        is_trash: folder == FolderId::TRASH,
        story: read.story,
    };
    page(StatusCode::OK, &shown)
}

/// What is known of a message that must not be read: nothing but how it came.
fn withheld(r: &Reader, t: Texts, account: AccountId, message: MessageId) -> Result<Read, Error> {
    let program = t.get("mail-a-program").into_owned();
    let (story, folders) = (fate::story(r, t, account, message, &program)?, r.folders(account)?);
    let (structure, text, files) = (Structure::default(), String::new(), Vec::new());
    Ok(Read {
        structure,
        has_html: false,
        shows_html: false,
        blocked: 0,
        text,
        note: Some("mail-withheld"),
        files,
        attached: Vec::new(),
        story,
        folders,
        event: None,
    })
}

fn read(
    store: &Store,
    t: Texts,
    account: AccountId,
    content: &Content,
    wants_plain: bool,
    budget: &Budget,
) -> Result<Read, Unread> {
    let structure = reading::structure(store, content, budget)?;
    let rich = reading::body(store, content, &structure, Form::Html, SHOWN, budget)?;
    let is_rich = rich.iter().any(|piece| matches!(piece, Piece::Html(_)));
    let cleaned = (is_rich && !wants_plain)
        .then(|| html::clean_all(&fragments(&rich), &HashMap::new(), Remote::Blocked));
    let (blocked, shows_html) = match &cleaned {
        Some(Ok(clean)) => (clean.blocked, true),
        _ => (0, false),
    };
    let note = matches!(cleaned, Some(Err(_))).then_some("mail-too-much-html");
    let has_html = is_rich && note.is_none();
    let mut text = if shows_html {
        String::new()
    } else {
        reading::plain(store, content, &structure, SHOWN, budget)?
    };
    let mut files = Vec::new();
    for (number, part) in structure.attachments() {
        if !winmail::is_wrapping(part) {
            files.push(file(t, &number.to_string(), part));
            continue;
        }
        let winmail = reading::winmail(store, content, part, budget)?;
        let within = winmail.files.iter().enumerate().map(|(at, file)| File {
            link: format!("part/{number}/inside/{at}"),
            name: if file.name.is_empty() {
                t.get("mail-part").into_owned()
            } else {
                file_name(&file.name)
            },
            size: size(file.end - file.start),
            is_picture: false,
        });
        files.extend(within);
        if text.trim().is_empty() && !shows_html {
            text = if winmail.text.is_empty() {
                html::to_text(&winmail.html)
            } else {
                winmail.text.replace("\r\n", "\n")
            };
        }
    }
    let attached = reading::attached(store, content, &structure, SHOWN, budget)?
        .into_iter()
        .map(|found| message(t, found))
        .collect();
    let program = t.get("mail-a-program").into_owned();
    let (story, folders) = store.read(|r| {
        Ok((fate::story(r, t, account, content.message, &program)?, r.folders(account)?))
    })?;
    let event = match structure.parts.iter().find(|part| part.kind == "text/calendar") {
        Some(part) => {
            calendar::event(&reading::text(store, content, part, calendar::OCTETS, budget)?)
        }
        None => None,
    };
    Ok(Read {
        has_html,
        structure,
        shows_html,
        blocked,
        text,
        note,
        files,
        attached,
        story,
        folders,
        event,
    })
}

fn card(t: Texts, event: calendar::Event) -> Card {
    let at = |moment: Option<u64>| moment.map_or_else(String::new, |at| t.moment(at, clock::now()));
    Card { starts: at(event.starts), ends: at(event.ends), event }
}

fn message(t: Texts, found: Attached) -> Message {
    let structure = &found.structure;
    let way = found.way.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
    Message {
        from: list(&structure.from),
        to: list(&structure.to),
        at: if structure.date > 0 { t.moment(structure.date, clock::now()) } else { String::new() },
        subject: if structure.subject.is_empty() {
            t.get("mail-no-subject").into_owned()
        } else {
            structure.subject.clone()
        },
        files: structure
            .attachments()
            .into_iter()
            .map(|(number, part)| file(t, &format!("{way}.{number}"), part))
            .collect(),
        text: found.text,
    }
}

fn file(t: Texts, way: &str, part: &Part) -> File {
    // Base64 is a third larger than what it carries.
    let octets = match part.encoding {
        Encoding::Base64 => (part.end - part.start) * 73 / 100,
        _ => part.end - part.start,
    };
    let name = match part.file_name.is_empty() {
        _ if part.is_message() => message_name(&part.file_name, ""),
        true => format!("{} ({})", t.get("mail-part"), part.kind),
        false => file_name(&part.file_name),
    };
    File {
        link: format!("part/{way}"),
        name,
        size: size(octets),
        is_picture: PICTURES.contains(&part.kind.as_str()),
    }
}

/// What the header and the ledger say of a message's way, for people.
fn details(t: Texts, structure: &Structure, story: &Story, saved_at: u64) -> Vec<(String, String)> {
    let (now, mut rows) = (clock::now(), Vec::new());
    let mut row = |key: &str, value: String| {
        if !value.is_empty() {
            rows.push((t.get(key).into_owned(), value));
        }
    };
    if structure.date > 0 {
        row("detail-written", t.moment(structure.date, now));
    }
    row("detail-arrived", t.moment(saved_at, now));
    if let Some(arrival) = &story.arrival {
        let protocol = structure
            .received
            .split_once(" with ")
            .and_then(|(_, rest)| rest.split([' ', ';']).next())
            .unwrap_or_default();
        let how = if protocol.starts_with("ESMTPS") || protocol.starts_with("UTF8SMTPS") {
            "detail-encrypted"
        } else {
            "detail-not-encrypted"
        };
        // Where one of the box's own people wrote from is theirs, and the trace field keeps it to itself, too.
        // RFC 3848: `A` stands for a session that was signed in.
        let is_submitted = protocol == "HTTP" || protocol.ends_with('A');
        if let Some(peer) = arrival.peer.filter(|_| !is_submitted) {
            row("detail-server", format!("{peer}, {}", t.get(how)));
        }
        let author = structure.from.first().map(|from| from.address.as_str()).unwrap_or_default();
        if !arrival.sender.eq_ignore_ascii_case(author) {
            row("detail-envelope", arrival.sender.clone());
        }
        row("detail-code", arrival.code.to_string());
    }
    row("detail-reply", list(&structure.reply_to));
    row("detail-list", structure.list_id.clone());
    row("detail-program", structure.program.clone());
    row("detail-id", structure.message_id.clone());
    for (program, at) in &story.fetched {
        row("detail-fetched", t.with_two("detail-fetched-by", ("program", program), ("at", at)));
    }
    rows
}

/// People as the page lists them.
fn list(people: &[Correspondent]) -> String {
    people.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The first web address of the field (RFC 2369 §3.2); others are offered by no button.
pub fn unsubscribe(field: &str) -> String {
    let addresses = field.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    let mut usable = addresses
        .map(str::trim)
        .filter(|address| address.starts_with("https://") && !address.contains(['"', ' ']));
    usable.next().unwrap_or_default().to_string()
}

/// The HTML body, cleaned, as a document of its own.
pub async fn document(
    Person(visit, visitor): Person,
    Path((folder, uid)): Path<(u32, u32)>,
    Query(asked): Query<Asked>,
) -> Response {
    let content = match open(&visit, visitor.account, FolderId(folder), uid).await {
        Ok(Some((_, content))) => content,
        Ok(None) => return missing(&visit),
        Err(error) => return failed(&visit, &error),
    };
    let remote = if asked.pictures.is_empty() { Remote::Blocked } else { Remote::Allowed };
    let store = visit.office.store.clone();
    let cleaned = visit.office.readers.message(visitor.account, content.message, move |budget| {
        let structure = reading::structure(&store, &content, budget)?;
        let body = reading::body(&store, &content, &structure, Form::Html, SHOWN, budget)?;
        if !body.iter().any(|piece| matches!(piece, Piece::Html(_))) {
            return Ok(None);
        }
        let pictures = pictures(&store, &content, &structure, &body, budget)?;
        Ok(html::clean_all(&fragments(&body), &pictures, remote).ok().map(|clean| clean.html))
    });
    let html = match cleaned.await {
        Ok(Some(html)) => html,
        // No HTML, or more than is shown: the page around it asks for none then.
        Ok(None) => return missing(&visit),
        Err(why) => return unread(&visit, &why),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_ways_out_of_a_list() {
        assert_eq!(
            unsubscribe("<mailto:x@y>, <https://a.example/u?x=1>"),
            "https://a.example/u?x=1"
        );
        assert_eq!(unsubscribe("<javascript:alert(1)>, <https://a.example/\"x>"), "");
    }
}
