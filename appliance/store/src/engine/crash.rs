//! What a power cut leaves, tried: files as they may be then, made of those that were flushed and those that were not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::checkpoint::Anchor;
use super::environment::open;
use super::files::PAGE;
use super::journal::log::hash;
use super::journal::read::Follower;
use super::journal::record::{Position, RECORD_HEAD, SEGMENT_HEAD};
use super::options::{Access, Options};
use super::shared::Shared;
use super::work::Work;
use crate::error::{Error, Result};
use crate::ids::MessageId;
use crate::settings::Setting;

/// Settings by their keys: what is in the store.
type Model = BTreeMap<String, String>;

/// In memory where the system has a place for that: hundreds of images are flushed.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn random() -> TestRng {
    TestRng::deterministic_rng(RngAlgorithm::ChaCha)
}

fn open_server(dir: &Path) -> (Shared, Anchor) {
    let options = Options { max_octets: Some(64 << 20), reserve_octets: 0, ..Options::default() };
    let (shared, anchor) = open(dir, Access::Server, &options).unwrap();
    (shared, anchor.unwrap())
}

/// One commit that writes, changes and removes a few rows, and has some content.
fn change(shared: &Shared, model: &mut Model, random: &mut TestRng) -> Result<()> {
    let mut changed = model.clone();
    let content = vec![random.next_u32() as u8; random.next_u32() as usize % 5000];
    shared.transact(|work| {
        for _ in 0..3 {
            let key = format!("key-{}", random.next_u32() % 500);
            let settings = work.tables.settings.settings;
            match random.next_u32() % 4 {
                0 => {
                    changed.remove(&key);
                    settings.delete(work.txn, &key).map(drop).map_err(Error::lmdb("test"))?;
                }
                _ => {
                    let value = "v".repeat(random.next_u32() as usize % 300);
                    settings
                        .put(work.txn, &key, &Setting(value.clone()))
                        .map_err(Error::lmdb("test"))?;
                    changed.insert(key, value);
                }
            }
        }
        // As a small message and as a large one comes.
        let piece = |into: &mut [u8], at: u64| {
            into.copy_from_slice(&content[at as usize..][..into.len()]);
            Ok(())
        };
        match content.len().is_multiple_of(3) {
            true => work.log.content_of(MessageId(7), content.len() as u64, piece).map(drop),
            false => put(work, 7, &content),
        }
    })?;
    *model = changed;
    Ok(())
}

/// Writes content to which nothing refers.
fn put(work: &mut Work, message: u64, content: &[u8]) -> Result<()> {
    work.log.content(MessageId(message), content, &hash(content)).map(drop)
}

fn rows(shared: &Shared) -> Model {
    let view = shared.view().unwrap();
    let rows = shared.tables.settings.settings.iter(&view).unwrap();
    rows.map(|row| row.map(|(key, value)| (key.to_string(), value.0)).unwrap()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        match item.file_type().unwrap().is_dir() {
            true => copy(&item.path(), &target),
            false => fs::copy(item.path(), target).map(drop).unwrap(),
        }
    }
}

/// The data file after a power cut: of each page what was there at the checkpoint, or at the cut.
fn mixed(at_checkpoint: &[u8], at_cut: &[u8], random: &mut TestRng) -> Vec<u8> {
    let mut image = at_cut.to_vec();
    let page = PAGE as usize;
    let share = random.next_u32() % 5;
    for at in (0..image.len()).step_by(page) {
        if random.next_u32() % 4 >= share {
            let old = at_checkpoint.get(at..at + page).map_or(vec![0; page], <[u8]>::to_vec);
            image[at..at + page].copy_from_slice(&old);
        }
    }
    image
}

