//! A ZIP archive as it comes in: its files are named and looked into one behind the other (APPNOTE 4.3, 4.4).
//!
//! Both what stands in front of each file and the list at the end are read: whoever unpacks takes one or the other.

use flate2::{Decompress, FlushDecompress, Status};

use super::inspect::{Context, File};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
/// Octets of the fixed part in front of a file, and of an entry of the list.
const LOCAL_OCTETS: usize = 30;
const CENTRAL_OCTETS: usize = 46;
/// General purpose bits: it is encrypted; its length comes behind it.
const ENCRYPTED: u16 = 1;
const LENGTH_BEHIND: u16 = 1 << 3;
/// Octets that come out of the decompressor at a time.
const OUT: usize = 16 * 1024;

/// Reads an archive.
pub struct Zip {
    state: State,
    held: Vec<u8>,
}

enum State {
    /// At the beginning of a header, or on the way to the next one.
    Header,
    /// In a file: octets that are left of it, where that is known, and how they are read.
    Entry { left: Option<u64>, reading: Reading },
    /// It is broken where nobody can tell what comes next.
    Over,
}

enum Reading {
    /// It is not looked into.
    Skipped,
    Stored(Box<File>),
    Deflated(Box<(Decompress, File)>),
}

impl Zip {
    pub fn new() -> Zip {
        Zip { state: State::Header, held: Vec::new() }
    }

    /// The next piece of the archive, of any size.
    pub fn push(&mut self, piece: &[u8], context: &mut Context) {
        let mut held = std::mem::take(&mut self.held);
        let mut rest = match held.is_empty() {
            true => piece,
            false => {
                held.extend_from_slice(piece);
                &held[..]
            }
        };
        while !rest.is_empty() && !context.is_over() {
            rest = match &mut self.state {
                State::Over => return,
                State::Header => match self.header(rest, context) {
                    Some(behind) => behind,
                    None => return,
                },
                State::Entry { left, reading } => {
                    let (behind, end) = read(left, reading, rest, context);
                    let is_lost = end == End::Broken && left.is_none();
                    if end != End::None {
                        self.close(context);
                    }
                    if is_lost {
                        self.state = State::Over;
                    }
                    behind
                }
            };
        }
    }

    /// The archive is over.
    pub fn finish(&mut self, context: &mut Context) {
        if matches!(self.state, State::Entry { .. }) {
            self.close(context);
        }
    }

    fn close(&mut self, context: &mut Context) {
        if let State::Entry { reading, .. } = std::mem::replace(&mut self.state, State::Header) {
            match reading {
                Reading::Skipped => {}
                Reading::Stored(mut file) => file.finish(context),
                Reading::Deflated(mut both) => both.1.finish(context),
            }
        }
    }

    /// Reads the next header; gives what is behind it.
    /// `None`: none is whole, and what may be its beginning is kept.
    fn header<'a>(&mut self, octets: &'a [u8], context: &mut Context) -> Option<&'a [u8]> {
        let Some(at) = signature(octets) else {
            // The beginning of one may be the end of what is here.
            self.held = octets[octets.len().saturating_sub(3)..].to_vec();
            return None;
        };
        let rest = &octets[at..];
        let is_local = rest.starts_with(LOCAL);
        let (fixed, name_at) = if is_local { (LOCAL_OCTETS, 26) } else { (CENTRAL_OCTETS, 28) };
        let octets_at = |at| usize::from(u16_at(rest, at));
        let whole = fixed + octets_at(name_at) + octets_at(name_at + 2);
        if rest.len() < fixed || rest.len() < whole {
            self.held = rest.to_vec();
            return None;
        }
        let (header, behind) = rest.split_at(whole);
        let name = text(&header[fixed..fixed + octets_at(name_at)]);
        match is_local {
            false => context.name(&name),
            true if is_entry(header) => self.state = entry(header, &name, context),
            true => {}
        }
        Some(behind)
    }
}

/// Where the next header begins.
fn signature(octets: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(octets, b"PK").find(|&at| {
        let rest = &octets[at..];
        rest.len() < 4 || rest.starts_with(LOCAL) || rest.starts_with(CENTRAL)
    })
}

/// Whether it can be the header of a file: a method that there is, and a name.
fn is_entry(header: &[u8]) -> bool {
    u16_at(header, 8) <= 99 && u16_at(header, 26) > 0
}

