//! SMTP (RFC 5321) and message submission (RFC 6409) from both sides, without any I/O.
//!
//! [`Session`] is the server's side, [`client::Session`] the client's.
//! The server's knows the protocol; who may send, who exists and where content goes is asked of the driver.
//! It must not know sockets, TLS itself, a clock or the store.
//!
//! | standard | what |
//! |---|---|
//! | RFC 5321, RFC 6409 | SMTP, submission |
//! | RFC 1870 SIZE, RFC 2034 ENHANCEDSTATUSCODES, RFC 2920 PIPELINING, RFC 3030 CHUNKING (no BINARYMIME) | extensions |
//! | RFC 3207 STARTTLS, RFC 3461 DSN, RFC 4954 AUTH (PLAIN, LOGIN), RFC 6152 8BITMIME, RFC 6531 SMTPUTF8 | extensions |
//! | RFC 3848, RFC 6531 §4.3 | names of protocols in trace fields |

pub(crate) mod base64;
pub mod client;
mod command;
mod config;
mod envelope;
mod params;
pub mod server;
pub mod trace;
mod xtext;

pub use base64::encode as encode_base64;
pub use config::{Config, Limits, Offer, Role, Security, Timeouts, TlsFacts};
pub use envelope::{
    Body, Credentials, Envelope, ForwardPath, MailCommand, Notify, Recipient, Ret, ReversePath,
    Secret,
};
pub use server::{Action, Answer, Question, Session, wrong_credentials};
