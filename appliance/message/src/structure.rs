//! The parts of a message (RFC 2045, RFC 2046), found in one pass over its octets, in bounded memory and depth.
//! Offsets say where each body lies; nothing is decoded here.

use mail_parser::{Addr, Address, HeaderValue, MessageParser, MimeHeaders};

use crate::flowed::Flow;
use crate::repair::repaired;
use crate::transfer::Encoding;

/// Octets of the message's header, and of a part's, that are read; the rest of a longer one is passed over.
const HEADER: usize = 128 * 1024;
const PART_HEADER: usize = 16 * 1024;
/// Characters of what is kept of a part's header: a name, an identifier, a kind.
const NAME: usize = 500;
const KIND: usize = 80;
/// Parts that are told apart; whatever comes later belongs to the last one.
const PARTS: usize = 500;
/// Multiparts within multiparts.
const DEPTH: usize = 20;
/// Octets of a line that can be a boundary.
const LINE: usize = 200;
/// Recipients that are read.
const RECIPIENTS: usize = 500;

/// How a part wants to be shown (RFC 2183 §2).
/// One of an unknown kind is an attachment (§2.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing is said; what can be read in its place is read there.
    #[default]
    Unsaid,
    /// In its place among the texts.
    Inline,
    /// As a file.
    Attachment,
}

impl Disposition {
    fn parse(name: &str) -> Disposition {
        match name.trim().to_ascii_lowercase().as_str() {
            "" => Disposition::Unsaid,
            "inline" => Disposition::Inline,
            _ => Disposition::Attachment,
        }
    }
}

/// A multipart.
/// Its parts, with those of the multiparts within it, lie one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// `alternative`, `related`, `mixed` …
    pub kind: String,
    /// The multipart it stands in.
    pub parent: Option<usize>,
    /// The number of its first part.
    pub first: usize,
    /// The number of the part behind its last.
    pub end: usize,
}

/// A part that is not a multipart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Lower case, such as `text/plain`.
    pub kind: String,
    /// As the header names it, at most 80 characters; empty: it does not.
    pub charset: String,
    /// How the body travels.
    pub encoding: Encoding,
    /// As the sender named it; never a path to write to.
    pub file_name: String,
    /// Without angle brackets; empty: none.
    pub content_id: String,
    /// How it wants to be shown.
    pub disposition: Disposition,
    /// How its lines are meant (RFC 3676).
    pub flow: Flow,
    /// The multipart it stands in, by its number; `None` for the message itself.
    pub group: Option<usize>,
    /// Where the body begins, in octets from the message's beginning.
    pub start: u64,
    /// Where it ends; never in front of `start`.
    pub end: u64,
}

/// A person in a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Decoded, without control characters; may be empty.
    pub name: String,
    /// The sender's text: it may be empty, or no address at all.
    pub address: String,
}

impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.is_empty() {
            true => f.write_str(&self.address),
            false => write!(f, "{} <{}>", self.name, self.address),
        }
    }
}

impl Person {
    /// As lists show it: the name alone, unless it could be taken for an address: then the real one stands beside it.
    pub fn short(&self) -> String {
        match (self.name.is_empty(), reads_as_address(&self.name)) {
            (true, _) => self.address.clone(),
            (false, true) => self.to_string(),
            (false, false) => self.name.clone(),
        }
    }
}

/// Whether a name holds what people read as the sign of an address, also in its wide and small forms.
pub fn reads_as_address(name: &str) -> bool {
    name.contains(['@', '\u{ff20}', '\u{fe6b}'])
}

