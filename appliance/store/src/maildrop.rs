//! A maildrop: the snapshot of an inbox that one POP3 session works on (RFC 1939 §4).

use roaring::RoaringBitmap;

use crate::key::{AccountId, DeviceId, MessageId};

/// What one device sees of an inbox at one instant. Message numbers count from 1 in order of UID.
/// It is a compressed bitmap and two numbers, however many messages there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Maildrop {
    pub account: AccountId,
    pub device: DeviceId,
    pub(crate) uids: RoaringBitmap,
    /// Octets of all messages in it.
    pub octets: u64,
}

/// One message of a maildrop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaildropEntry {
    pub uid: u32,
    /// `None` when it was deleted after the snapshot was taken.
    pub message: Option<MessageId>,
    pub octets: u64,
    pub unique_id: u64,
}

impl Maildrop {
    /// How many messages it holds.
    pub fn messages(&self) -> u32 {
        u32::try_from(self.uids.len()).unwrap_or(u32::MAX)
    }

    /// The UID behind a message number, counted from 1.
    pub fn uid(&self, number: u32) -> Option<u32> {
        self.uids.select(number.checked_sub(1)?)
    }
}
