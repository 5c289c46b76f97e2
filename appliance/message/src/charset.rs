//! Octets as letters, whatever they are called: by their label, by what they are in spite of it, and by what old
//! programs meant.
//!
//! What browsers know is `encoding_rs`'s; here stand the other names of it, the code pages of DOS, and the encodings
//! that shift between sets, which browsers gave up because pages could hide in them what runs.
//! Text is all that comes of them here.

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, MACINTOSH, SHIFT_JIS, UTF_8,
    UTF_16BE, UTF_16LE, WINDOWS_1252,
};

use crate::transfer::{Decoder, Encoding as Transfer};

/// How octets stand for letters.
#[derive(Clone, Copy, Debug)]
enum Charset {
    Known(&'static Encoding),
    /// ASCII, and 128 letters above it.
    Dos(&'static str),
    Utf7,
    /// RFC 1843.
    Hz,
    /// ISO-2022-KR (RFC 1557) and ISO-2022-CN (RFC 1922): what stands between SO and SI, with the high bit set.
    Shifted(&'static Encoding),
}

/// Code pages of DOS by their number: the letters from 128 on.
const DOS: [(&str, &str); 14] = [
    (
        "437",
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        "737",
        "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρσςτυφχψ░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀ωάέήϊίόύϋώΆΈΉΊΌΎΏ±≥≤ΪΫ÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        "775",
        "ĆüéāäģåćłēŖŗīŹÄÅÉæÆōöĢ¢ŚśÖÜø£Ø×¤ĀĪóŻżź”¦©®¬½¼Ł«»░▒▓│┤ĄČĘĖ╣║╗╝ĮŠ┐└┴┬├─┼ŲŪ╚╔╩╦╠═╬Žąčęėįšųūž┘┌█▄▌▐▀ÓßŌŃõÕµńĶķĻļņĒŅ’\u{ad}±“¾¶§÷„°∙·¹³²■\u{a0}",
    ),
    (
        "850",
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
    ),
    (
        "852",
        "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×čáíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐└┴┬├─┼Ăă╚╔╩╦╠═╬¤đĐĎËďŇÍÎě┘┌█▄ŢŮ▀ÓßÔŃńňŠšŔÚŕŰýÝţ´\u{ad}˝˛ˇ˘§÷¸°¨˙űŘř■\u{a0}",
    ),
    (
        "855",
        "ђЂѓЃёЁєЄѕЅіІїЇјЈљЉњЊћЋќЌўЎџЏюЮъЪаАбБцЦдДеЕфФгГ«»░▒▓│┤хХиИ╣║╗╝йЙ┐└┴┬├─┼кК╚╔╩╦╠═╬¤лЛмМнНоОп┘┌█▄Пя▀ЯрРсСтТуУжЖвВьЬ№\u{ad}ыЫзЗшШэЭщЩчЧ§■\u{a0}",
    ),
    (
        "857",
        "ÇüéâäàåçêëèïîıÄÅÉæÆôöòûùİÖÜø£ØŞşáíóúñÑĞğ¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ºªÊËÈ\u{fffd}ÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµ\u{fffd}×ÚÛÙìÿ¯´\u{ad}±\u{fffd}¾¶§÷¸°¨·¹³²■\u{a0}",
    ),
    (
        "858",
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈ€ÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}",
    ),
    (
        "860",
        "ÇüéâãàÁçêÊèÍÔìÃÂÉÀÈôõòÚùÌÕÜ¢£Ù₧ÓáíóúñÑªº¿Ò¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        "861",
        "ÇüéâäàåçêëèÐðÞÄÅÉæÆôöþûÝýÖÜø£Ø₧ƒáíóúÁÍÓÚ¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        "862",
        "אבגדהוזחטיךכלםמןנסעףפץצקרשת¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        "863",
        "ÇüéâÂà¶çêëèïî‗À§ÉÈÊôËÏûù¤ÔÜ¢£ÙÛƒ¦´óú¨¸³¯Î⌐¬½¼¾«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        "865",
        "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø₧ƒáíóúñÑªº¿⌐¬½¼¡«¤░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}",
    ),
    (
        "869",
        "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}Ά\u{fffd}·¬¦‘’Έ―ΉΊΪΌ\u{fffd}\u{fffd}ΎΫ©Ώ²³ά£έήίϊΐόύΑΒΓΔΕΖΗ½ΘΙ«»░▒▓│┤ΚΛΜΝ╣║╗╝ΞΟ┐└┴┬├─┼ΠΡ╚╔╩╦╠═╬ΣΤΥΦΧΨΩαβγ┘┌█▄δε▀ζηθικλμνξοπρσςτ΄\u{ad}±υφχ§ψ΅°¨ωϋΰώ■\u{a0}",
    ),
];
/// Octets of HTML in which its charset must stand (HTML §13.2.3.2 has 1024; some programs write long comments before
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

/// What a label means; `None`: nothing that is known.
fn named(label: &str) -> Option<Charset> {
    let label = label
        .split('*')
        .next()?
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    let plain: String = label
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .take(40)
        .collect();
    let digits =
        plain.trim_start_matches(|c: char| c.is_ascii_alphabetic()).trim_start_matches('0');
    let letters = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    let shifted = match plain.as_str() {
        "utf7" | "unicode11utf7" | "csunicode11utf7" | "cp65000" => Some(Charset::Utf7),
        "hz" | "hzgb2312" | "cp52936" => Some(Charset::Hz),
        "iso2022kr" | "csiso2022kr" | "cp50225" => Some(Charset::Shifted(EUC_KR)),
        "iso2022cn" | "iso2022cnext" | "cp50227" => Some(Charset::Shifted(GBK)),
        "cspc8codepage437" => dos("437"),
        "cspc850multilingual" => dos("850"),
        "cspcp852" => dos("852"),
        _ => None,
    };
    let is_page = matches!(
        letters,
        "" | "cp"
            | "ms"
            | "win"
            | "windows"
            | "ibm"
            | "ibmcp"
            | "csibm"
            | "oem"
            | "dos"
            | "xcp"
            | "xmscp"
            | "codepage"
            | "ccsid"
    );
    let page = || page(digits).map(Charset::Known).or_else(|| dos(digits));
    shifted
        .or_else(|| page().filter(|_| is_page))
        .or_else(|| other_name(&plain).map(Charset::Known))
        // What stands for "replace all of it", and for private letters, is no help to a reader.
        .or_else(|| {
            Encoding::for_label_no_replacement(label.as_bytes())
                .filter(|known| known.name() != "x-user-defined")
                .map(Charset::Known)
        })
}

fn dos(number: &str) -> Option<Charset> {
    DOS.iter().find(|(known, _)| *known == number).map(|(_, letters)| Charset::Dos(letters))
}

/// The code pages of Windows by their numbers.
fn page(number: &str) -> Option<&'static Encoding> {
    Some(match number.parse::<u16>().ok()? {
        932 | 943 => SHIFT_JIS,
        936 | 1386 => GBK,
        949 | 970 | 1363 | 51949 => EUC_KR,
        950 | 951 => BIG5,
        1200 => UTF_16LE,
        1201 => UTF_16BE,
        10000 => MACINTOSH,
        20127 => WINDOWS_1252,
        20866 => encoding_rs::KOI8_R,
        21866 => encoding_rs::KOI8_U,
        50220..=50222 => ISO_2022_JP,
        51932 => EUC_JP,
        51936 => GBK,
        54936 => GB18030,
        65001 => UTF_8,
        page @ (866 | 874 | 1250..=1258) => {
            return Encoding::for_label(
                if page == 866 { "ibm866".into() } else { format!("windows-{page}") }.as_bytes(),
            );
        }
        page @ 28591..=28606 => {
            return Encoding::for_label(format!("iso-8859-{}", page - 28590).as_bytes());
        }
        _ => return None,
    })
}

/// Names that programs write and no list has, without what is neither letter nor digit.
fn other_name(plain: &str) -> Option<&'static Encoding> {
    Some(match plain {
        "eucjpms" | "eucjpwin" | "ujis" => EUC_JP,
        "mskanji" | "sjiswin" | "shiftjis2004" | "shiftjisx0213" => SHIFT_JIS,
        "euccn" | "eucgb2312cn" | "xgbk" => GBK,
        "ksc5601" | "uhc" | "ksc56011987" => EUC_KR,
        "utf8mb4" | "utf8n" => UTF_8,
        "mac" | "macroman" | "applemacintosh" => MACINTOSH,
        "koi8" => encoding_rs::KOI8_R,
        "latin9" => encoding_rs::ISO_8859_15,
        name if name.starts_with("iso2022jp") || name.starts_with("csiso2022jp") => ISO_2022_JP,
        name => {
            let number = name.strip_prefix("iso8859").or_else(|| name.strip_prefix("8859"))?;
            return Encoding::for_label(format!("iso-8859-{number}").as_bytes());
        }
    })
}

