//! Opening the environment: checks before anything is touched, and all tuning in one place.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use heed::types::{Bytes, Str};
use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions, FlagSetMode, RoTxn, WithoutTls};
use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, Result};
use crate::tables::Tables;

use super::checkpoint::{self, Checkpoint};
use super::journal::SEGMENT_OCTETS;
use super::journal::log::{Log, Watch};
use super::journal::read::Follower;
use super::journal::record::Position;
use super::journal::segments::Segments;
use super::keeper::Bell;
use super::layers::{Layer, Writes};
use super::medium::{self, Medium};
use super::migration;
use super::notices::Listeners;
use super::room::{self, Disk, Reserve, Room};
use super::snapshot::{Base, Snapshot};
use super::table::Declared;

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
    /// Most octets that mail may take, without large messages in files of their own; `None`: as much as the disk has.
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
/// Segments of the journal that go along when a store is copied: more than are ever not folded in yet.
const COPIED_SEGMENTS: usize = 8;
/// Segments of the journal that are kept open for reading.
const OPEN_SEGMENTS: usize = 16;

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
    pub env: Env<WithoutTls>,
    pub tables: Tables<'static>,
    /// Where LMDB keeps each table, by the table's number.
    pub bases: Vec<(u16, Base)>,
    pub access: Access,
    /// What readers see: the newer rows, and up to which commit of LMDB they fit.
    published: Mutex<Published>,
    /// The journal's end. Whoever holds it writes, or looks what others wrote.
    log: Mutex<Log>,
    watch: Watch,
    pub segments: Segments,
    /// Segments that were read lately.
    open_segments: Mutex<VecDeque<(u64, Arc<File>)>>,
    /// Wakes the keeper, and those who wait for it.
    pub bell: Bell,
    /// What the last start found in the journal.
    pub recovered: Recovered,
    pub blobs: PathBuf,
    pub path: PathBuf,
    /// Where LMDB mapped the file, once somebody asked.
    map: OnceLock<Option<(usize, usize)>>,
    pub file: File,
    map_octets: u64,
    /// Most octets of rows and contents together, where the owner set one.
    limit: Option<u64>,
    pub reserve_octets: u64,
    pub reserve: Reserve,
    pub listeners: Listeners,
    /// How the card is.
    pub medium: Medium,
    /// Held while the process has the store open.
    _open: File,
    /// Held while the process is the server.
    _server: Option<Flock<File>>,
}

/// What a start found in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Commits that LMDB did not have yet.
    pub commits: u64,
    /// Commits that were on the card once and can't be read any more: which, and where.
    pub damaged: Vec<String>,
}

/// What readers see.
#[derive(Clone, Default)]
pub(crate) struct Published {
    /// Rows since the last fold began.
    pub fresh: Layer,
    /// Rows that are being folded into LMDB.
    pub frozen: Option<Layer>,
    /// The last commit of LMDB that these layers belong to; while rows are being folded, the next one as well.
    pub base: usize,
    /// Where the journal goes on behind `fresh`, and with which commit.
    pub end: (Position, u64),
    /// The same behind `frozen`.
    pub frozen_end: (Position, u64),
    /// The count of others' commits that is in.
    pub counted: u64,
}

impl Published {
    /// Newest first.
    fn layers(&self) -> [Layer; 2] {
        [self.fresh.clone(), self.frozen.clone().unwrap_or_default()]
    }

    fn fits(&self, commit: usize) -> bool {
        commit == self.base || self.frozen.is_some() && commit == self.base + 1
    }
}

/// The row of LMDB that says up to where the journal is folded in.
const FOLDED: &str = "folded";

/// A read transaction that no thread owns.
pub(crate) type Pin = RoTxn<'static, WithoutTls>;

/// The checkpoint and what holds it: the server's keeper has them.
pub(crate) struct Anchor {
    pub checkpoint: Checkpoint,
    pub pin: Pin,
    /// Up to where the journal is in the checkpoint.
    pub folded: (Position, u64),
}

