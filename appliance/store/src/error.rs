//! What can go wrong in the store, in words an operator can act on.

use std::io;
use std::path::{Path, PathBuf};

/// The store's one error type.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("{doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    /// LMDB refused an operation.
    #[error("{doing}: {source}")]
    Lmdb { doing: &'static str, source: heed::Error },
    /// The configured size or the disk is used up.
    /// Nothing was changed.
    #[error(
        "the store is full: free disk space or raise store.max_octets, then try again; nothing was lost"
    )]
    Full,
    /// The card takes nothing any more; what is on it can still be read.
    #[error(
        "nothing can be written ({why}); mail can still be read. Save it, and put a new card in"
    )]
    Unwritable { why: String },
    /// A write failed half-way: LMDB does nothing any more, not even read, until the store is opened anew.
    #[error("a write failed half-way; the store must be opened anew")]
    Spent,
    /// Another server already uses this data directory.
    #[error("another Pillarbox server is running on {}: stop it first, or give this one its own data directory", path.display())]
    InUse { path: PathBuf },
    /// The directory holds no Pillarbox store and may not be made into one.
    #[error("{} is not a usable Pillarbox store ({why}); nothing was changed. Restore it from a backup, or choose another data directory", path.display())]
    NotAStore { path: PathBuf, why: String },
    /// The store was written by a newer Pillarbox.
    #[error(
        "the store has format {found}, this Pillarbox knows formats up to {known}: install the newer Pillarbox that wrote it; nothing was changed"
    )]
    TooNew { found: u32, known: u32 },
    /// Bytes on disk are not what was written.
    #[error(
        "the store is damaged ({what}); run `pillarbox check`, and restore the data directory from a backup if it confirms this"
    )]
    Damaged { what: String },
    /// A named thing does not exist.
    #[error("there is no {what} {name}")]
    NotFound { what: &'static str, name: String },
    /// A named thing exists already.
    #[error("the {what} {name} exists already")]
    Exists { what: &'static str, name: String },
    /// A request that can't be carried out as it is.
    #[error("{why}")]
    Invalid { why: String },
    /// There was no memory for more content in time; nothing was changed.
    #[error("there is no memory for more messages at this moment")]
    Busy,
    /// The writer has stopped; the store is closing.
    #[error("the store is closing")]
    Closed,
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Attaches the operation and the file to an I/O error.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| match source.raw_os_error() {
            Some(code) if is_full(code) => Error::Full,
            Some(code) if is_unwritable(code) && doing != "reading" => {
                Error::Unwritable { why: format!("{doing} {}: {source}", path.display()) }
            }
            _ => Error::Io { doing, path, source },
        }
    }

    /// Attaches the operation to an LMDB error; a full map or disk becomes [`Error::Full`].
    pub(crate) fn lmdb(doing: &'static str) -> impl FnOnce(heed::Error) -> Error {
        move |source| match source {
            heed::Error::Mdb(heed::MdbError::MapFull) => Error::Full,
            heed::Error::Io(ref e) if e.raw_os_error().is_some_and(is_full) => Error::Full,
            heed::Error::Io(ref e) if e.raw_os_error().is_some_and(is_unwritable) => {
                Error::Unwritable { why: format!("{doing}: {e}") }
            }
            heed::Error::Mdb(heed::MdbError::Panic) => Error::Spent,
            heed::Error::Encoding(why) => Error::Invalid { why: why.to_string() },
            heed::Error::Decoding(what) => Error::Damaged { what: format!("{doing}: {what}") },
            source => Error::Lmdb { doing, source },
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Error {
        Error::Damaged { what: what.into() }
    }

    /// True when the fault is in the request and other writes of the same commit are unharmed.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Error::NotFound { .. } | Error::Exists { .. } | Error::Invalid { .. })
    }
}

/// No octets left, no files left, or a quota that is used up.
fn is_full(code: i32) -> bool {
    use nix::errno::Errno;
    [Errno::ENOSPC, Errno::EDQUOT].iter().any(|errno| *errno as i32 == code)
}

/// The medium gave up: an error of the device, or a file system that protects itself.
fn is_unwritable(code: i32) -> bool {
    use nix::errno::Errno;
    [Errno::EROFS, Errno::EIO].iter().any(|errno| *errno as i32 == code)
}
