//! POP3 (RFC 1939): the server session and its vocabulary.

mod listing;
mod session;
mod stuffing;
#[cfg(test)]
mod tests;
mod types;

pub use session::Session;
pub use types::{
    Action, Answer, Config, ContentNeed, Credentials, Entry, Expire, Limits, Offer, PlaintextLogin,
    Question, Refusal, Secret, Security,
};
