//! A store as the release before format 4 wrote it (`data/format-3.tar.gz`, made by that release): it is opened, keeps
//! everything, and works on.

#![allow(clippy::unwrap_used)] // tests may

use pillarbox_vocabulary::Timestamp;
use std::path::Path;
use std::process::Command;

use pillarbox_store::*;

/// What the store contains: content of message `n` in so many octets.
fn content(n: usize, octets: usize) -> Vec<u8> {
    (0..octets).map(|i| b'a' + ((i * 7 + n * 13 + i / 97) % 26) as u8).collect()
}

const SIZES: [usize; 7] = [100, 1024, 1025, 4080, 5000, 40_000, 300_000];

fn read(store: &Store, message: MessageId) -> Vec<u8> {
    let content = store.read(|r| r.content(message)).unwrap().unwrap();
    let mut octets = Vec::new();
    match store.open_whole(&content).unwrap() {
        None => store.read(|r| r.read_inline(&content, &mut octets)).unwrap(),
        Some(mut file) => {
            let mut piece = vec![0; 10_000];
            while let count @ 1.. = file.read(&mut piece).unwrap() {
                octets.extend_from_slice(&piece[..count]);
            }
        }
    }
    octets
}

/// Everything that is told apart: folders with their entries, and the content of each.
fn everything(store: &Store) {
    let account = |name: &str| {
        store
            .read(|r| r.accounts())
            .unwrap()
            .into_iter()
            .find(|(_, account)| account.address == name)
            .unwrap()
            .0
    };
    let (ann, bob) = (account("ann@x.test"), account("bob@x.test"));
    let state = |who, folder| store.read(|r| r.folder(who, folder)).unwrap().unwrap();
    let folders = store.read(|r| r.folders(ann)).unwrap();
    let (own, _, own_state) = folders.iter().find(|(_, name, _)| name == "Own").cloned().unwrap();
    assert_eq!(
        (
            state(ann, FolderId::INBOX).messages,
            own_state.messages,
            state(bob, FolderId::INBOX).messages
        ),
        (677, 20, 7)
    );
    assert_eq!((state(ann, FolderId::INBOX).unseen, own_state.unseen), (637, 10));
    let entries = |who, folder| store.read(|r| r.entries(who, folder, 0, 10_000)).unwrap();
    let inbox = entries(ann, FolderId::INBOX);
    assert_eq!(
        (inbox.len(), entries(ann, own).len(), entries(bob, FolderId::INBOX).len()),
        (677, 20, 7)
    );
    assert!(
        inbox.is_sorted_by(|a, b| a.0 < b.0) && inbox.iter().all(|(_, entry)| entry.keywords == 0)
    );
    for (uid, entry) in inbox.iter().filter(|(uid, _)| *uid <= 700) {
        assert_eq!(read(store, entry.message), content(*uid as usize, 20));
    }
    for (place, (_, entry)) in entries(bob, FolderId::INBOX).into_iter().enumerate() {
        assert_eq!(read(store, entry.message), content(1000 + place, SIZES[place]));
    }
    let before = store.read(|r| r.entries_before(ann, FolderId::INBOX, u32::MAX, 10)).unwrap();
    assert_eq!(
        before.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(),
        (698..=707).rev().collect::<Vec<_>>()
    );
    assert_eq!(store.read(|r| r.maildrop(ann, DeviceId::MAIN)).unwrap().messages(), 677);
    assert_eq!(store.read(|r| r.setting("colour")).unwrap().as_deref(), Some("blue"));
    let (_, record) = store
        .read(|r| {
            r.ledger_find(Some(term("word", "700")), 10, |_, record| {
                record.subject == "subject 700"
            })
        })
        .unwrap()
        .remove(0);
    assert_eq!(
        (record.subject.as_str(), record.wording().as_str()),
        ("subject 700", "mx.x said: 250 ok")
    );
}

fn open(dir: &Path) -> Store {
    Store::open(dir, Access::Server, &Options { reserve_octets: 0, ..Options::default() }).unwrap()
}

#[test]
fn a_store_of_format_3_opens_and_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-3.tar.gz");
    let unpacked =
        Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(dir.path()).status().unwrap();
    assert!(unpacked.success());
    let store = open(dir.path());
    everything(&store);
    // It works on: a message comes, another one of before goes.
    let ann = store
        .read(|r| r.accounts())
        .unwrap()
        .into_iter()
        .find(|(_, account)| account.address == "ann@x.test")
        .unwrap()
        .0;
    let mut spool = store.spool();
    spool.append(b"new").unwrap();
    let placement = Placement { account: ann, folder: FolderId::INBOX, flags: Flags::default() };
    let record = LedgerRecord::new(Timestamp(3000), Fate::Delivered, ShortCode(1));
    let delivered = store
        .deliver(Delivery::local(spool.finish().unwrap(), 0, vec![placement], record))
        .wait()
        .unwrap();
    assert_eq!(delivered.uids, [708]);
    assert_eq!(read(&store, delivered.message), b"new");
    let delete = MailWhat::Delete { code: ShortCode(9) };
    store
        .change(MailOrder {
            account: ann,
            folder: FolderId::INBOX,
            uids: vec![708],
            what: delete,
            service: Service::Web,
            at: Timestamp(3001),
        })
        .wait()
        .unwrap();
    drop(store);
    everything(&open(dir.path()));
}
