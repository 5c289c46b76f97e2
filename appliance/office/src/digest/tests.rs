use std::net::IpAddr;

use pillarbox_filter::verdict::{Action, Kind, Reason};
use pillarbox_store::{
    Delivery, Fate, Flags, LedgerRecord, NoteSignIn, Placement, ShortCode, SignIn,
};

use super::*;
use crate::world::World;

const DAY: u64 = 24 * 3600;
const NOW: Timestamp = Timestamp(2_000_000_000);

/// Puts a message into the first account's Junk.
fn put(world: &World, subject: &str, at: Timestamp) {
    let account = world.store.read(|r| r.accounts()).unwrap()[0].0;
    let verdict = Verdict {
        action: Action::Junk,
        reasons: vec![Reason::of(Kind::Listed, "bl.test"), Reason::of(Kind::Proven, "b.test")],
    };
    let front = format!("Return-Path: <a@b.test>\r\n{}", verdict.field().unwrap());
    let mut spool = world.store.spool();
    spool
        .append(format!("{front}From: <a@b.test>\r\nSubject: {subject}\r\n\r\nx").as_bytes())
        .unwrap();
    let placement = Placement { account, folder: FolderId::JUNK, flags: Flags::default() };
    let record = LedgerRecord {
        sender: "a@b.test".into(),
        subject: subject.into(),
        ..LedgerRecord::new(at, Fate::Delivered, ShortCode(9))
    };
    let content = spool.finish().unwrap();
    let delivery = Delivery::local(content, front.len() as u16, vec![placement], record);
    world.store.deliver(delivery).wait().unwrap();
}

fn sign_in(world: &World, service: Service) {
    let account = world.store.read(|r| r.accounts()).unwrap()[0].0;
    let peer: IpAddr = "192.168.1.5".parse().unwrap();
    let sign_in = SignIn { peer, service, device: "x".into(), is_accepted: true };
    let note = NoteSignIn { account, at: NOW.minus(Duration::from_secs(DAY)), sign_in };
    world.store.change(note).wait().unwrap();
}

/// Texts of what is in the first account's inbox, decoded as far as these tests need it.
fn told(world: &World) -> Vec<String> {
    let store = &world.store;
    let account = store.read(|r| r.accounts()).unwrap()[0].0;
    let entries = store.read(|r| r.entries_before(account, FolderId::INBOX, u32::MAX, 10)).unwrap();
    let text = |message| {
        let content = store.read(|r| r.content(message)).unwrap().unwrap();
        let mut octets = Vec::new();
        store.read(|r| r.read_inline(&content, &mut octets)).unwrap();
        String::from_utf8(octets).unwrap().replace("=\r\n", "")
    };
    entries.into_iter().map(|(_, entry)| text(entry.message)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fetches_mail_hears_once_a_day_what_is_in_junk_and_why() {
    let world = World::new().await;
    tokio::task::block_in_place(|| {
        let at = |days: u64| NOW.plus(Duration::from_secs(days * DAY));
        put(&world, "Before", NOW);
        tell(&world.store, "box.test", NOW).unwrap();
        assert!(told(&world).is_empty(), "who reads mail in the browser sees the folder");
        sign_in(&world, Service::Web);
        tell(&world.store, "box.test", at(1)).unwrap();
        assert!(told(&world).is_empty());
        sign_in(&world, Service::Pop3);
        put(&world, "An offer", at(1).plus(Duration::from_secs(1)));
        put(&world, "Another offer", at(2));
        tell(&world.store, "box.test", at(2)).unwrap();
        let found = told(&world);
        assert_eq!(found.len(), 1, "{found:?}");
        for words in
            ["An offer", "Another offer", "a@b.test", "bl.test", "https://box.test/mail/5/2"]
        {
            assert!(found[0].contains(words), "{words}: {}", found[0]);
        }
        assert!(!found[0].contains("confirms that it sent"), "what speaks for it is not told");
        assert!(found[0].contains("Kein Spam"), "in both languages");
        assert!(!found[0].contains("Before"), "what came before is not told again");
        tell(&world.store, "box.test", at(2)).unwrap();
        assert_eq!(told(&world).len(), 1, "once a day");
        tell(&world.store, "box.test", at(3)).unwrap();
        assert_eq!(told(&world).len(), 1, "nothing new");
        // After weeks without a program nobody is told any more.
        put(&world, "A third", at(39));
        tell(&world.store, "box.test", at(40)).unwrap();
        assert_eq!(told(&world).len(), 1);
    });
}

#[test]
fn of_many_messages_it_is_said_how_many_there_are() {
    let held = Held { uid: 7, sender: String::new(), subject: "a\nb".into(), verdict: None };
    let english = text(Language::ENGLISH, "box.test", &[held], 3);
    assert!(english.contains("\na b\n    <>\n    https://box.test/mail/5/7\n"), "{english}");
    assert!(english.contains("3 more messages"), "{english}");
}
