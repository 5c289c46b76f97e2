//! What the owner chose, by name; what a choice means is the business of whoever reads it.

pub(crate) mod access;

use crate::engine::codec::{Cursor, Record, put_bytes};
use crate::engine::table::{ByText, tables};

tables! {
    /// What the owner chose.
    Tables {
        /// What the owner chose, by name.
        settings: ByText<'e, Setting>,
    }
}

/// A choice of the owner, as text; what it means is the business of whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting(pub String);

impl Record for Setting {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.0.as_bytes());
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        octets.string().map(Setting)
    }
}
