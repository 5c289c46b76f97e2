//! The files of the journal: segments in use by their number, and spare ones whose blocks are already there.
//!
//! An append to blocks that are there is one flush.
//! One that makes the file longer is two: the file system's own journal has to remember the new length.
//! Spare segments were in use before.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::record::{SEGMENT_HEAD, SegmentHead};
use crate::error::{Error, Result};

/// The journal's folder.
#[derive(Clone, Debug)]
pub(crate) struct Segments {
    folder: PathBuf,
    /// Octets of each segment.
    pub octets: u64,
}

impl Segments {
    pub fn new(folder: PathBuf, octets: u64) -> Segments {
        Segments { folder, octets }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a segment is.
    pub fn path(&self, segment: u64) -> PathBuf {
        self.folder.join(format!("{segment:016x}"))
    }

    fn spare(&self, number: u64) -> PathBuf {
        self.folder.join(format!("spare-{number:016x}"))
    }

    /// The numbers of all segments, ascending, and of the spare ones.
    pub fn list(&self) -> Result<(Vec<u64>, Vec<u64>)> {
        let (mut used, mut spare) = (Vec::new(), Vec::new());
        for item in fs::read_dir(&self.folder).map_err(Error::io("listing", &self.folder))? {
            let name = item.map_err(Error::io("listing", &self.folder))?.file_name();
            let name = name.to_str().unwrap_or_default();
            let number =
                |digits: &str| u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 16);
            match name.strip_prefix("spare-") {
                Some(digits) => spare.extend(number(digits)),
                None => used.extend(number(name)),
            }
        }
        used.sort_unstable();
        spare.sort_unstable();
        Ok((used, spare))
    }

    /// Opens a segment; `None` when there is none of this number.
    pub fn open(&self, segment: u64, is_writable: bool) -> Result<Option<File>> {
        let path = self.path(segment);
        match OpenOptions::new().read(true).write(is_writable).open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("opening", &path)(error)),
        }
    }

    /// The head of a segment; `None` when there is none, or it is not in use.
    pub fn head(&self, segment: u64) -> Result<Option<SegmentHead>> {
        let Some(file) = self.open(segment, false)? else { return Ok(None) };
        let mut head = [0; SEGMENT_HEAD as usize];
        match file.read_exact_at(&mut head, 0) {
            Ok(()) => Ok(SegmentHead::read(&head).filter(|head| head.segment == segment)),
            Err(_) => Ok(None),
        }
    }

    /// Takes a spare segment into use, or a new file where there is none.
    /// Durable but for the octets of its head: they come with the first flush.
    pub fn begin(&self, head: SegmentHead) -> Result<File> {
        let path = self.path(head.segment);
        let (used, spare) = self.list()?;
        if used.last().is_some_and(|&last| last >= head.segment) {
            return Err(Error::damaged(format!(
                "segment {} of the journal is there and is not what comes next",
                head.segment
            )));
        }
        let file = match spare.first() {
            Some(&number) => {
                fs::rename(self.spare(number), &path)
                    .map_err(Error::io("taking into use", &path))?;
                OpenOptions::new().read(true).write(true).open(&path)
            }
            None => {
                OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)
            }
        };
        let file = file.map_err(Error::io("opening", &path))?;
        file.write_all_at(&head.write(), 0).map_err(Error::io("writing", &path))?;
        self.sync_folder()?;
        Ok(file)
    }

    /// Octets whose blocks are there in the spare segment that comes next; `None` when there is none.
    pub fn next_spare_octets(&self) -> Option<u64> {
        let (_, spare) = self.list().ok()?;
        fs::metadata(self.spare(*spare.first()?)).ok().map(|facts| facts.len())
    }

    /// Octets of a segment's file.
    pub fn file_octets(&self, segment: u64) -> u64 {
        fs::metadata(self.path(segment)).map_or(0, |facts| facts.len())
    }

    pub fn sync_folder(&self) -> Result<()> {
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(Error::io("syncing", &self.folder))
    }

    /// Puts away what a crash left behind the log's last segment: one that was to begin.
    pub fn retire_behind(&self, last: u64) -> Result<()> {
        let (used, _) = self.list()?;
        used.into_iter()
            .filter(|&segment| segment > last)
            .try_for_each(|segment| self.retire(segment))
    }

    /// Puts a segment that nothing refers to among the spare ones.
    pub fn retire(&self, segment: u64) -> Result<()> {
        let path = self.path(segment);
        fs::rename(&path, self.spare(segment)).map_err(Error::io("renaming", &path))
    }

    /// Removes a spare segment: its room is wanted.
    pub fn remove_spare(&self, number: u64) -> Result<()> {
        let path = self.spare(number);
        fs::remove_file(&path).map_err(Error::io("removing", &path))
    }
}
