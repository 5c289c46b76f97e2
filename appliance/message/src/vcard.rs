//! Contacts as other programs keep them: vCard 3.0 and 4.0 in (RFC 2426, RFC 6350), 3.0 out, which all of them read.

use std::sync::Arc;

use pillarbox_vocabulary::Address;
use pillarbox_vocabulary::text::one_line;

use crate::transfer::{Decoder, Encoding};

/// Contacts of one file.
const CARDS: usize = 5_000;
/// Addresses of one card; each becomes a contact, and all of them share the note.
const ADDRESSES: usize = 50;
/// Octets of a note: as many as are kept.
const NOTE: usize = 1_000;
/// Octets of a name or an address as they are written, before they are read.
const VALUE: usize = 4_000;
/// Properties that go into the note.
const NOTED: [&str; 4] = ["TEL", "ORG", "TITLE", "NOTE"];

/// Somebody as a file of cards has them; the address is beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// One line, at most 200 characters when it was read; may be empty.
    pub name: String,
    /// Telephone, organisation, title and notes, one below the other; at most 1,000 octets when it was read.
    pub note: Arc<str>,
}

/// Reads a file of cards: each address with its contact.
/// Cards without an address are left out, and counted.
pub fn parse(text: &str) -> (Vec<(String, Contact)>, usize) {
    // RFC 6350 §3.2: a line that begins with a blank goes on with the one before.
    let unfolded = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let (mut found, mut skipped) = (Vec::new(), 0);
    let mut card: Option<Card> = None;
    for line in unfolded.lines() {
        let Some((head, value)) = line.split_once(':') else { continue };
        // `item1.EMAIL;TYPE=work:…`
        let name = head
            .split(';')
            .next()
            .unwrap_or_default()
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let is_quoted = head.to_ascii_uppercase().contains("ENCODING=QUOTED-PRINTABLE");
        let value = &value[..value.floor_char_boundary(VALUE)];
        let value = if is_quoted { quoted(value) } else { value.to_string() };
        match (name.as_str(), &mut card) {
            ("BEGIN", _) => card = Some(Card::default()),
            ("END", _) => {
                let Some(card) = card.take() else { continue };
                skipped += usize::from(card.addresses.is_empty());
                found.extend(card.into_contacts().take(CARDS - found.len()));
                if found.len() >= CARDS {
                    break;
                }
            }
            (name, Some(card)) => card.take(name, &value),
            _ => {}
        }
    }
    (found, skipped)
}

#[derive(Default)]
struct Card {
    name: String,
    note: String,
    addresses: Vec<String>,
}

impl Card {
    fn take(&mut self, name: &str, value: &str) {
        match name {
            "FN" => self.name = unescaped(value),
            // Family, given: only where there is no name as a whole.
            "N" if self.name.is_empty() => {
                let parts: Vec<String> = split(value).into_iter().take(2).collect();
                self.name = parts
                    .iter()
                    .rev()
                    .filter(|part| !part.is_empty())
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(" ");
            }
            "EMAIL" if self.addresses.len() < ADDRESSES => {
                if let Ok(address) =
                    Address::parse(unescaped(value).trim().trim_start_matches("mailto:"))
                {
                    self.addresses.push(address.canonical());
                }
            }
            name if NOTED.contains(&name) => {
                let text = split(value).join(" ").trim().trim_start_matches("tel:").to_string();
                if !text.is_empty() && self.note.len() < NOTE {
                    let end = if self.note.is_empty() { "" } else { "\n" };
                    self.note.extend([end, &text]);
                    self.note.truncate(self.note.floor_char_boundary(NOTE));
                }
            }
            _ => {}
        }
    }

    fn into_contacts(self) -> impl Iterator<Item = (String, Contact)> {
        let contact = Contact { name: clean(&self.name), note: self.note.into() };
        self.addresses.into_iter().map(move |address| (address, contact.clone()))
    }
}

/// A note as it is kept.
pub fn note(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let text = text.trim();
    text[..text.floor_char_boundary(NOTE)].to_string()
}

/// A name on one line.
pub fn clean(name: &str) -> String {
    one_line(name).trim().chars().take(200).collect()
}

/// Components of a value, at unescaped semicolons.
fn split(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => parts[last].push('\n'),
                Some(other) => parts[last].push(other),
                None => {}
            },
            ';' => parts.push(String::new()),
            c => parts[last].push(c),
        }
    }
    parts
}

fn unescaped(value: &str) -> String {
    split(value).join(";")
}

/// Quoted-printable, as version 2.1 had it.
fn quoted(value: &str) -> String {
    let mut octets = Vec::new();
    let mut decoder = Decoder::new(Encoding::QuotedPrintable);
    decoder.push(value.as_bytes(), &mut octets);
    decoder.finish(&mut octets);
    String::from_utf8_lossy(&octets).into_owned()
}

