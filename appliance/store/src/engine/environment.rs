//! Opening the environment: checks before anything is touched, and all tuning in one place.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions, FlagSetMode, WithoutTls};

use crate::content::pool::Pool;
use crate::error::{Error, Result};
use crate::tables::Tables;

use super::bell::Bell;
use super::checkpoint::{self, Anchor, Checkpoint};
use super::files::{Meta, PAGE, check_file, check_kept, lock, lock_open, private_folder};
use super::idle::Idle;
use super::journal::SEGMENT_OCTETS;
use super::journal::log::{Log, Watch};
use super::journal::read::Follower;
use super::journal::record::Position;
use super::journal::segments::Segments;
use super::medium::{self, Medium};
use super::migration;
use super::notices::Listeners;
use super::options::{Access, Options, Recovered};
use super::room::{Disk, Reserve};
use super::shared::{Published, Shared, folded};
use super::table::declared::Declared;

/// LMDB can address at most this much on 32-bit machines beside everything else.
const MAP_LIMIT: u64 = if cfg!(target_pointer_width = "32") { 1 << 30 } else { 1 << 40 };
/// How many named databases the environment must have room for (some to spare).
const MAX_TABLES: u32 = 64;
/// LMDB needs some pages to work at all.
const MAP_MINIMUM: u64 = 1 << 20;
/// One slot per thread that ever reads, over all processes.
const READERS: u32 = 256;

/// Opens or creates the store below `dir`.
/// A server gets the checkpoint to keep.
pub(crate) fn open(
    dir: &Path,
    access: Access,
    options: &Options,
) -> Result<(Shared, Option<Anchor>)> {
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
    let (checkpoint, kept) = open_checkpoint(&lmdb, is_alone && !is_read_only)?;
    check_file(&data)?;
    let map_octets = map_octets(&lmdb, options);
    let env = open_env(&lmdb, map_octets, is_read_only)?;
    let may_change = !is_read_only && (is_alone || access == Access::Server);
    let tables = if may_change { current_tables(&env)? } else { checked_tables(&env)? };
    let mut bases = Vec::new();
    tables.bases(&mut bases);
    let file = OpenOptions::new().read(true).write(!is_read_only).open(&data);
    let file = file.map_err(Error::io("opening", &data))?;
    let anchor = match may_change {
        true => Some(anchor(&env, &tables, &data, checkpoint, kept.as_deref())?),
        false => None,
    };
    let segments = Segments::new(journal, segment_octets(options));
    let (published, log, recovered) =
        read_journal(&env, &tables, segments, is_alone, is_alone && !is_read_only)?;
    // Ready for others.
    opening.lock_shared().map_err(Error::io("locking", dir))?;
    let shared = Shared {
        idle: Idle::new(env.clone(), published.base),
        tables,
        bases,
        access,
        published: Mutex::new(published),
        watch: Watch::open(log.segments.folder())?,
        segments: log.segments.clone(),
        open_segments: Mutex::default(),
        held: Mutex::default(),
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
        large: Pool::new(options.large_octets),
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

/// Opens LMDB's files.
fn open_env(lmdb: &Path, map_octets: u64, is_read_only: bool) -> Result<Env<WithoutTls>> {
    let mut flags = EnvFlags::NO_READ_AHEAD;
    flags.set(EnvFlags::READ_ONLY, is_read_only);
    let mut opener = EnvOpenOptions::new().read_txn_without_tls();
    opener.map_size(map_octets as usize).max_dbs(MAX_TABLES).max_readers(READERS);
    // SAFETY: the file is ours alone (private directory, LMDB's own lock file) and is not on a network file system; its
    // head was checked by the caller.
    // `NO_READ_AHEAD`: with mail, neighbours are rarely wanted, and on a small board read-ahead pushes out pages that
    // are.
    // `READERS`: see there.
    let env = unsafe { opener.flags(flags).open(lmdb) };
    env.map_err(Error::lmdb("opening the store"))
}

/// The tables as this release has them: missing ones are created, and those of older releases are migrated.
fn current_tables(env: &Env<WithoutTls>) -> Result<Tables<'static>> {
    env.clear_stale_readers().map_err(Error::lmdb("clearing readers of ended processes"))?;
    let tables = create_tables(env)?;
    migration::run(env, &tables)?;
    Ok(tables)
}

/// The tables of a store that is not changed, if this release can read them.
fn checked_tables(env: &Env<WithoutTls>) -> Result<Tables<'static>> {
    let tables = open_tables(env)?;
    migration::check(env, &tables)?;
    Ok(tables)
}

/// Opens the checkpoint, and gives the meta page that it kept.
/// Where no other process has the store open it is put back: whatever LMDB wrote since goes, and comes again from the
/// journal.
fn open_checkpoint(lmdb: &Path, may_restore: bool) -> Result<(Checkpoint, Option<Vec<u8>>)> {
    let (checkpoint, kept) = Checkpoint::open(lmdb)?;
    if let Some(page) = kept.as_deref().filter(|_| may_restore) {
        let data = lmdb.join("data.mdb");
        check_kept(&data, page)?;
        checkpoint::restore(&data, page)?;
    }
    Ok((checkpoint, kept))
}

/// Segments fit the configured size of small stores.
fn segment_octets(options: &Options) -> u64 {
    options.max_octets.map_or(SEGMENT_OCTETS, |octets| (octets / 8).clamp(1 << 20, SEGMENT_OCTETS))
}

