//! Writing: new messages, answers, forwards, drafts gone on with, messages sent once more.

use std::sync::Arc;

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_message::addresses::mailbox;
use pillarbox_message::choice::Form;
use pillarbox_message::draft::{self, Answerer, Draft, How, Phrases};
use pillarbox_message::html;
use pillarbox_message::names::message_name;
use pillarbox_message::structure::{Part, Person as Correspondent, Structure};
use pillarbox_store::{AccountId, AddressTarget, FolderId, SetTimed, Store};
use serde::Deserialize;

use super::act::parse_id;
use super::{failed, frame, open, size, unread};
use crate::frame::{Frame, page};
use crate::session::{Person, Visit, Visitor};
use pillarbox_office::Office;
use pillarbox_office::mail::readers::{Budget, Unread};
use pillarbox_office::mail::reading::{self, Piece, SHOWN};

/// Correspondents that are offered.
const CONTACTS: usize = 300;
/// Received messages whose senders are offered too.
const HEARD: usize = 50;
/// Names that lead to names.
const NAMES_OF_NAMES: usize = 8;
/// Stands for a part's number: all of the message.
pub const WHOLE: &str = "message";

#[derive(Template)]
#[template(path = "mail-compose.html")]
struct ComposePage {
    frame: Frame,
    draft: Draft,
    contacts: Vec<String>,
    /// Files of another message that can go along: `folder.uid.part`, name and size.
    carried: Vec<(String, String, String)>,
    /// Addresses the person may write from, with what stands under messages from them.
    senders: Vec<(String, String)>,
    limit: String,
    limit_octets: u64,
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
    /// `reply`, `all`, `forward`, `attach` (forwarded as a file), `draft`, or `again` (to somebody else than before).
    #[serde(default)]
    how: String,
}

pub async fn show(Person(visit, visitor): Person, Query(asked): Query<Asked>) -> Response {
    let (account, preferences) = (visitor.account, &visit.preferences);
    let mut draft = Draft { to: asked.to.clone(), subject: asked.subject, ..Draft::default() };
    let mut carried = Vec::new();
    let how = How::of(&asked.how);
    let goes_on = matches!(how, How::Draft | How::Again);
    if let Some((folder, uid)) = parse_id(&asked.answers) {
        let (entry, content) = match open(&visit, account, folder, uid).await {
            Ok(Some(found)) => found,
            Ok(None) => return super::missing(&visit),
            Err(error) => return failed(&visit, &error),
        };
        let (store, t) = (visit.office.store.clone(), visit.texts);
        let answerer = Answerer {
            own: own_addresses(&visit.office, account, &visitor.address).await,
            senders: senders(&visit.office, &visitor.address).await,
            has_sent_it: folder == FolderId::SENT,
        };
        let id = asked.answers.clone();
        let read = visit.office.readers.message(visitor.account, content.message, move |budget| {
            let mut structure = reading::structure(&store, &content, budget)?;
            if structure.date == 0 {
                structure.date = entry.saved_at;
            }
            let text = reading::plain(&store, &content, &structure, SHOWN, budget)?;
            let formatted = if goes_on {
                formatted(&store, &content, &structure, budget)?
            } else {
                String::new()
            };
            let names =
                structure.from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let at = t.date(structure.date);
            let phrases = Phrases {
                intro: t.with_two("compose-wrote", ("who", &names), ("at", &at)),
                forwarded: t.get("compose-forwarded").into_owned(),
                at,
            };
            let draft = draft::answer(&phrases, &answerer, &id, how, &structure, &text);
            Ok((structure, Draft { html: formatted, ..draft }))
        });
        let (structure, begun) = match read.await {
            Ok(read) => read,
            Err(why) => return unread(&visit, &why),
        };
        match how {
            How::Forward | How::Draft | How::Again => carried = files(&structure, &asked.answers),
            How::Attach => {
                carried = vec![(
                    format!("{}.{WHOLE}", asked.answers),
                    whole_name(&structure),
                    size(u64::from(entry.octets)),
                )]
            }
            How::Reply | How::All => {}
        }
        if how == How::Draft {
            // A message that is worked on must not go out meanwhile.
            let change = SetTimed { account, message: entry.message, timed: None };
            if let Err(error) = visit.office.store.change(change).done().await {
                return failed(&visit, &error);
            }
        }
        draft = begun;
        if how == How::Again {
            draft.to = asked.to;
        }
    }
    if !goes_on {
        let from = if draft.from.is_empty() { &visitor.address } else { &draft.from };
        let signature = preferences.signature_for(from).trim_end();
        if !signature.is_empty() {
            draft.body = format!("\n\n-- \n{signature}\n{}", draft.body);
        }
        if preferences.is_rich {
            draft.html = draft::as_html(&draft.body);
        }
    }
    answer_page(
        &visit,
        &visitor,
        StatusCode::OK,
        frame(&visit, "compose-title"),
        draft,
        carried,
        false,
    )
    .await
}

