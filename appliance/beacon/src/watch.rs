//! From what is seen of the server to what is shown: a value that takes in what was seen and when.

use std::time::{Duration, Instant};

/// What a look at the server found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Well,
    /// It lives, and something needs the owner.
    Complaining,
    /// No pulse, or no answer in time.
    Silent,
    /// The same, and it is known to have ended.
    Ended,
    /// The data partition can't be used.
    NoData,
}

/// What light and screen show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Booting,
    Ready,
    Attention,
    Fault,
    /// The same, because the data partition can't be used.
    NoData,
}

impl State {
    /// The server does not run.
    pub fn is_down(self) -> bool {
        matches!(self, State::Fault | State::NoData)
    }
}

/// How long a start may take: a large store on a slow card, a rehearsal.
const START: Duration = Duration::from_secs(20 * 60);
/// How long a server that was there may be silent: it may be restarting.
const SILENCE: Duration = Duration::from_secs(40);

/// Watches the server.
#[derive(Debug)]
pub struct Watch {
    began: Instant,
    last_sign: Option<Instant>,
    state: State,
}

impl Watch {
    pub fn new(now: Instant) -> Watch {
        Watch { began: now, last_sign: None, state: State::Booting }
    }

    /// Something was seen.
    pub fn see(&mut self, seen: Seen, now: Instant) -> State {
        if matches!(seen, Seen::Well | Seen::Complaining) {
            self.last_sign = Some(now);
        }
        self.state = match (seen, self.last_sign) {
            (Seen::Well, _) => State::Ready,
            (Seen::Complaining, _) => State::Attention,
            (Seen::NoData, _) => State::NoData,
            (Seen::Silent, None) if now.duration_since(self.began) < START => State::Booting,
            (Seen::Silent | Seen::Ended, Some(last)) if now.duration_since(last) < SILENCE => {
                self.state
            }
            (Seen::Silent | Seen::Ended, _) => State::Fault,
        };
        self.state
    }
}

/// On and off in milliseconds, over and over; off = 0 is steady.
pub fn pattern(state: State) -> &'static [(u64, u64)] {
    match state {
        State::Booting => &[(600, 600)],
        State::Ready => &[(1000, 0)],
        State::Attention => &[(120, 180), (120, 1600)],
        State::Fault | State::NoData => &[(100, 100)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_longer_for_a_start_than_for_silence() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut watch = Watch::new(begin);
        assert_eq!(watch.see(Seen::Silent, at(600)), State::Booting);
        assert_eq!(watch.see(Seen::Well, at(610)), State::Ready);
        assert_eq!(watch.see(Seen::Silent, at(640)), State::Ready, "a restart is no fault");
        assert_eq!(watch.see(Seen::Silent, at(651)), State::Fault);
        assert_eq!(watch.see(Seen::Complaining, at(660)), State::Attention);
        assert_eq!(watch.see(Seen::Well, at(661)), State::Ready);
        assert_eq!(watch.see(Seen::Ended, at(690)), State::Ready, "a restart is no fault");
        assert_eq!(watch.see(Seen::Ended, at(702)), State::Fault);
        assert_eq!(Watch::new(begin).see(Seen::Silent, at(1201)), State::Fault);
        assert_eq!(
            Watch::new(begin).see(Seen::Ended, at(1)),
            State::Fault,
            "one that could not start is not waited for"
        );
        assert_eq!(Watch::new(begin).see(Seen::NoData, at(1)), State::NoData);
    }
}
