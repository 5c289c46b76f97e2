//! A message on its way out of the browser: sent while it comes in, so that no copy of it lies in memory; or kept as a
//! draft.

use std::sync::Arc;

use axum::extract::multipart::{Field, Multipart};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_message::addresses::{NotAnAddress, recipients};
use pillarbox_message::draft::{self, Draft, Lines, Order};
use pillarbox_message::extract::Extractor;
use pillarbox_message::html::{self, Excess};
use pillarbox_message::names::message_name;
use pillarbox_message::structure::{Part, Person as Correspondent, Structure, reads_as_address};
use pillarbox_outbound::Source;
use pillarbox_platform::clock;
use pillarbox_proto::address::Address;
use pillarbox_store::{
    AccountId, AnyChange, Content, Delivery, Detail, Fate, Flags, FolderId, LedgerRecord,
    MailOrder, MailWhat, MessageId, NoteWritten, Placement, Service, SetTimed, Spool, Timed,
    domain_of, off_thread,
};

use super::act::parse_id;
use super::compose::{WHOLE, answer_page, senders, whole_name};
use super::{failed, frame, open, sender};
use crate::frame::stale;
use crate::session::{Person, Visit, Visitor};
use crate::signed::SignedFiles;
use pillarbox_office::mail::preferences::LONGEST_UNDO;
use pillarbox_office::mail::readers::Unread;
use pillarbox_office::mail::reading;
use pillarbox_office::submission::send::{self, Sender};
use pillarbox_office::submission::{Refusal, Submission};
use pillarbox_office::{Office, code};

/// Octets of a text field.
const FIELD: usize = 1 << 20;
/// How far ahead a message can be sent, in seconds.
const LATEST: u64 = 366 * 86_400;

/// Files of other messages, and whole ones, that may go along.
const CARRIED: usize = 200;

/// Where a finished message goes.
enum Sink<'a> {
    Submission(Box<Submission<'a>>),
    Draft(Spool),
}

/// A message that is being written, with what it may still take.
struct Writing<'a> {
    sink: Sink<'a>,
    /// Octets that are left of `limits.message_octets`.
    left: u64,
}

impl Writing<'_> {
    async fn write(&mut self, octets: &[u8]) -> Result<(), pillarbox_store::Error> {
        let too_large = || pillarbox_store::Error::Invalid { why: "too large".into() };
        self.left = self.left.checked_sub(octets.len() as u64).ok_or_else(too_large)?;
        match &mut self.sink {
            Sink::Submission(submission) => {
                submission.content(octets).await;
                Ok(())
            }
            // A large one is written to the disk while it comes in.
            Sink::Draft(spool) => tokio::task::block_in_place(|| spool.append(octets)),
        }
    }
}

/// Why a message does not go out.
enum Stop {
    /// The page again, with what was typed and a sentence.
    Say(String),
    AsksForFile,
    TooFormatted,
    Unread(Unread),
    Refused(Refusal),
    Store(pillarbox_store::Error),
    /// The form is not ours.
    Stale,
    /// The browser went away in the middle.
    Broken,
}

impl From<Unread> for Stop {
    fn from(why: Unread) -> Self {
        Stop::Unread(why)
    }
}

impl From<pillarbox_store::Error> for Stop {
    fn from(error: pillarbox_store::Error) -> Self {
        Stop::Store(error)
    }
}

