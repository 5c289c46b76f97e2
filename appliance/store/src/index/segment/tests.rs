//! What is written is read, merges are unions less what was removed, and any octets as a file do no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::batch::Batch;
use super::merge::merge;
use super::read::Segment;
use super::write::{Stop, Writer, Written};
use super::{BLOCK, MESSAGES, SegmentId, path};
use crate::error::Error;
use crate::ids::{AccountId, MessageId};
use crate::index::Field;

const ANN: AccountId = AccountId(7);

/// Terms with the messages that have them.
type Model = BTreeMap<Vec<u8>, BTreeSet<u32>>;

fn open(folder: &Path, written: &Written) -> Segment {
    let segment = Segment::open(folder, written.id).unwrap().unwrap();
    assert_eq!((segment.octets(), segment.head), (written.octets, written.head));
    segment
}

fn model(segment: &Segment) -> Model {
    let messages = segment.messages().unwrap();
    let mut found = Model::new();
    let mut entries = segment.entries();
    while entries.advance().unwrap() {
        let mut have = BTreeSet::new();
        entries.places(&mut |place| have.extend([messages[place as usize]])).unwrap();
        found.insert(entries.key().to_vec(), have);
    }
    segment.verify(&mut || true).unwrap();
    found
}

/// Writes a file of messages with words, and what should be in it.
fn write(folder: &Path, messages: &BTreeMap<u32, Vec<String>>) -> (Written, Model) {
    let (mut batch, mut model) = (Batch::default(), Model::new());
    // In any order.
    for (number, words) in messages.iter().rev() {
        assert!(batch.add(
            MessageId(u64::from(*number)),
            words.iter().map(|word| (Field::Body, word.as_str()))
        ));
        for word in words {
            model.entry(super::key(word, Field::Body as u8)).or_default().insert(*number);
        }
    }
    (batch.write(folder, ANN, &mut |_| true).unwrap(), model)
}

