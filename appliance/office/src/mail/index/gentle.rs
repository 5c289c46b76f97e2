//! Work that leaves room for others.

use std::time::{Duration, Instant};

use pillarbox_store::{Change, Result, Store};

use crate::mail::pace::{self, Pace};

/// Between two looks, while it rests, whether it is to end.
const NAP: Duration = Duration::from_millis(100);

/// Rests between its pieces of work, until it is to end.
pub struct Gentle<'a> {
    pub store: &'a Store,
    is_over: &'a dyn Fn() -> bool,
    /// None: whoever waits for it wants it soon.
    pace: Option<Pace>,
    begun: Instant,
    worked_since: Instant,
    own: u64,
}

impl<'a> Gentle<'a> {
    pub fn new(store: &'a Store, is_over: &'a dyn Fn() -> bool, pace: Option<Pace>) -> Gentle<'a> {
        let now = Instant::now();
        Gentle { store, is_over, pace, begun: now, worked_since: now, own: store.load().asked }
    }

    /// A piece of work is done, which gave the card some octets.
    /// False: it is over.
    pub fn breathe(&mut self, octets: usize) -> bool {
        if let Some(pace) = &mut self.pace {
            let allowance = pace.allowance(self.store.load(), self.own, self.begun.elapsed());
            let mut left = pace::rest(allowance, self.worked_since.elapsed(), octets);
            while !left.is_zero() && !(self.is_over)() {
                let nap = left.min(NAP);
                std::thread::sleep(nap);
                left -= nap;
            }
        }
        self.worked_since = Instant::now();
        !(self.is_over)()
    }

    pub fn change<C: Change>(&mut self, change: C) -> Result<C::Outcome> {
        self.own += 1;
        let outcome = self.store.change(change).wait();
        self.breathe(0);
        outcome
    }

    /// For calls of the store that change something themselves, once or not at all.
    pub fn with<T>(&mut self, call: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.store.load().asked;
        let outcome = call(self);
        self.own += (self.store.load().asked - before).min(1);
        outcome
    }
}
