//! Answers to the questions of a POP3 session: one visit of one device to one maildrop.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pillarbox_platform::clock;
use pillarbox_proto::pop3::{Answer, Credentials, Entry, Question, Refusal};
use pillarbox_store::{
    Collection, Content, ContentReader, Detail, Error, Fate, LedgerRecord, Maildrop, MaildropEntry,
    MessageId, Reader, Result, Service, off_thread,
};
use roaring::RoaringBitmap;
use tokio::sync::SemaphorePermit;

use super::Edge;
use pillarbox_office::auth::Identity;
use pillarbox_office::code;

/// Entries fetched for a listing at once.
const LISTING: u32 = 4096;
/// Entries fetched when a program asks for one.
const SINGLES: u32 = 256;
/// Octets of messages fetched ahead of a program that asks for one after the other.
const AHEAD_OCTETS: usize = 256 * 1024;
/// Messages fetched ahead at most.
const AHEAD_MESSAGES: u32 = 128;
/// Octets read from a content file at once.
const PIECE: usize = 64 * 1024;

/// A question, owned.
pub enum Owned {
    Login(Credentials),
    Listing { from: u32, limit: u32 },
    Retrieve { number: u32 },
    Update { deleted: Vec<u32> },
}

impl From<Question<'_>> for Owned {
    fn from(question: Question<'_>) -> Self {
        match question {
            Question::Login(credentials) => Owned::Login(credentials.clone()),
            Question::Listing { from, limit } => Owned::Listing { from, limit },
            Question::Retrieve { number } => Owned::Retrieve { number },
            Question::Update { deleted } => Owned::Update { deleted: deleted.to_vec() },
        }
    }
}

/// One logged-in (or not yet logged-in) program.
pub struct Visit<'a> {
    edge: &'a Edge,
    peer: IpAddr,
    inside: Option<Inside>,
    /// The share of the memory for messages in flight that what was read ahead takes.
    budget: Option<SemaphorePermit<'a>>,
}

struct Inside {
    identity: Identity,
    maildrop: Arc<Maildrop>,
    /// Messages given out, for the ledger.
    fetched: Vec<u64>,
    /// Entries fetched along with one that was asked for alone, and the number of the first.
    listed: Vec<MaildropEntry>,
    listed_from: u32,
    /// Small messages read ahead, in order.
    ahead: VecDeque<(u32, MessageId, Vec<u8>)>,
}

/// The octets of a message on their way to a session.
pub enum Body {
    Small { octets: Vec<u8>, given: usize },
    Large { file: Option<ContentReader>, piece: Vec<u8> },
}

impl Body {
    /// The next octets, at most `room`.
    pub async fn next(&mut self, room: usize) -> Result<Option<&[u8]>> {
        match self {
            Body::Small { octets, given } => {
                let end = octets.len().min(*given + room);
                let next = &octets[*given..end];
                *given = end;
                Ok((!next.is_empty()).then_some(next))
            }
            Body::Large { file, piece } => {
                let (Some(mut reading), mut buffer) = (file.take(), std::mem::take(piece)) else {
                    return Ok(None);
                };
                let (reading, buffer) = off_thread(move || {
                    buffer.resize(PIECE.min(room), 0);
                    let read = reading.read(&mut buffer)?;
                    buffer.truncate(read);
                    Ok((reading, buffer))
                })
                .await?;
                (*file, *piece) = (Some(reading), buffer);
                Ok((!piece.is_empty()).then_some(&piece[..]))
            }
        }
    }
}

impl<'a> Visit<'a> {
    pub fn new(edge: &'a Edge, peer: IpAddr) -> Self {
        Visit { edge, peer, inside: None, budget: None }
    }

    /// True when the next message has to be fetched, and others may come along.
    pub fn reads_ahead_now(&self) -> bool {
        self.inside.as_ref().is_some_and(|inside| inside.ahead.is_empty())
    }

    /// `waiting`: how many further messages, one after the other, the program has already asked for.
    pub async fn answer(&mut self, question: Owned, waiting: usize) -> (Answer, Option<Body>) {
        let answer = match question {
            Owned::Login(credentials) => self.login(credentials).await,
            Owned::Listing { from, limit } => self.listing(from, limit).await,
            Owned::Retrieve { number } => return self.retrieve(number, waiting).await,
            Owned::Update { deleted } => self.update(&deleted).await,
        };
        (answer, None)
    }

    async fn login(&mut self, credentials: Credentials) -> Answer {
        let now = Instant::now();
        if !credentials.authorization.is_empty() && credentials.authorization != credentials.user {
            return refuse("AUTH", "Logging in for somebody else is not possible here");
        }
        let password = credentials.password.as_str();
        match self.edge.sign_ins.verify(Service::Pop3, &credentials.user, password, self.peer).await
        {
            Ok(identity) => self.enter(identity, now).await,
            Err(why) if why.is_temporary() => refuse("SYS/TEMP", &why.to_string()),
            Err(why) => {
                tracing::info!(peer = %self.peer, user = %credentials.user.escape_debug(), "pop3 login refused");
                refuse("AUTH", &why.to_string())
            }
        }
    }

