//! What a message says, compared with what people called wanted and unwanted before.
//!
//! [`Content`] is what is looked at of a message, [`Features`] are numbers made of it, and a [`Model`], which is made
//! of [`Lesson`]s, weighs them. No word of a message is kept in any of them.

mod agreement;
mod features;
mod lesson;
mod model;
#[cfg(test)]
mod tests;
mod tokens;

use std::ops::ControlFlow;

pub use features::Features;
pub use lesson::{Label, Lesson};
pub use model::{FEWEST, Lessons, Model, Opinion};
use pillarbox_message::choice::Form;
use pillarbox_message::extract::Extractor;
use pillarbox_message::structure::{Structure, Walker};
use pillarbox_message::{charset, head};

use crate::files::Replay;

/// Octets of a message's texts that are read, and texts.
const TEXT: usize = 48 * 1024;
const TEXTS: usize = 6;
/// Words that are told.
const TOLD: usize = 5;
/// Letters of such a word: shorter ones tell people nothing.
const TELLING: usize = 4;

/// What is looked at of a message.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// How it is built, and what its header says.
    pub structure: Structure,
    /// Its fields, as far as they are known, with those that final delivery puts in front.
    pub header: Vec<u8>,
    /// Its texts in order, decoded, each with whether it is HTML.
    pub texts: Vec<(String, bool)>,
}

/// What the model thinks of a message, and the words that made it think so, the weightiest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thought {
    pub opinion: Opinion,
    pub words: Vec<String>,
}

impl Content {
    /// Reads a message; of its texts no more than 48 KiB, whatever they say of themselves.
    /// `front`: its first octets, with the fields in front of it.
    ///
    /// # Errors
    /// Those of `replay`.
    pub fn read<E>(front: &[u8], replay: &Replay<'_, E>) -> Result<Content, E> {
        let mut walker = Walker::new();
        replay(&mut |piece| {
            walker.push(piece);
            ControlFlow::Continue(())
        })?;
        Content::of(walker.finish(), front, replay)
    }

    /// The same of a message that was taken apart already.
    ///
    /// # Errors
    /// Those of `replay`.
    pub fn of<E>(structure: Structure, front: &[u8], replay: &Replay<'_, E>) -> Result<Content, E> {
        let mut texts = Texts::of(&structure);
        if !texts.is_over() {
            replay(&mut |piece| {
                texts.push(piece);
                if texts.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        let texts = texts.finish(&structure);
        Ok(Content { structure, header: head::section(front).to_vec(), texts })
    }
}

/// Texts that are being read, in the message's order.
struct Texts(Vec<Text>);

struct Text {
    part: usize,
    extractor: Extractor,
    octets: Vec<u8>,
}

impl Texts {
    fn of(structure: &Structure) -> Texts {
        let mut parts = structure.shown(Form::Html);
        parts.retain(|&part| structure.parts[part].is_inline_text());
        parts.sort_unstable();
        let texts = parts.into_iter().take(TEXTS).map(|part| Text {
            part,
            extractor: Extractor::new(&structure.parts[part]),
            octets: Vec::new(),
        });
        Texts(texts.collect())
    }

    fn octets(&self) -> usize {
        self.0.iter().map(|text| text.octets.len()).sum()
    }

    fn is_over(&self) -> bool {
        self.octets() >= TEXT || self.0.iter().all(|text| text.extractor.is_over())
    }

    fn push(&mut self, piece: &[u8]) {
        for text in self.0.iter_mut().filter(|text| !text.extractor.is_over()) {
            text.extractor.push(piece, &mut text.octets);
        }
    }

    fn finish(self, structure: &Structure) -> Vec<(String, bool)> {
        let mut left = TEXT;
        let decode = |mut text: Text| {
            text.extractor.finish(&mut text.octets);
            text.octets.truncate(left);
            left -= text.octets.len();
            let part = &structure.parts[text.part];
            (charset::decode(&text.octets, &part.charset), part.kind == "text/html")
        };
        self.0.into_iter().map(decode).collect()
    }
}

impl Model {
    /// What it thinks of a message.
    pub fn think(&self, content: &Content) -> Thought {
        let opinion = self.judge(&Features::of(content));
        let is_told = matches!(opinion, Opinion::Doubtful | Opinion::Unwanted);
        Thought { opinion, words: if is_told { self.loudest(content) } else { Vec::new() } }
    }

    /// The words that speak most for a message being unwanted.
    fn loudest(&self, content: &Content) -> Vec<String> {
        let mut loudest: Vec<(f32, String)> = Vec::new();
        Features::told(content, &mut |id, word| {
            let says = self.says(id);
            let least = loudest.last().map_or(0.0, |(says, _)| *says);
            let is_word = word.chars().filter(|c| c.is_alphabetic()).count() >= TELLING;
            let is_louder = says > 0.0 && (says > least || loudest.len() < TOLD);
            if is_word && is_louder && !loudest.iter().any(|(_, known)| known == word) {
                let at = loudest.partition_point(|(other, _)| *other >= says);
                loudest.insert(at, (says, word.to_string()));
                loudest.truncate(TOLD);
            }
        });
        loudest.into_iter().map(|(_, word)| word).collect()
    }
}
