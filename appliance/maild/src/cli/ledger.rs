//! `pillarbox ledger find`: what happened to my mail?

use std::time::Duration;

use clap::{Args, Subcommand};
use pillarbox_platform::clock;
use pillarbox_store::{Detail, LedgerId, LedgerRecord, MessageId, Reader, ShortCode, term, words};
use pillarbox_vocabulary::Timestamp;
use serde_json::json;

use super::tools::{Output, Place, say, say_json};

#[derive(Subcommand)]
pub enum Ledger {
    /// Find messages and refused attempts; all conditions given must hold.
    Find(Find),
}

#[derive(Args)]
pub struct Find {
    /// The code from a reply or a Received field, such as 1K3Q9XM.
    #[arg(long)]
    code: Option<String>,
    /// Sender or recipient.
    #[arg(long)]
    address: Option<String>,
    /// Words of the subject.
    #[arg(long)]
    subject: Option<String>,
    /// A Message-ID, as it stands in the message's header.
    #[arg(long)]
    message_id: Option<String>,
    /// The number of a message in the queue, as `pillarbox queue list` prints it.
    #[arg(long, value_name = "NUMBER")]
    queue: Option<String>,
    /// Only the last so many days.
    #[arg(long)]
    days: Option<u64>,
    /// Only since this day or time in UTC, such as 2026-11-23 or 2026-11-23T21:58:00Z.
    #[arg(long)]
    since: Option<String>,
    /// Only until this day (its end) or time in UTC.
    #[arg(long)]
    until: Option<String>,
    /// Most results.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    output: Output,
}

impl Find {
    /// The first and the last second that records are of.
    fn times(&self) -> Result<(Timestamp, Timestamp), String> {
        let since = self.since.as_deref().map(clock::parse).transpose()?;
        let until = self.until.as_deref().map(clock::parse).transpose()?;
        let days = self.days.map(|days| Duration::from_secs(days.saturating_mul(86_400)));
        let first_day = days.map(|days| clock::now().minus(days)).unwrap_or_default();
        let since = since.map_or(first_day, |(start, _)| start.max(first_day));
        Ok((since, until.map_or(Timestamp::MAX, |(_, end)| end)))
    }
}

pub fn run(place: &Place, Ledger::Find(find): Ledger) -> Result<(), String> {
    let mut terms = Vec::new();
    if let Some(code) = &find.code {
        let code: ShortCode = code
            .parse()
            .map_err(|()| format!("{code:?} is no code: it has seven letters and digits"))?;
        terms.push(term("code", &code.to_string()));
    }
    if let Some(address) = &find.address {
        terms.push(term("address", &address.to_lowercase()));
    }
    if let Some(subject) = &find.subject {
        terms.extend(words(subject).map(|word| term("word", &word)));
    }
    if let Some(id) = &find.message_id {
        terms.push(term("message-id", id.trim().trim_start_matches('<').trim_end_matches('>')));
    }
    let (since, until) = find.times()?;
    let message = find.queue.as_deref().map(|text| {
        let number = text.split('.').next().unwrap_or_default();
        number.parse::<u64>().map_err(|_| format!("{text:?} is no number of the queue"))
    });
    let message = message.transpose()?;
    if let Some(message) = message {
        terms.push(term("message", &message.to_string()));
    }
    let store = place.store()?;
    let found = store.read(|r| {
        let mut found = r.ledger_find(terms.first().copied(), find.limit, |_, record| {
            let has = record.terms();
            (since..=until).contains(&record.at)
                && terms.iter().all(|t| has.binary_search(t).is_ok())
        })?;
        // The acceptance of a message does not name it: it is it.
        if let Some(message) = message
            && let Some(record) = r.ledger_record(LedgerId(message))?
        {
            found.push((LedgerId(message), record));
        }
        Ok(found)
    });
    let found = found.map_err(|e| e.to_string())?;
    if find.output.json {
        return say_json(&json!(
            found.iter().map(|(id, record)| as_json(*id, record)).collect::<Vec<_>>()
        ));
    }
    if found.is_empty() {
        return say(
            "Nothing found. The ledger keeps a year; codes, addresses and whole words can be searched for.",
        );
    }
    let stories = store.read(|r| stories(r, &found)).map_err(|e| e.to_string())?;
    stories.iter().try_for_each(|story| {
        // What happened first is first; its later fates are set in below it.
        story.iter().enumerate().try_for_each(|(place, record)| {
            say(&format!("{}{}", if place == 0 { "" } else { "    " }, as_text(record)))
        })
    })
}

/// Most fates of one message that are printed.
const STORY: usize = 200;

/// The whole story of each message that was found, newest message first; refused attempts are stories of their own.
fn stories(
    reader: &Reader,
    found: &[(LedgerId, LedgerRecord)],
) -> pillarbox_store::Result<Vec<Vec<LedgerRecord>>> {
    let mut told = std::collections::HashSet::new();
    let mut stories = Vec::new();
    for (id, record) in found {
        let messages = match record.messages.is_empty() {
            true => vec![id.0],
            // A device that collected a hundred messages is one line, not a hundred stories.
            false if record.messages.len() == 1 => record.messages.clone(),
            false => {
                stories.push(vec![record.clone()]);
                continue;
            }
        };
        for message in messages.into_iter().filter(|m| told.insert(*m)) {
            let mut story = reader.ledger_about(MessageId(message), STORY)?;
            if let Some(acceptance) = reader.ledger_record(LedgerId(message))? {
                story.push((LedgerId(message), acceptance));
            }
            for report in reader.reports(MessageId(message))? {
                if let Some(notice) = reader.ledger_record(LedgerId(report.0))? {
                    let detail =
                        Detail::text(format!("a notice about it came, see {}", notice.code));
                    story.push((LedgerId(report.0), LedgerRecord { detail, ..notice }));
                }
            }
            story.sort_by_key(|(id, _)| id.0);
            stories.push(story.into_iter().map(|(_, record)| record).collect());
        }
    }
    Ok(stories)
}

fn as_json(id: LedgerId, record: &LedgerRecord) -> serde_json::Value {
    json!({
        "place": id.0,
        "at": clock::iso(record.at),
        "fate": record.fate.as_str(),
        "code": record.code.to_string(),
        "peer": record.peer.map(|p| p.to_string()),
        "sender": record.sender,
        "recipients": record.recipients,
        "subject": record.subject,
        "detail": record.wording(),
        "messages": record.messages,
        "message_id": record.message_id,
    })
}

/// One line a person can read; what peers sent is shown without control characters.
fn as_text(record: &LedgerRecord) -> String {
    let clean =
        |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let mut line =
        format!("{}  {:<10} {}", clock::iso(record.at), record.fate.as_str(), record.code);
    let mut add = |label: &str, text: &str| {
        if !text.is_empty() {
            line.push_str(&format!("  {label}{}", clean(text)));
        }
    };
    add("from ", &record.sender);
    add("to ", &record.recipients.join(", "));
    add(
        "",
        &if record.subject.is_empty() { String::new() } else { format!("\"{}\"", record.subject) },
    );
    add("", &record.wording());
    if record.messages.len() > 1 {
        add("", &format!("{} messages", record.messages.len()));
    }
    line
}
