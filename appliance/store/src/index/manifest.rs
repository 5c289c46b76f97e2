//! Which files are an account's index, and which of them are to be merged.

use crate::engine::codec::{Cursor, Record, put_varint};
use crate::index::segment::{MESSAGES, SegmentId};

/// So many files of one tier are merged into one of the next.
pub(crate) const TOGETHER: usize = 8;

/// A file of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub id: SegmentId,
    /// How often what is in it was merged.
    pub tier: u8,
    pub messages: u32,
    pub octets: u64,
}

/// The index of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// It is being forgotten: what is left of it goes first, then it is made anew.
    pub is_void: bool,
    /// Oldest first.
    pub segments: Vec<Named>,
}

impl Record for Manifest {
    const VERSION: u8 = 1;
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_void));
        for segment in &self.segments {
            out.extend_from_slice(&segment.id.0.to_be_bytes());
            out.push(segment.tier);
            put_varint(out, u64::from(segment.messages));
            put_varint(out, segment.octets);
        }
    }
    fn read(_: u8, octets: &mut Cursor<'_>) -> Option<Self> {
        let is_void = octets.u8().filter(|octet| *octet < 2)? == 1;
        let mut segments = Vec::new();
        while !octets.0.is_empty() {
            let (id, tier) = (SegmentId(octets.u64()?), octets.u8()?);
            segments.push(Named {
                id,
                tier,
                messages: u32::try_from(octets.varint()?).ok()?,
                octets: octets.varint()?,
            });
        }
        Some(Manifest { is_void, segments })
    }
}

/// Files that are to become one, and its tier: the oldest of the lowest tier that is complete, as many as one file may
/// hold.
pub(crate) fn due(segments: &[Named]) -> Option<(Vec<Named>, u8)> {
    let tiers: std::collections::BTreeSet<u8> =
        segments.iter().map(|segment| segment.tier).collect();
    tiers.into_iter().find_map(|tier| {
        let all: Vec<Named> =
            segments.iter().filter(|segment| segment.tier == tier).copied().collect();
        let mut messages = 0;
        let fits = |segment: &&Named| {
            messages += segment.messages as usize;
            messages <= MESSAGES
        };
        let fitting: Vec<Named> = all.iter().take(TOGETHER).take_while(fits).copied().collect();
        (all.len() >= TOGETHER && fitting.len() > 1).then_some((fitting, tier.saturating_add(1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_of_a_tier_become_one_of_the_next_and_full_ones_stay() {
        let mut segments: Vec<Named> = Vec::new();
        let mut written = 0;
        for n in 0..4096u64 {
            segments.push(Named { id: SegmentId(n), tier: 0, messages: 128, octets: 1 });
            while let Some((merged, tier)) = due(&segments) {
                segments.retain(|segment| !merged.contains(segment));
                let messages: u32 = merged.iter().map(|segment| segment.messages).sum();
                assert!(messages as usize <= MESSAGES && merged.len() <= TOGETHER);
                written += u64::from(messages);
                segments.push(Named { id: SegmentId(5000 + written), tier, messages, octets: 1 });
            }
            assert!(
                segments.iter().filter(|segment| segment.messages < 32_000).count() < 4 * TOGETHER
            );
        }
        let messages: u32 = segments.iter().map(|segment| segment.messages).sum();
        assert_eq!(messages, 4096 * 128);
        assert!(segments.len() < 20 + 8, "{}", segments.len());
        assert!(
            written < 4 * 4096 * 128,
            "each message is rewritten {} times",
            written / u64::from(messages)
        );
    }
}
