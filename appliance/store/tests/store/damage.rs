//! Content that is damaged or gone, or belongs to no message.

use pillarbox_vocabulary::Timestamp;
use std::path::Path;

use pillarbox_store::*;

use super::{IN_JOURNAL, NOW, collect, deliver, id, open, read, with_people};

#[test]
fn a_file_behind_a_prefix_that_changed_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let mut spool = store.spool();
    spool.append(&vec![b'x'; IN_JOURNAL + 1]).unwrap();
    spool.put_in_front(b"Received: here\r\n".to_vec()).unwrap();
    let placement =
        Placement { account: id(&store, "ann"), folder: FolderId::INBOX, flags: Flags::default() };
    let delivery = Delivery::local(
        spool.finish().unwrap(),
        0,
        vec![placement],
        LedgerRecord::new(Timestamp(NOW), Fate::Delivered, ShortCode(77)),
    );
    let message = store.deliver(delivery).wait().unwrap().message;
    let content = store.read(|r| r.content(message)).unwrap().unwrap();
    let path = std::fs::read_dir(dir.path().join("blobs")).unwrap().next().unwrap().unwrap().path();
    for (at, octet) in [(0, b'y'), (IN_JOURNAL, b'y')] {
        let mut octets = vec![b'x'; IN_JOURNAL + 1];
        octets[at] = octet;
        std::fs::write(&path, &octets).unwrap();
        assert!(matches!(store.read(|r| store.verify(r, &content)), Err(Error::Damaged { .. })));
    }
    std::fs::write(&path, vec![b'x'; IN_JOURNAL]).unwrap();
    assert!(matches!(store.read(|r| store.verify(r, &content)), Err(Error::Damaged { .. })));
}

#[test]
fn a_large_message_that_is_damaged_or_gone_is_known_before_it_is_read_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let ann = id(&store, "ann");
    let [damaged, gone, whole] =
        [b'd', b'g', b'w'].map(|octet| deliver(&store, &vec![octet; 2_500_000], &[ann]).message);
    let content = |message| store.read(|r| r.content(message)).unwrap().unwrap();
    let file = |message| {
        let blobs =
            std::fs::read_dir(dir.path().join("blobs")).unwrap().map(|file| file.unwrap().path());
        let first = if message == damaged { b'd' } else { b'g' };
        blobs.into_iter().find(|path| std::fs::read(path).unwrap()[0] == first).unwrap()
    };
    let mut octets = std::fs::read(file(damaged)).unwrap();
    octets[650_000] ^= 1;
    std::fs::write(file(damaged), octets).unwrap();
    std::fs::remove_file(file(gone)).unwrap();
    assert!(store.damaged().is_empty());
    for message in [damaged, gone] {
        for _ in 0..2 {
            assert!(matches!(store.open_whole(&content(message)), Err(Error::Damaged { .. })));
        }
    }
    assert!(store.open_whole(&content(whole)).unwrap().is_some());
    assert_eq!(store.damaged(), [damaged, gone]);
    // The same in a segment of the journal.
    let [damaged_too, whole_too] =
        [b'e', b'v'].map(|octet| deliver(&store, &vec![octet; 700_000], &[ann]).message);
    let segment = dir.path().join("journal/0000000000000001");
    let mut octets = std::fs::read(&segment).unwrap();
    let place = octets.windows(100).position(|window| window == [b'e'; 100]).unwrap();
    octets[place + 650_000] ^= 1;
    std::fs::write(&segment, octets).unwrap();
    assert!(matches!(store.open_whole(&content(damaged_too)), Err(Error::Damaged { .. })));
    assert!(store.open_whole(&content(whole_too)).unwrap().is_some());
    assert_eq!(store.damaged(), [damaged, gone, damaged_too]);
    // What was deleted meanwhile is no damage of the card.
    let late = content(gone);
    collect(&store, ann, 0, 1..=2);
    assert!(store.open_whole(&late).is_err());
    assert_eq!(store.damaged(), [damaged, gone, damaged_too]);
}

#[test]
fn damaged_content_is_noticed_and_named_and_the_rest_is_unharmed() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let ann = id(&store, "ann");
    let small = deliver(&store, &b"the small one ".repeat(400), &[ann]).message;
    let large = deliver(&store, &b"the large one ".repeat(200_000), &[ann]).message;
    let whole = deliver(&store, &b"unharmed ".repeat(400), &[ann]).message;
    drop(store);
    let damage = |path: &Path, wanted: &[u8]| {
        let mut octets = std::fs::read(path).unwrap();
        // All of them: pages that LMDB has replaced still lie in the file.
        let places: Vec<usize> = (0..octets.len() - wanted.len())
            .filter(|&at| octets[at..].starts_with(wanted))
            .collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| octets[at] ^= 1);
        std::fs::write(path, octets).unwrap();
    };
    damage(&dir.path().join("journal/0000000000000001"), b"the small one");
    let blob = std::fs::read_dir(dir.path().join("blobs")).unwrap().next().unwrap().unwrap().path();
    damage(&blob, b"the large one");
    let store = open(dir.path());
    let verify = |id| store.read(|r| store.verify(r, &r.content(id)?.unwrap()));
    assert!(matches!(verify(small), Err(Error::Damaged { .. })));
    assert!(matches!(verify(large), Err(Error::Damaged { .. })));
    std::fs::write(&blob, b"cut off").unwrap();
    assert!(matches!(verify(large), Err(Error::Damaged { .. })));
    verify(whole).unwrap();
}

#[test]
fn orphaned_content_files_are_swept_and_used_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let ann = id(&store, "ann");
    let message = deliver(&store, &vec![b'k'; 2_500_000], &[ann]).message;
    let mut unfinished = store.spool();
    unfinished.append(&vec![b'u'; 2_500_000]).unwrap();
    std::mem::forget(unfinished);
    std::fs::write(dir.path().join("blobs/00000000deadbeef"), b"left by a crash").unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(std::fs::read_dir(dir.path().join("blobs")).unwrap().count(), 1);
    assert_eq!(read(&store, message).unwrap().len(), 2_500_000);
}
