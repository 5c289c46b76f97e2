//! How a store is opened.

/// Who opens the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The one server of this data directory.
    Server,
    /// A command-line tool; any number, also while the server runs.
    Tool,
}

/// Limits of the store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most octets that mail may take, without large messages in files of their own; `None`: as much as the disk has.
    pub max_octets: Option<u64>,
    /// Octets of the disk that stay free: below this, mail is refused for now (452).
    pub reserve_octets: u64,
    /// Most writes gathered into one commit.
    pub batch_writes: usize,
    /// Most octets of content gathered into one commit.
    pub batch_octets: usize,
    /// Most octets of memory for large messages that come in; what finds no room there goes through a file.
    pub large_octets: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_octets: None,
            reserve_octets: 64 << 20,
            batch_writes: 256,
            batch_octets: 4 << 20,
            large_octets: 4 << 20,
        }
    }
}

/// What a start found in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Commits that LMDB did not have yet.
    pub commits: u64,
    /// Commits that were on the card once and can't be read any more: which, and where.
    pub damaged: Vec<String>,
}
