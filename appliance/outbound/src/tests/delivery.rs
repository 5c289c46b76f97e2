//! What becomes of mail for servers that behave, misbehave and are not there.

use pillarbox_platform::config::seconds;
use pillarbox_store::{Fate, QueueKey, Timestamp};

use super::peer::{Fault, Peer, Script};
use super::world::{START, World, host};

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_to_the_best_host_and_the_ledger_has_its_answer() {
    let world = World::new().await;
    let second = world.server("a.test", 2, 20, vec![Script::default()]).await;
    let first = world.server("a.test", 1, 10, vec![Script::default()]).await;
    let message = world.submit(&["bob@a.test", "cy@a.test"]).await;
    world.work().await;
    assert_eq!((first.connections(), second.connections()), (1, 0));
    let taken = first.taken();
    assert_eq!((taken.len(), taken[0].to.len(), taken[0].from.as_str()), (1, 2, "ann@box.test"));
    // The Return-Path is final delivery's and stays here.
    assert_eq!(taken[0].content, "Subject: Offer\r\nMessage-ID: <m@box.test>\r\n\r\nHello\r\n");
    assert!(world.queue().is_empty());
    assert_eq!(
        world.story(message)[1],
        (Fate::Relayed, "mx1.test said: 250 2.0.0 queued as X".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_are_down_are_passed_over() {
    let world = World::new().await;
    // The first can't be reached, the second hangs up, the third says no.
    world.zone.mx("a.test", 5, "mx9.test");
    world.zone.address("mx9.test", host(9));
    let drops = Script { fault: Fault::DropAtOnce, ..Script::default() };
    let closed = Script { greeting: "554 5.3.2 no mail today", ..Script::default() };
    let second = world.server("a.test", 1, 10, vec![drops]).await;
    let third = world.server("a.test", 2, 20, vec![closed]).await;
    let fourth = world.server("a.test", 3, 30, vec![Script::default()]).await;
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert_eq!((second.connections(), third.connections(), fourth.taken().len()), (1, 1, 1));
    assert!(world.queue().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_without_mx_is_its_own_host_and_null_mx_takes_nothing() {
    let world = World::new().await;
    world.zone.address("plain.test", host(4));
    let peer = Peer::listen(host(4), world.port, vec![Script::default()]).await;
    world.zone.mx("null.test", 0, ".");
    let good = world.submit(&["bob@plain.test"]).await;
    let null = world.submit(&["bob@null.test"]).await;
    let missing = world.submit(&["bob@nowhere.test"]).await;
    world.work().await;
    assert_eq!(peer.taken().len(), 1);
    assert_eq!(world.fates(good), [Fate::Queued, Fate::Relayed]);
    assert_eq!(world.fates(null), [Fate::Queued, Fate::Bounced]);
    assert_eq!(world.fates(missing), [Fate::Queued, Fate::Bounced]);
    let inbox = world.inbox().concat();
    assert!(inbox.contains("Status: 5.1.10") && inbox.contains("Status: 5.1.2"), "{inbox}");
}

#[tokio::test(flavor = "multi_thread")]
async fn later_is_tried_later_and_then_delivered_once() {
    let world = World::new().await;
    let later =
        Script { recipients: vec![("bob@a.test", "451 4.7.1 greylisted")], ..Script::default() };
    let peer = world.server("a.test", 1, 10, vec![later.clone(), later, Script::default()]).await;
    let message = world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert_eq!(world.work().await, 0, "nothing is due before its time");
    let queue = world.queue();
    assert_eq!(
        (queue[0].attempts, queue[0].last.to_string().as_str()),
        (1, "mx1.test said: 451 4.7.1 greylisted")
    );
    assert!(queue[0].due >= START.plus(seconds(60)));
    world.work_on(2).await;
    assert_eq!((peer.taken().len(), world.queue().len()), (1, 0));
    assert_eq!(world.fates(message), [Fate::Queued, Fate::Queued, Fate::Queued, Fate::Relayed]);
    assert!(world.inbox().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recipient_has_an_outcome_of_its_own() {
    let world = World::new().await;
    let mixed = Script {
        recipients: vec![("no@a.test", "550 5.1.1 unknown"), ("later@a.test", "450 4.2.2 full")],
        ..Script::default()
    };
    let peer = world.server("a.test", 1, 10, vec![mixed, Script::default()]).await;
    let message = world.submit(&["yes@a.test", "no@a.test", "later@a.test"]).await;
    world.work().await;
    assert_eq!(peer.taken()[0].to, ["yes@a.test"]);
    assert_eq!(
        world.queue().iter().map(|w| w.address.as_str()).collect::<Vec<_>>(),
        ["later@a.test"]
    );
    let notice = world.inbox();
    assert_eq!(notice.len(), 1);
    assert!(
        notice[0].contains("Final-Recipient: rfc822; no@a.test")
            && !notice[0].contains("yes@a.test")
    );
    let reports = world.store.read(|r| r.reports(message)).unwrap();
    assert_eq!(reports.len(), 1, "the notice is linked to what it is about");
    world.work_on(1).await;
    assert_eq!(peer.taken()[1].to, ["later@a.test"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_break_lose_nothing_and_double_only_where_nobody_can_know() {
    let world = World::new().await;
    let cut = |fault| Script { fault, ..Script::default() };
    let peer = world
        .server(
            "a.test",
            1,
            10,
            vec![cut(Fault::DropInContent), cut(Fault::DropAfterContent), Script::default()],
        )
        .await;
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert_eq!((peer.taken().len(), world.queue().len()), (0, 1));
    world.work_on(1).await;
    // The server has it, but did not say so.
    assert_eq!((peer.taken().len(), world.queue().len()), (1, 1));
    world.work_on(1).await;
    assert_eq!((peer.taken().len(), world.queue().len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_given_its_time_and_no_more() {
    let world = World::with(super::zone::Zone::plain(), |config| {
        (config.outbound.command, config.outbound.data) = (1, 1)
    })
    .await;
    let peer = world
        .server("a.test", 1, 10, vec![Script { fault: Fault::HangAtData, ..Script::default() }])
        .await;
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert_eq!(peer.connections(), 1);
    assert!(
        world.queue()[0].last.to_string().contains("silent for too long"),
        "{}",
        world.queue()[0].last
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_forgets_nothing_and_repeats_nothing() {
    let world = World::new().await;
    let mixed =
        Script { recipients: vec![("later@a.test", "450 4.2.1 later")], ..Script::default() };
    let peer = world.server("a.test", 1, 10, vec![mixed, Script::default()]).await;
    world.submit(&["now@a.test", "later@a.test"]).await;
    world.work().await;
    // Claimed and never worked on: what a crash leaves behind.
    world.wait(600);
    let claimed = world.outbound.claim(None).await.unwrap();
    assert!(claimed.is_some() && world.outbound.claim(None).await.unwrap().is_none());
    drop(claimed);
    let world = world.restart().await;
    world.work().await;
    let to: Vec<_> = peer.taken().into_iter().flat_map(|t| t.to).collect();
    assert_eq!(to, ["now@a.test", "later@a.test"]);
    assert!(world.queue().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_wakes_in_1970_gives_nothing_up() {
    let world = World::new().await;
    let busy = Script { mail: "451 4.3.0 later", ..Script::default() };
    let peer = world.server("a.test", 1, 10, vec![busy.clone(), busy, Script::default()]).await;
    world.set_clock(Timestamp(100), false);
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    // The time is set: fifty years pass at once.
    world.set_clock(START, true);
    world.work().await;
    assert_eq!((world.queue().len(), world.inbox().len()), (1, 0));
    world.work_on(1).await;
    assert_eq!(peer.taken().len(), 1);
    // And a clock that is set back must not leave mail waiting for the old future.
    world.submit(&["bob@a.test"]).await;
    world.set_clock(START.minus(seconds(30 * 86_400)), true);
    assert_eq!(world.work().await, 0);
    crate::agenda::mend_far_future(&world.outbound).await.unwrap();
    world.work().await;
    assert_eq!(peer.taken().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_that_contradicts_itself_is_passed_over_and_its_words_are_kept() {
    let world = World::new().await;
    let broken = Script {
        greeting: "220-mx.remote.test ESMTP\r\n521 5.7.1 Your address is on a list",
        ..Script::default()
    };
    world.server("a.test", 1, 10, vec![broken.clone()]).await;
    let second = world.server("a.test", 2, 20, vec![Script::default()]).await;
    world.server("b.test", 3, 10, vec![broken]).await;
    world.submit(&["bob@a.test"]).await;
    let message = world.submit(&["bob@b.test"]).await;
    world.work().await;
    assert_eq!(second.taken().len(), 1);
    let (fate, detail) = world.story(message).pop().unwrap();
    assert!(
        fate == Fate::Queued
            && detail.ends_with("its last line: 521 5.7.1 Your address is on a list"),
        "{detail}"
    );
    assert_eq!(world.queue()[0].last.to_string(), detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_recipient_too_many_waits_for_a_further_transaction() {
    let world = World::new().await;
    let few = Script {
        recipients: vec![
            ("c@a.test", "552 5.5.3 Too many recipients"),
            ("f@a.test", "552 5.2.2 Mailbox full"),
        ],
        ..Script::default()
    };
    let peer = world.server("a.test", 1, 10, vec![few, Script::default()]).await;
    let message = world.submit(&["a@a.test", "b@a.test", "c@a.test", "d@a.test", "f@a.test"]).await;
    world.work_on(3).await;
    let taken = peer.taken();
    assert_eq!(
        taken.iter().map(|t| t.to.join(" ")).collect::<Vec<_>>(),
        ["a@a.test b@a.test d@a.test", "c@a.test"]
    );
    assert_eq!(world.fates(message).iter().filter(|f| **f == Fate::Bounced).count(), 1);
}

/// Pages of the store that a claim looks at can't be counted here; what it must not do is look at entries that are not
/// due, or hold them.
/// So: the time of a claim with a hundred thousand entries that are not due beside one without.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_due_costs_nothing() {
    let world = World::new().await;
    world.submit(&["bob@first.test"]).await;
    let fill = |world: &World, count: usize| {
        let due = world.at().plus(seconds(86_400));
        let per_message = 1000;
        for message in 0..count / per_message {
            let recipients: Vec<String> = (0..per_message)
                .map(|n| format!("r{n}@d{}.test", (message * 7 + n) % 997))
                .collect();
            world.enqueue_at(&recipients, due);
        }
    };
    let measure = async || {
        let begun = std::time::Instant::now();
        for _ in 0..200 {
            let batch = world.outbound.claim(None).await.unwrap().unwrap();
            assert_eq!((batch.domain.as_str(), batch.entries.len()), ("first.test", 1));
            world.outbound.give_back(batch.entries.iter().map(|(key, _)| *key));
            world.outbound.worker_ends("first.test");
        }
        begun.elapsed()
    };
    measure().await;
    let before = measure().await;
    tokio::task::block_in_place(|| fill(&world, 100_000));
    let after = measure().await;
    let (all, _) = world.store.read(|r| r.queue_counts()).unwrap();
    assert_eq!(all, 100_001);
    // No timed test: a walk over the hundred thousand would take hundreds of times as long, not ten.
    assert!(
        after < before * 10 + std::time::Duration::from_millis(50),
        "{before:?} became {after:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_is_used_after_ipv4_has_failed() {
    // A machine without IPv6 can't reach it: the first half still holds there.
    let world = World::new().await;
    world.zone.mx("a.test", 10, "mx1.test");
    world.zone.address("mx1.test", host(1));
    world.zone.address("mx1.test", "::1".parse().unwrap());
    let has_ipv6 = tokio::net::TcpListener::bind("[::1]:0").await.is_ok();
    let peer = if has_ipv6 {
        Some(Peer::listen("::1".parse().unwrap(), world.port, vec![Script::default()]).await)
    } else {
        None
    };
    let message = world.submit(&["bob@a.test"]).await;
    world.work().await;
    match peer {
        Some(peer) => assert_eq!(peer.taken().len(), 1),
        None => {
            let transcript = world
                .store
                .read(|r| r.transcript(QueueKey { message, recipient: 0 }))
                .unwrap()
                .unwrap()
                .text;
            assert!(
                transcript.contains("[127.0.1.1]") && transcript.contains("[::1]"),
                "{transcript}"
            );
        }
    }
}
