//! Reading large content in pieces, and checking on the way that it is what was written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::content::read::Content;
use crate::content::{INLINE_OCTETS, Location, spool};
use crate::engine::options::Access;
use crate::engine::shared::{Held, Shared};
use crate::error::{Error, Result};
use crate::ids::MessageId;

/// Reads a large content.
/// While it is there, the octets stay where they are.
pub struct ContentReader {
    shared: Arc<Shared>,
    message: MessageId,
    /// What is in front of the file and was not given yet.
    prefix: VecDeque<u8>,
    file: Arc<File>,
    path: PathBuf,
    /// Of the next octet in the file.
    offset: u64,
    left: u64,
    hasher: crc32fast::Hasher,
    crc32: u32,
    /// Keeps a segment of the journal from being used again.
    _held: Option<Held>,
}

impl ContentReader {
    /// `None` for what is to be read as a whole: what is small, and in a tool all that the server may move.
    pub(crate) fn open(shared: &Arc<Shared>, content: &Content) -> Result<Option<ContentReader>> {
        let (prefix, file, path, offset, held) = match &content.head.location {
            Location::File { blob, prefix } => {
                let path = spool::path(&shared.blobs, *blob);
                let file = File::open(&path).map_err(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => {
                        damaged(shared, content.message, &format!("{} is gone", path.display()))
                    }
                    _ => Error::io("reading", &path)(error),
                })?;
                (prefix.clone().into(), Arc::new(file), path, 0, None)
            }
            Location::Journal { .. }
                if content.octets > INLINE_OCTETS as u64 && shared.access == Access::Server =>
            {
                let (held, offset) = hold(shared, content)?;
                let path = shared.segments.path(held.segment);
                let file = shared.segment(held.segment)?.ok_or_else(|| {
                    damaged(shared, content.message, &format!("{} is gone", path.display()))
                })?;
                (VecDeque::new(), file, path, u64::from(offset), Some(held))
            }
            Location::Journal { .. } | Location::Inline { .. } => return Ok(None),
        };
        let (message, left, crc32) = (content.message, content.octets, content.head.crc32);
        let (shared, hasher) = (shared.clone(), crc32fast::Hasher::new());
        Ok(Some(ContentReader {
            shared,
            message,
            prefix,
            file,
            path,
            offset,
            left,
            hasher,
            crc32,
            _held: held,
        }))
    }

    /// Reads to the end, only to see whether the whole is what was written.
    pub(crate) fn read_through(mut self) -> Result<()> {
        let mut piece = vec![0; 64 * 1024];
        while self.read(&mut piece)? > 0 {}
        Ok(())
    }

    /// The next octets, at most as many as `buffer` holds; 0 at the end.
    /// Blocks.
    ///
    /// # Errors
    /// [`Error::Damaged`] with or instead of the last octets, when the whole is not what was written.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        // The prefix first; a read from what is in memory can't fail.
        let ahead = self.prefix.read(&mut buffer[..most]).unwrap_or(0);
        // A card that can't give it back any more (EIO) has damaged it as well as one that gives something else.
        let read =
            self.file.read_at(&mut buffer[ahead..most], self.offset).map_err(
                |error| match error.raw_os_error() {
                    Some(code) if code == nix::errno::Errno::EIO as i32 => damaged(
                        &self.shared,
                        self.message,
                        &format!("{}: {error}", self.path.display()),
                    ),
                    _ => Error::io("reading", &self.path)(error),
                },
            )?;
        self.offset += read as u64;
        let read = ahead + read;
        self.hasher.update(&buffer[..read]);
        self.left -= read as u64;
        let is_over = self.left == 0 || read == 0;
        let is_whole = self.left == 0 && self.hasher.clone().finalize() == self.crc32;
        if is_over && !is_whole {
            Err(damaged(&self.shared, self.message, &self.path.display().to_string()))
        } else {
            Ok(read)
        }
    }
}

/// Holds the segment that a content is in.
/// It may have been moved since it was looked up: then the one where it is now.
fn hold(shared: &Arc<Shared>, content: &Content) -> Result<(Held, u32)> {
    let mut location = content.head.location.clone();
    loop {
        let Location::Journal { segment, offset } = location else {
            return Err(damaged(shared, content.message, "it went from the journal into a file"));
        };
        let held = Held::new(shared, segment);
        // What is still there now stays there as long as it is held.
        // A message that was deleted meanwhile is unknown.
        match shared.head(content.message)? {
            Some(head) if head.location != location => location = head.location,
            _ => return Ok((held, offset)),
        }
    }
}

/// Remembers damage of a message that is still there, and names it.
pub(crate) fn damaged(shared: &Shared, message: MessageId, what: &str) -> Error {
    if shared.head(message).is_ok_and(|head| head.is_some()) {
        shared.medium.note_damage(message);
    }
    Error::damaged(format!("the content of message {}: {what}", message.0))
}
