//! Pure code on messages (RFC 5322, MIME): what their parts are, what they say, and how they are written.
//!
//! Octets come in pieces and results go out as values. Nothing here knows sockets, threads, a clock, randomness or the store. Every
//! input is taken for hostile: no panic, and bounds in time and memory for each.

pub mod charset;
mod entity;
pub mod flowed;
pub mod html;
mod markup;
pub mod names;
pub mod pictures;
#[cfg(test)]
mod tests;
mod tidy;
pub mod transfer;
pub mod words;
