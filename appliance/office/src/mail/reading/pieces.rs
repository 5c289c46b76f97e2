//! The octets of a stored message, and of its parts, piece by piece.

use std::ops::ControlFlow;

use pillarbox_message::extract::Extractor;
use pillarbox_message::structure::{Part, Structure, Walker};
use pillarbox_store::{Content, Store};

use crate::mail::readers::{Budget, Unread};

/// Octets that are read at a time.
const PIECE: usize = 64 * 1024;

pub type Result<T> = std::result::Result<T, Unread>;

/// Gives the decoded octets of what an extractor takes out of a message, piece by piece.
pub fn decoded(
    store: &Store,
    content: &Content,
    mut extractor: Extractor,
    budget: &Budget,
    take: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    let mut out = Vec::new();
    pieces(store, content, budget, &mut |piece| {
        extractor.push(piece, &mut out);
        take(&out);
        out.clear();
        if extractor.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    extractor.finish(&mut out);
    take(&out);
    Ok(())
}

/// A message in pieces, until no more of it is wanted.
pub fn pieces(
    store: &Store,
    content: &Content,
    budget: &Budget,
    take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<()> {
    let mut skip = content.delivery_octets();
    delivered(store, content, budget, &mut |piece| {
        let skipped = skip.min(piece.len());
        skip -= skipped;
        take(&piece[skipped..])
    })
}

/// What final delivery put in front of a message: nobody else could.
pub fn front(store: &Store, content: &Content, budget: &Budget) -> Result<Vec<u8>> {
    let (octets, mut front) = (content.delivery_octets(), Vec::new());
    delivered(store, content, budget, &mut |piece| {
        front.extend_from_slice(&piece[..piece.len().min(octets - front.len())]);
        if front.len() == octets { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(front)
}

/// A message with what final delivery put in front, in pieces, until no more of it is wanted.
fn delivered(
    store: &Store,
    content: &Content,
    budget: &Budget,
    give: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<()> {
    budget.check()?;
    let Some(mut file) = store.open_large(content)? else {
        let mut octets = Vec::new();
        store.read(|r| r.read_inline(content, &mut octets))?;
        for piece in octets.chunks(PIECE) {
            budget.check()?;
            if give(piece).is_break() {
                break;
            }
        }
        return Ok(());
    };
    let mut piece = vec![0; PIECE];
    loop {
        budget.check()?;
        let count = file.read(&mut piece)?;
        if count == 0 || give(&piece[..count]).is_break() {
            return Ok(());
        }
    }
}

/// Takes a message apart.
/// Reads all of it, in pieces.
pub fn structure(store: &Store, content: &Content, budget: &Budget) -> Result<Structure> {
    let mut walker = Walker::new();
    pieces(store, content, budget, &mut |piece| {
        walker.push(piece);
        ControlFlow::Continue(())
    })?;
    Ok(walker.finish())
}

/// The decoded octets of parts that are one behind the other, at most `limit` of all of them.
/// Reads the message once.
pub fn many(
    store: &Store,
    content: &Content,
    parts: &[&Part],
    limit: usize,
    budget: &Budget,
) -> Result<Vec<Vec<u8>>> {
    let mut taken = Taken::new(parts, limit);
    pieces(store, content, budget, &mut |piece| taken.push(piece))?;
    Ok(taken.finish())
}

/// Parts on their way out of a message.
pub struct Taken {
    parts: Vec<(Extractor, Vec<u8>)>,
    left: usize,
}

impl Taken {
    pub fn new(parts: &[&Part], limit: usize) -> Taken {
        Taken {
            parts: parts.iter().map(|part| (Extractor::new(part), Vec::new())).collect(),
            left: limit,
        }
    }

    pub fn push(&mut self, piece: &[u8]) -> ControlFlow<()> {
        for (extractor, out) in &mut self.parts {
            let before = out.len();
            extractor.push(piece, out);
            out.truncate(before + self.left);
            self.left -= out.len() - before;
        }
        let is_over = self.left == 0 || self.parts.iter().all(|(extractor, _)| extractor.is_over());
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub fn finish(self) -> Vec<Vec<u8>> {
        let mut left = self.left;
        let mut end = |(mut extractor, mut out): (Extractor, Vec<u8>)| {
            let before = out.len();
            extractor.finish(&mut out);
            out.truncate(before + left);
            left -= out.len() - before;
            out
        };
        self.parts.into_iter().map(&mut end).collect()
    }
}
