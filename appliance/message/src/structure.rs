//! The parts of a message (RFC 2045, RFC 2046), found in one pass over its octets, in bounded memory and depth.
//! Offsets say where each body is; nothing is decoded here.

mod facts;
mod walker;

use crate::flowed::Flow;
use crate::transfer::Encoding;
pub use walker::{PARTS, Walker};

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
/// Its parts, with those of the multiparts within it, are one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// `alternative`, `related`, `mixed` …
    pub kind: String,
    /// The multipart it is in.
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
    /// A second name, in the other field that can have one, where it is not the same: some programs go by that.
    pub other_name: String,
    /// Without angle brackets; empty: none.
    pub content_id: String,
    /// How it wants to be shown.
    pub disposition: Disposition,
    /// How its lines are meant (RFC 3676).
    pub flow: Flow,
    /// The multipart it is in, by its number; `None` for the message itself.
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
    /// As lists show it: the name alone, unless it could be taken for an address: then the real one is beside it.
    pub fn short(&self) -> String {
        match (self.name.is_empty(), reads_as_address(&self.name)) {
            (true, _) => self.address.clone(),
            (false, true) => self.to_string(),
            (false, false) => self.name.clone(),
        }
    }
}

/// What people read as the sign of an address: itself, and its wide and small forms.
pub const AT_SIGNS: [char; 3] = ['@', '\u{ff20}', '\u{fe6b}'];

/// Whether a name contains what people read as the sign of an address.
pub fn reads_as_address(name: &str) -> bool {
    name.contains(AT_SIGNS)
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
    /// Who wants to know that it was read (RFC 8098 §2.1); no such message is sent by itself.
    pub receipt_to: Vec<Person>,
    /// The mailing list it came over (RFC 2919).
    pub list_id: String,
    /// The program that wrote it, as it calls itself.
    pub program: String,
    /// The newest Received field (RFC 5321 §4.4): this box's own.
    pub received: String,
    /// At most 500, in the message's order.
    pub parts: Vec<Part>,
    /// The multiparts, each behind the one it is in.
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

#[cfg(test)]
mod tests;
