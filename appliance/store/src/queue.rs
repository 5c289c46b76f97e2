//! Messages on their way out: a row for each recipient, destination queues by domain, an agenda of these.

pub(crate) mod entries;
pub(crate) mod read;
pub(crate) mod settle;

use heed::types::{Str, Unit};
use pillarbox_vocabulary::{ShortCode, Timestamp};

use crate::engine::codec::{
    Cursor, FixedKey, Key, Record, compound_key, put_bytes, put_varint, stable_hash,
};
use crate::engine::table::{Keyed, Raw, Table, tables};
use crate::ids::{AccountId, DayKey, DestinationId, MessageId};
use crate::ledger::detail::Detail;

tables! {
    /// Messages on their way out, and notices about them.
    Tables {
        /// Messages on their way out; each counts as one share of its content.
        outgoing: Keyed<'e, MessageId, Outgoing>,
        /// Their recipients.
        queue: Keyed<'e, QueueKey, Waiting>,
        /// The destination queues: scheduled ones by domain and time, so that what one connection can take along is
        /// together.
        /// The name is of the stored format.
        lanes: Table<'e, Key<DestinationKey>, Unit>,
        /// Destination queues by the time of their first recipient, with the domain: what is not due costs nothing.
        agenda: Table<'e, Key<AgendaKey>, Str>,
        /// Conversations of last attempts.
        transcripts: Keyed<'e, QueueKey, Transcript>,
        /// Recipients an account sent to on a day.
        usage: Raw<'e, DayKey>,
        /// Notices that came about a message that was sent.
        reports: Table<'e, Key<ReportKey>, Unit>,
    }
}

compound_key!(
    /// A recipient of a message in the queue, counted from 0.
    QueueKey { message: MessageId, recipient: u32, }
);

impl std::fmt::Display for QueueKey {
    /// As people meet it: `12.0`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.message.0, self.recipient)
    }
}

impl std::str::FromStr for QueueKey {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (message, recipient) = text.split_once('.').ok_or(())?;
        Ok(QueueKey {
            message: MessageId(message.parse().map_err(drop)?),
            recipient: recipient.parse().map_err(drop)?,
        })
    }
}

compound_key!(
    /// A scheduled recipient in its destination queue, by time.
    DestinationKey { destination: DestinationId, due: Timestamp, entry: QueueKey, }
);

compound_key!(
    /// A destination queue by the time of its first recipient.
    AgendaKey { due: Timestamp, destination: DestinationId, }
);

compound_key!(
    /// A sent message and a notice that came about it.
    ReportKey { sent: MessageId, report: MessageId, }
);

/// What is known of a message on its way out, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits(pub u16);

impl Traits {
    /// The body holds octets beyond ASCII (RFC 6152).
    pub const EIGHT_BIT: Traits = Traits(1);
    /// Headers or addresses hold UTF-8 (RFC 6531).
    pub const UTF8: Traits = Traits(2);
    /// Under verified TLS or not at all (RFC 8689).
    pub const REQUIRE_TLS: Traits = Traits(4);
    /// A program's answer: its failure is not reported (RFC 3834).
    pub const AUTOMATIC: Traits = Traits(8);
    /// A notice brings back the header fields only (RFC 3461 §4.3, `RET=HDRS`).
    pub const RETURN_HEADERS: Traits = Traits(16);
    /// A notice brings back everything (`RET=FULL`).
    pub const RETURN_FULL: Traits = Traits(32);
    /// Getting there matters more than TLS (RFC 8689 §5, `TLS-Required: No`).
    pub const TLS_OPTIONAL: Traits = Traits(64);

    /// Lines are longer than mail may have (RFC 5322 §2.1.1): parts are encoded on the way out.
    pub const LONG_LINES: Traits = Traits(128);

    pub fn contains(self, other: Traits) -> bool {
        self.0 & other.0 == other.0
    }
    pub fn with(self, other: Traits) -> Traits {
        Traits(self.0 | other.0)
    }
}

/// A message on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Who submitted it; `None`: the box itself.
    pub account: Option<AccountId>,
    pub code: ShortCode,
    /// Reverse-path; empty for the null path.
    pub sender: String,
    /// When it was accepted, by the clock of then.
    pub arrived: Timestamp,
    pub traits: Traits,
    /// Envelope identifier of the sender (RFC 3461 §4.4); may be empty.
    pub envid: String,
    pub subject: String,
    /// Header fields that go in front of the relayed copy: signatures.
    pub signature: Vec<u8>,
    /// Recipients still in the queue.
    pub remaining: u32,
}