fn read(octets: &[u8], charset: Charset) -> String {
    match charset {
        Charset::Known(known) => known.decode(octets).0.into_owned(),
        Charset::Dos(letters) => {
            let letters: Vec<char> = letters.chars().collect();
            let letter = |&octet: &u8| {
                if octet < 128 {
                    char::from(octet)
                } else {
                    letters.get(usize::from(octet) - 128).copied().unwrap_or('\u{fffd}')
                }
            };
            octets.iter().map(letter).collect()
        }
        Charset::Utf7 => utf7(octets),
        Charset::Hz => hz(octets),
        Charset::Shifted(set) => shifted(octets, set),
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

/// RFC 2152.
fn utf7(octets: &[u8]) -> String {
    let (mut out, mut rest) = (String::new(), octets);
    while let Some(at) = memchr::memchr(b'+', rest) {
        out.push_str(&String::from_utf8_lossy(&rest[..at]));
        rest = &rest[at + 1..];
        let end = rest
            .iter()
            .position(|&octet| !octet.is_ascii_alphanumeric() && octet != b'+' && octet != b'/')
            .unwrap_or(rest.len());
        let (encoded, behind) = rest.split_at(end);
        let has_end = behind.first() == Some(&b'-');
        if encoded.is_empty() {
            out.push('+');
        }
        let (mut decoder, mut units) = (Decoder::new(Transfer::Base64), Vec::new());
        decoder.push(encoded, &mut units);
        let units = units.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        rest = if has_end { &behind[1..] } else { behind };
    }
    out.push_str(&String::from_utf8_lossy(rest));
    out
}

/// RFC 1843: `~{` begins pairs of GB 2312, `~}` ends them, `~~` is one; so does the end of a line, for safety.
fn hz(octets: &[u8]) -> String {
    let (mut plain, mut is_pairs, mut at) = (Vec::with_capacity(octets.len()), false, 0);
    while let Some(&octet) = octets.get(at) {
        at += 2;
        match (octet, octets.get(at - 1)) {
            (b'~', Some(b'{')) => is_pairs = true,
            (b'~', Some(b'}')) => is_pairs = false,
            (b'~', Some(b'~')) if !is_pairs => plain.push(b'~'),
            (b'~', Some(b'\n')) if !is_pairs => {}
            (0x21..=0x7e, Some(&second @ 0x21..=0x7e)) if is_pairs => {
                plain.extend([octet | 0x80, second | 0x80])
            }
            _ => {
                is_pairs &= octet != b'\n';
                plain.push(octet);
                at -= 1;
            }
        }
    }
    GBK.decode_without_bom_handling(&plain).0.into_owned()
}

/// What stands between SO and SI belongs to the set; its escape sequence says only which one it is.
fn shifted(octets: &[u8], set: &'static Encoding) -> String {
    let (mut plain, mut is_out, mut at) = (Vec::with_capacity(octets.len()), false, 0);
    while let Some(&octet) = octets.get(at) {
        at += 1;
        match octet {
            0x1b if octets.get(at) == Some(&b'$') => at += 3,
            0x0e => is_out = true,
            0x0f => is_out = false,
            0x21..=0x7e if is_out => plain.push(octet | 0x80),
            _ => {
                is_out &= octet != b'\n';
                plain.push(octet);
            }
        }
    }
    set.decode_without_bom_handling(&plain).0.into_owned()
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
