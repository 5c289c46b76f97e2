//! Messages that go out by themselves: a moment after "send", so that they can be called back, or at a time that was
//! chosen.
//! Until then they are among the drafts, on stable storage; if the box stops between sending and tidying up, a message
//! may go out twice, with the same Message-ID, but never not at all.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use pillarbox_message::structure::Structure;
use pillarbox_outbound::Source;
use pillarbox_store::{
    AccountId, Content, Error, Flags, FolderId, MailOrder, MailWhat, MessageId, Service, SetTimed,
    Timed, off_thread,
};
use pillarbox_vocabulary::{Address, Timestamp};

use super::send::{self, Sender};
use crate::code;
use crate::condition::Condition;
use crate::mail::readers::Budget;
use crate::mail::reading;
use crate::submission::{Refusal, SubmissionAgent};

/// Messages sent in one look.
const MESSAGES: usize = 20;
/// How long a message may be read for its recipients.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends what is due at `now`.
/// Housekeeping calls this every second.
pub async fn run(agent: &SubmissionAgent, condition: &Condition, now: Timestamp) {
    if !condition.has_space() {
        // They wait on stable storage until there is room again.
        return;
    }
    let due = match agent.store.read_off_thread(|r| r.timed()).await {
        Ok(all) => all.into_iter().filter(|(_, _, timed)| timed.due <= now).take(MESSAGES),
        Err(error) => return tracing::error!(%error, "messages for later can't be read"),
    };
    for (account, message, timed) in due {
        if let Err(error) = send(agent, account, message, timed, now).await {
            tracing::error!(%error, message = message.0, "a message could not be sent; it is tried again");
        }
    }
}

async fn send(
    agent: &SubmissionAgent,
    account: AccountId,
    message: MessageId,
    timed: Timed,
    now: Timestamp,
) -> Result<(), Error> {
    let read = agent.store.read_off_thread(move |r| {
        let entry =
            r.entry(account, FolderId::DRAFTS, timed.uid)?.filter(|entry| entry.message == message);
        let content = entry.map(|_| r.content(message)).transpose()?.flatten();
        Ok(content.zip(r.account_by_id(account)?))
    });
    let forget = SetTimed { account, message, timed: None };
    // Deleted or gone on with meanwhile.
    let Some((content, found)) = read.await? else {
        return agent.store.change(forget).done().await.map(drop);
    };
    let store = agent.store.clone();
    let own = content.clone();
    let budget = Budget::of(PATIENCE);
    let structure = off_thread(move || {
        reading::structure(&store, &own, &budget)
            .map_err(|why| Error::Invalid { why: why.to_string() })
    })
    .await?;
    let what = match submit_draft(agent, account, &found.address, &structure, &content).await {
        Ok(()) => MailWhat::Delete { code: code::fresh() },
        Err(Refusal::Said(reply)) => {
            // It stays among the drafts, with a flag: the person sees that it did not go.
            tracing::warn!(
                account = found.address,
                reply = reply.lines.join(" "),
                "a message was refused and stays a draft"
            );
            MailWhat::Flag { add: Flags::FLAGGED, remove: Flags::default() }
        }
        Err(Refusal::Trouble(error)) => return Err(error),
    };
    let order = MailOrder {
        account,
        folder: FolderId::DRAFTS,
        uids: vec![timed.uid],
        what,
        at: now,
        service: Service::Web,
    };
    agent.store.change(order).done().await?;
    agent.store.change(forget).done().await.map(drop)
}

/// Sends a stored draft to those its header names.
async fn submit_draft(
    agent: &SubmissionAgent,
    account: AccountId,
    address: &str,
    structure: &Structure,
    content: &Content,
) -> Result<(), Refusal> {
    let mut recipients: Vec<Address> = Vec::new();
    for person in structure.to.iter().chain(&structure.cc).chain(&structure.bcc) {
        if let Ok(address) = Address::parse(&person.address)
            && !recipients.contains(&address)
        {
            recipients.push(address);
        }
    }
    submit_to(agent, account, address, structure, content, recipients).await
}

/// Sends a stored draft to these.
pub async fn submit_to(
    agent: &SubmissionAgent,
    account: AccountId,
    address: &str,
    structure: &Structure,
    content: &Content,
    recipients: Vec<Address>,
) -> Result<(), Refusal> {
    let from = structure.from.first().map_or(address, |from| from.address.as_str()).to_string();
    let sender = Sender {
        account,
        address: address.to_string(),
        from,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let mut submission = send::begin(agent, sender, recipients, None).await?;
    let mut source = Source::new(&agent.store, content, Vec::new(), false);
    loop {
        match source.piece().await {
            Ok(Some(piece)) => submission.content(&piece).await,
            Ok(None) => break,
            Err(error) => return Err(Refusal::Trouble(Error::Invalid { why: error.to_string() })),
        }
    }
    submission.end().await.map(drop)
}
