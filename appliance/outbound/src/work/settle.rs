//! What an attempt came to, written down in one commit: verdicts, records of the ledger, notices to the sender.

use std::collections::BTreeMap;

use pillarbox_platform::config::seconds;
use pillarbox_store::{
    AccountId, Content, Delivery, Detail, LedgerRecord, MessageId, Outgoing, Resolution, Result,
    Settlement, Store, SubAddresses, Traits, Transcript, Verdict, fresh_code, off_thread,
};
use pillarbox_vocabulary::Timestamp;

use super::{Ended, FAULT_PAUSE, Group, Queued, Worker};
use crate::dsn::{self, About, Facts, Returned};
use crate::owner;
use crate::schedule::{self, Dsn, Outcome};
use crate::source::Source;

/// Settlements under way while the next message is being sent.
const UNSETTLED: usize = 8;
/// Octets of an attempt's conversation that are kept.
const TRANSCRIPT_OCTETS: usize = 8 * 1024;

/// What senders are to hear of an attempt: by kind of notice the recipients it is about.
type Owed = BTreeMap<u8, (Dsn, Vec<About>)>;

impl Worker<'_> {
    /// Writes outcomes down with all that follows from them.
    /// The commit is awaited later.
    pub(super) async fn settle(&mut self, queued: &Queued, group: Group, ended: Ended) {
        let message = group.message;
        let keys = group.keys();
        let removed = self.removed(&group).await;
        let (mut settlement, owed) = self.decide(&queued.outgoing, group, ended, &removed);
        match self.notices(queued, message, owed, settlement.at).await {
            Ok(notices) => settlement.notices = notices,
            Err(error) => {
                // Without its notice a failure must not be settled: the next attempt brings both.
                tracing::error!(%error, message = message.0, "a notice can't be written");
                tokio::time::sleep(FAULT_PAUSE).await;
                return self.outbound.give_back(keys);
            }
        }
        if settlement.verdicts.is_empty() {
            return self.outbound.give_back(keys);
        }
        self.settling.push_back((keys, self.outbound.store.settle(settlement)));
        if self.settling.len() >= UNSETTLED {
            self.settle_one().await;
        }
    }

    /// What becomes of each recipient, and which notices are owed for it.
    fn decide(
        &self,
        outgoing: &Outgoing,
        group: Group,
        ended: Ended,
        removed: &[u32],
    ) -> (Settlement, Owed) {
        let (now, limits) = (self.outbound.now(), self.outbound.limits());
        let Ended { outcomes, transcript } = ended;
        let first = group.recipients.first().map_or(0, |(r, _)| *r);
        let mut owed = Owed::new();
        let mut settlement = Settlement {
            message: group.message,
            at: now.at,
            verdicts: Vec::new(),
            records: Vec::new(),
            notices: Vec::new(),
            transcript: (!transcript.is_empty())
                .then(|| (first, Transcript { at: now.at, text: kept(&transcript) })),
        };
        for ((recipient, waiting), outcome) in group.recipients.into_iter().zip(outcomes) {
            let Some(outcome) = of_removed(outcome, removed.contains(&recipient)) else { continue };
            let spread = group.message.0.wrapping_mul(31).wrapping_add(u64::from(recipient));
            let mut step = schedule::decide(&waiting, outcome, now, &limits, spread);
            if let Verdict::Keep(kept) = &mut step.verdict {
                kept.transcript = (!transcript.is_empty()).then_some(first);
            }
            tracing::info!(
                id = %outgoing.code, to = waiting.address, fate = step.fate.as_str(), detail = %step.detail,
                attempts = waiting.attempts + 1, "delivery attempt"
            );
            if let Some(dsn) = step.dsn {
                let about = About {
                    address: waiting.address.clone(),
                    orcpt: waiting.orcpt,
                    detail: step.detail.clone(),
                    until: waiting.since.max(Timestamp(1)).plus(seconds(limits.lifetime)),
                    attempted_at: now.at,
                };
                owed.entry(dsn as u8).or_insert_with(|| (dsn, Vec::new())).1.push(about);
            }
            let record = LedgerRecord {
                sender: outgoing.sender.clone(),
                recipients: vec![waiting.address],
                subject: outgoing.subject.clone(),
                detail: step.detail,
                messages: vec![group.message.0],
                ..LedgerRecord::new(now.at, step.fate, outgoing.code)
            };
            note(&mut settlement.records, record);
            settlement.verdicts.push((recipient, step.verdict));
        }
        (settlement, owed)
    }

    /// Recipients that the owner took out of the queue during a long attempt.
    async fn removed(&self, group: &Group) -> Vec<u32> {
        if !group.is_stale() {
            return Vec::new();
        }
        // Where the rows can't be read now the settlement itself will say so.
        let rows = self.rows(group.keys()).await.unwrap_or_default();
        group
            .recipients
            .iter()
            .zip(rows)
            .filter(|(_, row)| row.is_none())
            .map(|((recipient, _), _)| *recipient)
            .collect()
    }

    async fn settle_one(&mut self) {
        if let Some((keys, pending)) = self.settling.pop_front() {
            if let Err(error) = pending.done().await {
                tracing::error!(%error, "what an attempt came to could not be written; it is tried again");
                tokio::time::sleep(FAULT_PAUSE).await;
            }
            self.outbound.give_back(keys);
        }
    }

    pub(super) async fn settle_all(&mut self) {
        while !self.settling.is_empty() {
            self.settle_one().await;
        }
    }

    /// The notices that are owed; none about a notice or another automatic message (RFC 3834 §2).
    async fn notices(
        &self,
        queued: &Queued,
        message: MessageId,
        owed: Owed,
        at: Timestamp,
    ) -> Result<Vec<Delivery>> {
        let outgoing = &queued.outgoing;
        let mut notices = Vec::new();
        if outgoing.sender.is_empty() || outgoing.traits.contains(Traits::AUTOMATIC) {
            return Ok(notices);
        }
        for (dsn, about) in owed.into_values() {
            let (store, queued) = (self.outbound.store.clone(), queued.clone());
            let hostname = self.outbound.hostname();
            let notice =
                off_thread(move || notice(&store, &hostname, &queued, dsn, &about, at)).await?;
            notices.extend(notice.map(|notice| Delivery { report_on: Some(message), ..notice }));
        }
        Ok(notices)
    }
}

