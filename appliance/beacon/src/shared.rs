//! What all parts of the beacon share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use pillarbox_host::{StatusFile, net};
use smol::Timer;

use crate::watch::State;

/// For a greeting, and for a browser.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Where things are; tests put them elsewhere.
pub struct Places {
    pub status_file: PathBuf,
    pub leds: PathBuf,
    pub name: PathBuf,
    pub privop: PathBuf,
    pub smtp: SocketAddr,
}

/// What all parts share.
pub struct Beacon {
    pub places: Places,
    /// The machine's own name; when it changes, this program is started anew.
    pub machine: String,
    pub status_file: Mutex<StatusFile>,
    pub state: Mutex<State>,
    /// The server does not run: the page is ours.
    pub is_down: AtomicBool,
    pub visitors: AtomicUsize,
    /// One password is checked at a time.
    pub door: smol::lock::Mutex<()>,
}

impl Beacon {
    pub fn new(places: Places) -> Beacon {
        Beacon {
            places,
            machine: net::machine_name(),
            status_file: Mutex::default(),
            state: Mutex::new(State::Booting),
            is_down: AtomicBool::new(false),
            visitors: AtomicUsize::new(0),
            door: smol::lock::Mutex::new(()),
        }
    }
}

/// Locks a value that is only ever replaced as a whole, so a panic elsewhere does not spoil it.
pub fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// What comes of it in time; `None` when it is late.
pub async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(time).await;
        None
    };
    smol::future::or(async { Some(work.await) }, late).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_given_up() {
        let never = smol::future::pending::<()>();
        assert_eq!(smol::block_on(within(Duration::from_millis(1), never)), None);
        assert_eq!(smol::block_on(within(PATIENCE, async { 1 })), Some(1));
    }
}
