//! What labels mean: those of browsers, those that programs write besides, and numbers of code pages.

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, MACINTOSH, SHIFT_JIS, UTF_8,
    UTF_16BE, UTF_16LE, WINDOWS_1252,
};

use super::dos::letters;

/// How octets stand for letters.
#[derive(Clone, Copy, Debug)]
pub enum Charset {
    Known(&'static Encoding),
    /// ASCII, and 128 letters above it.
    Dos(&'static str),
    Utf7,
    /// RFC 1843.
    Hz,
    /// ISO-2022-KR (RFC 1557) and ISO-2022-CN (RFC 1922): what is between SO and SI, with the high bit set.
    Shifted(&'static Encoding),
}

/// What a label means; `None`: nothing that is known.
pub fn named(label: &str) -> Option<Charset> {
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
        // What means "replace all of it", and for private letters, is no help to a reader.
        .or_else(|| {
            Encoding::for_label_no_replacement(label.as_bytes())
                .filter(|known| known.name() != "x-user-defined")
                .map(Charset::Known)
        })
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

fn dos(number: &str) -> Option<Charset> {
    letters(number).map(Charset::Dos)
}
