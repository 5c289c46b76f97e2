//! Messages that are parts of a message.

use std::ops::ControlFlow;

use pillarbox_message::choice::Form;
use pillarbox_message::extract::Extractor;
use pillarbox_message::structure::{Part, Structure, Walker};
use pillarbox_store::{Content, Store};

use super::body::{body_of, joined};
use super::pieces::{Result, Taken, decoded, pieces};
use crate::mail::readers::Budget;

/// Octets that are read of a message in a message for its subject.
const GLANCED: usize = 64 * 1024;
/// Messages that came along with one and are shown with it, and how deep they are looked for.
const ATTACHED: usize = 20;
const NESTED: usize = 3;

/// A message that is a part of another one.
pub struct Attached {
    /// The numbers of the parts that lead to it, the outermost first.
    pub way: Vec<usize>,
    pub structure: Structure,
    pub text: String,
}

/// The messages that came along, in order, each before those it brings along itself; at most `limit` octets of all
/// their texts.
/// Nested to a bound: what is deeper can be saved.
pub fn attached(
    store: &Store,
    content: &Content,
    structure: &Structure,
    limit: usize,
    budget: &Budget,
) -> Result<Vec<Attached>> {
    let mut found: Vec<Attached> = Vec::new();
    let mut left = limit;
    let mut waiting = messages(structure, &[]);
    waiting.reverse();
    while let Some(way) = waiting.pop().filter(|_| found.len() < ATTACHED) {
        let Some(parts) = along(structure, &way, &found) else { continue };
        let (inner, beginning) = beginning(store, content, &parts, left, budget)?;
        let body = body_of(&inner, Form::Plain, |parts| {
            let mut taken = Taken::new(parts, left);
            let _ = taken.push(&beginning);
            Ok(taken.finish())
        })?;
        left = left.saturating_sub(beginning.len());
        if way.len() < NESTED {
            waiting.extend(messages(&inner, &way).into_iter().rev());
        }
        found.push(Attached { way, structure: inner, text: joined(body) });
    }
    Ok(found)
}

/// The ways to the messages that are parts of a message, which is reached by `way` itself.
fn messages(structure: &Structure, way: &[usize]) -> Vec<Vec<usize>> {
    let parts = structure.parts.iter().enumerate();
    parts.filter(|(_, part)| part.is_message()).map(|(at, _)| [way, &[at]].concat()).collect()
}

/// A message in a message: its structure, and its first octets, at most `limit`.
fn beginning(
    store: &Store,
    content: &Content,
    parts: &[Part],
    limit: usize,
    budget: &Budget,
) -> Result<(Structure, Vec<u8>)> {
    let (mut walker, mut beginning) = (Walker::new(), Vec::new());
    decoded(store, content, Extractor::along(parts), budget, &mut |octets| {
        walker.push(octets);
        beginning.extend_from_slice(&octets[..octets.len().min(limit - beginning.len())]);
    })?;
    Ok((walker.finish(), beginning))
}

/// The parts a way leads through, as far as the messages on it are known.
fn along(structure: &Structure, way: &[usize], known: &[Attached]) -> Option<Vec<Part>> {
    let step = |length: usize| {
        let (at, above) = way[..length].split_last()?;
        let around = match above {
            [] => structure,
            above => &known.iter().find(|message| message.way == above)?.structure,
        };
        around.parts.get(*at).cloned()
    };
    (1..=way.len()).map(step).collect()
}

/// What a message in a message is about, by its beginning.
pub fn subject(
    store: &Store,
    content: &Content,
    parts: &[Part],
    budget: &Budget,
) -> Result<String> {
    let (mut extractor, mut walker, mut out) = (Extractor::along(parts), Walker::new(), Vec::new());
    let mut count = 0;
    pieces(store, content, budget, &mut |piece| {
        extractor.push(piece, &mut out);
        walker.push(&out);
        count += out.len();
        out.clear();
        if count >= GLANCED || extractor.is_over() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    extractor.finish(&mut out);
    walker.push(&out);
    Ok(walker.finish().subject)
}

/// The parts a way leads through: the last one is what it leads to, all others are messages.
pub fn reached(
    store: &Store,
    content: &Content,
    structure: &Structure,
    way: &[usize],
    budget: &Budget,
) -> Result<Option<Vec<Part>>> {
    let mut around = structure.clone();
    let mut parts: Vec<Part> = Vec::new();
    for (depth, &at) in way.iter().take(NESTED + 1).enumerate() {
        if depth > 0 {
            let mut walker = Walker::new();
            decoded(store, content, Extractor::along(&parts), budget, &mut |octets| {
                walker.push(octets)
            })?;
            around = walker.finish();
        }
        let part = around.parts.get(at).filter(|_| parts.iter().all(Part::is_message));
        let Some(part) = part else { return Ok(None) };
        parts.push(part.clone());
    }
    Ok((!parts.is_empty() && parts.len() == way.len()).then_some(parts))
}