fn mail() -> impl Strategy<Value = BTreeMap<u32, Vec<String>>> {
    // Words that are as long as a good part of a block bring its limits into reach.
    let word = prop_oneof!["[ab]{1,4}", "[a-c]{30,60}", "[äöß]{1,40}"];
    proptest::collection::btree_map(0u32..500, proptest::collection::vec(word, 0..40), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(mail in mail()) {
        let dir = tempfile::tempdir().unwrap();
        let (written, expected) = write(dir.path(), &mail);
        let segment = open(dir.path(), &written);
        prop_assert_eq!(segment.messages().unwrap(), mail.keys().copied().collect::<Vec<_>>());
        prop_assert_eq!(&model(&segment), &expected);
        for key in expected.keys() {
            for length in [key.len(), key.len() / 2, 1] {
                let mut found = Vec::new();
                segment.visit(&key[..length], &mut |entries| { found.push(entries.key().to_vec()); Ok(std::ops::ControlFlow::Continue(())) }).unwrap();
                let wanted: Vec<_> = expected.keys().filter(|known| known.starts_with(&key[..length])).cloned().collect();
                prop_assert_eq!(found, wanted);
            }
        }
    }

    #[test]
    fn a_merge_is_the_union_of_what_is_left(parts in proptest::collection::vec(mail(), 1..5), gone in proptest::collection::btree_set(0u32..500, 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        let written: Vec<_> = parts.iter().map(|part| write(dir.path(), part)).collect();
        let segments: Vec<Segment> = written.iter().map(|(written, _)| open(dir.path(), written)).collect();
        let mut lives = |list: &[u32]| Ok(list.iter().copied().filter(|n| !gone.contains(n)).collect::<RoaringBitmap>());
        let merged = merge(dir.path(), ANN, 1, &segments, &mut lives, &mut |_| true).unwrap();
        let mut expected = Model::new();
        for (key, numbers) in written.iter().flat_map(|(_, model)| model) {
            expected.entry(key.clone()).or_default().extend(numbers.iter().filter(|n| !gone.contains(n)));
        }
        expected.retain(|_, numbers| !numbers.is_empty());
        let living: BTreeSet<u32> = parts.iter().flat_map(|part| part.keys().copied()).filter(|n| !gone.contains(n)).collect();
        match merged {
            None => prop_assert!(living.is_empty()),
            Some(merged) => {
                let segment = open(dir.path(), &merged);
                prop_assert_eq!(segment.messages().unwrap(), living.into_iter().collect::<Vec<_>>());
                prop_assert_eq!(model(&segment), expected);
            }
        }
    }

    #[test]
    fn damage_anywhere_is_found_and_does_no_harm(mail in mail(), at in any::<prop::sample::Index>(), octet in 1u8..) {
        let dir = tempfile::tempdir().unwrap();
        let (written, expected) = write(dir.path(), &mail);
        let file = path(dir.path(), written.id);
        let mut octets = std::fs::read(&file).unwrap();
        let at = at.index(octets.len());
        octets[at] ^= octet;
        std::fs::write(&file, &octets).unwrap();
        let read = Segment::open(dir.path(), written.id).and_then(|segment| segment.unwrap().verify(&mut || true));
        prop_assert!(matches!(read, Err(Error::Damaged { .. })), "octet {at} of {}: {read:?} {}", octets.len(), expected.len());
        std::fs::write(&file, &octets[..at]).unwrap();
        let read = Segment::open(dir.path(), written.id).and_then(|segment| segment.unwrap().verify(&mut || true));
        prop_assert!(matches!(read, Err(Error::Damaged { .. })), "cut off");
    }

    #[test]
    fn any_octets_as_a_file_do_no_harm(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        super::check::check_segment(&octets);
    }
}

#[test]
fn a_whole_file_with_any_places_and_terms_in_it_does_no_harm() {
    // A head of three messages, the messages, a block of two terms, and a directory that names it at its offset.
    let head = [&[1, 17, 0][..], &[0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 9]].concat();
    for terms in [
        [3, 0, 2, b'a', 4, 1, 9].as_slice(),
        &[3, 0, 2, b'a', 4, 2, 200],
        &[3, 0, 2, b'a', 4, 255],
        &[3, 7, 2, b'a', 4, 1, 0],
    ] {
        let block = [&[terms[0], terms.len() as u8 - 1][..], &terms[1..]].concat();
        super::check::check_segment(
            &[&head[..], &[2, 3, 1, 3, 5], &block, &[4, 4, 0, 1, b'a', 60]].concat(),
        );
    }
}

#[test]
fn a_full_file_has_two_levels_and_the_largest_postings_fit() {
    let dir = tempfile::tempdir().unwrap();
    let messages: Vec<u32> = (0..MESSAGES as u32).map(|n| n * 3 + 1).collect();
    let places: Vec<u32> = (0..MESSAGES as u32).collect();
    let mut slices = Vec::new();
    let mut breathe = |octets| {
        slices.push(octets);
        true
    };
    let mut writer = Writer::create(dir.path(), 3, ANN, &messages, &mut breathe).unwrap();
    for n in 0..60_000u32 {
        let key = format!("word{n:06}{}\u{4}", "x".repeat(n as usize % 30));
        let step = if n % 500 == 0 { 1 + n as usize % 7 } else { 9000 };
        writer
            .push(key.as_bytes(), &places.iter().copied().step_by(step).collect::<Vec<_>>())
            .unwrap();
    }
    let written = writer.finish().unwrap();
    assert_eq!(slices.iter().sum::<usize>() as u64, written.octets);
    assert!(
        slices.iter().all(|octets| *octets < super::write::SLICE + super::FRAME),
        "no slice keeps others waiting"
    );
    let segment = open(dir.path(), &written);
    assert_eq!(segment.messages().unwrap(), messages);
    let mut found = 0;
    let blocks = segment
        .visit(b"word0305", &mut |_| {
            found += 1;
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    assert!(
        found == 100 && blocks < 4 + (100 * (50 + BLOCK / 40) / BLOCK) as u64 * 2,
        "{found} in {blocks} blocks"
    );
    segment.verify(&mut || true).unwrap();
}

#[test]
fn what_is_given_up_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut batch = Batch::default();
    assert!(
        batch.add(
            MessageId(5),
            [(Field::Subject, "a"), (Field::Subject, "a"), (Field::Subject, "")]
        )
    );
    assert!(
        !batch.add(MessageId(5), [])
            && batch.add(MessageId(4), [])
            && !batch.add(MessageId(1 << 40), [])
    );
    assert!(matches!(batch.write(dir.path(), ANN, &mut |_| false), Err(Stop::GivenUp)));
    drop(batch.write(dir.path(), ANN, &mut |_| true).unwrap());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let mut kept = batch.write(dir.path(), ANN, &mut |_| true).unwrap();
    kept.is_named = true;
    kept.keep();
    let id = kept.id;
    drop(kept);
    assert!(Segment::open(dir.path(), id).unwrap().is_some());
    assert!(Segment::open(dir.path(), SegmentId(1)).unwrap().is_none());
}