/// A notice to the sender, into a mailbox of this box: senders are always ours.
/// `None`: there is no mailbox at all.
/// Blocks.
fn notice(
    store: &Store,
    hostname: &str,
    queued: &Queued,
    dsn: Dsn,
    about: &[About],
    at: Timestamp,
) -> Result<Option<Delivery>> {
    let Queued { outgoing, content } = queued;
    let accounts = readers(store, &outgoing.sender)?;
    if accounts.is_empty() {
        return Ok(None);
    }
    let whole = dsn == Dsn::Failed
        && !outgoing.traits.contains(Traits::RETURN_HEADERS)
        && content.octets <= dsn::RETURN_OCTETS as u64;
    let original = beginning(store, content)?;
    let code = fresh_code(at);
    let facts = Facts {
        hostname,
        sender: &outgoing.sender,
        subject: &outgoing.subject,
        code: &outgoing.code.to_string(),
        arrived: outgoing.arrived,
        envid: &outgoing.envid,
        about,
        returned: match whole {
            true => Returned::Message(original),
            false => Returned::Header(header(original)),
        },
        now: at,
        unique: getrandom::u64().unwrap_or(u64::from(code.0)),
    };
    let text = dsn::build(dsn, &facts);
    owner::delivery(store, accounts, &outgoing.sender, &text, code, at).map(Some)
}

/// Who reads a notice to this sender: where the sender's mailbox is gone, the owner does.
fn readers(store: &Store, sender: &str) -> Result<Vec<AccountId>> {
    store.read(|r| match r.resolve_with(&sender.to_lowercase(), SubAddresses::On)? {
        Resolution::Accounts(accounts) => Ok(accounts),
        _ => Ok(r.accounts()?.first().map(|(id, _)| *id).into_iter().collect()),
    })
}

