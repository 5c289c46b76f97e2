//! Every text that people see, in each language.
//!
//! A language is one file, `i18n/xx.ftl` (Project Fluent's syntax), and one line in [`CATALOGUES`].
//! English comes first: it has every text, and stands in where another language lacks one.
//!
//! A key names a text: `saved`, or `cause-loop.advice` for the attribute `.advice` of the message `cause-loop`.
//! There are two ways to look it up:
//!
//! - [`Language::get`] and its kin know all of Fluent.
//!   They parse a language's catalogue at its first use and keep it.
//! - [`Language::plain`] reads single lines only, keeps nothing and allocates nothing.
//!   It serves the programs that must stay small while they wait: the beacon and the one that runs as root.
//!
//! This crate knows no page, no clock and no program of ours.

#[cfg(feature = "fluent")]
mod fluent;
mod plain;
#[cfg(all(test, feature = "fluent"))]
mod tests;

/// The language's tag (RFC 5646) and its texts, for each language.
const CATALOGUES: [(&str, &str); 2] =
    [("en", include_str!("../i18n/en.ftl")), ("de", include_str!("../i18n/de.ftl"))];

/// A language that there is a catalogue for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Language {
    /// Its place in the list, always within it.
    place: usize,
}

impl Language {
    pub const ENGLISH: Language = Language { place: 0 };

    /// All of them, English first.
    pub fn all() -> impl Iterator<Item = Language> {
        (0..CATALOGUES.len()).map(|place| Language { place })
    }

    /// The language with a tag; upper or lower case.
    pub fn tagged(tag: &str) -> Option<Language> {
        Language::all().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// The first known language by weight in an `Accept-Language` field (RFC 9110 §12.5.4), else English.
    /// A range such as `de-AT` stands for its language.
    pub fn accepted(field: &str) -> Language {
        let mut wishes: Vec<(u32, &str)> = field
            .split(',')
            .filter_map(|wish| {
                let mut parts = wish.split(';');
                let language = parts.next()?.trim().split('-').next()?;
                let weight = parts
                    .find_map(|p| p.trim().strip_prefix("q="))
                    .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
                Some(((weight * 1000.0) as u32, language))
            })
            .collect();
        wishes.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        wishes
            .iter()
            .filter(|(weight, _)| *weight > 0)
            .find_map(|(_, tag)| Language::tagged(tag))
            .unwrap_or(Language::ENGLISH)
    }

    /// The tag for `lang=`, such as `de`.
    pub fn tag(self) -> &'static str {
        CATALOGUES[self.place].0
    }

    fn catalogue(self) -> &'static str {
        CATALOGUES[self.place].1
    }
}

/// What `text` says in every language, English first, with something in between.
pub fn in_all(between: &str, text: impl FnMut(Language) -> String) -> String {
    Language::all().map(text).collect::<Vec<String>>().join(between)
}
