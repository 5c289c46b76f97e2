//! The MSA role (RFC 6409): what a person sends, from a mail program or from webmail.
//! [`Submission`] is the one way.

mod gathering;
mod header;
pub mod later;
mod mailbox;
mod message;
pub mod send;

pub use crate::delivery::Refusal;
pub use header::{Sender, foreign_sender, sender};
pub use message::{Facts, Submission, SubmissionAgent};
