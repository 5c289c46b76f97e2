//! For servers that take seven bits only (no 8BITMIME): text parts become quoted-printable, others base64
//! (RFC 6152 §3, RFC 2045 §6). Works line by line in bounded memory; what is already fit stays octet for octet.

/// Longest header block of a part, in octets; beyond it the part's encoding is left alone.
const HEADER_OCTETS: usize = 128 * 1024;
/// Nested multiparts that are told apart.
const DEPTH: usize = 32;
/// Octets of a line that are held; a longer one is encoded in pieces.
const LINE_OCTETS: usize = 64 * 1024;
/// Characters of an encoded line (RFC 2045 §6.7, rule 5; §6.8).
const ENCODED_LINE: usize = 76;

/// What is done with the lines of a part's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    AsItIs,
    QuotedPrintable,
    Base64,
}

enum State {
    /// Gathering the header of a part.
    Header(Vec<u8>),
    Body(Body),
}

/// The converter. Push content, then finish.
pub struct Downgrade {
    state: State,
    /// Boundaries of the multiparts around the current place, innermost last.
    boundaries: Vec<Vec<u8>>,
    /// An unfinished line.
    line: Vec<u8>,
    /// Octets that wait for a full base64 line.
    pending: Vec<u8>,
    /// RFC 2046 §5.1.1: the line end in front of a boundary belongs to the boundary.
    line_end: bool,
}

impl Downgrade {
    pub fn new() -> Downgrade {
        Downgrade { state: State::Header(Vec::new()), boundaries: Vec::new(), line: Vec::new(), pending: Vec::new(), line_end: false }
    }

    /// Takes a piece of content and appends what is ready to `out`.
    pub fn push(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let mut rest = content;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.line.extend_from_slice(&rest[..=end]);
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.whole_line(&line, out);
            self.line = line;
            self.line.clear();
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > LINE_OCTETS {
            let piece = std::mem::take(&mut self.line);
            self.part_of_line(&piece, out);
        }
    }

    /// Appends the rest.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.part_of_line(&line, out);
        }
        if let State::Header(header) = &self.state {
            out.extend(header.iter().map(narrow));
        }
        self.end_body(out, true);
    }

    fn whole_line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        if let Some((depth, is_close)) = self.boundary(line) {
            self.end_body(out, false);
            if let State::Header(header) = &self.state {
                out.extend(header.iter().map(narrow));
            }
            out.extend(line.iter().map(narrow));
            self.boundaries.truncate(if is_close { depth } else { depth + 1 });
            // What follows a closing boundary is nobody's text: passed on without wide octets.
            self.state = if is_close { State::Body(Body::AsItIs) } else { State::Header(Vec::new()) };
            return;
        }
        match &mut self.state {
            State::Header(header) => {
                header.extend_from_slice(line);
                if line == b"\r\n" || header.len() > HEADER_OCTETS {
                    let header = std::mem::take(header);
                    self.begin_body(&header, out);
                }
            }
            State::Body(_) => {
                let text = line.strip_suffix(b"\r\n").unwrap_or(line);
                self.body(text, out);
                match self.state {
                    State::Body(Body::Base64) => self.line_end = true,
                    _ => out.extend_from_slice(b"\r\n"),
                }
            }
        }
    }

    fn part_of_line(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Header(header) => header.extend_from_slice(piece),
            State::Body(Body::QuotedPrintable) => {
                self.body(piece, out);
                out.extend_from_slice(b"=\r\n");
            }
            State::Body(_) => self.body(piece, out),
        }
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
            _ => out.extend(text.iter().map(narrow)),
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
        self.boundaries.iter().enumerate().rev().find_map(|(depth, boundary)| match text.strip_prefix(&boundary[..]) {
            Some(b"") => Some((depth, false)),
            Some(b"--") => Some((depth, true)),
            _ => None,
        })
    }

    fn begin_body(&mut self, header: &[u8], out: &mut Vec<u8>) {
        let content_type = field(header, "content-type").unwrap_or_default();
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let encoding = field(header, "content-transfer-encoding").unwrap_or_default().trim().to_ascii_lowercase();
        if let Some(boundary) = parameter(&content_type, "boundary").filter(|_| media.starts_with("multipart/"))
            && self.boundaries.len() < DEPTH
        {
            self.boundaries.push(boundary.into_bytes());
            with_encoding(header, None, out);
            self.state = State::Body(Body::AsItIs);
            return;
        }
        if media.starts_with("message/") && media != "message/global" && matches!(encoding.as_str(), "" | "7bit" | "8bit" | "binary") {
            // An attached message must not be encoded as a whole (RFC 2046 §5.2.1): its parts are.
            with_encoding(header, None, out);
            self.state = match media.as_str() {
                "message/rfc822" => State::Header(Vec::new()),
                _ => State::Body(Body::AsItIs),
            };
            return;
        }
        let is_text = media.is_empty() || media.starts_with("text/");
        // Some programs name a character set and forget the encoding.
        let has_charset = parameter(&content_type, "charset").is_some_and(|c| !c.eq_ignore_ascii_case("us-ascii"));
        let is_wide = match encoding.as_str() {
            "8bit" | "binary" => true,
            "" | "7bit" => is_text && has_charset,
            _ => false,
        };
        let body = match (is_wide, is_text) {
            (false, _) => Body::AsItIs,
            (true, true) => Body::QuotedPrintable,
            (true, false) => Body::Base64,
        };
        match body {
            Body::AsItIs => out.extend(header.iter().map(narrow)),
            Body::QuotedPrintable => with_encoding(header, Some("quoted-printable"), out),
            Body::Base64 => with_encoding(header, Some("base64"), out),
        }
        self.state = State::Body(body);
    }
}

