//! The ledger: the one fate of every message and every refused attempt.

pub(crate) mod detail;
pub(crate) mod filter;
pub(crate) mod read;
pub(crate) mod write;

use std::net::IpAddr;

use heed::types::Unit;
use pillarbox_vocabulary::{ShortCode, Timestamp};

use crate::engine::codec::{
    Cursor, FixedKey, Key, Record, put_bytes, put_strings, put_varint, stable_hash,
};
use crate::engine::table::{Keyed, Raw, Table, tables};
use crate::ids::LedgerId;
use crate::ledger::detail::Detail;

tables! {
    /// The fates of messages.
    /// `ledger` is one of the three tables that each delivery touches.
    Tables {
        ledger: Keyed<'e, LedgerId, LedgerRecord>,
        /// Which terms may occur in a block of the ledger: see `filter`.
        filters: Raw<'e, u64>,
        /// Blocks by hashed search term, as releases before kept it; emptied.
        terms: Table<'e, Key<TermKey>, Unit>,
    }
}

/// A hashed search term and a block of the ledger in which it occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TermKey {
    pub term: u64,
    pub block: u64,
}

impl FixedKey for TermKey {
    const WIDTH: usize = 16;
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.term.to_be_bytes());
        out.extend_from_slice(&self.block.to_be_bytes());
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(TermKey { term: octets.u64()?, block: octets.u64()? })
    }
}

/// Ledger records per block of its index.
pub(crate) const LEDGER_BLOCK: u64 = 256;

/// What became of a message or of an attempt to hand one over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    Delivered = 1,
    Quarantined = 2,
    Queued = 3,
    Relayed = 4,
    Bounced = 5,
    Refused = 6,
    Expired = 7,
    Collected = 8,
    Deleted = 9,
}

impl Fate {
    pub(crate) const ALL: [Fate; 9] = [
        Fate::Delivered,
        Fate::Quarantined,
        Fate::Queued,
        Fate::Relayed,
        Fate::Bounced,
        Fate::Refused,
        Fate::Expired,
        Fate::Collected,
        Fate::Deleted,
    ];

    /// The word people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Delivered => "delivered",
            Fate::Quarantined => "quarantined",
            Fate::Queued => "queued",
            Fate::Relayed => "relayed",
            Fate::Bounced => "bounced",
            Fate::Refused => "refused",
            Fate::Expired => "expired",
            Fate::Collected => "collected",
            Fate::Deleted => "deleted",
        }
    }
}

/// A new code by chance; of `at` where the system gives no random numbers.
/// Codes need not be secret.
pub fn fresh_code(at: Timestamp) -> ShortCode {
    ShortCode(getrandom::u32().unwrap_or(at.0 as u32))
}

/// Which part of the box an order came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// From other servers.
    Smtp,
    /// From mail programs.
    Submission,
    Pop3,
    /// The pages, webmail among them.
    Web,
    CommandLine,
    /// The box by itself.
    Box,
}

impl Service {
    const ALL: [Service; 6] = [
        Service::Smtp,
        Service::Submission,
        Service::Pop3,
        Service::Web,
        Service::CommandLine,
        Service::Box,
    ];

    /// The word that is stored, and that texts are looked up by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Service::Smtp => "smtp",
            Service::Submission => "submission",
            Service::Pop3 => "pop3",
            Service::Web => "web",
            Service::CommandLine => "command-line",
            Service::Box => "box",
        }
    }

    /// The service of a stored word.
    pub(crate) fn of(word: &str) -> Option<Service> {
        Service::ALL.into_iter().find(|service| service.as_str() == word)
    }

    /// The word for what a person did with stored messages.
    /// What came over the pages is called `webmail` here.
    pub(crate) const fn ledger_word(self) -> &'static str {
        match self {
            Service::Web => "webmail",
            other => other.as_str(),
        }
    }

    /// The service of a word in a ledger record from before version 3.
    pub(crate) fn of_ledger_word(word: &str) -> Option<Service> {
        Service::ALL.into_iter().find(|service| service.ledger_word() == word)
    }

    fn number(service: Option<Service>) -> u8 {
        match service {
            None => 0,
            Some(Service::Smtp) => 1,
            Some(Service::Submission) => 2,
            Some(Service::Pop3) => 3,
            Some(Service::Web) => 4,
            Some(Service::CommandLine) => 5,
            Some(Service::Box) => 6,
        }
    }

    fn of_number(number: u8) -> Option<Option<Service>> {
        if number == 0 {
            Some(None)
        } else {
            Service::ALL
                .into_iter()
                .find(|service| Service::number(Some(*service)) == number)
                .map(Some)
        }
    }
}

/// Longest text kept of a subject or a reply, in octets; longer ones are cut at a character.
pub const TEXT_LIMIT: usize = 400;

/// Most recipients or messages named in one record.
pub const LIST_LIMIT: usize = 256;

