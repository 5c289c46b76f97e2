//! People somebody writes to: collected from what was sent, edited here, taken in and out as vCards.

use std::collections::HashSet;
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_message::vcard;
use pillarbox_message::words;
use pillarbox_office::mail::readers::{Budget, Unread};
use pillarbox_store::{AccountId, CONTACTS, Contact, Error, PutContacts, Reader};
use pillarbox_vocabulary::Address;
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc};

use super::{failed, frame, unread};
use crate::frame::{Frame, page, stale};
use crate::session::{Person, Visit, Visitor};
use crate::signed::{Signed, SignedFiles};
use crate::stream;

/// Contacts on a page; the search narrows them.
const SHOWN: usize = 300;
/// Octets of a file of cards.
pub const FILE: usize = 4 << 20;
/// Contacts of one change.
const AT_ONCE: usize = 500;
/// Files that are taken in at the same time, of all people together, and how long one waits for its turn.
static IMPORTS: Semaphore = Semaphore::const_new(2);
const TURN: Duration = Duration::from_secs(20);

#[derive(Template)]
#[template(path = "mail-contacts.html")]
struct ContactsPage {
    frame: Frame,
    q: String,
    rows: Vec<(String, Contact)>,
    more: u64,
    /// The one that is edited, or a new one.
    address: String,
    contact: Contact,
    is_known: bool,
}

#[derive(Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    edit: String,
}

pub async fn show(Person(visit, visitor): Person, Query(asked): Query<Asked>) -> Response {
    answer(&visit, &visitor, asked, StatusCode::OK, frame(&visit, "contacts-title")).await
}

async fn answer(
    visit: &Visit,
    visitor: &Visitor,
    asked: Asked,
    status: StatusCode,
    mut frame: Frame,
) -> Response {
    frame.here = "/mail/contacts";
    let account = visitor.account;
    let (store, q, wanted) = (visit.office.store.clone(), asked.q.clone(), asked.edit);
    let find = move |_: &Budget| {
        let found = store.read(|r| {
            let edited = r.contact(account, &wanted)?.map(|contact| (wanted, contact));
            Ok((edited, shown(r, account, &q)?))
        });
        Ok(found?)
    };
    let (edited, (rows, more)) = match visit.office.readers.run(account, find).await {
        Ok(found) => found,
        Err(why) => return unread(visit, &why),
    };
    let is_known = edited.is_some();
    let (address, contact) = edited.unwrap_or_default();
    page(status, &ContactsPage { frame, q: asked.q, rows, more, address, contact, is_known })
}

type Row = (String, Contact);

/// The contacts that a search finds, by name, as many as a page has, and how many there are besides.
/// Only names and addresses are held of all of them.
fn shown(reader: &Reader, account: AccountId, q: &str) -> Result<(Vec<Row>, u64), Error> {
    let wanted: Vec<String> = words::words(q).collect();
    let mut found = Vec::new();
    reader.each_contact(account, |address, contact| {
        let text = match wanted.is_empty() {
            true => String::new(),
            false => words::fold(&format!("{} {address} {}", contact.name, contact.note)),
        };
        if wanted.iter().all(|word| text.contains(word)) {
            let name = if contact.name.is_empty() { address } else { &contact.name };
            found.push((words::fold(name), address.to_string()));
        }
    })?;
    found.sort();
    let more = found.len().saturating_sub(SHOWN) as u64;
    let row = |(_, address): (String, String)| {
        let contact = reader.contact(account, &address)?;
        Ok(contact.map(|contact| (address, contact)))
    };
    let rows = found.into_iter().take(SHOWN).filter_map(|one| row(one).transpose());
    Ok((rows.collect::<Result<_, Error>>()?, more))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    Remove,
    #[default]
    #[serde(other)]
    Save,
}

#[derive(Deserialize)]
pub struct Edited {
    #[serde(default)]
    order: Order,
    #[serde(default)]
    was: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    note: String,
}

pub async fn change(Signed(Person(visit, visitor), form): Signed<Person, Edited>) -> Response {
    let account = visitor.account;
    if form.order == Order::Remove {
        return keep(&visit, &visitor, vec![(form.was, None)]).await;
    }
    let Ok(address) = Address::parse(form.address.trim()) else {
        let said = visit.texts.with("compose-wrong-address", "address", &form.address).into_owned();
        let frame = frame(&visit, "contacts-title").trouble(said);
        return answer(&visit, &visitor, Asked::default(), StatusCode::BAD_REQUEST, frame).await;
    };
    let address = address.canonical();
    let (was, wanted) = (form.was.clone(), address.clone());
    let known = visit.office.store.read_off_thread(move |r| match r.contact(account, &was)? {
        Some(known) => Ok(known),
        None => Ok(r.contact(account, &wanted)?.unwrap_or_default()),
    });
    let known = match known.await {
        Ok(known) => known,
        Err(error) => return failed(&visit, &error),
    };
    let contact = Contact {
        name: vcard::clean(&form.name),
        note: vcard::note(&form.note),
        is_kept: true,
        ..known
    };
    let mut changes = vec![(address.clone(), Some(contact))];
    if !form.was.is_empty() && form.was != address {
        changes.push((form.was, None));
    }
    keep(&visit, &visitor, changes).await
}

