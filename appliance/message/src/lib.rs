//! Pure code on messages (RFC 5322, MIME): what their parts are, what they say, and how they are written.
//!
//! Octets come in pieces and results go out as values.
//! Nothing here knows sockets, threads, a clock, randomness or the store.
//! Every input is taken for hostile: no panic, and bounds in time and memory for each.

pub mod addresses;
pub mod blanks;
pub mod calendar;
pub mod charset;
pub mod choice;
pub mod draft;
pub mod eight_bit;
pub mod encode;
mod entity;
pub mod extract;
pub mod field;
pub mod flowed;
pub mod head;
pub mod html;
pub mod iban;
pub mod lines;
pub mod markup;
pub mod names;
pub mod own_fields;
pub mod pictures;
pub mod received;
mod repair;
pub mod structure;
#[cfg(test)]
mod tests;
mod tidy;
pub mod transfer;
pub mod vcard;
pub mod winmail;
pub mod words;
