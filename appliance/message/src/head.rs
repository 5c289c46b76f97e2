//! What the header of a message tells.

use mail_parser::{HeaderName, Message, MessageParser};
use pillarbox_vocabulary::text::one_line;

use crate::repair;

/// The fields of a header with their further lines (RFC 5322 §2.2.3), line ends included.
/// What is no field stays in one piece with the lines that continue it.
pub fn fields(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    repair::fields(header)
}

/// The name of a field (RFC 5322 §2.2), without blanks that old programs put in front of its colon (§4.5).
/// `None`: it is no field.
pub fn name(field: &[u8]) -> Option<&str> {
    let colon = field.iter().position(|&b| b == b':')?;
    let name = field[..colon].trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(name).ok().filter(|_| is_name)
}

/// Whether a line is what mailbox files have between messages (RFC 4155).
pub fn is_separator(line: &[u8]) -> bool {
    line.starts_with(b"From ") || line.starts_with(b">From ")
}

/// The header section of a message, or of its front part, without the empty line that ends it.
pub fn section(front: &[u8]) -> &[u8] {
    let end = memchr::memmem::find(front, b"\r\n\r\n").map_or(front.len(), |at| at + 2);
    &front[..end]
}

/// Whether a message begins with a header, an empty one included.
/// What begins with a blank would continue the field that is put in front of it, and text without any field would be
/// taken for a part of the header.
pub fn has_header(front: &[u8]) -> bool {
    let is_continued = matches!(front.first(), Some(b' ' | b'\t'));
    let is_empty = front.is_empty() || front.starts_with(b"\r\n");
    is_empty || !is_continued && fields(section(front)).any(|field| name(field).is_some())
}

/// Facts for the ledger.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Decoded (RFC 2047), on one line, without unseen marks.
    pub subject: String,
    /// Without angle brackets.
    pub message_id: String,
}

/// Reads a header, or the front part of a message; rubbish has no facts.
pub fn facts(head: &[u8]) -> Facts {
    let parser = MessageParser::new()
        .header_text(HeaderName::Subject)
        .header_id(HeaderName::MessageId)
        .default_header_ignore();
    let facts = |message: Message| Facts {
        subject: one_line(message.subject().unwrap_or_default()),
        message_id: message.message_id().unwrap_or_default().to_string(),
    };
    parser.parse_headers(head).map(facts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(head: &[u8]) -> String {
        facts(head).subject
    }

    #[test]
    fn a_message_begins_with_a_header_or_is_all_text() {
        let headers = [
            "Subject: x", "X-y:", "From : a", "\r\nbody", "", "From ann Mon\r\nFrom: x", "x\r\ny:",
            "X: y\r\n\r\nbody",
        ];
        assert!(headers.iter().all(|front| has_header(front.as_bytes())));
        let none = [
            " x: y", "\tx\r\nFrom: y", "hello", "hello\r\n\r\nFrom: x", "a b: c", ": x", "\r",
            "gr\u{fc}n: x", "\0: x",
        ];
        assert!(!none.iter().any(|front| has_header(front.as_bytes())));
    }

    #[test]
    fn subjects_are_decoded_and_rubbish_has_none() {
        assert_eq!(
            subject(
                b"From: a@b\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n from\r\n Ann\r\n\r\nbody"
            ),
            "Grüße from Ann"
        );
        assert_eq!(subject(b"Subject: cut off"), "");
        assert_eq!(subject(b"\xff\xfe\0: \r\n\r\n"), "");
        assert_eq!(subject(b""), "");
    }
}
