//! Writing: new, answers, forwards, drafts. A message with files is sent while it comes in: no copy of it lies in memory.

use std::sync::Arc;

use askama::Template;
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest, Query, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_proto::address::Address;
use pillarbox_store::{
    AccountId, AddressTarget, Change, Content, Delivery, Fate, Flags, FolderId, LedgerRecord, MailOrder, MailWhat, MessageId, Placement, Spool, Timed,
};
use serde::Deserialize;

use super::act::parse_id;
use super::{failed, frame, open, sender, size};
use crate::clock;
use crate::context::{Context, fresh_code, off_thread};
use crate::mail::letter::{self, Letter, Lines, Phrases};
use crate::mail::preferences::{LONGEST_UNDO, Preferences};
use crate::mail::reading::{self, SHOWN};
use crate::mail::structure::{Part, Person as Correspondent, Structure};
use crate::mail::transfer::Decoder;
use crate::msa::{Refusal, Submission};
use crate::outbound::{Source, domain_of};
use crate::web::pages::{Frame, is_own, page};
use crate::web::session::{Person, Visit, Visitor};
use crate::web::submit::{self, Sender};

/// Octets of a text field.
const FIELD: usize = 1 << 20;
/// Correspondents that are offered, and sent messages looked at for them.
const CONTACTS: usize = 200;
/// How far ahead a letter can be sent, in seconds.
const LATEST: u64 = 366 * 86_400;

#[derive(Template)]
#[template(path = "mail-compose.html")]
struct ComposePage {
    frame: Frame,
    letter: Letter,
    contacts: Vec<String>,
    /// Files of another message that can go along: `folder.uid.part`, name and size.
    carried: Vec<(String, String, String)>,
    /// Addresses the person may write from.
    senders: Vec<String>,
    limit: String,
    /// The text speaks of a file and none is there.
    asks_for_file: bool,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    to: String,
    #[serde(default)]
    subject: String,
    /// `folder.uid`
    #[serde(default)]
    answers: String,
    /// `reply`, `all`, `forward` or `draft`.
    #[serde(default)]
    how: String,
}

pub async fn show(Person(visit, visitor): Person, Query(asked): Query<Asked>) -> Response {
    let mut letter = Letter { to: asked.to, subject: asked.subject, ..Letter::default() };
    let account = visitor.account;
    let preferences = match visit.context.read(move |r| Preferences::read(r, account)).await {
        Ok(preferences) => preferences,
        Err(error) => return failed(&visit, &error),
    };
    let mut carried = Vec::new();
    if let Some((folder, uid)) = parse_id(&asked.answers) {
        let (entry, content) = match open(&visit, visitor.account, folder, uid).await {
            Ok(Some(found)) => found,
            Ok(None) => return super::missing(&visit),
            Err(error) => return failed(&visit, &error),
        };
        let store = visit.context.store.clone();
        let read = off_thread(move || {
            let mut structure = reading::structure(&store, &content)?;
            if structure.date == 0 {
                structure.date = entry.saved_at;
            }
            let text = reading::plain(&store, &content, &structure, SHOWN)?;
            Ok((structure, text))
        });
        let (structure, text) = match read.await {
            Ok(read) => read,
            Err(error) => return failed(&visit, &error),
        };
        if matches!(asked.how.as_str(), "forward" | "draft") {
            carried = files(&structure, &asked.answers);
        }
        if asked.how == "draft" {
            // A letter that is worked on must not go out meanwhile.
            let change = Change::SetTimed { account, message: entry.message, timed: None };
            if let Err(error) = visit.context.store.change(change).done().await {
                return failed(&visit, &error);
            }
        }
        let names = |people: &[Correspondent]| people.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let at = visit.texts.moment(structure.date, clock::now());
        let phrases = Phrases {
            intro: visit.texts.with_two("compose-wrote", ("who", &names(&structure.from)), ("at", &at)),
            forwarded: visit.texts.get("compose-forwarded").into_owned(),
            at,
        };
        letter = letter::answer(&phrases, &visitor.address, &asked.answers, &asked.how, &structure, &text);
    }
    if asked.how != "draft" && !preferences.signature.is_empty() {
        letter.body = format!("\n\n-- \n{}\n{}", preferences.signature.trim_end(), letter.body);
    }
    answer_page(&visit, &visitor, StatusCode::OK, frame(&visit, "compose-title"), letter, carried, false).await
}

