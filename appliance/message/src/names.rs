//! Names of files, as senders and browsers give them: never a path, never more than a name.

use pillarbox_vocabulary::text::one_line;

/// Characters of a name that are kept.
const LENGTH: usize = 150;

/// The last part of what may be a path, without anything that steers a terminal or a header.
pub fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let seen: String = last.chars().filter(|c| !c.is_control()).collect();
    one_line(&seen).chars().take(LENGTH).collect()
}

/// The name a message is saved under: systems know one by its ending.
pub fn message_name(name: &str, subject: &str) -> String {
    let named = |text: &str| file_name(text).trim().trim_end_matches(['.', ' ']).to_string();
    let (name, subject) = (named(name), named(&subject.replace(['/', '\\', ':'], "-")));
    let stem = [name, subject]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| "message".into());
    if stem.to_lowercase().ends_with(".eml") { stem } else { format!("{stem}.eml") }
}

/// A name in percent-encoded octets, as RFC 8187 and RFC 2231 have it.
pub(crate) fn percent_encoded(name: &str) -> String {
    let octet = |b: u8| {
        if b.is_ascii_alphanumeric() || b".-_".contains(&b) {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    name.bytes().map(octet).collect()
}

/// Octets of a piece of an extended parameter, percent-encoded.
const PIECE: usize = 60;

/// A parameter in pieces on lines of their own (RFC 2231 §3 and §4), so that no line grows long.
pub(crate) fn extended_parameter(key: &str, value: &str) -> String {
    let encoded = percent_encoded(value);
    let pieces = encoded.as_bytes().chunks(PIECE).enumerate().map(|(at, piece)| {
        let charset = if at == 0 { "utf-8''" } else { "" };
        format!("{key}*{at}*={charset}{}", String::from_utf8_lossy(piece))
    });
    pieces.collect::<Vec<_>>().join(";\r\n ")
}

/// A `Content-Disposition` (RFC 6266 §4): plain for old programs, whole for new ones.
pub fn disposition(name: &str, kind: &str) -> String {
    let name = file_name(name);
    let plain: String =
        name.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') {
                    c
                } else {
                    '_'
                }
            })
            .collect();
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{}", percent_encoded(&name))
}

/// Names that differ from each other, for files that are together: `a.pdf`, `a (2).pdf`.
pub fn distinct(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    let mut one = |name: String| {
        let name = match file_name(&name) {
            name if name.trim_matches(['.', ' ']).is_empty() => "file".to_string(),
            name => name,
        };
        let (stem, ending) =
            name.rsplit_once('.').map_or((name.clone(), String::new()), |(stem, ending)| {
                (stem.to_string(), format!(".{ending}"))
            });
        let numbered = (2..).map(|n| format!("{stem} ({n}){ending}"));
        let mut found =
            [name].into_iter().chain(numbered).filter(|name| taken.insert(name.to_lowercase()));
        found.next().unwrap_or_default()
    };
    names.into_iter().map(&mut one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_saved_under_names_that_open() {
        for (name, subject, is) in [
            ("", "Re: a/b", "Re- a-b.eml"),
            ("", "", "message.eml"),
            ("x.EML", "s", "x.EML"),
            ("forwarded message", "s", "forwarded message.eml"),
            ("../..", " ", "message.eml"),
        ] {
            assert_eq!(message_name(name, subject), is);
        }
    }

    #[test]
    fn file_names_stay_names() {
        assert_eq!(
            disposition("../../etc/passwd", "attachment"),
            "attachment; filename=\"passwd\"; filename*=UTF-8''passwd"
        );
        assert_eq!(
            disposition("Rés\"umé\r\n.pdf", "inline"),
            "inline; filename=\"R_s_um_.pdf\"; filename*=UTF-8''R%C3%A9s%22um%C3%A9.pdf"
        );
        // A name that reads "exe.pdf" from the right must not be "fdp.exe".
        assert_eq!(file_name("in\u{202e}fdp.exe"), "infdp.exe");
        let names = ["a.pdf", "A.pdf", "x/a.pdf", "", "..", "noending"].map(String::from);
        assert_eq!(
            distinct(names),
            ["a.pdf", "A (2).pdf", "a (3).pdf", "file", "file (2)", "noending"]
        );
    }
}
