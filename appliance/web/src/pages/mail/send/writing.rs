//! A message that is written while it comes in: its header and text, its files, its end.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::multipart::Field;
use pillarbox_message::addresses::{NotAnAddress, recipients};
use pillarbox_message::draft::{self, Draft, Lines, Order};
use pillarbox_message::html::Excess;
use pillarbox_message::structure::{Person as Correspondent, reads_as_address};
use pillarbox_office::mail::preferences::LONGEST_UNDO;
use pillarbox_office::mail::readers::Unread;
use pillarbox_office::submission::Submission;
use pillarbox_office::submission::send::{self, Sender};
use pillarbox_office::{Office, code};
use pillarbox_platform::clock;
use pillarbox_platform::config::seconds;
use pillarbox_store::{
    AccountId, Delivery, Detail, Error, Fate, Flags, FolderId, LedgerRecord, MessageId, Placement,
    SetTimed, Spool, Timed, domain_of, off_thread,
};
use pillarbox_vocabulary::{Address, Timestamp};

use super::stop::Stop;
use crate::pages::mail::correspondents::senders;
use crate::pages::mail::sender;
use crate::session::{Visit, Visitor};

/// How far ahead a message can be sent.
const LATEST: Duration = Duration::from_secs(366 * 86_400);

/// Recipients, those in copy, those in hidden copy.
type Lists = [Vec<Correspondent>; 3];

/// A message that is being written.
pub struct Writing<'a> {
    pub visit: &'a Visit,
    pub visitor: &'a Visitor,
    /// Between its parts, if it has files.
    pub boundary: String,
    sink: Sink<'a>,
    when: When,
    /// Octets that are left of `limits.message_octets`.
    left: u64,
}

/// Where a finished message goes.
enum Sink<'a> {
    Submission(Box<Submission<'a>>),
    /// Into the folder of drafts, also what goes out later.
    Draft(Spool),
}

/// When a message goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Now,
    /// So long after all of it is here: the moment to call it back.
    After(Duration),
    /// As it was chosen.
    At(Timestamp),
}

impl<'a> Writing<'a> {
    /// Checks what was typed and begins the message: header and text.
    /// The draft is made harmless on the way.
    pub async fn begin(
        visit: &'a Visit,
        visitor: &'a Visitor,
        draft: &mut Draft,
        has_files: bool,
    ) -> Result<Writing<'a>, Stop> {
        let when = when(visit, draft)?;
        let lists = checked(visit, visitor, draft).await?;
        let author = author(visit, visitor, &draft.from).await?;
        let boundary = format!("pillarbox-{:016x}", getrandom::u64().unwrap_or_default());
        let mut header = draft::header(draft, &author, &lists, &boundary, has_files);
        if when != When::Now {
            // Its own from the beginning: should it go out twice, others see that it is one.
            let unique = getrandom::u64().unwrap_or_default();
            let domain = domain_of(&author.address);
            header.insert_str(0, &format!("Message-ID: <{unique:016x}@{domain}>\r\n"));
        }
        let sink = if draft.is_draft() {
            Sink::Draft(visit.office.store.spool())
        } else {
            let begun = submission(visit, visitor, author.address, &lists).await?;
            match when {
                When::Now => Sink::Submission(Box::new(begun)),
                // What is wrong with the addresses is said now, not later.
                When::After(_) | When::At(_) => Sink::Draft(visit.office.store.spool()),
            }
        };
        let left = visit.office.settings.get().limits.message_octets;
        let mut writing = Writing { visit, visitor, boundary, sink, when, left };
        writing.write(header.as_bytes()).await?;
        Ok(writing)
    }

    pub async fn write(&mut self, octets: &[u8]) -> Result<(), Error> {
        let too_large = || Error::Invalid { why: "too large".into() };
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

    /// A file from the browser goes along.
    pub async fn attach(&mut self, name: &str, file: &mut Field<'_>) -> Result<(), Stop> {
        let kind = file.content_type().unwrap_or("application/octet-stream").to_string();
        let header = draft::part_header(&self.boundary, &kind, name);
        self.write(header.as_bytes()).await?;
        let mut lines = Lines::default();
        while let Some(piece) = file.chunk().await.map_err(|_| Stop::Broken)? {
            self.write(lines.take(&piece, false).as_bytes()).await?;
        }
        Ok(self.write(lines.take(&[], true).as_bytes()).await?)
    }

    /// After the last file.
    pub async fn end_files(&mut self) -> Result<(), Error> {
        let end = format!("--{}--\r\n", self.boundary);
        self.write(end.as_bytes()).await
    }

    /// The message is whole: it is sent or kept.
    /// Gives the page that comes next; of an autosaved draft where it is, `folder.uid`.
    pub async fn finish(self, draft: &Draft) -> Result<String, Stop> {
        let spool = match self.sink {
            Sink::Submission(submission) => {
                submission.end().await.map_err(Stop::Refused)?;
                return Ok("/mail/2".into());
            }
            Sink::Draft(spool) => spool,
        };
        let (message, uid) = save(self.visit, self.visitor, draft, spool).await?;
        let due = match self.when {
            When::Now if draft.order == Order::Autosave => return Ok(format!("3.{uid}")),
            When::Now => return Ok("/mail/3".into()),
            When::After(pause) => clock::now().plus(pause),
            When::At(at) => at,
        };
        let account = self.visitor.account;
        let change = SetTimed { account, message, timed: Some(Timed { due, uid }) };
        self.visit.office.store.change(change).done().await?;
        Ok(format!("/mail/1?later=3.{uid}"))
    }
}

