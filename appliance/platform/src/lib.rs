//! What a server stands on: the clock, sealed secrets, and the log.
//!
//! Nothing here knows a protocol, a mailbox or a page.

pub mod clock;
pub mod logging;
pub mod secrets;
