//! What a message says: its texts and pictures in order.

use pillarbox_message::charset;
use pillarbox_message::choice::Form;
use pillarbox_message::flowed::unflow;
use pillarbox_message::html;
use pillarbox_message::structure::{Part, Structure};
use pillarbox_store::{Content, Store};

use super::pieces::{Result, many};
use crate::mail::readers::Budget;

/// What is read in its place in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Html(String),
    /// A picture: the number of its part.
    Picture(usize),
}

/// A message as it is read, in order; at most `limit` octets of text.
pub fn body(
    store: &Store,
    content: &Content,
    structure: &Structure,
    form: Form,
    limit: usize,
    budget: &Budget,
) -> Result<Vec<Piece>> {
    body_of(structure, form, |parts| many(store, content, parts, limit, budget))
}

/// The same with another way to get at the octets of the texts.
pub fn body_of(
    structure: &Structure,
    form: Form,
    read: impl FnOnce(&[&Part]) -> Result<Vec<Vec<u8>>>,
) -> Result<Vec<Piece>> {
    let shown: Vec<(usize, &Part)> = structure
        .shown(form)
        .into_iter()
        .filter_map(|at| Some((at, structure.parts.get(at)?)))
        .collect();
    let is_picture = |part: &Part| part.kind.starts_with("image/");
    let texts: Vec<&Part> =
        shown.iter().map(|(_, part)| *part).filter(|part| !is_picture(part)).collect();
    let mut octets = read(&texts)?.into_iter();
    let piece = |(at, part): (usize, &Part)| match part.kind.as_str() {
        _ if is_picture(part) => Piece::Picture(at),
        "text/html" => {
            Piece::Html(charset::decode_html(&octets.next().unwrap_or_default(), &part.charset))
        }
        _ => Piece::Text(unflow(
            &charset::decode(&octets.next().unwrap_or_default(), &part.charset),
            part.flow,
        )),
    };
    Ok(shown.into_iter().map(piece).collect())
}

/// Pieces as plain text, an empty line between them.
pub fn joined(pieces: Vec<Piece>) -> String {
    let mut texts = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text),
        Piece::Html(html) => Some(html::to_text(&html)),
        Piece::Picture(_) => None,
    });
    let mut out = texts.next().unwrap_or_default();
    for text in texts.filter(|text| !text.trim().is_empty()) {
        out.truncate(out.trim_end().len());
        if !out.is_empty() {
            out.push_str("\n\n");
        }
        out.push_str(&text);
    }
    out
}

/// The text of a message for people who read no HTML, and for searching.
pub fn plain(
    store: &Store,
    content: &Content,
    structure: &Structure,
    limit: usize,
    budget: &Budget,
) -> Result<String> {
    Ok(joined(body(store, content, structure, Form::Plain, limit, budget)?))
}
