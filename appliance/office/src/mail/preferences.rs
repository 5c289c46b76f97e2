//! What a person likes: kept as one row of text in the store.

use std::collections::{BTreeMap, BTreeSet};

use pillarbox_store::{AccountId, Reader, Result, SetSetting};
use serde::{Deserialize, Serialize};

/// Octets of a signature.
pub const SIGNATURE: usize = 4000;
/// Senders whose pictures are loaded, and addresses with a signature of their own.
pub const PICTURES_FROM: usize = 300;
pub const SIGNATURES: usize = 20;
/// Seconds in which a message can be called back, at most.
pub const LONGEST_UNDO: u64 = 60;

/// A person's choices.
/// Missing ones have their defaults, unknown ones do no harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Stands under what one writes.
    pub signature: String,
    /// Other signatures, by the address one writes from.
    pub signatures: BTreeMap<String, String>,
    /// Messages of a conversation share a row.
    pub conversations: bool,
    /// Seconds in which a message can be called back.
    pub undo: u64,
    /// One of the product's languages; empty: as the browser asks.
    pub language: String,
    /// A time zone's name; empty: the box's.
    pub zone: String,
    /// New mail is shown by the browser outside its window.
    pub notifies: bool,
    /// Writing begins with formatted text.
    pub is_rich: bool,
    /// Senders whose pictures are loaded from other servers, lower case.
    pub pictures_from: BTreeSet<String>,
}

impl Default for Preferences {
    fn default() -> Self {
        Preferences {
            signature: String::new(),
            signatures: BTreeMap::new(),
            conversations: true,
            undo: 10,
            language: String::new(),
            zone: String::new(),
            notifies: false,
            is_rich: false,
            pictures_from: BTreeSet::new(),
        }
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

    /// What stands under a message from an address.
    pub fn signature_for(&self, address: &str) -> &str {
        self.signatures.get(address).unwrap_or(&self.signature)
    }

    /// The change that keeps them.
    pub fn change(&self, account: AccountId) -> SetSetting {
        SetSetting { key: key(account), value: serde_json::to_string(self).ok() }
    }
}
