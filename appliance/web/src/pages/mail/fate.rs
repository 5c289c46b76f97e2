//! What became of a message: on its way, failed and why, fetched by which program.

use std::borrow::Cow;

use pillarbox_platform::clock;
use pillarbox_store::{
    AccountId, Detail, Error, Fate, FolderId, LedgerId, LedgerRecord, MessageId, QueueKey,
    QueueState, Reader, Resolution, Waiting,
};
use pillarbox_vocabulary::Timestamp;

use crate::text::Texts;

/// Recipients of a sent message whose state is shown.
const STATES: usize = 20;
/// Records of a message that are looked at.
const RECORDS: usize = 200;

/// A recipient that was not reached: a card with what happened and what to do.
pub struct Failure {
    pub address: String,
    pub at: String,
    pub what: Cow<'static, str>,
    pub whose: Cow<'static, str>,
    pub advice: Cow<'static, str>,
    /// The other server's words.
    pub words: String,
}

/// What is known of a message besides its content.
#[derive(Default)]
pub struct Story {
    /// Recipients that are still tried, and what is said about them.
    pub states: Vec<(String, String)>,
    pub failures: Vec<Failure>,
    /// Notices that came about it: folder and UID.
    pub reports: Vec<(u32, u32)>,
    /// Programs that fetched it, and when.
    pub fetched: Vec<(String, String)>,
    /// How it came here: the record of its delivery.
    pub arrival: Option<LedgerRecord>,
}

/// Reads all of it.
pub fn story(
    r: &Reader,
    t: Texts,
    account: AccountId,
    message: MessageId,
    program: &str,
) -> Result<Story, Error> {
    let now = clock::now();
    // A message has the number of the record of its arrival.
    let arrival = r.ledger_record(LedgerId(message.0))?;
    let is_sender = is_sender(r, account, message, arrival.as_ref())?;
    let mut story = Story {
        arrival: arrival.filter(|record| record.fate == Fate::Delivered),
        ..Story::default()
    };
    if is_sender {
        let waiting = r
            .queue(QueueKey { message, recipient: 0 }, STATES)?
            .into_iter()
            .filter(|(key, _)| key.message == message);
        story.states = waiting
            .map(|(_, waiting)| (waiting.address.clone(), state(t, &waiting, now)))
            .collect();
    }
    let own = r.account_by_id(account)?.map(|account| account.address).unwrap_or_default();
    let found = r.ledger_about(message, RECORDS)?;
    for (_, record) in found {
        let at = t.moment(record.at, now);
        match record.fate {
            Fate::Bounced | Fate::Expired if is_sender => story.failures.extend(
                record.recipients.iter().map(|address| failure(t, address, &record.detail, &at)),
            ),
            Fate::Collected if record.recipients.contains(&own) => {
                let label = if record.detail == Detail::AccountPassword {
                    program.to_string()
                } else {
                    record.detail.to_string()
                };
                // The newest of each program comes first.
                if !story.fetched.iter().any(|(known, _)| *known == label) {
                    story.fetched.push((label, at));
                }
            }
            _ => {}
        }
    }
    for report in r.reports(message)? {
        let found = r
            .entries_before(account, FolderId::INBOX, u32::MAX - 1, 1000)?
            .into_iter()
            .find(|(_, entry)| entry.message == report);
        story.reports.extend(found.map(|(uid, _)| (FolderId::INBOX.0, uid)));
    }
    Ok(story)
}

/// What became of a message at its other recipients is its sender's alone: among them are those of Bcc, whom the others
/// must not hear of (RFC 5322 §3.6.3).
/// A notice goes to all who have the sender's address; so does this.
fn is_sender(
    r: &Reader,
    account: AccountId,
    message: MessageId,
    arrival: Option<&LedgerRecord>,
) -> Result<bool, Error> {
    if let Some(outgoing) = r.outgoing(message)? {
        return Ok(outgoing.account == Some(account));
    }
    match arrival.map(|record| record.sender.to_lowercase()).filter(|sender| !sender.is_empty()) {
        Some(sender) => Ok(match r.resolve(&sender)? {
            Resolution::Accounts(accounts) => accounts.contains(&account),
            _ => false,
        }),
        None => Ok(false),
    }
}

fn state(t: Texts, waiting: &Waiting, now: Timestamp) -> String {
    match waiting.state {
        QueueState::Scheduled => {
            let domain = waiting.address.rsplit('@').next().unwrap_or_default();
            format!(
                "{} {}",
                t.with_two(
                    "mail-state-waiting",
                    ("domain", domain),
                    ("at", &t.moment(waiting.due, now))
                ),
                waiting.last
            )
        }
        _ => format!("{} {}", t.get("mail-state-held"), waiting.last),
    }
}

fn failure(t: Texts, address: &str, detail: &Detail, at: &str) -> Failure {
    let explanation = pillarbox_outbound::failure_class(detail).explain(t.language());
    Failure {
        address: address.to_string(),
        at: at.to_string(),
        what: explanation.what,
        whose: explanation.whose,
        advice: explanation.advice,
        words: detail.to_string(),
    }
}
