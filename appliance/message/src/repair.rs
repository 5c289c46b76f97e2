//! A header as its sender meant it, written so that the parser reads it: letters in UTF-8, encoded words joined before
//! they are decoded, names of files in quotes.
//! It knows fields and their parameters, and nothing of what they say.

use std::borrow::Cow;

use pillarbox_proto::smtp::encode_base64;

use crate::charset;
use crate::transfer::{Decoder, Encoding};

/// Octets of an encoded word; RFC 2047 §2 has 75, and programs that write long ones.
const WORD: usize = 2000;

/// A header with its faults mended.
/// `charset` is what raw letters are read by that are not UTF-8: the body's, as far as it is known.
pub fn repaired<'h>(header: &'h [u8], charset: &str) -> Cow<'h, [u8]> {
    let has_faults = !header.is_ascii()
        || header.contains(&0x1b)
        || memchr::memmem::find(header, b"=?").is_some();
    if !has_faults
        && !fields(header)
            .any(|field| is_named(field, "content-type") || is_named(field, "content-disposition"))
    {
        return Cow::Borrowed(header);
    }
    let mut out = Vec::with_capacity(header.len());
    for field in fields(header) {
        let letters = match std::str::from_utf8(field) {
            Ok(text) if !field.contains(&0x1b) => Cow::Borrowed(text),
            _ => Cow::Owned(charset::decode(field, charset)),
        };
        match is_named(field, "content-type") || is_named(field, "content-disposition") {
            true => out.extend_from_slice(with_quoted_names(&letters).as_bytes()),
            false => out.extend_from_slice(with_whole_words(&letters, encoded).as_bytes()),
        }
    }
    Cow::Owned(out)
}

fn is_named(field: &[u8], name: &str) -> bool {
    field.get(..name.len()).is_some_and(|front| front.eq_ignore_ascii_case(name.as_bytes()))
        && field[name.len()..].trim_ascii_start().first() == Some(&b':')
}

/// The fields with their further lines (RFC 5322 §2.2.3), line ends included.
pub(crate) fn fields(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let goes_on = |at: &usize| !matches!(rest.get(at + 1), Some(b' ' | b'\t'));
        let end = memchr::memchr_iter(b'\n', rest).find(goes_on).map_or(rest.len(), |at| at + 1);
        let (field, later) = rest.split_at(end);
        rest = later;
        (!field.is_empty()).then_some(field)
    })
}

fn encoded(text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!("=?utf-8?B?{}?=", encode_base64(text.as_bytes())),
    }
}

/// Text whose neighbouring encoded words are one.
/// A letter, or what shifts between sets, may be split between two: RFC 2047 §5 forbids it, and large senders do it.
pub(crate) fn with_whole_words(text: &str, write: fn(&str) -> String) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("=?") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some((letters, length)) = words(rest) else {
            out.push_str("=?");
            rest = &rest[2..];
            continue;
        };
        out.push_str(&write(&letters));
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// The letters of the encoded words at the beginning of a text, and the octets of all of them.
fn words(text: &str) -> Option<(String, usize)> {
    let mut found: Vec<(&str, Vec<u8>)> = Vec::new();
    let (mut length, mut at) = (0, 0);
    while let Some((charset, octets, own)) = word(&text[at..]) {
        match found.last_mut().filter(|(known, _)| known.eq_ignore_ascii_case(charset)) {
            Some((_, known)) => known.extend_from_slice(&octets),
            None => found.push((charset, octets)),
        }
        length = at + own;
        // What is between two of them is not shown (RFC 2047 §6.2).
        at = text.len() - text[length..].trim_start_matches([' ', '\t', '\r', '\n']).len();
    }
    let letters = |(charset, octets): (&str, Vec<u8>)| charset::decode(&octets, charset);
    (length > 0).then(|| (found.into_iter().map(letters).collect(), length))
}

/// One encoded word at the beginning of a text: charset, octets, length.
fn word(text: &str) -> Option<(&str, Vec<u8>, usize)> {
    let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
    let is_charset =
        (1..=80).contains(&charset.len()) && charset.bytes().all(|octet| octet.is_ascii_graphic());
    let (encoding, rest) = rest.split_once('?').filter(|_| is_charset)?;
    let most = rest.len().min(WORD);
    let end = memchr::memmem::find(&rest.as_bytes()[..most], b"?=")?;
    let word = &rest.as_bytes()[..end];
    let mut octets = Vec::new();
    let mut decoder = match encoding {
        "b" | "B" => Decoder::new(Encoding::Base64),
        "q" | "Q" => Decoder::new(Encoding::QuotedPrintable),
        _ => return None,
    };
    let blanks: Vec<u8> = match encoding {
        "q" | "Q" => word.iter().map(|&octet| if octet == b'_' { b' ' } else { octet }).collect(),
        _ => word.to_vec(),
    };
    decoder.push(&blanks, &mut octets);
    decoder.finish(&mut octets);
    Some((charset, octets, text.len() - rest.len() + end + 2))
}

