//! What becomes of mail for servers that behave, misbehave and are not there.

use pillarbox_store::{
    Detail, Fate, Hold, Notices, Order, QueueKey, QueueOrder, QueueState, Route, RouteTls, Service,
    Traits,
};

use super::peer::{Fault, Peer, Script};
use super::world::{START, World, host};
use crate::ROUTE_PURPOSE;

/// What the ledger tells of a message, oldest first.
pub fn fates(world: &World, message: pillarbox_store::MessageId) -> Vec<Fate> {
    world.story(message).into_iter().map(|(fate, _)| fate).collect()
}

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
    // Nobody listens on the first, the second hangs up, the third says no.
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
    assert_eq!(fates(&world, good), [Fate::Queued, Fate::Relayed]);
    assert_eq!(fates(&world, null), [Fate::Queued, Fate::Bounced]);
    assert_eq!(fates(&world, missing), [Fate::Queued, Fate::Bounced]);
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
    assert!(queue[0].due >= START + 60);
    world.work_on(2).await;
    assert_eq!((peer.taken().len(), world.queue().len()), (1, 0));
    assert_eq!(fates(&world, message), [Fate::Queued, Fate::Queued, Fate::Queued, Fate::Relayed]);
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
async fn the_sender_hears_of_a_delay_once_and_of_the_end() {
    let world = World::new().await;
    let busy = Script { mail: "452 4.3.1 no room", ..Script::default() };
    world.server("a.test", 1, 10, vec![busy]).await;
    let message = world.submit(&["bob@a.test"]).await;
    world.work_on(60).await;
    assert!(world.queue().is_empty());
    let inbox = world.inbox();
    assert_eq!(inbox.len(), 2, "one delay, one end");
    assert!(inbox[0].contains("Action: delayed") && inbox[0].contains("Will-Retry-Until:"));
    assert!(inbox[1].contains("Action: failed") && inbox[1].contains("Status: 5.3.1"));
    let story = fates(&world, message);
    assert_eq!((story[0], story.last().copied()), (Fate::Queued, Some(Fate::Expired)));
    assert!(world.at() >= START + 5 * 86_400 && world.at() < START + 6 * 86_400);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_answers_and_notices_get_no_notices() {
    let world = World::new().await;
    let no = Script { recipients: vec![("bob@a.test", "550 5.1.1 unknown")], ..Script::default() };
    world.server("a.test", 1, 10, vec![no]).await;
    let message = world
        .submit_as(&["bob@a.test"], Traits::AUTOMATIC, Notices::default(), "Subject: x\r\n\r\n")
        .await;
    let never = world
        .submit_as(&["bob@a.test"], Traits::default(), Notices::ASKED, "Subject: x\r\n\r\n")
        .await;
    world.work().await;
    assert!(world.inbox().is_empty());
    assert_eq!(fates(&world, message), [Fate::Queued, Fate::Bounced]);
    assert_eq!(fates(&world, never), [Fate::Queued, Fate::Bounced]);
}

#[tokio::test(flavor = "multi_thread")]
async fn success_is_told_where_the_other_server_will_not() {
    let world = World::new().await;
    let without = Script { abilities: vec![], ..Script::default() };
    world.server("a.test", 1, 10, vec![without]).await;
    world.server("b.test", 2, 10, vec![Script::default()]).await;
    let wanted = Notices::ASKED.with(Notices::SUCCESS);
    world
        .submit_as(&["bob@a.test", "bob@b.test"], Traits::default(), wanted, "Subject: x\r\n\r\n")
        .await;
    world.work().await;
    let inbox = world.inbox();
    assert_eq!(inbox.len(), 1);
    assert!(inbox[0].contains("Action: relayed") && inbox[0].contains("bob@a.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_servers_get_seven_bits_and_the_same_text() {
    let world = World::new().await;
    let old = Script { abilities: vec![], ..Script::default() };
    let peer = world.server("a.test", 1, 10, vec![old]).await;
    let content = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n";
    world.submit_as(&["bob@a.test"], Traits::EIGHT_BIT, Notices::default(), content).await;
    world.work().await;
    let taken = &peer.taken()[0].content;
    assert!(
        taken.is_ascii() && taken.contains("Gr=C3=BC=C3=9Fe") && taken.contains("quoted-printable"),
        "{taken}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_beyond_ascii_need_a_server_that_knows_them() {
    let world = World::new().await;
    let old = Script { abilities: vec!["8BITMIME"], ..Script::default() };
    let peer = world.server("a.test", 1, 10, vec![old]).await;
    world
        .submit_as(&["grüße@a.test"], Traits::UTF8, Notices::default(), "Subject: x\r\n\r\n")
        .await;
    world.work().await;
    assert!(peer.taken().is_empty());
    assert!(world.inbox()[0].contains("Status: 5.6.7"));
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
    world.set_clock(100, false);
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
    world.set_clock(START - 30 * 86_400, true);
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
    assert_eq!(fates(&world, message).iter().filter(|f| **f == Fate::Bounced).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_are_too_long_are_encoded_and_wide_ones_stay_wide() {
    let world = World::new().await;
    let peer = world.server("a.test", 1, 10, vec![Script::default()]).await;
    let long = "Gr\u{fc}\u{df}e ".repeat(500);
    let content = format!(
        "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{long}\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nkurz und gr\u{fc}n\r\n--b--\r\n"
    );
    world
        .submit_as(
            &["bob@a.test"],
            Traits::EIGHT_BIT.with(Traits::LONG_LINES),
            Notices::default(),
            &content,
        )
        .await;
    world.work().await;
    let taken = &peer.taken()[0].content;
    assert!(
        taken.split("\r\n").all(|line| line.len() <= 998)
            && taken.contains("\r\nkurz und gr\u{fc}n\r\n"),
        "{taken}"
    );
    let parsed = mail_parser::MessageParser::new().parse(taken.as_bytes()).unwrap();
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), long.trim_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_several_messages() {
    let world = World::new().await;
    let peer = world.server("a.test", 1, 10, vec![Script::default()]).await;
    for _ in 0..50 {
        world.submit(&["bob@a.test"]).await;
    }
    world.work().await;
    assert_eq!((peer.taken().len(), peer.connections()), (50, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_one_message_a_connection_gets_a_connection_each() {
    let world = World::new().await;
    let peer = world
        .server("a.test", 1, 10, vec![Script { fault: Fault::OneMessage, ..Script::default() }])
        .await;
    for _ in 0..5 {
        world.submit(&["bob@a.test"]).await;
    }
    world.work().await;
    assert_eq!((peer.taken().len(), peer.connections(), world.queue().len()), (5, 5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_makes_the_server_hang_up_does_not_hold_up_the_others() {
    let world = World::new().await;
    let peer = world
        .server("a.test", 1, 10, vec![Script { fault: Fault::Poison, ..Script::default() }])
        .await;
    for subject in ["a", "poison", "b", "poison", "c"] {
        let content = format!("Subject: {subject}\r\n\r\n");
        world.submit_as(&["bob@a.test"], Traits::default(), Notices::default(), &content).await;
    }
    world.work().await;
    assert_eq!((peer.taken().len(), world.queue().len()), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_share_the_connections_fairly() {
    let world = World::new().await;
    world.server("a.test", 1, 10, vec![Script::default()]).await;
    world.server("b.test", 2, 10, vec![Script::default()]).await;
    for _ in 0..300 {
        world.submit(&["bob@a.test"]).await;
    }
    world.wait(1);
    world.submit(&["bob@b.test"]).await;
    let mut domains = Vec::new();
    while let Some(batch) = world.outbound.claim(None).await.unwrap() {
        domains.push(batch.domain.clone());
    }
    // The small one is second although it is younger, and the large one does not get more than its share.
    assert_eq!(domains, ["a.test", "b.test", "a.test", "a.test", "a.test"]);
}

fn route(world: &World, tls: RouteTls, port: u16) -> Route {
    let sealed = world.outbound.secrets.seal(ROUTE_PURPOSE, b"secret").unwrap();
    Route {
        host: "relay.test".into(),
        port,
        tls,
        user: "me".into(),
        sealed,
        fault: Detail::None,
        told_at: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_stops_the_provider_and_tells_the_owner_not_the_sender() {
    let (world, tls) = super::authority::world_with_authority("relay.test").await;
    world.zone.address("relay.test", host(5));
    let abilities = vec!["AUTH PLAIN", "PIPELINING"];
    let wrong = Script {
        tls: Some(tls),
        login: "535 5.7.8 wrong password",
        abilities,
        ..Script::default()
    };
    let right = Script { login: "235 2.7.0 welcome", ..wrong.clone() };
    let peer = Peer::listen(host(5), world.port, vec![wrong, right]).await;
    let set = |route| pillarbox_store::SetRoute { domain: String::new(), route };
    world.store.change(set(route(&world, RouteTls::StartTls, world.port))).done().await.unwrap();
    for to in ["a@x.test", "b@y.test", "c@z.test"] {
        world.submit(&[to]).await;
    }
    world.work().await;
    assert_eq!(peer.connections(), 1, "the provider is not asked again and again");
    assert!(world.queue().iter().all(|w| w.state == QueueState::Held(Hold::Login)));
    let inbox = world.inbox();
    assert_eq!(inbox.len(), 1);
    assert!(inbox[0].contains("relay.test") && inbox[0].contains("535"), "{}", inbox[0]);
    // The owner sets the right one: everything goes, over one connection although the domains differ.
    world.store.change(set(route(&world, RouteTls::StartTls, world.port))).done().await.unwrap();
    let from = QueueKey { message: pillarbox_store::MessageId(0), recipient: 0 };
    let entries =
        world.store.read(|r| r.queue(from, 99)).unwrap().into_iter().map(|(key, _)| key).collect();
    let order = QueueOrder {
        order: Order::Release,
        entries,
        at: world.at(),
        service: Service::CommandLine,
    };
    world.store.change(order).done().await.unwrap();
    world.work().await;
    let taken = peer.taken();
    assert_eq!((taken.len(), peer.connections()), (3, 2));
    assert!(taken.iter().all(|t| t.under_tls));
}

/// Pages of the store that a claim looks at can't be counted here; what it must not do is look at entries that are not
/// due, or hold them.
/// So: the time of a claim with a hundred thousand entries that are not due beside one without.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_due_costs_nothing() {
    let world = World::new().await;
    world.submit(&["bob@first.test"]).await;
    let fill = |world: &World, count: usize| {
        let due = world.at() + 86_400;
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
    // A machine without IPv6 has nobody to reach there: the first half still holds on it.
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
