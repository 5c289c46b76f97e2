//! The store's behaviour, seen through its public face.

#![allow(clippy::unwrap_used)] // tests may

use std::path::Path;

use pillarbox_store::*;
use proptest::prelude::*;
use roaring::RoaringBitmap;

const DAY: u64 = 86_400;
const NOW: u64 = 1_790_000_000;

/// The longest message that is kept in the journal.
const IN_JOURNAL: usize = 2 << 20;

fn open(dir: &Path) -> Store {
    open_with(dir, Options::default().large_octets)
}

/// With so many octets of memory for large messages.
fn open_with(dir: &Path, large_octets: usize) -> Store {
    Store::open(
        dir,
        Access::Server,
        &Options { reserve_octets: 0, large_octets, ..Options::default() },
    )
    .unwrap()
}

fn with_people(dir: &Path, policy: MailboxPolicy) -> Store {
    people_in(open(dir), policy)
}

fn people_in(store: Store, policy: MailboxPolicy) -> Store {
    store.change(AddDomain { name: "example.org".into(), at: NOW }).wait().unwrap();
    for who in ["ann", "bob"] {
        let address = format!("{who}@example.org");
        store
            .change(AddAccount { address, name: String::new(), hash: "x".into(), policy, at: NOW })
            .wait()
            .unwrap();
    }
    store
}

fn id(store: &Store, who: &str) -> AccountId {
    store.read(|r| r.account(&format!("{who}@example.org"))).unwrap().unwrap().0
}

fn deliver_to(
    store: &Store,
    content: &[u8],
    folders: &[(AccountId, FolderId)],
) -> Result<Delivered> {
    let mut spool = store.spool();
    for piece in content.chunks(70_000) {
        spool.append(piece)?;
    }
    let placements = folders.iter().map(|&(account, folder)| Placement {
        account,
        folder,
        flags: Flags::default(),
    });
    let record = LedgerRecord {
        subject: "Quarterly figures".into(),
        ..LedgerRecord::new(NOW, Fate::Delivered, ShortCode(77))
    };
    let delivery = Delivery::local(spool.finish()?, 0, placements.collect(), record);
    store.deliver(delivery).wait()
}

fn deliver(store: &Store, content: &[u8], accounts: &[AccountId]) -> Delivered {
    let folders: Vec<_> = accounts.iter().map(|&a| (a, FolderId::INBOX)).collect();
    deliver_to(store, content, &folders).unwrap()
}

fn maildrop(store: &Store, account: AccountId, device: u16) -> Maildrop {
    store.read(|r| r.maildrop(account, DeviceId(device))).unwrap()
}

fn read(store: &Store, message: MessageId) -> Option<Vec<u8>> {
    read_by(store, message, 5000)
}

/// A message as readers get it that take `buffer` octets of a file at a time.
fn read_by(store: &Store, message: MessageId, buffer: usize) -> Option<Vec<u8>> {
    let content = store.read(|r| r.content(message)).unwrap()?;
    let mut out = Vec::new();
    let Some(mut file) = store.open_large(&content).unwrap() else {
        store.read(|r| r.read_inline(&content, &mut out)).unwrap();
        return Some(out);
    };
    let mut piece = vec![0; buffer];
    loop {
        match file.read(&mut piece).unwrap() {
            0 => return Some(out),
            read => out.extend_from_slice(&piece[..read]),
        }
    }
}

fn collect(store: &Store, account: AccountId, device: u16, numbers: impl IntoIterator<Item = u32>) {
    let drop = maildrop(store, account, device);
    let mut deleted: RoaringBitmap = numbers.into_iter().map(|n| drop.uid(n).unwrap()).collect();
    loop {
        let collection = Collection {
            account,
            device: DeviceId(device),
            deleted,
            fetched: Vec::new(),
            device_label: "test".into(),
            code: ShortCode(5),
            at: NOW,
        };
        deleted = store.change(collection).wait().unwrap().remaining;
        if deleted.is_empty() {
            return;
        }
    }
}

fn keep_house(store: &Store, at: u64) {
    let retention =
        Retention { at, trash_for: 30 * DAY, ledger_for: 365 * DAY, ledger_octets: 1 << 30 };
    while store.change(retention).wait().unwrap() == Maintained::More {}
}

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
        let record = LedgerRecord::new(NOW, Fate::Delivered, ShortCode(77));
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
        LedgerRecord::new(NOW, Fate::Delivered, ShortCode(77)),
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

