//! Content on its way in: memory while it is small; a file `NAME.part` once it is large, unless there is memory left
//! for it.
//!
//! The commit copies it into the journal from either.
//! The file is not synced and goes right afterwards: as a rule the card never sees it.
//! What is too long for the journal stays in its file, which is synced, renamed to `NAME`, and its folder synced, all
//! before the commit that refers to it.
//! A file that nothing refers to is an orphan and swept at the next start.
//!
//! What can only be known when all of it is there, such as trace fields, is put in front of it then.
//! In the journal both become one piece; the prefix of a file is kept with the message's head.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::content::pool::Share;
use crate::content::{INLINE_OCTETS, PREFIX_OCTETS};
use crate::engine::room;
use crate::error::{Error, Result};
use crate::ids::BlobId;

/// Octets that are read of a file at a time: several messages may be looked into at once.
const PIECE: usize = 16 * 1024;

/// Number and CRC-32 of octets in their order.
/// Whoever passes content on keeps one, and whoever takes it another: where the two differ, octets were lost, changed
/// or put into another order on the way.
#[derive(Clone, Debug, Default)]
pub struct Checksum {
    octets: u64,
    crc: crc32fast::Hasher,
}

impl Checksum {
    /// Counts octets in that follow the ones so far.
    pub fn add(&mut self, octets: &[u8]) {
        self.crc.update(octets);
        self.octets += octets.len() as u64;
    }

    /// The check sum of octets.
    pub fn of(octets: &[u8]) -> Checksum {
        let mut checksum = Checksum::default();
        checksum.add(octets);
        checksum
    }

    /// The check sum of these octets followed by the `later` ones.
    pub fn followed_by(mut self, later: &Checksum) -> Checksum {
        self.crc.combine(&later.crc);
        self.octets += later.octets;
        self
    }

    pub(crate) fn hasher(&self) -> &crc32fast::Hasher {
        &self.crc
    }

    fn crc32(&self) -> u32 {
        self.crc.clone().finalize()
    }
}

impl PartialEq for Checksum {
    fn eq(&self, other: &Checksum) -> bool {
        self.octets == other.octets && self.crc32() == other.crc32()
    }
}

/// Collects the content of one message.
/// Dropping it discards everything.
pub struct Spool {
    folder: PathBuf,
    reserve: u64,
    /// Longest content that the journal takes, in octets.
    longest: u64,
    prefix: Vec<u8>,
    memory: Vec<u8>,
    /// Of the memory for large content.
    share: Share,
    file: Option<Part>,
    octets: u64,
    /// Of what was written to the file; memory is counted when it is written or handed over, so that the sum is that of
    /// what is really there.
    written: Checksum,
}

/// A file being written; removed when dropped.
pub(crate) struct Part {
    blob: BlobId,
    file: File,
    path: PathBuf,
}

impl Drop for Part {
    fn drop(&mut self) {
        // Best effort: what stays behind is swept at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl Spool {
    /// `reserve`: octets of the disk that stay free; `longest`: octets of the longest content that the journal takes;
    /// `share`: of the memory for large content, still without any.
    pub(crate) fn new(folder: &Path, reserve: u64, longest: u64, share: Share) -> Spool {
        let (folder, prefix, memory) = (folder.to_path_buf(), Vec::new(), Vec::new());
        Spool {
            folder,
            reserve,
            longest,
            prefix,
            memory,
            share,
            file: None,
            octets: 0,
            written: Checksum::default(),
        }
    }

    /// Octets collected so far, without the prefix.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Octets of memory that it holds, without those for large content, which are bounded by themselves.
    pub fn memory(&self) -> usize {
        self.prefix.capacity() + self.memory.capacity().saturating_sub(self.share.octets())
    }

    /// True when appending `more` octets will touch the disk and thus may block.
    /// Takes memory for large content where there is some left.
    pub fn blocks(&mut self, more: usize) -> bool {
        let wanted = self.memory.len() + more;
        if self.file.is_some() || wanted <= INLINE_OCTETS {
            return self.file.is_some();
        }
        let fits = (wanted + PREFIX_OCTETS) as u64 <= self.longest
            && self.share.grow(wanted - INLINE_OCTETS);
        if fits && wanted > self.memory.capacity() {
            self.memory.reserve_exact(INLINE_OCTETS + self.share.octets() - self.memory.len());
        }
        !fits
    }

    /// Appends content.
    /// Blocks when [`Spool::blocks`] says so.
    pub fn append(&mut self, octets: &[u8]) -> Result<()> {
        if self.file.is_none() && self.blocks(octets.len()) {
            self.spill()?;
        }
        match &mut self.file {
            Some(part) => {
                room::check(&self.folder, octets.len() as u64, self.reserve)?;
                part.file.write_all(octets).map_err(Error::io("writing", &part.path))?;
                self.written.add(octets);
            }
            None => self.memory.extend_from_slice(octets),
        }
        self.octets += octets.len() as u64;
        Ok(())
    }

    /// Moves what is in memory into a file, where more will go from now on: others need the memory.
    /// Blocks.
    pub fn spill(&mut self) -> Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        room::check(&self.folder, self.memory.len() as u64, self.reserve)?;
        let mut part = Part::create(&self.folder)?;
        part.file.write_all(&self.memory).map_err(Error::io("writing", &part.path))?;
        self.written.add(&std::mem::take(&mut self.memory));
        self.share.clear();
        self.file = Some(part);
        Ok(())
    }

