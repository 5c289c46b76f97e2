//! How fast background work goes on beside mail.
//! It keeps the card busy a tenth of the time at most while somebody writes.

use std::time::Duration;

use pillarbox_store::Load;

/// For how long after somebody's write the card is theirs.
const THEIRS: Duration = Duration::from_secs(2);

/// A rest at most, so that the end of the work is not missed and a wrong figure does no lasting harm.
const LONGEST: Duration = Duration::from_secs(5);

/// What the work may take of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// One part of so many of the time.
    pub share: u32,
    pub octets_per_second: u64,
}

/// While somebody writes: a tenth of the time, and of what a slow card takes.
const BESIDE: Allowance = Allowance { share: 10, octets_per_second: 1 << 20 };
/// While there is none.
/// Some of the time is still left to whoever begins.
const ALONE: Allowance = Allowance { share: 2, octets_per_second: 8 << 20 };

/// Remembers when somebody wrote last.
#[derive(Debug, Default)]
pub struct Pace {
    /// Writes of others that are known, and when there was a new one; times count from any moment.
    others: Option<u64>,
    written_at: Option<Duration>,
}

impl Pace {
    /// What may be taken now.
    /// `own` of the writes that were asked for are of the work itself.
    pub fn allowance(&mut self, load: Load, own: u64, now: Duration) -> Allowance {
        let others = load.asked.saturating_sub(own);
        if self.others.is_some_and(|known| known != others) || load.waiting > 0 {
            self.written_at = Some(now);
        }
        self.others = Some(others);
        match self.written_at {
            Some(at) if now.saturating_sub(at) < THEIRS => BESIDE,
            _ => ALONE,
        }
    }
}

/// How long to rest after work that took some time and gave the card some octets.
pub fn rest(allowance: Allowance, took: Duration, octets: usize) -> Duration {
    let by_time = took.saturating_mul(allowance.share - 1);
    let by_octets = Duration::from_secs_f64(octets as f64 / allowance.octets_per_second as f64);
    by_time.max(by_octets).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_is_left_to_those_who_write() {
        let mut pace = Pace::default();
        let second = Duration::from_secs(1);
        let load = |waiting, asked| Load { waiting, asked };
        assert_eq!(pace.allowance(load(0, 5), 5, second), ALONE);
        assert_eq!(pace.allowance(load(0, 9), 9, second * 2), ALONE, "its own writes are nobody's");
        assert_eq!(pace.allowance(load(0, 10), 9, second * 3), BESIDE);
        assert_eq!(pace.allowance(load(0, 10), 9, second * 4), BESIDE);
        assert_eq!(pace.allowance(load(0, 10), 9, second * 5), ALONE);
        assert_eq!(pace.allowance(load(1, 10), 9, second * 6), BESIDE);
        // 64 KiB on a card of 10 MB/s.
        let took = Duration::from_millis(7);
        assert_eq!((rest(BESIDE, took, 0), rest(ALONE, took, 0)), (took * 9, took));
        assert!(rest(BESIDE, took, 64 * 1024) >= Duration::from_millis(62));
        assert_eq!(rest(BESIDE, second * 100, 1), LONGEST);
        // In any second at most a tenth of it is work.
        let worked = took.as_secs_f64() / (took + rest(BESIDE, took, 65_536)).as_secs_f64();
        assert!(worked <= 0.1001, "{worked}");
    }
}
