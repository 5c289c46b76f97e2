//! Keys of the tables.

use crate::codec::{Cursor, FixedKey};

macro_rules! integer_key {
    ($(#[$doc:meta])* $name:ident, $int:ty, $read:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl FixedKey for $name {
            const WIDTH: usize = size_of::<$int>();
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0.to_be_bytes());
            }
            fn read(octets: &mut Cursor<'_>) -> Option<Self> {
                octets.$read().map($name)
            }
        }
    };
}

integer_key!(
    /// One person's or one shared mailbox. Never reused.
    AccountId, u32, u32
);
integer_key!(
    /// A folder within an account. The well-known ones are constants.
    FolderId, u32, u32
);
integer_key!(
    /// Place of a record in the ledger, counted from 1 in order of commit.
    LedgerId, u64, u64
);
integer_key!(
    /// Name of a content file: random, 16 hex digits on disk.
    BlobId, u64, u64
);
integer_key!(
    /// A message: the [`LedgerId`] of the record that tells of its acceptance. Never reused.
    MessageId, u64, u64
);
integer_key!(
    /// A POP3 view within an account: 0 is the account's own password, each device password has its own. Never reused.
    DeviceId, u16, u16
);

integer_key!(
    /// A lane of the queue: everything for one domain.
    LaneId, u64, u64
);

impl FolderId {
    /// Where mail arrives (RFC 9051 §5.1).
    pub const INBOX: FolderId = FolderId(1);
    /// Copies of what was sent (RFC 6154 `\Sent`).
    pub const SENT: FolderId = FolderId(2);
    /// Unfinished messages (RFC 6154 `\Drafts`).
    pub const DRAFTS: FolderId = FolderId(3);
    /// Deleted, kept for a while (RFC 6154 `\Trash`).
    pub const TRASH: FolderId = FolderId(4);
    /// Suspected spam (RFC 6154 `\Junk`).
    pub const JUNK: FolderId = FolderId(5);
}

impl DeviceId {
    /// The account's own password.
    pub const MAIN: DeviceId = DeviceId(0);
}

/// A message in a folder. UIDs ascend and are never reused within a UIDVALIDITY (RFC 9051 §2.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailKey {
    pub account: AccountId,
    pub folder: FolderId,
    pub uid: u32,
}

impl MailKey {
    /// The row of the folder's counters. It sorts right behind the newest entry,
    /// so a delivery touches one leaf page for both.
    pub const STATE: u32 = u32::MAX;

    pub(crate) fn new(account: AccountId, folder: FolderId, uid: u32) -> Self {
        MailKey { account, folder, uid }
    }
}

impl FixedKey for MailKey {
    const WIDTH: usize = 12;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        self.folder.write(out);
        out.extend_from_slice(&self.uid.to_be_bytes());
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(MailKey { account: AccountId::read(octets)?, folder: FolderId::read(octets)?, uid: octets.u32()? })
    }
}

/// One folder of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderKey {
    pub account: AccountId,
    pub folder: FolderId,
}

impl FixedKey for FolderKey {
    const WIDTH: usize = 8;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        self.folder.write(out);
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(FolderKey { account: AccountId::read(octets)?, folder: FolderId::read(octets)? })
    }
}

/// A piece of a message's content: part 0 is the head, parts from 1 are page-sized pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentKey {
    pub message: MessageId,
    pub part: u16,
}

impl FixedKey for ContentKey {
    const WIDTH: usize = 10;
    fn write(&self, out: &mut Vec<u8>) {
        self.message.write(out);
        out.extend_from_slice(&self.part.to_be_bytes());
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(ContentKey { message: MessageId::read(octets)?, part: octets.u16()? })
    }
}

/// A credential, or the POP3 view, of one device of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceKey {
    pub account: AccountId,
    pub device: DeviceId,
}

impl FixedKey for DeviceKey {
    const WIDTH: usize = 6;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        self.device.write(out);
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(DeviceKey { account: AccountId::read(octets)?, device: DeviceId::read(octets)? })
    }
}