    async fn enter(&mut self, identity: Identity, now: Instant) -> Answer {
        if let Some(wait) = self.too_soon(&identity, now) {
            return refuse(
                "LOGIN-DELAY",
                &format!("Wait {} seconds between two logins", wait.as_secs() + 1),
            );
        }
        let (account, device) = (identity.account, identity.device);
        match self.edge.store.read_off_thread(move |r| r.maildrop(account, device)).await {
            Ok(maildrop) => {
                let answer =
                    Answer::LoggedIn { messages: maildrop.messages(), octets: maildrop.octets };
                tracing::info!(peer = %self.peer, account = identity.address, device = identity.label, messages = maildrop.messages(), "pop3 login");
                let maildrop = Arc::new(maildrop);
                self.inside = Some(Inside {
                    identity,
                    maildrop,
                    fetched: Vec::new(),
                    listed: Vec::new(),
                    listed_from: 0,
                    ahead: VecDeque::new(),
                });
                answer
            }
            Err(error) => self.trouble(&error),
        }
    }

    /// RFC 2449 §6.5: how long this device still has to wait.
    fn too_soon(&self, identity: &Identity, now: Instant) -> Option<Duration> {
        let delay = self.edge.settings.get().login.delay;
        if delay == 0 {
            return None;
        }
        let delay = Duration::from_secs(delay);
        let mut logins = self.edge.logins.lock().unwrap_or_else(|e| e.into_inner());
        logins.retain(|_, last| now.saturating_duration_since(*last) < delay);
        let key = (identity.account.0, identity.device.0);
        match logins.get(&key) {
            Some(last) => Some(delay.saturating_sub(now.saturating_duration_since(*last))),
            None => {
                logins.insert(key, now);
                None
            }
        }
    }

    async fn listing(&mut self, from: u32, limit: u32) -> Answer {
        let Some(inside) = &mut self.inside else { return nobody() };
        if limit == 1
            && let Some(known) = inside.listed.get(from.wrapping_sub(inside.listed_from) as usize)
        {
            return Answer::Listing(vec![entry(known)]);
        }
        // A program that asks for one message will ask for the next.
        let fetched = if limit == 1 { SINGLES } else { limit.min(LISTING) };
        let maildrop = inside.maildrop.clone();
        match self.edge.store.read_off_thread(move |r| r.listing(&maildrop, from, fetched)).await {
            Ok(entries) if limit == 1 => {
                let first = entries.first().map(entry);
                (inside.listed_from, inside.listed) = (from, entries);
                Answer::Listing(first.into_iter().collect())
            }
            Ok(entries) => Answer::Listing(entries.iter().map(entry).collect()),
            Err(error) => self.trouble(&error),
        }
    }

    async fn retrieve(&mut self, number: u32, waiting: usize) -> (Answer, Option<Body>) {
        let Some(inside) = &mut self.inside else { return (nobody(), None) };
        while inside.ahead.front().is_some_and(|(n, ..)| *n != number) {
            inside.ahead.pop_front();
        }
        if inside.ahead.is_empty() {
            let maildrop = inside.maildrop.clone();
            // Where memory is short, or nothing is waiting, one message at a time has to do.
            self.budget = None;
            if waiting > 0 {
                self.budget =
                    self.edge.read_ahead.try_acquire_many((2 * AHEAD_OCTETS / 1024) as u32).ok();
            }
            let count =
                if self.budget.is_some() { (waiting as u32 + 1).min(AHEAD_MESSAGES) } else { 1 };
            match self.edge.store.read_off_thread(move |r| fetch(r, &maildrop, number, count)).await
            {
                Ok(Fetched::Small(messages)) => inside.ahead = messages,
                Ok(Fetched::Large(content)) => return self.large(&content).await,
                Ok(Fetched::Gone) => {
                    let text = "This message was deleted meanwhile by another program";
                    return (Answer::Refuse(Refusal { code: None, text: text.into() }), None);
                }
                Err(error) => return (self.trouble(&error), None),
            }
        }
        let Some((_, message, octets)) = inside.ahead.pop_front() else { return (nobody(), None) };
        if inside.ahead.is_empty() {
            self.budget = None;
        }
        inside.fetched.push(message.0);
        (Answer::Content { octets: octets.len() as u64 }, Some(Body::Small { octets, given: 0 }))
    }