#[test]
fn a_device_hides_only_from_itself_until_every_device_has_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::DeleteWhenAll);
    let ann = id(&store, "ann");
    let device = AddDevice {
        address: "ann@example.org".into(),
        label: "Phone".into(),
        hash: "y".into(),
        at: NOW,
    };
    assert_eq!(store.change(device).wait().unwrap(), DeviceId(1));
    collect(&store, ann, 0, []);
    for n in 0..5u8 {
        deliver(&store, &[b'a' + n; 100], &[ann]);
    }
    collect(&store, ann, 0, [1, 2, 3]);
    assert_eq!((maildrop(&store, ann, 0).messages(), maildrop(&store, ann, 0).octets), (2, 200));
    assert_eq!((maildrop(&store, ann, 1).messages(), maildrop(&store, ann, 1).octets), (5, 500));
    collect(&store, ann, 1, [3, 4]);
    assert_eq!(maildrop(&store, ann, 0).messages(), 2);
    assert_eq!(maildrop(&store, ann, 1).messages(), 3);
    let state = store.read(|r| r.folder(ann, FolderId::INBOX)).unwrap().unwrap();
    assert_eq!((state.messages, state.octets), (4, 400));
    // A device that is gone wants nothing any more.
    store
        .change(RemoveDevice { address: "ann@example.org".into(), device: DeviceId(1) })
        .wait()
        .unwrap();
    collect(&store, ann, 0, [1, 2]);
    assert_eq!(store.read(|r| r.folder(ann, FolderId::INBOX)).unwrap().unwrap().messages, 2);
}

#[test]
fn collected_mail_moves_to_trash_after_its_days_and_goes_after_thirty_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::TrashAfter { days: 7 });
    let ann = id(&store, "ann");
    let first = deliver(&store, b"one", &[ann]).message;
    deliver(&store, b"two", &[ann]);
    collect(&store, ann, 0, [1]);
    let count = |folder| store.read(|r| r.folder(ann, folder)).unwrap().unwrap().messages;
    keep_house(&store, NOW + 6 * DAY);
    assert_eq!((count(FolderId::INBOX), count(FolderId::TRASH)), (2, 0));
    keep_house(&store, NOW + 8 * DAY);
    assert_eq!((count(FolderId::INBOX), count(FolderId::TRASH)), (1, 1));
    assert_eq!(maildrop(&store, ann, 0).messages(), 1);
    keep_house(&store, NOW + 37 * DAY);
    assert!(read(&store, first).is_some());
    keep_house(&store, NOW + 39 * DAY);
    assert_eq!((count(FolderId::TRASH), read(&store, first)), (0, None));
    let told = store.read(|r| {
        r.ledger_find(None, 9, |_, l| l.fate == Fate::Deleted && l.messages == [first.0])
    });
    assert_eq!(told.unwrap().len(), 1);
}

#[test]
fn thousands_of_messages_keep_numbers_sizes_and_unique_ids_straight() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::DeleteWhenAll);
    let ann = id(&store, "ann");
    let pending: Vec<_> = (0..3000u32)
        .map(|n| {
            let mut spool = store.spool();
            spool.append(&vec![b'm'; n as usize % 700]).unwrap();
            let placements =
                vec![Placement { account: ann, folder: FolderId::INBOX, flags: Flags::default() }];
            let record = LedgerRecord::new(NOW, Fate::Delivered, ShortCode(n));
            store.deliver(Delivery::local(spool.finish().unwrap(), 0, placements, record))
        })
        .collect();
    pending.into_iter().for_each(|p| drop(p.wait().unwrap()));
    let before = maildrop(&store, ann, 0);
    let list = store.read(|r| r.listing(&before, 1, 5000)).unwrap();
    assert_eq!(list.len(), 3000);
    assert!(list.iter().enumerate().all(|(n, e)| e.octets == n as u64 % 700));
    collect(&store, ann, 0, (1..=3000).filter(|n| n % 3 == 0));
    let after = maildrop(&store, ann, 0);
    let kept: Vec<u64> = list
        .iter()
        .enumerate()
        .filter(|(n, _)| (n + 1) % 3 != 0)
        .map(|(_, e)| e.unique_id)
        .collect();
    let mut seen = Vec::new();
    while (seen.len() as u32) < after.messages() {
        let part = store.read(|r| r.listing(&after, seen.len() as u32 + 1, 333)).unwrap();
        seen.extend(part.iter().map(|e| e.unique_id));
    }
    assert_eq!(seen, kept);
    let state = store.read(|r| r.folder(ann, FolderId::INBOX)).unwrap().unwrap();
    assert_eq!((u64::from(state.messages), state.octets), (2000, after.octets));
    // The old snapshot still has its numbers; what is gone is told.
    let old = store.read(|r| r.listing(&before, 1, 6)).unwrap();
    assert_eq!(
        old.iter().map(|e| e.message.is_some()).collect::<Vec<_>>(),
        [true, true, false, true, true, false]
    );
}