/// Begins a file.
fn entry(header: &[u8], name: &str, context: &mut Context) -> State {
    let (flags, method) = (u16_at(header, 6), u16_at(header, 8));
    let compressed = u64::from(u32_at(header, 18));
    let is_known = flags & LENGTH_BEHIND == 0 && compressed != u64::from(u32::MAX);
    let left = is_known.then_some(compressed);
    if flags & ENCRYPTED != 0 {
        context.locked();
    }
    let reading = match (flags & ENCRYPTED, method, left) {
        (0, 0, Some(_)) => Reading::Stored(Box::new(File::within(name, context))),
        (0, 8, _) => {
            Reading::Deflated(Box::new((Decompress::new(false), File::within(name, context))))
        }
        _ => {
            context.name(name);
            Reading::Skipped
        }
    };
    // Where it ends without a length is found by the next header.
    match (&reading, left) {
        (Reading::Skipped, None) => State::Header,
        _ => State::Entry { left, reading },
    }
}

/// Whether packed octets, or a file, end here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    None,
    Over,
    /// They can't be unpacked, or may not be any further.
    Broken,
}

/// Takes what a piece has of a file; gives what is behind it, and whether the file is over.
fn read<'a>(
    left: &mut Option<u64>,
    reading: &mut Reading,
    piece: &'a [u8],
    context: &mut Context,
) -> (&'a [u8], End) {
    let most = left
        .map_or(piece.len(), |left| piece.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
    let (now, behind) = piece.split_at(most);
    let (used, end) = match reading {
        Reading::Skipped => (now.len(), End::None),
        Reading::Stored(file) => {
            file.push(now, context);
            (now.len(), End::None)
        }
        // Its length is known: what is of no interest need not be unpacked.
        Reading::Deflated(both) if left.is_some() && both.1.is_plain() => (now.len(), End::None),
        Reading::Deflated(both) => inflate(&mut both.0, &mut both.1, now, context),
    };
    if let (Reading::Deflated(both), End::Broken) = (&*reading, end)
        && !context.is_over()
        // What is of no interest is not unpacked to its end either.
        && !(left.is_some() && both.1.is_plain())
    {
        context.broken(&both.1.path);
    }
    if let Some(left) = left {
        *left -= now.len() as u64;
        // What is behind the end of the packed octets belongs to the file as long as its length says so.
        if end != End::None && *left > 0 {
            if let Reading::Deflated(mut both) = std::mem::replace(reading, Reading::Skipped) {
                both.1.finish(context);
            }
            return (behind, End::None);
        }
        return (behind, if *left == 0 { End::Over } else { End::None });
    }
    (if end == End::Over { &piece[used..] } else { behind }, end)
}

/// Unpacks a piece; gives how much of it was used, and whether the packed octets are over.
pub fn inflate(
    decompress: &mut Decompress,
    file: &mut File,
    piece: &[u8],
    context: &mut Context,
) -> (usize, End) {
    let (mut out, mut used) = (vec![0; OUT], 0);
    loop {
        let (before_in, before_out) = (decompress.total_in(), decompress.total_out());
        let status = decompress.decompress(&piece[used..], &mut out, FlushDecompress::None);
        used += (decompress.total_in() - before_in) as usize;
        let made = (decompress.total_out() - before_out) as usize;
        file.push(&out[..made], context);
        match status {
            Ok(Status::StreamEnd) => return (used, End::Over),
            Err(_) => return (piece.len(), End::Broken),
            Ok(_) if context.is_over() || !context.unpack(made) => {
                return (piece.len(), End::Broken);
            }
            Ok(_) if made == 0 && used == piece.len() => return (used, End::None),
            Ok(_) if made == 0 && decompress.total_in() == before_in => {
                return (piece.len(), End::Broken);
            }
            Ok(_) => {}
        }
    }
}

/// Names are UTF-8, or in the charset of old machines, of which only the letters of ASCII matter here.
fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn u16_at(octets: &[u8], at: usize) -> u16 {
    octets.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(octets: &[u8], at: usize) -> u32 {
    let four = octets.get(at..).and_then(|rest| rest.first_chunk::<4>());
    four.map_or(0, |four| u32::from_le_bytes(*four))
}
