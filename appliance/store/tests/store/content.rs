//! What goes in comes out again, octet for octet.

use pillarbox_store::*;
use pillarbox_vocabulary::Timestamp;
use proptest::prelude::*;

use super::{
    IN_JOURNAL, NOW, collect, deliver, id, maildrop, open, open_with, people_in, read, read_by,
    with_people,
};

#[test]
fn content_of_every_size_comes_back_octet_for_octet_also_after_reopening() {
    for large_octets in [0, 4 << 20] {
        content_of_every_size_comes_back(large_octets);
    }
}

fn content_of_every_size_comes_back(large_octets: usize) {
    let dir = tempfile::tempdir().unwrap();
    let store = people_in(open_with(dir.path(), large_octets), MailboxPolicy::Keep);
    let ann = id(&store, "ann");
    let piece = 64 * 1024;
    let small = [
        0,
        1,
        1024,
        1025,
        4072,
        4073,
        5096,
        5097,
        piece - 40,
        piece - 39,
        piece,
        100_000,
        INLINE_OCTETS,
    ];
    let large = [
        INLINE_OCTETS + 1,
        5 * piece - 9,
        5 * piece - 8,
        5 * piece - 7,
        5 * piece,
        1_000_000,
        IN_JOURNAL - 1,
        IN_JOURNAL,
        IN_JOURNAL + 1,
        3_000_000,
    ];
    let sizes = [&small[..], &large[..]].concat();
    let contents: Vec<Vec<u8>> =
        sizes.iter().map(|&n| (0..n).map(|i| (i * 31 % 251) as u8).collect()).collect();
    let ids: Vec<MessageId> = contents.iter().map(|c| deliver(&store, c, &[ann]).message).collect();
    drop(store);
    // A tool reads what is in the journal as a whole.
    let tool =
        Store::open(dir.path(), Access::Tool, &Options { reserve_octets: 0, ..Options::default() })
            .unwrap();
    assert!(
        ids.iter().zip(&contents).all(|(id, content)| read(&tool, *id).as_ref() == Some(content))
    );
    drop(tool);
    let store = open(dir.path());
    for (id, content) in ids.iter().zip(&contents) {
        assert!(read(&store, *id).as_ref() == Some(content), "{} octets", content.len());
    }
    let drop = maildrop(&store, ann, 0);
    assert_eq!(drop.messages() as usize, sizes.len());
    assert_eq!(drop.octets, sizes.iter().sum::<usize>() as u64);
    let list = store.read(|r| r.listing(&drop, 1, 100)).unwrap();
    assert_eq!(list.iter().map(|e| e.octets as usize).collect::<Vec<_>>(), sizes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_prefix_and_its_content_are_one_message_for_every_reader(
        octets in prop::sample::select(vec![0, 1, 4096, 65_536, INLINE_OCTETS - PREFIX_OCTETS, INLINE_OCTETS, 2 * INLINE_OCTETS, IN_JOURNAL - PREFIX_OCTETS, IN_JOURNAL]),
        more in 0usize..3,
        prefix in prop::sample::select(vec![0, 1, 2, 300, 4096, 65_535, PREFIX_OCTETS]),
        pieces in prop::collection::vec(prop_oneof![1usize..100, 500usize..40_000, Just(INLINE_OCTETS)], 1..8),
        buffer in prop_oneof![60usize..70, 250usize..350, 65_535usize..65_538],
        large_octets in prop::sample::select(vec![0, 300_000, 4 << 20]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let store = people_in(open_with(dir.path(), large_octets), MailboxPolicy::Keep);
        let ann = id(&store, "ann");
        let octets = (octets + more).saturating_sub(1);
        let whole: Vec<u8> = (0u32..).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).take(prefix + octets).collect();
        let (front, content) = whole.split_at(prefix);
        let (mut spool, mut rest) = (store.spool(), content);
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            spool.append(now).unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(spool.put_in_front(vec![0; PREFIX_OCTETS + 1]).is_err());
        spool.put_in_front(front.to_vec()).unwrap();
        let mut seen = Vec::new();
        spool.replay(&mut |piece| seen.extend_from_slice(piece)).unwrap();
        prop_assert!(seen == content);
        let spooled = spool.finish().unwrap();
        prop_assert_eq!(spooled.octets(), whole.len() as u64);
        prop_assert!(*spooled.checksum() == Checksum::of(front).followed_by(&Checksum::of(content)));
        let placement = Placement { account: ann, folder: FolderId::INBOX, flags: Flags::default() };
        let record = LedgerRecord::new(Timestamp(NOW), Fate::Delivered, ShortCode(77));
        let delivery = Delivery::local(spooled, prefix.min(20) as u16, vec![placement], record);
        let message = store.deliver(delivery).wait().unwrap().message;
        let check = |store: &Store| {
            let content = store.read(|r| r.content(message)).unwrap().unwrap();
            prop_assert_eq!((content.octets, content.delivery_octets()), (whole.len() as u64, prefix.min(20)));
            prop_assert_eq!(content.is_large(), whole.len() > INLINE_OCTETS);
            prop_assert!(store.read(|r| store.verify(r, &content)).is_ok());
            prop_assert!(read_by(store, message, buffer) == Some(whole.clone()));
            prop_assert!(store.open_whole(&content).is_ok());
            let drop = maildrop(store, ann, 0);
            prop_assert_eq!((drop.octets, store.read(|r| r.listing(&drop, 1, 1)).unwrap()[0].octets as usize), (whole.len() as u64, whole.len()));
            Ok(())
        };
        check(&store)?;
        drop(store);
        let store = open(dir.path());
        check(&store)?;
        collect(&store, ann, 0, [1]);
    }
}

#[test]
fn one_copy_for_all_recipients_goes_with_the_last_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::DeleteWhenAll);
    let (ann, bob) = (id(&store, "ann"), id(&store, "bob"));
    for size in [500, 1_000_000, 2_500_000] {
        let content = vec![b'x'; size];
        let message = deliver(&store, &content, &[ann, bob, ann]).message;
        assert_eq!(maildrop(&store, ann, 0).messages(), 1);
        collect(&store, ann, 0, [1]);
        assert_eq!(read(&store, message).map(|c| c.len()), Some(size));
        collect(&store, bob, 0, [1]);
        assert_eq!(read(&store, message), None);
    }
    assert_eq!(std::fs::read_dir(dir.path().join("blobs")).unwrap().count(), 0);
}
