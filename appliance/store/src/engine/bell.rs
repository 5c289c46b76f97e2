//! How the writer and the keeper wake each other.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    is_wanted: bool,
    is_closing: bool,
    /// Room is short: what can be let go is to be let go.
    is_pressed: bool,
}

impl Bell {
    /// Asks for a look now.
    pub fn ring(&self) {
        self.state().is_wanted = true;
        self.rung.notify_all();
    }

    /// Says that room is short.
    pub fn press(&self) {
        let mut state = self.state();
        (state.is_wanted, state.is_pressed) = (true, true);
        self.rung.notify_all();
    }

    pub fn take_pressed(&self) -> bool {
        std::mem::take(&mut self.state().is_pressed)
    }

    /// The last fold, and then the end.
    pub fn close(&self) {
        self.state().is_closing = true;
        self.rung.notify_all();
    }

    /// Waits for a ring, or for a time; true at the end.
    pub fn wait(&self, time: Duration) -> bool {
        let waiting = |state: &mut State| !state.is_wanted && !state.is_closing;
        let (mut state, _) = self
            .rung
            .wait_timeout_while(self.state(), time, waiting)
            .unwrap_or_else(|e| e.into_inner());
        state.is_wanted = false;
        state.is_closing
    }

    /// Says that a fold has ended.
    pub fn note_fold(&self) {
        self.rung.notify_all();
    }

    /// Waits while something holds that a fold may end; false when it still does after a time.
    pub fn wait_while(&self, time: Duration, holds: impl Fn() -> bool) -> bool {
        let (_state, waited) = self
            .rung
            .wait_timeout_while(self.state(), time, |_| holds())
            .unwrap_or_else(|e| e.into_inner());
        !waited.timed_out()
    }

    /// Whether the store closes.
    pub fn is_closing(&self) -> bool {
        self.state().is_closing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}
