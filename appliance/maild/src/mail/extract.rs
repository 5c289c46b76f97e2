//! One part's octets, decoded, out of a message that comes in pieces.

use super::structure::Part;
use super::transfer::{Decoder, Encoding};

/// Takes a part out of a message's octets; push all of them in order, then finish.
pub struct Extractor {
    decoder: Decoder,
    start: u64,
    end: u64,
    at: u64,
}

impl Extractor {
    pub fn new(part: &Part) -> Extractor {
        Extractor { decoder: Decoder::new(part.encoding), start: part.start, end: part.end, at: 0 }
    }

    /// Everything, as it is.
    pub fn whole() -> Extractor {
        Extractor { decoder: Decoder::new(Encoding::Identity), start: 0, end: u64::MAX, at: 0 }
    }

    /// Puts what a piece has of the part behind `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let end = self.at + piece.len() as u64;
        let (from, to) = (self.start.clamp(self.at, end) - self.at, self.end.clamp(self.at, end) - self.at);
        if from < to {
            self.decoder.push(&piece[from as usize..to as usize], out);
        }
        self.at = end;
    }

    /// Whether nothing of the part is still to come.
    pub fn is_over(&self) -> bool {
        self.at >= self.end
    }

    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.decoder.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_out_however_the_message_is_cut() {
        let part = Part { encoding: Encoding::Base64, start: 5, end: 13, ..Part::default() };
        for size in [1, 2, 5, 100] {
            let (mut extractor, mut out) = (Extractor::new(&part), Vec::new());
            b"head\naGVsbG8=\ntail".chunks(size).for_each(|piece| extractor.push(piece, &mut out));
            extractor.finish(&mut out);
            assert_eq!((out.as_slice(), extractor.is_over()), (&b"hello"[..], true), "{size}");
        }
    }
}
