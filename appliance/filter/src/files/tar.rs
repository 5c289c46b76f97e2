//! A tar archive as it comes in (POSIX.1 `ustar`).

use super::inspect::{Context, File};

const BLOCK: usize = 512;

/// Reads an archive.
#[derive(Default)]
pub struct Tar {
    held: Vec<u8>,
    file: Option<Box<File>>,
    /// Octets that are left of the file, and of the rest of its last block.
    left: u64,
    padding: u64,
}

impl Tar {
    /// The next piece of the archive, of any size.
    pub fn push(&mut self, mut piece: &[u8], context: &mut Context) {
        while !piece.is_empty() && !context.is_over() {
            if self.left > 0 {
                let (now, behind) = cut(piece, self.left);
                self.left -= now.len() as u64;
                piece = behind;
                if let Some(file) = &mut self.file {
                    file.push(now, context);
                }
            } else if self.padding > 0 {
                let (now, behind) = cut(piece, self.padding);
                self.padding -= now.len() as u64;
                piece = behind;
            } else {
                self.finish(context);
                let (now, behind) = cut(piece, (BLOCK - self.held.len()) as u64);
                self.held.extend_from_slice(now);
                piece = behind;
                if self.held.len() == BLOCK {
                    let block = std::mem::take(&mut self.held);
                    self.header(&block, context);
                }
            }
        }
    }

    /// The archive, or a file of it, is over.
    pub fn finish(&mut self, context: &mut Context) {
        if let Some(mut file) = self.file.take() {
            file.finish(context);
        }
    }

    fn header(&mut self, block: &[u8], context: &mut Context) {
        if block.get(257..262) != Some(b"ustar") {
            return;
        }
        let field = |from: usize, octets: usize| {
            let field = &block[from..from + octets];
            let end = field.iter().position(|&b| b == 0).unwrap_or(octets);
            String::from_utf8_lossy(&field[..end]).into_owned()
        };
        let octets = u64::from_str_radix(field(124, 12).trim(), 8).unwrap_or(0);
        self.left = octets;
        self.padding = (BLOCK as u64 - octets % BLOCK as u64) % BLOCK as u64;
        // Files only; of other kinds the octets are facts.
        if matches!(block[156], b'0' | 0) {
            self.file = Some(Box::new(File::within(&field(0, 100), context)));
        }
    }
}

fn cut(piece: &[u8], most: u64) -> (&[u8], &[u8]) {
    piece.split_at(piece.len().min(usize::try_from(most).unwrap_or(usize::MAX)))
}
