//! The box's name in the office: a responder for multicast DNS (RFC 6762) that also announces the box's services (RFC
//! 6763).
//! A name is given up only when another machine answers for it with addresses of its own.
//! What comes back of the box's own packets, from whatever address and however late, is never taken for another
//! machine's: routers and repeaters send packets again that they hear.
//!
//! [`Responder`] is a value without sockets and without a clock; `run` gives it both.
//! Its packets are read in `packet`, what it knows of itself is in `records`, what it does on one interface in `link`.

mod candidates;
mod link;
mod packet;
mod records;
mod responder;
mod run;
mod socket;
#[cfg(test)]
mod tests;

pub use run::main;

use link::Address;
use packet::{GROUP_V4, GROUP_V6, LONGEST, PORT};
use responder::{LinkId, Packet, Responder, Standing, Target, Way};