pub async fn send(SignedFiles(Person(visit, visitor), form): SignedFiles<Person>) -> Response {
    let mut draft = Draft::default();
    let outcome = match form {
        Some(mut form) => take(&visit, &visitor, &mut form, &mut draft).await,
        None => Err(Stop::Broken),
    };
    let t = visit.texts;
    let again = async |message: String, asks: bool, mut draft: Draft| {
        // What goes into the page again is as harmless as what goes out.
        if let Ok((cleaned, _)) = cleaned(&visit, &visitor, &draft).await {
            draft = cleaned;
        } else if !draft.html.is_empty() {
            // Too much is being read: what was typed is kept without its formatting, which costs little.
            draft.body = html::to_text(&std::mem::take(&mut draft.html));
        }
        let frame = frame(&visit, "compose-title");
        let frame = if message.is_empty() { frame } else { frame.trouble(message) };
        answer_page(&visit, &visitor, StatusCode::BAD_REQUEST, frame, draft, Vec::new(), asks).await
    };
    match outcome {
        Ok(place) => {
            after(&visit, &visitor, &draft).await;
            match draft.order {
                // The script only wants to know where the draft is now.
                Order::Autosave => place.into_response(),
                _ => Redirect::to(&place).into_response(),
            }
        }
        Err(Stop::Say(text)) => again(text, false, draft).await,
        Err(Stop::AsksForFile) => again(String::new(), true, draft).await,
        Err(Stop::TooFormatted) => {
            again(t.get("compose-too-formatted").into_owned(), false, draft).await
        }
        Err(Stop::Unread(Unread::Store(error))) => failed(&visit, &error),
        Err(Stop::Unread(Unread::Withheld)) => {
            again(t.get("mail-withheld").into_owned(), false, draft).await
        }
        Err(Stop::Unread(_)) => again(t.get("mail-busy").into_owned(), false, draft).await,
        Err(Stop::Refused(Refusal::Said(reply))) => {
            again(reply.lines.join(" "), false, draft).await
        }
        Err(Stop::Refused(Refusal::Trouble(error)) | Stop::Store(error)) => match error {
            pillarbox_store::Error::Full => {
                again(t.get("compose-full").into_owned(), false, draft).await
            }
            pillarbox_store::Error::Invalid { .. } => {
                again(t.get("compose-too-large").into_owned(), false, draft).await
            }
            error => failed(&visit, &error),
        },
        Err(Stop::Stale) => stale(&visit),
        Err(Stop::Broken) => again(t.get("compose-broken").into_owned(), false, draft).await,
    }
}

