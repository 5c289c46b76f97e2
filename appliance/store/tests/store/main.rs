//! The store's behaviour, seen through its public face.

#![allow(clippy::unwrap_used)] // tests may

mod content;
mod damage;
mod directory;
mod ledger;
mod mailbox;
mod processes;
mod room;

use pillarbox_vocabulary::Timestamp;
use std::path::Path;

use pillarbox_store::*;
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
    store.change(AddDomain { name: "example.org".into(), at: Timestamp(NOW) }).wait().unwrap();
    for who in ["ann", "bob"] {
        let address = format!("{who}@example.org");
        store
            .change(AddAccount {
                address,
                name: String::new(),
                hash: "x".into(),
                policy,
                at: Timestamp(NOW),
            })
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
        ..LedgerRecord::new(Timestamp(NOW), Fate::Delivered, ShortCode(77))
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
            at: Timestamp(NOW),
        };
        deleted = store.change(collection).wait().unwrap().remaining;
        if deleted.is_empty() {
            return;
        }
    }
}

fn keep_house(store: &Store, at: u64) {
    let retention = Retention {
        at: Timestamp(at),
        trash_for: 30 * DAY,
        junk_for: 30 * DAY,
        ledger_for: 365 * DAY,
        ledger_octets: 1 << 30,
    };
    while store.change(retention).wait().unwrap() == Maintained::More {}
}
