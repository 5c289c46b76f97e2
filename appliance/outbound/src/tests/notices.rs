//! What the sender hears, and what the owner.

use pillarbox_platform::config::seconds;
use pillarbox_store::{
    Detail, Fate, Hold, Notices, Order, QueueKey, QueueOrder, QueueState, Route, RouteTls, Service,
    Timestamp, Traits,
};

use super::peer::{Peer, Script};
use super::world::{START, World, host};
use crate::ROUTE_PURPOSE;

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
    let story = world.fates(message);
    assert_eq!((story[0], story.last().copied()), (Fate::Queued, Some(Fate::Expired)));
    assert!(
        world.at() >= START.plus(seconds(5 * 86_400))
            && world.at() < START.plus(seconds(6 * 86_400))
    );
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
    assert_eq!(world.fates(message), [Fate::Queued, Fate::Bounced]);
    assert_eq!(world.fates(never), [Fate::Queued, Fate::Bounced]);
}

#[tokio::test(flavor = "multi_thread")]
async fn success_is_reported_where_the_other_server_will_not() {
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

fn route(world: &World, tls: RouteTls, port: u16) -> Route {
    let sealed = world.outbound.secrets.seal(ROUTE_PURPOSE, b"secret").unwrap();
    Route {
        host: "relay.test".into(),
        port,
        tls,
        user: "me".into(),
        sealed,
        fault: Detail::None,
        told_at: Timestamp(0),
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
