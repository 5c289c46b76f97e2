//! The queue through the store's front door.

#![allow(clippy::unwrap_used)] // tests may

use pillarbox_vocabulary::Timestamp;
use std::collections::{BTreeMap, HashSet};

use pillarbox_store::*;
use proptest::prelude::*;

fn open(dir: &std::path::Path) -> Store {
    Store::open(dir, Access::Server, &Options::default()).unwrap()
}

fn account(store: &Store) -> AccountId {
    store.change(AddDomain { name: "box.example".into(), at: Timestamp(1) }).wait().unwrap();
    let add = AddAccount {
        address: "ann@box.example".into(),
        name: String::new(),
        hash: "x".into(),
        policy: MailboxPolicy::Keep,
        at: Timestamp(1),
    };
    store.change(add).wait().unwrap()
}

fn waiting(address: &str, due: u64) -> Waiting {
    Waiting {
        address: address.into(),
        domain: address.rsplit_once('@').unwrap().1.into(),
        notices: Notices::default(),
        orcpt: String::new(),
        state: QueueState::Scheduled,
        due: Timestamp(due),
        since: Timestamp(due),
        attempts: 0,
        is_delay_told: false,
        last_at: Timestamp(0),
        last: Detail::None,
        transcript: None,
    }
}

fn relay(account: Option<AccountId>, recipients: Vec<Waiting>) -> Relay {
    let outgoing = Outgoing {
        account,
        code: ShortCode(7),
        sender: "ann@box.example".into(),
        arrived: Timestamp(100),
        traits: Traits::default(),
        envid: String::new(),
        subject: "S".into(),
        signature: Vec::new(),
        remaining: 0,
    };
    Relay { outgoing, recipients, daily_limit: 500 }
}

fn submit(store: &Store, placements: Vec<Placement>, relay: Relay) -> Delivered {
    let mut spool = store.spool();
    spool.append(b"Subject: S\r\n\r\nx\r\n").unwrap();
    let record = LedgerRecord::new(Timestamp(100), Fate::Queued, ShortCode(7));
    let delivery = Delivery {
        relay: Some(relay),
        ..Delivery::local(spool.finish().unwrap(), 0, placements, record)
    };
    store.deliver(delivery).wait().unwrap()
}

fn settlement(message: MessageId, verdicts: Vec<(u32, Verdict)>) -> Settlement {
    Settlement {
        message,
        at: Timestamp(200),
        verdicts,
        records: Vec::new(),
        notices: Vec::new(),
        transcript: None,
    }
}

#[test]
fn a_message_lives_until_its_last_recipient_and_its_sent_copy_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let ann = account(&store);
    let message =
        submit(&store, Vec::new(), relay(Some(ann), vec![waiting("b@x", 5), waiting("c@y", 6)]))
            .message;
    assert_eq!(
        store
            .read(|r| r.agenda(Timestamp(9), 9))
            .unwrap()
            .iter()
            .map(|l| l.1.as_str())
            .collect::<Vec<_>>(),
        ["x", "y"]
    );
    assert_eq!(store.read(|r| r.agenda(Timestamp(5), 9)).unwrap().len(), 1);
    store.settle(settlement(message, vec![(0, Verdict::Gone)])).wait().unwrap();
    assert!(store.read(|r| r.content(message)).unwrap().is_some());
    store.settle(settlement(message, vec![(1, Verdict::Gone)])).wait().unwrap();
    assert!(store.read(|r| r.content(message)).unwrap().is_none());
    assert_eq!(store.read(|r| r.queue_counts()).unwrap(), (0, 0));
    assert_eq!(store.read(|r| r.agenda_span()).unwrap(), None);

    let sent = Placement { account: ann, folder: FolderId::SENT, flags: Flags::SEEN };
    let message = submit(&store, vec![sent], relay(Some(ann), vec![waiting("b@x", 5)])).message;
    store.settle(settlement(message, vec![(0, Verdict::Gone)])).wait().unwrap();
    assert!(store.read(|r| r.content(message)).unwrap().is_some());
}

#[test]
fn the_owners_order_outlives_an_attempt_that_was_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    account(&store);
    let message = submit(&store, Vec::new(), relay(None, vec![waiting("b@x", 5)])).message;
    let key = QueueKey { message, recipient: 0 };
    let order =
        |order| QueueOrder { order, entries: vec![key], at: Timestamp(50), service: Service::Web };
    assert_eq!(store.change(order(Order::Hold(Hold::Owner))).wait().unwrap(), 1);
    store
        .settle(settlement(message, vec![(0, Verdict::Keep(waiting("b@x", 900)))]))
        .wait()
        .unwrap();
    let now = store.read(|r| r.waiting(key)).unwrap().unwrap();
    assert_eq!((now.state, now.due), (QueueState::Held(Hold::Owner), Timestamp(900)));
    assert!(store.read(|r| r.agenda(Timestamp::MAX, 9)).unwrap().is_empty());
    store.change(order(Order::Release)).wait().unwrap();
    assert_eq!(store.read(|r| r.agenda(Timestamp(50), 9)).unwrap().len(), 1);
    store.change(order(Order::Remove)).wait().unwrap();
    assert_eq!(store.change(order(Order::Retry)).wait().unwrap(), 0);
    assert!(store.read(|r| r.content(message)).unwrap().is_none());
    let records = store.read(|r| r.ledger_find(None, 9, |_, _| true)).unwrap();
    let fates: Vec<Fate> = records.iter().map(|r| r.1.fate).collect();
    assert_eq!(fates, [Fate::Deleted, Fate::Queued]);
    assert_eq!(
        (&records[0].1.detail, records[0].1.service),
        (&Detail::Removed, Some(Service::Web))
    );
    assert_eq!(records[0].1.wording(), "removed from the queue by the owner");
}

