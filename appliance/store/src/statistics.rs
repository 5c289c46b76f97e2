//! What happened in each hour.

pub(crate) mod access;

use crate::engine::codec::{Cursor, Record, put_varint};
use crate::engine::table::{Keyed, tables};

tables! {
    /// What happened in each hour.
    Tables {
        /// By hours since 1970.
        hours: Keyed<'e, u64, Hour>,
    }
}

/// What happened within an hour, and how things stood at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    pub delivered: u64,
    pub relayed: u64,
    pub refused: u64,
    pub bounced: u64,
    /// Recipients in the queue, and how long the oldest of them waits, in seconds.
    pub queued: u64,
    pub oldest: u64,
    /// Octets used on the data partition.
    pub disk: u64,
    /// The place in the ledger up to which was counted.
    pub ledger: u64,
}

impl Record for Hour {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        for number in [
            self.delivered, self.relayed, self.refused, self.bounced, self.queued, self.oldest,
            self.disk, self.ledger,
        ] {
            put_varint(out, number);
        }
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        Some(Hour {
            delivered: octets.varint()?,
            relayed: octets.varint()?,
            refused: octets.varint()?,
            bounced: octets.varint()?,
            queued: octets.varint()?,
            oldest: octets.varint()?,
            disk: octets.varint()?,
            ledger: octets.varint()?,
        })
    }
}
