//! Numbers by which accounts, folders, messages and devices are known.
//! The store gives them out and keeps them as keys; here they have no form but their number.

/// One person's or one shared mailbox.
/// Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u32);

/// A folder within an account.
/// The well-known ones are constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(pub u32);

/// Place of a record in the ledger, counted from 1 in order of commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerId(pub u64);

/// A message: the [`LedgerId`] of the record that reports its acceptance.
/// Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// A POP3 view within an account: 0 is the account's own password, each device password has its own.
/// Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub u16);

impl FolderId {
    /// Where mail arrives (RFC 9051 §5.1).
    pub const INBOX: FolderId = FolderId(1);
    /// Copies of what was sent (RFC 6154 `\Sent`).
    pub const SENT: FolderId = FolderId(2);
    /// Unfinished messages (RFC 6154 `\Drafts`).
    pub const DRAFTS: FolderId = FolderId(3);
    /// Deleted, kept for a while (RFC 6154 `\Trash`).
    pub const TRASH: FolderId = FolderId(4);
    /// Suspected spam (RFC 6154 `\Junk`).
    pub const JUNK: FolderId = FolderId(5);
}

impl DeviceId {
    /// The account's own password.
    pub const MAIN: DeviceId = DeviceId(0);
}