/// A message taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// At most 500 people, as in the fields below.
    pub from: Vec<Person>,
    /// Where answers should go instead (RFC 5322 §3.6.2).
    pub reply_to: Vec<Person>,
    /// The main recipients (RFC 5322 §3.6.3).
    pub to: Vec<Person>,
    /// Who gets a copy.
    pub cc: Vec<Person>,
    /// Only drafts have them.
    pub bcc: Vec<Person>,
    /// Decoded (RFC 2047).
    pub subject: String,
    /// Seconds since 1970; 0: none.
    pub date: u64,
    /// Without angle brackets; empty: none.
    pub message_id: String,
    /// References, else In-Reply-To, oldest first.
    pub references: Vec<String>,
    /// The field as it came (RFC 2369 §3.2).
    pub list_unsubscribe: String,
    /// One click leaves the list (RFC 8058 §3.1).
    pub unsubscribes_by_post: bool,
    /// Who wants to be told that it was read (RFC 8098 §2.1); nobody is told by itself.
    pub receipt_to: Vec<Person>,
    /// The mailing list it came over (RFC 2919).
    pub list_id: String,
    /// The program that wrote it, as it calls itself.
    pub program: String,
    /// The newest Received field (RFC 5321 §4.4): this box's own.
    pub received: String,
    /// At most 500, in the message's order.
    pub parts: Vec<Part>,
    /// The multiparts, each behind the one it stands in.
    pub groups: Vec<Group>,
}

impl Structure {
    /// The charset of the first text that names one; empty: none does.
    fn charset(&self) -> &str {
        self.parts
            .iter()
            .map(|part| part.charset.as_str())
            .find(|charset| !charset.is_empty())
            .unwrap_or_default()
    }
}

/// A multipart whose end has not come yet.
#[derive(Default)]
struct Open {
    /// As its header has it; `None`: it has none.
    boundary: Option<Vec<u8>>,
    /// What stands between its parts instead.
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