/// One line of the story of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRecord {
    /// By the box's clock.
    pub at: Timestamp,
    pub fate: Fate,
    pub code: ShortCode,
    pub peer: Option<IpAddr>,
    /// Reverse-path; empty for the null path.
    pub sender: String,
    pub recipients: Vec<String>,
    pub subject: String,
    /// The reply given or received, why it happened, or which program it was.
    pub detail: Detail,
    /// What the order came through, where that makes a difference: collecting, deleting.
    pub service: Option<Service>,
    /// Ids of the messages it is about; empty on the record of an acceptance, whose own place is the id.
    pub messages: Vec<u64>,
    /// Message-ID without angle brackets; empty where there is none.
    pub message_id: String,
}

impl LedgerRecord {
    /// A record with nothing but time, fate and code.
    pub fn new(at: Timestamp, fate: Fate, code: ShortCode) -> Self {
        LedgerRecord {
            at,
            fate,
            code,
            peer: None,
            sender: String::new(),
            recipients: Vec::new(),
            subject: String::new(),
            detail: Detail::None,
            service: None,
            messages: Vec::new(),
            message_id: String::new(),
        }
    }

    /// What people read behind its fate: the detail, or else the service.
    pub fn wording(&self) -> String {
        match self.service {
            Some(service) if self.detail.is_none() => service.ledger_word().into(),
            _ => self.detail.to_string(),
        }
    }

    /// Hashes of everything the record can be found by, each once.
    pub fn terms(&self) -> Vec<u64> {
        let mut terms = vec![term("code", &self.code.to_string())];
        for address in self.recipients.iter().chain([&self.sender]).filter(|a| !a.is_empty()) {
            let address = address.to_lowercase();
            if let Some((_, domain)) = address.rsplit_once('@') {
                terms.push(term("domain", domain));
            }
            terms.push(term("address", &address));
        }
        terms.extend(words(&self.subject).map(|word| term("word", &word)));
        if !self.message_id.is_empty() {
            terms.push(term("message-id", &self.message_id));
        }
        terms.extend(self.messages.iter().map(|id| term("message", &id.to_string())));
        terms.sort_unstable();
        terms.dedup();
        terms
    }
}

/// The hash under which a search term of a kind is indexed.
pub fn term(kind: &str, text: &str) -> u64 {
    stable_hash(&[kind.as_bytes(), b":", text.as_bytes()])
}

/// Words of a text, lowercased, of two characters and more.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| w.chars().nth(1).is_some())
        .map(str::to_lowercase)
}

fn clipped(text: &str) -> &[u8] {
    &text.as_bytes()[..text.floor_char_boundary(TEXT_LIMIT)]
}

impl Record for LedgerRecord {
    /// Version 1 had no `message_id`; version 2 had a text for detail and service.
    const VERSION: u8 = 3;
    fn write(&self, out: &mut Vec<u8>) {
        self.at.write(out);
        out.push(self.fate as u8);
        out.extend_from_slice(&self.code.0.to_be_bytes());
        match self.peer {
            None => out.push(0),
            Some(IpAddr::V4(ip)) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            Some(IpAddr::V6(ip)) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
        put_bytes(out, clipped(&self.sender));
        put_strings(out, &self.recipients[..self.recipients.len().min(LIST_LIMIT)]);
        put_bytes(out, clipped(&self.subject));
        self.detail.clipped(TEXT_LIMIT).write(out);
        out.push(Service::number(self.service));
        let messages = &self.messages[..self.messages.len().min(LIST_LIMIT)];
        put_varint(out, messages.len() as u64);
        let mut previous = 0u64;
        for &message in messages {
            put_varint(out, message.wrapping_sub(previous));
            previous = message;
        }
        put_bytes(out, clipped(&self.message_id));
    }

    fn read(version: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        let at = Timestamp::read(octets)?;
        let fate = octets.u8()?;
        let fate = Fate::ALL.into_iter().find(|f| *f as u8 == fate)?;
        let code = ShortCode(octets.u32()?);
        let peer = match octets.u8()? {
            0 => None,
            4 => Some(IpAddr::from(<[u8; 4]>::try_from(octets.take(4)?).ok()?)),
            6 => Some(IpAddr::from(<[u8; 16]>::try_from(octets.take(16)?).ok()?)),
            _ => return None,
        };
        let sender = octets.string()?;
        let recipients = octets.strings()?;
        let subject = octets.string()?;
        let (detail, service) = match version {
            ..=2 => Detail::of_record(fate, octets.string()?),
            _ => (Detail::read(octets)?, Service::of_number(octets.u8()?)?),
        };
        let count = octets.varint()?;
        let mut previous = 0u64;
        let mut messages = Vec::new();
        for _ in 0..count {
            previous = previous.wrapping_add(octets.varint()?);
            messages.push(previous);
        }
        let message_id = if version >= 2 { octets.string()? } else { String::new() };
        Some(LedgerRecord {
            at,
            fate,
            code,
            peer,
            sender,
            recipients,
            subject,
            detail,
            service,
            messages,
            message_id,
        })
    }
}
