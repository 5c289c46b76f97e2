//! What the header of a message tells.

use mail_parser::{HeaderName, Message, MessageParser};

/// Facts for the ledger.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Decoded (RFC 2047).
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
        subject: message.subject().unwrap_or_default().to_string(),
        message_id: message.message_id().unwrap_or_default().to_string(),
    };
    parser.parse_headers(head).map(facts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::facts;

    fn subject(head: &[u8]) -> String {
        facts(head).subject
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