#[test]
fn aliases_and_catch_all_resolve_and_loops_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let (ann, bob) = (id(&store, "ann"), id(&store, "bob"));
    let alias = |address: &str, targets: &[&str]| {
        let targets = targets.iter().map(|t| format!("{t}@example.org")).collect();
        store.change(SetAlias { address: format!("{address}@example.org"), targets }).wait()
    };
    alias("info", &["ann", "bob"]).unwrap();
    alias("all", &["info", "ann"]).unwrap();
    alias("info", &["ann", "bob", "all"]).unwrap();
    assert!(matches!(alias("x", &["nobody"]), Err(Error::NotFound { .. })));
    assert!(matches!(alias("ann", &["bob"]), Err(Error::Exists { .. })));
    let resolve = |a: &str| store.read(|r| r.resolve(a)).unwrap();
    assert_eq!(resolve("all@example.org"), Resolution::Accounts(vec![ann, bob]));
    assert_eq!(resolve("who@example.org"), Resolution::NoSuchAddress);
    assert_eq!(resolve("ann@example.com"), Resolution::OtherDomain);
    alias("", &["bob"]).unwrap();
    assert_eq!(resolve("who@example.org"), Resolution::Accounts(vec![bob]));
}

#[test]
fn a_removed_account_takes_its_mail_along_and_its_number_is_not_reused() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let bob = id(&store, "bob");
    let message = deliver(&store, &[b'z'; 9000], &[bob]).message;
    store.change(RemoveAccount { address: "bob@example.org".into() }).wait().unwrap();
    assert!(matches!(
        deliver_to(&store, b"late", &[(AccountId(99), FolderId::INBOX)]),
        Err(Error::NotFound { .. })
    ));
    keep_house(&store, NOW);
    assert_eq!(read(&store, message), None);
    let again = AddAccount {
        address: "bob@example.org".into(),
        name: String::new(),
        hash: "x".into(),
        policy: MailboxPolicy::Keep,
        at: NOW,
    };
    assert_eq!(store.change(again).wait().unwrap(), AccountId(bob.0 + 1));
}

#[test]
fn the_ledger_is_found_by_every_term_indexed_or_not_and_trimmed_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    for n in 0..2000u32 {
        let mut record = LedgerRecord::new(NOW + u64::from(n), Fate::Refused, ShortCode(1000 + n));
        record.sender = format!("sender{n}@example.net");
        record.subject = format!("Invoice {n}");
        store.note(record);
        if n % 500 == 499 {
            collect(&store, id(&store, "ann"), 0, []);
        }
    }
    keep_house(&store, NOW);
    let find = |kind: &str, text: &str| {
        let found = store.read(|r| {
            r.ledger_find(Some(term(kind, text)), 10, |_, l| l.terms().contains(&term(kind, text)))
        });
        found.unwrap().into_iter().map(|(_, l)| l.code.0).collect::<Vec<_>>()
    };
    for n in [3u32, 700, 1999] {
        assert_eq!(find("address", &format!("sender{n}@example.net")), [1000 + n]);
        assert_eq!(
            find("word", &n.to_string().repeat(if n < 10 { 0 } else { 1 })).contains(&(1000 + n)),
            n >= 10
        );
        assert_eq!(find("code", &ShortCode(1000 + n).to_string()), [1000 + n]);
    }
    assert_eq!(find("domain", "example.net").len(), 10);
    keep_house(&store, NOW + 366 * DAY);
    assert_eq!(find("address", "sender3@example.net"), [0u32; 0]);
    assert_eq!(find("address", "sender1999@example.net"), [2999]);
}