fn files(structure: &Structure, id: &str) -> Vec<(String, String, String)> {
    let one = |(number, part): (usize, &Part)| {
        let name = if part.file_name.is_empty() { part.kind.clone() } else { part.file_name.clone() };
        (format!("{id}.{number}"), name, size((part.end - part.start) * 73 / 100))
    };
    structure.attachments().into_iter().map(one).collect()
}

async fn answer_page(visit: &Visit, visitor: &Visitor, status: StatusCode, frame: Frame, letter: Letter, carried: Vec<(String, String, String)>, asks_for_file: bool) -> Response {
    let contacts = contacts(&visit.context, visitor.account).await;
    let limit = size(visit.context.settings().config.limits.message_octets);
    let senders = senders(&visit.context, &visitor.address).await;
    page(status, &ComposePage { frame, letter, contacts, carried, senders, limit, asks_for_file })
}

/// A person's own address, and those that lead to it by name.
async fn senders(context: &Arc<Context>, own: &str) -> Vec<String> {
    let own = own.to_string();
    let read = context.read(move |r| {
        let leads_here = |(address, target): &(String, AddressTarget)| match target {
            AddressTarget::Alias(to) => to.contains(&own) && !address.starts_with('@'),
            AddressTarget::Account(_) => false,
        };
        let mut all = vec![own.clone()];
        all.extend(r.addresses()?.iter().filter(|row| leads_here(row)).map(|(address, _)| address.clone()));
        Ok(all)
    });
    read.await.unwrap_or_default()
}

/// Those a person wrote to and heard from lately.
async fn contacts(context: &Arc<Context>, account: AccountId) -> Vec<String> {
    let read = context.read(move |r| {
        let mut found = Vec::new();
        for folder in [FolderId::SENT, FolderId::INBOX] {
            for (_, entry) in r.entries_before(account, folder, u32::MAX - 1, CONTACTS)? {
                let Some(card) = r.card(entry.message)? else { continue };
                let person = match folder {
                    FolderId::SENT => Correspondent { name: String::new(), address: card.to },
                    _ => Correspondent { name: card.from_name, address: card.from },
                };
                let text = person.to_string();
                if person.address.contains('@') && !found.contains(&text) && found.len() < CONTACTS {
                    found.push(text);
                }
            }
        }
        Ok(found)
    });
    read.await.unwrap_or_default()
}

/// Where a finished letter goes.
enum Sink<'a> {
    Submission(Box<Submission<'a>>),
    Draft(Spool, u64),
}

impl Sink<'_> {
    async fn write(&mut self, octets: &[u8], limit: u64) -> Result<(), pillarbox_store::Error> {
        match self {
            Sink::Submission(submission) => {
                submission.content(octets).await;
                Ok(())
            }
            Sink::Draft(spool, count) => {
                *count += octets.len() as u64;
                if *count > limit {
                    return Err(pillarbox_store::Error::Invalid { why: "too large".into() });
                }
                // A large one is written to the disk while it comes in.
                tokio::task::block_in_place(|| spool.append(octets))
            }
        }
    }
}

/// Why a letter does not go out.
enum Stop {
    /// The page again, with what was typed and a sentence.
    Say(String),
    AsksForFile,
    Refused(Refusal),
    Store(pillarbox_store::Error),
    /// The form is not ours.
    Stale,
    /// The browser went away in the middle.
    Broken,
}

impl From<pillarbox_store::Error> for Stop {
    fn from(error: pillarbox_store::Error) -> Self {
        Stop::Store(error)
    }
}