impl Record for Outgoing {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.account.map_or(0, |a| a.0).to_be_bytes());
        out.extend_from_slice(&self.code.0.to_be_bytes());
        put_bytes(out, self.sender.as_bytes());
        self.arrived.write(out);
        out.extend_from_slice(&self.traits.0.to_be_bytes());
        put_bytes(out, self.envid.as_bytes());
        put_bytes(out, self.subject.as_bytes());
        put_bytes(out, &self.signature);
        out.extend_from_slice(&self.remaining.to_be_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Outgoing {
            account: Some(octets.u32()?).filter(|&a| a != 0).map(AccountId),
            code: ShortCode(octets.u32()?),
            sender: octets.string()?,
            arrived: Timestamp::read(octets)?,
            traits: Traits(octets.u16()?),
            envid: octets.string()?,
            subject: octets.string()?,
            signature: octets.bytes()?.to_vec(),
            remaining: octets.u32()?,
        })
    }
}

/// Why a recipient waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Hold {
    /// The owner said so.
    Owner = 1,
    /// The account sent more than it may in a day.
    OverLimit = 2,
    /// The provider refused our password.
    Login = 3,
}

/// What is to happen with a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueState {
    /// Tried when due.
    Scheduled,
    Held(Hold),
    /// The owner wants it given up: a notice goes to the sender at the next opportunity.
    GivenUp,
}

/// Which notices the sender asked for (RFC 3461 §4.1), a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notices(pub u8);

impl Notices {
    pub const SUCCESS: Notices = Notices(1);
    pub const FAILURE: Notices = Notices(2);
    pub const DELAY: Notices = Notices(4);
    /// Set when the sender said anything at all; without it failures and delays are reported.
    pub const ASKED: Notices = Notices(8);

    pub fn contains(self, other: Notices) -> bool {
        self.0 & other.0 == other.0
    }
    pub fn with(self, other: Notices) -> Notices {
        Notices(self.0 | other.0)
    }
    /// Whether a failure is to be reported.
    pub fn wants_failure(self) -> bool {
        !self.contains(Notices::ASKED) || self.contains(Notices::FAILURE)
    }
    /// Whether a delay is to be reported.
    pub fn wants_delay(self) -> bool {
        !self.contains(Notices::ASKED) || self.contains(Notices::DELAY)
    }
}

/// One recipient of a message on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The address as given.
    pub address: String,
    /// Its domain in lower case: recipients of one domain share a destination queue.
    pub domain: String,
    pub notices: Notices,
    /// `type;address` (RFC 3461 §4.2); may be empty.
    pub orcpt: String,
    pub state: QueueState,
    /// When it is tried next.
    pub due: Timestamp,
    /// From when its life time counts; 0 until the clock can be trusted.
    pub since: Timestamp,
    pub attempts: u32,
    /// The sender knows that it takes longer.
    pub is_delay_told: bool,
    /// When it was last tried, and what came of it.
    pub last_at: Timestamp,
    pub last: Detail,
    /// The recipient of the same message under which the conversation of the last attempt is kept.
    pub transcript: Option<u32>,
}

impl Waiting {
    pub fn destination(&self) -> DestinationId {
        DestinationId(stable_hash(&[self.domain.as_bytes()]))
    }
}

impl Record for Waiting {
    /// Version 1 had a text for `last`.
    const VERSION: u8 = 2;
    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.address.as_bytes());
        put_bytes(out, self.domain.as_bytes());
        out.push(self.notices.0);
        put_bytes(out, self.orcpt.as_bytes());
        out.push(match self.state {
            QueueState::Scheduled => 0,
            QueueState::Held(hold) => hold as u8,
            QueueState::GivenUp => 255,
        });
        self.due.write(out);
        self.since.write(out);
        put_varint(out, u64::from(self.attempts));
        out.push(u8::from(self.is_delay_told));
        self.last_at.write(out);
        self.last.write(out);
        put_varint(out, self.transcript.map_or(0, |t| u64::from(t) + 1));
    }
    fn read(version: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Waiting {
            address: octets.string()?,
            domain: octets.string()?,
            notices: Notices(octets.u8()?),
            orcpt: octets.string()?,
            state: match octets.u8()? {
                0 => QueueState::Scheduled,
                1 => QueueState::Held(Hold::Owner),
                2 => QueueState::Held(Hold::OverLimit),
                3 => QueueState::Held(Hold::Login),
                255 => QueueState::GivenUp,
                _ => return None,
            },
            due: Timestamp::read(octets)?,
            since: Timestamp::read(octets)?,
            attempts: u32::try_from(octets.varint()?).ok()?,
            is_delay_told: octets.u8()? != 0,
            last_at: Timestamp::read(octets)?,
            last: if version < 2 {
                Detail::of_attempt(octets.string()?)
            } else {
                Detail::read(octets)?
            },
            transcript: match octets.varint()? {
                0 => None,
                place => Some(u32::try_from(place - 1).ok()?),
            },
        })
    }
}

/// The conversation of an attempt, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    pub at: Timestamp,
    pub text: String,
}

/// Longest conversation kept, in octets; longer ones are cut at a character.
pub const TRANSCRIPT_LIMIT: usize = 3000;

impl Record for Transcript {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        self.at.write(out);
        put_bytes(out, &self.text.as_bytes()[..self.text.floor_char_boundary(TRANSCRIPT_LIMIT)]);
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Transcript { at: Timestamp::read(octets)?, text: octets.string()? })
    }
}