#[test]
fn a_full_store_refuses_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_octets: Some(2 << 20), reserve_octets: 0, ..Options::default() };
    drop(with_people(dir.path(), MailboxPolicy::DeleteWhenAll));
    let store = Store::open(dir.path(), Access::Server, &options).unwrap();
    let ann = id(&store, "ann");
    let content = vec![b'f'; 50_000];
    let mut accepted = Vec::new();
    let refused = loop {
        match deliver_to(&store, &content, &[(ann, FolderId::INBOX)]) {
            Ok(delivered) => accepted.push(delivered.message),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Full), "{refused}");
    assert_eq!(store.space(50_000), Space::Short);
    assert!(accepted.len() > 10);
    assert!(accepted.iter().all(|m| read(&store, *m).as_ref() == Some(&content)));
    // Deleting makes room again, also inside the file.
    collect(&store, ann, 0, 1..=accepted.len() as u32);
    collect(&store, ann, 0, []);
    assert_eq!(store.space(50_000), Space::Enough);
    deliver(&store, &content, &[ann]);
}

#[test]
fn a_burst_leaves_room_to_delete_what_it_brought() {
    let dir = tempfile::tempdir().unwrap();
    drop(with_people(dir.path(), MailboxPolicy::DeleteWhenAll));
    let options = Options { max_octets: Some(4 << 20), reserve_octets: 0, ..Options::default() };
    let store = Store::open(dir.path(), Access::Server, &options).unwrap();
    let ann = id(&store, "ann");
    let prepare = |number: usize| {
        let mut spool = store.spool();
        spool.append(&vec![b'b'; 4000]).unwrap();
        let placement =
            Placement { account: ann, folder: FolderId::INBOX, flags: Flags::default() };
        let record = LedgerRecord::new(NOW, Fate::Delivered, ShortCode(number as u32));
        Delivery::local(spool.finish().unwrap(), 0, vec![placement], record)
    };
    // All at once: nobody looks at the room between two of them.
    let burst: Vec<_> = (0..2000).map(|number| store.deliver(prepare(number))).collect();
    let taken = burst.into_iter().filter_map(|pending| pending.wait().ok()).count();
    assert!((100..2000).contains(&taken), "{taken}");
    collect(&store, ann, 0, 1..=taken as u32);
    assert_eq!(maildrop(&store, ann, 0).messages(), 0);
    deliver(&store, b"there is room again", &[ann]);
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
fn a_tool_reads_and_writes_beside_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let _server = with_people(dir.path(), MailboxPolicy::Keep);
    assert!(matches!(
        Store::open(dir.path(), Access::Server, &Options::default()),
        Err(Error::InUse { .. })
    ));
}

#[test]
fn short_codes_read_back_as_people_type_them() {
    for code in [0, 1, 77, u32::MAX] {
        let text = ShortCode(code).to_string();
        assert_eq!(text.len(), 7);
        assert_eq!(text.parse(), Ok(ShortCode(code)));
        assert_eq!(text.to_lowercase().replace('0', "o").parse(), Ok(ShortCode(code)));
    }
    assert!("TOOLONGCODE".parse::<ShortCode>().is_err());
    assert!("ZZZZZZZ".parse::<ShortCode>().is_err());
}