/// All contacts as a file.
pub fn write(contacts: &[(String, Contact)]) -> String {
    let escaped = |text: &str| {
        text.replace('\\', "\\\\")
            .replace('\n', "\\n")
            .replace(',', "\\,")
            .replace(';', "\\;")
            .replace('\r', "")
    };
    let mut out = String::new();
    for (address, contact) in contacts {
        let written = Address::of_key(address).map_or_else(|| address.clone(), |a| a.to_string());
        let name = if contact.name.is_empty() { address } else { &contact.name };
        let (given, family) =
            name.rsplit_once(' ').map_or((name.as_str(), ""), |(given, family)| (given, family));
        let mut lines = vec![
            "BEGIN:VCARD".to_string(),
            "VERSION:3.0".to_string(),
            format!("FN:{}", escaped(name)),
            format!("N:{};{};;;", escaped(family), escaped(given)),
            format!("EMAIL;TYPE=INTERNET:{}", escaped(&written)),
        ];
        if !contact.note.is_empty() {
            lines.push(format!("NOTE:{}", escaped(&contact.note)));
        }
        lines.push("END:VCARD".to_string());
        lines.iter().for_each(|line| folded(line, &mut out));
    }
    out
}

/// Lines of at most 75 octets (RFC 2426 §2.6).
fn folded(line: &str, out: &mut String) {
    let mut rest = line;
    loop {
        let end = rest.floor_char_boundary(74);
        out.push_str(&rest[..end]);
        out.push_str("\r\n");
        rest = &rest[end..];
        if rest.is_empty() {
            return;
        }
        out.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn cards_of_other_programs_are_read() {
        let text = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Ann Example\\, PhD\r\nitem1.EMAIL;TYPE=work:Ann@Example.ORG\r\nEMAIL:ann@home.example\r\nTEL;TYPE=cell:+49 1\r\n 23\r\nORG:Box;Ltd\r\nEND:VCARD\r\n\
            BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg;;;\r\nEMAIL:j@x.example\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:Nobody\r\nEND:VCARD\r\n";
        let (found, skipped) = parse(text);
        assert_eq!(skipped, 1);
        let row = |at: usize| (found[at].0.as_str(), found[at].1.name.as_str(), &*found[at].1.note);
        assert_eq!(row(0), ("ann@example.org", "Ann Example, PhD", "+49 123\nBox Ltd"));
        assert_eq!((row(1).0, row(2)), ("ann@home.example", ("j@x.example", "Jörg Müller", "")));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let contact =
            Contact { name: "Zoë; \\ Long ".repeat(12).trim().into(), note: "a,b\nc".into() };
        let text = write(&[("z@x.example".into(), contact.clone())]);
        assert!(text.lines().all(|line| line.len() <= 75));
        assert_eq!(parse(&text).0, [("z@x.example".to_string(), contact.clone())]);
        // An address whose key has no quotes any more.
        for address in ["a b@x.example", "a:\"b\\@c@x.example", "\"@x.example"] {
            let text = write(&[(address.into(), contact.clone())]);
            assert_eq!(parse(&text).0, [(address.to_string(), contact.clone())], "{text}");
        }
    }

    #[test]
    fn a_card_with_much_in_it_stays_small() {
        let note = format!("NOTE:{}\n", "x".repeat(100_000));
        let hostile = [
            format!("BEGIN:VCARD\n{}{note}END:VCARD\n", "EMAIL:a@b.example\n".repeat(3_000)),
            format!(
                "BEGIN:VCARD\n{}{}END:VCARD\n",
                note.repeat(20),
                "EMAIL:a@b.example\n".repeat(3_000)
            ),
            format!("BEGIN:VCARD\nFN:{}\nEMAIL:a@b.example\nEND:VCARD\n", "x".repeat(1_000_000)),
            format!(
                "BEGIN:VCARD\n{}EMAIL:a@b.example\nNOTE:x\nEND:VCARD\n",
                "TEL:1\n".repeat(20_000)
            ),
            "BEGIN:VCARD\nEMAIL:a@b.example\nEND:VCARD\n".repeat(20_000),
            format!("BEGIN:VCARD\n{note}{}END:VCARD\n", "EMAIL:a@b.example\n".repeat(ADDRESSES))
                .repeat(8),
        ];
        for text in hostile {
            let (found, _) = parse(&text);
            let names: usize =
                found.iter().map(|(address, contact)| address.len() + contact.name.len()).sum();
            let notes: HashMap<*const str, usize> = found
                .iter()
                .map(|(_, contact)| (Arc::as_ptr(&contact.note), contact.note.len()))
                .collect();
            let octets = names + notes.values().sum::<usize>();
            assert!(
                found.len() <= CARDS && octets <= 200_000,
                "{} contacts of {octets} octets",
                found.len()
            );
            assert!(!found.is_empty());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(BEGIN:VCARD\n|END:VCARD\n|EMAIL:a@b\n|[ -~\n\\\\;]{0,20}){0,20}") {
            parse(&text);
        }
    }
}
