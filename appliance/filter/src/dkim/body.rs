//! The hash of a body as a signature means it (RFC 6376 §3.4.3, §3.4.4, §3.7), however the body is cut.

use mail_auth::dkim::Canonicalization;
use pillarbox_message::blanks::Blanks;
use ring::digest::{Context, SHA256};

const LINE_END: &[u8] = b"\r\n";

/// What a signature wants hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub canonicalization: Canonicalization,
    /// Octets of the canonical body that count; 0: all (`l=`).
    pub limit: u64,
}

/// A finished hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    pub kind: Kind,
    /// SHA-256.
    pub digest: Vec<u8>,
    /// Octets of the whole canonical body.
    pub octets: u64,
}

/// A hash that is being made.
pub struct BodyHash {
    kind: Kind,
    context: Context,
    /// Canonical octets so far, beyond the limit, too.
    octets: u64,
    blanks: Option<Blanks>,
    lines: Lines,
}

/// Line ends that came and count only if more than line ends follows.
#[derive(Default)]
struct Lines {
    waiting: u64,
    /// A CR came that may begin a line end.
    has_cr: bool,
}

impl BodyHash {
    pub fn new(kind: Kind) -> BodyHash {
        let blanks = match kind.canonicalization {
            Canonicalization::Relaxed => Some(Blanks::in_body()),
            Canonicalization::Simple => None,
        };
        BodyHash {
            kind,
            context: Context::new(&SHA256),
            octets: 0,
            blanks,
            lines: Lines::default(),
        }
    }

    /// The next piece of the body, of any size.
    pub fn push(&mut self, piece: &[u8]) {
        match self.blanks.take() {
            None => self.write(piece),
            Some(mut blanks) => {
                self.write(blanks.push(piece));
                self.blanks = Some(blanks);
            }
        }
    }

    fn write(&mut self, mut rest: &[u8]) {
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.lines.has_cr) {
                if first == b'\n' {
                    self.lines.waiting += 1;
                    rest = &rest[1..];
                    continue;
                }
                self.text(b"\r");
            }
            match memchr::memchr(b'\r', rest) {
                Some(0) => {
                    self.lines.has_cr = true;
                    rest = &rest[1..];
                }
                Some(at) => {
                    self.text(&rest[..at]);
                    rest = &rest[at..];
                }
                None => {
                    self.text(rest);
                    return;
                }
            }
        }
    }

    /// Text, and the line ends that it proves not to be the last.
    fn text(&mut self, text: &[u8]) {
        for _ in 0..std::mem::take(&mut self.lines.waiting) {
            self.hash(LINE_END);
        }
        self.hash(text);
    }

    fn hash(&mut self, octets: &[u8]) {
        let room = match self.kind.limit {
            0 => u64::MAX,
            limit => limit.saturating_sub(self.octets),
        };
        self.octets += octets.len() as u64;
        let counted = usize::try_from(room).unwrap_or(usize::MAX).min(octets.len());
        self.context.update(&octets[..counted]);
    }

    /// The hash of all that came.
    pub fn finish(mut self) -> Hashed {
        if let Some(mut blanks) = self.blanks.take() {
            self.write(blanks.rest());
        }
        if self.lines.has_cr {
            self.text(b"\r");
        }
        // An empty body is one line end, but nothing where it is relaxed.
        if self.octets > 0 || self.kind.canonicalization == Canonicalization::Simple {
            self.hash(LINE_END);
        }
        let digest = self.context.finish().as_ref().to_vec();
        Hashed { kind: self.kind, digest, octets: self.octets }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ring::digest::digest;

    use super::*;

    /// The canonical body, worked out step by step as the standard has it.
    fn canonical(body: &str, canonicalization: Canonicalization) -> String {
        let lines = body.split("\r\n").map(|line| match canonicalization {
            Canonicalization::Simple => line.to_string(),
            Canonicalization::Relaxed => {
                let mut text = String::new();
                for c in line.trim_end_matches([' ', '\t']).chars() {
                    match (c, text.ends_with(' ')) {
                        (' ' | '\t', true) => {}
                        (' ' | '\t', false) => text.push(' '),
                        (c, _) => text.push(c),
                    }
                }
                text
            }
        });
        let text = lines.collect::<Vec<_>>().join("\r\n");
        let mut rest = &text[..];
        while let Some(shorter) = rest.strip_suffix("\r\n") {
            rest = shorter;
        }
        match (rest, canonicalization) {
            ("", Canonicalization::Relaxed) => String::new(),
            (rest, _) => format!("{rest}\r\n"),
        }
    }

    fn hashed(body: &str, kind: Kind, pieces: &[usize]) -> Hashed {
        let (mut hash, mut rest) = (BodyHash::new(kind), body.as_bytes());
        for piece in pieces.iter().copied().cycle().take(body.len() + 1) {
            let (now, behind) = rest.split_at(piece.min(rest.len()));
            hash.push(now);
            rest = behind;
        }
        hash.finish()
    }

    proptest! {
        #[test]
        fn a_body_is_hashed_as_the_standard_has_it_however_it_is_cut(
            letters in prop::collection::vec(prop::sample::select(vec!["a", "b", " ", "\t", "\r\n", "\r\n", "\r", "  \r\n"]), 0..40),
            pieces in prop::collection::vec(1usize..6, 1..5),
            is_relaxed in any::<bool>(),
            limit in prop_oneof![2 => Just(0u64), 1 => 1u64..30],
        ) {
            let body = letters.concat();
            let canonicalization = if is_relaxed { Canonicalization::Relaxed } else { Canonicalization::Simple };
            let expected = canonical(&body, canonicalization);
            let counted = match limit {
                0 => expected.len(),
                limit => expected.len().min(limit as usize),
            };
            let found = hashed(&body, Kind { canonicalization, limit }, &pieces);
            prop_assert_eq!(found.octets, expected.len() as u64, "{:?}", body);
            let whole = digest(&SHA256, &expected.as_bytes()[..counted]);
            prop_assert_eq!(found.digest, whole.as_ref(), "{:?}", body);
        }
    }
}
