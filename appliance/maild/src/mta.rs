//! The MTA role on port 25: for whom is mail taken from the world? (RFC 5321 §3.3, §3.6)

use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::ForwardPath;
use pillarbox_store::{AccountId, Reader, Resolution, Result};

/// Where a recipient's mail goes, or why it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// To these mailboxes.
    Local(Vec<AccountId>),
    /// Nobody here has this address.
    NoSuchAddress,
    /// The address lies elsewhere.
    Elsewhere,
    /// The box has no mailbox at all yet.
    NotSetUp,
}

/// Looks a recipient up. `postmaster` of the box and of each of its domains always reaches a person
/// (RFC 5321 §4.5.1): its own mailbox or alias, else the first account, which is the owner's.
pub fn route(reader: &Reader, path: &ForwardPath) -> Result<Routing> {
    let (address, is_postmaster) = match path {
        ForwardPath::Address(address) => (address.canonical(), address.local().eq_ignore_ascii_case("postmaster")),
        ForwardPath::Postmaster => {
            let domain = reader.domains()?.into_iter().next().unwrap_or_default();
            (format!("postmaster@{domain}"), true)
        }
    };
    match reader.resolve(&address)? {
        Resolution::Accounts(accounts) => Ok(Routing::Local(accounts)),
        Resolution::NoSuchAddress if is_postmaster => owner(reader),
        Resolution::NoSuchAddress => Ok(Routing::NoSuchAddress),
        Resolution::OtherDomain if matches!(path, ForwardPath::Postmaster) => owner(reader),
        Resolution::OtherDomain => Ok(Routing::Elsewhere),
    }
}

fn owner(reader: &Reader) -> Result<Routing> {
    let first = reader.accounts()?.first().map(|(id, _)| *id);
    Ok(first.map_or(Routing::NotSetUp, |id| Routing::Local(vec![id])))
}

/// The reply to a recipient that is not taken; `code` leads to the ledger.
pub fn refusal(routing: &Routing, address: &str, code: &str) -> Reply {
    match routing {
        Routing::Local(_) => Reply::new(250, Enhanced(2, 1, 5), "Ok"),
        Routing::NoSuchAddress => {
            Reply::new(550, Enhanced(5, 1, 1), format!("Nobody here has the address <{address}>; check the spelling ({code})"))
        }
        Routing::Elsewhere => Reply::new(
            550,
            Enhanced(5, 7, 1),
            format!("This server takes no mail for <{address}>: its domain is not served here, and relaying needs a login on port 587 or 465 ({code})"),
        ),
        Routing::NotSetUp => {
            Reply::new(450, Enhanced(4, 2, 1), format!("This mail box is not set up yet; try again later ({code})"))
        }
    }
}