pub async fn send(Person(visit, visitor): Person, request: Request) -> Response {
    let Ok(mut form) = Multipart::from_request(request, &()).await else { return super::super::stale(&visit) };
    let mut letter = Letter::default();
    let outcome = take(&visit, &visitor, &mut form, &mut letter).await;
    let t = visit.texts;
    let again = async |message: String, asks: bool, letter: Letter| {
        let frame = frame(&visit, "compose-title");
        let frame = if message.is_empty() { frame } else { frame.trouble(message) };
        answer_page(&visit, &visitor, StatusCode::BAD_REQUEST, frame, letter, Vec::new(), asks).await
    };
    match outcome {
        Ok(place) => {
            after(&visit, &visitor, &letter).await;
            match letter.order.as_str() {
                // The script only wants to know where the draft is now.
                "autosave" => place.into_response(),
                _ => Redirect::to(&place).into_response(),
            }
        }
        Err(Stop::Say(text)) => again(text, false, letter).await,
        Err(Stop::AsksForFile) => again(String::new(), true, letter).await,
        Err(Stop::Refused(Refusal::Said(reply))) => again(reply.lines.join(" "), false, letter).await,
        Err(Stop::Refused(Refusal::Trouble(error)) | Stop::Store(error)) => match error {
            pillarbox_store::Error::Full => again(t.get("compose-full").into_owned(), false, letter).await,
            pillarbox_store::Error::Invalid { .. } => again(t.get("compose-too-large").into_owned(), false, letter).await,
            error => failed(&visit, &error),
        },
        Err(Stop::Stale) => super::super::stale(&visit),
        Err(Stop::Broken) => again(t.get("compose-broken").into_owned(), false, letter).await,
    }
}

/// Takes the form in: texts first, then files straight into the message.
async fn take(visit: &Visit, visitor: &Visitor, form: &mut Multipart, letter: &mut Letter) -> Result<String, Stop> {
    let limit = visit.context.settings().config.limits.message_octets;
    let boundary = format!("pillarbox-{:016x}", getrandom::u64().unwrap_or_default());
    let mut sink: Option<Sink> = None;
    while let Some(mut field) = form.next_field().await.map_err(|_| Stop::Broken)? {
        let name = field.name().unwrap_or_default().to_string();
        if name == "file" {
            let file_name = field.file_name().unwrap_or_default().to_string();
            if file_name.is_empty() {
                continue;
            }
            if sink.is_none() {
                sink = Some(begin(visit, visitor, letter, Some(&boundary)).await?);
            }
            if let Some(sink) = &mut sink {
                let kind = field.content_type().unwrap_or("application/octet-stream").to_string();
                sink.write(letter::part_header(&boundary, &kind, &file_name).as_bytes(), limit).await?;
                attach(sink, &mut field, limit).await?;
            }
            continue;
        }
        let mut text = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(|_| Stop::Broken)? {
            if text.len() + piece.len() > FIELD {
                return Err(Stop::Say(visit.texts.get("compose-too-large").into_owned()));
            }
            text.extend_from_slice(&piece);
        }
        letter.put(&name, String::from_utf8_lossy(&text).into_owned());
    }
    let carries = !letter.carry.is_empty();
    let has_files = sink.is_some() || carries;
    let mut sink = match sink {
        Some(sink) => sink,
        None => {
            if letter.order == "send" && !carries && letter.mentions_file() {
                return Err(Stop::AsksForFile);
            }
            begin(visit, visitor, letter, carries.then_some(boundary.as_str())).await?
        }
    };
    for id in letter.carry.clone() {
        carry(visit, visitor, &id, &boundary, &mut sink, limit).await?;
    }
    if has_files {
        sink.write(format!("--{boundary}--\r\n").as_bytes(), limit).await?;
    }
    match sink {
        Sink::Submission(submission) => {
            submission.end().await.map_err(Stop::Refused)?;
            Ok("/mail/2".into())
        }
        Sink::Draft(spool, _) => {
            let (message, uid) = save(visit, visitor, letter, spool).await?;
            match due(visit, visitor, letter).await? {
                None if letter.order == "autosave" => Ok(format!("3.{uid}")),
                None => Ok("/mail/3".into()),
                Some(due) => {
                    let change = Change::SetTimed { account: visitor.account, message, timed: Some(Timed { due, uid }) };
                    visit.context.store.change(change).done().await?;
                    Ok(format!("/mail/1?later=3.{uid}"))
                }
            }
        }
    }
}