/// Makes what LMDB has now the checkpoint, unless it is that already; from then on LMDB commits without flushes.
fn anchor(
    env: &Env<WithoutTls>,
    tables: &Tables<'static>,
    data: &Path,
    mut checkpoint: Checkpoint,
    kept: Option<&[u8]>,
) -> Result<Anchor> {
    let pin = env.clone().static_read_txn().map_err(Error::lmdb("holding the checkpoint"))?;
    let is_kept = kept.and_then(Meta::read).is_some_and(|meta| meta.txn == pin.id() as u64);
    if !is_kept {
        env.force_sync().map_err(Error::lmdb("flushing the store"))?;
        checkpoint.keep(&checkpoint::meta_page(data, pin.id())?)?;
    }
    let folded = folded(tables, &pin)?;
    // SAFETY: what LMDB commits without a flush is in the journal, and the pinned checkpoint stays whole: see
    // `checkpoint`.
    unsafe { env.set_flags(EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC, FlagSetMode::Enable) }
        .map_err(Error::lmdb("setting up the store"))?;
    Ok(Anchor { checkpoint, pin, folded })
}

/// Reads what LMDB does not have yet.
/// The first to open it also looks for damage.
fn read_journal(
    env: &Env<WithoutTls>,
    tables: &Tables<'static>,
    segments: Segments,
    is_alone: bool,
    may_clean: bool,
) -> Result<(Published, Log, Recovered)> {
    let mut recovered = Recovered::default();
    loop {
        let txn = env.read_txn().map_err(Error::lmdb("beginning to read"))?;
        let (at, next) = folded(tables, &txn)?;
        let mut follower = Follower::new(segments.clone(), at, next);
        // Before the journal is read: what is counted later is read later.
        let counted = Watch::open(segments.folder())?.count();
        let mut published = Published { base: txn.id(), counted, ..Published::default() };
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
            recovered.damaged.push(format!(
                "commits {first} to {last} in segment {} of the journal at octet {}",
                place.segment, place.offset
            ));
        }
        published.end = (follower.end(), follower.next_number());
        if may_clean {
            segments.retire_behind(published.end.0.segment)?;
        }
        let log = Log::open(segments.clone(), published.end.0, published.end.1)?;
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
    let tables = env.open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
        Ok(CommitOrAbort::<_, ()>::Commit(Tables::open(opener, txn, "")?))
    });
    tables.map_err(Error::lmdb(doing))?.commit().ok_or(Error::Closed)
}

/// Opens the tables, creating those that are missing.
fn create_tables(env: &Env<WithoutTls>) -> Result<Tables<'static>> {
    let doing = "opening the tables";
    let txn = env.write_txn().map_err(Error::lmdb(doing))?;
    let tables = env.create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
        Ok(CommitOrAbort::<_, ()>::Commit(Tables::create(opener, txn, "")?))
    });
    tables.map_err(Error::lmdb(doing))?.commit().ok_or(Error::Closed)
}

const DOING_COPY: &str = "copying the store";

/// Copies the tables of a store into another folder, as they are at one moment, without migrating anything; also while
/// the server runs.
/// Contents of messages are copied only as far as they are in a part of the journal that belongs along.
/// False: there is no store.
pub(crate) fn copy(dir: &Path, to: &Path) -> Result<bool> {
    let (from, to) = (dir.join("store"), to.join("store"));
    if !from.join("data.mdb").exists() {
        return Ok(false);
    }
    check_file(&from.join("data.mdb"))?;
    private_folder(&to)?;
    let (opening, is_alone) = lock_open(dir)?;
    open_checkpoint(&from, is_alone && !medium::is_read_only(dir))?;
    // SAFETY: as in `open`; nothing is written.
    let env = unsafe {
        EnvOpenOptions::new()
            .read_txn_without_tls()
            .max_dbs(MAX_TABLES)
            .max_readers(READERS)
            .flags(EnvFlags::READ_ONLY)
            .open(&from)
    };
    let env = env.map_err(Error::lmdb(DOING_COPY))?;
    // The journal first: what is folded and let go meanwhile is in the tables then.
    // A store of an older release has no such tables, and no journal.
    let from = match open_tables(&env) {
        Ok(tables) => folded(&tables, &env.read_txn().map_err(Error::lmdb(DOING_COPY))?)?.0,
        Err(_) => Position::default(),
    };
    let journal = Segments::new(dir.join("journal"), SEGMENT_OCTETS);
    if journal.folder().exists() {
        let copied = to.with_file_name("journal");
        private_folder(&copied)?;
        for segment in journal.list()?.0.into_iter().filter(|&segment| segment >= from.segment) {
            let (file, target) = (journal.path(segment), copied.join(format!("{segment:016x}")));
            fs::copy(&file, &target).map_err(Error::io("copying", &target))?;
        }
    }
    env.copy_to_path(to.join("data.mdb"), heed::CompactionOption::Enabled)
        .map_err(Error::lmdb(DOING_COPY))?;
    drop(opening);
    Ok(true)
}

fn map_octets(dir: &Path, options: &Options) -> u64 {
    let disk = Disk::of(dir).map_or(MAP_LIMIT, |disk| disk.all);
    let wanted = options.max_octets.unwrap_or(disk).clamp(MAP_MINIMUM, MAP_LIMIT);
    wanted.next_multiple_of(PAGE)
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
    fn a_second_server_is_refused() {
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
        for damaged in
            [b"not a store".to_vec(), vec![7; 20_000], whole[..5000].to_vec(), claims_more]
        {
            fs::write(&path, &damaged).unwrap();
            assert!(matches!(
                open(dir.path(), Access::Server, &Options::default()),
                Err(Error::NotAStore { .. })
            ));
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }
}
