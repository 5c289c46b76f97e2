//! The parts of a message (RFC 2045, RFC 2046), found in one pass over its octets, in bounded memory and depth. Offsets
//! say where each body lies; nothing is decoded here.

use mail_parser::{Addr, Address, HeaderValue, MessageParser, MimeHeaders};

use super::transfer::Encoding;

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

/// A part that is not a multipart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Lower case, such as `text/plain`.
    pub kind: String,
    pub charset: String,
    pub encoding: Encoding,
    /// As the sender named it; never a path to write to.
    pub file_name: String,
    /// Without angle brackets; empty: none.
    pub content_id: String,
    pub is_attachment: bool,
    pub is_flowed: bool,
    /// The multipart it stands in: `alternative`, `related`, `mixed` …, empty for the message itself.
    pub within: String,
    /// Octets of the body from the message's beginning.
    pub start: u64,
    pub end: u64,
}

/// A person in a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub name: String,
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
    pub from: Vec<Person>,
    pub reply_to: Vec<Person>,
    pub to: Vec<Person>,
    pub cc: Vec<Person>,
    /// Only drafts have them.
    pub bcc: Vec<Person>,
    pub subject: String,
    /// Seconds since 1970; 0: none.
    pub date: u64,
    pub message_id: String,
    /// References, else In-Reply-To, oldest first.
    pub references: Vec<String>,
    pub list_unsubscribe: String,
    pub unsubscribes_by_post: bool,
    /// Who wants to be told that it was read (RFC 8098 §2.1); nobody is told by itself.
    pub receipt_to: Vec<Person>,
    /// The mailing list it came over (RFC 2919).
    pub list_id: String,
    /// The program that wrote it, as it calls itself.
    pub program: String,
    /// The newest Received field (RFC 5321 §4.4): this box's own.
    pub received: String,
    pub parts: Vec<Part>,
}

impl Structure {
    /// The part that is read as text, and the one that is shown as HTML.
    pub fn bodies(&self) -> (Option<usize>, Option<usize>) {
        let first = |kind: &str| self.parts.iter().position(|part| part.kind == kind && !part.is_attachment);
        (first("text/plain"), first("text/html"))
    }

    /// Everything that is not the body: numbers and parts. Pictures that an HTML body shows are among them too.
    pub fn attachments(&self) -> Vec<(usize, &Part)> {
        let (text, html) = self.bodies();
        let all = self.parts.iter().enumerate();
        // An alternative in another form (a calendar, say) is worth showing; a second plain text is not.
        all.filter(|(at, part)| Some(*at) != text && Some(*at) != html && !(part.within == "alternative" && part.kind.starts_with("text/plain"))).collect()
    }
}

/// Takes a message apart as it comes in. Push pieces, then finish.
#[derive(Default)]
pub struct Walker {
    found: Structure,
    /// Boundaries of the open multiparts with their subtypes, outermost first.
    open: Vec<(Vec<u8>, String)>,
    header: Option<Vec<u8>>,
    part: Option<Part>,
    is_first: bool,
    /// The line that is coming in: its beginning, and where it starts.
    line: Vec<u8>,
    line_length: u64,
    line_start: u64,
    at: u64,
}

impl Walker {
    pub fn new() -> Walker {
        Walker { header: Some(Vec::new()), is_first: true, ..Walker::default() }
    }

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
            if now.ends_with(b"\n") {
                self.line_is_over();
            }
            rest = later;
        }
    }

    pub fn finish(mut self) -> Structure {
        if self.line_length > 0 {
            self.line_is_over();
        }
        if self.header.is_some() {
            self.header_is_over();
        }
        let end = self.at;
        self.close_part(end);
        self.found
    }

    fn line_is_over(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii_end();
        if self.line_length <= LINE as u64
            && let Some(rest) = text.strip_prefix(b"--")
            && let Some(level) = self.open.iter().rposition(|(boundary, _)| rest == boundary || rest.strip_suffix(b"--") == Some(boundary))
        {
            let is_end = rest != self.open[level].0;
            // The line end before a boundary belongs to the boundary (RFC 2046 §5.1.1).
            self.close_part(self.line_start.saturating_sub(2));
            self.header = None;
            self.open.truncate(if is_end { level } else { level + 1 });
            if !is_end {
                self.header = Some(Vec::new());
            }
        } else if self.header.is_some() && text.is_empty() {
            self.header_is_over();
        }
        (self.line_start, self.line_length) = (self.at, 0);
    }

    fn header_is_over(&mut self) {
        let Some(header) = self.header.take() else { return };
        let is_first = std::mem::take(&mut self.is_first);
        let Some(message) = MessageParser::new().parse_headers(&header) else {
            self.begin(Part { kind: "text/plain".into(), ..Part::default() });
            return;
        };
        if is_first {
            self.found = facts(&message);
        }
        let kind = message
            .content_type()
            .map_or("text/plain".to_string(), |kind| format!("{}/{}", kind.c_type, kind.c_subtype.as_deref().unwrap_or("plain")).to_ascii_lowercase());
        let attribute = |name: &str| message.content_type().and_then(|kind| kind.attribute(name)).unwrap_or_default().to_string();
        if let Some(subtype) = kind.strip_prefix("multipart/")
            && self.open.len() < DEPTH
        {
            let boundary = attribute("boundary");
            if !boundary.is_empty() {
                return self.open.push((boundary.trim_end().as_bytes().to_vec(), clip(subtype, KIND)));
            }
        }
        let disposition = message.content_disposition().map(|d| d.c_type.to_ascii_lowercase()).unwrap_or_default();
        let file_name = message.attachment_name().unwrap_or_default().to_string();
        let is_attachment = disposition == "attachment" || !kind.starts_with("text/") || !file_name.is_empty() && disposition != "inline";
        self.begin(Part {
            charset: clip(&attribute("charset"), KIND),
            encoding: Encoding::parse(message.content_transfer_encoding().unwrap_or_default()),
            content_id: clip(message.content_id().unwrap_or_default().trim_matches(['<', '>']), NAME),
            is_flowed: attribute("format").eq_ignore_ascii_case("flowed"),
            is_attachment,
            file_name: clip(&file_name, NAME),
            kind: clip(&kind, KIND),
            ..Part::default()
        });
    }

    fn begin(&mut self, part: Part) {
        if self.found.parts.len() < PARTS {
            let within = self.open.last().map(|(_, subtype)| subtype.clone()).unwrap_or_default();
            self.part = Some(Part { start: self.at, within, ..part });
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
    let received = message.headers_raw().find(|(name, _)| name.eq_ignore_ascii_case("Received")).map(|(_, value)| value.trim().to_string());
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
        unsubscribes_by_post: raw("List-Unsubscribe-Post").eq_ignore_ascii_case("List-Unsubscribe=One-Click"),
        receipt_to: receipt(message),
        list_id: short(raw("List-Id")),
        program: short(["User-Agent", "X-Mailer"].iter().map(|name| raw(name)).find(|text| !text.is_empty()).unwrap_or_default()),
        received: short(received.unwrap_or_default()),
        parts: Vec::new(),
    }
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
    MessageParser::new().parse_headers(own.as_bytes()).map(|parsed| people(parsed.to())).filter(|_| !field.is_empty()).unwrap_or_default()
}

