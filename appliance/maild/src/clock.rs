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

fn timestamp(at: u64) -> jiff::Timestamp {
    i64::try_from(at).ok().and_then(|s| jiff::Timestamp::from_second(s).ok()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_written_as_the_standards_ask() {
        assert_eq!(super::rfc5322(1_790_000_000), "Mon, 21 Sep 2026 14:13:20 +0000");
        assert_eq!(super::iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::rfc5322(u64::MAX), "Thu, 01 Jan 1970 00:00:00 +0000");
    }
}
