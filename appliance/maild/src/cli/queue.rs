//! `pillarbox queue`: what waits to go out, and the owner's orders about it.

use clap::{Args, Subcommand};
use pillarbox_platform::clock;
use pillarbox_store::{
    Hold, MessageId, Order, Outgoing, QueueKey, QueueOrder, QueueState, Service, ShortCode, Store,
    Waiting,
};
use serde_json::json;

use super::tools::{Output, Place, say, say_json};

/// Rows read, and orders given, at a time.
const PAGE: usize = 500;

#[derive(Subcommand)]
pub enum Queue {
    /// What waits to go out.
    List {
        #[command(flatten)]
        which: Which,
        /// Most rows.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        output: Output,
    },
    /// Everything about what waits, with the conversation of the last attempt.
    Show {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        output: Output,
    },
    /// Try at once.
    Retry(Which),
    /// Try no more until released.
    Hold(Which),
    /// Let held ones go.
    Release(Which),
    /// Take out of the queue; nobody is told.
    Remove(Which),
    /// Give up; the sender gets a notice.
    Bounce(Which),
}

/// Which ones: by number, code, address or domain; or all.
#[derive(Args)]
pub struct Which {
    /// Numbers as `list` prints them (12.0), codes (1K3Q9XM), recipients' addresses or domains (@example.net).
    names: Vec<String>,
    /// Only those that are held.
    #[arg(long)]
    held: bool,
    /// All of them.
    #[arg(long)]
    all: bool,
}

impl Which {
    fn is_open(&self) -> bool {
        self.names.is_empty() && !self.all && !self.held
    }

    fn matches(&self, key: QueueKey, waiting: &Waiting, outgoing: Option<&Outgoing>) -> bool {
        if self.held && !matches!(waiting.state, QueueState::Held(_)) {
            return false;
        }
        let name_matches = |name: &String| {
            let by_code = name
                .parse::<ShortCode>()
                .ok()
                .zip(outgoing)
                .is_some_and(|(code, o)| o.code == code);
            by_code
                || *name == key.to_string()
                || name.eq_ignore_ascii_case(&waiting.address)
                || name
                    .strip_prefix('@')
                    .is_some_and(|domain| domain.eq_ignore_ascii_case(&waiting.domain))
        };
        self.names.is_empty() || self.names.iter().any(name_matches)
    }

    /// Those that match, in order of acceptance, until `take` has enough.
    fn each(
        &self,
        store: &Store,
        mut take: impl FnMut(QueueKey, Waiting, Option<Outgoing>) -> bool,
    ) -> Result<(), String> {
        let mut from = QueueKey { message: MessageId(0), recipient: 0 };
        loop {
            let page = store.read(|r| {
                let rows = r.queue(from, PAGE)?;
                rows.into_iter()
                    .map(|(key, waiting)| Ok((key, waiting, r.outgoing(key.message)?)))
                    .collect::<Result<Vec<_>, _>>()
            });
            let page = page.map_err(|e| e.to_string())?;
            let Some((last, ..)) = page.last() else { return Ok(()) };
            from = QueueKey { message: last.message, recipient: last.recipient + 1 };
            for (key, waiting, outgoing) in page {
                if self.matches(key, &waiting, outgoing.as_ref()) && !take(key, waiting, outgoing) {
                    return Ok(());
                }
            }
        }
    }
}

pub fn run(place: &Place, command: Queue) -> Result<(), String> {
    let store = place.store()?;
    match command {
        Queue::List { which, limit, output } => list(&store, &which, limit, output),
        Queue::Show { which, output } => show(&store, &which, output),
        Queue::Retry(which) => order(&store, &which, Order::Retry, "are tried at once"),
        Queue::Hold(which) => order(&store, &which, Order::Hold(Hold::Owner), "are held"),
        Queue::Release(which) => order(&store, &which, Order::Release, "are released"),
        Queue::Remove(which) => order(&store, &which, Order::Remove, "are removed"),
        Queue::Bounce(which) => order(&store, &which, Order::GiveUp, "go back to their senders"),
    }
}

fn state(waiting: &Waiting) -> &'static str {
    match waiting.state {
        QueueState::Scheduled => "waiting",
        QueueState::Held(Hold::Owner) => "held by the owner",
        QueueState::Held(Hold::OverLimit) => "held: over the daily limit",
        QueueState::Held(Hold::Login) => "held: the provider refuses the login",
        QueueState::GivenUp => "given up",
    }
}

