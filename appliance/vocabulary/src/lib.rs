//! Words that crates share which know nothing else of each other.
//! Values only: no I/O, no clock, no command or reply of a protocol.

pub mod address;
pub mod block;
pub mod code;
pub mod ids;
pub mod text;
pub mod time;

pub use address::{Address, AddressError, Domain};
pub use block::AddressBlock;
pub use code::ShortCode;
pub use ids::{AccountId, DeviceId, FolderId, LedgerId, MessageId};
pub use time::Timestamp;
