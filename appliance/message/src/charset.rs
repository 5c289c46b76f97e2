//! Octets as letters, whatever they are called: by their label, by what they are in spite of it, and by what old
//! programs meant.
//!
//! What browsers know is `encoding_rs`'s; here are the other names of it (`labels`), the code pages of DOS (`dos`), and
//! the encodings that shift between sets (`shifting`).
//! Browsers gave those up because pages could hide in them what runs.
//! Text is all that comes of them here.

mod dos;
mod labels;
mod shifting;

use encoding_rs::{EUC_KR, GBK, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use labels::{Charset, named};

/// Octets of HTML in which its charset must be (HTML §13.2.3.2 has 1024; some programs write long comments before
/// it).
const META: usize = 4096;

/// The letters of some text.
/// One without a label, or with a wrong one, is what it can be: UTF-8, Japanese by its escape sequences, and else what
/// an old Windows machine wrote.
pub fn decode(octets: &[u8], label: &str) -> String {
    let named = named(label);
    if let Some(found) = by_escapes(octets)
        .filter(|_| !matches!(named, Some(Charset::Known(is)) if is == UTF_16BE || is == UTF_16LE))
    {
        return read(octets, found);
    }
    match (named, utf8(octets)) {
        // No text of another charset is UTF-8 by chance, but for a letter or two.
        (None | Some(Charset::Dos(_) | Charset::Utf7), Utf8::Valid) => {
            String::from_utf8_lossy(octets).into_owned()
        }
        (Some(Charset::Known(known)), Utf8::Valid) if known.is_single_byte() => {
            String::from_utf8_lossy(octets).into_owned()
        }
        (Some(Charset::Known(known)), Utf8::Valid) => {
            let (text, _, has_errors) = known.decode(octets);
            if has_errors {
                String::from_utf8_lossy(octets).into_owned()
            } else {
                text.into_owned()
            }
        }
        (Some(Charset::Known(known)), Utf8::Never) if known == UTF_8 => {
            read(octets, Charset::Known(WINDOWS_1252))
        }
        (None, Utf8::Ascii) => String::from_utf8_lossy(octets).into_owned(),
        (named, _) => read(octets, named.unwrap_or(Charset::Known(WINDOWS_1252))),
    }
}

/// The letters of HTML, which may name its charset itself.
pub fn decode_html(octets: &[u8], label: &str) -> String {
    let says_nothing = named(label).is_none()
        || matches!(label.trim().to_ascii_lowercase().as_str(), "us-ascii" | "ascii");
    match meta(octets).filter(|_| says_nothing) {
        Some(named) => decode(octets, &named),
        None => decode(octets, label),
    }
}

fn read(octets: &[u8], charset: Charset) -> String {
    match charset {
        Charset::Known(known) => known.decode(octets).0.into_owned(),
        Charset::Dos(letters) => dos::decode(octets, letters),
        Charset::Utf7 => shifting::utf7(octets),
        Charset::Hz => shifting::hz(octets),
        Charset::Shifted(set) => shifting::shifted(octets, set),
    }
}

/// Whether octets are UTF-8.
/// The last letter may be cut: texts are read up to a limit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Utf8 {
    Ascii,
    Valid,
    Broken,
    /// Not one letter of it.
    Never,
}

fn utf8(octets: &[u8]) -> Utf8 {
    if octets.is_ascii() {
        return Utf8::Ascii;
    }
    match std::str::from_utf8(octets) {
        Ok(_) => Utf8::Valid,
        Err(error) if error.error_len().is_none() && !octets[..error.valid_up_to()].is_ascii() => {
            Utf8::Valid
        }
        Err(_) if octets.utf8_chunks().any(|chunk| !chunk.valid().is_ascii()) => Utf8::Broken,
        Err(_) => Utf8::Never,
    }
}

/// The charset that escape sequences (RFC 1468, RFC 1557, RFC 1922) speak for, in text of seven bits.
fn by_escapes(octets: &[u8]) -> Option<Charset> {
    let mut escapes =
        memchr::memchr_iter(0x1b, octets).filter_map(|at| match octets.get(at + 1..)? {
            [b'$', b'@' | b'B', ..] | [b'$', b'(', b'D', ..] | [b'(', b'J' | b'I', ..] => {
                Some(Charset::Known(ISO_2022_JP))
            }
            [b'$', b')', b'C', ..] => Some(Charset::Shifted(EUC_KR)),
            [b'$', b')', b'A', ..] => Some(Charset::Shifted(GBK)),
            _ => None,
        });
    escapes.next().filter(|_| octets.is_ascii())
}