#[test]
fn folders_flags_moves_and_deletions_keep_their_counts_and_the_index_follows() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let ann = id(&store, "ann");
    for n in 0..40 {
        // Large enough that one commit may not free them all.
        deliver(
            &store,
            format!("Subject: {n}\r\n\r\n{}\r\n", "x".repeat(100_000)).as_bytes(),
            &[ann],
        );
    }
    let order = |folder, uids: Vec<u32>, what| {
        store
            .change(MailOrder { account: ann, folder, uids, what, at: 5, service: Service::Web })
            .wait()
    };
    let state = |folder| store.read(|r| r.folder(ann, folder)).unwrap().unwrap();
    let seen = MailWhat::Flag { add: Flags::SEEN, remove: Flags::default() };
    order(FolderId::INBOX, vec![1, 2, 99], seen.clone()).unwrap();
    order(FolderId::INBOX, vec![2], seen).unwrap();
    assert_eq!((state(FolderId::INBOX).unseen, state(FolderId::INBOX).messages), (38, 40));
    // The index: found where it is, also after a move, and not after its end.
    let entries = store.read(|r| r.unindexed(Some(ann), 100)).unwrap().remove(0).entries;
    let mut batch = Batch::default();
    for (uid, entry) in &entries {
        assert!(
            batch.add(
                entry.message,
                [(Field::Body, uid.to_string().as_str()), (Field::Body, "all")]
            )
        );
    }
    let segment = store.write_segment(ann, &batch, &mut |_| true).unwrap();
    let messages = entries.iter().map(|(uid, entry)| (*uid, entry.message)).collect();
    let folders = vec![Indexed { folder: FolderId::INBOX, from: 0, below: 41, messages }];
    assert!(store.change(IndexWork { account: ann, folders, segment }).wait().unwrap());
    assert!(store.read(|r| r.unindexed(Some(ann), 100)).unwrap().is_empty());
    let search = |word: &str| {
        let (word, is_prefix) = word.strip_suffix('*').map_or((word, false), |word| (word, true));
        let ask = Ask::Word(Term { word: word.into(), fields: Fields::ALL, is_prefix });
        let found = store.search(ann, &ask, None, 100).unwrap();
        found.hits.into_iter().map(|(one, _)| (one.folder, one.uid)).collect::<Vec<_>>()
    };
    assert_eq!(
        (search("7"), search("al*").len(), search("al").len()),
        (vec![(FolderId::INBOX, 7)], 40, 0)
    );
    let own = store.change(MakeFolder { account: ann, name: "Own".into() }).wait().unwrap();
    assert!(matches!(
        store.change(MakeFolder { account: ann, name: "own".into() }).wait(),
        Err(Error::Exists { .. })
    ));
    order(FolderId::INBOX, (1..=30).collect(), MailWhat::Move { to: own }).unwrap();
    assert_eq!((state(own).messages, state(own).unseen, search("7")), (30, 28, vec![(own, 7)]));
    assert!(matches!(
        store.change(RemoveFolder { account: ann, folder: own }).wait(),
        Err(Error::Invalid { .. })
    ));
    assert!(matches!(
        store.change(RemoveFolder { account: ann, folder: FolderId::INBOX }).wait(),
        Err(Error::NotFound { .. })
    ));
    let delete =
        || order(own, (1..=30).collect(), MailWhat::Delete { code: ShortCode(3) }).unwrap();
    assert_eq!(delete(), 0, "contents in the journal free no pages: one commit takes them all");
    assert_eq!(
        (state(own).messages, search("7"), search("35")),
        (0, vec![], vec![(FolderId::INBOX, 35)])
    );
    store.change(RemoveFolder { account: ann, folder: own }).wait().unwrap();
    store.forget_index(None).unwrap();
    assert_eq!(store.read(|r| r.unindexed(Some(ann), 100)).unwrap()[0].entries.len(), 10);
}

#[test]
fn what_cannot_be_a_key_is_not_there_and_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let ann = id(&store, "ann");
    let long = format!("{}@example.org", "x".repeat(600));
    for text in ["", &long, &"d".repeat(512)] {
        assert!(store.read(|r| r.account(text)).unwrap().is_none());
        assert!(!store.read(|r| r.is_local(text)).unwrap());
        assert!(!matches!(store.read(|r| r.resolve(text)).unwrap(), Resolution::Accounts(_)));
        assert!(store.read(|r| r.setting(text)).unwrap().is_none());
        assert!(store.read(|r| r.session(text)).unwrap().is_none());
        assert!(store.read(|r| r.sts_policy(text)).unwrap().is_none());
        let add = AddAccount {
            address: text.into(),
            name: String::new(),
            hash: "x".into(),
            policy: MailboxPolicy::Keep,
            at: NOW,
        };
        for refused in [
            AnyChange::of(add),
            AnyChange::of(AddDomain { name: text.into(), at: NOW }),
            AnyChange::of(SetAlias {
                address: text.into(),
                targets: vec!["ann@example.org".into()],
            }),
            AnyChange::of(SetSetting { key: text.into(), value: Some("x".into()) }),
            AnyChange::of(PutContacts {
                account: ann,
                contacts: vec![
                    ("cy@a.test".into(), Some(Contact::default())),
                    (text.into(), Some(Contact::default())),
                ],
            }),
        ] {
            let kind = format!("{refused:?}");
            let error = store.change(refused).wait().expect_err(&kind);
            assert!(
                matches!(error, Error::Invalid { .. } | Error::NotFound { .. }),
                "{kind}: {error}"
            );
        }
    }
    // What was refused changed nothing, and nobody else of the commit was harmed.
    assert!(store.read(|r| r.contacts(ann)).unwrap().is_empty());
    store
        .change(NoteWritten {
            account: ann,
            people: vec![("x".into(), long), (String::new(), "cy@a.test".into())],
            at: NOW,
        })
        .wait()
        .unwrap();
    assert_eq!(store.read(|r| r.contacts(ann)).unwrap().len(), 1);
}

