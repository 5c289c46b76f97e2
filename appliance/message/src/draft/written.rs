//! A draft as a message: its header, its text, the headers of its files.

use pillarbox_proto::smtp::encode_base64;

use super::Draft;
use crate::addresses::quoted;
use crate::encode::{encoded_words, quoted_printable};
use crate::names;
use crate::structure::Person as Correspondent;

/// Octets that make a line of base64 (RFC 2045 §6.8).
const LINE: usize = 57;
/// Octets of a name that is not encoded.
const PLAIN_NAME: usize = 500;
/// Identifiers of a conversation that go along (RFC 5322 §3.6.4).
const REFERENCES: usize = 20;

/// Header and text, quoted-printable; formatted text goes with plain text beside it (RFC 2046 §5.1.4).
pub fn header(
    draft: &Draft,
    from: &Correspondent,
    lists: &[Vec<Correspondent>; 3],
    boundary: &str,
    has_files: bool,
) -> String {
    let mut out = format!("From: {}\r\n", person(from));
    for (name, people) in ["To", "Cc", "Bcc"].iter().zip(lists) {
        if !people.is_empty() {
            let people = people.iter().map(person).collect::<Vec<_>>();
            out.push_str(&format!("{name}: {}\r\n", people.join(",\r\n ")));
        }
    }
    out.push_str(&format!("Subject: {}\r\n", encoded_words(one_line(&draft.subject).trim())));
    if let Some(parent) = ids(&draft.in_reply_to).first() {
        out.push_str(&format!("In-Reply-To: {parent}\r\n"));
    }
    let references = ids(&draft.references);
    if !references.is_empty() {
        let kept = &references[references.len().saturating_sub(REFERENCES)..];
        out.push_str(&format!("References: {}\r\n", kept.join("\r\n ")));
    }
    out.push_str("MIME-Version: 1.0\r\nUser-Agent: Pillarbox\r\n");
    let text = text(draft, boundary);
    match has_files {
        false => out.push_str(&text),
        true => out.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n{text}"
        )),
    }
    out
}

/// A person as a field has it (RFC 5322 §3.4).
fn person(person: &Correspondent) -> String {
    let is_plain = person.name.is_ascii() && person.name.len() <= PLAIN_NAME;
    match (person.name.is_empty(), is_plain) {
        (true, _) => person.address.clone(),
        (false, true) => format!("{} <{}>", quoted(&person.name), person.address),
        (false, false) => format!("{} <{}>", encoded_words(&person.name), person.address),
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Message identifiers in angle brackets.
fn ids(text: &str) -> Vec<String> {
    let bracketed = |id: &str| format!("<{}>", id.trim_matches(['<', '>']));
    one_line(text).split_whitespace().map(bracketed).collect()
}

/// The text as a part, or as two where it is formatted.
fn text(draft: &Draft, boundary: &str) -> String {
    let part = |kind: &str, body: &str| {
        format!(
            "Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n",
            quoted_printable(body)
        )
    };
    let text = part("text/plain", &draft.body);
    if draft.html.is_empty() {
        return text;
    }
    let inner = format!("{boundary}-text");
    let document = format!("<!doctype html><html><body>{}</body></html>", draft.html);
    let formatted = part("text/html", &document);
    format!(
        "Content-Type: multipart/alternative; boundary=\"{inner}\"\r\n\r\n--{inner}\r\n{text}--{inner}\r\n{formatted}--{inner}--\r\n"
    )
}

/// The header of a part that is a whole message (RFC 2046 §5.2.1): it is never encoded.
pub fn message_header(boundary: &str, name: &str) -> String {
    let parameter = file_parameter(name);
    format!(
        "--{boundary}\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\nContent-Disposition: attachment;\r\n {parameter}\r\n\r\n"
    )
}

/// The header of a file's part; its name as RFC 2231 has it, and simply for old programs.
pub fn part_header(boundary: &str, kind: &str, name: &str) -> String {
    let is_kind = kind.split_once('/').is_some_and(|(a, b)| {
        [a, b].iter().all(|p| {
            !p.is_empty() && p.bytes().all(|c| c.is_ascii_alphanumeric() || b"-+._".contains(&c))
        })
    });
    // RFC 2046 §5.2.1 and §5.2.2: base64 is not for messages; a program opens such a file by the ending of its name.
    let is_message = kind.get(..8).is_some_and(|front| front.eq_ignore_ascii_case("message/"));
    let kind = if is_kind && !is_message { kind } else { "application/octet-stream" };
    let parameter = file_parameter(name);
    format!(
        "--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n {parameter}\r\n\r\n"
    )
}

fn file_parameter(name: &str) -> String {
    let name = names::file_name(name);
    match name.is_ascii() {
        true => format!("filename=\"{}\"", name.replace(['"', '\\'], "_")),
        false => names::extended_parameter("filename", &name),
    }
}

/// Octets as lines of base64.
#[derive(Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Whole lines of what came so far; at the end the rest too.
    pub fn take(&mut self, octets: &[u8], is_end: bool) -> String {
        self.0.extend_from_slice(octets);
        let whole = if is_end { self.0.len() } else { self.0.len() / LINE * LINE };
        let ready: Vec<u8> = self.0.drain(..whole).collect();
        ready.chunks(LINE).map(|line| format!("{}\r\n", encode_base64(line))).collect()
    }
}
