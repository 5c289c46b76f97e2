//! What the box's programs ask of the system.
//! A closed list: each request is a type whose values are checked when they are made, and a pure function says which
//! steps fulfil it.
//! `pillarbox-privop` is the one program that runs as root, one process a request; whoever asks is known by the socket
//! (SO_PEERCRED).

pub mod client;
pub mod net;
pub mod plan;
pub mod request;
pub mod serve;
pub mod status_file;
pub mod text;
pub mod values;
pub mod wireless;

pub use client::ask;
pub use request::{Answer, Caller, Request};
pub use status_file::StatusFile;

/// Where requests are taken.
pub const SOCKET: &str = "/run/pillarbox-privop.sock";
/// Octets of a request and of an answer.
pub const OCTETS: usize = 64 * 1024;
