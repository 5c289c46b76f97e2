//! Opening the environment: checks before anything is touched, and all tuning in one place.

use std::ffi::c_void;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::OnceLock;

use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions};
use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, Result};
use crate::tables::Tables;

use super::medium::{self, Medium};
use super::migration;
use super::notices::Listeners;
use super::room::{self, Disk, Reserve, Room};
use super::table::Table;

/// Who opens the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The one server of this data directory.
    Server,
    /// A command-line tool; any number, also while the server runs.
    Tool,
}

/// Limits of the store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most octets the LMDB file may take; `None`: as much as the disk has.
    pub max_octets: Option<u64>,
    /// Octets of the disk that stay free: below this, mail is refused for now (452).
    pub reserve_octets: u64,
    /// Most writes gathered into one commit.
    pub batch_writes: usize,
    /// Most octets of content gathered into one commit.
    pub batch_octets: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { max_octets: None, reserve_octets: 64 << 20, batch_writes: 256, batch_octets: 4 << 20 }
    }
}

/// LMDB can address at most this much on 32-bit machines beside everything else.
const MAP_LIMIT: u64 = if cfg!(target_pointer_width = "32") { 1 << 30 } else { 1 << 40 };
/// How many named databases the environment must have room for (some to spare).
const MAX_TABLES: u32 = 48;
/// LMDB needs some pages to work at all.
const MAP_MINIMUM: u64 = 1 << 20;
/// One slot per thread that ever reads, over all processes.
const READERS: u32 = 256;
pub(crate) const PAGE: u64 = 4096;

/// Zeros written ahead of the used part of the file at a time. Pages that are allocated on disk need no
/// file-system journal commit when they are filled: one flush less for each small commit.
const AHEAD_OCTETS: usize = 256 * 1024;
/// A commit with more new content than this gains less from that flush than the zeros cost.
const AHEAD_WORTHWHILE: usize = 64 * 1024;

/// LMDB may count pages at the end of the file that it took and gave back without writing them.
const UNWRITTEN_PAGES: u64 = 64;

/// Room left in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Mail can be accepted.
    Enough,
    /// Mail must wait outside.
    Short,
}

/// What the writer and all readers share.
pub(crate) struct Shared {
    pub env: Env,
    pub tables: Tables<'static>,
    pub blobs: PathBuf,
    path: PathBuf,
    /// Where LMDB mapped the file, once somebody asked.
    map: OnceLock<Option<(usize, usize)>>,
    file: File,
    map_octets: u64,
    pub reserve_octets: u64,
    pub reserve: Reserve,
    pub listeners: Listeners,
    /// How the card is.
    pub medium: Medium,
    /// Held while the process is the server.
    _server: Option<Flock<File>>,
}

/// Opens or creates the store below `dir`.
pub(crate) fn open(dir: &Path, access: Access, options: &Options) -> Result<Shared> {
    let blobs = dir.join("blobs");
    let lmdb = dir.join("store");
    for folder in [dir, &blobs, &lmdb] {
        private_folder(folder)?;
    }
    let medium = Medium::new(dir);
    let is_read_only = medium.is_read_only;
    let server = match access {
        Access::Server => Some(lock(dir)?),
        Access::Tool => None,
    };
    let data = lmdb.join("data.mdb");
    check_file(&data)?;
    let map_octets = map_octets(&lmdb, options);
    let mut flags = EnvFlags::NO_READ_AHEAD;
    flags.set(EnvFlags::READ_ONLY, is_read_only);
    // SAFETY: the file is ours alone (private directory, LMDB's own lock file) and is not on a network
    // file system; its head was checked above. `NO_READ_AHEAD`: with mail, neighbours are rarely wanted,
    // and on a small board read-ahead pushes out pages that are. `READERS`: see there.
    let env = unsafe { EnvOpenOptions::new().map_size(map_octets as usize).max_dbs(MAX_TABLES).max_readers(READERS).flags(flags).open(&lmdb) };
    let env = env.map_err(Error::lmdb("opening the store"))?;
    let tables = match is_read_only {
        false => {
            env.clear_stale_readers().map_err(Error::lmdb("clearing readers of ended processes"))?;
            let tables = create_tables(&env)?;
            migration::run(&env, &tables)?;
            tables
        }
        true => {
            let tables = open_tables(&env)?;
            migration::check(&env, &tables)?;
            tables
        }
    };
    let file = OpenOptions::new().read(true).write(!is_read_only).open(&data).map_err(Error::io("opening", &data))?;
    let reserve = Reserve::new(dir, options.reserve_octets);
    let shared = Shared {
        env,
        tables,
        blobs,
        path: data,
        map: OnceLock::new(),
        file,
        map_octets,
        reserve_octets: options.reserve_octets,
        reserve,
        medium,
        listeners: Listeners::default(),
        _server: server,
    };
    if access == Access::Server && shared.medium.is_writable() {
        shared.reserve.refill();
    }
    Ok(shared)
}