/// Checks what was typed and begins the message: header and text.
async fn begin<'a>(visit: &'a Visit, visitor: &Visitor, letter: &Letter, boundary: Option<&str>) -> Result<Sink<'a>, Stop> {
    if !is_own(visitor, &letter.token) {
        return Err(Stop::Stale);
    }
    let (t, limit) = (visit.texts, visit.context.settings().config.limits.message_octets);
    let parse = |text: &str| letter::recipients(text).map_err(|wrong| Stop::Say(t.with("compose-wrong-address", "address", &wrong).into_owned()));
    let is_draft = letter.is_draft();
    let goes_later = !is_draft && due(visit, visitor, letter).await?.is_some();
    let lists = match (parse(&letter.to), parse(&letter.cc), parse(&letter.bcc)) {
        // A draft may be unfinished in every way.
        (to, cc, bcc) if is_draft => [to.unwrap_or_default(), cc.unwrap_or_default(), bcc.unwrap_or_default()],
        (to, cc, bcc) => [to?, cc?, bcc?],
    };
    let name = own_name(&visit.context, visitor.account).await?;
    let allowed = senders(&visit.context, &visitor.address).await;
    let from = allowed.iter().find(|address| **address == letter.from).unwrap_or(&visitor.address).clone();
    let mut header = letter::header(letter, &Correspondent { name, address: from.clone() }, &lists, boundary);
    if goes_later {
        // Its own from the beginning: should it go out twice, others see that it is one.
        let unique = getrandom::u64().unwrap_or_default();
        header.insert_str(0, &format!("Message-ID: <{unique:016x}@{}>\r\n", domain_of(&from)));
    }
    let mut sink = if is_draft {
        Sink::Draft(visit.context.store.spool(), 0)
    } else {
        let all = lists.iter().flatten().filter_map(|person| Address::parse(&person.address).ok());
        let mut addresses: Vec<Address> = Vec::new();
        for address in all {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(Stop::Say(t.get("compose-nobody").into_owned()));
        }
        let begun = submit::begin(&visit.context, Sender { from, ..sender(visit, visitor) }, addresses, None).await.map_err(Stop::Refused)?;
        match goes_later {
            // What is wrong with the addresses is said now, not later.
            true => Sink::Draft(visit.context.store.spool(), 0),
            false => Sink::Submission(Box::new(begun)),
        }
    };
    sink.write(header.as_bytes(), limit).await?;
    Ok(sink)
}

/// When a letter goes out, if not at once: at the time that was chosen, or after the moment to call it back.
async fn due(visit: &Visit, visitor: &Visitor, letter: &Letter) -> Result<Option<u64>, Stop> {
    if letter.is_draft() {
        return Ok(None);
    }
    let now = clock::now();
    if !letter.later.is_empty() {
        let chosen = clock::parse_local(&letter.later).filter(|&at| at > now && at < now + LATEST);
        return chosen.map(Some).ok_or_else(|| Stop::Say(visit.texts.get("compose-wrong-time").into_owned()));
    }
    let account = visitor.account;
    let preferences = visit.context.read(move |r| Preferences::read(r, account)).await?;
    Ok((preferences.undo > 0).then(|| now + preferences.undo.min(LONGEST_UNDO)))
}

async fn own_name(context: &Arc<Context>, account: AccountId) -> Result<String, pillarbox_store::Error> {
    Ok(context.read(move |r| r.account_by_id(account)).await?.map(|account| account.name).unwrap_or_default())
}

async fn attach(sink: &mut Sink<'_>, field: &mut Field<'_>, limit: u64) -> Result<(), Stop> {
    let mut lines = Lines::default();
    while let Some(piece) = field.chunk().await.map_err(|_| Stop::Broken)? {
        sink.write(lines.take(&piece, false).as_bytes(), limit).await?;
    }
    Ok(sink.write(lines.take(&[], true).as_bytes(), limit).await?)
}

