//! How many messages a connection carries, and how destinations share connections.

use pillarbox_store::{Notices, Traits};

use super::peer::{Fault, Script};
use super::world::World;

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
