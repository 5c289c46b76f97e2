//! SMTP from the client's side (RFC 5321 §2.1), without any I/O: one connection, any number of messages.
//!
//! [`Session`] is the main type.
//! It knows the protocol; which server to ask, what TLS must prove and what becomes of a recipient that was refused is
//! the driver's business.
//! It must not know sockets, a clock or DNS.
//!
//! Every message ends in one [`Report`]: a reply for each recipient, or none where the connection ended first.

mod input;
mod peer;
mod session;
mod stuffing;
#[cfg(test)]
mod tests;
mod types;

pub use peer::Peer;
pub use session::Session;
pub use types::{
    Action, Config, Failure, Login, Mailing, Report, Stage, StartTls, Target, Timeouts,
    TranscriptLine,
};
