//! What a change made.

use crate::ids::{AccountId, DeviceId, FolderId};

/// What a change made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Done,
    Account(AccountId),
    Device(DeviceId),
    Folder(FolderId),
    /// So many messages are still to be deleted: the same order again takes the next ones.
    Left(u32),
}