#[test]
fn after_a_power_cut_everything_that_was_committed_is_there_whichever_pages_of_the_tables_are() {
    let mut random = random();
    let (dir, images) = (folder(), folder());
    let mut model = Model::new();
    {
        // A checkpoint with something in it.
        let (shared, anchor) = open_server(dir.path());
        (0..200).for_each(|_| change(&shared, &mut model, &mut random).unwrap());
        shared.fold().unwrap();
        drop((shared, anchor));
    }
    let (shared, _anchor) = open_server(dir.path());
    assert_eq!(rows(&shared), model);
    let data = dir.path().join("store/data.mdb");
    let at_checkpoint = fs::read(&data).unwrap();
    let mut lost_without = 0;
    for round in 0..6 {
        for _ in 0..40 {
            change(&shared, &mut model, &mut random).unwrap();
        }
        // Folded and not flushed; the last round has commits that are not folded, too.
        if round < 5 {
            shared.fold().unwrap();
        }
        let at_cut = fs::read(&data).unwrap();
        for number in 0..36 {
            let image = images.path().join(format!("{round}-{number}"));
            copy(dir.path(), &image);
            fs::write(image.join("store/data.mdb"), mixed(&at_checkpoint, &at_cut, &mut random))
                .unwrap();
            fs::remove_file(image.join("store/lock.mdb")).unwrap();
            if number % 9 == 8 {
                // The same without the kept meta page has to fail now and then, or this test shows nothing.
                fs::remove_file(image.join("store/checkpoint")).unwrap();
                lost_without += usize::from(is_lost(&image, &model));
                continue;
            }
            let (recovered, anchor) = open_server(&image);
            assert_eq!(rows(&recovered), model, "round {round}, image {number}");
            assert_eq!(recovered.recovered.damaged, [""; 0]);
            // It works on, and a second start finds the same.
            change(&recovered, &mut model.clone(), &mut random).unwrap();
            drop((recovered, anchor));
            fs::remove_dir_all(&image).unwrap();
        }
    }
    assert!(lost_without > 0);
}

/// Whether an image that lacks something can be opened and has everything all the same.
/// In a process of its own: LMDB may end it.
fn is_lost(image: &Path, model: &Model) -> bool {
    let expected = image.join("expected");
    fs::write(
        &expected,
        model.iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>(),
    )
    .unwrap();
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine::crash::an_image_is_opened_apart"])
        .env("PILLARBOX_TEST_IMAGE", image)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    !status.unwrap().success()
}

/// Runs as the other process of the test above; alone it has nothing to do.
#[test]
fn an_image_is_opened_apart() {
    let Some(image) = std::env::var_os("PILLARBOX_TEST_IMAGE") else { return };
    let image = Path::new(&image);
    let (shared, _anchor) = open_server(image);
    let found: String =
        rows(&shared).iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    assert_eq!(found, fs::read_to_string(image.join("expected")).unwrap());
}

/// A store with a number of commits that are only in the journal; the models after each, and where each ended.
fn commits(dir: &Path, count: usize) -> Vec<(Model, Position)> {
    let mut random = random();
    let (shared, _anchor) = open_server(dir);
    let mut model = Model::new();
    let mut all = vec![(model.clone(), Position::default())];
    for _ in 0..count {
        change(&shared, &mut model, &mut random).unwrap();
        let (end, _) = shared.log().end();
        all.push((model.clone(), end));
    }
    all
}

#[test]
fn a_torn_last_commit_is_none_wherever_it_is_torn() {
    let dir = folder();
    let all = commits(dir.path(), 5);
    let segment = dir.path().join("journal/0000000000000001");
    let whole = fs::read(&segment).unwrap();
    let (from, to) = (all[4].1.offset as usize, all[5].1.offset as usize);
    let mut random = random();
    for cut in (from..to).step_by(61).chain(to - 3..=to) {
        let mut torn = whole.clone();
        // What was there before the write: zeros, or anything.
        let fill = if random.next_u32().is_multiple_of(2) { 0 } else { random.next_u32() as u8 };
        torn[cut..to].fill(fill);
        fs::write(&segment, &torn).unwrap();
        let (shared, _anchor) = open_server(dir.path());
        let found = rows(&shared);
        // Behind the record there are up to 15 octets that are never read.
        let is_whole = torn == whole || cut + 16 > to && found == all[5].0;
        assert!(found == all[if is_whole { 5 } else { 4 }].0, "cut at {cut}");
        assert_eq!(shared.recovered.damaged, [""; 0]);
        // The next commit goes where the torn one was.
        let mut model = found;
        change(&shared, &mut model, &mut random).unwrap();
        drop((shared, _anchor));
        let (again, _anchor) = open_server(dir.path());
        assert_eq!(rows(&again), model);
    }
}

