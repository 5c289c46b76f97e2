//! Several files as one, without the messages that are gone.
//! Streams: it takes a block of each, and at most 16 octets for each message.

use std::path::Path;

use roaring::RoaringBitmap;

use super::MESSAGES;
use super::read::{Entries, Segment};
use super::write::{Stop, Writer, Written};
use crate::ids::AccountId;

/// Terms between two moments at which it may be given up.
const BREATH: u32 = 2000;

/// What goes into a merge: terms in order, and where each message is in the new file.
struct Input<'a> {
    entries: Entries<'a>,
    places: Vec<Option<u32>>,
    is_over: bool,
}

/// Writes the union of files of one account with the messages that `lives` accepts; `None` when there is none.
/// The files have at most [`MESSAGES`] messages together.
pub(crate) fn merge(
    folder: &Path,
    account: AccountId,
    tier: u8,
    segments: &[Segment],
    lives: &mut dyn FnMut(&[u32]) -> crate::error::Result<RoaringBitmap>,
    breathe: &mut dyn FnMut(usize) -> bool,
) -> Result<Option<Written>, Stop> {
    let lists: Vec<Vec<u32>> =
        segments.iter().map(Segment::messages).collect::<crate::error::Result<_>>()?;
    let mut messages: Vec<u32> = Vec::new();
    for list in &lists {
        let living = lives(list)?;
        messages.extend(list.iter().filter(|message| living.contains(**message)));
    }
    messages.sort_unstable();
    messages.dedup();
    messages.truncate(MESSAGES);
    if messages.is_empty() {
        return Ok(None);
    }
    let place = |message: &u32| messages.binary_search(message).ok().map(|place| place as u32);
    let mut inputs: Vec<Input<'_>> = segments
        .iter()
        .zip(&lists)
        .map(|(segment, list)| Input {
            entries: segment.entries(),
            places: list.iter().map(place).collect(),
            is_over: false,
        })
        .collect();
    drop(lists);
    for input in &mut inputs {
        input.is_over = !input.entries.advance()?;
    }
    let mut writer = Writer::create(folder, tier, account, &messages, breathe)?;
    let (mut key, mut places, mut count) = (Vec::new(), Vec::new(), 0);
    while let Some(least) =
        inputs.iter().filter(|input| !input.is_over).map(|input| input.entries.key()).min()
    {
        key.clear();
        key.extend_from_slice(least);
        places.clear();
        let mut sources = 0;
        for input in inputs.iter_mut().filter(|input| !input.is_over && input.entries.key() == key)
        {
            let known = &input.places;
            input
                .entries
                .places(&mut |place| places.extend(known.get(place as usize).copied().flatten()))?;
            input.is_over = !input.entries.advance()?;
            sources += 1;
        }
        if sources > 1 {
            places.sort_unstable();
            places.dedup();
        }
        if !places.is_empty() {
            writer.push(&key, &places)?;
        }
        count += 1;
        if count % BREATH == 0 {
            writer.breathe()?;
        }
    }
    writer.finish().map(Some)
}
