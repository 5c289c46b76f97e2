//! Mail to other servers: the scheduler that takes what is due from the queue, and the workers that carry it.
//!
//! ```text
//! agenda (destination queues by time) ── claim ── worker: hosts, TLS policy, connection, messages
//!        ── decide ── settle (one commit)
//! ```
//! What is due is found by looking at the front of an index; what is not due costs nothing.
//! A worker holds the recipients it works on, in memory only: after a crash they are due again, and nothing was settled
//! that was not done.

mod agenda;
mod dane;
pub mod dkim;
mod doctor;
mod dsn;
mod endpoint;
mod error;
mod exchangers;
mod failure;
mod next_hop;
mod owner;
mod policy;
mod schedule;
mod sender;
mod source;
mod sts;
#[cfg(any(test, feature = "world"))]
pub mod tests;
mod tls;
mod transport;
mod trial;
mod work;

pub use agenda::run;
pub use doctor::{Finding, Findings, Topic, examine, findings};
pub use dsn::SEPARATOR;
pub use error::{Error, PolicyFault, Result};
pub use failure::failure_class;
pub use owner::{Arrived, letter, tell_delivered, tell_of_limit};
pub use schedule::Now;
pub use sender::{Handles, Outbound, ROUTE_PURPOSE, release_after_login};
pub use source::Source;
pub use tls::{ClientTls, Security};
pub use transport::{Connection, Endpoint};
pub use trial::{Trial, greet, mailing, try_route};