/// Asked once, when the message begins: a time that was good then is good when all files are here.
fn when(visit: &Visit, draft: &Draft) -> Result<When, Stop> {
    let (now, undo) = (clock::now(), visit.preferences.undo.min(LONGEST_UNDO));
    if draft.is_draft() {
        return Ok(When::Now);
    }
    if draft.later.is_empty() {
        return Ok(if undo > 0 { When::After(seconds(undo)) } else { When::Now });
    }
    let chosen = clock::parse_local(&draft.later, visit.texts.zone())
        .filter(|&at| at > now && at < now.plus(LATEST));
    chosen
        .map(When::At)
        .ok_or_else(|| Stop::Say(visit.texts.get("compose-wrong-time").into_owned()))
}

/// A message made harmless, and those it is for; both may be megabytes that were typed or pasted.
pub async fn cleaned(
    visit: &Visit,
    visitor: &Visitor,
    draft: &Draft,
) -> Result<(Draft, Result<[Result<Vec<Correspondent>, NotAnAddress>; 3], Excess>), Unread> {
    let mut draft = draft.clone();
    let read = visit.office.readers.run(visitor.account, move |_| {
        let cleaned = draft.clean();
        let lists = [&draft.to, &draft.cc, &draft.bcc].map(|text| recipients(text));
        Ok((draft, cleaned.map(|()| lists)))
    });
    read.await
}

/// Makes the draft harmless, and gives those it is for.
async fn checked(visit: &Visit, visitor: &Visitor, draft: &mut Draft) -> Result<Lists, Stop> {
    let (harmless, lists) = cleaned(visit, visitor, draft).await?;
    *draft = harmless;
    let lists = lists.map_err(|_| Stop::TooFormatted)?;
    if draft.is_draft() {
        // A draft may be unfinished in every way.
        return Ok(lists.map(Result::unwrap_or_default));
    }
    let say = |NotAnAddress(wrong)| {
        let text = visit.texts.with("compose-wrong-address", "address", &wrong);
        Stop::Say(text.into_owned())
    };
    let [to, cc, bcc] = lists;
    Ok([to.map_err(say)?, cc.map_err(say)?, bcc.map_err(say)?])
}

/// Who writes: under the address that was chosen, if it is one of the person's.
async fn author(visit: &Visit, visitor: &Visitor, chosen: &str) -> Result<Correspondent, Error> {
    // A name that reads as an address says nothing that the address does not, and submission refuses it.
    let name = Some(own_name(&visit.office, visitor.account).await?)
        .filter(|name| !reads_as_address(name))
        .unwrap_or_default();
    let allowed = senders(&visit.office, &visitor.address).await;
    let address = allowed.into_iter().find(|address| address == chosen);
    Ok(Correspondent { name, address: address.unwrap_or_else(|| visitor.address.clone()) })
}

async fn own_name(office: &Arc<Office>, account: AccountId) -> Result<String, Error> {
    Ok(office
        .store
        .read_off_thread(move |r| r.account_by_id(account))
        .await?
        .map(|account| account.name)
        .unwrap_or_default())
}

async fn submission<'a>(
    visit: &'a Visit,
    visitor: &Visitor,
    from: String,
    lists: &Lists,
) -> Result<Submission<'a>, Stop> {
    let mut addresses: Vec<Address> = Vec::new();
    for address in lists.iter().flatten().filter_map(|to| Address::parse(&to.address).ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(Stop::Say(visit.texts.get("compose-nobody").into_owned()));
    }
    let sender = Sender { from, ..sender(visit, visitor) };
    send::begin(&visit.office.submission, sender, addresses, None).await.map_err(Stop::Refused)
}

/// Stores a draft in its folder, like any message.
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
