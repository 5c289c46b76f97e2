//! Terms of messages in memory, on their way into one file.

use std::collections::BTreeMap;
use std::path::Path;

use super::write::{Stop, Writer, Written};
use super::{MESSAGES, key};
use crate::ids::{AccountId, MessageId};
use crate::index::{Field, number};

/// What a term takes in memory besides its octets.
const OVERHEAD: usize = 80;

/// Messages that go into one file.
#[derive(Debug, Default)]
pub struct Batch {
    messages: Vec<u32>,
    terms: BTreeMap<Vec<u8>, Vec<u32>>,
    octets: usize,
}

impl Batch {
    /// Adds a message with its words, each with its field, once or more often.
    /// Known messages, and those beyond the index's range, are left out: false.
    pub fn add<'a>(
        &mut self,
        message: MessageId,
        words: impl IntoIterator<Item = (Field, &'a str)>,
    ) -> bool {
        let Some(number) =
            number(message).filter(|_| self.messages.len() < MESSAGES && !self.contains(message))
        else {
            return false;
        };
        let place = self.messages.len() as u32;
        self.messages.push(number);
        for (field, word) in words.into_iter().filter(|(_, word)| !word.is_empty()) {
            let key = key(word, field as u8);
            let octets = key.len();
            let places = self.terms.entry(key).or_insert_with(|| {
                self.octets += OVERHEAD + octets;
                Vec::new()
            });
            if places.last() != Some(&place) {
                places.push(place);
                self.octets += size_of::<u32>();
            }
        }
        true
    }

    pub fn contains(&self, message: MessageId) -> bool {
        number(message).is_some_and(|number| self.messages.contains(&number))
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// About as many octets of memory are taken.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Writes the file; there is at least one message.
    pub(crate) fn write(
        &self,
        folder: &Path,
        account: AccountId,
        breathe: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Written, Stop> {
        let mut messages = self.messages.clone();
        messages.sort_unstable();
        let mut moved = vec![0; messages.len()];
        for (was, number) in self.messages.iter().enumerate() {
            moved[was] = messages.binary_search(number).unwrap_or_default() as u32;
        }
        let mut writer = Writer::create(folder, 0, account, &messages, breathe)?;
        let mut sorted = Vec::new();
        for (key, places) in &self.terms {
            sorted.clear();
            sorted.extend(places.iter().map(|was| moved[*was as usize]));
            sorted.sort_unstable();
            writer.push(key, &sorted)?;
        }
        writer.finish()
    }
}
