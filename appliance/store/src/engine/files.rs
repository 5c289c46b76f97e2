//! The files of a store before LMDB gets to see them: folders, locks, and whether a data file can be one.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, Result};

use super::medium;

pub(crate) const PAGE: u64 = 4096;

/// LMDB may count pages at the end of the file that it took and gave back without writing them.
const UNWRITTEN_PAGES: u64 = 64;

pub(crate) fn private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io("creating", path))
}

pub(crate) fn lock(dir: &Path) -> Result<Flock<File>> {
    let path = dir.join("server.lock");
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    // On a card that can only be read a lock is still a lock.
    let file = opened
        .or_else(|error| File::open(&path).map_err(|_| error))
        .map_err(Error::io("opening", &path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| Error::InUse { path: dir.to_path_buf() })
}

/// Opens a small file, and makes it where it is missing; on a card that can only be read it can be read.
pub(crate) fn open_small(path: &Path) -> Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    opened.or_else(|error| File::open(path).map_err(|_| error)).map_err(Error::io("opening", path))
}

/// Takes part in having the store open.
/// True: no other process does, and none can until this one is ready.
pub(crate) fn lock_open(dir: &Path) -> Result<(File, bool)> {
    let path = dir.join("open.lock");
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = opened
        .or_else(|error| File::open(&path).map_err(|_| error))
        .map_err(Error::io("opening", &path))?;
    if file.try_lock().is_ok() {
        return Ok((file, true));
    }
    file.lock_shared().map_err(Error::io("locking", &path))?;
    Ok((file, false))
}

/// Looks whether a kept meta page can belong to a data file.
pub(crate) fn check_kept(data: &Path, page: &[u8]) -> Result<()> {
    let not = |why: &str| Error::NotAStore { path: data.to_path_buf(), why: why.to_string() };
    let kept = Meta::read(page).ok_or_else(|| not("its checkpoint is none"))?;
    let file = File::open(data).map_err(Error::io("opening", data))?;
    let length = file.metadata().map_err(Error::io("measuring", data))?.len();
    if length + UNWRITTEN_PAGES * PAGE < (kept.last_page + 1) * PAGE {
        return Err(not("data.mdb is shorter than its contents"));
    }
    let mut head = [0u8; 2 * PAGE as usize];
    file.read_exact_at(&mut head, 0).map_err(|_| not("data.mdb is cut off"))?;
    match head.chunks(PAGE as usize).any(|page| Meta::read(page).is_some()) {
        true => Ok(()),
        false => Err(not("data.mdb has no valid head")),
    }
}

/// Looks at an existing data file before LMDB maps it: LMDB trusts what it maps.
pub(crate) fn check_file(path: &Path) -> Result<()> {
    let not = |why: &str| Error::NotAStore { path: path.to_path_buf(), why: why.to_string() };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io("opening", path)(e)),
    };
    let length = file.metadata().map_err(Error::io("measuring", path))?.len();
    if length == 0 {
        return Ok(());
    }
    let mut head = [0u8; 2 * PAGE as usize];
    file.read_exact_at(&mut head, 0).map_err(|_| not("data.mdb is cut off"))?;
    let metas: Vec<Meta> = head.chunks(PAGE as usize).filter_map(Meta::read).collect();
    let newest =
        metas.iter().max_by_key(|m| m.txn).ok_or_else(|| not("data.mdb has no valid head"))?;
    let used = (newest.last_page + 1) * PAGE;
    if length + UNWRITTEN_PAGES * PAGE < used {
        return Err(not("data.mdb is shorter than its contents"));
    }
    if length < used {
        // Never written means never used; but LMDB must be able to look at them.
        if medium::is_read_only(path) {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(path).map_err(Error::io("opening", path))?;
        file.set_len(used).map_err(Error::io("extending", path))?;
    }
    Ok(())
}

/// The few fields of LMDB's meta page that tell whether the file is whole.
pub(crate) struct Meta {
    pub txn: u64,
    pub last_page: u64,
}

impl Meta {
    /// Offsets for LMDB as heed 0.23 builds it; a test compares them with a real file.
    pub fn read(page: &[u8]) -> Option<Meta> {
        let word = size_of::<usize>();
        let header = 8 + word;
        let native = |at: usize| -> Option<u64> {
            let octets = page.get(at..at + word)?;
            Some(match word {
                8 => u64::from_ne_bytes(octets.try_into().ok()?),
                _ => u64::from(u32::from_ne_bytes(octets.try_into().ok()?)),
            })
        };
        let magic = u32::from_ne_bytes(page.get(header..header + 4)?.try_into().ok()?);
        let databases = header + 8 + 2 * word;
        let last_page = databases + 2 * (8 + 5 * word);
        (magic == 0xBEEF_C0DE)
            .then_some(Meta { txn: native(last_page + word)?, last_page: native(last_page)? })
    }
}
