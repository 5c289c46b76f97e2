//! What a server stands on: the clock, the settings file, names and addresses, certificates, connections, sealed secrets, and the log.
//!
//! Nothing here knows a protocol, a mailbox or a page.

pub mod clock;
pub mod config;
pub mod dns;
pub mod logging;
pub mod secrets;
pub mod stream;
pub mod tls;