/// A file of another message goes along.
async fn carry(visit: &Visit, visitor: &Visitor, id: &str, boundary: &str, sink: &mut Sink<'_>, limit: u64) -> Result<(), Stop> {
    let (message, number) = id.rsplit_once('.').ok_or(Stop::Stale)?;
    let (folder, uid) = parse_id(message).ok_or(Stop::Stale)?;
    let number: usize = number.parse().map_err(|_| Stop::Stale)?;
    let Some((_, content)) = open(visit, visitor.account, folder, uid).await? else { return Err(Stop::Stale) };
    let (store, own) = (visit.context.store.clone(), content.clone());
    let structure = off_thread(move || reading::structure(&store, &own)).await?;
    let part = structure.parts.into_iter().nth(number).ok_or(Stop::Stale)?;
    sink.write(letter::part_header(boundary, &part.kind, if part.file_name.is_empty() { "file" } else { &part.file_name }).as_bytes(), limit).await?;
    copy(visit, &content, &part, sink, limit).await
}

async fn copy(visit: &Visit, content: &Content, part: &Part, sink: &mut Sink<'_>, limit: u64) -> Result<(), Stop> {
    let mut source = Source::new(&visit.context.store, content, Vec::new(), false);
    let (mut decoder, mut lines, mut at) = (Decoder::new(part.encoding), Lines::default(), 0u64);
    while at < part.end {
        let Some(piece) = source.piece().await.map_err(|why| Stop::Store(pillarbox_store::Error::Invalid { why }))? else { break };
        let end = at + piece.len() as u64;
        let (first, last) = (part.start.clamp(at, end) - at, part.end.clamp(at, end) - at);
        let mut out = Vec::new();
        decoder.push(&piece[first as usize..last as usize], &mut out);
        sink.write(lines.take(&out, false).as_bytes(), limit).await?;
        at = end;
    }
    let mut out = Vec::new();
    decoder.finish(&mut out);
    Ok(sink.write(lines.take(&out, true).as_bytes(), limit).await?)
}

/// A draft lies in its folder like any message.
async fn save(visit: &Visit, visitor: &Visitor, letter: &Letter, spool: Spool) -> Result<(MessageId, u32), Stop> {
    let content = off_thread(move || spool.finish()).await?;
    let placement = Placement { account: visitor.account, folder: FolderId::DRAFTS, flags: Flags::SEEN.with(Flags::DRAFT) };
    let record = LedgerRecord {
        sender: visitor.address.clone(),
        subject: letter.subject.clone(),
        detail: "draft".into(),
        ..LedgerRecord::new(clock::now(), Fate::Delivered, fresh_code())
    };
    let delivered = visit.context.store.deliver(Delivery::local(content, 0, vec![placement], record)).done().await?;
    Ok((delivered.message, delivered.uids.first().copied().unwrap_or(0)))
}

/// The draft that was gone on with is of no more use; what was answered gets its mark.
async fn after(visit: &Visit, visitor: &Visitor, letter: &Letter) {
    let account = visitor.account;
    let order = |folder, uid, what| Change::Mail(MailOrder { account, folder, uids: vec![uid], what, at: clock::now() });
    let mut changes = Vec::new();
    if let Some((FolderId::DRAFTS, uid)) = parse_id(&letter.draft) {
        changes.push(order(FolderId::DRAFTS, uid, MailWhat::Delete { code: fresh_code() }));
    }
    if !letter.is_draft()
        && let Some((id, "reply" | "all")) = letter.answers.rsplit_once(':')
        && let Some((folder, uid)) = parse_id(id)
    {
        changes.push(order(folder, uid, MailWhat::Flag { add: Flags::ANSWERED, remove: Flags::default() }));
    }
    for change in changes {
        if let Err(error) = visit.context.store.change(change).done().await {
            tracing::warn!(%error, "a draft or a mark stays as it was");
        }
    }
}
