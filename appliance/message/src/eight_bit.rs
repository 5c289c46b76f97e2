//! Copies for other servers that the original is not fit for: where there is no 8BITMIME (RFC 6152 §3), or lines are
//! longer than mail may have (RFC 5322 §2.1.1), text parts become quoted-printable, others base64 (RFC 2045 §6).
//! Works line by line in bounded memory; what is already fit stays octet for octet.
//!
//! Which parts have long lines is known only behind them, and their header is in front: [`LongParts`] reads the
//! content once before [`Downgrade`] does.

mod header;
mod part;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use header::with_encoding;
use part::{Body, Part};

use crate::field::{self, Letters};
use crate::lines;

/// Longest header block of a part, in octets; beyond it the part's encoding is left alone.
const HEADER_OCTETS: usize = 128 * 1024;
/// Nested multiparts that are kept apart.
const DEPTH: usize = 32;
/// Octets of a line that are held; a longer one is encoded in pieces.
const LINE_OCTETS: usize = 64 * 1024;
/// Characters of an encoded line (RFC 2045 §6.7, rule 5; §6.8).
const ENCODED_LINE: usize = 76;

/// What the other server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// Octets below 128 only (RFC 5321 §2.4).
    Seven,
    /// Whatever octets there are (RFC 6152).
    Eight,
}

/// What a copy must be.
#[derive(Clone, Debug)]
pub struct Needs {
    /// What the server announced.
    pub bits: Bits,
    /// The parts with long lines, counted in the order of their headers; `None`: there are no long lines at all.
    pub long: Option<Arc<BTreeSet<usize>>>,
}

impl Needs {
    /// For servers without 8BITMIME, of content without long lines.
    pub const SEVEN_BITS: Needs = Needs { bits: Bits::Seven, long: None };
}

enum State {
    /// Gathering the header of a part.
    Header(Vec<u8>),
    Body(Body),
}

/// The converter.
/// Push content, then finish.
pub struct Downgrade {
    needs: Needs,
    /// Headers that ended so far: the number of the part that the next one begins.
    parts: usize,
    state: State,
    /// Boundaries of the multiparts around the current place, innermost last.
    boundaries: Vec<Vec<u8>>,
    /// An unfinished line.
    line: Vec<u8>,
    /// Its beginning went out already.
    is_continued: bool,
    /// Octets that wait for a full base64 line.
    pending: Vec<u8>,
    /// RFC 2046 §5.1.1: the line end in front of a boundary belongs to the boundary.
    line_end: bool,
    /// Parts with long lines, while they are looked for.
    found: BTreeSet<usize>,
    /// Text in front of, between and behind parts: it belongs to none.
    is_unclaimed: bool,
}

impl Downgrade {
    /// A converter at the beginning of a message, its header included.
    pub fn new(needs: Needs) -> Downgrade {
        Downgrade {
            needs,
            parts: 0,
            state: State::Header(Vec::new()),
            boundaries: Vec::new(),
            line: Vec::new(),
            is_continued: false,
            pending: Vec::new(),
            line_end: false,
            found: BTreeSet::new(),
            is_unclaimed: false,
        }
    }

    /// A line of a body was met.
    fn note_length(&mut self, octets: usize) {
        if octets > lines::LINE_OCTETS && self.parts > 0 && !self.is_unclaimed {
            self.found.insert(self.parts - 1);
        }
    }

    /// Appends a header, or text that belongs to no part, as the server takes it.
    fn plain(&self, octets: &[u8], out: &mut Vec<u8>) {
        match self.needs.bits {
            Bits::Seven => out.extend(octets.iter().map(narrow)),
            Bits::Eight => out.extend_from_slice(octets),
        }
    }

    fn header(&self, header: &[u8], out: &mut Vec<u8>) {
        let letters = match self.needs.bits {
            Bits::Seven => Letters::Ascii,
            Bits::Eight => Letters::Any,
        };
        match self.needs.long.is_some() || letters == Letters::Ascii {
            true => self.plain(&field::fit_all(header, letters), out),
            false => self.plain(header, out),
        }
    }

