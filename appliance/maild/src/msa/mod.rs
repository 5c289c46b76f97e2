//! The MSA role (RFC 6409): what a person sends, from a mail program or from webmail. [`Submission`] is the one way.

mod header;
mod mailbox;
mod submission;

pub use header::{Sender, foreign_sender, sender};
pub use submission::{Facts, Refusal, Submission};