/// A field whose parameters `name` and `filename` are quoted, so that all of a name is read: programs forget the quotes
/// about names with blanks, and put encoded words where RFC 2047 §5 has none.
fn with_quoted_names(field: &str) -> Cow<'_, str> {
    let mut out = String::with_capacity(field.len() + 2);
    let mut is_mended = false;
    for (number, parameter) in parameters(field).enumerate() {
        if number > 0 {
            out.push(';');
        }
        let named = parameter.split_once('=').filter(|(key, _)| {
            number > 0
                && ["name", "filename"].iter().any(|name| key.trim().eq_ignore_ascii_case(name))
        });
        match named.and_then(|(key, value)| Some((key, mended(value)?))) {
            Some((key, value)) => {
                is_mended = true;
                out.extend([
                    " ",
                    key.trim(),
                    "=\"",
                    &value.replace('\\', "\\\\").replace('"', "\\\""),
                    "\"",
                ]);
            }
            None => out.push_str(parameter),
        }
    }
    if !is_mended {
        return Cow::Borrowed(field);
    }
    out.truncate(out.trim_end().len());
    out.push_str("\r\n");
    Cow::Owned(out)
}

/// A field in pieces between its semicolons, those within quotes left out of account.
pub(crate) fn parameters(field: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    field.split(move |c: char| {
        let is_end = c == ';' && !is_quoted;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && is_quoted && !is_escaped;
        is_end
    })
}

