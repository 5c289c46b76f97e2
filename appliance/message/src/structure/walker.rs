//! The one pass over a message's octets.

use std::sync::LazyLock;

use mail_parser::{Message, MessageParser, MimeHeaders};

use super::facts::{charset_of, clip, facts};
use super::{Disposition, Group, Part, Structure};
use crate::flowed::Flow;
use crate::repair::repaired;
use crate::transfer::Encoding;

/// Octets of the message's header, and of a part's, that are read; the rest of a longer one is passed over.
const HEADER: usize = 128 * 1024;
const PART_HEADER: usize = 16 * 1024;
/// Characters of what is kept of a part's header: a name, an identifier, a kind.
pub(super) const NAME: usize = 500;
pub(super) const KIND: usize = 80;
/// Parts that are kept apart; whatever comes later belongs to the last one.
pub const PARTS: usize = 500;
/// Multiparts within multiparts.
const DEPTH: usize = 20;
/// Octets of a line that can be a boundary.
const LINE: usize = 200;

/// Reads all that a header says, and what it says of a part's body.
static WHOLE: LazyLock<MessageParser> = LazyLock::new(MessageParser::new);
static OF_PARTS: LazyLock<MessageParser> =
    LazyLock::new(|| MessageParser::new().with_mime_headers().default_header_ignore());

/// A multipart whose end has not come yet.
#[derive(Default)]
struct Open {
    /// As its header has it; `None`: it has none.
    boundary: Option<Vec<u8>>,
    /// What is between its parts instead.
    guess: Option<Vec<u8>>,
    group: usize,
    /// Where its body begins, and how the header says that it is encoded: it is a text after all if no part comes.
    start: u64,
    encoding: Encoding,
    has_parts: bool,
}

impl Open {
    /// Whether a line without its `--` parts it, or ends it.
    fn ends(&self, rest: &[u8]) -> Option<Ends> {
        let known = [&self.boundary, &self.guess];
        let is = |text: &[u8]| known.iter().any(|boundary| boundary.as_deref() == Some(text));
        match (is(rest), rest.strip_suffix(b"--").is_some_and(is)) {
            (true, _) => Some(Ends::Part),
            (false, true) => Some(Ends::Group),
            (false, false) => None,
        }
    }
}

/// What a boundary ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Part,
    Group,
}

/// Takes a message apart as it comes in.
/// Push pieces, then finish.
#[derive(Default)]
pub struct Walker {
    found: Structure,
    /// Outermost first.
    open: Vec<Open>,
    header: Option<Vec<u8>>,
    /// The message's header, if it has raw letters that are not UTF-8.
    raw: Option<Vec<u8>>,
    /// A line that could be the boundary of a multipart which has none, or another one than its header says.
    /// It is if the next line is a part's field.
    candidate: Option<Vec<u8>>,
    part: Option<Part>,
    is_first: bool,
    /// What the header says besides is not read.
    has_no_facts: bool,
    /// The line that is coming in: its beginning, and where it starts.
    line: Vec<u8>,
    line_length: u64,
    line_start: u64,
    /// Octets of its line end, and of that of the line before: a message that came encoded within another may have LF
    /// alone.
    line_end: u64,
    end_before: u64,
    last: u8,
    at: u64,
}

impl Walker {
    /// At the beginning of a message.
    pub fn new() -> Walker {
        Walker { header: Some(Vec::new()), is_first: true, ..Walker::default() }
    }

    /// The same for its parts alone: of what its header says besides nothing is read.
    pub fn of_parts() -> Walker {
        Walker { has_no_facts: true, ..Walker::new() }
    }

