//! Words as they are searched for: folded, so that case and accents make no difference.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

/// Different words of one message that are indexed.
const WORDS: usize = 3000;
/// Characters of a word.
const LENGTH: usize = 30;

/// Lower case without accents; `ß` is `ss`.
pub fn fold(text: &str) -> String {
    let plain = text.nfkd().filter(|c| !is_combining_mark(*c));
    plain.flat_map(char::to_lowercase).collect::<String>().replace('ß', "ss")
}

/// The words of a text, folded (UAX #29).
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().map(|word| fold(word).chars().take(LENGTH).collect())
}

/// A text in pieces: those that begin with a word that was searched for are marked. `wanted` is folded.
pub fn marked(text: &str, wanted: &[String]) -> Vec<(String, bool)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for (start, word) in text.unicode_word_indices() {
        let folded = fold(word);
        if wanted.iter().any(|wanted| folded.starts_with(wanted.as_str())) {
            pieces.push((text[at..start].to_string(), false));
            pieces.push((word.to_string(), true));
            at = start + word.len();
        }
    }
    pieces.push((text[at..].to_string(), false));
    pieces.retain(|(piece, _)| !piece.is_empty());
    pieces
}

/// Terms of one message, each once: a letter for the field, then the word.
#[derive(Default)]
pub struct Terms(BTreeSet<String>);

impl Terms {
    /// Adds the words of a field: `f`rom, `t`o, `s`ubject, `b`ody, `x` for facts.
    pub fn add(&mut self, field: char, text: &str) {
        for word in words(text) {
            if self.0.len() >= WORDS {
                return;
            }
            self.0.insert(format!("{field}{word}"));
        }
    }

    /// Adds a term as it is.
    pub fn mark(&mut self, term: &str) {
        self.0.insert(term.to_string());
    }

    /// The terms, sorted.
    pub fn into_vec(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded() {
        let found: Vec<String> = words("Grüße, Été-2026! it's straße@x.example").collect();
        assert_eq!(found, ["grusse", "ete", "2026", "it's", "strasse", "x.example"]);
        assert_eq!(fold("ÀÉÎ ﬁ Ⅷ"), "aei fi viii");
        let found = marked("Ein Grüßchen, grüße!", &["gruss".to_string()]);
        assert_eq!(
            found.iter().map(|(piece, is)| (piece.as_str(), *is)).collect::<Vec<_>>(),
            [("Ein ", false), ("Grüßchen", true), (", ", false), ("grüße", true), ("!", false)]
        );
        let mut terms = Terms::default();
        terms.add('b', "a b A");
        assert_eq!(terms.into_vec(), ["ba", "bb"]);
    }
}