/// Stores some contacts; those of one change are stored or refused together.
async fn keep(
    visit: &Visit,
    visitor: &Visitor,
    contacts: Vec<(String, Option<Contact>)>,
) -> Response {
    let change = PutContacts { account: visitor.account, contacts };
    match visit.office.store.change(change).done().await {
        Ok(_) => Redirect::to("/mail/contacts").into_response(),
        Err(Error::Invalid { .. }) => too_many(visit, visitor).await,
        Err(error) => failed(visit, &error),
    }
}

async fn too_many(visit: &Visit, visitor: &Visitor) -> Response {
    let frame = frame(visit, "contacts-title").trouble(visit.texts.get("contacts-too-many"));
    answer(visit, visitor, Asked::default(), StatusCode::CONFLICT, frame).await
}

/// All contacts as one file, some at a time.
pub async fn file(Person(visit, visitor): Person) -> Response {
    let (store, account) = (visit.office.store.clone(), visitor.account);
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut after = String::new();
        loop {
            let behind = after.clone();
            let read = store.read_off_thread(move |r| r.contacts_after(account, &behind, AT_ONCE));
            let cards = match read.await {
                Ok(cards) => cards,
                Err(error) => {
                    tracing::warn!(%error, "contacts can't be read");
                    let _ = sender.send(Err(error.into())).await;
                    return;
                }
            };
            let Some((last, _)) = cards.last() else { return };
            after.clone_from(last);
            let card = |(address, contact): (String, Contact)| {
                let note = contact.note.into();
                (address, vcard::Contact { name: contact.name, note })
            };
            let text = vcard::write(&cards.into_iter().map(card).collect::<Vec<_>>());
            // A browser that has gone is no failure.
            if sender.send(Ok(text.into())).await.is_err() {
                return;
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/vcard; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"contacts.vcf\""),
    ];
    (headers, Body::new(stream::Octets::new(receiver))).into_response()
}

/// Takes a file of cards in: known contacts get what is new, nothing is removed.
pub async fn import(SignedFiles(Person(visit, visitor), form): SignedFiles<Person>) -> Response {
    let Some(mut form) = form else { return stale(&visit) };
    // Before any of the file is taken in: that is what needs the memory.
    let Ok(Ok(_turn)) = tokio::time::timeout(TURN, IMPORTS.acquire()).await else {
        return unread(&visit, &Unread::Busy);
    };
    let mut text = String::new();
    while let Ok(Some(field)) = form.next_field().await {
        if field.name() == Some("file") {
            text = lossy(field.bytes().await.unwrap_or_default().into());
        }
    }
    let account = visitor.account;
    let parsed = visit.office.readers.run(account, move |_| Ok(vcard::parse(&text))).await;
    let (found, skipped) = match parsed {
        Ok(parsed) => parsed,
        Err(why) => return unread(&visit, &why),
    };
    let addresses: HashSet<String> = found.iter().map(|(address, _)| address.clone()).collect();
    let count = found.len();
    let has_room = visit.office.store.read_off_thread(move |r| {
        let mut all = 0;
        r.each_contact(account, |_, _| all += 1)?;
        for address in &addresses {
            all += usize::from(r.contact(account, address)?.is_none());
        }
        Ok(all <= CONTACTS)
    });
    match has_room.await {
        Ok(true) => {}
        Ok(false) => return too_many(&visit, &visitor).await,
        Err(error) => return failed(&visit, &error),
    }
    for some in found.chunks(AT_ONCE) {
        let some = some.to_vec();
        let merged = visit.office.store.read_off_thread(move |r| {
            some.into_iter()
                .map(|(address, new)| {
                    let old = r.contact(account, &address)?.unwrap_or_default();
                    Ok((address, Some(merged(new, old))))
                })
                .collect::<Result<Vec<_>, Error>>()
        });
        let refused = match merged.await {
            Ok(merged) => keep(&visit, &visitor, merged).await,
            Err(error) => failed(&visit, &error),
        };
        if !refused.status().is_redirection() {
            return refused;
        }
    }
    let said = visit.texts.with_two(
        "contacts-imported",
        ("count", &count.to_string()),
        ("skipped", &skipped.to_string()),
    );
    let frame = frame(&visit, "contacts-title");
    let frame =
        if count == 0 { frame.trouble(visit.texts.get("contacts-none")) } else { frame.done(said) };
    answer(&visit, &visitor, Asked::default(), StatusCode::OK, frame).await
}

/// Octets as text, without a copy if they are text.
fn lossy(octets: Vec<u8>) -> String {
    String::from_utf8(octets)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// What a file says of somebody, and what was known where it says nothing.
fn merged(new: vcard::Contact, old: Contact) -> Contact {
    let pick = |new: &str, old: String| if new.is_empty() { old } else { new.to_string() };
    let (name, note) = (pick(&new.name, old.name), pick(&new.note, old.note));
    Contact { name, note, written: old.written, last: old.last, is_kept: true }
}