/// Opens or creates the store below `dir`. A server gets the checkpoint to keep.
pub(crate) fn open(dir: &Path, access: Access, options: &Options) -> Result<(Shared, Option<Anchor>)> {
    let (blobs, lmdb, journal) = (dir.join("blobs"), dir.join("store"), dir.join("journal"));
    for folder in [dir, &blobs, &lmdb, &journal] {
        private_folder(folder)?;
    }
    let medium = Medium::new(dir);
    let is_read_only = medium.is_read_only;
    let server = match access {
        Access::Server => Some(lock(dir)?),
        Access::Tool => None,
    };
    let (opening, is_alone) = lock_open(dir)?;
    let data = lmdb.join("data.mdb");
    let (checkpoint, kept) = Checkpoint::open(&lmdb)?;
    match &kept {
        // Nobody else has it open: whatever LMDB wrote since the checkpoint goes, and comes again from the journal.
        Some(page) if is_alone && !is_read_only => {
            check_kept(&data, page)?;
            checkpoint::restore(&data, page)?;
        }
        _ => {}
    }
    check_file(&data)?;
    let map_octets = map_octets(&lmdb, options);
    let mut flags = EnvFlags::NO_READ_AHEAD;
    flags.set(EnvFlags::READ_ONLY, is_read_only);
    let mut opener = EnvOpenOptions::new().read_txn_without_tls();
    opener.map_size(map_octets as usize).max_dbs(MAX_TABLES).max_readers(READERS);
    // SAFETY: the file is ours alone (private directory, LMDB's own lock file) and is not on a network
    // file system; its head was checked above. `NO_READ_AHEAD`: with mail, neighbours are rarely wanted,
    // and on a small board read-ahead pushes out pages that are. `READERS`: see there.
    let env = unsafe { opener.flags(flags).open(&lmdb) };
    let env = env.map_err(Error::lmdb("opening the store"))?;
    let may_change = !is_read_only && (is_alone || access == Access::Server);
    let tables = match may_change {
        true => {
            env.clear_stale_readers().map_err(Error::lmdb("clearing readers of ended processes"))?;
            let tables = create_tables(&env)?;
            migration::run(&env, &tables)?;
            tables
        }
        false => {
            let tables = open_tables(&env)?;
            migration::check(&env, &tables)?;
            tables
        }
    };
    let mut bases = Vec::new();
    tables.bases(&mut bases);
    let file = OpenOptions::new().read(true).write(!is_read_only).open(&data).map_err(Error::io("opening", &data))?;
    let anchor = match may_change {
        true => Some(anchor(&env, &tables, &data, checkpoint, kept.as_deref())?),
        false => None,
    };
    let segments = Segments::new(journal, segment_octets(options));
    let (published, log, recovered) = read_journal(&env, &tables, segments, is_alone, is_alone && !is_read_only)?;
    // Ready for others.
    opening.lock_shared().map_err(Error::io("locking", dir))?;
    let shared = Shared {
        tables,
        bases,
        access,
        published: Mutex::new(published),
        watch: log.watch()?,
        segments: log.segments.clone(),
        open_segments: Mutex::default(),
        log: Mutex::new(log),
        bell: Bell::default(),
        recovered,
        blobs,
        path: data,
        map: OnceLock::new(),
        file,
        map_octets,
        limit: options.max_octets,
        reserve_octets: options.reserve_octets,
        reserve: Reserve::new(dir, options.reserve_octets),
        medium,
        listeners: Listeners::default(),
        _open: opening,
        _server: server,
        env,
    };
    if access == Access::Server && shared.medium.is_writable() {
        shared.reserve.refill();
    }
    Ok((shared, anchor.filter(|_| access == Access::Server)))
}

/// Segments fit the configured size of small stores.
fn segment_octets(options: &Options) -> u64 {
    options.max_octets.map_or(SEGMENT_OCTETS, |octets| (octets / 8).clamp(1 << 20, SEGMENT_OCTETS))
}