    /// Takes a piece of content and appends what is ready to `out`.
    pub fn push(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let mut rest = content;
        while !rest.is_empty() {
            // A long line is cut at the same places however content comes: it is read once to sign and once to send.
            let window = rest.len().min(LINE_OCTETS - self.line.len());
            let end = memchr::memchr(b'\n', &rest[..window]).map(|at| at + 1);
            let (taken, behind) = rest.split_at(end.unwrap_or(window));
            self.line.extend_from_slice(taken);
            rest = behind;
            let mut line = std::mem::take(&mut self.line);
            if end.is_some() {
                self.whole_line(&line, out);
                line.clear();
                (self.line, self.is_continued) = (line, false);
            } else if line.len() == LINE_OCTETS {
                let has_cr = line.pop_if(|last| *last == b'\r').is_some();
                self.part_of_line(&line, out);
                // It may be half of the line end.
                self.line.extend_from_slice(if has_cr { b"\r" } else { b"" });
                self.is_continued = true;
            } else {
                self.line = line;
            }
        }
    }

    /// Appends the rest.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.part_of_line(&line, out);
        }
        if let State::Header(header) = &self.state {
            self.header(header, out);
        }
        self.end_body(out, true);
    }

    fn whole_line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        if let Some((depth, is_close)) = self.boundary(line).filter(|_| !self.is_continued) {
            self.end_body(out, false);
            if let State::Header(header) = &self.state {
                self.header(header, out);
            }
            self.plain(line, out);
            self.boundaries.truncate(if is_close { depth } else { depth + 1 });
            // What follows a closing boundary belongs to no part: passed on without wide octets.
            self.is_unclaimed = is_close;
            self.state =
                if is_close { State::Body(self.unclaimed()) } else { State::Header(Vec::new()) };
            return;
        }
        match &mut self.state {
            State::Header(header) => {
                header.extend_from_slice(line);
                if line == b"\r\n" && !self.is_continued || header.len() > HEADER_OCTETS {
                    let header = std::mem::take(header);
                    self.begin_body(&header, out);
                }
            }
            State::Body(_) => {
                let text = line.strip_suffix(b"\r\n").unwrap_or(line);
                self.note_length(text.len());
                self.body(text, out);
                match self.state {
                    State::Body(Body::Base64) => self.line_end = true,
                    _ => out.extend_from_slice(b"\r\n"),
                }
            }
        }
    }

    fn part_of_line(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if matches!(self.state, State::Body(_)) {
            self.note_length(piece.len());
        }
        match &mut self.state {
            State::Header(header) => {
                header.extend_from_slice(piece);
                if header.len() > HEADER_OCTETS {
                    let header = std::mem::take(header);
                    self.begin_body(&header, out);
                }
            }
            State::Body(Body::QuotedPrintable) => {
                self.body(piece, out);
                out.extend_from_slice(b"=\r\n");
            }
            State::Body(Body::QuotedPrintableAgain) => {
                // An escape may be cut here: its beginning waits for the rest.
                let tail = piece.len().saturating_sub(2);
                let whole = piece[tail..]
                    .iter()
                    .position(|&b| b == b'=')
                    .map_or(piece.len(), |at| tail + at);
                self.line = piece[whole..].to_vec();
                self.body(&piece[..whole], out);
                out.extend_from_slice(b"=\r\n");
            }
            State::Body(Body::Base64Again) => {
                // Programs that decode line by line want whole groups of four.
                let whole = piece.len() / 4 * 4;
                self.line = piece[whole..].to_vec();
                self.body(&piece[..whole], out);
                out.extend_from_slice(b"\r\n");
            }
            State::Body(Body::Wrapped) => {
                self.body(piece, out);
                out.extend_from_slice(b"\r\n ");
            }
            State::Body(_) => self.body(piece, out),
        }
    }

    /// What is done with text between and behind the parts.
    fn unclaimed(&self) -> Body {
        if self.needs.long.is_some() { Body::Wrapped } else { Body::AsItIs }
    }

    fn body(&mut self, text: &[u8], out: &mut Vec<u8>) {
        match self.state {
            State::Body(Body::QuotedPrintable) => quoted_printable(text, out),
            State::Body(Body::Base64) => {
                if std::mem::take(&mut self.line_end) {
                    self.pending.extend_from_slice(b"\r\n");
                }
                self.pending.extend_from_slice(text);
                let whole = self.pending.len() / 57 * 57;
                for group in self.pending[..whole].chunks(57) {
                    base64_line(group, out);
                }
                self.pending.drain(..whole);
            }
            State::Body(Body::QuotedPrintableAgain) if text.len() > lines::LINE_OCTETS => {
                lines::rewrap_quoted_printable(text, out)
            }
            State::Body(Body::Base64Again) => lines::rewrap_base64(text, out),
            State::Body(Body::Wrapped) if text.len() > lines::LINE_OCTETS => {
                let mut wrapped = Vec::with_capacity(text.len() + 64);
                lines::wrap(text, &mut wrapped);
                self.plain(&wrapped, out);
            }
            _ => self.plain(text, out),
        }
    }

    fn end_body(&mut self, out: &mut Vec<u8>, at_end: bool) {
        if let State::Body(Body::Base64) = self.state {
            if at_end && self.line_end {
                self.pending.extend_from_slice(b"\r\n");
            }
            for group in self.pending.chunks(57) {
                base64_line(group, out);
            }
        }
        self.pending.clear();
        self.line_end = false;
    }

    /// The place of the boundary that a line is, outermost 0, and whether it closes.
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.trim_ascii_end().strip_prefix(b"--")?;
        self.boundaries.iter().enumerate().rev().find_map(|(depth, boundary)| {
            match text.strip_prefix(&boundary[..]) {
                Some(b"") => Some((depth, false)),
                Some(b"--") => Some((depth, true)),
                _ => None,
            }
        })
    }

    fn begin_body(&mut self, header: &[u8], out: &mut Vec<u8>) {
        let is_long = self.needs.long.as_ref().is_some_and(|long| long.contains(&self.parts));
        self.parts += 1;
        self.is_unclaimed = false;
        let part = Part::of(header);
        if let Some(boundary) = part.boundary().filter(|_| self.boundaries.len() < DEPTH) {
            self.boundaries.push(boundary);
            self.container(header, out);
            self.is_unclaimed = true;
            self.state = State::Body(self.unclaimed());
            return;
        }
        if part.is_open_message() {
            // An attached message must not be encoded as a whole (RFC 2046 §5.2.1): its parts are.
            self.container(header, out);
            self.state = match part.media.as_str() {
                "message/rfc822" => State::Header(Vec::new()),
                _ => State::Body(self.unclaimed()),
            };
            return;
        }
        let body = part.body(self.needs.bits, is_long);
        match body.encoding() {
            Some(encoding) => self.header(&with_encoding(header, Some(encoding)), out),
            None => self.header(header, out),
        }
        self.state = State::Body(body);
    }

    /// The header of what only contains other parts; it says nothing of eight bits where there are none.
    fn container(&self, header: &[u8], out: &mut Vec<u8>) {
        match self.needs.bits {
            Bits::Seven => self.header(&with_encoding(header, None), out),
            Bits::Eight => self.header(header, out),
        }
    }
}

