//! A file packed by gzip (RFC 1952), in one member or several.

use flate2::Decompress;

use super::inspect::{Context, File};
use super::zip::{End, inflate};

/// Octets in front of the packed ones that are read; a longer name is nobody's.
const HEADER: usize = 1024;
const MAGIC: &[u8] = b"\x1f\x8b\x08";
const HAS_EXTRA: u8 = 4;
const HAS_NAME: u8 = 8;
const HAS_COMMENT: u8 = 16;
const HAS_SUM: u8 = 2;

/// Octets behind the packed ones: check sum and length.
const TRAILER: usize = 8;

/// Reads one.
pub struct Gzip {
    state: State,
    held: Vec<u8>,
    decompress: Decompress,
    /// What is within, of all its members.
    file: Option<Box<File>>,
    name: String,
}

enum State {
    Header,
    Packed,
    /// So many octets of the trailer are still to come.
    Trailer(usize),
    Over,
}

impl Gzip {
    /// `name`: its own; what is within has the same without the end.
    pub fn new(name: &str) -> Gzip {
        let inner = name.strip_suffix(".tgz").map(|front| format!("{front}.tar"));
        let inner = inner.unwrap_or_else(|| name.strip_suffix(".gz").unwrap_or(name).to_string());
        let name = inner.rsplit('/').next().unwrap_or_default().trim_start().to_string();
        let (state, decompress) = (State::Header, Decompress::new(false));
        Gzip { state, held: Vec::new(), decompress, file: None, name }
    }

    /// The next piece, of any size.
    pub fn push(&mut self, piece: &[u8], context: &mut Context) {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(if held.is_empty() { &[] } else { piece });
        let mut rest = if held.is_empty() { piece } else { &held[..] };
        while !rest.is_empty() && !context.is_over() {
            match &mut self.state {
                State::Over => return,
                State::Header => match header_end(rest) {
                    Some(end) if end <= HEADER && rest.starts_with(MAGIC) => {
                        self.state = State::Packed;
                        self.decompress.reset(false);
                        rest = &rest[end..];
                    }
                    None if rest.len() <= HEADER => {
                        self.held = rest.to_vec();
                        return;
                    }
                    _ => self.state = State::Over,
                },
                State::Packed => {
                    let within = || Box::new(File::within(&self.name, context));
                    let mut file = self.file.take().unwrap_or_else(within);
                    let (used, end) = inflate(&mut self.decompress, &mut file, rest, context);
                    if end == End::Broken && !context.is_over() {
                        context.broken(&file.path);
                    }
                    self.file = Some(file);
                    rest = &rest[used..];
                    self.state = match end {
                        End::None => State::Packed,
                        End::Over => State::Trailer(TRAILER),
                        End::Broken => State::Over,
                    };
                }
                State::Trailer(left) => {
                    let now = rest.len().min(*left);
                    rest = &rest[now..];
                    *left -= now;
                    if *left == 0 {
                        self.state = State::Header;
                    }
                }
            }
        }
    }

    /// It is over.
    pub fn finish(&mut self, context: &mut Context) {
        if let Some(mut file) = self.file.take() {
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