fn as_json(key: QueueKey, waiting: &Waiting, outgoing: Option<&Outgoing>) -> serde_json::Value {
    json!({
        "number": key.to_string(),
        "message": key.message.0,
        "code": outgoing.map(|o| o.code.to_string()),
        "sender": outgoing.map(|o| o.sender.clone()),
        "recipient": waiting.address,
        "subject": outgoing.map(|o| o.subject.clone()),
        "state": state(waiting),
        "arrived": outgoing.map(|o| clock::iso(o.arrived)),
        "due": clock::iso(waiting.due),
        "attempts": waiting.attempts,
        "last": waiting.last.to_string(),
    })
}

fn as_text(key: QueueKey, waiting: &Waiting, outgoing: Option<&Outgoing>) -> String {
    let clean =
        |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let (code, sender) =
        outgoing.map_or_else(Default::default, |o| (o.code.to_string(), clean(&o.sender)));
    let mut line = format!(
        "{:<8} {code}  from {sender}  to {}  {}",
        key.to_string(),
        clean(&waiting.address),
        state(waiting)
    );
    if waiting.state == QueueState::Scheduled {
        line.push_str(&format!(", next try {}", clock::iso(waiting.due)));
    }
    if waiting.attempts > 0 {
        line.push_str(&format!(
            ", {} attempts; {}",
            waiting.attempts,
            clean(&waiting.last.to_string())
        ));
    }
    line
}

fn list(store: &Store, which: &Which, limit: usize, output: Output) -> Result<(), String> {
    let mut found = Vec::new();
    which.each(store, |key, waiting, outgoing| {
        found.push((key, waiting, outgoing));
        found.len() < limit
    })?;
    if output.json {
        return say_json(&json!(
            found.iter().map(|(k, w, o)| as_json(*k, w, o.as_ref())).collect::<Vec<_>>()
        ));
    }
    found
        .iter()
        .try_for_each(|(key, waiting, outgoing)| say(&as_text(*key, waiting, outgoing.as_ref())))?;
    let (all, scheduled) = store.read(|r| r.queue_counts()).map_err(|e| e.to_string())?;
    say(&format!("{all} recipients in the queue, {} of them held.", all.saturating_sub(scheduled)))
}

fn show(store: &Store, which: &Which, output: Output) -> Result<(), String> {
    if which.is_open() {
        return Err("which one? Give a number as `pillarbox queue list` prints it, a code, an address, or --all".into());
    }
    let mut found = Vec::new();
    which.each(store, |key, waiting, outgoing| {
        found.push((key, waiting, outgoing));
        found.len() < PAGE
    })?;
    for (key, waiting, outgoing) in found {
        let kept = waiting.transcript.map(|recipient| QueueKey { recipient, ..key });
        let transcript = kept
            .map(|key| store.read(|r| r.transcript(key)))
            .transpose()
            .map_err(|e| e.to_string())?
            .flatten();
        if output.json {
            let mut value = as_json(key, &waiting, outgoing.as_ref());
            value["transcript"] = json!(transcript.map(|t| t.text));
            say_json(&value)?;
            continue;
        }
        say(&as_text(key, &waiting, outgoing.as_ref()))?;
        if let Some(transcript) = transcript {
            say(&format!("    the last attempt, {}:", clock::iso(transcript.at)))?;
            transcript.text.lines().try_for_each(|line| say(&format!("    {line}")))?;
        }
    }
    Ok(())
}

fn order(store: &Store, which: &Which, order: Order, done: &str) -> Result<(), String> {
    if which.is_open() {
        return Err("which ones? Give numbers as `pillarbox queue list` prints them, codes, addresses, @domains, or --all".into());
    }
    let (mut keys, mut due) = (Vec::new(), 0);
    let now = clock::now();
    which.each(store, |key, waiting, _| {
        keys.push(key);
        due += usize::from(waiting.state == QueueState::Scheduled && waiting.due <= now);
        true
    })?;
    say(&format!("{} recipients {done}.", give(store, &keys, order)?))?;
    match order {
        Order::Remove | Order::Hold(_) if due > 0 => say(&format!(
            "{due} of them were due at this moment. A running server looks once more before it sends; \
             if its sending had begun, it may arrive all the same, and `pillarbox ledger find` then shows it as relayed."
        )),
        _ => Ok(()),
    }
}

/// Gives an order in pieces; returns for how many recipients.
fn give(store: &Store, keys: &[QueueKey], order: Order) -> Result<usize, String> {
    let mut count = 0;
    for entries in keys.chunks(PAGE) {
        let order = QueueOrder {
            order,
            entries: entries.to_vec(),
            at: clock::now(),
            service: Service::CommandLine,
        };
        count += store.change(order).wait().map_err(|e| e.to_string())?;
    }
    Ok(count)
}
