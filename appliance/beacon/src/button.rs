//! The reset button: held while the box starts and then let go, it makes the box as it came.
//! Whether it is held comes from outside; this decides what follows.

use std::time::Duration;

use evdev::KeyCode;

/// The key that the button sends; a Raspberry Pi's pins 5 and 6 are one (`buildroot/board/rpi64/config.txt`).
pub const KEY: KeyCode = KeyCode::KEY_UNDO;
/// Held for so long it counts: by then it is no accident.
pub const HOLD: Duration = Duration::from_secs(10);
/// Held for longer it counts no more: a bridge between the pins that was forgotten must not empty the box at every
/// start.
pub const STUCK: Duration = Duration::from_secs(60);

/// What the button wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Reset,
    Nothing,
}

/// From how long it has been held, and whether it still is; `None` while that is open.
pub fn decide(held: Duration, is_held: bool) -> Option<Verdict> {
    match (is_held, held) {
        (true, held) if held >= STUCK => Some(Verdict::Nothing),
        (true, _) => None,
        (false, held) if held >= HOLD => Some(Verdict::Reset),
        (false, _) => Some(Verdict::Nothing),
    }
}

/// Whether a button of this machine is held now.
/// A machine without one says no.
pub fn is_held() -> bool {
    evdev::enumerate()
        .any(|(_, device)| device.get_key_state().is_ok_and(|keys| keys.contains(KEY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_button_that_is_held_and_let_go_resets() {
        let after = |seconds, is_held| decide(Duration::from_secs(seconds), is_held);
        assert_eq!(after(0, false), Some(Verdict::Nothing));
        assert_eq!((after(0, true), after(9, true), after(30, true)), (None, None, None));
        assert_eq!(after(9, false), Some(Verdict::Nothing), "touched, not held");
        assert_eq!(
            (after(10, false), after(59, false)),
            (Some(Verdict::Reset), Some(Verdict::Reset))
        );
        assert_eq!(after(60, true), Some(Verdict::Nothing), "forgotten");
    }
}
