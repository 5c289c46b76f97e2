//! Texts of one line without choices, read where they stand in the catalogue: nothing is parsed ahead and nothing is
//! kept.

use crate::Language;

/// What the keys of these texts begin with.
/// They come first in each catalogue, so that a look-up reads a few pages of the program and not all of them.
pub const FAMILIES: [&str; 3] = ["rescue-", "screen-", "wifi-file-"];

impl Language {
    /// The language's own name, such as "Deutsch".
    pub fn name(self) -> &'static str {
        line(self.catalogue(), "language").unwrap_or(self.tag())
    }

    /// A text of one of the plain families, in English where this language lacks it.
    /// An unknown key is returned itself.
    pub fn plain(self, key: &'static str) -> &'static str {
        debug_assert!(
            FAMILIES.iter().any(|family| key.starts_with(family)),
            "{key} is in no plain family"
        );
        [self, Language::ENGLISH]
            .into_iter()
            .find_map(|language| line(language.catalogue(), key))
            .unwrap_or(key)
    }

    /// The same with values in it: each `{ $name }` is replaced once.
    /// What stands in a value is not looked at again.
    pub fn plain_with(self, key: &'static str, values: &[(&str, &str)]) -> String {
        filled(self.plain(key), values)
    }
}

fn line<'a>(catalogue: &'a str, key: &str) -> Option<&'a str> {
    catalogue.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
}

fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, name, after)) = placeable(rest) {
        out.push_str(before);
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => out.push_str(value),
            None => out.push_str(&rest[before.len()..rest.len() - after.len()]),
        }
        rest = after;
    }
    out + rest
}

/// The first `{ $name }`: what comes before it, its name, what comes behind it.
fn placeable(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{ $")?;
    let (name, after) = rest.split_once(" }")?;
    Some((before, name, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_found_by_its_whole_key() {
        let catalogue = "# a = comment\na-b = one\na = two = { $n }\nc =\n    many\n";
        assert_eq!(
            ["a-b", "a", "c", "many", ""].map(|key| line(catalogue, key)),
            [Some("one"), Some("two = { $n }"), None, None, None]
        );
    }

    #[test]
    fn values_take_the_places_of_their_names() {
        let text = "{ $a } and { $b }, { $a }";
        assert_eq!(filled(text, &[("a", "{ $b }"), ("b", "2")]), "{ $b } and 2, { $b }");
        assert_eq!(
            filled(text, &[("b", "2")]),
            "{ $a } and 2, { $a }",
            "a value that is missing is seen"
        );
        assert_eq!(filled("no { $end", &[]), "no { $end");
    }

    #[test]
    fn languages_say_their_own_names() {
        assert_eq!(Language::all().map(Language::name).collect::<Vec<_>>(), ["English", "Deutsch"]);
    }

    proptest! {
        #[test]
        fn any_text_is_filled(text in "(\\{ |\\$| \\}|a|ü|\\{ \\$a \\}){0,20}", value in "(\\{ \\$a \\}|ü){0,3}") {
            let whole = filled(&text, &[("a", &value)]);
            prop_assert!(whole.len() <= text.len() + 20 * value.len());
        }
    }
}