/// Makes what LMDB has now the checkpoint, unless it is that already; from then on LMDB commits without flushes.
fn anchor(env: &Env<WithoutTls>, tables: &Tables<'static>, data: &Path, mut checkpoint: Checkpoint, kept: Option<&[u8]>) -> Result<Anchor> {
    let pin = env.clone().static_read_txn().map_err(Error::lmdb("holding the checkpoint"))?;
    let is_kept = kept.and_then(Meta::read).is_some_and(|meta| meta.txn == pin.id() as u64);
    if !is_kept {
        env.force_sync().map_err(Error::lmdb("flushing the store"))?;
        checkpoint.keep(&checkpoint::meta_page(data, pin.id())?)?;
    }
    let folded = folded(tables, &pin)?;
    // SAFETY: what LMDB commits without a flush is in the journal, and the pinned checkpoint stays whole: see `checkpoint`.
    unsafe { env.set_flags(EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC, FlagSetMode::Enable) }.map_err(Error::lmdb("setting up the store"))?;
    Ok(Anchor { checkpoint, pin, folded })
}

/// Up to where the journal is folded into a snapshot of LMDB, and the commit that comes next.
fn folded(tables: &Tables<'static>, txn: &RoTxn<'_, WithoutTls>) -> Result<(Position, u64)> {
    let row = meta(tables).get(txn, FOLDED).map_err(Error::lmdb("reading the store"))?;
    let Some(row) = row else { return Ok((Position::default(), 1)) };
    let words: Option<[u64; 3]> =
        row.chunks(8).map(|word| Some(u64::from_be_bytes(word.try_into().ok()?))).collect::<Option<Vec<u64>>>().and_then(|all| all.try_into().ok());
    let [next, segment, offset] = words.ok_or_else(|| Error::damaged("the mark of the journal"))?;
    Ok((Position { segment, offset }, next))
}

/// Where LMDB keeps the small marks.
fn meta(tables: &Tables<'static>) -> heed::Database<'static, Str, Bytes> {
    tables.meta.base().remap_key_type()
}

/// Reads what LMDB does not have yet. The first to open it also looks for damage.
fn read_journal(env: &Env<WithoutTls>, tables: &Tables<'static>, segments: Segments, is_alone: bool, may_clean: bool) -> Result<(Published, Log, Recovered)> {
    let mut recovered = Recovered::default();
    loop {
        let txn = env.read_txn().map_err(Error::lmdb("beginning to read"))?;
        let (at, next) = folded(tables, &txn)?;
        let mut follower = Follower::new(segments.clone(), at, next);
        let mut published = Published { base: txn.id(), ..Published::default() };
        loop {
            follower.read_all(|commit| {
                recovered.commits += 1;
                published.fresh.add(commit.writes);
                Ok(())
            })?;
            if !is_alone {
                break;
            }
            let place = follower.end();
            let Some(first) = follower.skip_damage()? else { break };
            let last = follower.next_number() - 1;
            recovered.damaged.push(format!("commits {first} to {last} in segment {} of the journal at octet {}", place.segment, place.offset));
        }
        published.end = (follower.end(), follower.next_number());
        if may_clean {
            segments.retire_behind(published.end.0.segment)?;
        }
        let log = Log::open(segments.clone(), published.end.0, published.end.1)?;
        published.counted = log.watch()?.count();
        // A server that folds meanwhile may have let go of what was to be read.
        if env.info().last_txn_id == txn.id() {
            return Ok((published, log, recovered));
        }
        recovered = Recovered::default();
    }
}

/// Opens the tables of a store that can only be read.
fn open_tables(env: &Env<WithoutTls>) -> Result<Tables<'static>> {
    let doing = "opening the tables";
    let txn = env.read_txn().map_err(Error::lmdb(doing))?;
    let tables = env.open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> { Ok(CommitOrAbort::<_, ()>::Commit(Tables::open(opener, txn, "")?)) });
    tables.map_err(Error::lmdb(doing))?.commit().ok_or(Error::Closed)
}

