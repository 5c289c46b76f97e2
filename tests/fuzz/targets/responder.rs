//! The beacon's own modules that hold the name in the office, included as they are: the beacon is a program, not a
//! library.
//! Its sockets stay outside.
#![allow(dead_code)] // the target uses some of them

#[path = "../../../appliance/beacon/src/name/candidates.rs"]
mod candidates;
#[path = "../../../appliance/beacon/src/name/link.rs"]
pub mod link;
#[path = "../../../appliance/beacon/src/name/responder/mod.rs"]
pub mod machine;
#[path = "../../../appliance/beacon/src/name/packet.rs"]
pub mod packet;
#[path = "../../../appliance/beacon/src/name/records.rs"]
mod records;

pub use link::Address;
pub use machine::{Packet, Responder, Standing, Target, Way};
