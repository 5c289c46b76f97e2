//! Delivery in a small world: a local zone, scripted servers on loopback addresses of their own, and a clock that the
//! tests set.
//! With the feature `world` the tests of other crates have it, too.

#![allow(clippy::unwrap_used)] // tests may

pub mod authority;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod content;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod names;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod orders;
pub mod peer;
#[cfg(test)]
mod security;
pub mod world;
pub mod zone;
