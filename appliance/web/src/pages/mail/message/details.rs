//! How a message came here, in plain words: the rows that its page opens on request.

use pillarbox_filter::verdict::{Kind, Verdict};
use pillarbox_message::received;
use pillarbox_message::structure::{Person as Correspondent, Structure};
use pillarbox_platform::clock;
use pillarbox_store::LedgerRecord;
use pillarbox_vocabulary::Timestamp;

use crate::pages::mail::fate::Story;
use crate::text::Texts;
use pillarbox_office::filtering::sentence;

/// The rows, each a name and a value.
struct Rows {
    t: Texts,
    rows: Vec<(String, String)>,
}

impl Rows {
    /// Adds one, unless its value is empty.
    fn add(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.rows.push((self.t.get(key).into_owned(), value));
        }
    }
}

/// What the header and the ledger say of a message's way, for people: names and values.
pub fn details(
    t: Texts,
    structure: &Structure,
    story: &Story,
    verdict: Option<&Verdict>,
    saved_at: Timestamp,
) -> Vec<(String, String)> {
    let (now, mut rows) = (clock::now(), Rows { t, rows: Vec::new() });
    if structure.date > 0 {
        rows.add("detail-written", t.moment(Timestamp(structure.date), now));
    }
    rows.add("detail-arrived", t.moment(saved_at, now));
    if let Some(arrival) = &story.arrival {
        add_arrival(&mut rows, structure, arrival);
    }
    let reasons = verdict.iter().flat_map(|verdict| &verdict.reasons);
    for reason in reasons.filter(|reason| !matches!(reason.kind, Kind::File(_))) {
        rows.add("detail-found", sentence(t.language(), reason));
    }
    rows.add("detail-reply", people(&structure.reply_to));
    rows.add("detail-list", structure.list_id.clone());
    rows.add("detail-program", structure.program.clone());
    rows.add("detail-id", structure.message_id.clone());
    for (program, at) in &story.fetched {
        rows.add(
            "detail-fetched",
            t.with_two("detail-fetched-by", ("program", program), ("at", at)),
        );
    }
    rows.rows
}

/// From which server it came, for whom that server spoke, and where the ledger has it.
fn add_arrival(rows: &mut Rows, structure: &Structure, arrival: &LedgerRecord) {
    let protocol = received::protocol(&structure.received);
    let how = if protocol.starts_with("ESMTPS") || protocol.starts_with("UTF8SMTPS") {
        "detail-encrypted"
    } else {
        "detail-not-encrypted"
    };
    // Where one of the box's own people wrote from is private; the trace field does not contain it either.
    // RFC 3848: the `A` at the end marks a session that was signed in.
    let is_submitted = protocol == "HTTP" || protocol.ends_with('A');
    if let Some(peer) = arrival.peer.filter(|_| !is_submitted) {
        rows.add("detail-server", format!("{peer}, {}", rows.t.get(how)));
    }
    let author = structure.from.first().map(|from| from.address.as_str()).unwrap_or_default();
    if !arrival.sender.eq_ignore_ascii_case(author) {
        rows.add("detail-envelope", arrival.sender.clone());
    }
    rows.add("detail-code", arrival.code.to_string());
}

/// People as the page lists them.
pub fn people(people: &[Correspondent]) -> String {
    people.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