#[test]
fn a_damaged_commit_in_the_middle_has_a_name_and_those_behind_it_are_there() {
    let dir = folder();
    let all = commits(dir.path(), 12);
    let segment = dir.path().join("journal/0000000000000001");
    let mut octets = fs::read(&segment).unwrap();
    octets[all[3].1.offset as usize + 20] ^= 1;
    fs::write(&segment, &octets).unwrap();
    let (shared, _anchor) = open_server(dir.path());
    assert_eq!(shared.recovered.damaged.len(), 1);
    assert!(
        shared.recovered.damaged[0].starts_with("commits 4 to 4 in segment 1 of the journal"),
        "{:?}",
        shared.recovered.damaged
    );
    // All that the later commits wrote, and nothing but what was written.
    let found = rows(&shared);
    let last = &all[12].0;
    assert!(
        found.iter().all(|(key, value)| all.iter().any(|(model, _)| model.get(key) == Some(value)))
    );
    assert!(
        last.iter().filter(|(key, value)| found.get(*key) == Some(*value)).count() + 3
            >= last.len()
    );
    assert_eq!(shared.recovered.commits, 11);
}

#[test]
fn a_damaged_last_commit_of_a_segment_is_no_end_when_the_next_segment_has_begun() {
    let dir = folder();
    let (shared, anchor) = open_server(dir.path());
    let put = |number: u32, octets: usize| {
        let work = |work: &mut super::work::Work| {
            put(work, 1, &vec![1; octets])?;
            work.tables
                .settings
                .settings
                .put(work.txn, "x", &Setting(number.to_string()))
                .map_err(Error::lmdb("test"))
        };
        shared.transact(work).unwrap();
        shared.log().end().0
    };
    let mut ends = vec![put(0, 10)];
    while ends[ends.len() - 1].segment == 1 {
        ends.push(put(ends.len() as u32, 400_000));
    }
    drop((shared, anchor));
    let last = ends[ends.len() - 3];
    let segment = dir.path().join("journal/0000000000000001");
    let mut octets = fs::read(&segment).unwrap();
    octets[last.offset as usize + 100] ^= 1;
    fs::write(&segment, &octets).unwrap();
    // Of the next segment nothing but its head.
    let next = dir.path().join("journal/0000000000000002");
    let head = fs::read(&next).unwrap()[..SEGMENT_HEAD as usize].to_vec();
    fs::write(&next, head).unwrap();
    let (shared, _anchor) = open_server(dir.path());
    assert_eq!(shared.recovered.damaged.len(), 1, "{:?}", shared.recovered);
    assert_eq!(shared.log().end().0.segment, 2);
}

#[test]
fn commits_are_read_in_order_from_any_of_them_also_over_segments() {
    let dir = folder();
    let (shared, _anchor) = open_server(dir.path());
    let big = vec![1; 200_000];
    let mut ends = vec![shared.log().end()];
    for number in 0..100u32 {
        shared
            .transact(|work| {
                put(work, 1, &big)?;
                work.tables
                    .settings
                    .settings
                    .put(work.txn, "x", &Setting(number.to_string()))
                    .map_err(Error::lmdb("test"))
            })
            .unwrap();
        ends.push(shared.log().end());
    }
    assert!(ends.last().unwrap().0.segment > 2);
    for (place, &(at, next)) in ends.iter().enumerate() {
        let mut follower = Follower::new(shared.segments.clone(), at, next);
        let mut numbers = Vec::new();
        follower
            .read_all(|commit| {
                numbers.push(commit.number);
                Ok(())
            })
            .unwrap();
        assert_eq!(numbers, (place as u64 + 1..=100).collect::<Vec<_>>());
        assert_eq!((follower.end(), follower.next_number()), *ends.last().unwrap());
    }
    assert!(RECORD_HEAD as u64 <= SEGMENT_HEAD);
}