/// Opens the tables, creating those that are missing.
fn create_tables(env: &Env<WithoutTls>) -> Result<Tables<'static>> {
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
    let (opening, is_alone) = lock_open(dir)?;
    // Nobody else has it open: what a crash left is put right first.
    if is_alone
        && !medium::is_read_only(dir)
        && let (_, Some(page)) = Checkpoint::open(&from)?
    {
        check_kept(&from.join("data.mdb"), &page)?;
        checkpoint::restore(&from.join("data.mdb"), &page)?;
    }
    // SAFETY: as in `open`; nothing is written.
    let env = unsafe { EnvOpenOptions::new().read_txn_without_tls().max_dbs(MAX_TABLES).max_readers(READERS).flags(EnvFlags::READ_ONLY).open(&from) };
    let env = env.map_err(Error::lmdb("opening the store for a copy"))?;
    // The journal first: what is folded and let go meanwhile is in the tables then.
    let journal = dir.join("journal");
    if journal.exists() {
        private_folder(&to.with_file_name("journal"))?;
        let (used, _) = Segments::new(journal.clone(), SEGMENT_OCTETS).list()?;
        for segment in used.iter().rev().take(COPIED_SEGMENTS) {
            let name = format!("{segment:016x}");
            let target = to.with_file_name("journal").join(&name);
            fs::copy(journal.join(&name), &target).map_err(Error::io("copying", &target))?;
        }
    }
    env.copy_to_path(to.join("data.mdb"), heed::CompactionOption::Enabled).map_err(Error::lmdb("copying the store"))?;
    drop(opening);
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

/// Takes part in having the store open. True: nobody else does, and nobody can until this process is ready.
fn lock_open(dir: &Path) -> Result<(File, bool)> {
    let path = dir.join("open.lock");
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = opened.or_else(|error| File::open(&path).map_err(|_| error)).map_err(Error::io("opening", &path))?;
    if file.try_lock().is_ok() {
        return Ok((file, true));
    }
    file.lock_shared().map_err(Error::io("locking", &path))?;
    Ok((file, false))
}

/// Looks whether a kept meta page can belong to a data file.
fn check_kept(data: &Path, page: &[u8]) -> Result<()> {
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
        (magic == 0xBEEF_C0DE).then_some(Meta { txn: native(last_page + word)?, last_page: native(last_page)? })
    }
}

