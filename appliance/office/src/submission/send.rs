//! Mail written on a page goes the way of all submissions.

use std::net::IpAddr;

use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::{Body, ForwardPath, MailCommand, Recipient, ReversePath, trace};
use pillarbox_store::{AccountId, Delivered, DeviceId, Error, ShortCode};
use pillarbox_vocabulary::Address;

use crate::auth::Identity;
use crate::code;
use crate::routing::{self, Routing};
use crate::submission::{self, Facts, Refusal, Submission, SubmissionAgent};

/// Who writes.
pub struct Sender {
    pub account: AccountId,
    /// The account's address.
    pub address: String,
    /// The address it writes from: its own, or one that leads to it.
    pub from: String,
    pub peer: IpAddr,
}

/// Submits a message with CRLF line ends; when this returns well, it is on stable storage.
pub async fn submit(
    agent: &SubmissionAgent,
    sender: Sender,
    recipients: Vec<Address>,
    content: &[u8],
) -> Result<Delivered, Refusal> {
    let mut submission = begin(agent, sender, recipients, Some(content.len() as u64)).await?;
    submission.content(content).await;
    submission.end().await
}

/// Begins a submission whose content comes in pieces; `octets`: its size, where it is known.
pub async fn begin(
    agent: &SubmissionAgent,
    sender: Sender,
    recipients: Vec<Address>,
    octets: Option<u64>,
) -> Result<Submission<'_>, Refusal> {
    let code = code::fresh();
    let Routed { local, accounts, remote } = route(agent, recipients, code).await?;
    let path = Address::parse(&sender.from).map_err(|_| Error::Closed)?;
    let reverse_path = ReversePath::Address(path);
    check(agent, &sender, reverse_path.clone(), code).await?;
    let mail = MailCommand {
        reverse_path,
        size: octets,
        body: Body::EightBitMime,
        smtputf8: true,
        requiretls: false,
        ret: None,
        envid: None,
        auth: None,
    };
    let identity = Identity {
        account: sender.account,
        address: sender.address,
        device: DeviceId::MAIN,
        label: "web".into(),
    };
    let hostname = agent.settings.get().hostname();
    let received = trace::Received {
        hello: hostname.clone(),
        peer: trace::Peer::Hidden,
        hostname,
        protocol: "HTTP",
        tls: None,
        id: code.to_string(),
        recipient: None,
        date: String::new(),
    };
    let facts =
        Facts { identity, peer: sender.peer, code, mail, received, local, accounts, remote };
    Ok(Submission::begin(agent, facts).await?)
}

/// Recipients by where their mail goes.
#[derive(Default)]
struct Routed {
    local: Vec<Recipient>,
    /// Mailboxes of the local ones.
    accounts: Vec<AccountId>,
    remote: Vec<Recipient>,
}

/// Looks recipients up; one that does not exist is refused, and with it the message.
async fn route(
    agent: &SubmissionAgent,
    recipients: Vec<Address>,
    code: ShortCode,
) -> Result<Routed, Refusal> {
    let wanted = recipients.into_iter().map(ForwardPath::Address).collect();
    let mut routed = Routed::default();
    for (routing, path) in routing::find_all(&agent.store, &agent.settings.get(), wanted).await? {
        let recipient = Recipient { path, notify: None, orcpt: None };
        match routing {
            Routing::Local(found) => {
                routed.accounts.extend(found);
                routed.local.push(recipient);
            }
            Routing::Elsewhere => routed.remote.push(recipient),
            Routing::NoSuchAddress | Routing::NotSetUp => {
                let text = format!("{} is not an address of this box ({code})", recipient.path);
                return Err(Refusal::Said(Reply::new(550, Enhanced(5, 1, 1), text)));
            }
        }
    }
    Ok(routed)
}

/// Refuses a sender's address that is not the account's.
async fn check(
    agent: &SubmissionAgent,
    sender: &Sender,
    path: ReversePath,
    code: ShortCode,
) -> Result<(), Refusal> {
    let account = sender.account;
    let whose = agent.store.read_off_thread(move |r| submission::sender(r, account, &path)).await?;
    if whose == submission::Sender::Foreign {
        let (from, login) = (&sender.from, &sender.address);
        let reply = submission::foreign_sender("as sender", from, login, &code.to_string());
        return Err(Refusal::Said(reply));
    }
    Ok(())
}
