//! `pillarbox ledger find`: what happened to my mail?

use clap::{Args, Subcommand};
use pillarbox_store::{LedgerId, LedgerRecord, ShortCode, term, words};
use serde_json::json;

use super::{Output, Place, say, say_json};
use crate::clock;

#[derive(Subcommand)]
pub enum Ledger {
    /// Find messages and refused attempts; all conditions given must hold.
    Find(Find),
}

#[derive(Args)]
pub struct Find {
    /// The code from a reply or a Received field, such as 7K3Q9XM.
    #[arg(long)]
    code: Option<String>,
    /// Sender or recipient.
    #[arg(long)]
    address: Option<String>,
    /// Words of the subject.
    #[arg(long)]
    subject: Option<String>,
    /// Only the last so many days.
    #[arg(long)]
    days: Option<u64>,
    /// Most results.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    output: Output,
}

pub fn run(place: &Place, Ledger::Find(find): Ledger) -> Result<(), String> {
    let mut terms = Vec::new();
    if let Some(code) = &find.code {
        let code: ShortCode = code.parse().map_err(|()| format!("{code:?} is no code: it has seven letters and digits"))?;
        terms.push(term("code", &code.to_string()));
    }
    if let Some(address) = &find.address {
        terms.push(term("address", &address.to_lowercase()));
    }
    if let Some(subject) = &find.subject {
        terms.extend(words(subject).map(|word| term("word", &word)));
    }
    let since = find.days.map_or(0, |days| clock::now().saturating_sub(days.saturating_mul(86_400)));
    let store = place.store()?;
    let found = store.read(|r| {
        r.ledger_find(terms.first().copied(), find.limit, |_, record| {
            let has = record.terms();
            record.at >= since && terms.iter().all(|t| has.binary_search(t).is_ok())
        })
    });
    let found = found.map_err(|e| e.to_string())?;
    if find.output.json {
        return say_json(&json!(found.iter().map(|(id, record)| as_json(*id, record)).collect::<Vec<_>>()));
    }
    if found.is_empty() {
        return say("Nothing found. The ledger keeps a year; codes, addresses and whole words can be searched for.");
    }
    found.iter().try_for_each(|(_, record)| say(&as_text(record)))
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
        "detail": record.detail,
        "messages": record.messages,
    })
}

/// One line a person can read; what peers sent is shown without control characters.
fn as_text(record: &LedgerRecord) -> String {
    let clean = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let mut line = format!("{}  {:<10} {}", clock::iso(record.at), record.fate.as_str(), record.code);
    let mut add = |label: &str, text: &str| {
        if !text.is_empty() {
            line.push_str(&format!("  {label}{}", clean(text)));
        }
    };
    add("from ", &record.sender);
    add("to ", &record.recipients.join(", "));
    add("", &if record.subject.is_empty() { String::new() } else { format!("\"{}\"", record.subject) });
    add("", &record.detail);
    if !record.messages.is_empty() {
        add("", &format!("{} messages", record.messages.len()));
    }
    line
}