    /// Puts octets in front of all that is collected; readers get them as part of the message.
    /// Called again, it replaces them.
    ///
    /// # Errors
    /// [`Error::Invalid`] above [`PREFIX_OCTETS`]; nothing has changed then.
    pub fn put_in_front(&mut self, prefix: Vec<u8>) -> Result<()> {
        if prefix.len() > PREFIX_OCTETS {
            return Err(Error::Invalid {
                why: format!("at most {PREFIX_OCTETS} octets can be put in front of a message"),
            });
        }
        self.prefix = prefix;
        Ok(())
    }

    /// Gives what was collected so far, piece by piece and without the prefix: for what can only be known at the end,
    /// such as a signature.
    /// Blocks when there is a file.
    pub fn replay(&self, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.replay_until(&mut |piece| {
            take(piece);
            ControlFlow::Continue(())
        })
    }

    /// The same, until no more of it is wanted.
    pub fn replay_until(&self, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        let Some(part) = &self.file else {
            let _ = take(&self.memory);
            return Ok(());
        };
        let mut file = File::open(&part.path).map_err(Error::io("opening", &part.path))?;
        let mut piece = vec![0; PIECE];
        loop {
            let count = file.read(&mut piece).map_err(Error::io("reading", &part.path))?;
            if count == 0 || take(&piece[..count]).is_break() {
                return Ok(());
            }
        }
    }

    /// Makes content durable that is too long for the journal.
    /// Blocks when there is a file.
    pub fn finish(mut self) -> Result<Spooled> {
        let prefix = std::mem::take(&mut self.prefix);
        let (prefix, place, checksum) = match self.file.take() {
            None => {
                let mut whole = std::mem::take(&mut self.memory);
                whole.reserve_exact(prefix.len());
                drop(whole.splice(0..0, prefix));
                let checksum = Checksum::of(&whole);
                (Vec::new(), Place::Memory(whole), checksum)
            }
            Some(part) => {
                let checksum = Checksum::of(&prefix).followed_by(&self.written);
                let place = match checksum.octets <= self.longest {
                    true => Place::Part(part),
                    false => Place::File(part.settle(&self.folder)?),
                };
                (prefix, place, checksum)
            }
        };
        Ok(Spooled {
            prefix,
            place,
            octets: checksum.octets,
            crc32: checksum.crc32(),
            checksum,
            _share: self.share,
        })
    }
}

impl Part {
    /// Fills a piece with what was written at an offset.
    pub(crate) fn read(&self, piece: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(piece, offset).map_err(Error::io("reading", &self.path))
    }

    fn create(folder: &Path) -> Result<Part> {
        let blob = BlobId(
            getrandom::u64()
                .map_err(|e| Error::Invalid { why: format!("no random numbers: {e}") })?,
        );
        let path = folder.join(format!("{:016x}.part", blob.0));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(Error::io("creating", &path))?;
        Ok(Part { blob, file, path })
    }

    fn settle(mut self, folder: &Path) -> Result<Settled> {
        self.file.sync_all().map_err(Error::io("syncing", &self.path))?;
        let settled = path(folder, self.blob);
        fs::rename(&self.path, &settled).map_err(Error::io("renaming", &self.path))?;
        self.path = settled;
        File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("syncing", folder))?;
        Ok(Settled { part: Some(self) })
    }
}

/// A durable file that no commit refers to yet: it goes unless it is kept.
pub(crate) struct Settled {
    part: Option<Part>,
}

impl Settled {
    pub(crate) fn blob(&self) -> BlobId {
        self.part.as_ref().map_or(BlobId(0), |p| p.blob)
    }

    /// The commit is done: the file stays.
    fn keep(&mut self) {
        if let Some(mut part) = self.part.take() {
            // An empty path names no file: dropping the part only closes it.
            part.path = PathBuf::new();
        }
    }
}

/// Content ready to be committed.
pub struct Spooled {
    /// What is in front of a file; in memory it is part of the content.
    pub(crate) prefix: Vec<u8>,
    pub(crate) place: Place,
    pub(crate) octets: u64,
    pub(crate) crc32: u32,
    checksum: Checksum,
    _share: Share,
}

pub(crate) enum Place {
    Memory(Vec<u8>),
    /// A file that the commit copies into the journal.
    Part(Part),
    File(Settled),
}

impl Spooled {
    /// Size of the whole message: prefix and content.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Of prefix and what is in memory or file, to be compared with what was to be stored.
    pub fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    /// The commit is done: a file stays.
    pub(crate) fn keep(&mut self) {
        if let Place::File(file) = &mut self.place {
            file.keep();
        }
    }

    /// Octets that the commit itself has to write.
    pub(crate) fn committed_octets(&self) -> usize {
        match &self.place {
            Place::Memory(_) | Place::Part(_) => self.octets as usize,
            Place::File(_) => 0,
        }
    }
}

/// Where a content file is.
pub(crate) fn path(folder: &Path, blob: BlobId) -> PathBuf {
    folder.join(format!("{:016x}", blob.0))
}

/// Removes files that no message refers to: left by a crash between their rename and the commit, or by one between a
/// commit and the removal.
/// To be called by the server only, before it accepts anything.
/// Returns how many were removed.
pub(crate) fn sweep(
    folder: &Path,
    mut is_referred: impl FnMut(BlobId) -> Result<bool>,
) -> Result<usize> {
    let mut removed = 0;
    for item in fs::read_dir(folder).map_err(Error::io("listing", folder))? {
        let item = item.map_err(Error::io("listing", folder))?;
        let name = item.file_name();
        let name = name.to_str().unwrap_or_default();
        let blob = u64::from_str_radix(name, 16).ok().filter(|_| name.len() == 16).map(BlobId);
        let orphan = match blob {
            Some(blob) => !is_referred(blob)?,
            None => name.ends_with(".part"),
        };
        if orphan {
            fs::remove_file(item.path()).map_err(Error::io("removing", &item.path()))?;
            removed += 1;
        }
    }
    Ok(removed)
}