    async fn large(&mut self, content: &Content) -> (Answer, Option<Body>) {
        let (store, wanted) = (self.edge.store.clone(), content.clone());
        // Damage is to be known before "+OK": a message that breaks off is asked for again and again, and those behind
        // it never.
        match off_thread(move || store.open_whole(&wanted)).await {
            Ok(file) => {
                if let Some(inside) = &mut self.inside {
                    inside.fetched.push(content.message.0);
                }
                (
                    Answer::Content { octets: content.octets },
                    Some(Body::Large { file, piece: Vec::new() }),
                )
            }
            Err(error) => (self.trouble(&error), None),
        }
    }

    async fn update(&mut self, deleted: &[u32]) -> Answer {
        let Some(mut inside) = self.inside.take() else { return Answer::Accept };
        if deleted.is_empty() && inside.fetched.is_empty() {
            return Answer::Accept;
        }
        let code = code::fresh();
        let mut remaining: RoaringBitmap =
            deleted.iter().filter_map(|&n| inside.maildrop.uid(n)).collect();
        loop {
            let collection = Collection {
                account: inside.identity.account,
                device: inside.identity.device,
                deleted: remaining,
                fetched: std::mem::take(&mut inside.fetched),
                device_label: inside.identity.label.clone(),
                code,
                at: clock::now(),
            };
            match self.edge.store.change(collection).done().await {
                Ok(updated) if updated.remaining.is_empty() => {
                    tracing::info!(peer = %self.peer, account = inside.identity.address, deleted = deleted.len(), "pop3 update");
                    return Answer::Accept;
                }
                Ok(updated) => remaining = updated.remaining,
                // Nothing was to be deleted; that it was fetched can't be written down, and will be known no worse.
                Err(Error::Unwritable { .. }) if deleted.is_empty() => return Answer::Accept,
                Err(error) => {
                    return match self.trouble(&error) {
                        Answer::Refuse(_) => refuse(
                            "SYS/TEMP",
                            "Some messages could not be deleted; they are still here",
                        ),
                        other => other,
                    };
                }
            }
        }
    }

    /// The conversation is over.
    /// Without QUIT nothing is deleted, but what was fetched is recorded.
    pub fn leave(&mut self) {
        let Some(inside) = self.inside.take() else { return };
        for messages in inside.fetched.chunks(256) {
            self.edge.store.note(LedgerRecord {
                recipients: vec![inside.identity.address.clone()],
                detail: Detail::device(inside.identity.device, &inside.identity.label),
                service: Some(Service::Pop3),
                messages: messages.to_vec(),
                ..LedgerRecord::new(clock::now(), Fate::Collected, code::fresh())
            });
        }
    }

    fn trouble(&self, error: &Error) -> Answer {
        tracing::error!(peer = %self.peer, %error, "pop3 request failed");
        match error {
            Error::Unwritable { .. } => refuse(
                "SYS/TEMP",
                "Nothing can be changed here at the moment; tell the owner of the box",
            ),
            Error::Damaged { .. } => {
                refuse("SYS/PERM", "This message is damaged on the disk; tell the owner of the box")
            }
            _ => refuse("SYS/TEMP", "Something went wrong here; try again later"),
        }
    }
}

enum Fetched {
    Small(VecDeque<(u32, MessageId, Vec<u8>)>),
    Large(Content),
    Gone,
}

/// Reads message `number` and, while they are small, those that follow.
fn fetch(reader: &Reader, maildrop: &Maildrop, number: u32, count: u32) -> Result<Fetched> {
    let mut small = VecDeque::new();
    let mut octets = 0;
    for (entry, number) in reader.listing(maildrop, number, count)?.iter().zip(number..) {
        let content = entry.message.map(|m| reader.content(m)).transpose()?.flatten();
        match content {
            None if small.is_empty() => return Ok(Fetched::Gone),
            Some(content) if content.is_large() && small.is_empty() => {
                return Ok(Fetched::Large(content));
            }
            Some(content) if !content.is_large() => {
                let mut message = Vec::new();
                match reader.read_inline(&content, &mut message) {
                    Err(error) if small.is_empty() => return Err(error),
                    Err(_) => break,
                    Ok(()) => octets += message.len(),
                }
                small.push_back((number, content.message, message));
            }
            _ => break,
        }
        if octets > AHEAD_OCTETS {
            break;
        }
    }
    Ok(if small.is_empty() { Fetched::Gone } else { Fetched::Small(small) })
}

/// The unique-id is sixteen hex digits of the entry's random number: opaque, and stable for ever.
fn entry(entry: &MaildropEntry) -> Entry {
    let mut uidl = [0; 16];
    for (digit, shift) in uidl.iter_mut().zip((0..16).rev()) {
        *digit = b"0123456789abcdef"[(entry.unique_id >> (4 * shift) & 15) as usize];
    }
    Entry { octets: entry.octets, uidl }
}

fn refuse(code: &'static str, text: &str) -> Answer {
    Answer::Refuse(Refusal { code: Some(code), text: text.to_string() })
}

fn nobody() -> Answer {
    refuse("SYS/TEMP", "Something went wrong here; try again later")
}
