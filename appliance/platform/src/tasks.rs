//! How a server ends: whoever has work under way hears that it is over, and the end waits for all of them.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// Held by everything that works in the server.
#[derive(Clone)]
pub struct Tasks {
    stop: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

/// Something under way, which the end waits for.
pub struct UnderWay(#[expect(dead_code, reason = "held, not used")] mpsc::Sender<()>);

/// Held by whoever ends the server.
pub struct Ending {
    stop: watch::Sender<bool>,
    done: mpsc::Receiver<()>,
}

/// How the work of one server hears of its end, and how the end hears of the work.
pub fn tasks() -> (Ending, Tasks) {
    let (stop, stopped) = watch::channel(false);
    let (alive, done) = mpsc::channel(1);
    (Ending { stop, done }, Tasks { stop: stopped, alive })
}

impl Tasks {
    /// Turns true when the server stops.
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// Whether the server stops.
    pub fn is_over(&self) -> bool {
        *self.stop.borrow()
    }

    /// Held by a conversation, or work beside one, for as long as it lasts.
    pub fn begin(&self) -> UnderWay {
        UnderWay(self.alive.clone())
    }
}

impl Ending {
    /// Says that it is over and waits until every [`Tasks`] and everything under way is gone.
    ///
    /// # Errors
    /// When that took longer than `patience`; what is left is cut.
    pub async fn end(mut self, patience: Duration) -> Result<(), tokio::time::error::Elapsed> {
        // Nobody listening any more is no failure.
        let _ = self.stop.send(true);
        tokio::time::timeout(patience, self.done.recv()).await.map(drop)
    }
}
