//! Which terms may occur in a block of the ledger: a Bloom filter, one row for each block.
//!
//! A row for each term and block, sorted by term, would be found faster, but it would put every block's terms all over
//! a large table: a card would be written many times as much as the ledger itself takes.

/// Octets of a filter: at least so many; up to two of the usual size share a page of LMDB; a large one has a page to
/// itself.
const LEAST: usize = 64;
const USUAL: usize = 1992;
const MOST: usize = 4072;

/// Bits set for each term.
const BITS: u64 = 6;

/// The filter of some terms, about nine bits for each: it is wrong about one in fifty others, and more often when there
/// are thousands of terms.
pub(crate) fn filter(terms: &[u64]) -> Vec<u8> {
    let octets = match (terms.len() * 9).div_ceil(8) {
        wanted if wanted <= USUAL + USUAL / 8 => wanted.clamp(LEAST, USUAL),
        _ => MOST,
    };
    let mut filter = vec![0; octets];
    for &term in terms {
        for bit in bits(term, octets) {
            filter[bit / 8] |= 1 << (bit % 8);
        }
    }
    filter
}

/// Whether a term may be among those of a filter; never wrong about one that is.
/// An empty filter may have any.
pub(crate) fn may_have(filter: &[u8], term: u64) -> bool {
    filter.is_empty() || bits(term, filter.len()).all(|bit| filter[bit / 8] & 1 << (bit % 8) != 0)
}

/// The bits of a term in a filter of so many octets (at least one).
fn bits(term: u64, octets: usize) -> impl Iterator<Item = usize> {
    // The last step of SplitMix64: the hash of similar words differs in few bits.
    let mixed = (term ^ (term >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mixed = mixed ^ (mixed >> 31);
    let (begin, step) = (mixed & 0xffff_ffff, mixed >> 32 | 1);
    (0..BITS).map(move |n| ((begin + n * step) % (octets as u64 * 8)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::term;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_term_is_found_and_octets_of_any_kind_do_no_harm(
            terms in proptest::collection::vec(any::<u64>(), 0..5000), octets in proptest::collection::vec(any::<u8>(), 0..50), other in any::<u64>(),
        ) {
            let filter = filter(&terms);
            prop_assert!((LEAST..=MOST).contains(&filter.len()));
            prop_assert!(terms.iter().all(|&term| may_have(&filter, term)));
            may_have(&octets, other);
        }
    }

    #[test]
    fn few_other_terms_pass() {
        let words = |from: usize| {
            (from..from + 1800).map(|n| term("word", &format!("word{n}"))).collect::<Vec<u64>>()
        };
        let filter = filter(&words(0));
        let wrong = words(100_000).into_iter().filter(|&term| may_have(&filter, term)).count();
        assert!(wrong < 60, "{wrong} of 1800");
    }
}