/// Opens the tables of a store that can only be read.
fn open_tables(env: &Env) -> Result<Tables<'static>> {
    let doing = "opening the tables";
    let txn = env.read_txn().map_err(Error::lmdb(doing))?;
    let tables = env.open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> { Ok(CommitOrAbort::<_, ()>::Commit(Tables::open(opener, txn, "")?)) });
    tables.map_err(Error::lmdb(doing))?.commit().ok_or(Error::Closed)
}

/// Opens the tables, creating those that are missing.
fn create_tables(env: &Env) -> Result<Tables<'static>> {
    let doing = "opening the tables";
    let txn = env.write_txn().map_err(Error::lmdb(doing))?;
    let tables =
        env.create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> { Ok(CommitOrAbort::<_, ()>::Commit(Tables::create(opener, txn, "")?)) });
    tables.map_err(Error::lmdb(doing))?.commit().ok_or(Error::Closed)
}

/// Copies the tables of a store into another folder, as they are at one moment, without migrating anything; also while the
/// server runs. Large messages in files are not copied. False: there is no store.
pub(crate) fn copy(dir: &Path, to: &Path) -> Result<bool> {
    let (from, to) = (dir.join("store"), to.join("store"));
    if !from.join("data.mdb").exists() {
        return Ok(false);
    }
    check_file(&from.join("data.mdb"))?;
    private_folder(&to)?;
    // SAFETY: as in `open`; nothing is written.
    let env = unsafe { EnvOpenOptions::new().max_dbs(MAX_TABLES).max_readers(READERS).flags(EnvFlags::READ_ONLY).open(&from) };
    let env = env.map_err(Error::lmdb("opening the store for a copy"))?;
    env.copy_to_path(to.join("data.mdb"), heed::CompactionOption::Enabled).map_err(Error::lmdb("copying the store"))?;
    Ok(true)
}

fn private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io("creating", path))
}

