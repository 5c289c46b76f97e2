//! The MSA role on ports 587 and 465: what may a logged-in person send? (RFC 6409)

use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::ReversePath;
use pillarbox_store::{AccountId, Reader, Resolution, Result};

/// Whether a reverse-path may be used by an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Own,
    Foreign,
}

/// A sender must be an address of the account: its own, an alias that leads to it, or the null path of a notice.
pub fn sender(reader: &Reader, account: AccountId, path: &ReversePath) -> Result<Sender> {
    let ReversePath::Address(address) = path else { return Ok(Sender::Own) };
    Ok(match reader.resolve(&address.canonical())? {
        Resolution::Accounts(accounts) if accounts.contains(&account) => Sender::Own,
        _ => Sender::Foreign,
    })
}

/// The reply to a sender that is not the account's.
pub fn foreign_sender(address: &str, login: &str, code: &str) -> Reply {
    let text = format!("You are logged in as {login}, which may not send as <{address}>; choose one of your own addresses as sender ({code})");
    Reply::new(550, Enhanced(5, 7, 1), text)
}

/// The reply to a recipient outside while the box only delivers within.
pub fn only_within(address: &str, code: &str) -> Reply {
    let text = format!("This Pillarbox delivers only to its own mailboxes, and <{address}> is not one of them ({code})");
    Reply::new(550, Enhanced(5, 7, 1), text)
}