/// A name, if it was not written as one is read.
fn mended(value: &str) -> Option<String> {
    let value = value.trim();
    let is_quoted = value.starts_with('"');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$&'*+-.^_`{}|~%".contains(c);
    if !value.contains("=?") && (is_quoted || value.chars().all(is_plain)) {
        return None;
    }
    let unquoted = match value.strip_prefix('"') {
        Some(rest) => {
            rest.strip_suffix('"').unwrap_or(rest).replace("\\\"", "\"").replace("\\\\", "\\")
        }
        None => value.to_string(),
    };
    let whole = with_whole_words(&unquoted, str::to_string);
    Some(whole.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::{Structure, Walker};

    fn walk(message: &[u8]) -> Structure {
        let mut walker = Walker::new();
        message.chunks(9).for_each(|piece| walker.push(piece));
        walker.finish()
    }

    #[test]
    fn subjects_and_names_are_read_whatever_letters_they_came_in() {
        let table: [(&[u8], &str); 19] = [
            // Split within a letter; with other encodings; a set that shifts; no padding.
            (b"=?utf-8?Q?Gr=C3?=\r\n =?utf-8?Q?=BC=C3=9Fe?=", "Grüße"),
            (b"=?utf-8?B?R3LD?= =?UTF-8?Q?=BC=C3=9Fe?= x", "Grüße x"),
            (b"=?utf-8?B?R3LDvA?= =?utf-8?B?w58?=", "Grüß"),
            (b"=?gb2312?B?1tA=?= =?iso-8859-1?Q?_=FC?=", "中 ü"),
            (b"a =?utf-8?Q?b?= c =?utf-8?q?d?=", "a b c d"),
            (b"=?utf-8?Q?a_b c=3Fd?=", "a b c?d"),
            // Charsets that the parser does not know, and wrong labels.
            (b"=?cp932?B?h0CDZYNYg2c=?=", "①テスト"),
            (b"=?cp850?Q?Gr=81=E1e?=", "Grüße"),
            (b"=?utf-7?Q?Gr+APwA3w-e?=", "Grüße"),
            (b"=?iso-8859-1?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
            (b"=?utf-8*de?Q?=C3=BC?=", "ü"),
            // Raw letters.
            (b"Gr\xfc\xdfe", "Grüße"),
            ("Grüße".as_bytes(), "Grüße"),
            (b"\x1b$B$3$l\x1b(B", "これ"),
            // What is none stays.
            (b"=?utf-8?X?a?= =?", "=?utf-8?X?a?= =?"),
            (b"=?utf-8?Q?a", "=?utf-8?Q?a"),
            (b"2 =? 3", "2 =? 3"),
            (b"=?utf-8?Q??= x", "x"),
            (b"plain", "plain"),
        ];
        for (field, text) in table {
            let found = walk(
                &[b"Subject: ", field, b"\r\nFrom: ", field, b" <a@b.example>\r\n\r\nx"].concat(),
            );
            assert_eq!(found.subject, text, "{}", String::from_utf8_lossy(field));
            if !text.contains(['?', '=']) {
                assert_eq!(
                    (found.from[0].name.as_str(), found.from[0].address.as_str()),
                    (text, "a@b.example"),
                    "{}",
                    String::from_utf8_lossy(field)
                );
            }
        }
    }

    #[test]
    fn raw_letters_are_the_bodys() {
        for (header, text) in [
            ("Content-Type: text/plain; charset=windows-1251\r\n\r\n", "При"),
            (
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=windows-1251\r\n\r\nx\r\n--b--\r\n",
                "При",
            ),
            ("Content-Type: text/plain; charset=utf-8\r\n\r\n", "Ïðè"),
            ("\r\n", "Ïðè"),
        ] {
            let found = walk(
                &[
                    b"Subject: \xcf\xf0\xe8\r\nTo: \xcf\xf0\xe8 <a@b.example>\r\n",
                    header.as_bytes(),
                ]
                .concat(),
            );
            assert_eq!(
                (found.subject.as_str(), found.to[0].name.as_str()),
                (text, text),
                "{header}"
            );
        }
        let part = b"--b\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\nx\r\n--b\r\nContent-Type: a/b; name=\"\xf0\xd2\xc9.pdf\"\r\n\r\nx\r\n--b--\r\n";
        let found =
            walk(&[b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".as_slice(), part].concat());
        assert_eq!(found.parts[1].file_name, "При.pdf");
    }

    #[test]
    fn all_of_a_files_name_is_read() {
        for (parameters, name) in [
            (&b"name=Scan 2026 (1).pdf"[..], "Scan 2026 (1).pdf"),
            (b"name=Scan 2026 (1).pdf; size=1", "Scan 2026 (1).pdf"),
            (b"NAME = Scan\r\n 2026.pdf ; x=y", "Scan 2026.pdf"),
            (b"name=\"a; b \\\"c\\\".pdf\"", "a; b \"c\".pdf"),
            (b"name=plain.pdf", "plain.pdf"),
            (b"name=\"=?utf-8?Q?Gr=C3?= =?utf-8?Q?=BC.pdf?=\"", "Grü.pdf"),
            (b"name==?iso-8859-1?Q?Gr=FC_=22x=22.pdf?=", "Grü \"x\".pdf"),
            (b"name=Gr\xfc\xdfe 1.pdf", "Grüße 1.pdf"),
            (b"name=\"Gr\xfc.pdf\"", "Grü.pdf"),
            (b"name=[a] b,c@d:e.pdf", "[a] b,c@d:e.pdf"),
            (b"name*=utf-8''Gr%C3%BC%20x.pdf", "Grü x.pdf"),
            (b"name=\"never ends.pdf", "never ends.pdf"),
        ] {
            let found = walk(
                &[b"Content-Type: application/pdf; ".as_slice(), parameters, b"\r\nX: y\r\n\r\nx"]
                    .concat(),
            );
            assert_eq!(
                (found.parts[0].kind.as_str(), found.parts[0].file_name.as_str()),
                ("application/pdf", name),
                "{}",
                String::from_utf8_lossy(parameters)
            );
            let file = [b"filename".as_slice(), &parameters[4..]].concat();
            let found = walk(
                &[
                    b"Content-Disposition: attachment; ".as_slice(),
                    &file,
                    b"\r\nContent-Type: a/b\r\n\r\nx",
                ]
                .concat(),
            );
            assert_eq!(
                (found.parts[0].kind.as_str(), found.parts[0].file_name.as_str()),
                ("a/b", name),
                "{}",
                String::from_utf8_lossy(&file)
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_mended_and_once_is_enough(text in "(=\\?|utf-8|\\?q\\?|\\?B\\?|\\?=|=C3|w6|;|\"|\\\\| |\r\n |\r\n|name=|Content-Type:|a|ü){0,40}") {
            let once = repaired(text.as_bytes(), "").into_owned();
            proptest::prop_assert!(once.len() <= 8 * text.len() + 100);
            proptest::prop_assert!(std::str::from_utf8(&once).is_ok());
        }
    }
}
