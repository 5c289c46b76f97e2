//! One part's octets, decoded, out of a message that comes in pieces.

use crate::structure::Part;
use crate::transfer::{Decoder, Encoding};

/// Takes a part out of a message's octets; push all of them in order, then finish.
pub struct Extractor {
    /// What is taken out of what comes out of this one: a part of a message that is a part itself.
    within: Option<Box<Extractor>>,
    decoder: Decoder,
    start: u64,
    end: u64,
    at: u64,
}

impl Extractor {
    /// One part, decoded by its own encoding.
    pub fn new(part: &Part) -> Extractor {
        Extractor {
            within: None,
            decoder: Decoder::new(part.encoding),
            start: part.start,
            end: part.end,
            at: 0,
        }
    }

    /// A part of a message in a part, and so on: the outermost first.
    /// Without any, everything.
    pub fn along(parts: &[Part]) -> Extractor {
        let mut found: Option<Extractor> = None;
        for part in parts.iter().rev() {
            found = Some(Extractor { within: found.map(Box::new), ..Extractor::new(part) });
        }
        found.unwrap_or_else(Extractor::whole)
    }

    /// Everything, as it is.
    pub fn whole() -> Extractor {
        Extractor {
            within: None,
            decoder: Decoder::new(Encoding::Identity),
            start: 0,
            end: u64::MAX,
            at: 0,
        }
    }

    /// Puts what a piece has of the part behind `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let end = self.at + piece.len() as u64;
        let (from, to) =
            (self.start.clamp(self.at, end) - self.at, self.end.clamp(self.at, end) - self.at);
        if from < to {
            let piece = &piece[from as usize..to as usize];
            match &mut self.within {
                None => self.decoder.push(piece, out),
                Some(inner) => {
                    let mut decoded = Vec::new();
                    self.decoder.push(piece, &mut decoded);
                    inner.push(&decoded, out);
                }
            }
        }
        self.at = end;
    }

    /// Whether nothing of the part is still to come.
    pub fn is_over(&self) -> bool {
        self.at >= self.end || self.within.as_ref().is_some_and(|inner| inner.is_over())
    }

    /// Puts what the decoders still hold behind `out`; the message is over.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let Some(inner) = &mut self.within else { return self.decoder.finish(out) };
        let mut decoded = Vec::new();
        self.decoder.finish(&mut decoded);
        inner.push(&decoded, out);
        inner.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_message_in_a_part_comes_out_however_it_is_cut() {
        // "Subject: x\r\n\r\naGk=" in base64.
        let message = b"head\nU3ViamVjdDogeA0KDQphR2s9\ntail";
        let outer = Part { encoding: Encoding::Base64, start: 5, end: 29, ..Part::default() };
        let inner = Part { encoding: Encoding::Base64, start: 14, end: 18, ..Part::default() };
        for size in [1, 2, 5, 100] {
            let (mut extractor, mut out) =
                (Extractor::along(&[outer.clone(), inner.clone()]), Vec::new());
            message.chunks(size).for_each(|piece| extractor.push(piece, &mut out));
            extractor.finish(&mut out);
            assert_eq!((out.as_slice(), extractor.is_over()), (&b"hi"[..], true), "{size}");
        }
    }

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