/// Looks for parts with lines that are too long.
/// Push content, then take what was found.
pub struct LongParts(Downgrade);

impl Default for LongParts {
    fn default() -> LongParts {
        LongParts(Downgrade::new(Needs { bits: Bits::Eight, long: None }))
    }
}

impl LongParts {
    /// Takes a piece of content, of any size.
    pub fn push(&mut self, content: &[u8]) {
        let mut out = Vec::new();
        self.0.push(content, &mut out);
    }

    /// The parts with a line beyond 998 octets, by the number of their header, counted from 0.
    pub fn finish(mut self) -> BTreeSet<usize> {
        self.0.note_length(self.0.line.len());
        self.0.found
    }
}

/// What has no place in seven bits and no encoding to be in becomes `?`: cutting the eighth bit would make line ends
/// out of letters.
fn narrow(octet: &u8) -> u8 {
    if octet.is_ascii() { *octet } else { b'?' }
}

/// Encodes a line's text (RFC 2045 §6.7); the line end is the caller's.
pub(crate) fn quoted_printable(text: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for (at, &octet) in text.iter().enumerate() {
        let is_last = at + 1 == text.len();
        let is_plain = matches!(octet, b'!'..=b'~' if octet != b'=')
            || matches!(octet, b' ' | b'\t' if !is_last);
        let width = if is_plain { 1 } else { 3 };
        if column + width > ENCODED_LINE - 1 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        match is_plain {
            true => out.push(octet),
            false => out.extend_from_slice(format!("={octet:02X}").as_bytes()),
        }
        column += width;
    }
}

fn base64_line(octets: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(pillarbox_proto::smtp::encode_base64(octets).as_bytes());
    out.extend_from_slice(b"\r\n");
}
