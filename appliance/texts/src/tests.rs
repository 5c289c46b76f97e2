#![allow(clippy::unwrap_used)] // tests may

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fluent_syntax::ast::{
    CallArguments, Entry, Expression, InlineExpression, Pattern, PatternElement,
};
use fluent_syntax::parser;

use super::{Language, in_all, plain};

/// A text of a catalogue.
#[derive(Debug, Default)]
struct Text {
    key: String,
    variables: BTreeSet<String>,
    /// Literal text of each way to say it: one, or one for each variant of a choice.
    ways: Vec<String>,
    has_choice: bool,
}

impl Text {
    fn of(key: String, pattern: &Pattern<&str>) -> Text {
        let mut text = Text { key, ..Text::default() };
        let way = text.pattern(pattern);
        if !text.has_choice {
            text.ways.push(way);
        }
        text
    }

    /// Gathers what a pattern contains, and returns its literal text.
    fn pattern(&mut self, pattern: &Pattern<&str>) -> String {
        let mut way = String::new();
        for element in &pattern.elements {
            match element {
                PatternElement::TextElement { value } => way.push_str(value),
                PatternElement::Placeable { expression } => self.expression(expression),
            }
        }
        way
    }

    fn expression(&mut self, expression: &Expression<&str>) {
        match expression {
            Expression::Inline(inline) => self.inline(inline),
            Expression::Select { selector, variants } => {
                self.has_choice = true;
                self.inline(selector);
                for variant in variants {
                    let way = self.pattern(&variant.value);
                    self.ways.push(way);
                }
            }
        }
    }

    fn inline(&mut self, inline: &InlineExpression<&str>) {
        match inline {
            InlineExpression::VariableReference { id } => {
                self.variables.insert(id.name.to_string());
            }
            InlineExpression::Placeable { expression } => self.expression(expression),
            InlineExpression::FunctionReference {
                arguments: CallArguments { positional, named },
                ..
            } => {
                positional.iter().for_each(|argument| self.inline(argument));
                named.iter().for_each(|argument| self.inline(&argument.value));
            }
            InlineExpression::StringLiteral { .. } | InlineExpression::NumberLiteral { .. } => {}
            InlineExpression::MessageReference { id, .. }
            | InlineExpression::TermReference { id, .. } => {
                panic!("{} refers to {}", self.key, id.name)
            }
        }
    }
}

/// The texts of a language in their order, attributes behind their message.
fn texts(language: Language) -> Vec<Text> {
    let resource = parser::parse(language.catalogue())
        .unwrap_or_else(|(_, faults)| panic!("{}: {faults:?}", language.tag()));
    let mut found = Vec::new();
    for entry in &resource.body {
        let Entry::Message(message) = entry else { continue };
        let name = message.id.name;
        found.extend(message.value.as_ref().map(|pattern| Text::of(name.to_string(), pattern)));
        found.extend(
            message.attributes.iter().map(|attribute| {
                Text::of(format!("{name}.{}", attribute.id.name), &attribute.value)
            }),
        );
    }
    found
}

fn is_plain(key: &str) -> bool {
    plain::FAMILIES.iter().any(|family| key.starts_with(family))
}

#[test]
fn the_browser_chooses_the_language() {
    let tag = |accepted: &str| Language::accepted(accepted).tag();
    assert_eq!((tag(""), tag("de"), tag("de-AT,en;q=0.5")), ("en", "de", "de"));
    assert_eq!(
        (tag("fr,de;q=0.8,en;q=0.9"), tag("fr"), tag("de;q=0"), tag("DE-de")),
        ("en", "en", "en", "de")
    );
    assert_eq!(Language::tagged("xx"), None);
}

#[test]
fn all_languages_speak_in_turn() {
    assert_eq!(in_all(" / ", |language| language.tag().into()), "en / de");
}

#[test]
fn every_catalogue_is_in_the_list() {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("i18n")).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, Language::all().map(|language| format!("{}.ftl", language.tag())).collect());
    assert_eq!(Language::ENGLISH.tag(), "en");
}

#[test]
fn every_language_has_the_texts_of_english_with_the_same_variables() {
    let english = texts(Language::ENGLISH);
    let keys: Vec<&str> = english.iter().map(|text| &*text.key).collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a key stands twice");
    for language in Language::all().skip(1) {
        let other = texts(language);
        assert_eq!(
            other.iter().map(|text| &*text.key).collect::<Vec<_>>(),
            keys,
            "{}: the same keys in the same order",
            language.tag()
        );
        for (text, model) in other.iter().zip(&english) {
            assert_eq!(text.variables, model.variables, "{}: {}", language.tag(), text.key);
        }
    }
}