#[test]
fn names_are_kept_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Access::Server, &Options::default()).unwrap();
    store.change(AddDomain { name: "example.org".into(), at: NOW }).wait().unwrap();
    let (address, hash) = ("ann@example.org".to_string(), "x".to_string());
    store
        .change(AddAccount {
            address: address.clone(),
            name: "Ann\r\nBcc: x@y".into(),
            hash: hash.clone(),
            policy: MailboxPolicy::Keep,
            at: NOW,
        })
        .wait()
        .unwrap();
    let (id, account) = store.read(|r| r.account(&address)).unwrap().unwrap();
    assert_eq!(account.name, "Ann Bcc: x@y");
    store.change(SetName { address: address.clone(), name: "Ann\n\tLee\0".into() }).wait().unwrap();
    assert_eq!(store.read(|r| r.account(&address)).unwrap().unwrap().1.name, "Ann Lee");
    store
        .change(AddDevice { address: address.clone(), label: "Re\rception".into(), hash, at: NOW })
        .wait()
        .unwrap();
    assert!(
        store
            .read(|r| r.credentials(id))
            .unwrap()
            .iter()
            .any(|(_, credential)| credential.label == "Re ception")
    );
    assert!(store.change(MakeFolder { account: id, name: "\r\n".into() }).wait().is_err());
    store.change(MakeFolder { account: id, name: "Bills\r\n2026".into() }).wait().unwrap();
    let folders = store.read(|r| r.folders(id)).unwrap();
    assert!(
        folders.iter().any(|(_, name, _)| name == "Bills 2026"),
        "{:?}",
        folders.iter().map(|(_, name, _)| name).collect::<Vec<_>>()
    );
}

#[test]
fn commits_are_reported_to_who_listens_also_those_of_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let (ann, bob) = (id(&store, "ann"), id(&store, "bob"));
    let (mut first, mut second) = (store.notices(), store.notices());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let next = |listener: &mut Listener| runtime.block_on(listener.next());
    deliver(&store, b"x", &[ann, bob]);
    let flags = MailWhat::Flag { add: Flags::SEEN, remove: Flags::default() };
    store
        .change(MailOrder {
            account: bob,
            folder: FolderId::INBOX,
            uids: vec![1],
            what: flags,
            at: NOW,
            service: Service::Web,
        })
        .wait()
        .unwrap();
    assert!(store.change(RemoveFolder { account: ann, folder: FolderId(99) }).wait().is_err());
    let folder = |account, what| Notice::Folder { account, folder: FolderId::INBOX, what };
    for listener in [&mut first, &mut second] {
        let mut heard = Vec::new();
        for _ in 0..3 {
            heard.push(next(listener).unwrap());
        }
        assert_eq!(
            heard,
            [
                folder(ann, Happened::Added),
                folder(bob, Happened::Added),
                folder(bob, Happened::Flagged)
            ]
        );
    }
    drop(second);
    // A process of its own: LMDB may be opened once in each.
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "another_process_changes_a_store", "--nocapture"])
        .env("PILLARBOX_TEST_STORE", dir.path())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(next(&mut first), Some(Notice::Anywhere));
    drop(store);
    while let Some(notice) = next(&mut first) {
        assert_eq!(notice, Notice::Anywhere);
    }
}

/// Runs as the other process of the test above; alone it has nothing to do.
#[test]
fn another_process_changes_a_store() {
    let Some(dir) = std::env::var_os("PILLARBOX_TEST_STORE") else { return };
    let store = Store::open(
        Path::new(&dir),
        Access::Tool,
        &Options { reserve_octets: 0, ..Options::default() },
    )
    .unwrap();
    store.change(SetSetting { key: "x".into(), value: Some("y".into()) }).wait().unwrap();
}
