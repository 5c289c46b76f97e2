//! What a header says: people, subject, identifiers.

use mail_parser::{Addr, Address, HeaderValue, MessageParser, MimeHeaders};
use pillarbox_vocabulary::text::{is_unseen, one_line};

use super::{Person, Structure};
use crate::repair::repaired;

/// Recipients that are read.
const RECIPIENTS: usize = 500;

/// What the message's header says; no parts yet.
pub(super) fn facts(message: &mail_parser::Message) -> Structure {
    let mut references = ids(message.references());
    if references.is_empty() {
        references = ids(message.in_reply_to());
    }
    let raw = |name: &str| message.header_raw(name).unwrap_or_default().trim().to_string();
    // The parser gives the last one of a name; the newest trace field is on top.
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
        subject: one_line(message.subject().unwrap_or_default()),
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
pub(super) fn charset_of(header: &[u8]) -> String {
    let mended = repaired(header, "");
    let message = MessageParser::new().parse_headers(&mended);
    message
        .and_then(|message| message.content_type()?.attribute("charset").map(str::to_string))
        .unwrap_or_default()
}

pub(super) fn clip(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// A field on one line, without what is too long for a page.
fn short(text: String) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

/// Who wants to know that the message was read.
fn receipt(message: &mail_parser::Message) -> Vec<Person> {
    let field = message.header_raw("Disposition-Notification-To").unwrap_or_default();
    let own = format!("To: {}\r\n\r\n", short(field.to_string()));
    MessageParser::new()
        .parse_headers(own.as_bytes())
        .map(|parsed| people(parsed.to()))
        .filter(|_| !field.is_empty())
        .unwrap_or_default()
}

/// Message identifiers of a field.
fn ids(value: &HeaderValue) -> Vec<String> {
    value
        .as_text_list()
        .map(|list| list.iter().map(|id| id.to_string()).collect())
        .unwrap_or_default()
}

/// The people of a field, at most [`RECIPIENTS`].
fn people(addresses: Option<&Address>) -> Vec<Person> {
    // A blank around the `@` is syntax (RFC 5322 §4.4); any other one stays, or a stranger's address could come of it.
    let person = |one: &Addr| Person {
        name: one_line(one.name.as_deref().unwrap_or_default()),
        address: one
            .address
            .as_deref()
            .unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace(" @", "@")
            .replace("@ ", "@")
            .replace(|c: char| c.is_control() || is_unseen(c), ""),
    };
    addresses.map(|list| list.iter().take(RECIPIENTS).map(person).collect()).unwrap_or_default()
}