fn lock(dir: &Path) -> Result<Flock<File>> {
    let path = dir.join("server.lock");
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    // On a card that can only be read a lock is still a lock.
    let file = opened.or_else(|error| File::open(&path).map_err(|_| error)).map_err(Error::io("opening", &path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| Error::InUse { path: dir.to_path_buf() })
}

fn map_octets(dir: &Path, options: &Options) -> u64 {
    let disk = Disk::of(dir).map_or(MAP_LIMIT, |disk| disk.all);
    let wanted = options.max_octets.unwrap_or(disk).clamp(MAP_MINIMUM, MAP_LIMIT);
    wanted.next_multiple_of(PAGE)
}

/// Looks at an existing data file before LMDB maps it: LMDB trusts what it maps.
fn check_file(path: &Path) -> Result<()> {
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
    let newest = metas.iter().max_by_key(|m| m.txn).ok_or_else(|| not("data.mdb has no valid head"))?;
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
struct Meta {
    txn: u64,
    last_page: u64,
}

impl Meta {
    /// Offsets for LMDB as heed 0.23 builds it; a test compares them with a real file.
    fn read(page: &[u8]) -> Option<Meta> {
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
        (magic == 0xBEEF_C0DE).then_some(Meta { txn: native(last_page + word)?, last_page: native(last_page)? })
    }
}

/// What content takes with all that belongs to it: its parts fill pages, and each message has a row or two of its own.
fn with_rows(content: u64, messages: u64) -> u64 {
    content + content / 4 + messages * 2 * PAGE
}

/// Where a file is mapped in this process, address and length (proc(5), `maps`).
fn map_range(path: &Path) -> Option<(usize, usize)> {
    let path = path.canonicalize().ok()?;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| path.to_str().is_some_and(|path| line.ends_with(path)))?;
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    Some((start, end - start))
}

impl Shared {
    /// Octets of the LMDB file in use, free pages inside it not counted.
    fn used_octets(&self) -> u64 {
        (self.env.info().last_page_number as u64 + 1) * PAGE
    }

    /// The number of the last commit, of this or any other process (LMDB counts them). A look at two mapped pages.
    pub(crate) fn last_commit(&self) -> usize {
        self.env.info().last_txn_id
    }

    /// Whether a message of `octets` may be taken on now. The disk is asked first; when the map is nearly
    /// used up, free pages inside it count too.
    pub(crate) fn space(&self, octets: u64) -> Space {
        let is_inline = octets <= crate::content::INLINE_OCTETS as u64;
        let inline = with_rows(if is_inline { octets } else { 0 }, 1);
        let has_disk = if is_inline { self.has_disk(inline) } else { room::look(&self.blobs, octets, self.reserve_octets) == Room::Enough };
        if has_disk && self.has_map(inline) { Space::Enough } else { Space::Short }
    }

    /// Whether a commit that only adds may write so much content: what it takes must leave room to delete it again.
    pub(crate) fn has_room_for_commit(&self, content: u64, writes: u64) -> bool {
        let octets = with_rows(content, writes);
        self.has_disk(octets) && self.has_map(octets)
    }

    /// Whether the disk has so many octets for rows. The data file never gets smaller: when the disk is nearly used up, the
    /// pages inside it that deletions let go count, else deleting would help nobody.
    fn has_disk(&self, octets: u64) -> bool {
        match room::look(&self.blobs, octets, self.reserve_octets) {
            Room::Enough => true,
            Room::NoFiles => false,
            Room::NoOctets => self.row_octets().is_ok_and(|rows| rows + octets + self.reserve_octets / 8 <= self.used_octets()),
        }
    }

    /// Whether so many octets fit into the map, in front of its last part. A deletion rewrites paths of pages before it lets
    /// the old ones go: that part is for them.
    fn has_map(&self, octets: u64) -> bool {
        let kept = (self.map_octets / 20).max((self.map_octets / 4).min(1 << 20));
        let room = |used: u64| used.saturating_add(octets).saturating_add(kept) <= self.map_octets;
        room(self.used_octets()) || self.row_octets().is_ok_and(room)
    }

    /// Octets of the pages that hold rows.
    fn row_octets(&self) -> Result<u64> {
        let txn = self.env.read_txn().map_err(Error::lmdb("measuring the tables"))?;
        Ok(self.tables.pages(&txn).map_err(Error::lmdb("measuring the tables"))? * PAGE)
    }

    /// Writes zeros ahead of the used part of the data file. To be called inside a write transaction and
    /// before its first change: then no page behind the last used one holds anything.
    pub(crate) fn allocate_ahead(&self, new_octets: usize) {
        let used = self.used_octets();
        let length = self.file.metadata().map(|m| m.len()).unwrap_or(u64::MAX);
        let wanted = used + new_octets as u64 + AHEAD_OCTETS as u64 / 4;
        let end = length + AHEAD_OCTETS as u64;
        if new_octets > AHEAD_WORTHWHILE || length >= wanted || end > self.map_octets {
            return;
        }
        // Only an optimisation: a full disk shows itself at the commit.
        let _ = self.file.write_all_at(&[0; AHEAD_OCTETS], length.max(used));
    }

    /// Lets go of the pages of the map that reading made resident. They stay in the page cache, so looking
    /// again costs a minor fault; but a large mailbox read once does not count as ours for ever, and the
    /// kernel need not guess which pages matter on a small board.
    pub(crate) fn trim(&self) {
        let Some((start, length)) = *self.map.get_or_init(|| map_range(&self.path)) else { return };
        let Some(start) = NonNull::new(start as *mut c_void) else { return };
        // SAFETY: the range is LMDB's read-only shared mapping of its file, for the life of `env`.
        // `MADV_DONTNEED` on such a mapping drops page-table entries only; the next access reads the file.
        let _ = unsafe { nix::sys::mman::madvise(start, length, nix::sys::mman::MmapAdvise::MADV_DONTNEED) };
    }

    /// The LMDB data file.
    #[cfg(test)]
    pub(crate) fn data_file(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_pages_are_read_as_lmdb_writes_them() {
        let dir = tempfile::tempdir().unwrap();
        let shared = open(dir.path(), Access::Server, &Options::default()).unwrap();
        let head = fs::read(shared.data_file()).unwrap();
        let metas: Vec<Meta> = head.chunks(PAGE as usize).take(2).filter_map(Meta::read).collect();
        let newest = metas.iter().max_by_key(|m| m.txn).unwrap();
        assert_eq!(newest.txn, shared.env.info().last_txn_id as u64);
        assert_eq!(newest.last_page, shared.env.info().last_page_number as u64);
    }

    #[test]
    fn a_second_server_is_told_and_a_tool_is_not_hindered() {
        let dir = tempfile::tempdir().unwrap();
        let _first = open(dir.path(), Access::Server, &Options::default()).unwrap();
        assert!(matches!(lock(dir.path()), Err(Error::InUse { .. })));
    }

    #[test]
    fn foreign_and_cut_files_are_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store/data.mdb");
        drop(open(dir.path(), Access::Server, &Options::default()).unwrap());
        let whole = fs::read(&path).unwrap();
        let mut claims_more = whole.clone();
        for page in claims_more.chunks_mut(PAGE as usize).take(2) {
            // The last page number of both heads.
            page[16 + 24 + 96..][..8].copy_from_slice(&1_000_000u64.to_ne_bytes());
        }
        for damaged in [b"not a store".to_vec(), vec![7; 20_000], whole[..5000].to_vec(), claims_more] {
            fs::write(&path, &damaged).unwrap();
            assert!(matches!(open(dir.path(), Access::Server, &Options::default()), Err(Error::NotAStore { .. })));
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }
}
