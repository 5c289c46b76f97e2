//! The one place that asks what time it is.

use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use pillarbox_vocabulary::Timestamp;

use crate::error::{Error, Result};

/// What time it is by the box's clock; 0 when it is before 1970.
pub fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))
}

/// A time as RFC 5322 §3.3 writes it, in UTC: `Mon, 23 Nov 2026 21:58:00 +0000`.
pub fn rfc5322(at: Timestamp) -> String {
    in_utc(at).strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A time for people and scripts: `2026-11-23T21:58:00Z`.
pub fn iso(at: Timestamp) -> String {
    in_utc(at).to_string()
}

/// A day as `20261123`, in UTC.
pub fn day(at: Timestamp) -> String {
    in_utc(at).strftime("%Y%m%d").to_string()
}

/// A time zone: the box's, or one that was asked for by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone(usize);

/// Zones that were asked for by name; the system knows some six hundred, each is kept once.
static ZONES: RwLock<Vec<(String, TimeZone)>> = RwLock::new(Vec::new());

const MOST_ZONES: usize = 1000;

impl Zone {
    /// A zone by its name (`Europe/Berlin`); `None` where the system does not know it.
    pub fn named(name: &str) -> Option<Zone> {
        let place = |zones: &[(String, TimeZone)]| {
            zones.iter().position(|(known, _)| known == name).map(|at| Zone(at + 1))
        };
        if let Some(zone) = place(&ZONES.read().unwrap_or_else(|e| e.into_inner())) {
            return Some(zone);
        }
        let found = TimeZone::get(name).ok().filter(|_| !name.is_empty())?;
        let mut zones = ZONES.write().unwrap_or_else(|e| e.into_inner());
        if zones.len() >= MOST_ZONES {
            return None;
        }
        zones.push((name.to_string(), found));
        place(&zones)
    }

    /// Names that the system knows, in order.
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> =
            jiff::tz::db().available().map(|name| name.to_string()).collect();
        names.retain(|name| {
            name.contains('/')
                && !name.starts_with("Etc/")
                && !name.contains("posix")
                && !name.contains("right")
        });
        names.sort_unstable();
        names
    }

    fn zone(self) -> TimeZone {
        let zones = ZONES.read().unwrap_or_else(|e| e.into_inner());
        self.0
            .checked_sub(1)
            .and_then(|at| zones.get(at))
            .map_or_else(TimeZone::system, |(_, zone)| zone.clone())
    }
}

/// Day, month, year, hour and minute in a zone.
pub fn local(at: Timestamp, zone: Zone) -> [i16; 5] {
    let there = in_utc(at).to_zoned(zone.zone());
    [
        i16::from(there.day()),
        i16::from(there.month()),
        there.year(),
        i16::from(there.hour()),
        i16::from(there.minute()),
    ]
}

/// How far a zone's clocks are from UTC, as people write it.
pub fn offset(at: Timestamp, zone: Zone) -> String {
    let minutes = in_utc(at).to_zoned(zone.zone()).offset().seconds() / 60;
    match minutes {
        0 => "UTC".into(),
        _ => format!(
            "UTC{}{:02}:{:02}",
            if minutes < 0 { '-' } else { '+' },
            minutes.abs() / 60,
            minutes.abs() % 60
        ),
    }
}

/// From the first to the last second of a day.
const REST_OF_DAY: Duration = Duration::from_secs(86_399);

/// First and last second of a day (`2026-11-23`) or of a time (`2026-11-23T21:58:00Z`), in UTC.
pub fn parse(text: &str) -> Result<(Timestamp, Timestamp)> {
    let seconds = |text: &str| text.parse::<jiff::Timestamp>().ok().and_then(of_jiff);
    match text.len() {
        10 => seconds(&format!("{text}T00:00:00Z")).map(|start| (start, start.plus(REST_OF_DAY))),
        _ => seconds(text).map(|at| (at, at)),
    }
    .ok_or_else(|| Error::NotATime { text: text.to_string() })
}

/// The day this release was made: no true time is earlier.
const RELEASED: Timestamp = Timestamp(1_795_000_000);
/// systemd-timesyncd makes the folder when it runs, and the file once the time is set.
const TIMESYNC: &str = "/run/systemd/timesync";

/// Whether the clock can be believed.
/// A board without a battery starts anywhere; until its time is set nothing may grow old by it.
pub fn is_trusted() -> bool {
    let folder = std::path::Path::new(TIMESYNC);
    now() >= RELEASED && (!folder.exists() || folder.join("synchronized").exists())
}

/// A jump of the clock beyond this, against a clock that only runs, is no correction.
const JUMP: u64 = 3600;
/// At a start, the newest thing in the ledger may be older than this without raising a doubt.
const AWAY: u64 = 2 * 86_400;
/// So long the clock must go on steadily after a jump before anything may grow old by it: whoever set it wrongly
/// notices.
const SETTLING: Duration = Duration::from_secs(86_400);

/// Whether the clock went on as time does.
/// A pure memory: both clocks are handed in.
#[derive(Debug, Default)]
pub struct Steadiness {
    seen: Option<(Timestamp, Instant)>,
    doubted: Option<Instant>,
}

