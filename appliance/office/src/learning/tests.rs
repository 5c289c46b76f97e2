#![allow(clippy::unwrap_used)] // tests may

use pillarbox_filter::content::{FEWEST, Opinion, Thought};
use pillarbox_store::{
    AccountId, Delivery, Fate, Flags, FolderId, LedgerRecord, MailOrder, MailWhat, Placement,
    Service, ShortCode,
};

use super::lessons::MOST;
use super::*;
use crate::world::World;

/// A long time after everything that these tests deliver.
const LATER: Timestamp = Timestamp(4_000_000_000);

fn account(world: &World) -> AccountId {
    world.store.read(|r| r.accounts()).unwrap()[0].0
}

/// Puts a letter into a folder of the first account's; gives its message, and its place.
fn deliver(world: &World, folder: FolderId, text: &str, flags: Flags) -> (MessageId, u32) {
    let mut spool = world.store.spool();
    spool.append(format!("From: <a@b.test>\r\nSubject: x\r\n\r\n{text}\r\n").as_bytes()).unwrap();
    let account = account(world);
    let placement = Placement { account, folder, flags };
    let record = LedgerRecord::new(Timestamp(1), Fate::Delivered, ShortCode(9));
    let delivery = Delivery::local(spool.finish().unwrap(), 0, vec![placement], record);
    let message = world.store.deliver(delivery).wait().unwrap().message;
    let entries = world.store.read(|r| r.entries_before(account, folder, u32::MAX, 1)).unwrap();
    (message, entries[0].0)
}

fn order(world: &World, folder: FolderId, uids: Vec<u32>, what: MailWhat) {
    let (service, at) = (Service::Web, clock::now());
    let order = MailOrder { account: account(world), folder, uids, what, service, at };
    world.store.change(order).wait().unwrap();
}

fn round(world: &World) -> Counts {
    let learning = &world.office.learning;
    for _ in 0..20 {
        learning.state.lock().unwrap().rests_until = None;
        learning.round(LATER, &|| false).unwrap();
    }
    learning.counts()
}

fn think(world: &World, text: &str) -> Option<Thought> {
    let message = format!("From: <a@b.test>\r\nSubject: x\r\n\r\n{text}\r\n");
    let replay = |take: &mut dyn FnMut(&[u8]) -> std::ops::ControlFlow<()>| {
        let _ = take(message.as_bytes());
        Ok::<_, std::convert::Infallible>(())
    };
    let Ok(content) = Content::read(message.as_bytes(), &replay);
    world.office.learning.learned.model().map(|model| model.think(&content))
}

#[tokio::test(flavor = "multi_thread")]
async fn people_teach_by_what_they_do_and_it_outlives_the_messages() {
    let world = World::new().await;
    tokio::task::block_in_place(|| {
        let bad = "you won a prize, click here";
        for number in 0..FEWEST {
            let text = format!("{bad} {number}");
            let (_, uid) = deliver(&world, FolderId::INBOX, &text, Flags::default());
            // By the button, or by moving it there.
            let what = match number % 2 {
                0 => MailWhat::Judge { is_junk: true },
                _ => MailWhat::Move { to: FolderId::JUNK },
            };
            order(&world, FolderId::INBOX, vec![uid], what);
        }
        let unwanted = FEWEST as usize;
        assert_eq!(round(&world), Counts { wanted: 0, unwanted });
        assert_eq!(think(&world, bad), None, "of wanted mail it knows nothing yet");
        // What was read and kept is wanted, what was not read says nothing.
        for number in 0..FEWEST - 2 {
            let text = format!("the drawing of pump {number}");
            deliver(&world, FolderId::INBOX, &text, Flags::SEEN);
            deliver(&world, FolderId::INBOX, "not opened", Flags::default());
            deliver(&world, FolderId::TRASH, "thrown away", Flags::SEEN);
        }
        let (_, answered) = deliver(&world, FolderId::INBOX, "when do you come?", Flags::default());
        let add = MailWhat::Flag { add: Flags::ANSWERED, remove: Flags::default() };
        order(&world, FolderId::INBOX, vec![answered], add);
        let (_, rescued) = deliver(&world, FolderId::JUNK, "the minutes", Flags::default());
        order(&world, FolderId::JUNK, vec![rescued], MailWhat::Judge { is_junk: false });
        world.office.learning.state.lock().unwrap().looked = None;
        assert_eq!(round(&world), Counts { wanted: unwanted, unwanted });
        assert_eq!(think(&world, bad).unwrap().opinion, Opinion::Unwanted);
        assert_eq!(think(&world, "the drawing of pump 9").unwrap().opinion, Opinion::Wanted);
        // Messages go, what was learned stays, also in the next run of the server.
        let uids = (1..=unwanted as u32).collect();
        order(&world, FolderId::JUNK, uids, MailWhat::Delete { code: ShortCode(1) });
        let next = Learning::new(world.store.clone(), world.office.readers.clone());
        next.round(LATER, &|| false).unwrap();
        assert_eq!(next.counts(), Counts { wanted: unwanted, unwanted });
        assert!(next.learned.model().is_some());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_word_on_a_message_counts() {
    let world = World::new().await;
    tokio::task::block_in_place(|| {
        let (_, uid) = deliver(&world, FolderId::INBOX, "a letter", Flags::default());
        order(&world, FolderId::INBOX, vec![uid], MailWhat::Judge { is_junk: true });
        assert_eq!(round(&world), Counts { wanted: 0, unwanted: 1 });
        order(&world, FolderId::JUNK, vec![1], MailWhat::Move { to: FolderId::INBOX });
        assert_eq!(round(&world), Counts { wanted: 1, unwanted: 0 });
        // To throw it away says nothing.
        let (_, uid) = deliver(&world, FolderId::JUNK, "another", Flags::default());
        order(&world, FolderId::JUNK, vec![uid], MailWhat::Move { to: FolderId::TRASH });
        assert_eq!(round(&world), Counts { wanted: 1, unwanted: 0 });
    });
}

#[test]
fn the_oldest_lessons_go_and_what_people_said_stays_longest() {
    let mut known = Known::default();
    for number in 0..MOST as u64 + 3 {
        known.note(MessageId(number), Label::Unwanted, number != 7);
        known.note(MessageId(number + 10_000), Label::Wanted, true);
    }
    assert_eq!(known.surplus(), [10_000, 10_001, 10_002, 7, 0, 1].map(MessageId));
    assert_eq!(known.counts(), Counts { wanted: MOST, unwanted: MOST });
    assert!(known.surplus().is_empty());
}
