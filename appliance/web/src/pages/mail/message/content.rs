//! What the page of a message shows of it, read from the store: its text, its files, the messages in it, what became of
//! it.

use std::collections::HashMap;

use pillarbox_filter::verdict::Verdict;
use pillarbox_message::calendar;
use pillarbox_message::choice::Form;
use pillarbox_message::html::{self, Remote};
use pillarbox_message::names::{file_name, message_name};
use pillarbox_message::structure::{Part, Structure};
use pillarbox_message::transfer::Encoding;
use pillarbox_message::winmail::{self, Winmail};
use pillarbox_office::mail::payment::{self, Changed};
use pillarbox_office::mail::readers::{Budget, Unread};
use pillarbox_office::mail::reading::{self, Attached, Piece, SHOWN};
use pillarbox_platform::clock;
use pillarbox_store::{AccountId, Content, Error, FolderId, FolderState, MessageId, Reader, Store};
use pillarbox_vocabulary::Timestamp;

use super::details::people;
use crate::pages::mail::body::fragments;
use crate::pages::mail::fate::{self, Story};
use crate::pages::mail::files::PICTURES;
use crate::pages::mail::size;
use crate::session::Visit;
use crate::text::Texts;

/// All folders of a person: number, name, state.
type Folders = Vec<(FolderId, String, FolderState)>;

/// A message as it was read from the store for its page.
#[derive(Default)]
pub struct Shown {
    pub structure: Structure,
    pub body: Body,
    pub files: Vec<File>,
    pub attached: Vec<Message>,
    pub event: Option<calendar::Event>,
    pub story: Story,
    /// What the box decided on it when it came.
    pub verdict: Option<Verdict>,
    /// It names another bank account than its author did before.
    pub payment: Option<Changed>,
    /// For the navigation.
    pub folders: Folders,
}

/// What a message says: as HTML in a frame of its own, or as text.
#[derive(Default)]
pub struct Body {
    pub has_html: bool,
    pub shows_html: bool,
    /// Pictures of other servers that are not shown.
    pub blocked: usize,
    /// Empty where HTML is shown.
    pub text: String,
    /// The key of the text that says why it is not shown as it was written.
    pub note: Option<&'static str>,
}

/// A message that came along, as the page has it.
pub struct Message {
    pub from: String,
    pub to: String,
    pub at: String,
    pub subject: String,
    pub text: String,
    pub files: Vec<File>,
}

pub struct File {
    /// Where it is, below the message's own address.
    pub link: String,
    pub name: String,
    pub size: String,
    pub is_picture: bool,
}

/// Reads a person's own message; of one that must not be read, only how it came.
pub async fn read(
    visit: &Visit,
    account: AccountId,
    content: Content,
    wants_plain: bool,
) -> Result<Shown, Unread> {
    let (store, t, message) = (visit.office.store.clone(), visit.texts, content.message);
    let shown = visit
        .office
        .readers
        .message(account, message, move |budget| {
            taken_apart(&store, t, account, &content, wants_plain, budget)
        })
        .await;
    if !matches!(shown, Err(Unread::Withheld)) {
        return shown;
    }
    let withheld = visit.office.store.read_off_thread(move |r| {
        let (story, folders) = story(r, t, account, message)?;
        let body = Body { note: Some("mail-withheld"), ..Body::default() };
        Ok(Shown { body, story, folders, ..Shown::default() })
    });
    withheld.await.map_err(Unread::Store)
}

