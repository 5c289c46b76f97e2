//! Delivery in a small world: a local zone, scripted servers on loopback addresses of their own, and a clock that the
//! tests set.

mod delivery;
mod names;
mod orders;
pub mod peer;
pub mod security;
pub mod world;
mod zone;
