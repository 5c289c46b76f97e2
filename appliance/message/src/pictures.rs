//! Pictures that HTML brings along: which ones it names, in all written forms, and what they are, whatever they are
//! called.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::entity;
use crate::markup::{Token, Tokens, attributes};

/// Octets of an address that are looked at for a content-id.
const CONTENT_ID: usize = 1000;

/// The content-ids an address may mean, in the form ids are compared in: percent-encoded as RFC 2392 §2 has it, or as
/// it stands, as many programs write it.
pub fn named(address: &str) -> Option<[String; 2]> {
    let address = address.trim();
    let front = address.get(..4)?;
    let id = || clipped(&address[4..]);
    front
        .eq_ignore_ascii_case("cid:")
        .then(|| [comparable(&percent_decoded(id())), comparable(id())])
}

/// A content-id as ids are compared: programs change its case and its brackets.
pub fn comparable(id: &str) -> String {
    clipped(id).trim().trim_start_matches('<').trim_end_matches('>').to_lowercase()
}

fn clipped(id: &str) -> &str {
    &id[..id.floor_char_boundary(CONTENT_ID)]
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let (octets, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    let digit = |octet: Option<&u8>| {
        octet.and_then(|octet| char::from(*octet).to_digit(16)).map(|digit| digit as u8)
    };
    while let Some(&octet) = octets.get(at) {
        match (octet, digit(octets.get(at + 1)), digit(octets.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            _ => {
                out.push(octet);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// The content-ids that HTML asks for in pictures.
pub fn wanted(html: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for token in Tokens::of(html) {
        let Token::Open { name, inside } = token else { continue };
        if !name.eq_ignore_ascii_case("img") {
            continue;
        }
        let sources = attributes(inside).filter(|(name, _)| name.eq_ignore_ascii_case("src"));
        found.extend(sources.flat_map(|(_, value)| {
            let mut address = String::new();
            entity::decode(clipped(value), &mut address);
            named(&address).into_iter().flatten()
        }));
    }
    found
}

/// The kind of a picture by its first octets; `None`: none that is shown.
/// Vector pictures are never: they may hold more than a picture.
pub fn kind(octets: &[u8]) -> Option<&'static str> {
    match octets {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        // The four octets behind the size are reserved, and naught.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some("image/bmp"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f' | b's', ..] => {
            Some("image/avif")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ids_are_the_same_in_all_their_forms() {
        for (html, id) in [
            ("<img src=\"cid:foo%25bar%40remote.test\">", "<foo%bar@remote.test>"),
            ("<img src=\"cid:foo%25bar\">", "foo%25bar"),
            ("<IMG SRC='CID:Logo@X'>", "<logo@x>"),
            ("<img src=cid:a&#64;b>", "a@b"),
            ("<img alt=x src=\"cid:a&commat;b\">", "a&commat;b"),
            ("<img src=\" cid:&lt;a@b&gt; \">", "<a@b>"),
            ("<img src=\"cid:%3Ca@b%3E\">", "a@b"),
            ("<img src=\"cid:100%\">", "100%"),
            ("<img src=cid:a&amp;b>", "a&b"),
            ("<img src=cid:%C3%BC>", "Ü"),
        ] {
            assert!(wanted(html).contains(&comparable(id)), "{html}: {:?}", wanted(html));
        }
        assert!(
            wanted(
                "<img src=x><a href=cid:a>cid:b</a><!--<img src=cid:c>--><img src=\"ci\u{e4}\">"
            )
            .is_empty()
        );
    }

    #[test]
    fn pictures_are_known_by_what_they_are() {
        for (octets, is) in [
            (&b"\x89PNG\r\n\x1a\n..."[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a..", Some("image/gif")),
            (b"RIFF....WEBPVP8 ", Some("image/webp")),
            (b"BM\x36\x00\x01\x00\x00\x00\x00\x00\x36", Some("image/bmp")),
            (b"\x00\x00\x00\x20ftypavif", Some("image/avif")),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\">", None),
            (b"BMW is a car maker", None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(kind(octets), is, "{octets:x?}");
        }
    }
}