/// What has no place in seven bits and no encoding to be in becomes `?`: cutting the eighth bit would make
/// line ends out of letters.
fn narrow(octet: &u8) -> u8 {
    if octet.is_ascii() { *octet } else { b'?' }
}

/// The header with another encoding named, or with a wide one taken out.
fn with_encoding(header: &[u8], encoding: Option<&str>, out: &mut Vec<u8>) {
    let mut is_ours = false;
    for line in header.split_inclusive(|&b| b == b'\n') {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            is_ours = line.get(..26).is_some_and(|name| name.eq_ignore_ascii_case(b"content-transfer-encoding:"));
        }
        if line == b"\r\n"
            && let Some(encoding) = encoding
        {
            out.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n").as_bytes());
        }
        if !is_ours || line == b"\r\n" {
            out.extend(line.iter().map(narrow));
        }
    }
}

/// The value of a header field, unfolded; the last one counts.
fn field(header: &[u8], name: &str) -> Option<String> {
    let mut value: Option<String> = None;
    let mut is_ours = false;
    for line in header.split_inclusive(|&b| b == b'\n') {
        let text = String::from_utf8_lossy(line);
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some(value) = value.as_mut().filter(|_| is_ours) {
                value.push_str(text.trim_end());
            }
            continue;
        }
        is_ours = text.split_once(':').is_some_and(|(n, _)| n.trim().eq_ignore_ascii_case(name));
        if is_ours {
            value = text.split_once(':').map(|(_, v)| v.trim_end().to_string());
        }
    }
    value
}

/// A parameter of a structured field, unquoted.
fn parameter(value: &str, name: &str) -> Option<String> {
    let at = value.to_ascii_lowercase().find(&format!("{name}="))?;
    let rest = &value[at + name.len() + 1..];
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().map(str::to_string),
        None => rest.split([';', ' ', '\t']).next().map(str::to_string),
    }
    .filter(|text| !text.is_empty())
}

/// Encodes a line's text (RFC 2045 §6.7); the line end is the caller's.
pub fn quoted_printable(text: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for (at, &octet) in text.iter().enumerate() {
        let is_last = at + 1 == text.len();
        let is_plain = matches!(octet, b'!'..=b'~' if octet != b'=') || matches!(octet, b' ' | b'\t' if !is_last);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(content: &[u8], piece: usize) -> Vec<u8> {
        let (mut downgrade, mut out) = (Downgrade::new(), Vec::new());
        content.chunks(piece).for_each(|chunk| downgrade.push(chunk, &mut out));
        downgrade.finish(&mut out);
        out
    }

    const MIXED: &str = "Subject: x\r\nContent-Type: multipart/mixed;\r\n boundary=\"b1\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
        preamble\r\n--b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße = schön \r\n\r\n\
        --b1\r\nContent-Type: image/x; name=a\r\nContent-Transfer-Encoding: binary\r\n\r\n\u{e9}ab\r\ncd\r\n\
        --b1\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: inner\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u{fc}\r\n\
        --b1\r\nContent-Type: text/plain\r\n\r\nplain = stays\r\n--b1--\r\nepilogue\r\n";

    #[test]
    fn every_part_becomes_seven_bits_and_says_the_same() {
        let whole = convert(MIXED.as_bytes(), MIXED.len());
        for piece in [1, 2, 3, 7, 50] {
            assert_eq!(convert(MIXED.as_bytes(), piece), whole, "by {piece}");
        }
        assert!(whole.is_ascii());
        let before = mail_parser::MessageParser::new().parse(MIXED.as_bytes()).unwrap();
        let after = mail_parser::MessageParser::new().parse(&whole).unwrap();
        assert_eq!(after.body_text(0), before.body_text(0));
        assert_eq!(after.parts.len(), before.parts.len());
        let attachments = |message: &mail_parser::Message| message.attachments().map(|p| p.contents().to_vec()).collect::<Vec<_>>();
        // The binary part comes back octet for octet.
        assert_eq!(attachments(&after)[0], attachments(&before)[0]);
        let text = String::from_utf8(whole).unwrap();
        assert!(text.contains("Gr=C3=BC=C3=9Fe =3D sch=C3=B6n=20\r\n\r\n--b1") && text.contains("plain = stays"), "{text}");
    }

    #[test]
    fn what_is_seven_bits_stays_octet_for_octet() {
        for content in ["Subject: a\r\n\r\nb\r\n", "a\r\n", "", "Content-Type: multipart/x; boundary=q\r\n\r\n--q\r\n\r\nx\r\n--q--\r\n"] {
            assert_eq!(convert(content.as_bytes(), 3), content.as_bytes());
        }
    }

    #[test]
    fn lines_stay_short_and_hostile_content_is_bounded() {
        let long = format!("Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n", "ü".repeat(100_000));
        let converted = convert(long.as_bytes(), 999);
        assert!(converted.split(|&b| b == b'\n').all(|line| line.len() <= 78));
        let parsed = mail_parser::MessageParser::new().parse(&converted).unwrap();
        assert_eq!(parsed.body_text(0).unwrap().trim_end(), "ü".repeat(100_000));
        let nested: String = (0..200).map(|n| format!("--b{n}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n", n + 1)).collect();
        let nested = format!("Content-Type: multipart/mixed; boundary=b0\r\n\r\n{nested}\u{fc}");
        assert!(convert(nested.as_bytes(), 100).is_ascii());
    }

    proptest::proptest! {
        #[test]
        fn any_octets_become_ascii(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), piece in 1usize..50) {
            let wide = [b"Content-Transfer-Encoding: 8bit\r\n\r\n", &octets[..]].concat();
            for content in [&octets, &wide] {
                proptest::prop_assert!(convert(content, piece).is_ascii());
            }
        }
    }
}