/// As much of a content as a notice may bring back.
fn beginning(store: &Store, content: &Content) -> Result<Vec<u8>> {
    let mut original = Vec::new();
    Source::blocking(store, content, false, &mut |piece| {
        let room = dsn::RETURN_OCTETS.saturating_sub(original.len()).min(piece.len());
        original.extend_from_slice(&piece[..room]);
    })?;
    Ok(original)
}

/// The header of a message, with the end of its last line; of one that is too long the lines that fit.
fn header(mut message: Vec<u8>) -> Vec<u8> {
    let end = memchr::memmem::find(&message, b"\r\n\r\n").map_or(message.len(), |at| at + 2);
    message.truncate(end.min(dsn::HEADER_OCTETS));
    // No line, and no letter, comes back cut through.
    if message.len() < end
        && let Some(last) = memchr::memmem::rfind(&message, b"\r\n")
    {
        message.truncate(last + 2);
    }
    message
}

/// What is written down of an outcome; `None`: nothing.
/// Of a removed recipient only that it went all the same: the ledger says "removed" already.
fn of_removed(outcome: Outcome, is_removed: bool) -> Option<Outcome> {
    match (outcome, is_removed) {
        (Outcome::Withdrawn, _) => None,
        (outcome, false) => Some(outcome),
        (Outcome::Relayed { reply, .. }, true) => {
            let reply = match reply {
                Detail::Reply(reply) => Detail::ReplyTooLate(reply),
                other => other,
            };
            Some(Outcome::Relayed { reply, dsns_passed_on: true })
        }
        (_, true) => None,
    }
}

/// A conversation as it is kept: when it was long, its end, where the reason is found.
fn kept(lines: &[String]) -> String {
    let mut room = TRANSCRIPT_OCTETS;
    let fits = lines.iter().rev().take_while(|line| {
        let needs = line.len() + 1;
        let is_room = needs <= room;
        room = room.saturating_sub(needs);
        is_room
    });
    let from = lines.len() - fits.count();
    match from {
        0 => lines.join("\n"),
        _ => format!("* (the beginning is left out)\n{}", lines[from..].join("\n")),
    }
}

/// Adds a recipient's record to the ledger's; those with the same fate and words share one.
fn note(records: &mut Vec<LedgerRecord>, record: LedgerRecord) {
    match records.iter_mut().find(|r| r.fate == record.fate && r.detail == record.detail) {
        Some(same) => same.recipients.extend(record.recipients),
        None => records.push(record),
    }
}

#[cfg(test)]
mod tests {
    use pillarbox_store::RemoteReply;

    use super::*;

    #[test]
    fn of_a_removed_recipient_only_that_it_went_is_reported() {
        let said = Detail::Reply(RemoteReply {
            host: "mx".into(),
            code: 250,
            status: None,
            text: "ok".into(),
        });
        let relayed = Outcome::Relayed { reply: said, dsns_passed_on: false };
        assert_eq!(of_removed(relayed.clone(), false), Some(relayed.clone()));
        assert!(
            matches!(of_removed(relayed, true), Some(Outcome::Relayed { reply, .. }) if reply.to_string().contains("too late"))
        );
        for outcome in [
            Outcome::Deferred { reason: Detail::text("450 later") },
            Outcome::Refused { reply: Detail::text("550 no") },
            Outcome::GivenUp,
        ] {
            assert_eq!(of_removed(outcome.clone(), true), None);
            assert_eq!(of_removed(outcome.clone(), false), Some(outcome));
        }
        assert_eq!(of_removed(Outcome::Withdrawn, false), None);
    }

    #[test]
    fn of_a_long_conversation_the_end_is_kept() {
        let short: Vec<String> = ["* mx", "> EHLO x", "< 250 x"].map(String::from).to_vec();
        assert_eq!(kept(&short), "* mx\n> EHLO x\n< 250 x");
        assert_eq!(kept(&[]), "");
        let long: Vec<String> = (0..10_000).map(|n| format!("< 550 line {n}")).collect();
        let text = kept(&long);
        assert!(
            text.len() <= TRANSCRIPT_OCTETS + 40
                && text.starts_with("* (the")
                && text.ends_with("line 9999"),
            "{}",
            text.len()
        );
        assert_eq!(kept(&["x".repeat(100_000)]), "* (the beginning is left out)\n");
    }
}
