//! The journal: every commit is one append to a segment file and one flush.
//! It comes before LMDB, which gets the same writes later and many at once; contents of messages stay here for good.
//!
//! A commit is its messages' contents, each in a record, and then one record with all its row writes.
//! Without that last record there is no commit; with it there is the whole.
//! Commits are numbered from 1 without a gap, so that whoever keeps a copy (a backup, a second box) can ask for those
//! behind a number, and so that none is applied twice.

pub(crate) mod log;
pub(crate) mod read;
pub(crate) mod record;
pub(crate) mod segments;

/// Octets of a segment.
/// Content that is gone frees its card only with its whole segment, and a torn end is looked through up to here: small
/// enough for both; large enough that a new one is rare.
pub(crate) const SEGMENT_OCTETS: u64 = 8 << 20;

/// Longest content that is kept in a segment of a length; longer content has a file of its own.
/// What does not fit into the rest of a segment leaves it empty, so this is a small part of it.
pub(crate) fn longest_content(segment_octets: u64) -> u64 {
    segment_octets / 4
}