fn ids(value: &HeaderValue) -> Vec<String> {
    value.as_text_list().map(|list| list.iter().map(|id| id.to_string()).collect()).unwrap_or_default()
}

fn people(addresses: Option<&Address>) -> Vec<Person> {
    let person = |one: &Addr| Person {
        name: one.name.as_deref().unwrap_or_default().chars().filter(|c| !c.is_control()).collect(),
        address: one.address.as_deref().unwrap_or_default().chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect(),
    };
    addresses.map(|list| list.iter().take(RECIPIENTS).map(person).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!((found.subject.as_str(), found.to.len(), found.references.len()), ("Grüße", 2, 2));
            let body = |at: usize| &MIXED[found.parts[at].start as usize..found.parts[at].end as usize];
            assert_eq!((body(0), body(1), body(2)), ("plain text", "<p>h=FC", "SGk="), "{size}");
            assert_eq!(found.bodies(), (Some(0), Some(1)));
            let [(2, pdf)] = found.attachments()[..] else { panic!("{:?}", found.attachments()) };
            assert_eq!((pdf.file_name.as_str(), pdf.kind.as_str(), pdf.encoding), ("Résumé.pdf", "application/pdf", Encoding::Base64));
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
    fn the_newest_trace_field_counts() {
        let found = walk("Received: from a by b with ESMTPS id 1; x\r\nReceived: from c by d with SMTP id 2; y\r\n\r\n", 7);
        assert_eq!(found.received, "from a by b with ESMTPS id 1; x");
    }

    #[test]
    fn headers_that_never_end_cost_little() {
        let many = |piece: &dyn Fn(usize) -> String| (0..30_000).map(piece).collect::<String>();
        for header in [
            format!("Content-Type: a/b{}", many(&|n| format!("; n*{n}*=x"))),
            format!("Content-Type: a/b{}", many(&|_| "; n=x".into())),
            format!("Content-Disposition: attachment{}", many(&|n| format!("; filename*{n}=\"x\""))),
            format!("From: {}", "(".repeat(200_000)),
            format!("To: {}", many(&|n| format!("=?utf-8?q?=4{n}?= "))),
            format!("To: {}", many(&|n| format!("a{n}@b, "))),
            format!("Subject: {}", "=?utf-8?b?".repeat(20_000)),
            format!("References: {}", many(&|n| format!("<{n}@a> "))),
            format!("From: {}", "\"\\".repeat(100_000)),
            "X: y\r\n".repeat(40_000),
            ":\r\n".repeat(60_000),
        ] {
            let begun = std::time::Instant::now();
            let part = format!("{header}\r\nContent-Type: text/plain; name={}\r\n\r\nx\r\n", "n".repeat(100_000));
            let mixed = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{part}--b--\r\n");
            for message in [part, mixed] {
                let found = walk(&message, 64 * 1024);
                let name = found.parts.iter().map(|part| part.file_name.len() + part.content_id.len() + part.kind.len()).max();
                assert!(name.unwrap_or(0) <= 4 * (2 * NAME + KIND), "{}", &header[..30]);
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{}", &header[..30]);
        }
    }

    #[test]
    fn what_is_strange_stays_within_bounds() {
        assert_eq!(walk("", 1).parts.len(), 1);
        let plain = walk("Subject: x\r\n\r\nbody\r\n", 5);
        assert_eq!((plain.parts.len(), plain.parts[0].start), (1, 14));
        let many = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(10_000));
        assert_eq!(walk(&many, 1000).parts.len(), PARTS);
        let mut deep = String::new();
        (0..100).for_each(|n| deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n")));
        assert!(walk(&deep, 77).parts.len() <= PARTS);
        let cut = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhalf";
        assert_eq!((walk(cut, 9).parts.len(), walk(cut, 9).parts[0].end), (1, cut.len() as u64));
        assert!(walk("Content-Type: multipart/mixed\r\n\r\n--b\r\n", 4).parts[0].is_attachment);
    }
}
