//! What is done with a part, by its header.

use super::Bits;
use super::header::{field, parameter};

/// What is done with the lines of a part's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    AsItIs,
    QuotedPrintable,
    Base64,
    /// It is base64 in lines that are too long.
    Base64Again,
    /// The same of quoted-printable.
    QuotedPrintableAgain,
    /// It can't be encoded: long lines are cut.
    Wrapped,
}

impl Body {
    /// The encoding that the part has from now on, where it changes.
    pub fn encoding(self) -> Option<&'static str> {
        match self {
            Body::QuotedPrintable => Some("quoted-printable"),
            Body::Base64 => Some("base64"),
            _ => None,
        }
    }
}

/// What a part's header says, in lower case.
pub struct Part {
    content_type: String,
    /// Such as `text/plain`; empty: nothing is said.
    pub media: String,
    encoding: String,
}

impl Part {
    pub fn of(header: &[u8]) -> Part {
        let content_type = field(header, "content-type").unwrap_or_default();
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let encoding = field(header, "content-transfer-encoding").unwrap_or_default();
        Part { media, encoding: encoding.trim().to_ascii_lowercase(), content_type }
    }

    /// The boundary of a multipart.
    pub fn boundary(&self) -> Option<Vec<u8>> {
        let boundary = parameter(&self.content_type, "boundary");
        boundary.filter(|_| self.media.starts_with("multipart/")).map(String::into_bytes)
    }

    /// Whether it is a message, or a part of one, that is not encoded.
    pub fn is_open_message(&self) -> bool {
        self.media.starts_with("message/") && self.media != "message/global" && self.is_unencoded()
    }

    fn is_unencoded(&self) -> bool {
        matches!(self.encoding.as_str(), "" | "7bit" | "8bit" | "binary")
    }

    /// Whether it says that it has octets beyond ASCII.
    fn is_wide(&self) -> bool {
        // Some programs name a character set and forget the encoding.
        let has_charset = || {
            parameter(&self.content_type, "charset")
                .is_some_and(|c| !c.eq_ignore_ascii_case("us-ascii"))
        };
        match self.encoding.as_str() {
            "8bit" | "binary" => true,
            "" | "7bit" => self.is_text() && has_charset(),
            _ => false,
        }
    }

    fn is_text(&self) -> bool {
        self.media.is_empty() || self.media.starts_with("text/")
    }

    /// What is done with its lines; `is_long`: some are longer than mail may have.
    pub fn body(&self, bits: Bits, is_long: bool) -> Body {
        match self.encoding.as_str() {
            "base64" if is_long => Body::Base64Again,
            "quoted-printable" if is_long => Body::QuotedPrintableAgain,
            _ if self.is_unencoded() && (is_long || self.is_wide() && bits == Bits::Seven) => {
                match self.is_text() {
                    true => Body::QuotedPrintable,
                    false => Body::Base64,
                }
            }
            // An unknown encoding: it can't be made shorter without a fault, nor left.
            _ if is_long => Body::Wrapped,
            _ => Body::AsItIs,
        }
    }
}
