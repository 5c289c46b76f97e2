//! Mailboxes as programs and people see them: numbers, devices, folders, flags.

use pillarbox_store::*;
use pillarbox_vocabulary::Timestamp;

use super::{DAY, NOW, collect, deliver, id, keep_house, maildrop, read, with_people};

#[test]
fn a_device_hides_only_from_itself_until_every_device_has_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::DeleteWhenAll);
    let ann = id(&store, "ann");
    let device = AddDevice {
        address: "ann@example.org".into(),
        label: "Phone".into(),
        hash: "y".into(),
        at: Timestamp(NOW),
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
            let record = LedgerRecord::new(Timestamp(NOW), Fate::Delivered, ShortCode(n));
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

/// Puts all of an account's messages into its index: the text of each is its number and the word "all".
fn index_everything(store: &Store, account: AccountId) {
    let unindexed = || store.read(|r| r.unindexed(Some(account), 100)).unwrap();
    let entries = unindexed().remove(0).entries;
    let mut batch = Batch::default();
    for (uid, entry) in &entries {
        let texts = [(Field::Body, &*uid.to_string()), (Field::Body, "all")];
        assert!(batch.add(entry.message, texts));
    }
    let segment = store.write_segment(account, &batch, &mut |_| true).unwrap();
    let messages = entries.iter().map(|(uid, entry)| (*uid, entry.message)).collect();
    let folders = vec![Indexed { folder: FolderId::INBOX, from: 0, below: 41, messages }];
    assert!(store.change(IndexWork { account, folders, segment }).wait().unwrap());
    assert!(unindexed().is_empty());
}

/// Where messages with a word are; a star at its end stands for any letters.
fn search(store: &Store, account: AccountId, word: &str) -> Vec<(FolderId, u32)> {
    let (word, is_prefix) = word.strip_suffix('*').map_or((word, false), |word| (word, true));
    let ask = Ask::Word(Term { word: word.into(), fields: Fields::ALL, is_prefix });
    let found = store.search(account, &ask, None, 100).unwrap();
    found.hits.into_iter().map(|(one, _)| (one.folder, one.uid)).collect()
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
            .change(MailOrder {
                account: ann,
                folder,
                uids,
                what,
                at: Timestamp(5),
                service: Service::Web,
            })
            .wait()
    };
    let state = |folder| store.read(|r| r.folder(ann, folder)).unwrap().unwrap();
    let seen = MailWhat::Flag { add: Flags::SEEN, remove: Flags::default() };
    order(FolderId::INBOX, vec![1, 2, 99], seen.clone()).unwrap();
    order(FolderId::INBOX, vec![2], seen).unwrap();
    assert_eq!((state(FolderId::INBOX).unseen, state(FolderId::INBOX).messages), (38, 40));
    // The index: found where it is, also after a move, and not after its end.
    index_everything(&store, ann);
    let search = |word: &str| search(&store, ann, word);
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
