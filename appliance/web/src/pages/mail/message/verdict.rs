//! What the box decided on a message when it came, in plain words.

use pillarbox_filter::verdict::{Action, JUNK, Kind, Reason, Verdict};
use pillarbox_office::filtering::sentence;
use pillarbox_office::mail::payment::Changed;
use pillarbox_store::FolderId;

use crate::text::Texts;

/// Why it is in Junk, each reason with what it counts; empty where the box did not put it there.
pub fn reasons(t: Texts, verdict: Option<&Verdict>, folder: FolderId) -> Vec<(String, String)> {
    let verdict = verdict.filter(|v| v.action == Action::Junk && folder == FolderId::JUNK);
    let reasons = verdict.map_or(&[][..], |verdict| &verdict.reasons);
    reasons.iter().map(|reason| (sentence(t.language(), reason), weight(t, reason))).collect()
}

/// What its files can do to whoever opens them, wherever it is.
pub fn warnings(t: Texts, verdict: Option<&Verdict>) -> Vec<String> {
    let reasons = verdict.map_or(&[][..], |verdict| &verdict.reasons);
    let of_files = reasons.iter().filter(|reason| matches!(reason.kind, Kind::File(_)));
    of_files.map(|reason| sentence(t.language(), reason)).collect()
}

fn weight(t: Texts, reason: &Reason) -> String {
    let key = match reason.weight {
        JUNK.. => "verdict-decides",
        1.. => "verdict-against",
        0 => "verdict-explains",
        _ => "verdict-for",
    };
    t.get(key).into_owned()
}

/// What is said of a bank account that is another one than before; nothing where none is.
pub fn payment(t: Texts, changed: Option<&Changed>) -> Vec<String> {
    let Some(Changed { now, before }) = changed else { return Vec::new() };
    let list = |numbers: &[String]| {
        numbers.iter().map(|number| grouped(number)).collect::<Vec<_>>().join(", ")
    };
    let now = t.with("payment-now", "now", &list(now)).into_owned();
    vec![now, t.with("payment-before", "before", &list(before)).into_owned()]
}

/// An account number as people read it: in groups of four.
fn grouped(number: &str) -> String {
    let letters: Vec<char> = number.chars().collect();
    letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
}
