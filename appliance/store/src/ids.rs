//! Numbers and keys that several ideas share.

pub use pillarbox_vocabulary::{AccountId, DeviceId, FolderId, LedgerId, MessageId};

use crate::engine::codec::{Cursor, FixedKey, integer_key};

integer_key!(AccountId, u32, u32);
integer_key!(FolderId, u32, u32);
integer_key!(LedgerId, u64, u64);
integer_key!(MessageId, u64, u64);
integer_key!(DeviceId, u16, u16);

/// Name of a content file: random, 16 hex digits on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub u64);
integer_key!(BlobId, u64, u64);

/// A destination queue: everything for one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId(pub u64);
integer_key!(DestinationId, u64, u64);

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
