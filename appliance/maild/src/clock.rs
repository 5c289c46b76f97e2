//! The one place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 by the box's clock; 0 when it stands before that.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// A time as RFC 5322 §3.3 writes it, in UTC: `Mon, 23 Nov 2026 21:58:00 +0000`.
pub fn rfc5322(at: u64) -> String {
    timestamp(at).strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A time for people and scripts: `2026-11-23T21:58:00Z`.
pub fn iso(at: u64) -> String {
    timestamp(at).to_string()
}

/// A day as `20261123`, in UTC.
pub fn day(at: u64) -> String {
    timestamp(at).strftime("%Y%m%d").to_string()
}

/// Day, month, year, hour and minute where the box stands.
pub fn local(at: u64) -> [i16; 5] {
    let there = timestamp(at).to_zoned(jiff::tz::TimeZone::system());
    [i16::from(there.day()), i16::from(there.month()), there.year(), i16::from(there.hour()), i16::from(there.minute())]
}

/// First and last second of a day (`2026-11-23`) or of a time (`2026-11-23T21:58:00Z`), in UTC.
pub fn parse(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("{text:?} is no day or time; write it like 2026-11-23 or 2026-11-23T21:58:00Z");
    let seconds = |text: &str| text.parse::<jiff::Timestamp>().ok().and_then(|t| u64::try_from(t.as_second()).ok());
    match text.len() {
        10 => seconds(&format!("{text}T00:00:00Z")).map(|start| (start, start + 86_399)),
        _ => seconds(text).map(|at| (at, at)),
    }
    .ok_or_else(wrong)
}

/// The day this release was made, seconds since 1970: no true time is earlier.
const RELEASED: u64 = 1_795_000_000;
/// systemd-timesyncd makes the folder when it runs, and the file once the time is set.
const TIMESYNC: &str = "/run/systemd/timesync";

/// Whether the clock can be believed. A board without a battery starts anywhere; until its time is set nothing
/// may grow old by it.
pub fn is_trusted() -> bool {
    let folder = std::path::Path::new(TIMESYNC);
    now() >= RELEASED && (!folder.exists() || folder.join("synchronized").exists())
}

/// A local time as browsers' forms write it (`2026-11-23T21:58`), where the box stands.
pub fn parse_local(text: &str) -> Option<u64> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let there = civil.to_zoned(jiff::tz::TimeZone::system()).ok()?;
    u64::try_from(there.timestamp().as_second()).ok()
}

fn timestamp(at: u64) -> jiff::Timestamp {
    i64::try_from(at).ok().and_then(|s| jiff::Timestamp::from_second(s).ok()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    #[test]
    fn days_and_times_are_read() {
        assert_eq!(super::parse("2026-09-21"), Ok((1_789_948_800, 1_790_035_199)));
        assert_eq!(super::parse("2026-09-21T14:13:20Z"), Ok((1_790_000_000, 1_790_000_000)));
        assert!(super::parse("yesterday").is_err());
    }

    #[test]
    fn dates_are_written_as_the_standards_ask() {
        assert_eq!(super::rfc5322(1_790_000_000), "Mon, 21 Sep 2026 14:13:20 +0000");
        assert_eq!(super::iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::rfc5322(u64::MAX), "Thu, 01 Jan 1970 00:00:00 +0000");
    }
}
