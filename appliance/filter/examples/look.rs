//! Looks into messages, and says what was found, how long it took, and the most memory it needed.
//!
//!     cargo run --release -p pillarbox-filter --example look -- MESSAGE...

#![allow(clippy::unwrap_used)] // a tool for ourselves

mod memory;

use std::ops::ControlFlow;
use std::time::Instant;

use memory::peak;
use pillarbox_filter::files::{inspect, survey};

fn main() {
    for path in std::env::args().skip(1) {
        let (message, before) = (std::fs::read(&path).unwrap(), peak());
        let begun = Instant::now();
        let replay = |take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>| {
            let _ = message.chunks(64 * 1024).try_for_each(take);
            Ok::<_, std::convert::Infallible>(())
        };
        let Ok(wanted) = survey(&replay);
        let surveyed = begun.elapsed();
        let Ok(found) = inspect(wanted, &replay);
        println!(
            "{path}: {} octets, {:.1} ms of them {:.1} for taking apart, {} KB more: {:?}",
            message.len(),
            begun.elapsed().as_secs_f64() * 1e3,
            surveyed.as_secs_f64() * 1e3,
            peak().saturating_sub(before),
            found.iter().map(|one| (one.danger, &one.name[..])).collect::<Vec<_>>()
        );
    }
}
