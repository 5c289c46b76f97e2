//! Invitations (RFC 5545): the first event of a calendar part, for a card.

use jiff::tz::TimeZone;
use pillarbox_vocabulary::text::one_line;

/// Octets of a calendar part that are read.
pub const OCTETS: usize = 64 * 1024;
/// Characters of each text.
const TEXT: usize = 500;

/// What an invitation says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What it is about (SUMMARY), unescaped, on one line, at most 500 characters; empty: not said.
    pub summary: String,
    /// Where it is (LOCATION), as `summary`.
    pub place: String,
    /// The organizer's address; empty: none.
    pub organizer: String,
    /// DTSTART, in seconds since 1970.
    pub starts: Option<u64>,
    /// The same of DTEND; durations are not read.
    pub ends: Option<u64>,
    /// METHOD is CANCEL (RFC 5546 §3.2.5).
    pub is_cancelled: bool,
}

/// Reads the first event; `None` when there is none.
pub fn event(text: &str) -> Option<Event> {
    // RFC 5545 §3.1: a line that begins with a blank goes on with the one before.
    let unfolded = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let mut event = Event::default();
    let mut depth: Vec<&str> = Vec::new();
    let mut is_found = false;
    for line in unfolded.lines() {
        let Some((head, value)) = line.split_once(':') else { continue };
        let mut parameters = head.split(';');
        let name = parameters.next().unwrap_or_default().to_ascii_uppercase();
        match (name.as_str(), depth.last().copied()) {
            ("BEGIN", _) => depth.push(value),
            ("END", Some("VEVENT")) => {
                is_found = true;
                break;
            }
            ("END", _) => drop(depth.pop()),
            ("METHOD", _) => event.is_cancelled = value.eq_ignore_ascii_case("CANCEL"),
            ("SUMMARY", Some("VEVENT")) => event.summary = plain(value),
            ("LOCATION", Some("VEVENT")) => event.place = plain(value),
            ("ORGANIZER", Some("VEVENT")) => event.organizer = organizer(value),
            ("DTSTART", Some("VEVENT")) => event.starts = moment(parameters, value),
            ("DTEND", Some("VEVENT")) => event.ends = moment(parameters, value),
            _ => {}
        }
    }
    is_found.then_some(event)
}

/// RFC 5545 §3.3.11.
fn plain(value: &str) -> String {
    let text = value
        .replace("\\n", " ")
        .replace("\\N", " ")
        .replace("\\,", ",")
        .replace("\\;", ";")
        .replace("\\\\", "\\");
    one_line(&text).chars().take(TEXT).collect()
}

fn organizer(value: &str) -> String {
    let address = if value.to_ascii_lowercase().starts_with("mailto:") { &value[7..] } else { "" };
    address.chars().filter(|c| c.is_ascii_graphic()).take(TEXT).collect()
}

/// A time in UTC, in a named zone, or where the box is; a day begins at midnight (RFC 5545 §3.3.4, §3.3.5).
fn moment<'t>(parameters: impl Iterator<Item = &'t str>, value: &str) -> Option<u64> {
    let mut zone = TimeZone::system();
    for parameter in parameters {
        if let Some((name, id)) = parameter.split_once('=')
            && name.eq_ignore_ascii_case("TZID")
        {
            zone = TimeZone::get(id.trim_matches('"')).unwrap_or(zone);
        }
    }
    let (value, zone) =
        value.strip_suffix('Z').map_or((value, zone), |value| (value, TimeZone::UTC));
    let civil: jiff::civil::DateTime = match value.len() {
        8 => value.parse::<jiff::civil::Date>().ok()?.at(0, 0, 0, 0),
        _ => value.parse().ok()?,
    };
    u64::try_from(civil.to_zoned(zone).ok()?.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invitations_are_read_and_rubbish_is_none() {
        let text = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VTIMEZONE\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\n\
            SUMMARY:Lunch\\, and\r\n  more\r\nLOCATION:Room 1\r\nORGANIZER;CN=Cy:MAILTO:cy@x.example\r\nDTSTART:20260921T141320Z\r\nDTEND:20260921T151320Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let found = event(text).unwrap();
        assert_eq!(
            (found.summary.as_str(), found.place.as_str(), found.organizer.as_str()),
            ("Lunch, and more", "Room 1", "cy@x.example")
        );
        assert_eq!(
            (found.starts, found.ends, found.is_cancelled),
            (Some(1_790_000_000), Some(1_790_003_600), false)
        );
        assert!(event(&text.replace("REQUEST", "CANCEL")).unwrap().is_cancelled);
        assert_eq!(event(&text.replace("20260921T141320Z", "soon")).unwrap().starts, None);
        assert!(
            event(&text.replace("DTSTART:20260921T141320Z", "DTSTART;VALUE=DATE:20260921"))
                .unwrap()
                .starts
                .is_some()
        );
        assert_eq!((event(""), event("BEGIN:VEVENT\nSUMMARY:x")), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_read(text in "(BEGIN:VEVENT\n|END:VEVENT\n|DTSTART[;:=A-Z0-9]{0,20}\n|ORGANIZER:\\PC{0,9}\n|\\PC{0,30}\n){0,12}") {
            event(&text);
        }
    }
}