/// Takes the form in: texts first, then files straight into the message.
async fn take(
    visit: &Visit,
    visitor: &Visitor,
    form: &mut Multipart,
    draft: &mut Draft,
) -> Result<String, Stop> {
    let boundary = format!("pillarbox-{:016x}", getrandom::u64().unwrap_or_default());
    let mut sink: Option<(Writing, When)> = None;
    while let Some(mut field) = form.next_field().await.map_err(|_| Stop::Broken)? {
        let name = field.name().unwrap_or_default().to_string();
        if name == "file" {
            let file_name = field.file_name().unwrap_or_default().to_string();
            if file_name.is_empty() {
                continue;
            }
            if sink.is_none() {
                sink = Some(begin(visit, visitor, draft, &boundary, true).await?);
            }
            if let Some((sink, _)) = &mut sink {
                let kind = field.content_type().unwrap_or("application/octet-stream").to_string();
                sink.write(draft::part_header(&boundary, &kind, &file_name).as_bytes()).await?;
                attach(sink, &mut field).await?;
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
        if name == "carry" && draft.carry.len() >= CARRIED {
            return Err(Stop::Say(visit.texts.get("compose-too-large").into_owned()));
        }
        draft.put(&name, String::from_utf8_lossy(&text).into_owned());
    }
    let carries = !draft.carry.is_empty();
    let has_files = sink.is_some() || carries;
    let (mut sink, when) = match sink {
        Some(begun) => begun,
        None => {
            if draft.order == Order::Send && !carries && draft.mentions_file() {
                return Err(Stop::AsksForFile);
            }
            begin(visit, visitor, draft, &boundary, carries).await?
        }
    };
    let mut opened = None;
    for id in &draft.carry {
        carry(visit, visitor, id, &boundary, &mut sink, &mut opened).await?;
    }
    if has_files {
        sink.write(format!("--{boundary}--\r\n").as_bytes()).await?;
    }
    match sink.sink {
        Sink::Submission(submission) => {
            submission.end().await.map_err(Stop::Refused)?;
            Ok("/mail/2".into())
        }
        Sink::Draft(spool) => {
            let (message, uid) = save(visit, visitor, draft, spool).await?;
            let due = match when {
                When::Now => None,
                When::After(seconds) => Some(clock::now() + seconds),
                When::At(at) => Some(at),
            };
            match due {
                None if draft.order == Order::Autosave => Ok(format!("3.{uid}")),
                None => Ok("/mail/3".into()),
                Some(due) => {
                    let change = SetTimed {
                        account: visitor.account,
                        message,
                        timed: Some(Timed { due, uid }),
                    };
                    visit.office.store.change(change).done().await?;
                    Ok(format!("/mail/1?later=3.{uid}"))
                }
            }
        }
    }
}

type Lists = [Result<Vec<Correspondent>, NotAnAddress>; 3];

/// A message made harmless, and those it is for; both may be megabytes that were typed or pasted.
async fn cleaned(
    visit: &Visit,
    visitor: &Visitor,
    draft: &Draft,
) -> Result<(Draft, Result<Lists, Excess>), Unread> {
    let mut draft = draft.clone();
    let read = visit.office.readers.run(visitor.account, move |_| {
        let cleaned = draft.clean();
        let lists = [&draft.to, &draft.cc, &draft.bcc].map(|text| recipients(text));
        Ok((draft, cleaned.map(|()| lists)))
    });
    read.await
}

/// Checks what was typed and begins the message: header and text.
async fn begin<'a>(
    visit: &'a Visit,
    visitor: &Visitor,
    draft: &mut Draft,
    boundary: &str,
    has_files: bool,
) -> Result<(Writing<'a>, When), Stop> {
    let (t, limit) = (visit.texts, visit.office.settings.get().limits.message_octets);
    let say = |NotAnAddress(wrong)| {
        Stop::Say(t.with("compose-wrong-address", "address", &wrong).into_owned())
    };
    let is_draft = draft.is_draft();
    let when = when(visit, draft)?;
    let goes_later = !matches!(when, When::Now);
    let (harmless, lists) = cleaned(visit, visitor, draft).await?;
    *draft = harmless;
    let lists = match lists.map_err(|_| Stop::TooFormatted)? {
        // A draft may be unfinished in every way.
        lists if is_draft => lists.map(Result::unwrap_or_default),
        [to, cc, bcc] => [to.map_err(say)?, cc.map_err(say)?, bcc.map_err(say)?],
    };
    // A name that reads as an address says nothing that the address does not, and submission refuses it.
    let name = Some(own_name(&visit.office, visitor.account).await?)
        .filter(|name| !reads_as_address(name))
        .unwrap_or_default();
    let allowed = senders(&visit.office, &visitor.address).await;
    let from =
        allowed.iter().find(|address| **address == draft.from).unwrap_or(&visitor.address).clone();
    let mut header = draft::header(
        draft,
        &Correspondent { name, address: from.clone() },
        &lists,
        boundary,
        has_files,
    );
    if goes_later {
        // Its own from the beginning: should it go out twice, others see that it is one.
        let unique = getrandom::u64().unwrap_or_default();
        header.insert_str(0, &format!("Message-ID: <{unique:016x}@{}>\r\n", domain_of(&from)));
    }
    let sink = if is_draft {
        Sink::Draft(visit.office.store.spool())
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
        let begun = send::begin(
            &visit.office.submission,
            Sender { from, ..sender(visit, visitor) },
            addresses,
            None,
        )
        .await
        .map_err(Stop::Refused)?;
        match goes_later {
            // What is wrong with the addresses is said now, not later.
            true => Sink::Draft(visit.office.store.spool()),
            false => Sink::Submission(Box::new(begun)),
        }
    };
    let mut writing = Writing { sink, left: limit };
    writing.write(header.as_bytes()).await?;
    Ok((writing, when))
}

/// When a message goes out.
#[derive(Clone, Copy)]
enum When {
    Now,
    /// Seconds from when all of it is here: the moment to call it back.
    After(u64),
    /// Seconds since 1970, as it was chosen.
    At(u64),
}

/// Asked once, when the message begins: a time that was good then is good when all files are here.
fn when(visit: &Visit, draft: &Draft) -> Result<When, Stop> {
    let (now, undo) = (clock::now(), visit.preferences.undo.min(LONGEST_UNDO));
    if draft.is_draft() {
        return Ok(When::Now);
    }
    if draft.later.is_empty() {
        return Ok(if undo > 0 { When::After(undo) } else { When::Now });
    }
    let chosen = clock::parse_local(&draft.later, visit.texts.zone())
        .filter(|&at| at > now && at < now + LATEST);
    chosen
        .map(When::At)
        .ok_or_else(|| Stop::Say(visit.texts.get("compose-wrong-time").into_owned()))
}

async fn own_name(
    office: &Arc<Office>,
    account: AccountId,
) -> Result<String, pillarbox_store::Error> {
    Ok(office
        .store
        .read_off_thread(move |r| r.account_by_id(account))
        .await?
        .map(|account| account.name)
        .unwrap_or_default())
}

async fn attach(sink: &mut Writing<'_>, field: &mut Field<'_>) -> Result<(), Stop> {
    let mut lines = Lines::default();
    while let Some(piece) = field.chunk().await.map_err(|_| Stop::Broken)? {
        sink.write(lines.take(&piece, false).as_bytes()).await?;
    }
    Ok(sink.write(lines.take(&[], true).as_bytes()).await?)
}

/// A message whose files go along.
struct Opened {
    id: (FolderId, u32),
    content: Content,
    structure: Structure,
}

/// A file of another message goes along, or that message as a whole.
/// `opened` is the one before: it is taken apart once for all its files.
async fn carry(
    visit: &Visit,
    visitor: &Visitor,
    id: &str,
    boundary: &str,
    sink: &mut Writing<'_>,
    opened: &mut Option<Opened>,
) -> Result<(), Stop> {
    let (message, number) = id.rsplit_once('.').ok_or(Stop::Stale)?;
    let id = parse_id(message).ok_or(Stop::Stale)?;
    let Opened { content, structure, .. } = match opened.take_if(|known| known.id == id) {
        Some(known) => opened.insert(known),
        None => {
            let Some((_, content)) = open(visit, visitor.account, id.0, id.1).await? else {
                return Err(Stop::Stale);
            };
            let (store, own) = (visit.office.store.clone(), content.clone());
            let structure = visit
                .office
                .readers
                .message(visitor.account, content.message, move |budget| {
                    reading::structure(&store, &own, budget)
                })
                .await?;
            opened.insert(Opened { id, content, structure })
        }
    };
    if number == WHOLE {
        let header = draft::message_header(boundary, &whole_name(structure));
        sink.write(header.as_bytes()).await?;
        copy(visit, content, Extractor::whole(), None, sink).await?;
        return Ok(sink.write(b"\r\n").await?);
    }
    let number: usize = number.parse().map_err(|_| Stop::Stale)?;
    let part = structure.parts.get(number).ok_or(Stop::Stale)?;
    if part.is_message() {
        return carry_message(visit, visitor, content, part, boundary, sink).await;
    }
    sink.write(
        draft::part_header(
            boundary,
            &part.kind,
            if part.file_name.is_empty() { "file" } else { &part.file_name },
        )
        .as_bytes(),
    )
    .await?;
    copy(visit, content, Extractor::new(part), Some(Lines::default()), sink).await
}

/// A message that is a part goes along as it is (RFC 2046 §5.2.1: never encoded), or as octets if a line of it can't
/// travel so.
async fn carry_message(
    visit: &Visit,
    visitor: &Visitor,
    content: &Content,
    part: &Part,
    boundary: &str,
    sink: &mut Writing<'_>,
) -> Result<(), Stop> {
    let (store, own, wanted) = (visit.office.store.clone(), content.clone(), part.clone());
    let read = visit.office.readers.message(visitor.account, content.message, move |budget| {
        let subject = reading::subject(&store, &own, std::slice::from_ref(&wanted), budget)?;
        Ok((subject, reading::travels_as_it_is(&store, &own, &wanted, budget)?))
    });
    let (subject, travels) = read.await?;
    let name = message_name(&part.file_name, &subject);
    if !travels {
        sink.write(draft::part_header(boundary, "application/octet-stream", &name).as_bytes())
            .await?;
        return copy(visit, content, Extractor::new(part), Some(Lines::default()), sink).await;
    }
    sink.write(draft::message_header(boundary, &name).as_bytes()).await?;
    copy(visit, content, Extractor::new(part), None, sink).await?;
    Ok(sink.write(b"\r\n").await?)
}

/// Copies what an extractor takes out of a message, as lines of base64 or as it is.
async fn copy(
    visit: &Visit,
    content: &Content,
    mut extractor: Extractor,
    mut lines: Option<Lines>,
    sink: &mut Writing<'_>,
) -> Result<(), Stop> {
    let mut source = Source::new(&visit.office.store, content, Vec::new(), false);
    let mut is_over = false;
    while !is_over {
        let mut out = Vec::new();
        match source.piece().await.map_err(|error| {
            Stop::Store(pillarbox_store::Error::Invalid { why: error.to_string() })
        })? {
            Some(piece) => extractor.push(&piece, &mut out),
            None => is_over = true,
        }
        is_over |= extractor.is_over();
        if is_over {
            extractor.finish(&mut out);
        }
        match &mut lines {
            Some(lines) => sink.write(lines.take(&out, is_over).as_bytes()).await?,
            None => sink.write(&out).await?,
        }
    }
    Ok(())
}

/// A draft lies in its folder like any message.
async fn save(
    visit: &Visit,
    visitor: &Visitor,
    draft: &Draft,
    spool: Spool,
) -> Result<(MessageId, u32), Stop> {
    let content = off_thread(move || spool.finish()).await?;
    let placement = Placement {
        account: visitor.account,
        folder: FolderId::DRAFTS,
        flags: Flags::SEEN.with(Flags::DRAFT),
    };
    let record = LedgerRecord {
        sender: visitor.address.clone(),
        subject: draft.subject.clone(),
        detail: Detail::Draft,
        ..LedgerRecord::new(clock::now(), Fate::Delivered, code::fresh())
    };
    let delivered = visit
        .office
        .store
        .deliver(Delivery::local(content, 0, vec![placement], record))
        .done()
        .await?;
    Ok((delivered.message, delivered.uids.first().copied().unwrap_or(0)))
}

/// The draft that was gone on with is of no more use; what was answered gets its mark.
async fn after(visit: &Visit, visitor: &Visitor, draft: &Draft) {
    let account = visitor.account;
    let order = |folder, uid, what| {
        AnyChange::of(MailOrder {
            account,
            folder,
            uids: vec![uid],
            what,
            at: clock::now(),
            service: Service::Web,
        })
    };
    let mut changes = Vec::new();
    if let Some((FolderId::DRAFTS, uid)) = parse_id(&draft.continues) {
        changes.push(order(FolderId::DRAFTS, uid, MailWhat::Delete { code: code::fresh() }));
    }
    if !draft.is_draft()
        && let Some((id, "reply" | "all")) = draft.answers.rsplit_once(':')
        && let Some((folder, uid)) = parse_id(id)
    {
        changes.push(order(
            folder,
            uid,
            MailWhat::Flag { add: Flags::ANSWERED, remove: Flags::default() },
        ));
    }
    if !draft.is_draft() {
        let lists = [draft.to.clone(), draft.cc.clone(), draft.bcc.clone()];
        let written = visit.office.readers.run(visitor.account, move |_| {
            Ok(lists.iter().filter_map(|text| recipients(text).ok()).flatten().collect::<Vec<_>>())
        });
        let people = written
            .await
            .unwrap_or_default()
            .into_iter()
            .map(|person| (person.name, person.address.to_lowercase()))
            .collect();
        changes.push(AnyChange::of(NoteWritten { account, people, at: clock::now() }));
    }
    for change in changes {
        if let Err(error) = visit.office.store.change(change).done().await {
            tracing::warn!(%error, "a draft, a mark or a contact stays as it was");
        }
    }
}
