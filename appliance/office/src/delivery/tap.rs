//! What is seen of content while it comes in.
//!
//! Every piece passes the tap on its way into the spool.
//! The tap can't fail, changes nothing and keeps a bounded number of octets; what is to be known of a message at its
//! end is gathered here.

use pillarbox_filter::dkim;
use pillarbox_message::lines::Lengths;
use pillarbox_store::{Checksum, Traits};

/// What was seen of the content so far.
pub struct Tap {
    sum: Checksum,
    front: Vec<u8>,
    /// How many octets of the front are kept.
    limit: usize,
    is_ascii: bool,
    lengths: Lengths,
    /// What signatures are proven with; `None`: nobody asks.
    signed: Option<dkim::Reading>,
}

impl Tap {
    /// `limit`: octets of the message's front to be kept; `signed`: what reads for the proof of signatures.
    pub fn new(limit: usize, signed: Option<dkim::Reading>) -> Tap {
        Tap {
            sum: Checksum::default(),
            front: Vec::new(),
            limit,
            is_ascii: true,
            lengths: Lengths::default(),
            signed,
        }
    }

    /// Looks at the next piece, of any size.
    pub fn see(&mut self, piece: &[u8]) {
        self.sum.add(piece);
        self.is_ascii = self.is_ascii && piece.is_ascii();
        self.lengths.look(piece);
        if let Some(signed) = &mut self.signed {
            signed.push(piece);
        }
        let wanted = self.limit.saturating_sub(self.front.len()).min(piece.len());
        self.front.extend_from_slice(&piece[..wanted]);
    }

    /// Octets of memory that it holds.
    pub fn memory(&self) -> usize {
        self.front.capacity() + self.signed.as_ref().map_or(0, dkim::Reading::memory)
    }

    /// What the proof of signatures needs, once: all was seen.
    pub fn take_signed(&mut self) -> Option<dkim::Signed> {
        self.signed.take().map(dkim::Reading::finish)
    }

    /// Octets of memory that it may come to hold.
    pub fn most_memory(&self) -> usize {
        self.limit.next_power_of_two() + self.signed.as_ref().map_or(0, |_| dkim::MOST_MEMORY)
    }

    /// Of all that was seen, to be compared with what the store has.
    pub fn sum(&self) -> &Checksum {
        &self.sum
    }

    /// The message's first octets.
    pub fn front(&self) -> &[u8] {
        &self.front
    }

    /// What other servers must be able to take: `EIGHT_BIT` and `LONG_LINES`.
    pub fn traits(&self) -> Traits {
        let traits =
            [(!self.is_ascii, Traits::EIGHT_BIT), (self.lengths.has_long(), Traits::LONG_LINES)];
        traits
            .into_iter()
            .filter(|(is, _)| *is)
            .fold(Traits::default(), |all, (_, one)| all.with(one))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tap_sees_the_same_however_content_is_cut(content in prop::collection::vec(prop_oneof![9 => Just(b'a'), 1 => Just(b'\n'), 1 => any::<u8>()], 0..3000), piece in 1usize..500) {
            let (mut whole, mut cut) = (Tap::new(1000, None), Tap::new(1000, None));
            whole.see(&content);
            content.chunks(piece).for_each(|piece| cut.see(piece));
            prop_assert!(whole.sum() == cut.sum() && *whole.sum() == Checksum::of(&content));
            prop_assert_eq!(whole.front(), cut.front());
            prop_assert_eq!(cut.front(), &content[..content.len().min(1000)]);
            prop_assert_eq!(whole.traits(), cut.traits());
        }
    }

    #[test]
    fn what_other_servers_must_take_is_seen() {
        for (content, traits) in [
            (&b"a\r\n"[..], Traits::default()),
            (b"\xe4\r\n", Traits::EIGHT_BIT),
            (&[b'a'; 1000], Traits::LONG_LINES),
            (&[0xe4; 1000], Traits::EIGHT_BIT.with(Traits::LONG_LINES)),
        ] {
            let mut tap = Tap::new(0, None);
            tap.see(content);
            assert_eq!((tap.traits(), tap.memory()), (traits, 0));
        }
    }
}
