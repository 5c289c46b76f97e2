//! Words that crates share which know nothing else of each other.
//! Values only: no I/O, no clock, nothing of mail's protocols.

pub mod block;

pub use block::AddressBlock;
