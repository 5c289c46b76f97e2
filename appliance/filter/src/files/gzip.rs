//! A file packed by gzip (RFC 1952).

use flate2::Decompress;

use super::inspect::{Context, File};
use super::zip::inflate;

/// Octets in front of the packed ones that are read; a longer name is nobody's.
const HEADER: usize = 1024;
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
const HAS_SUM: u8 = 2;

/// Reads one.
pub struct Gzip {
    held: Vec<u8>,
    packed: Option<(Decompress, Box<File>)>,
    /// The name of what is within where the header has none: its own without the end.
    name: String,
    is_over: bool,
}

impl Gzip {
    pub fn new(name: &str) -> Gzip {
        let inner = name.strip_suffix(".tgz").map(|front| format!("{front}.tar"));
        let inner = inner.unwrap_or_else(|| name.strip_suffix(".gz").unwrap_or(name).to_string());
        let name = inner.rsplit('/').next().unwrap_or_default().to_string();
        Gzip { held: Vec::new(), packed: None, name, is_over: false }
    }

    /// The next piece, of any size.
    pub fn push(&mut self, piece: &[u8], context: &mut Context) {
        if self.is_over {
            return;
        }
        if let Some((decompress, file)) = &mut self.packed {
            self.is_over = inflate(decompress, file, piece, context).1;
            return;
        }
        self.held.extend_from_slice(piece);
        let Some(end) = header_end(&self.held) else {
            self.is_over = self.held.len() > HEADER;
            return;
        };
        self.packed = Some((Decompress::new(false), Box::new(File::within(&self.name, context))));
        let held = std::mem::take(&mut self.held);
        self.push(&held[end..], context);
    }

    /// It is over.
    pub fn finish(&mut self, context: &mut Context) {
        if let Some((_, file)) = &mut self.packed {
            file.finish(context);
        }
    }
}

/// Where the packed octets begin; `None`: the header is not whole.
fn header_end(octets: &[u8]) -> Option<usize> {
    let flags = *octets.get(3)?;
    let mut at = 10;
    if flags & HAS_EXTRA != 0 {
        at += 2 + usize::from(u16::from_le_bytes([*octets.get(at)?, *octets.get(at + 1)?]));
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if flags & flag != 0 {
            at += octets.get(at..)?.iter().position(|&b| b == 0)? + 1;
        }
    }
    at += if flags & HAS_SUM != 0 { 2 } else { 0 };
    (octets.len() >= at).then_some(at)
}
