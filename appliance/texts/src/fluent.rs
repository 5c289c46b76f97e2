//! All of Fluent: plurals, choices, texts of several lines.

use std::borrow::Cow;
use std::sync::OnceLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

use crate::{CATALOGUES, Language};

type Bundle = FluentBundle<FluentResource>;

/// A language is parsed when its first text is asked for.
static BUNDLES: [OnceLock<Bundle>; CATALOGUES.len()] =
    [const { OnceLock::new() }; CATALOGUES.len()];

fn parsed(language: Language) -> Bundle {
    let identifier = language.tag().parse::<unic_langid::LanguageIdentifier>();
    let mut bundle = Bundle::new_concurrent(identifier.into_iter().collect());
    // Values are not wrapped in marks of direction (U+2068, U+2069): mail programs of other people show those as boxes.
    bundle.set_use_isolating(false);
    // A fault in a catalogue is found by the tests; what can be read of it is used.
    let (Ok(resource) | Err((resource, _))) =
        FluentResource::try_new(language.catalogue().to_string());
    let _ = bundle.add_resource(resource);
    bundle
}

impl Language {
    fn bundle(self) -> &'static Bundle {
        BUNDLES[self.place].get_or_init(|| parsed(self))
    }

    /// A text.
    pub fn get(self, key: &str) -> Cow<'static, str> {
        self.format(key, None)
    }

    /// A text with values in it, each with its name.
    pub fn with(self, key: &str, values: &[(&str, &str)]) -> Cow<'static, str> {
        let mut args = FluentArgs::with_capacity(values.len());
        for (name, value) in values {
            args.set(name.to_string(), FluentValue::from(value.to_string()));
        }
        self.format(key, Some(&args))
    }

    /// A text with a number in it, in the right plural.
    /// The text calls it `$n`.
    pub fn count(self, key: &str, number: u64) -> Cow<'static, str> {
        let mut args = FluentArgs::with_capacity(1);
        args.set("n", number);
        self.format(key, Some(&args))
    }

    /// In English where this language lacks the text.
    /// An unknown key is returned itself.
    fn format(self, key: &str, args: Option<&FluentArgs>) -> Cow<'static, str> {
        let (name, attribute) =
            key.split_once('.').map_or((key, None), |(name, attribute)| (name, Some(attribute)));
        for language in [self, Language::ENGLISH] {
            let bundle = language.bundle();
            let pattern = bundle.get_message(name).and_then(|message| match attribute {
                Some(attribute) => Some(message.get_attribute(attribute)?.value()),
                None => message.value(),
            });
            if let Some(pattern) = pattern {
                return bundle.format_pattern(pattern, args, &mut Vec::new());
            }
        }
        Cow::Owned(key.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_values_plurals_and_attributes() {
        let german = Language::tagged("de").unwrap();
        assert_eq!(german.count("queue-count", 1), "1 Empfänger wartet.");
        assert_eq!(german.get("cause-mailbox-full.whose"), "Das kann nur der Empfänger ändern.");
        assert_eq!(german.with("mail-used", &[("size", "3 MB")]), "Ihre Post belegt 3 MB.");
        for unknown in ["nothing", "saved.nothing", ""] {
            assert_eq!(german.get(unknown), unknown);
        }
    }
}
