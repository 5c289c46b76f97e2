//! The board's light, and the reset button that it goes with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::Timer;

use crate::button::{self, Verdict};
use crate::shared::{Beacon, held};
use crate::watch::pattern;

/// Where the board's lights are.
pub const LEDS: &str = "/sys/class/leds";
/// Between two looks at the reset button; the light changes as often.
const TOUCH: Duration = Duration::from_millis(100);

/// The light that is ours, taken from whatever made it blink; without rights to it there is none, and everything else
/// goes on.
fn led(folder: &Path) -> Option<PathBuf> {
    let names = ["ACT", "led0", "PWR"];
    let led =
        names.iter().map(|name| folder.join(name)).find(|led| led.join("brightness").exists())?;
    let _ = fs::write(led.join("trigger"), "none");
    Some(led)
}

/// Waits for as long as the reset button is held, and says whether it was meant.
/// The light is on while it must be held, and blinks fast when it may be let go.
pub fn reset_button(leds: &Path) -> ExitCode {
    if !button::is_held() {
        return ExitCode::FAILURE;
    }
    println!("pillarbox: the reset button is held");
    let (began, led) = (Instant::now(), led(leds));
    let (mut is_enough, mut is_on) = (false, false);
    loop {
        let held = began.elapsed();
        match button::decide(held, button::is_held()) {
            Some(Verdict::Reset) => return ExitCode::SUCCESS,
            Some(Verdict::Nothing) => break,
            None => {}
        }
        if held >= button::HOLD && !is_enough {
            is_enough = true;
            println!("pillarbox: let the reset button go to remove everything in this box");
        }
        is_on = !is_enough || !is_on;
        if let Some(led) = &led {
            let _ = fs::write(led.join("brightness"), if is_on { "1" } else { "0" });
        }
        std::thread::sleep(TOUCH);
    }
    println!("pillarbox: the reset button was not meant; nothing is removed");
    ExitCode::FAILURE
}

/// Blinks; a board without a light of its own costs nothing.
pub async fn light(beacon: Arc<Beacon>) {
    let Some(led) = led(&beacon.places.leds) else { return };
    loop {
        let state = *held(&beacon.state);
        for (on, off) in pattern(state) {
            for (value, milliseconds) in [("1", on), ("0", off)] {
                if *milliseconds > 0 {
                    let _ = fs::write(led.join("brightness"), value);
                    Timer::after(Duration::from_millis(*milliseconds)).await;
                }
            }
        }
    }
}
