//! Pure protocol cores.
//!
//! A protocol session is a value: octets and answers go in, a closed set of actions comes out.
//! Nothing here knows sockets, threads, a clock, randomness or the store; time is a parameter.

pub mod pop3;
pub mod reply;
pub mod smtp;
