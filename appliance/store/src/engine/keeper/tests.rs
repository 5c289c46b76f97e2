use super::*;
use crate::*;
use pillarbox_vocabulary::Timestamp;

/// A small store with one account.
struct World {
    store: Store,
    account: AccountId,
    options: Options,
    dir: tempfile::TempDir,
}

impl World {
    fn of(max_octets: u64) -> World {
        let dir = tempfile::tempdir().unwrap();
        let options =
            Options { max_octets: Some(max_octets), reserve_octets: 0, ..Options::default() };
        let store = Store::open(dir.path(), Access::Server, &options).unwrap();
        store.change(AddDomain { name: "x.test".into(), at: Timestamp(1) }).wait().unwrap();
        let person = AddAccount {
            address: "a@x.test".into(),
            name: String::new(),
            hash: String::new(),
            policy: MailboxPolicy::Keep,
            at: Timestamp(1),
        };
        let account = store.change(person).wait().unwrap();
        World { store, account, options, dir }
    }

    fn reopened(self) -> World {
        let World { store, account, options, dir } = self;
        drop(store);
        let store = Store::open(dir.path(), Access::Server, &options).unwrap();
        World { store, account, options, dir }
    }

    fn deliver(&self, at: u64, content: &[u8]) -> MessageId {
        let mut spool = self.store.spool();
        spool.append(content).unwrap();
        let placement =
            Placement { account: self.account, folder: FolderId::INBOX, flags: Flags::default() };
        let record = LedgerRecord::new(Timestamp(at), Fate::Delivered, ShortCode(7));
        let delivery = Delivery::local(spool.finish().unwrap(), 0, vec![placement], record);
        self.store.deliver(delivery).wait().unwrap().message
    }

    fn delete(&self, uids: Vec<u32>) {
        let order = MailOrder {
            account: self.account,
            folder: FolderId::INBOX,
            uids,
            what: MailWhat::Delete { code: ShortCode(1) },
            service: Service::Web,
            at: Timestamp(2),
        };
        self.store.change(order).wait().unwrap();
    }

    /// Segments that are in use.
    fn segments(&self) -> Vec<u64> {
        self.store.shared().segments.list().unwrap().0
    }

    /// Has the keeper work until it has done enough.
    fn keep(&self, is_enough: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_enough() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", self.segments());
            self.store.shared().bell.press();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Reads a message in pieces.
    fn open(&self, message: MessageId) -> ContentReader {
        let content = self.store.read(|r| r.content(message)).unwrap().unwrap();
        self.store.open_large(&content).unwrap().unwrap()
    }

    fn is_whole(&self, message: MessageId) -> bool {
        let mut octets = Vec::new();
        let found = self.store.read(|r| r.content(message)).unwrap();
        found.is_some_and(|found| {
            self.store.read(|r| r.read_inline(&found, &mut octets)).is_ok()
                && octets == content(message.0)
        })
    }
}

fn content(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(1000)
}

/// One that is read in pieces: five of them fill a segment.
fn large(number: u64) -> Vec<u8> {
    (0..1_500_000).map(|at| (at % 251) as u8 ^ number as u8).collect()
}

/// What was read, and all that follows.
fn rest(mut reader: ContentReader, mut octets: Vec<u8>) -> Vec<u8> {
    let mut piece = vec![0; 100_000];
    while let count @ 1.. = reader.read(&mut piece).unwrap() {
        octets.extend_from_slice(&piece[..count]);
    }
    octets
}

#[test]
fn what_is_read_in_pieces_stays_where_it_is_while_its_segment_is_emptied() {
    let world = World::of(64 << 20);
    let deliver = |number: u64| world.deliver(number, &large(number));
    let messages: Vec<MessageId> = (1..=12).map(deliver).collect();
    let mut reader = world.open(messages[0]);
    let mut begun = vec![0; 1000];
    assert_eq!(reader.read(&mut begun).unwrap(), 1000);
    world.delete((2..=5).collect());
    world.keep(|| {
        let head = world.store.shared().head(messages[0]).unwrap();
        head.is_some_and(|head| !matches!(head.location, Location::Journal { segment: 1, .. }))
    });
    // Checkpoints that no longer know the old place, and mail that would like to have the segment.
    (13..=30).map(deliver).for_each(|message| assert!(message.0 > 12));
    let folds = || world.store.shared().published().base;
    let (before, names) = (folds(), std::cell::Cell::new(0));
    world.keep(|| {
        names.set(names.get() + 1);
        let domain = AddDomain { name: format!("x{}.test", names.get() + 1), at: Timestamp(1) };
        world.store.change(domain).wait().unwrap();
        folds() > before + 2
    });
    assert!(world.segments().contains(&1));
    assert!(rest(reader, begun) == large(1));
    assert!(rest(world.open(messages[0]), Vec::new()) == large(1));
    world.keep(|| !world.segments().contains(&1));
    assert_eq!(world.store.damaged(), []);
}

#[test]
fn segments_that_are_mostly_empty_are_emptied_and_used_again_while_mail_is_read() {
    let world = World::of(8 << 20);
    let messages: Vec<MessageId> =
        (1..=450).map(|number| world.deliver(number, &content(number))).collect();
    assert!(messages.iter().enumerate().all(|(place, message)| message.0 == place as u64 + 1));
    let (stay, gone): (Vec<MessageId>, Vec<MessageId>) =
        messages.iter().partition(|message| message.0.is_multiple_of(5));
    let gone: Vec<u32> = gone.iter().map(|message| message.0 as u32).collect();
    gone.chunks(300).for_each(|uids| world.delete(uids.to_vec()));
    let before = world.segments();
    // What stays is moved to the end; the last segments are in use.
    world.keep(|| {
        assert!(stay.iter().all(|&message| world.is_whole(message)));
        world.segments().first() != before.first() && world.segments().len() <= 2
    });
    let count = |world: &World| messages.iter().filter(|&&one| world.is_whole(one)).count();
    assert_eq!(count(&world), 90);
    // The number of a record of the ledger is a message's id: what comes now has a later one.
    let number = messages.len() as u64 + 1 + 2;
    assert!(world.deliver(number, &content(number)).0 > 450);
    let world = world.reopened();
    assert_eq!(count(&world), 90);
    assert_eq!(world.store.damaged(), []);
}

#[test]
fn each_segment_is_emptied_once_and_the_emptiest_first() {
    let live = BTreeMap::from([(1, 0), (2, 40), (3, 10), (4, 90), (5, 5)]);
    assert_eq!(
        to_empty(&live, 5, |_| 50),
        Some(3),
        "what was emptied, and what is in use, is left"
    );
    assert_eq!(to_empty(&live, 6, |_| 50), Some(5));
    assert_eq!(to_empty(&live, 5, |_| 9), None);
    let short = |segment| if segment == 3 { 20 } else { 50 };
    assert_eq!(to_empty(&live, 6, short), Some(5), "a short file is not emptier than a long one");
    assert_eq!(to_empty(&BTreeMap::from([(1, 0)]), 5, |_| 50), None);
}

#[test]
fn the_fuller_the_disk_the_more_is_moved() {
    let disk = |free| Some(Disk { free, all: 100, ..Disk::default() });
    assert_eq!(share(false, disk(50)), ROOMY_SHARE);
    assert_eq!(share(false, disk(49)), COMPACTION_SHARE);
    assert_eq!(share(false, None), COMPACTION_SHARE);
    assert_eq!(share(true, disk(90)), PRESSED_SHARE);
}
