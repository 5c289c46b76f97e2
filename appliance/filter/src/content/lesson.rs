//! What was learned from: a message's features, and what somebody called it.

use super::features::Features;

/// What a message was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    Wanted,
    Unwanted,
}

impl Label {
    pub const ALL: [Label; 2] = [Label::Wanted, Label::Unwanted];

    pub fn of(is_unwanted: bool) -> Label {
        if is_unwanted { Label::Unwanted } else { Label::Wanted }
    }

    pub fn is_unwanted(self) -> bool {
        self == Label::Unwanted
    }
}

/// One message that was called wanted or unwanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    pub label: Label,
    pub features: Features,
}

impl Features {
    /// As they are kept: how far each is above the one before it, seven bits an octet.
    pub fn to_octets(&self) -> Vec<u8> {
        let (mut out, mut before) = (Vec::with_capacity(2 * self.ids().len()), 0);
        for &id in self.ids() {
            let mut left = id - before;
            before = id;
            while left > 127 {
                out.push(left as u8 | 128);
                left >>= 7;
            }
            out.push(left as u8);
        }
        out
    }

    /// Reads that; octets of any other kind give some features or none.
    pub fn from_octets(octets: &[u8]) -> Features {
        let mut ids = Vec::with_capacity(octets.len());
        let (mut id, mut step, mut shift) = (0u32, 0u32, 0);
        for octet in octets {
            step |= u32::from(octet & 127).checked_shl(shift).unwrap_or(0);
            shift += 7;
            if octet & 128 == 0 {
                id = id.saturating_add(step);
                ids.push(id);
                (step, shift) = (0, 0);
            }
        }
        Features::from_ids(ids)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::features::BITS;
    use super::*;

    proptest! {
        #[test]
        fn features_are_kept_as_they_are(ids in prop::collection::vec(0u32..1 << BITS, 0..300)) {
            let features = Features::from_ids(ids);
            prop_assert_eq!(Features::from_octets(&features.to_octets()), features);
        }

        #[test]
        fn any_octets_can_be_read(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let features = Features::from_octets(&octets);
            prop_assert!(features.ids().is_sorted() && features.ids().iter().all(|id| *id < 1 << BITS));
        }
    }
}
