//! What a message says, field by field: for the index, and for searches in messages that are not in it or of which it
//! does not know enough.

use std::collections::BTreeSet;

use pillarbox_message::words::forms;
use pillarbox_store::{Field, Term, Truth, Words};

/// Different words of one message that are indexed.
const WORDS: usize = 3000;

/// The word of the field of facts that says that there are attached files.
pub const ATTACHMENT: &str = "attachment";

/// The words of a message in order, each in all its forms, by the texts they are in.
#[derive(Default)]
pub struct Spoken(Vec<(Field, Vec<Vec<String>>)>);

impl Spoken {
    pub fn of(texts: &[(Field, String)]) -> Spoken {
        Spoken(texts.iter().map(|(field, text)| (*field, forms(text).collect())).collect())
    }

    /// What goes into the index: each word of each field once, in the order of the fields as they were given.
    pub fn terms(&self) -> Vec<(Field, &str)> {
        let mut known = BTreeSet::new();
        let all = self.0.iter().flat_map(|(field, words)| {
            words.iter().flatten().map(move |word| (*field, word.as_str()))
        });
        all.filter(|term| known.insert(*term)).take(WORDS).collect()
    }
}

fn is(term: &Term, forms: &[String]) -> bool {
    forms
        .iter()
        .any(|form| if term.is_prefix { form.starts_with(&term.word) } else { *form == term.word })
}

impl Words for Spoken {
    fn word(&self, term: &Term) -> Truth {
        self.phrase(std::slice::from_ref(term))
    }

    fn phrase(&self, terms: &[Term]) -> Truth {
        let Some(first) = terms.first() else { return Truth::Yes };
        let stands = |words: &[Vec<String>]| {
            words
                .windows(terms.len())
                .any(|some| some.iter().zip(terms).all(|(forms, term)| is(term, forms)))
        };
        self.0.iter().any(|(field, words)| first.fields.contains(*field) && stands(words)).into()
    }
}

#[cfg(test)]
mod tests {
    use pillarbox_store::Fields;

    use super::*;

    #[test]
    fn words_and_phrases_are_found_in_their_fields() {
        let texts = [
            (Field::Subject, "New offer".to_string()),
            (Field::Body, "The new. Offers of Müller\nstand".to_string()),
        ];
        let spoken = Spoken::of(&texts);
        let term = |word: &str, fields, is_prefix| Term { word: word.into(), fields, is_prefix };
        let phrase = |words: &[&str], fields| {
            spoken.phrase(&words.iter().map(|word| term(word, fields, false)).collect::<Vec<_>>())
                == Truth::Yes
        };
        assert!(
            phrase(&["new", "offer"], Fields::ALL)
                && !phrase(&["new", "offer"], Fields::of(&[Field::Body]))
        );
        assert!(
            phrase(&["of", "mueller", "stand"], Fields::ALL)
                && !phrase(&["offer", "the"], Fields::ALL),
            "texts are apart"
        );
        assert!(
            spoken.word(&term("off", Fields::ALL, true)) == Truth::Yes
                && spoken.word(&term("off", Fields::ALL, false)) == Truth::No
        );
        assert_eq!(spoken.terms().iter().filter(|(_, word)| *word == "new").count(), 2);
    }
}
