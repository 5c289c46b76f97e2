//! Listings and the marks of a session: what goes out fast, and what must stay small.

use super::types::Entry;

/// Which form a listing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Number and size (RFC 1939 §5, LIST).
    Sizes,
    /// Number and unique-id (RFC 1939 §7, UIDL).
    UniqueIds,
}

impl Kind {
    /// Appends `number value` without a line end.
    pub fn write(self, number: u32, entry: &Entry, out: &mut Vec<u8>) {
        put_number(out, u64::from(number));
        out.push(b' ');
        match self {
            Kind::Sizes => put_number(out, entry.octets),
            Kind::UniqueIds => out.extend_from_slice(&entry.uidl),
        }
    }
}

/// Decimal digits; a listing of a mailbox is little else.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Messages marked as deleted: a bit each, and no memory at all before the first DELE.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    bits: Vec<u64>,
    pub count: u32,
    /// Octets of the marked messages.
    pub octets: u64,
}

impl Marks {
    /// True when message `number` (from 1) is marked.
    pub fn has(&self, number: u32) -> bool {
        let at = number.wrapping_sub(1) as usize;
        self.bits.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Marks a message of so many octets.
    /// `number` is at least 1.
    pub fn set(&mut self, number: u32, octets: u64) {
        let at = number.saturating_sub(1) as usize;
        if self.bits.len() <= at / 64 {
            self.bits.resize(at / 64 + 1, 0);
        }
        if !self.has(number) {
            self.bits[at / 64] |= 1 << (at % 64);
            self.count += 1;
            self.octets = self.octets.saturating_add(octets);
        }
    }

    /// The marked numbers, sorted.
    pub fn numbers(&self) -> Vec<u32> {
        let words = self.bits.iter().zip(0u32..);
        words
            .flat_map(|(word, n)| {
                (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| n * 64 + bit + 1)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_marks_come_back() {
        for number in [0, 7, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
        let mut marks = Marks::default();
        for number in [1, 64, 65, 100_000, 65] {
            marks.set(number, 10);
        }
        assert_eq!(marks.numbers(), [1, 64, 65, 100_000]);
        assert_eq!((marks.count, marks.octets), (4, 40));
        assert!(!marks.has(2) && !marks.has(0) && marks.has(64));
    }
}
