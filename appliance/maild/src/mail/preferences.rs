//! What a person likes: kept as one row of text in the store.

use pillarbox_store::{AccountId, Change, Reader, Result};
use serde::{Deserialize, Serialize};

/// Octets of a signature.
pub const SIGNATURE: usize = 4000;
/// Seconds in which a letter can be called back, at most.
pub const LONGEST_UNDO: u64 = 60;

/// A person's choices. Missing ones have their defaults, unknown ones do no harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Stands under what one writes.
    pub signature: String,
    /// Messages of a conversation share a row.
    pub conversations: bool,
    /// Seconds in which a letter can be called back.
    pub undo: u64,
}

impl Default for Preferences {
    fn default() -> Self {
        Preferences { signature: String::new(), conversations: true, undo: 10 }
    }
}

fn key(account: AccountId) -> String {
    format!("preferences:{}", account.0)
}

impl Preferences {
    pub fn read(reader: &Reader, account: AccountId) -> Result<Preferences> {
        let text = reader.setting(&key(account))?.unwrap_or_default();
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// The change that keeps them.
    pub fn change(&self, account: AccountId) -> Change {
        Change::SetSetting { key: key(account), value: serde_json::to_string(self).ok() }
    }
}