#[test]
fn what_is_beyond_the_daily_limit_is_held_and_the_next_day_counts_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let ann = account(&store);
    let send = |count: usize, day: u64| {
        let mut relay = relay(Some(ann), vec![waiting("b@x", 5); count]);
        (relay.daily_limit, relay.outgoing.arrived) = (5, Timestamp(day * 86_400));
        submit(&store, Vec::new(), relay).is_held
    };
    assert!(!send(5, 10) && send(1, 10) && !send(5, 11) && send(1, 11));
    assert_eq!(store.read(|r| r.queue_counts()).unwrap(), (12, 10));
}

#[test]
fn notices_are_linked_to_what_they_are_about_and_settled_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let ann = account(&store);
    let sent = Placement { account: ann, folder: FolderId::SENT, flags: Flags::SEEN };
    let message = submit(&store, vec![sent], relay(Some(ann), vec![waiting("b@x", 5)])).message;
    let mut spool = store.spool();
    spool.append(b"Subject: failed\r\n\r\n").unwrap();
    let inbox = Placement { account: ann, folder: FolderId::INBOX, flags: Flags::default() };
    let record = LedgerRecord::new(Timestamp(200), Fate::Delivered, ShortCode(8));
    let mut notice = Delivery::local(spool.finish().unwrap(), 0, vec![inbox], record);
    notice.report_on = Some(message);
    let bounced = LedgerRecord::new(Timestamp(200), Fate::Bounced, ShortCode(7));
    let settled = Settlement {
        records: vec![bounced],
        notices: vec![notice],
        ..settlement(message, vec![(0, Verdict::Gone)])
    };
    store.settle(settled).wait().unwrap();
    let reports = store.read(|r| r.reports(message)).unwrap();
    assert_eq!(reports.len(), 1);
    assert!(store.read(|r| r.content(reports[0])).unwrap().is_some());
    assert_eq!(store.read(|r| r.queue_counts()).unwrap(), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn lanes_and_agenda_always_agree_with_the_queue(steps in proptest::collection::vec((0u8..7, 0u64..6, 0u32..4, 0u64..40), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        account(&store);
        let mut messages = Vec::new();
        for (kind, which, recipient, due) in steps {
            if kind == 0 || messages.is_empty() {
                let recipients = (0..=recipient).map(|n| waiting(&format!("r{n}@d{}", (u64::from(n) + which) % 3), due)).collect();
                messages.push(submit(&store, Vec::new(), relay(None, recipients)).message);
                continue;
            }
            let message = messages[which as usize % messages.len()];
            let key = QueueKey { message, recipient };
            let order = |order| QueueOrder { order, entries: vec![key], at: Timestamp(due), service: Service::Web };
            match kind {
                1 => store.settle(settlement(message, vec![(recipient, Verdict::Gone)])).wait().unwrap(),
                2 => if let Some(old) = store.read(|r| r.waiting(key)).unwrap() {
                    store.settle(settlement(message, vec![(recipient, Verdict::Keep(Waiting { due: Timestamp(due), ..old }))])).wait().unwrap();
                },
                3 => drop(store.change(order(Order::Hold(Hold::Login))).wait().unwrap()),
                4 => drop(store.change(order(Order::Release)).wait().unwrap()),
                5 => drop(store.change(order(Order::Remove)).wait().unwrap()),
                _ => drop(store.change(order(Order::GiveUp)).wait().unwrap()),
            }
        }
        let all = store.read(|r| r.queue(QueueKey { message: MessageId(0), recipient: 0 }, 10_000)).unwrap();
        let mut heads: BTreeMap<DestinationId, Timestamp> = BTreeMap::new();
        let mut scheduled = HashSet::new();
        for (key, waiting) in all.iter().filter(|(_, w)| !matches!(w.state, QueueState::Held(_))) {
            let head = heads.entry(waiting.destination()).or_insert(Timestamp::MAX);
            *head = waiting.due.min(*head);
            scheduled.insert(*key);
        }
        let agenda = store.read(|r| r.agenda(Timestamp::MAX, 100)).unwrap();
        prop_assert_eq!(agenda.iter().map(|l| (l.0, l.2)).collect::<BTreeMap<_, _>>(), heads);
        let mut found = HashSet::new();
        for (destination, domain, _) in &agenda {
            for (key, waiting) in store.read(|r| r.destination(*destination, Timestamp(u64::MAX - 1), 100, |_| false)).unwrap() {
                prop_assert_eq!(&waiting.domain, domain);
                found.insert(key);
            }
        }
        prop_assert_eq!(found, scheduled);
        for message in messages {
            let waits = all.iter().filter(|(key, _)| key.message == message).count() as u32;
            let outgoing = store.read(|r| r.outgoing(message)).unwrap();
            prop_assert_eq!(outgoing.map_or(0, |o| o.remaining), waits);
            prop_assert_eq!(store.read(|r| r.content(message)).unwrap().is_some(), waits > 0);
        }
    }
}
