//! What happened to a message?
//! One box: an address, a code, or words of the subject.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use pillarbox_store::{ShortCode, term, words};
use serde::Deserialize;

use super::home::{Line, line};
use crate::frame::{Frame, page, trouble};
use crate::session::Owner;

/// Most results.
const RESULTS: usize = 100;

#[derive(Template)]
#[template(path = "find.html")]
struct FindPage {
    frame: Frame,
    q: String,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    q: String,
}

/// What a person typed, as terms of the ledger.
fn terms(q: &str) -> Vec<u64> {
    let q = q.trim();
    match q.parse::<ShortCode>() {
        Ok(code) if q.len() == 7 => vec![term("code", &code.to_string())],
        _ if q.contains('@') && !q.contains(' ') => {
            let inner = q.trim_start_matches('<').trim_end_matches('>');
            vec![term("address", &inner.to_lowercase())]
        }
        _ => words(q).map(|word| term("word", &word)).collect(),
    }
}

pub async fn show(Owner(visit, _): Owner, Query(asked): Query<Asked>) -> Response {
    let wanted = terms(&asked.q);
    let read = visit.office.store.read_off_thread(move |r| match wanted.first() {
        None => r.ledger_recent(20),
        Some(&first) => r.ledger_find(Some(first), RESULTS, |_, record| {
            let has = record.terms();
            wanted.iter().all(|t| has.binary_search(t).is_ok())
        }),
    });
    match read.await {
        Ok(found) => {
            let lines = found.iter().map(|(_, record)| line(visit.texts, record)).collect();
            page(
                StatusCode::OK,
                &FindPage { frame: Frame::new(&visit, "/find", "find-title"), q: asked.q, lines },
            )
        }
        Err(error) => trouble(&visit, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_understood() {
        assert_eq!(terms("1K3Q9XM"), [term("code", "1K3Q9XM")]);
        assert_eq!(terms(" <Ann@Example.org> "), [term("address", "ann@example.org")]);
        assert_eq!(
            terms("Quarterly figures"),
            [term("word", "quarterly"), term("word", "figures")]
        );
        assert!(terms("").is_empty());
    }
}