#[test]
fn a_commit_that_is_given_up_leaves_nothing_also_where_a_segment_began_for_it() {
    let dir = folder();
    let (shared, anchor) = open_server(dir.path());
    let mut model = Model::new();
    let mut random = random();
    for round in 0..60 {
        change(&shared, &mut model, &mut random).unwrap();
        let given_up = shared.transact(|work| {
            (0..3).try_for_each(|_| put(work, 9, &vec![2; 200_000]))?;
            work.tables
                .settings
                .settings
                .put(work.txn, "given-up", &Setting("yes".into()))
                .map_err(Error::lmdb("test"))?;
            Err(Error::Busy)
        });
        assert!(given_up.is_err());
        if round == 19 || round == 39 {
            // A second one goes over the segment's end.
            shared
                .transact(|work| {
                    (0..40)
                        .try_for_each(|_| put(work, 9, &vec![2; 200_000]))
                        .and(Err::<(), _>(Error::Busy))
                })
                .unwrap_err();
        }
        assert_eq!(rows(&shared), model);
    }
    drop((shared, anchor));
    let (again, _anchor) = open_server(dir.path());
    assert_eq!((rows(&again), again.recovered.damaged.len()), (model, 0));
}

#[test]
fn a_smaller_limit_reads_what_a_larger_one_wrote() {
    let dir = folder();
    let (shared, anchor) = open_server(dir.path());
    let mut model = Model::new();
    let mut random = random();
    while shared.log().end().0.offset < 3 << 20 {
        change(&shared, &mut model, &mut random).unwrap();
    }
    drop((shared, anchor));
    // Not closed in order: all of it is in the journal alone.
    let options = Options { max_octets: Some(4 << 20), reserve_octets: 0, ..Options::default() };
    let (shared, anchor) = open(dir.path(), Access::Server, &options).unwrap();
    assert!(shared.segment_octets() < 2 << 20);
    assert_eq!(rows(&shared), model);
    change(&shared, &mut model, &mut random).unwrap();
    drop((shared, anchor));
    let (shared, _anchor) = open_server(dir.path());
    assert_eq!(rows(&shared), model);
}

#[test]
fn a_spare_segment_is_taken_where_the_one_in_use_would_grow() {
    let dir = folder();
    let (shared, anchor) = open_server(dir.path());
    let mut model = Model::new();
    let mut random = random();
    let mut change_until = |shared: &Shared, model: &mut Model, segment, most| {
        for _ in 0..most {
            change(shared, model, &mut random).unwrap();
            if shared.log().end().0.segment == segment {
                return true;
            }
        }
        false
    };
    assert!(!change_until(&shared, &mut model, 2, 200), "there is none");
    let spare = |number: u64, octets: u64| {
        let path = dir.path().join(format!("journal/spare-{number:016x}"));
        fs::File::create(path).unwrap().set_len(octets).unwrap();
    };
    spare(0, shared.segment_octets() / 4);
    assert!(!change_until(&shared, &mut model, 2, 200), "that is too short to be worth it");
    spare(0, shared.segment_octets());
    assert!(change_until(&shared, &mut model, 2, 500));
    assert!(shared.segments.file_octets(1) < shared.segment_octets() / 2);
    spare(1, shared.segment_octets());
    assert!(!change_until(&shared, &mut model, 3, 200), "the blocks of this one are there");
    assert_eq!(rows(&shared), model);
    drop((shared, anchor));
    // Not closed in order: all of it is in the journal alone.
    let (shared, _anchor) = open_server(dir.path());
    assert_eq!((rows(&shared), shared.recovered.damaged.len()), (model, 0));
}