    /// Takes a piece of the message, of any size: the result is the same however it is cut.
    pub fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = self.pass_over(rest);
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (now, later) = rest.split_at(end);
            if let Some(header) = &mut self.header {
                let most = if self.is_first { HEADER } else { PART_HEADER };
                header.extend_from_slice(&now[..now.len().min(most.saturating_sub(header.len()))]);
            }
            let room = LINE.saturating_sub(self.line.len()).min(now.len());
            self.line.extend_from_slice(&now[..room]);
            self.line_length += now.len() as u64;
            self.at += now.len() as u64;
            let before = now.len().checked_sub(2).map_or(self.last, |at| now[at]);
            self.last = now.last().copied().unwrap_or_default();
            self.line_end = if before == b'\r' { 2 } else { 1 };
            if now.ends_with(b"\n") {
                self.line_is_over();
            }
            rest = later;
        }
    }

    /// Passes over lines of a body that can't be a boundary; gives what is behind them.
    fn pass_over<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        if self.header.is_some() || self.candidate.is_some() || self.line_length > 0 {
            return rest;
        }
        // Without an open multipart nothing is.
        let next = match rest.starts_with(b"--") && !self.open.is_empty() {
            true => return rest,
            false if self.open.is_empty() => None,
            false => memchr::memmem::find(rest, b"\n--"),
        };
        let Some(end) = next.or_else(|| memchr::memrchr(b'\n', rest)) else { return rest };
        let (now, later) = rest.split_at(end + 1);
        let before = now.len().checked_sub(2).map_or(self.last, |at| now[at]);
        self.at += now.len() as u64;
        self.last = b'\n';
        self.line_end = if before == b'\r' { 2 } else { 1 };
        (self.line_start, self.end_before) = (self.at, self.line_end);
        later
    }

    /// What was found; the message ends here.
    pub fn finish(mut self) -> Structure {
        if self.line_length > 0 {
            self.line_is_over();
        }
        if self.candidate.take().is_some() {
            self.header = None;
        }
        if self.header.is_some() {
            self.header_is_over();
        }
        let end = self.at;
        self.close_part(end);
        self.close_groups(0, end);
        self.read_by_body();
        self.found
    }

    /// Raw letters of the header are the body's, which is known only now.
    fn read_by_body(&mut self) {
        let charset = self.found.charset().to_string();
        let Some(header) = self.raw.take().filter(|_| !charset.is_empty()) else { return };
        if let Some(message) = MessageParser::new().parse_headers(&repaired(&header, &charset)) {
            let Structure { parts, groups, .. } = std::mem::take(&mut self.found);
            self.found = Structure { parts, groups, ..facts(&message) };
        }
    }

    fn line_is_over(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii_end();
        let rest = if self.line_length <= LINE as u64 { text.strip_prefix(b"--") } else { None };
        let found = rest.and_then(|rest| {
            (0..self.open.len())
                .rev()
                .find_map(|level| self.open[level].ends(rest).map(|ends| (level, ends)))
        });
        let is_field = line.get(..8).is_some_and(|front| front.eq_ignore_ascii_case(b"content-"));
        let candidate = self.candidate.take();
        if candidate.is_some() && !is_field {
            self.header = None;
        }
        match (found, candidate, rest) {
            (Some((level, ends)), ..) => self.boundary(level, ends),
            (None, Some(candidate), _) if is_field => {
                if let Some(open) = self.open.last_mut() {
                    (open.guess, open.has_parts) = (Some(candidate), true);
                }
            }
            (None, _, Some(rest)) if !rest.is_empty() && self.awaits_part() => {
                (self.candidate, self.header) = (Some(rest.to_vec()), Some(Vec::new()))
            }
            _ if self.header.is_some() && text.is_empty() => self.header_is_over(),
            _ => {}
        }
        (self.line_start, self.line_length, self.end_before) = (self.at, 0, self.line_end);
    }

    /// Whether the innermost multipart has begun and none of its parts has.
    fn awaits_part(&self) -> bool {
        self.header.is_none()
            && self.part.is_none()
            && self.open.last().is_some_and(|open| !open.has_parts)
    }

    fn boundary(&mut self, level: usize, ends: Ends) {
        // The line end before a boundary belongs to the boundary (RFC 2046 §5.1.1).
        let end = self.line_start.saturating_sub(self.end_before);
        self.close_part(end);
        self.header = None;
        self.close_groups(if ends == Ends::Group { level } else { level + 1 }, end);
        if ends == Ends::Part {
            self.open[level].has_parts = true;
            self.header = Some(Vec::new());
        }
    }

    fn header_is_over(&mut self) {
        let Some(header) = self.header.take() else { return };
        let is_first = std::mem::take(&mut self.is_first);
        // RFC 2046 §5.1.5: a part of a digest that says nothing of itself is a message.
        let is_digest =
            self.open.last().is_some_and(|open| self.found.groups[open.group].kind == "digest");
        let unsaid = if is_digest { "message/rfc822" } else { "text/plain" };
        let own =
            if std::str::from_utf8(&header).is_err() { charset_of(&header) } else { String::new() };
        let fallback = if own.is_empty() { self.found.charset().to_string() } else { own };
        let mended = repaired(&header, &fallback);
        if is_first && !self.has_no_facts {
            // One parse for each: a field that is broken may take the next one with it.
            self.found =
                WHOLE.parse_headers(&mended).map(|whole| facts(&whole)).unwrap_or_default();
            self.raw = std::str::from_utf8(&header).is_err().then(|| header.clone());
        }
        let Some(message) = OF_PARTS.parse_headers(&mended) else {
            self.begin(Part { kind: unsaid.into(), ..Part::default() });
            return;
        };
        let (part, boundary) = part_of(&message, unsaid);
        if let Some(subtype) = part.kind.strip_prefix("multipart/")
            && self.open.len() < DEPTH
            && self.found.groups.len() < PARTS
        {
            return self.open_group(clip(subtype, KIND), boundary, part.encoding);
        }
        self.begin(Part { kind: clip(&part.kind, KIND), ..part });
    }

    fn open_group(&mut self, kind: String, boundary: String, encoding: Encoding) {
        let (group, first) = (self.found.groups.len(), self.found.parts.len());
        self.found.groups.push(Group {
            kind,
            parent: self.open.last().map(|open| open.group),
            first,
            end: first,
        });
        let boundary =
            Some(boundary.trim_end().as_bytes().to_vec()).filter(|boundary| !boundary.is_empty());
        self.open.push(Open { boundary, group, start: self.at, encoding, ..Open::default() });
    }

    /// Closes the innermost multiparts until `kept` are open.
    /// One without any part is what its body says, as text: somebody wrote it.
    fn close_groups(&mut self, kept: usize, end: u64) {
        while self.open.len() > kept {
            let Some(open) = self.open.pop() else { return };
            if !open.has_parts && self.found.parts.len() < PARTS {
                let (start, end) = (open.start, end.max(open.start));
                self.found.parts.push(Part {
                    kind: "text/plain".into(),
                    encoding: open.encoding,
                    group: Some(open.group),
                    start,
                    end,
                    ..Part::default()
                });
            }
            self.found.groups[open.group].end = self.found.parts.len();
        }
    }

    fn begin(&mut self, part: Part) {
        if self.found.parts.len() < PARTS {
            let group = self.open.last().map(|open| open.group);
            self.part = Some(Part { start: self.at, group, ..part });
        }
    }

    fn close_part(&mut self, end: u64) {
        if let Some(part) = self.part.take() {
            self.found.parts.push(Part { end: end.max(part.start), ..part });
        }
    }
}

