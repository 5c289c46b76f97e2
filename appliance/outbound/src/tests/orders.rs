//! What the owner orders about mail that waits, and about mail that is under way.

use pillarbox_store::{Fate, Hold, Order, QueueKey, QueueOrder, Service};

use super::peer::Script;
use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_can_hold_release_remove_and_give_up() {
    let world = World::new().await;
    let peer = world.server("a.test", 1, 10, vec![Script::default()]).await;
    let messages = [
        world.submit(&["a@a.test"]).await,
        world.submit(&["b@a.test"]).await,
        world.submit(&["c@a.test"]).await,
    ];
    let give = async |which: usize, order| {
        let entries = vec![QueueKey { message: messages[which], recipient: 0 }];
        let order = QueueOrder { order, entries, at: world.at(), service: Service::CommandLine };
        world.store.change(order).done().await.unwrap();
    };
    give(0, Order::Hold(Hold::Owner)).await;
    give(1, Order::Remove).await;
    give(2, Order::GiveUp).await;
    world.work().await;
    assert_eq!((peer.connections(), world.queue().len()), (0, 1));
    assert!(world.inbox()[0].contains("given up by the owner"));
    assert_eq!(world.fates(messages[1]), [Fate::Queued, Fate::Deleted]);
    give(0, Order::Release).await;
    world.work().await;
    assert_eq!(peer.taken()[0].to, ["a@a.test"]);
}

/// Gives an order while a worker waits for the server's greeting; returns what the ledger tells, and the queue's
/// length.
async fn ordered_under_way(order: Order) -> (Vec<Fate>, usize, usize) {
    let world = World::new().await;
    let gate = std::sync::Arc::new(tokio::sync::Notify::new());
    let peer = world
        .server("a.test", 1, 10, vec![Script { gate: Some(gate.clone()), ..Script::default() }])
        .await;
    let message = world.submit(&["bob@a.test", "cy@a.test"]).await;
    let owner = async {
        while peer.connections() == 0 {
            tokio::task::yield_now().await;
        }
        let key = QueueKey { message, recipient: 0 };
        assert!(world.outbound.is_under_way(key), "the owner is told so");
        let entries = vec![key];
        world
            .store
            .change(QueueOrder { order, entries, at: world.at(), service: Service::CommandLine })
            .done()
            .await
            .unwrap();
        gate.notify_one();
    };
    let (_, ()) = tokio::join!(world.work(), owner);
    let taken = peer.taken();
    assert_eq!(
        (taken.len(), taken[0].to.as_slice()),
        (1, &["cy@a.test".to_string()][..]),
        "{order:?}"
    );
    (world.fates(message), world.queue().len(), world.inbox().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_stops_while_the_server_is_being_reached_does_not_go() {
    assert_eq!(
        ordered_under_way(Order::Remove).await,
        (vec![Fate::Queued, Fate::Deleted, Fate::Relayed], 0, 0)
    );
    assert_eq!(
        ordered_under_way(Order::Hold(Hold::Owner)).await,
        (vec![Fate::Queued, Fate::Relayed], 1, 0)
    );
    // Given up: the sender hears of it.
    assert_eq!(
        ordered_under_way(Order::GiveUp).await,
        (vec![Fate::Queued, Fate::Relayed, Fate::Bounced], 0, 1)
    );
}