/// The formatted text of a message that was begun here; empty where there is none, or more than is shown.
fn formatted(
    store: &Store,
    content: &pillarbox_store::Content,
    structure: &Structure,
    budget: &Budget,
) -> Result<String, Unread> {
    let body = reading::body(store, content, structure, Form::Html, SHOWN, budget)?;
    if !body.iter().any(|piece| matches!(piece, Piece::Html(_))) {
        return Ok(String::new());
    }
    let html = |piece: &Piece| match piece {
        Piece::Html(html) => html::written(html),
        Piece::Text(text) => Ok(draft::as_html(text)),
        Piece::Picture(_) => Ok(String::new()),
    };
    Ok(body.iter().map(html).collect::<Result<String, _>>().unwrap_or_default())
}

/// The name a message goes along under.
pub fn whole_name(structure: &Structure) -> String {
    message_name("", &structure.subject)
}

fn files(structure: &Structure, id: &str) -> Vec<(String, String, String)> {
    let one = |(number, part): (usize, &Part)| {
        let name = match part.file_name.is_empty() {
            _ if part.is_message() => message_name(&part.file_name, ""),
            true => part.kind.clone(),
            false => part.file_name.clone(),
        };
        (format!("{id}.{number}"), name, size((part.end - part.start) * 73 / 100))
    };
    structure.attachments().into_iter().map(one).collect()
}

pub async fn answer_page(
    visit: &Visit,
    visitor: &Visitor,
    status: StatusCode,
    frame: Frame,
    draft: Draft,
    carried: Vec<(String, String, String)>,
    asks_for_file: bool,
) -> Response {
    let contacts = contacts(&visit.office, visitor.account).await;
    // Base64 makes a third more of a file.
    let limit_octets = visit.office.settings.get().limits.message_octets * 73 / 100;
    let signed = |address: String| {
        (address.clone(), visit.preferences.signature_for(&address).trim_end().to_string())
    };
    let senders = senders(&visit.office, &visitor.address).await.into_iter().map(signed).collect();
    page(
        status,
        &ComposePage {
            frame,
            draft,
            contacts,
            carried,
            senders,
            limit: size(limit_octets),
            limit_octets,
            asks_for_file,
        },
    )
}

/// A person's own address, and those that lead to it by name.
pub async fn senders(office: &Arc<Office>, own: &str) -> Vec<String> {
    let own = own.to_string();
    let read = office.store.read_off_thread(move |r| {
        let leads_here = |(address, target): &(String, AddressTarget)| match target {
            AddressTarget::Alias(to) => to.contains(&own) && !address.starts_with('@'),
            AddressTarget::Account(_) => false,
        };
        let mut all = vec![own.clone()];
        all.extend(
            r.addresses()?.iter().filter(|row| leads_here(row)).map(|(address, _)| address.clone()),
        );
        Ok(all)
    });
    read.await.unwrap_or_default()
}

/// Addresses that lead to a person and to nobody else, in lower case: their own, and names for it, also by way of other
/// names.
async fn own_addresses(office: &Arc<Office>, account: AccountId, own: &str) -> Vec<String> {
    let own = own.to_lowercase();
    let read = office.store.read_off_thread(move |r| {
        let (mut found, all) = (vec![own.clone()], r.addresses()?);
        for _ in 0..NAMES_OF_NAMES {
            let leads_here = |(address, target): &&(String, AddressTarget)| match target {
                AddressTarget::Account(known) => *known == account,
                AddressTarget::Alias(to) => {
                    !address.starts_with('@')
                        && !to.is_empty()
                        && to.iter().all(|to| found.contains(&to.to_lowercase()))
                }
            };
            let more: Vec<String> = all
                .iter()
                .filter(leads_here)
                .map(|(address, _)| address.to_lowercase())
                .filter(|address| !found.contains(address))
                .collect();
            if more.is_empty() {
                break;
            }
            found.extend(more);
        }
        Ok(found)
    });
    read.await.unwrap_or_default()
}

/// Those a person knows, most written to first, and those they heard from lately.
async fn contacts(office: &Arc<Office>, account: AccountId) -> Vec<String> {
    let read = office.store.read_off_thread(move |r| {
        let mut known = r.contacts(account)?;
        known.sort_by_key(|(_, contact)| std::cmp::Reverse((contact.written, contact.last)));
        let mut addresses: std::collections::HashSet<String> =
            known.iter().map(|(address, _)| address.clone()).collect();
        let mut people: Vec<Correspondent> = known
            .into_iter()
            .map(|(address, contact)| Correspondent { name: contact.name, address })
            .collect();
        for (_, entry) in r.entries_before(account, FolderId::INBOX, u32::MAX - 1, HEARD)? {
            let Some(card) = r.card(account, entry.message)? else { continue };
            if card.from.contains('@') && addresses.insert(card.from.to_lowercase()) {
                people.push(Correspondent { name: card.from_name, address: card.from });
            }
        }
        Ok(people.iter().take(CONTACTS).map(mailbox).collect())
    });
    read.await.unwrap_or_default()
}
