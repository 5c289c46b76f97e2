//! What went into Junk, told once a day to those who fetch their mail with a program: they never see that folder.

use std::time::Duration;

use pillarbox_filter::verdict::Verdict;
use pillarbox_outbound::{SEPARATOR, letter};
use pillarbox_platform::clock;
use pillarbox_store::{
    AccountId, FolderId, LedgerId, Result, Service, SetSetting, Space, Store, off_thread,
};
use pillarbox_texts::{Language, in_all};
use pillarbox_vocabulary::Timestamp;
use pillarbox_vocabulary::text::one_line;

use crate::filtering::sentence;
use crate::mail::readers::Budget;
use crate::mail::reading;

/// Between two messages to one person.
const EACH: Duration = Duration::from_secs(24 * 3600);
/// Somebody who signed in by POP3 within this time fetches mail with a program.
const LATELY: Duration = Duration::from_secs(14 * 24 * 3600);
/// Sign-ins that are looked at for that.
const SIGN_INS: usize = 200;
/// Messages that are named; of more it is said how many there are.
const NAMED: usize = 40;
/// How long a message may be read for the reason that it is there.
const TIME: Duration = Duration::from_secs(5);
/// Octets of room that a message needs at most.
const ROOM: u64 = 1 << 20;
/// Characters of a subject and of a sender.
const SHOWN: usize = 100;
/// A message in Junk.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    uid: u32,
    sender: String,
    subject: String,
    verdict: Option<Verdict>,
}

/// Tells whoever is to be told; blocks.
/// `host`: the box's name.
///
/// # Errors
/// Those of the store; others were told by then.
fn tell(store: &Store, host: &str, now: Timestamp) -> Result<()> {
    for (id, account) in store.read(|r| r.accounts())? {
        let key = format!("digest-{}", id.0);
        let last = store.read(|r| r.setting(&key))?.and_then(|text| text.parse().ok());
        let last = last.map(Timestamp);
        if last.is_some_and(|last| now < last.plus(EACH) && last <= now) {
            continue;
        }
        let from = last.unwrap_or(now.minus(EACH));
        if is_fetching(store, id, now)? {
            let (held, more) = held(store, id, from)?;
            if !held.is_empty() {
                let count = (held.len() + more) as u64;
                let title = |language: Language| language.count("digest.title", count).into_owned();
                let subject = in_all(" / ", title);
                let text = in_all(SEPARATOR, |language| text(language, host, &held, more));
                let (to, said) = ((id, &account.address[..]), (&subject[..], &text[..]));
                let delivery = letter(store, host, to, said, now)?;
                store.deliver(delivery).wait()?;
            }
        }
        store.change(SetSetting { key, value: Some(now.0.to_string()) }).wait()?;
    }
    Ok(())
}

/// Whether somebody fetches mail with a program.
fn is_fetching(store: &Store, account: AccountId, now: Timestamp) -> Result<bool> {
    let lately = store.read(|r| r.sign_ins(account, SIGN_INS))?;
    Ok(lately.into_iter().any(|(at, sign_in)| {
        sign_in.service == Service::Pop3 && sign_in.is_accepted && at >= now.minus(LATELY)
    }))
}

/// What was put into Junk since then, newest first, and how many more there are.
fn held(store: &Store, account: AccountId, from: Timestamp) -> Result<(Vec<Held>, usize)> {
    const LOOKED: usize = 1000;
    let entries = store.read(|r| r.entries_before(account, FolderId::JUNK, u32::MAX, LOOKED))?;
    let new: Vec<_> = entries.into_iter().filter(|(_, entry)| entry.saved_at > from).collect();
    let more = new.len().saturating_sub(NAMED);
    let mut held = Vec::new();
    for (uid, entry) in new.into_iter().take(NAMED) {
        let message = entry.message;
        let (record, content) =
            store.read(|r| Ok((r.ledger_record(LedgerId(message.0))?, r.content(message)?)))?;
        let Some(content) = content else { continue };
        let verdict = reading::verdict(store, &content, &Budget::of(TIME)).ok().flatten();
        let (sender, subject) =
            record.map(|record| (record.sender, record.subject)).unwrap_or_default();
        held.push(Held { uid, sender, subject, verdict });
    }
    Ok((held, more))
}

/// What is said in one language.
fn text(language: Language, host: &str, held: &[Held], more: usize) -> String {
    let short = |text: &str| one_line(text).chars().take(SHOWN).collect::<String>();
    let mut text = format!("{}\n", language.get("digest"));
    for one in held {
        let sender = if one.sender.is_empty() { "<>" } else { &one.sender };
        text.push_str(&format!("\n{}\n    {}\n", short(&one.subject), short(sender)));
        let reasons = one.verdict.iter().flat_map(|verdict| &verdict.reasons);
        for reason in reasons.filter(|reason| reason.weight > 0) {
            text.push_str(&format!("    {}\n", sentence(language, reason)));
        }
        text.push_str(&format!("    https://{host}/mail/{}/{}\n", FolderId::JUNK.0, one.uid));
    }
    if more > 0 {
        text.push_str(&format!("\n{}\n", language.count("digest-more", more as u64)));
    }
    text
}

/// Tells whoever is to be told, off the async threads.
/// Housekeeping calls this.
pub async fn run(store: &Store, host: String) {
    if !clock::may_expire() || store.space(ROOM) != Space::Enough {
        return;
    }
    let own = store.clone();
    if let Err(error) = off_thread(move || tell(&own, &host, clock::now())).await {
        tracing::error!(%error, "people can't be told what is in Junk");
    }
}

#[cfg(test)]
mod tests;
