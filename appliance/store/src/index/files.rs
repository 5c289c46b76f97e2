//! The folder with the files of the index.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::engine::shared::Shared;
use crate::engine::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::index::manifest::Named;
use crate::index::segment::read::Segment;
use crate::index::segment::{SegmentId, path};

pub(crate) fn folder(shared: &Shared) -> PathBuf {
    shared.blobs.with_file_name("index")
}

/// Opens a file of an account's index; `None` when it is not there.
///
/// # Errors
/// [`Error::Damaged`] when it is another than the one that was named.
pub(crate) fn open(shared: &Shared, account: AccountId, named: &Named) -> Result<Option<Segment>> {
    let Some(segment) = Segment::open(&folder(shared), named.id)? else { return Ok(None) };
    match (segment.head.account, segment.head.messages, segment.octets())
        == (account, named.messages, named.octets)
    {
        true => Ok(Some(segment)),
        false => Err(missing(shared, named.id, "is not the one that was written")),
    }
}

pub(crate) fn missing(shared: &Shared, id: SegmentId, how: &str) -> Error {
    Error::damaged(format!("the index file {} {how}", path(&folder(shared), id).display()))
}

/// Removes files that no commit names any more.
pub(crate) fn remove(shared: &Shared, gone: &[SegmentId]) {
    for id in gone {
        // One that stays is swept at the next start.
        let _ = fs::remove_file(path(&folder(shared), *id));
    }
}

/// Removes files that are not named: left by a crash between their writing and their commit, or between a commit that
/// named others and their removal.
/// To be called by the server only, before it works.
/// Returns how many there were.
pub(crate) fn sweep(shared: &Shared, txn: &Snapshot) -> Result<usize> {
    let doing = "looking for orphans of the index";
    let folder = folder(shared);
    let items = match fs::read_dir(&folder) {
        Ok(items) => items,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(Error::io("listing", &folder)(error)),
    };
    let mut named = BTreeSet::new();
    for row in shared.tables.index.segments.iter(txn).map_err(Error::lmdb(doing))? {
        let (_, manifest) = row.map_err(Error::lmdb(doing))?;
        named.extend(manifest.segments.iter().map(|segment| segment.id));
    }
    let mut removed = 0;
    for item in items {
        let item = item.map_err(Error::io("listing", &folder))?;
        let name = item.file_name();
        let id = name
            .to_str()
            .filter(|name| name.len() == 16)
            .and_then(|name| u64::from_str_radix(name, 16).ok());
        if id.is_some_and(|id| !named.contains(&SegmentId(id))) {
            fs::remove_file(item.path()).map_err(Error::io("removing", &item.path()))?;
            removed += 1;
        }
    }
    Ok(removed)
}