    /// Takes a piece of the message, of any size: the result is the same however it is cut.
    pub fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() {
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
        // RFC 2046 §5.1.5: what stands in a digest and says nothing of itself is a message.
        let is_digest =
            self.open.last().is_some_and(|open| self.found.groups[open.group].kind == "digest");
        let unsaid = if is_digest { "message/rfc822" } else { "text/plain" };
        let own =
            if std::str::from_utf8(&header).is_err() { charset_of(&header) } else { String::new() };
        let fallback = if own.is_empty() { self.found.charset().to_string() } else { own };
        let mended = repaired(&header, &fallback);
        let Some(message) = MessageParser::new().parse_headers(&mended) else {
            self.begin(Part { kind: unsaid.into(), ..Part::default() });
            return;
        };
        if is_first {
            self.found = facts(&message);
            self.raw = std::str::from_utf8(&header).is_err().then(|| header.clone());
        }
        let kind = message.content_type().map_or(unsaid.to_string(), |kind| {
            format!("{}/{}", kind.c_type, kind.c_subtype.as_deref().unwrap_or("plain"))
                .to_ascii_lowercase()
        });
        let attribute = |name: &str| {
            message
                .content_type()
                .and_then(|kind| kind.attribute(name))
                .unwrap_or_default()
                .to_string()
        };
        let encoding = Encoding::parse(message.content_transfer_encoding().unwrap_or_default());
        if let Some(subtype) = kind.strip_prefix("multipart/")
            && self.open.len() < DEPTH
            && self.found.groups.len() < PARTS
        {
            return self.open_group(clip(subtype, KIND), attribute("boundary"), encoding);
        }
        self.begin(Part {
            charset: clip(&attribute("charset"), KIND),
            encoding,
            content_id: clip(
                message.content_id().unwrap_or_default().trim_matches(['<', '>']),
                NAME,
            ),
            flow: Flow::parse(&attribute("format"), &attribute("delsp")),
            disposition: message
                .content_disposition()
                .map(|d| Disposition::parse(&d.c_type))
                .unwrap_or_default(),
            file_name: clip(message.attachment_name().unwrap_or_default(), NAME),
            kind: clip(&kind, KIND),
            ..Part::default()
        });
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

fn facts(message: &mail_parser::Message) -> Structure {
    let mut references = ids(message.references());
    if references.is_empty() {
        references = ids(message.in_reply_to());
    }
    let raw = |name: &str| message.header_raw(name).unwrap_or_default().trim().to_string();
    // The parser gives the last one of a name; the newest trace field stands on top.
    let received = message
        .headers_raw()
        .find(|(name, _)| name.eq_ignore_ascii_case("Received"))
        .map(|(_, value)| value.trim().to_string());
    Structure {
        from: people(message.from()),
        reply_to: people(message.reply_to()),
        to: people(message.to()),
        cc: people(message.cc()),
        bcc: people(message.bcc()),
        subject: message.subject().unwrap_or_default().to_string(),
        date: message.date().map_or(0, |date| u64::try_from(date.to_timestamp()).unwrap_or(0)),
        message_id: message.message_id().unwrap_or_default().to_string(),
        references,
        list_unsubscribe: raw("List-Unsubscribe"),
        unsubscribes_by_post: raw("List-Unsubscribe-Post")
            .eq_ignore_ascii_case("List-Unsubscribe=One-Click"),
        receipt_to: receipt(message),
        list_id: short(raw("List-Id")),
        program: short(
            ["User-Agent", "X-Mailer"]
                .iter()
                .map(|name| raw(name))
                .find(|text| !text.is_empty())
                .unwrap_or_default(),
        ),
        received: short(received.unwrap_or_default()),
        ..Structure::default()
    }
}

/// The charset a part's header names.
fn charset_of(header: &[u8]) -> String {
    let mended = repaired(header, "");
    let message = MessageParser::new().parse_headers(&mended);
    message
        .and_then(|message| message.content_type()?.attribute("charset").map(str::to_string))
        .unwrap_or_default()
}

fn clip(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// A field on one line, without what is too long for a page.
fn short(text: String) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

fn receipt(message: &mail_parser::Message) -> Vec<Person> {
    let field = message.header_raw("Disposition-Notification-To").unwrap_or_default();
    let own = format!("To: {}\r\n\r\n", short(field.to_string()));
    MessageParser::new()
        .parse_headers(own.as_bytes())
        .map(|parsed| people(parsed.to()))
        .filter(|_| !field.is_empty())
        .unwrap_or_default()
}

fn ids(value: &HeaderValue) -> Vec<String> {
    value
        .as_text_list()
        .map(|list| list.iter().map(|id| id.to_string()).collect())
        .unwrap_or_default()
}

fn people(addresses: Option<&Address>) -> Vec<Person> {
    // A blank around the `@` is syntax (RFC 5322 §4.4); any other one stays, or a stranger's address could come of it.
    let person = |one: &Addr| Person {
        name: one.name.as_deref().unwrap_or_default().chars().filter(|c| !c.is_control()).collect(),
        address: one
            .address
            .as_deref()
            .unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace(" @", "@")
            .replace("@ ", "@")
            .replace(|c: char| c.is_control(), ""),
    };
    addresses.map(|list| list.iter().take(RECIPIENTS).map(person).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Form;

    fn walk(message: &str, size: usize) -> Structure {
        let mut walker = Walker::new();
        message.as_bytes().chunks(size).for_each(|piece| walker.push(piece));
        walker.finish()
    }

    const MIXED: &str = "From: Ann <ann@a.example>\r\nTo: b@b.example, \"C, D\" <c@c.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
        Date: Mon, 21 Sep 2026 14:13:20 +0000\r\nMessage-ID: <m@a>\r\nReferences: <r1@a> <r2@a>\r\nContent-Type: multipart/mixed; boundary=\"x y\"\r\n\r\n\
        preamble\r\n--x y\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n\r\nplain text\r\n--in\r\nContent-Type: text/html; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>h=FC\r\n--in--\r\n--x y\r\nContent-Type: application/pdf; name*=utf-8''R%C3%A9sum%C3%A9.pdf\r\n\
        Content-Transfer-Encoding: BASE64\r\nContent-Disposition: attachment\r\n\r\nSGk=\r\n--x y--\r\nepilogue --x y\r\n";

    #[test]
    fn parts_lie_where_they_are_however_the_message_is_cut() {
        for size in [1, 3, 64, 4096] {
            let found = walk(MIXED, size);
            assert_eq!(
                (found.subject.as_str(), found.to.len(), found.references.len()),
                ("Grüße", 2, 2)
            );
            let body =
                |at: usize| &MIXED[found.parts[at].start as usize..found.parts[at].end as usize];
            assert_eq!((body(0), body(1), body(2)), ("plain text", "<p>h=FC", "SGk="), "{size}");
            assert_eq!((found.shown(Form::Plain), found.shown(Form::Html)), (vec![0], vec![1]));
            let [(2, pdf)] = found.attachments()[..] else { panic!("{:?}", found.attachments()) };
            assert_eq!(
                (pdf.file_name.as_str(), pdf.kind.as_str(), pdf.encoding),
                ("Résumé.pdf", "application/pdf", Encoding::Base64)
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_octets_are_taken_apart_the_same_however_they_are_cut(
            octets in proptest::collection::vec(proptest::prop_oneof![proptest::num::u8::ANY, proptest::sample::select(b"-b\r\n:; =\"".to_vec())], 0..600),
            size in 1usize..50,
        ) {
            let message = [b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".as_slice(), &octets].concat();
            let walk = |size: usize| {
                let mut walker = Walker::new();
                message.chunks(size).for_each(|piece| walker.push(piece));
                walker.finish()
            };
            let whole = walk(message.len());
            for part in &whole.parts {
                proptest::prop_assert!(part.start <= part.end && part.end <= message.len() as u64);
            }
            proptest::prop_assert_eq!(walk(size), whole);
        }
    }

    #[test]
    fn lines_that_end_in_lf_alone_lose_nothing() {
        let message = MIXED.replace("\r\n", "\n");
        for size in [1, 3, 4096] {
            let found = walk(&message, size);
            let body =
                |at: usize| &message[found.parts[at].start as usize..found.parts[at].end as usize];
            assert_eq!((body(0), body(1), body(2)), ("plain text", "<p>h=FC", "SGk="), "{size}");
        }
    }

    #[test]
    fn the_newest_trace_field_counts() {
        let found = walk(
            "Received: from a by b with ESMTPS id 1; x\r\nReceived: from c by d with SMTP id 2; y\r\n\r\n",
            7,
        );
        assert_eq!(found.received, "from a by b with ESMTPS id 1; x");
    }

    #[test]
    fn headers_that_never_end_cost_little() {
        let many = |piece: &dyn Fn(usize) -> String| (0..30_000).map(piece).collect::<String>();
        for header in [
            format!("Content-Type: a/b{}", many(&|n| format!("; n*{n}*=x"))),
            format!("Content-Type: a/b{}", many(&|_| "; n=x".into())),
            format!(
                "Content-Disposition: attachment{}",
                many(&|n| format!("; filename*{n}=\"x\""))
            ),
            format!("From: {}", "(".repeat(200_000)),
            format!("To: {}", many(&|n| format!("=?utf-8?q?=4{n}?= "))),
            format!("To: {}", many(&|n| format!("a{n}@b, "))),
            format!("Subject: {}", "=?utf-8?b?".repeat(20_000)),
            format!("References: {}", many(&|n| format!("<{n}@a> "))),
            format!("From: {}", "\"\\".repeat(100_000)),
            "X: y\r\n".repeat(40_000),
            ":\r\n".repeat(60_000),
        ] {
            let begun = crate::tests::worked();
            let part = format!(
                "{header}\r\nContent-Type: text/plain; name={}\r\n\r\nx\r\n",
                "n".repeat(100_000)
            );
            let mixed =
                format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{part}--b--\r\n");
            for message in [part, mixed] {
                let found = walk(&message, 64 * 1024);
                let name = found
                    .parts
                    .iter()
                    .map(|part| part.file_name.len() + part.content_id.len() + part.kind.len())
                    .max();
                assert!(name.unwrap_or(0) <= 4 * (2 * NAME + KIND), "{}", &header[..30]);
            }
            assert!(
                crate::tests::worked() - begun < std::time::Duration::from_secs(20),
                "{}",
                &header[..30]
            );
        }
    }

    #[test]
    fn what_is_strange_stays_within_bounds() {
        assert_eq!(walk("", 1).parts.len(), 1);
        let plain = walk("Subject: x\r\n\r\nbody\r\n", 5);
        assert_eq!((plain.parts.len(), plain.parts[0].start), (1, 14));
        let many = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "--b\r\n\r\nx\r\n".repeat(10_000)
        );
        assert_eq!(walk(&many, 1000).parts.len(), PARTS);
        let mut deep = String::new();
        (0..100).for_each(|n| {
            deep.push_str(&format!(
                "Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n"
            ))
        });
        assert!(walk(&deep, 77).parts.len() <= PARTS);
        let cut = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhalf";
        assert_eq!((walk(cut, 9).parts.len(), walk(cut, 9).parts[0].end), (1, cut.len() as u64));
    }
}