/// What a part's header says of it, and its boundary; the kind is whole.
/// `unsaid`: the kind of a part that names none.
fn part_of(message: &Message, unsaid: &str) -> (Part, String) {
    let kind = message.content_type().map_or(unsaid.to_string(), |kind| {
        format!("{}/{}", kind.c_type, kind.c_subtype.as_deref().unwrap_or("plain"))
            .to_ascii_lowercase()
    });
    let attribute = |name: &str| {
        let value = message.content_type().and_then(|kind| kind.attribute(name));
        value.unwrap_or_default().to_string()
    };
    let content_id = message.content_id().unwrap_or_default().trim_matches(['<', '>']);
    let file_name = clip(message.attachment_name().unwrap_or_default(), NAME);
    let other_name = clip(&attribute("name"), NAME);
    let disposition = message.content_disposition().map(|d| Disposition::parse(&d.c_type));
    let part = Part {
        kind,
        charset: clip(&attribute("charset"), KIND),
        encoding: Encoding::parse(message.content_transfer_encoding().unwrap_or_default()),
        content_id: clip(content_id, NAME),
        flow: Flow::parse(&attribute("format"), &attribute("delsp")),
        disposition: disposition.unwrap_or_default(),
        other_name: if other_name == file_name { String::new() } else { other_name },
        file_name,
        ..Part::default()
    };
    (part, attribute("boundary"))
}