#[test]
fn no_text_is_empty() {
    for language in Language::all() {
        for text in texts(language) {
            assert!(!text.ways.is_empty(), "{}: {}", language.tag(), text.key);
            for way in &text.ways {
                // A text may be made of values alone.
                let is_value = way.is_empty() && !text.variables.is_empty();
                assert!(is_value || !way.trim().is_empty(), "{}: {}", language.tag(), text.key);
            }
        }
    }
}

#[test]
fn plain_texts_come_first_and_are_the_same_with_and_without_fluent() {
    for language in Language::all() {
        let texts = texts(language);
        let end = texts.iter().take_while(|text| is_plain(&text.key)).count();
        assert!(
            end > 0 && texts[end..].iter().all(|text| !is_plain(&text.key)),
            "{}: plain texts come first",
            language.tag()
        );
        for text in &texts[..end] {
            let values: Vec<(&str, &str)> =
                text.variables.iter().map(|name| (&**name, "{ $x }")).collect();
            let key: &'static str = text.key.clone().leak();
            assert!(
                !text.has_choice && !key.contains('.'),
                "{}: {key} is not plain",
                language.tag()
            );
            assert_eq!(
                language.plain_with(key, &values),
                language.with(key, &values),
                "{}: {key}",
                language.tag()
            );
        }
    }
}

/// The files of all programs that may name a text, with what they contain.
/// This crate's own are left out.
fn sources() -> Vec<(PathBuf, String)> {
    let appliance = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut found, mut folders) = (Vec::new(), vec![appliance]);
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(&folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() && !path.ends_with("texts") {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|end| ["rs", "html", "xml"].contains(&&*end.to_string_lossy()))
            {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 100, "the sources are elsewhere now");
    found
}

/// What stands in quotation marks behind a call, as its first argument.
fn named<'a>(source: &'a str, call: &'a str) -> impl Iterator<Item = &'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    source.match_indices(call).filter_map(move |(at, _)| {
        let literal = source[at + call.len()..].trim_start().strip_prefix('"')?;
        literal.split('"').next().filter(|_| !source[..at].ends_with(is_word))
    })
}

#[test]
fn every_text_that_code_and_pages_name_is_there() {
    let texts = texts(Language::ENGLISH);
    let known: BTreeSet<&str> = texts.iter().map(|text| &*text.key).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, source) in sources() {
        for receiver in ["t", "texts", "language"] {
            for method in ["get", "with", "with_two", "count", "plain", "plain_with"] {
                for used in named(&source, &format!("{receiver}.{method}(")) {
                    assert!(known.contains(used), "{used} in {}", path.display());
                    *counts.entry(receiver).or_default() += 1;
                }
            }
        }
    }
    assert!(
        ["t", "language"].iter().all(|receiver| counts[receiver] > 5),
        "names are not seen any more: {counts:?}"
    );
}

/// Keys that programs keep apart from the call, as in a match.
#[test]
fn what_looks_like_a_key_is_one() {
    let texts = texts(Language::ENGLISH);
    let known: BTreeSet<&str> = texts.iter().map(|text| &*text.key).collect();
    let is_key = |word: &&str| {
        ["cause-", "notice-", "owner-", "rescue-", "screen-", "wifi-file-"]
            .iter()
            .any(|family| word.starts_with(family))
            && word.bytes().all(|octet| {
                octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-.".contains(&octet)
            })
            && !word.ends_with('-')
    };
    for (path, source) in sources() {
        for word in source.split('"').filter(is_key) {
            assert!(known.contains(word), "{word} in {}", path.display());
        }
    }
}

/// A key is found in quotation marks, or its beginning before a part that is computed: `"fate-{}"`.
#[test]
fn every_text_is_named_somewhere() {
    let sources = sources();
    let quoted: BTreeSet<&str> = sources.iter().flat_map(|(_, source)| source.split('"')).collect();
    let is_used = |key: &str| {
        let is_stem = |(at, _)| {
            let stem = format!("{}{{", &key[..=at]);
            quoted.range(&*stem..).next().is_some_and(|found| found.starts_with(&stem))
        };
        quoted.contains(key) || key.match_indices('-').any(is_stem)
    };
    let texts = texts(Language::ENGLISH);
    // An attribute is asked for together with its message, or not at all.
    let names = texts.iter().map(|text| text.key.split('.').next().unwrap_or_default());
    let unused: Vec<&str> = names.filter(|name| *name != "language" && !is_used(name)).collect();
    assert!(unused.is_empty(), "nobody asks for {unused:?}");
}
