//! The input buffer: filled at its end, read by a cursor, moved seldom.

use std::ops::Range;

/// Memory kept while nothing is buffered.
const IDLE_OCTETS: usize = 4096;

/// Octets received and not yet worked through.
#[derive(Debug, Default)]
pub struct Input {
    octets: Vec<u8>,
    head: usize,
}

impl Input {
    pub fn push(&mut self, octets: &[u8]) {
        if self.head == self.octets.len() {
            self.clear();
            // A bulk of content does not leave its buffer to a session that then idles.
            if octets.len() <= IDLE_OCTETS && self.octets.capacity() > IDLE_OCTETS {
                self.octets.shrink_to(IDLE_OCTETS);
            }
        } else if self.head >= self.octets.len() / 2 {
            // What is moved is less than what was consumed since the last move.
            self.octets.drain(..self.head);
            self.head = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// Lets memory go that holds nothing to be worked through.
    pub fn rest(&mut self) {
        self.octets.drain(..self.head);
        self.head = 0;
        self.octets.shrink_to_fit();
    }

    pub fn unread(&self) -> &[u8] {
        &self.octets[self.head..]
    }

    /// Consumes up to `count` octets; they stay in place until the next `push`.
    pub fn take(&mut self, count: usize) -> Range<usize> {
        let start = self.head;
        self.head = start.saturating_add(count).min(self.octets.len());
        start..self.head
    }

    /// The octets of a range that `take` gave.
    pub fn taken(&self, range: Range<usize>) -> &[u8] {
        self.octets.get(range).unwrap_or_default()
    }

    pub fn clear(&mut self) {
        self.octets.clear();
        self.head = 0;
    }
}