/// What the `meta` elements at the beginning of HTML say.
fn meta(octets: &[u8]) -> Option<String> {
    let front = octets[..octets.len().min(META)].to_ascii_lowercase();
    memchr::memmem::find_iter(&front, b"<meta").find_map(|at| {
        let tag = &front[at..];
        let tag = &tag[..memchr::memchr(b'>', tag)?];
        let value = tag[memchr::memmem::find(tag, b"charset")? + 7..]
            .trim_ascii_start()
            .strip_prefix(b"=")?
            .trim_ascii_start();
        let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
        let end =
            value.iter().position(|octet| b"\"'; \t\r\n/>".contains(octet)).unwrap_or(value.len());
        let label = String::from_utf8_lossy(&value[..end]).into_owned();
        // Who could read this far in ASCII has no UTF-16 before them (HTML §13.2.3.2).
        named(&label).map(|found| {
            if matches!(found, Charset::Known(is) if is == UTF_16BE || is == UTF_16LE) {
                "utf-8".into()
            } else {
                label
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_read_by_their_label_or_by_what_they_are() {
        let table: [(&[u8], &str, &str); 36] = [
            (b"h\xfc", "", "hü"),
            ("hü".as_bytes(), "", "hü"),
            (b"\xe1\xe2", "ISO-8859-7", "αβ"),
            // Valid UTF-8 under another label; cut in the middle of a letter; wrong under its own.
            ("Grüße – 5 €".as_bytes(), "iso-8859-1", "Grüße – 5 €"),
            ("Grüße".as_bytes(), "windows-1251", "Grüße"),
            ("Grüße".as_bytes(), "cp850", "Grüße"),
            ("日本語".as_bytes(), "euc-jp", "日本語"),
            (b"Gr\xc3\xbc\xc3", "iso-8859-1", "Grü\u{fffd}"),
            (b"Gr\xfc\xdfe", "utf-8", "Grüße"),
            (b"Gr\xc3\xbc \xdf", "utf-8", "Grü \u{fffd}"),
            // Names that browsers do not know.
            (b"\x87@\x83e\x83X\x83g", "cp932", "①テスト"),
            (b"\x83e", "Windows-932", "テ"),
            (b"Gr\x81\xe1e \x9abung", "ibm850", "Grüße Übung"),
            (b"Gr\x81\xe1e", "CP437", "Grüße"),
            (b"\xd5", "IBM00858", "€"),
            (b"\x88", "cp852", "ł"),
            (b"\xcf\xf0\xe8", "win-1251", "При"),
            (b"\xcf\xf0\xe8", "cp1251", "При"),
            (b"\xa4", "ISO8859_15", "€"),
            (b"\xa4", "cp28605", "€"),
            (b"\xd6\xd0", "cp936", "中"),
            (b"\xc7\xd1", "ms949", "한"),
            (b"\xa4\xa4", "cp950", "中"),
            (b"h\xfc", "nobody-knows", "hü"),
            (b"h\xfc", "\"iso-8859-1\"", "hü"),
            // Those that shift.
            (b"Gr+APwA3w-e +- +2D3eAA- x+", "utf-7", "Grüße + 😀 x+"),
            (b"Hi +ZeU-", "unicode-1-1-utf-7", "Hi 日"),
            (b"a~~ ~{VPND~} b~\nc", "hz-gb-2312", "a~ 中文 bc"),
            (b"\x1b$)C\x0eGQ1[\x0f ok", "iso-2022-kr", "한글 ok"),
            (b"\x1b$)A\x0eVPND\x0f ok", "iso-2022-cn", "中文 ok"),
            (b"\x1b$B-!$3\x1b(B", "iso-2022-jp-ms", "①こ"),
            // Escape sequences without a label, or under a wrong one.
            (b"\x1b$B$3$l\x1b(B!", "", "これ!"),
            (b"\x1b$B$3$l\x1b(B", "us-ascii", "これ"),
            (b"\x1b$B$3$l\x1b(B", "utf-8", "これ"),
            (b"\x1b$)C\x0eGQ\x0f", "", "한"),
            (b"\x1b[1mred\x1b[0m", "", "\u{1b}[1mred\u{1b}[0m"),
        ];
        for (octets, label, text) in table {
            assert_eq!(decode(octets, label), text, "{label}: {octets:x?}");
        }
    }

    #[test]
    fn html_names_its_charset_itself_where_nobody_else_does() {
        let cyrillic = |meta: &str| [meta.as_bytes(), b"<p>\xcf\xf0\xe8"].concat();
        for (meta, label, text) in [
            (
                "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=windows-1251\">",
                "",
                "При",
            ),
            ("<META CHARSET='cp1251'/>", "us-ascii", "При"),
            ("<meta name=x><meta charset = windows-1251 >", "unknown-8bit", "При"),
            ("<meta charset=windows-1251>", "iso-8859-1", "Ïðè"),
            ("<meta charset=nothing>", "", "Ïðè"),
            ("<meta charset=utf-16>", "", "Ïðè"),
            ("<meta charset", "", "Ïðè"),
        ] {
            assert!(decode_html(&cyrillic(meta), label).ends_with(text), "{meta} {label}");
        }
        assert!(
            decode_html("<meta charset=windows-1251>При".as_bytes(), "").ends_with("При"),
            "it was written anew and nobody told it"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_octets_are_letters(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..80), at in 0usize..8) {
            let label = ["", "utf-7", "hz", "iso-2022-kr", "iso-2022-jp", "cp437", "utf-8", "x-user-defined"][at];
            proptest::prop_assert!(decode(&octets, label).chars().count() <= 3 * octets.len());
            decode_html(&octets, label);
        }
    }
}
