//! People somebody writes to: collected from what was sent, edited here, taken in and out as vCards.

use std::collections::HashMap;

use askama::Template;
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_message::vcard;
use pillarbox_message::words;
use pillarbox_store::{Contact, Error, PutContacts};
use pillarbox_vocabulary::Address;
use serde::Deserialize;

use super::{failed, frame, unread};
use crate::frame::{Frame, page, stale};
use crate::session::{Person, Visit, Visitor};
use crate::signed::{Signed, SignedFiles};

/// Contacts on a page; the search narrows them.
const SHOWN: usize = 300;
/// Octets of a file of cards.
pub const FILE: usize = 4 << 20;
/// Contacts of one change.
const AT_ONCE: usize = 500;

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
    let rows = match visit.office.store.read_off_thread(move |r| r.contacts(account)).await {
        Ok(rows) => rows,
        Err(error) => return failed(visit, &error),
    };
    let edited = rows.iter().find(|(address, _)| *address == asked.edit).cloned();
    let q = asked.q.clone();
    let (rows, more) =
        match visit.office.readers.run(visitor.account, move |_| Ok(shown(rows, &q))).await {
            Ok(found) => found,
            Err(why) => return unread(visit, &why),
        };
    let is_known = edited.is_some();
    let (address, contact) = edited.unwrap_or_default();
    page(status, &ContactsPage { frame, q: asked.q, rows, more, address, contact, is_known })
}

type Row = (String, Contact);

/// The contacts that a search finds, by name, as many as a page has, and how many there are besides.
fn shown(mut rows: Vec<Row>, q: &str) -> (Vec<Row>, u64) {
    let wanted: Vec<String> = words::words(q).collect();
    rows.retain(|(address, contact)| {
        let text = if wanted.is_empty() {
            String::new()
        } else {
            words::fold(&format!("{} {address} {}", contact.name, contact.note))
        };
        wanted.iter().all(|word| text.contains(word))
    });
    rows.sort_by_cached_key(|(address, contact)| {
        words::fold(if contact.name.is_empty() { address } else { &contact.name })
    });
    let more = rows.len().saturating_sub(SHOWN) as u64;
    rows.truncate(SHOWN);
    (rows, more)
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
    let known = visit.office.store.read_off_thread(move |r| {
        let all = r.contacts(account)?;
        let named = |name: &str| {
            all.iter().find(|(known, _)| known == name).map(|(_, contact)| contact.clone())
        };
        Ok(named(&was).or_else(|| named(&wanted)).unwrap_or_default())
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

async fn keep(
    visit: &Visit,
    visitor: &Visitor,
    contacts: Vec<(String, Option<Contact>)>,
) -> Response {
    for some in contacts.chunks(AT_ONCE) {
        let change = PutContacts { account: visitor.account, contacts: some.to_vec() };
        match visit.office.store.change(change).done().await {
            Ok(_) => {}
            Err(Error::Invalid { .. }) => {
                let frame =
                    frame(visit, "contacts-title").trouble(visit.texts.get("contacts-too-many"));
                return answer(visit, visitor, Asked::default(), StatusCode::CONFLICT, frame).await;
            }
            Err(error) => return failed(visit, &error),
        }
    }
    Redirect::to("/mail/contacts").into_response()
}

/// All contacts as one file.
pub async fn file(Person(visit, visitor): Person) -> Response {
    let account = visitor.account;
    match visit.office.store.read_off_thread(move |r| r.contacts(account)).await {
        Ok(contacts) => {
            let headers = [
                (header::CONTENT_TYPE, "text/vcard; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"contacts.vcf\""),
            ];
            let cards: Vec<(String, vcard::Contact)> = contacts
                .into_iter()
                .map(|(address, contact)| {
                    (address, vcard::Contact { name: contact.name, note: contact.note })
                })
                .collect();
            (headers, vcard::write(&cards)).into_response()
        }
        Err(error) => failed(&visit, &error),
    }
}

/// Takes a file of cards in: known contacts get what is new, nothing is removed.
pub async fn import(SignedFiles(Person(visit, visitor), form): SignedFiles<Person>) -> Response {
    let Some(mut form) = form else { return stale(&visit) };
    let mut text = String::new();
    while let Ok(Some(field)) = form.next_field().await {
        if field.name() == Some("file") {
            text = String::from_utf8_lossy(&field.bytes().await.unwrap_or_default()).into_owned();
        }
    }
    let account = visitor.account;
    let known: HashMap<String, Contact> =
        match visit.office.store.read_off_thread(move |r| r.contacts(account)).await {
            Ok(known) => known.into_iter().collect(),
            Err(error) => return failed(&visit, &error),
        };
    let parsed = visit.office.readers.run(visitor.account, move |_| Ok(vcard::parse(&text))).await;
    let (found, skipped) = match parsed {
        Ok(parsed) => parsed,
        Err(why) => return unread(&visit, &why),
    };
    let count = found.len();
    let merged = found.into_iter().map(|(address, new)| {
        let old = known.get(&address).cloned().unwrap_or_default();
        let pick = |new: String, old: &str| if new.is_empty() { old.to_string() } else { new };
        let contact = Contact {
            name: pick(new.name, &old.name),
            note: pick(new.note, &old.note),
            is_kept: true,
            ..old
        };
        (address, Some(contact))
    });
    let refused = keep(&visit, &visitor, merged.collect()).await;
    if !refused.status().is_redirection() {
        return refused;
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
