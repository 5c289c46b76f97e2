//! Numbers and keys that several ideas share.

use crate::engine::codec::{Cursor, FixedKey, integer_key};

integer_key!(
    /// One person's or one shared mailbox.
    /// Never reused.
    AccountId, u32, u32
);

integer_key!(
    /// A folder within an account.
    /// The well-known ones are constants.
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
    /// A message: the [`LedgerId`] of the record that tells of its acceptance.
    /// Never reused.
    MessageId, u64, u64
);

integer_key!(
    /// A POP3 view within an account: 0 is the account's own password, each device password has its own.
    /// Never reused.
    DeviceId, u16, u16
);

integer_key!(
    /// A destination queue: everything for one domain.
    DestinationId, u64, u64
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

/// One folder of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// A message within an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceKey {
    pub account: AccountId,
    pub message: MessageId,
}

impl FixedKey for PlaceKey {
    const WIDTH: usize = 12;
    fn write(&self, out: &mut Vec<u8>) {
        self.account.write(out);
        self.message.write(out);
    }
    fn read(octets: &mut Cursor<'_>) -> Option<Self> {
        Some(PlaceKey { account: AccountId::read(octets)?, message: MessageId::read(octets)? })
    }
}
