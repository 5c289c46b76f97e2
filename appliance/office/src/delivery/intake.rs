//! Content on its way into a spool.

use pillarbox_store::{Error, Result, Spool, off_thread};

/// Content is handed to the disk in pieces of this size once it is large.
pub const PIECE: usize = 128 * 1024;

/// The way of content from an edge into a spool: at once while it is small, in pieces off the async threads once it is
/// large.
pub struct Intake {
    /// Gone only while a piece is being written, and for good when that failed.
    spool: Option<Spool>,
    /// Content of a large message that is not in the spool yet.
    gathered: Vec<u8>,
}

impl Intake {
    pub fn new(spool: Spool) -> Intake {
        Intake { spool: Some(spool), gathered: Vec::new() }
    }

    /// Octets in memory.
    pub fn memory(&self) -> usize {
        self.gathered.capacity() + self.spool.as_ref().map_or(0, Spool::memory)
    }

    pub async fn write(&mut self, octets: &[u8]) -> Result<()> {
        let spool = self.spool.as_mut().ok_or(Error::Closed)?;
        // What was gathered comes first: a later piece that would still fit into memory must not overtake it.
        if self.gathered.is_empty() && !spool.blocks(octets.len()) {
            return spool.append(octets);
        }
        self.gathered.extend_from_slice(octets);
        if self.gathered.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    /// Moves everything to the disk.
    pub async fn spill(&mut self) -> Result<()> {
        self.pass_on(Spool::spill).await
    }

    async fn flush(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        self.pass_on(|_| Ok(())).await
    }

    /// Hands what was gathered to the spool, off the async threads, after it was prepared for that.
    async fn pass_on(&mut self, prepare: fn(&mut Spool) -> Result<()>) -> Result<()> {
        let (mut spool, gathered) =
            (self.spool.take().ok_or(Error::Closed)?, std::mem::take(&mut self.gathered));
        let (spool, mut gathered) = off_thread(move || {
            prepare(&mut spool)?;
            if !gathered.is_empty() {
                spool.append(&gathered)?;
            }
            Ok((spool, gathered))
        })
        .await?;
        gathered.clear();
        self.gathered = gathered;
        self.spool = Some(spool);
        Ok(())
    }

    /// The spool with all that was written.
    pub async fn complete(&mut self) -> Result<Spool> {
        self.flush().await?;
        self.spool.take().ok_or(Error::Closed)
    }
}
