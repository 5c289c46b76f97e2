//! Memory for large messages on their way in: bounded for all of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory is taken in steps of so many octets.
const STEP: usize = 256 * 1024;

/// What is left of the memory.
#[derive(Clone)]
pub(crate) struct Pool {
    left: Arc<AtomicUsize>,
}

impl Pool {
    pub fn new(octets: usize) -> Pool {
        Pool { left: Arc::new(AtomicUsize::new(octets)) }
    }

    /// A share that has nothing yet.
    pub fn share(&self) -> Share {
        Share { pool: self.clone(), octets: 0 }
    }
}

/// What one message has of it; given back when dropped.
pub(crate) struct Share {
    pool: Pool,
    octets: usize,
}

impl Share {
    /// Sees to it that so many octets are its own; false when there are not as many left, and it has what it had.
    pub fn grow(&mut self, octets: usize) -> bool {
        let Some(more) =
            octets.next_multiple_of(STEP).checked_sub(self.octets).filter(|more| *more > 0)
        else {
            return true;
        };
        let taken = self
            .pool
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(more));
        if taken.is_ok() {
            self.octets += more;
        }
        taken.is_ok()
    }

    /// Octets that are its own.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Gives all of them back.
    pub fn clear(&mut self) {
        self.pool.left.fetch_add(std::mem::take(&mut self.octets), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_back_and_nobody_gets_more_than_is_left() {
        let pool = Pool::new(3 * STEP);
        let (mut one, mut other) = (pool.share(), pool.share());
        assert!(one.grow(0) && one.grow(1) && one.grow(STEP + 1) && one.grow(2 * STEP));
        assert_eq!(one.octets(), 2 * STEP);
        assert!(other.grow(STEP) && !other.grow(STEP + 1));
        assert_eq!(other.octets(), STEP);
        drop(one);
        assert!(other.grow(3 * STEP));
        other.clear();
        assert!(pool.share().grow(3 * STEP));
    }
}
