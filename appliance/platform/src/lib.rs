//! What a server is built on: the clock, the settings file, names and addresses, certificates, sockets and connections,
//! what these may take of the machine, sealed secrets, and the log.
//!
//! Nothing here knows a protocol, a mailbox or a page.

pub mod budget;
pub mod clock;
pub mod config;
pub mod connections;
pub mod dns;
pub mod error;
pub mod logging;
pub mod memory;
pub mod secrets;
pub mod service;
pub mod sockets;
pub mod stream;
pub mod tasks;
pub mod tls;

pub use error::{Error, Result};