impl Steadiness {
    /// At a start: when something was last known to happen.
    pub fn begin(&mut self, newest: Option<Timestamp>, wall: Timestamp, running: Instant) {
        if newest.is_some_and(|newest| newest.0.abs_diff(wall.0) > AWAY) {
            self.doubted = Some(running);
        }
        self.seen = Some((wall, running));
    }

    /// Now and then: what both clocks say.
    /// True when the clock has just jumped.
    pub fn look(&mut self, wall: Timestamp, running: Instant) -> bool {
        let jumped = self.seen.is_some_and(|(before, then)| {
            let expected = before.plus(running.saturating_duration_since(then));
            expected.0.abs_diff(wall.0) > JUMP
        });
        if jumped {
            self.doubted = Some(running);
        }
        self.seen = Some((wall, running));
        jumped
    }

    /// Whether the last jump is a day ago, or there was none.
    pub fn is_settled(&self, running: Instant) -> bool {
        self.doubted.is_none_or(|at| running.saturating_duration_since(at) >= SETTLING)
    }
}

static STEADINESS: Mutex<Steadiness> = Mutex::new(Steadiness { seen: None, doubted: None });

/// Begins to watch the clock; `newest`: when something was last known to happen.
pub fn begin(newest: Option<Timestamp>) {
    steadiness().begin(newest, now(), Instant::now());
}

/// Looks whether the clock jumped.
/// To be called every few seconds.
pub fn look() {
    if steadiness().look(now(), Instant::now()) {
        tracing::warn!(now = iso(now()), "the clock jumped; nothing grows old by it for a day");
    }
}

/// Whether things may grow old by the clock: it is trusted, and has not jumped lately.
pub fn may_expire() -> bool {
    is_trusted() && steadiness().is_settled(Instant::now())
}

fn steadiness() -> std::sync::MutexGuard<'static, Steadiness> {
    STEADINESS.lock().unwrap_or_else(|e| e.into_inner())
}

/// A local time as browsers' forms write it (`2026-11-23T21:58`), in a zone; `None` for what is no time, or
/// one before 1970.
pub fn parse_local(text: &str, zone: Zone) -> Option<Timestamp> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let there = civil.to_zoned(zone.zone()).ok()?;
    of_jiff(there.timestamp())
}

/// `None` for what is before 1970.
fn of_jiff(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_second()).ok().map(Timestamp)
}

fn in_utc(at: Timestamp) -> jiff::Timestamp {
    i64::try_from(at.0)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumped_has_to_settle_first() {
        const NOW: u64 = 1_800_000_000;
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        // The clock is right, 40 and 5,000 days ahead, or behind, from the start or in the middle.
        for wrong in [40 * 86_400, 5000 * 86_400, -40 * 86_400i64] {
            let mut clock = Steadiness::default();
            clock.begin(Some(Timestamp(NOW)), Timestamp(NOW.saturating_add_signed(wrong)), start);
            assert!(!clock.is_settled(at(40)), "{wrong}");
            let mut clock = Steadiness::default();
            clock.begin(Some(Timestamp(NOW - 60)), Timestamp(NOW), start);
            assert!(clock.is_settled(start) && !clock.look(Timestamp(NOW + 1), at(1)));
            assert!(
                clock.look(Timestamp((NOW + 2).saturating_add_signed(wrong)), at(2))
                    && !clock.is_settled(at(3))
            );
            assert!(clock.look(Timestamp(NOW + 40), at(40)), "set right again");
            assert!(!clock.is_settled(at(86_000)) && clock.is_settled(at(40 + 86_400)));
        }
        let mut clock = Steadiness::default();
        clock.begin(None, Timestamp(NOW), start);
        assert!((1..100).all(|hour| !clock.look(Timestamp(NOW + hour * 3650), at(hour * 3600))));
        assert!(clock.is_settled(at(100 * 3600)), "a clock that runs a little fast is only that");
    }

    #[test]
    fn days_and_times_are_read() {
        assert_eq!(
            super::parse("2026-09-21"),
            Ok((Timestamp(1_789_948_800), Timestamp(1_790_035_199)))
        );
        assert_eq!(
            super::parse("2026-09-21T14:13:20Z"),
            Ok((Timestamp(1_790_000_000), Timestamp(1_790_000_000)))
        );
        assert!(super::parse("yesterday").is_err());
    }

    #[test]
    fn zones_are_known_by_name() {
        let zone = super::Zone::named("America/New_York").unwrap();
        assert_eq!(super::Zone::named("America/New_York"), Some(zone));
        assert_eq!(super::local(Timestamp(1_790_000_000), zone), [21, 9, 2026, 10, 13]);
        assert_eq!(super::parse_local("2026-09-21T10:13", zone), Some(Timestamp(1_789_999_980)));
        assert!(super::Zone::named("../etc/passwd").is_none() && super::Zone::named("").is_none());
        assert!(super::Zone::names().contains(&"Europe/Berlin".to_string()));
    }

    #[test]
    fn dates_are_written_as_the_standards_ask() {
        assert_eq!(super::rfc5322(Timestamp(1_790_000_000)), "Mon, 21 Sep 2026 14:13:20 +0000");
        assert_eq!(super::iso(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(super::rfc5322(Timestamp::MAX), "Thu, 01 Jan 1970 00:00:00 +0000");
    }
}
