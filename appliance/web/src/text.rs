//! Texts in the reader's language, from one catalogue each.

use std::borrow::Cow;
use std::sync::OnceLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use pillarbox_platform::clock::{self, Zone};

/// English, then German; English also stands in where a text is missing.
const CATALOGUES: [(&str, &str); 2] = [("en", include_str!("../i18n/en.ftl")), ("de", include_str!("../i18n/de.ftl"))];

type Bundle = FluentBundle<FluentResource>;

fn bundles() -> &'static [Bundle] {
    static BUNDLES: OnceLock<Vec<Bundle>> = OnceLock::new();
    BUNDLES.get_or_init(|| {
        let bundle = |(language, text): &(&str, &str)| {
            let mut bundle = Bundle::new_concurrent(language.parse::<unic_langid::LanguageIdentifier>().into_iter().collect());
            bundle.set_use_isolating(false);
            // A fault in a catalogue is found by the tests; what can be read of it is used.
            let (Ok(resource) | Err((resource, _))) = FluentResource::try_new(text.to_string());
            let _ = bundle.add_resource(resource);
            bundle
        };
        CATALOGUES.iter().map(bundle).collect()
    })
}

/// The texts of one language, and the zone of its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Texts {
    language: usize,
    zone: Zone,
}

impl Texts {
    /// Chooses by what the browser asks for (RFC 9110 §12.5.4): the first known language by weight.
    pub fn choose(accepted: &str) -> Texts {
        let mut wishes: Vec<(u32, &str)> = accepted
            .split(',')
            .filter_map(|wish| {
                let mut parts = wish.split(';');
                let language = parts.next()?.trim().split('-').next()?;
                let weight = parts.find_map(|p| p.trim().strip_prefix("q=")).map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
                Some(((weight * 1000.0) as u32, language))
            })
            .collect();
        wishes.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        let known = |language: &str| CATALOGUES.iter().position(|(name, _)| name.eq_ignore_ascii_case(language));
        let language = wishes.iter().filter(|(weight, _)| *weight > 0).find_map(|(_, language)| known(language)).unwrap_or(0);
        Texts { language, zone: Zone::default() }
    }

    /// The language a person chose, if it is one of ours.
    pub fn chosen(name: &str) -> Option<Texts> {
        CATALOGUES.iter().position(|(known, _)| *known == name).map(|language| Texts { language, zone: Zone::default() })
    }

    /// The same, with times of a zone.
    pub fn in_zone(self, zone: Zone) -> Texts {
        Texts { zone, ..self }
    }

    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The language's name for `lang=`.
    pub fn lang(&self) -> &'static str {
        CATALOGUES[self.language].0
    }

    /// A text.
    pub fn get(&self, key: &str) -> Cow<'static, str> {
        self.format(key, None)
    }

    /// A text with one value in it.
    pub fn with(&self, key: &str, name: &str, value: &str) -> Cow<'static, str> {
        let mut args = FluentArgs::new();
        args.set(name.to_string(), value.to_string());
        self.format(key, Some(&args))
    }

    /// A text with two values in it.
    pub fn with_two(&self, key: &str, first: (&str, &str), second: (&str, &str)) -> String {
        let mut args = FluentArgs::new();
        for (name, value) in [first, second] {
            args.set(name.to_string(), value.to_string());
        }
        self.format(key, Some(&args)).into_owned()
    }

    /// A text with a number in it, in the right plural.
    pub fn count(&self, key: &str, number: u64) -> Cow<'static, str> {
        let mut args = FluentArgs::new();
        args.set("n", number);
        self.format(key, Some(&args))
    }

    /// A time in the reader's zone, as people write it: today's by the clock alone, others with their day.
    pub fn moment(&self, at: u64, now: u64) -> String {
        let ([day, month, year, hour, minute], [today, this_month, this_year, ..]) = (clock::local(at, self.zone), clock::local(now, self.zone));
        let time = format!("{hour:02}:{minute:02}");
        if (day, month, year) == (today, this_month, this_year) {
            return self.with("time-today", "time", &time).into_owned();
        }
        let month = self.get(&format!("month-{month}"));
        let date = if self.language == 1 { format!("{day}. {month}") } else { format!("{day} {month}") };
        if year == this_year { format!("{date}, {time}") } else { format!("{date} {year}, {time}") }
    }

    /// A time for what is kept and sent: it stays true on other days and in other zones.
    pub fn date(&self, at: u64) -> String {
        let [day, month, year, hour, minute] = clock::local(at, self.zone);
        let month = self.get(&format!("month-{month}"));
        let day = if self.language == 1 { format!("{day}.") } else { day.to_string() };
        format!("{day} {month} {year}, {hour:02}:{minute:02} ({})", clock::offset(at, self.zone))
    }

    fn format(&self, key: &str, args: Option<&FluentArgs>) -> Cow<'static, str> {
        for bundle in [&bundles()[self.language], &bundles()[0]] {
            if let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) {
                return bundle.format_pattern(pattern, args, &mut Vec::new());
            }
        }
        Cow::Owned(key.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<&str> {
        let is_key = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" =");
        text.lines().filter(is_key).filter_map(|line| line.split(" =").next()).collect()
    }

    #[test]
    fn both_languages_have_every_text_and_no_catalogue_has_a_fault() {
        let [english, german] = CATALOGUES.map(|(_, text)| keys(text));
        assert_eq!(english, german, "the same keys in the same order");
        for (_, text) in CATALOGUES {
            assert!(FluentResource::try_new(text.to_string()).is_ok());
        }
    }

    #[test]
    fn every_text_a_page_names_is_there() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let known = keys(CATALOGUES[0].1);
        for folder in ["templates", "src", "src/pages", "src/pages/mail"] {
            for item in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = item.unwrap().path();
                if path.is_dir() || path.ends_with("text.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                for call in ["t.get(\"", "t.with(\"", "t.count(\"", "t.with_two(\"", "texts.get(\"", "texts.with(\"", "texts.count(\""] {
                    for used in text.split(call).skip(1).filter_map(|rest| rest.split('"').next()) {
                        assert!(known.contains(&used), "{used} in {}", path.display());
                    }
                }
            }
        }
    }

    #[test]
    fn dates_that_are_sent_stay_true() {
        let zone = |name: &str| Zone::named(name).unwrap();
        // 2026-11-26 08:00:00 UTC.
        let at = 1_795_680_000;
        for (language, place, text) in [
            ("en", "Europe/Berlin", "26 Nov 2026, 09:00 (UTC+01:00)"),
            ("de", "Europe/Berlin", "26. Nov. 2026, 09:00 (UTC+01:00)"),
            ("en", "Asia/Kolkata", "26 Nov 2026, 13:30 (UTC+05:30)"),
            ("en", "America/St_Johns", "26 Nov 2026, 04:30 (UTC-03:30)"),
            ("de", "Africa/Abidjan", "26. Nov. 2026, 08:00 (UTC)"),
        ] {
            assert_eq!(Texts::choose(language).in_zone(zone(place)).date(at), text);
        }
    }

    #[test]
    fn the_browser_chooses_the_language() {
        let lang = |accepted: &str| Texts::choose(accepted).lang();
        assert_eq!((lang(""), lang("de"), lang("de-AT,en;q=0.5")), ("en", "de", "de"));
        assert_eq!((lang("fr,de;q=0.8,en;q=0.9"), lang("fr"), lang("de;q=0")), ("en", "en", "en"));
        assert_eq!(Texts::choose("de").count("queue-count", 1), "1 Empfänger wartet.");
    }
}
