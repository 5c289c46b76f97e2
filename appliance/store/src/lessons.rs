//! What was learned of messages that people called wanted or unwanted.

pub(crate) mod access;

use crate::engine::codec::{Cursor, Record, put_bytes};
use crate::engine::table::{Keyed, tables};
use crate::ids::MessageId;

tables! {
    /// What was learned.
    Tables {
        /// By message: it stays when the message goes.
        lessons: Keyed<'e, MessageId, Lesson>,
    }
}

/// Octets of a lesson's features; more are refused.
pub const LESSON_OCTETS: usize = 64 * 1024;

/// What a message was called, and what it was like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    pub is_unwanted: bool,
    /// A person said so; else the box concluded it.
    pub is_said: bool,
    /// As the filter has them.
    pub features: Vec<u8>,
}

impl Record for Lesson {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_unwanted) | u8::from(self.is_said) << 1);
        put_bytes(out, &self.features);
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        let what = octets.u8().filter(|what| *what < 4)?;
        let features = octets.bytes()?.to_vec();
        Some(Lesson { is_unwanted: what & 1 != 0, is_said: what & 2 != 0, features })
    }
}
