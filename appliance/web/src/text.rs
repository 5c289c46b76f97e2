//! Texts in the reader's language, and times in their zone.

use std::borrow::Cow;

use pillarbox_platform::clock::{self, Zone};
use pillarbox_texts::Language;
use pillarbox_vocabulary::Timestamp;

/// The texts of one language, and the zone of its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Texts {
    language: Language,
    zone: Zone,
}

impl Texts {
    /// Chooses by what the browser asks for (RFC 9110 §12.5.4).
    pub fn choose(accepted: &str) -> Texts {
        Texts { language: Language::accepted(accepted), zone: Zone::default() }
    }

    /// The language a person chose, if it is one of ours.
    pub fn chosen(tag: &str) -> Option<Texts> {
        Language::tagged(tag).map(|language| Texts { language, zone: Zone::default() })
    }

    /// The same, with times of a zone.
    pub fn in_zone(self, zone: Zone) -> Texts {
        Texts { zone, ..self }
    }

    pub fn zone(&self) -> Zone {
        self.zone
    }

    pub fn language(&self) -> Language {
        self.language
    }

    /// The language's name for `lang=`.
    pub fn lang(&self) -> &'static str {
        self.language.tag()
    }

    /// A text.
    pub fn get(&self, key: &str) -> Cow<'static, str> {
        self.language.get(key)
    }

    /// A text with one value in it.
    pub fn with(&self, key: &str, name: &str, value: &str) -> Cow<'static, str> {
        self.language.with(key, &[(name, value)])
    }

    /// A text with two values in it.
    pub fn with_two(&self, key: &str, first: (&str, &str), second: (&str, &str)) -> String {
        self.language.with(key, &[first, second]).into_owned()
    }

    /// A text with a number in it, in the right plural.
    pub fn count(&self, key: &str, number: u64) -> Cow<'static, str> {
        self.language.count(key, number)
    }

    /// A time in the reader's zone, as people write it: today's by the clock alone, others with their day.
    pub fn moment(&self, at: Timestamp, now: Timestamp) -> String {
        let ([day, month, year, hour, minute], [today, this_month, this_year, ..]) =
            (clock::local(at, self.zone), clock::local(now, self.zone));
        let time = format!("{hour:02}:{minute:02}");
        if (day, month, year) == (today, this_month, this_year) {
            return self.with("time-today", "time", &time).into_owned();
        }
        let key = if year == this_year { "date-this-year" } else { "date-other-year" };
        self.day(key, [day, month, year], &[("time", &time)])
    }

    /// A time for what is kept and sent: it stays true on other days and in other zones.
    pub fn date(&self, at: Timestamp) -> String {
        let [day, month, year, hour, minute] = clock::local(at, self.zone);
        self.day(
            "date-full",
            [day, month, year],
            &[
                ("time", &format!("{hour:02}:{minute:02}")),
                ("offset", &clock::offset(at, self.zone)),
            ],
        )
    }

    fn day(&self, key: &str, [day, month, year]: [i16; 3], more: &[(&str, &str)]) -> String {
        let (day, month, year) =
            (day.to_string(), self.get(&format!("month-{month}")), year.to_string());
        self.language
            .with(key, &[&[("day", &*day), ("month", &*month), ("year", &*year)], more].concat())
            .into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(Texts::choose(language).in_zone(zone(place)).date(Timestamp(at)), text);
        }
    }

    #[test]
    fn days_of_this_year_and_others_are_written_as_people_do() {
        // 2026-11-26 08:00:00 UTC, seen an hour, a day and a year later.
        let at = 1_795_680_000;
        for (language, later, text) in [
            ("en", 3_600, "today 08:00"),
            ("de", 3_600, "heute 08:00"),
            ("en", 86_400, "26 Nov, 08:00"),
            ("de", 86_400, "26. Nov., 08:00"),
            ("en", 31_536_000, "26 Nov 2026, 08:00"),
            ("de", 31_536_000, "26. Nov. 2026, 08:00"),
        ] {
            assert_eq!(
                Texts::choose(language)
                    .in_zone(Zone::named("UTC").unwrap())
                    .moment(Timestamp(at), Timestamp(at + later)),
                text
            );
        }
    }
}
