//! What an attempt came to, written down in one commit: verdicts, records of the ledger, notices to the sender.

use std::collections::BTreeMap;

use pillarbox_store::{
    Content, Delivery, Detail, Fate, LedgerRecord, MessageId, Outgoing, Resolution, Result,
    Settlement, ShortCode, SubAddresses, Traits, Transcript, Verdict, off_thread,
};

use super::{FAULT_PAUSE, Group, Worker};
use crate::dsn::{self, About, Facts, Returned};
use crate::owner;
use crate::schedule::{self, Dsn, Outcome};
use crate::transport::Source;

/// Settlements under way while the next message is being sent.
const UNSETTLED: usize = 8;
/// Octets of an attempt's conversation that are kept.
const TRANSCRIPT_OCTETS: usize = 8 * 1024;

impl Worker<'_> {
    /// Writes outcomes down with all that follows from them.
    /// The commit is awaited later.
    pub(super) async fn settle(
        &mut self,
        outgoing: &Outgoing,
        content: &Content,
        group: Group,
        outcomes: Vec<Outcome>,
        transcript: Vec<String>,
    ) {
        let now = self.outbound.now();
        let limits = self.outbound.limits();
        let keys = group.keys();
        let removed = self.removed(&group).await;
        let first = group.recipients.first().map_or(0, |(r, _)| *r);
        let mut settlement = Settlement {
            message: group.message,
            at: now.at,
            verdicts: Vec::new(),
            records: Vec::new(),
            notices: Vec::new(),
            transcript: (!transcript.is_empty())
                .then(|| (first, Transcript { at: now.at, text: kept(&transcript) })),
        };
        let mut notices: BTreeMap<u8, (Dsn, Vec<About>)> = BTreeMap::new();
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
            let about = About {
                address: waiting.address.clone(),
                orcpt: waiting.orcpt.clone(),
                detail: step.detail.clone(),
                until: waiting.since.max(1).saturating_add(limits.lifetime),
                attempted_at: now.at,
            };
            if let Some(dsn) = step.dsn {
                notices.entry(dsn as u8).or_insert_with(|| (dsn, Vec::new())).1.push(about);
            }
            note(
                &mut settlement.records, outgoing, group.message, now.at, step.fate, step.detail,
                waiting.address,
            );
            settlement.verdicts.push((recipient, step.verdict));
        }
        if !outgoing.sender.is_empty() && !outgoing.traits.contains(Traits::AUTOMATIC) {
            for (dsn, about) in notices.into_values() {
                match self.dsn(outgoing, content, group.message, dsn, &about, now.at).await {
                    Ok(delivery) => settlement.notices.extend(delivery),
                    Err(error) => {
                        // Without its notice a failure must not be settled: the next attempt brings both.
                        tracing::error!(%error, message = group.message.0, "a notice can't be written");
                        tokio::time::sleep(FAULT_PAUSE).await;
                        return self.outbound.give_back(keys);
                    }
                }
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

    /// A notice to the sender, into a mailbox of this box: senders are always ours.
    /// Where the sender's mailbox is gone, the owner reads it.
    async fn dsn(
        &self,
        outgoing: &Outgoing,
        content: &Content,
        message: MessageId,
        dsn: Dsn,
        about: &[About],
        at: u64,
    ) -> Result<Option<Delivery>> {
        let (store, outgoing, content, about) =
            (self.outbound.store.clone(), outgoing.clone(), content.clone(), about.to_vec());
        let hostname = self.outbound.hostname();
        off_thread(move || {
            let accounts = store.read(|r| {
                match r.resolve_with(&outgoing.sender.to_lowercase(), SubAddresses::On)? {
                    Resolution::Accounts(accounts) => Ok(accounts),
                    _ => Ok(r.accounts()?.first().map(|(id, _)| *id).into_iter().collect()),
                }
            })?;
            if accounts.is_empty() {
                return Ok(None);
            }
            let code = ShortCode::fresh(at);
            let whole = dsn == Dsn::Failed
                && !outgoing.traits.contains(Traits::RETURN_HEADERS)
                && content.octets <= dsn::RETURN_OCTETS as u64;
            let mut original = Vec::new();
            Source::blocking(&store, &content, false, &mut |piece| {
                let room = dsn::RETURN_OCTETS.saturating_sub(original.len()).min(piece.len());
                original.extend_from_slice(&piece[..room]);
            })?;
            if !whole {
                let end = memchr::memmem::find(&original, b"\r\n\r\n")
                    .map_or(original.len(), |at| at + 2);
                original.truncate(end.min(dsn::HEADER_OCTETS));
            }
            let unique = getrandom::u64().unwrap_or(u64::from(code.0));
            let facts = Facts {
                hostname: &hostname,
                sender: &outgoing.sender,
                subject: &outgoing.subject,
                code: &outgoing.code.to_string(),
                arrived: outgoing.arrived,
                envid: &outgoing.envid,
                about: &about,
                returned: if whole {
                    Returned::Message(original)
                } else {
                    Returned::Header(original)
                },
                now: at,
                unique,
            };
            let text = dsn::build(dsn, &facts);
            owner::delivery(&store, accounts, &outgoing.sender, &text, code, at).map(
                |mut delivery| {
                    delivery.report_on = Some(message);
                    Some(delivery)
                },
            )
        })
        .await
    }
}

/// What is written down of an outcome; `None`: nothing.
/// Of a removed recipient only that it went all the same: the ledger says "removed" already, and nobody is to hear of
/// more.
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

/// Adds a recipient's fate to the ledger's records; those with the same fate and words share one.
fn note(
    records: &mut Vec<LedgerRecord>,
    outgoing: &Outgoing,
    message: MessageId,
    at: u64,
    fate: Fate,
    detail: Detail,
    address: String,
) {
    if let Some(record) = records.iter_mut().find(|r| r.fate == fate && r.detail == detail) {
        return record.recipients.push(address);
    }
    records.push(LedgerRecord {
        sender: outgoing.sender.clone(),
        recipients: vec![address],
        subject: outgoing.subject.clone(),
        detail,
        messages: vec![message.0],
        ..LedgerRecord::new(at, fate, outgoing.code)
    });
}

#[cfg(test)]
mod tests {
    use pillarbox_store::RemoteReply;

    use super::*;

    #[test]
    fn of_what_was_removed_only_that_it_went_is_told() {
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
