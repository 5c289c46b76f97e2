//! Which messages of a file have a term: ascending places in its list of messages, as distances in Rice codes (R. F.
//! Rice, 1979).
//! Their parameter follows from how many there are of how many, so it is not stored; frequent terms come to a bitmap by
//! themselves.

/// Low bits of a distance that are written as they are.
fn low_bits(count: usize, messages: u32) -> u32 {
    let mean = u64::from(messages) / (count as u64).max(1);
    (mean * 7 / 10).max(1).ilog2()
}

/// Appends `places`: ascending, below `messages`.
pub(super) fn write(places: &[u32], messages: u32, out: &mut Vec<u8>) {
    let low = low_bits(places.len(), messages);
    let (mut held, mut bits) = (0u64, 0u32);
    let mut put = |value: u64, count: u32| {
        held |= value << bits;
        bits += count;
        while bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    };
    let mut next = 0;
    for &place in places {
        let distance = place - next;
        next = place + 1;
        let mut high = distance >> low;
        while high >= 32 {
            put(0, 32);
            high -= 32;
        }
        put(1 << high, high + 1);
        put(u64::from(distance) & ((1 << low) - 1), low);
    }
    put(0, 7);
}

/// Gives `count` places below `messages` to `take`.
/// `None`: these octets are none.
/// Takes time by `count` and the octets.
pub(super) fn read(
    octets: &[u8],
    count: u32,
    messages: u32,
    take: &mut dyn FnMut(u32),
) -> Option<()> {
    let low = low_bits(count as usize, messages);
    let mut bits = Bits { octets, held: 0, count: 0 };
    let mut next = 0u32;
    for _ in 0..count {
        let high = Some(bits.unary()?).filter(|high| *high <= messages >> low)?;
        let place =
            next.checked_add(high << low | bits.low(low)?).filter(|place| *place < messages)?;
        take(place);
        next = place + 1;
    }
    Some(())
}

/// Bits from the lowest on.
struct Bits<'a> {
    octets: &'a [u8],
    held: u64,
    count: u32,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 56
            && let Some((&octet, rest)) = self.octets.split_first()
        {
            self.held |= u64::from(octet) << self.count;
            self.count += 8;
            self.octets = rest;
        }
    }

    /// The number of zeros before the next one.
    fn unary(&mut self) -> Option<u32> {
        let mut zeros = 0u32;
        loop {
            self.fill();
            if self.held != 0 {
                let here = self.held.trailing_zeros();
                self.held = self.held.checked_shr(here + 1).unwrap_or(0);
                self.count -= here + 1;
                return zeros.checked_add(here);
            }
            if self.count == 0 {
                return None;
            }
            zeros = zeros.checked_add(self.count)?;
            self.count = 0;
        }
    }

    fn low(&mut self, count: u32) -> Option<u32> {
        self.fill();
        self.count = self.count.checked_sub(count)?;
        let low = self.held & ((1 << count) - 1);
        self.held >>= count;
        Some(low as u32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::segment::MESSAGES;

    fn back(octets: &[u8], count: u32, messages: u32) -> Option<Vec<u32>> {
        let mut places = Vec::new();
        read(octets, count, messages, &mut |place| places.push(place)).map(|()| places)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(places in proptest::collection::btree_set(0u32..3000, 1..400), more in 0u32..70_000) {
            let places: Vec<u32> = places.into_iter().collect();
            let messages = (places[places.len() - 1] + 1).max(more.min(MESSAGES as u32));
            let mut octets = Vec::new();
            write(&places, messages, &mut octets);
            prop_assert_eq!(back(&octets, places.len() as u32, messages), Some(places));
        }

        #[test]
        fn any_octets_do_no_harm(octets in proptest::collection::vec(any::<u8>(), 0..100), count in 1u32..2000, messages in 1u32..=65_536) {
            if let Some(places) = back(&octets, count, messages) {
                prop_assert!(places.is_sorted_by(|a, b| a < b) && places.last().is_none_or(|last| *last < messages));
            }
        }
    }

    #[test]
    fn postings_take_few_bits_and_never_more_than_fit_into_a_frame() {
        let of = |step: usize| {
            let mut octets = Vec::new();
            write(
                &(0..MESSAGES as u32).step_by(step).collect::<Vec<_>>(),
                MESSAGES as u32,
                &mut octets,
            );
            octets.len()
        };
        assert_eq!(of(1), MESSAGES / 8);
        assert!((1..2000).all(|step| of(step) < super::super::FRAME / 2));
        // A skew that fits no parameter.
        let mut octets = Vec::new();
        write(
            &(0..MESSAGES as u32 / 2).chain([MESSAGES as u32 - 1]).collect::<Vec<_>>(),
            MESSAGES as u32,
            &mut octets,
        );
        assert!(octets.len() < super::super::FRAME / 2, "{}", octets.len());
    }
}
