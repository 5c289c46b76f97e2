//! Moments, as the box's clock counts them.

use std::time::Duration;

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
/// What the number 0 means beyond that date is said where it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Later than all others.
    pub const MAX: Timestamp = Timestamp(u64::MAX);

    /// So much later, [`Timestamp::MAX`] at most; fractions of a second are dropped.
    pub const fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(duration.as_secs()))
    }

    /// So much earlier, 1970 at most; fractions of a second are dropped.
    pub const fn minus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(duration.as_secs()))
    }

    /// How long it is since an earlier moment; nothing when that one is later.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// Whole hours since 1970.
    pub const fn hour(self) -> u64 {
        self.0 / 3600
    }

    /// Whole days since 1970; the highest number there is for what is beyond.
    pub const fn day(self) -> u32 {
        let day = self.0 / 86_400;
        if day < u32::MAX as u64 { day as u32 } else { u32::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_never_leave_their_range() {
        let (hour, moment) = (Duration::from_secs(3600), Timestamp(7200));
        assert_eq!((moment.plus(hour), moment.minus(hour)), (Timestamp(10_800), Timestamp(3600)));
        assert_eq!(
            (moment.since(Timestamp(3600)), moment.since(Timestamp::MAX)),
            (hour, Duration::ZERO)
        );
        assert_eq!(Timestamp::MAX.plus(hour), Timestamp::MAX);
        assert_eq!(Timestamp(5).minus(hour), Timestamp(0));
        assert_eq!((moment.hour(), Timestamp(86_400).day(), Timestamp(86_399).day()), (2, 1, 0));
        assert_eq!(Timestamp::MAX.day(), u32::MAX);
    }
}