fn taken_apart(
    store: &Store,
    t: Texts,
    account: AccountId,
    content: &Content,
    wants_plain: bool,
    budget: &Budget,
) -> Result<Shown, Unread> {
    let structure = reading::structure(store, content, budget)?;
    let mut body = body(store, content, &structure, wants_plain, budget)?;
    let text = match body.shows_html {
        true => reading::plain(store, content, &structure, payment::TEXT, budget)?,
        false => body.text[..body.text.floor_char_boundary(payment::TEXT)].to_string(),
    };
    let mut files = Vec::new();
    for (number, part) in structure.attachments() {
        if winmail::is_wrapping(part) {
            let winmail = reading::winmail(store, content, part, budget)?;
            files.extend(wrapped_files(t, number, &winmail));
            if body.text.trim().is_empty() && !body.shows_html {
                body.text = wrapped_text(&winmail);
            }
        } else {
            files.push(file(t, &number.to_string(), part));
        }
    }
    let attached = reading::attached(store, content, &structure, SHOWN, budget)?
        .into_iter()
        .map(|found| attached(t, found))
        .collect();
    let (story, folders) = store.read(|r| story(r, t, account, content.message))?;
    let event = match structure.parts.iter().find(|part| part.kind == "text/calendar") {
        Some(part) => {
            calendar::event(&reading::text(store, content, part, calendar::OCTETS, budget)?)
        }
        None => None,
    };
    let verdict = reading::verdict(store, content, budget)?;
    let author = structure.from.first().map(|from| from.address.clone()).unwrap_or_default();
    let payment = payment::look(store, account, content.message, (&author, &text), budget)?;
    Ok(Shown { structure, body, files, attached, event, story, verdict, payment, folders })
}

fn body(
    store: &Store,
    content: &Content,
    structure: &Structure,
    wants_plain: bool,
    budget: &Budget,
) -> Result<Body, Unread> {
    let rich = reading::body(store, content, structure, Form::Html, SHOWN, budget)?;
    let is_rich = rich.iter().any(|piece| matches!(piece, Piece::Html(_)));
    let cleaned = (is_rich && !wants_plain)
        .then(|| html::clean_all(&fragments(&rich), &HashMap::new(), Remote::Blocked));
    if let Some(Ok(clean)) = cleaned {
        let blocked = clean.blocked;
        return Ok(Body { has_html: true, shows_html: true, blocked, ..Body::default() });
    }
    let note = cleaned.is_some().then_some("mail-too-much-html");
    let text = reading::plain(store, content, structure, SHOWN, budget)?;
    Ok(Body { has_html: is_rich && note.is_none(), text, note, ..Body::default() })
}

/// What became of a message, and the folders around it.
fn story(
    r: &Reader,
    t: Texts,
    account: AccountId,
    message: MessageId,
) -> Result<(Story, Folders), Error> {
    let program = t.get("mail-a-program").into_owned();
    Ok((fate::story(r, t, account, message, &program)?, r.folders(account)?))
}

/// The files in the `winmail.dat` that is the part of this number.
fn wrapped_files(t: Texts, number: usize, winmail: &Winmail) -> impl Iterator<Item = File> {
    winmail.files.iter().enumerate().map(move |(at, file)| File {
        link: format!("part/{number}/inside/{at}"),
        name: if file.name.is_empty() {
            t.get("mail-part").into_owned()
        } else {
            file_name(&file.name)
        },
        size: size(file.end - file.start),
        is_picture: false,
    })
}

fn wrapped_text(winmail: &Winmail) -> String {
    if winmail.text.is_empty() {
        html::to_text(&winmail.html)
    } else {
        winmail.text.replace("\r\n", "\n")
    }
}

/// A message that came along, with its files.
fn attached(t: Texts, found: Attached) -> Message {
    let structure = &found.structure;
    let way = found.way.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
    Message {
        from: people(&structure.from),
        to: people(&structure.to),
        at: if structure.date > 0 {
            t.moment(Timestamp(structure.date), clock::now())
        } else {
            String::new()
        },
        subject: subject(t, structure),
        files: structure
            .attachments()
            .into_iter()
            .map(|(number, part)| file(t, &format!("{way}.{number}"), part))
            .collect(),
        text: found.text,
    }
}

/// A message's subject, or that it has none.
pub fn subject(t: Texts, structure: &Structure) -> String {
    if structure.subject.is_empty() {
        t.get("mail-no-subject").into_owned()
    } else {
        structure.subject.clone()
    }
}

/// `way`: the numbers of the parts that lead to it, joined by dots.
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