/// What devices deleted on one day (days since 1970-01-01), for policies that act later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayKey {
    pub account: AccountId,
    pub day: u32,
}

impl FixedKey for DayKey {
    const WIDTH: usize = 8;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        out.extend_from_slice(&self.day.to_be_bytes());
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(DayKey { account: AccountId::read(octets)?, day: octets.u32()? })
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

macro_rules! compound_key {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name { $(pub $field: $type,)* }

        impl FixedKey for $name {
            const WIDTH: usize = 0 $(+ <$type as FixedKey>::WIDTH)*;
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)*
            }
            fn read(octets: &mut Cursor<'_>) -> Option<Self> {
                Some($name { $($field: FixedKey::read(octets)?,)* })
            }
        }
    };
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
        Ok(QueueKey { message: MessageId(message.parse().map_err(drop)?), recipient: recipient.parse().map_err(drop)? })
    }
}

compound_key!(
    /// A scheduled recipient in its lane, by time.
    LaneKey { lane: LaneId, due: u64, entry: QueueKey, }
);
compound_key!(
    /// A lane by the time of its first recipient.
    AgendaKey { due: u64, lane: LaneId, }
);
compound_key!(
    /// A sent message and a notice that came about it.
    ReportKey { sent: MessageId, report: MessageId, }
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn octets<K: FixedKey>(key: K) -> Vec<u8> {
        let mut out = Vec::new();
        key.write(&mut out);
        assert_eq!(out.len(), K::WIDTH);
        out
    }

    fn sorts_and_returns<K: FixedKey + Ord + std::fmt::Debug>(a: K, b: K) {
        assert_eq!(a.cmp(&b), octets(a).cmp(&octets(b)));
        assert_eq!(K::read(&mut Cursor(&octets(a))), Some(a));
    }

    proptest! {
        #[test]
        fn keys_sort_as_their_octets(a in any::<(u32, u32, u32, u64, u64, u16)>(), b in any::<(u32, u32, u32, u64, u64, u16)>()) {
            let mail = |t: (u32, u32, u32, u64, u64, u16)| MailKey::new(AccountId(t.0), FolderId(t.1), t.2);
            sorts_and_returns(mail(a), mail(b));
            let content = |t: (u32, u32, u32, u64, u64, u16)| ContentKey { message: MessageId(t.3), part: t.5 };
            sorts_and_returns(content(a), content(b));
            let device = |t: (u32, u32, u32, u64, u64, u16)| DeviceKey { account: AccountId(t.0), device: DeviceId(t.5) };
            sorts_and_returns(device(a), device(b));
            let day = |t: (u32, u32, u32, u64, u64, u16)| DayKey { account: AccountId(t.0), day: t.1 };
            sorts_and_returns(day(a), day(b));
            let term = |t: (u32, u32, u32, u64, u64, u16)| TermKey { term: t.3, block: t.4 };
            sorts_and_returns(term(a), term(b));
            let folder = |t: (u32, u32, u32, u64, u64, u16)| FolderKey { account: AccountId(t.0), folder: FolderId(t.1) };
            sorts_and_returns(folder(a), folder(b));
            let entry = |t: (u32, u32, u32, u64, u64, u16)| QueueKey { message: MessageId(t.3), recipient: t.0 };
            let lane = |t: (u32, u32, u32, u64, u64, u16)| LaneKey { lane: LaneId(u64::from(t.5)), due: t.4, entry: entry(t) };
            sorts_and_returns(lane(a), lane(b));
            let agenda = |t: (u32, u32, u32, u64, u64, u16)| AgendaKey { due: t.3, lane: LaneId(t.4) };
            sorts_and_returns(agenda(a), agenda(b));
            let report = |t: (u32, u32, u32, u64, u64, u16)| ReportKey { sent: MessageId(t.3), report: MessageId(t.4) };
            sorts_and_returns(report(a), report(b));
        }
    }
}