/// What rows take that belong to so many octets of content: a page for each message, and some for indexes.
fn rows_of(content: u64, messages: u64) -> u64 {
    content / 8 + messages * PAGE
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

    /// The number of the last commit, of this or any other process.
    pub(crate) fn last_commit(&self) -> u64 {
        self.published().end.1.saturating_sub(1)
    }

    /// Whether a message of `octets` may be taken on now. The disk is asked first; when the map is nearly
    /// used up, free pages inside it count too.
    pub(crate) fn space(&self, octets: u64) -> Space {
        let is_inline = octets <= crate::content::INLINE_OCTETS as u64;
        let content = if is_inline { octets } else { 0 };
        let has_disk = is_inline || room::look(&self.blobs, octets, self.reserve_octets) == Room::Enough;
        if has_disk && self.has_room_for_commit(content, 1) { Space::Enough } else { Space::Short }
    }

    /// Whether a commit that only adds may write so much content: what it takes must leave room to delete it again.
    pub(crate) fn has_room_for_commit(&self, content: u64, writes: u64) -> bool {
        let rows = rows_of(content, writes);
        self.has_disk(content, rows) && self.has_map(rows) && self.is_within_limit(content + rows)
    }

    /// Whether the disk has room. The data file never gets smaller: when the disk is nearly used up, the pages inside it that
    /// deletions let go count, and segments of the journal that are spare, else deleting would help nobody.
    fn has_disk(&self, content: u64, rows: u64) -> bool {
        match room::look(&self.blobs, content + rows, self.reserve_octets) {
            Room::Enough => true,
            Room::NoFiles => false,
            Room::NoOctets => {
                let has_pages = self.row_octets().is_ok_and(|now| now + rows + self.reserve_octets / 8 <= self.used_octets());
                let left = self.segment_octets().saturating_sub(self.published().end.0.offset);
                has_pages && (content + rows <= left / 2 || self.segments.list().is_ok_and(|(_, spare)| !spare.is_empty()))
            }
        }
    }

    /// Whether rows of so many octets fit into the map, in front of its last part. A deletion rewrites paths of pages before it
    /// lets the old ones go: that part is for them.
    fn has_map(&self, octets: u64) -> bool {
        let kept = (self.map_octets / 20).max((self.map_octets / 4).min(1 << 20));
        let room = |used: u64| used.saturating_add(octets).saturating_add(kept) <= self.map_octets;
        room(self.used_octets() + 2 * self.unfolded_octets()) || self.row_octets().is_ok_and(room)
    }

    /// Whether rows and contents together stay within what the owner allows.
    fn is_within_limit(&self, octets: u64) -> bool {
        let Some(limit) = self.limit else { return true };
        let all = || Ok::<u64, Error>(self.row_octets()? + self.content_octets()?);
        // What can't be measured does not stop mail.
        all().map_or(true, |used| used.saturating_add(octets).saturating_add(limit / 20) <= limit)
    }

    /// Octets of content in the journal that messages refer to.
    fn content_octets(&self) -> Result<u64> {
        let doing = "measuring the journal";
        let view = self.view()?;
        let rows = self.tables.content.segments.iter(&view).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(_, octets)| octets.try_into().map_or(0, u64::from_be_bytes)).map_err(Error::lmdb(doing))).sum()
    }

    /// Octets of the pages that hold rows, and of those that newer rows will take.
    fn row_octets(&self) -> Result<u64> {
        let txn = self.env.read_txn().map_err(Error::lmdb("measuring the tables"))?;
        let mut pages = 0;
        for (_, base) in &self.bases {
            let stat = base.stat(&txn).map_err(Error::lmdb("measuring the tables"))?;
            pages += (stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64;
        }
        Ok(pages * PAGE + self.unfolded_octets())
    }

    /// Octets of newer rows, about: what folding them takes.
    fn unfolded_octets(&self) -> u64 {
        let published = self.published();
        (published.fresh.octets() + published.frozen.as_ref().map_or(0, Layer::octets)) as u64
    }

    /// Reads octets of a segment of the journal; false when they are not there.
    pub(crate) fn read_segment(&self, segment: u64, offset: u64, into: &mut [u8]) -> Result<bool> {
        let known = self.open_segments().iter().find(|(known, _)| *known == segment).map(|(_, file)| file.clone());
        let file = match known {
            Some(file) => file,
            None => {
                let Some(file) = self.segments.open(segment, false)? else { return Ok(false) };
                let file = Arc::new(file);
                let mut open = self.open_segments();
                if open.len() >= OPEN_SEGMENTS {
                    open.pop_front();
                }
                open.push_back((segment, file.clone()));
                file
            }
        };
        Ok(file.read_exact_at(into, offset).is_ok())
    }

    /// Closes a segment that is no more.
    pub(crate) fn forget_segment(&self, segment: u64) {
        self.open_segments().retain(|(known, _)| *known != segment);
    }

    fn open_segments(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<File>)>> {
        self.open_segments.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Octets of each segment of the journal.
    pub(crate) fn segment_octets(&self) -> u64 {
        self.segments.octets
    }

    pub(crate) fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// One consistent view for reading, with all that was committed, by whatever process.
    pub(crate) fn view(&self) -> Result<Snapshot<'_>> {
        let is_behind = match self.access {
            Access::Server => self.watch.count() != self.published().counted,
            Access::Tool => true,
        };
        if !is_behind && let Some(view) = self.matching_view()? {
            return Ok(view);
        }
        if is_behind {
            return self.view_with(&mut self.log());
        }
        loop {
            // The keeper shows a fold right after it.
            std::thread::yield_now();
            if let Some(view) = self.matching_view()? {
                return Ok(view);
            }
        }
    }

    /// The same while the log is held.
    pub(crate) fn view_with(&self, log: &mut Log) -> Result<Snapshot<'_>> {
        loop {
            self.catch_up(log)?;
            if let Some(view) = self.matching_view()? {
                return Ok(view);
            }
        }
    }

    /// Layers and a snapshot of LMDB that belong together. `None`: a fold ended in between.
    fn matching_view(&self) -> Result<Option<Snapshot<'_>>> {
        let published = self.published().clone();
        let txn = self.env.read_txn().map_err(Error::lmdb("beginning to read"))?;
        Ok(published.fits(txn.id()).then(|| Snapshot::new(txn, published.layers())))
    }

    /// Takes in what other processes committed. True when there was anything.
    pub(crate) fn catch_up(&self, log: &mut Log) -> Result<bool> {
        let counted = self.watch.count();
        if self.access == Access::Server {
            if counted == self.published().counted {
                return Ok(false);
            }
            let (at, next) = log.end();
            let mut follower = Follower::new(log.segments.clone(), at, next);
            let mut writes = Vec::new();
            follower.read_all(|commit| {
                writes.push(commit.writes);
                Ok(())
            })?;
            log.moved_to(follower.end(), follower.next_number())?;
            let mut published = self.published();
            writes.into_iter().for_each(|writes| published.fresh.add(writes));
            published.end = log.end();
            published.counted = counted;
            return Ok(true);
        }
        // A tool: the server may have folded since.
        let txn = self.env.read_txn().map_err(Error::lmdb("beginning to read"))?;
        let mut state = self.published().clone();
        if state.base != txn.id() {
            let (at, next) = folded(&self.tables, &txn)?;
            state = Published { base: txn.id(), end: (at, next), ..Published::default() };
        }
        let mut follower = Follower::new(log.segments.clone(), state.end.0, state.end.1);
        let mut found = false;
        follower.read_all(|commit| {
            found = true;
            state.fresh.add(commit.writes);
            Ok(())
        })?;
        state.end = (follower.end(), follower.next_number());
        log.moved_to(state.end.0, state.end.1)?;
        *self.published() = state;
        Ok(found)
    }

    /// Shows to readers what was committed.
    pub(crate) fn publish(&self, writes: Writes, log: &Log) {
        let mut published = self.published();
        published.fresh.add(writes);
        published.end = log.end();
        published.counted = self.watch.count();
    }

    /// Brings the rows that were frozen into LMDB, in one commit.
    pub(crate) fn fold(&self, rows: &Layer, end: (Position, u64)) -> Result<usize> {
        let doing = "folding the journal into the tables";
        let mut txn = self.env.write_txn().map_err(Error::lmdb(doing))?;
        let mut table: Option<(u16, Base, Option<Vec<u8>>)> = None;
        for (key, row) in rows.iter() {
            let (number, key) = key.split_at(super::layers::NUMBER_OCTETS);
            let number = u16::from_be_bytes([number[0], number[1]]);
            if table.as_ref().is_none_or(|(known, ..)| *known != number) {
                // Rows of a table that this release does not have are of no use to it.
                let Some(&(_, base)) = self.bases.iter().find(|(known, _)| *known == number) else { continue };
                let last = base.last(&txn).map_err(Error::lmdb(doing))?.map(|(key, _)| key.to_vec());
                table = Some((number, base, last));
            }
            let Some((_, base, last)) = &table else { continue };
            match row {
                // Behind the last row pages are filled to the end instead of being split in the middle.
                Some(row) if last.as_ref().is_none_or(|last| key > &last[..]) => base.put_with_flags(&mut txn, heed::PutFlags::APPEND, key, row),
                Some(row) => base.put(&mut txn, key, row),
                None => base.delete(&mut txn, key).map(drop),
            }
            .map_err(Error::lmdb(doing))?;
        }
        let mark: Vec<u8> = [end.1, end.0.segment, end.0.offset].iter().flat_map(|word| word.to_be_bytes()).collect();
        meta(&self.tables).put(&mut txn, FOLDED, &mark).map_err(Error::lmdb(doing))?;
        let id = txn.id();
        txn.commit().map_err(Error::lmdb(doing))?;
        Ok(id)
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
        let (shared, _anchor) = open(dir.path(), Access::Server, &Options::default()).unwrap();
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
        // With a checkpoint what the heads claim is put right.
        fs::remove_file(dir.path().join("store/checkpoint")).unwrap();
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
