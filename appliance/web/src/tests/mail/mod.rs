//! Webmail over its pages.

mod answering;
mod contacts;
mod lists;
mod page;
mod reading;
mod sending;
mod settings;
mod verdict;

use std::time::Duration;

use super::*;

/// Brings the index up to date.
/// Blocks.
fn index(world: &World) {
    tokio::task::block_in_place(|| {
        let data = &world.office.settings.get().data;
        pillarbox_office::mail::index::rebuild(&world.office.store, data).unwrap();
    });
}

/// Sends what is due in so many seconds.
async fn send_due(world: &World, seconds: u64) {
    let (office, at) = (&world.office, clock::now().plus(Duration::from_secs(seconds)));
    pillarbox_office::submission::later::run(&office.submission, &office.condition, at).await;
}

/// The addresses that wait in the queue.
fn queued(world: &World) -> Vec<String> {
    world.queue().into_iter().map(|waiting| waiting.address).collect()
}
