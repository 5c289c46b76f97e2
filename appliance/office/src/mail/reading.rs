//! A stored message opened for reading: its structure, its text, what lists and searches need of it.
//! Blocks, within a budget.

mod attached;
mod body;
mod card;
mod pieces;

use std::collections::HashMap;

use pillarbox_filter::verdict::Verdict;
use pillarbox_message::extract::Extractor;
use pillarbox_message::own_fields::VERDICT;
use pillarbox_message::structure::Part;
use pillarbox_message::winmail::{self, Winmail};
use pillarbox_message::{calendar, charset, head, html};
use pillarbox_store::{Content, Store};

use super::readers::Budget;
pub use attached::{Attached, attached, reached, subject};
pub use body::{Piece, body, plain};
pub use card::{Summary, glance, summary};
use pieces::{Result, decoded, many};
pub use pieces::{front, pieces, structure};

/// Octets of a body that are shown.
pub const SHOWN: usize = 1 << 20;

/// What the box decided on a message when it came, and why; `None`: there was nothing to tell.
pub fn verdict(store: &Store, content: &Content, budget: &Budget) -> Result<Option<Verdict>> {
    let front = front(store, content, budget)?;
    let mut fields = head::fields(&front);
    let field = fields.find(|field| head::name(field) == Some(VERDICT));
    let value = field.and_then(|field| std::str::from_utf8(&field[VERDICT.len() + 1..]).ok());
    Ok(value.and_then(Verdict::parse))
}

/// The decoded octets of a part, at most `limit`.
pub fn octets(
    store: &Store,
    content: &Content,
    part: &Part,
    limit: usize,
    budget: &Budget,
) -> Result<Vec<u8>> {
    Ok(many(store, content, &[part], limit, budget)?.pop().unwrap_or_default())
}

/// A text part as text, in whatever charset it came (RFC 2046 §4.1.2; old mail names none).
pub fn text(
    store: &Store,
    content: &Content,
    part: &Part,
    limit: usize,
    budget: &Budget,
) -> Result<String> {
    Ok(charset::decode(&octets(store, content, part, limit, budget)?, &part.charset))
}

/// What is wrapped in a `winmail.dat`.
pub fn winmail(store: &Store, content: &Content, part: &Part, budget: &Budget) -> Result<Winmail> {
    let mut walker = winmail::Walker::default();
    decoded(store, content, Extractor::new(part), budget, &mut |octets| walker.push(octets))?;
    Ok(walker.finish())
}

/// Whether a part, decoded, is lines as they travel without an encoding (RFC 2045 §2.8): CRLF and nothing of it alone,
/// no NUL, at most 998 octets each.
pub fn travels_as_it_is(
    store: &Store,
    content: &Content,
    part: &Part,
    budget: &Budget,
) -> Result<bool> {
    let mut lines = Lines::default();
    decoded(store, content, Extractor::new(part), budget, &mut |octets| lines.push(octets))?;
    Ok(lines.are_good())
}

/// Lines that are looked at.
#[derive(Default)]
struct Lines {
    length: usize,
    was_cr: bool,
    is_bad: bool,
}

impl Lines {
    fn push(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.is_bad |= octet == 0 || self.was_cr != (octet == b'\n');
            self.length = if octet == b'\n' { 0 } else { self.length + 1 };
            self.was_cr = octet == b'\r';
            self.is_bad |= self.length > 999;
        }
    }

    fn are_good(&self) -> bool {
        !self.is_bad && !self.was_cr
    }
}

/// Reads a message as the index and its page would, and keeps nothing: it did no harm if this comes back.
pub fn probe(store: &Store, content: &Content, budget: &Budget) -> Result<()> {
    let structure = structure(store, content, budget)?;
    plain(store, content, &structure, SHOWN, budget)?;
    attached(store, content, &structure, SHOWN, budget)?;
    for part in &structure.parts {
        match part.kind.as_str() {
            "text/html" => drop(html::clean(
                &text(store, content, part, SHOWN, budget)?,
                &HashMap::new(),
                html::Remote::Blocked,
            )),
            "text/calendar" => {
                drop(calendar::event(&text(store, content, part, calendar::OCTETS, budget)?))
            }
            _ if winmail::is_wrapping(part) => drop(winmail(store, content, part, budget)?),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_can_travel_go_without_an_encoding() {
        let long = |length: usize| [vec![b'x'; length], b"\r\n".to_vec()].concat();
        for (octets, is_good) in [
            (b"a\r\n\r\nb".to_vec(), true),
            (b"".to_vec(), true),
            (b"a\nb".to_vec(), false),
            (b"a\rb\r\n".to_vec(), false),
            (b"a\r".to_vec(), false),
            (b"a\0\r\n".to_vec(), false),
            (long(998), true),
            (long(999), false),
        ] {
            for size in [1, 1000] {
                let mut lines = Lines::default();
                octets.chunks(size).for_each(|piece| lines.push(piece));
                assert_eq!(lines.are_good(), is_good, "{octets:?}");
            }
        }
    }
}
