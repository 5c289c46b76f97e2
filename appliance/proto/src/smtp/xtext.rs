//! `xtext` of DSN and AUTH parameters (RFC 3461 §4).

/// Decodes `+XX`; `None` for what is not xtext or does not decode to printable ASCII.
///
/// Only printable ASCII is let through because the value ends up in fields of notices (RFC 3461 §4.4).
pub fn decode(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'+' => hex(octets.next()?)? << 4 | hex(octets.next()?)?,
            b'=' => return None,
            other => other,
        };
        match octet {
            b' '..=b'~' => out.push(octet.into()),
            _ => return None,
        }
    }
    Some(out)
}

/// Encodes printable ASCII; anything else becomes `?`.
pub fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '+' | '=' | ' ' => {
                // Writing to a String can't fail.
                let _ = write!(out, "+{:02X}", c as u32);
            }
            '!'..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out
}

/// Upper-case hexadecimal digits only, as the standard has it.
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn what_is_encoded_decodes_again() {
        for text in ["", "a", "a+b=c d", "rfc822;ann@example.org"] {
            assert_eq!(decode(&encode(text)).as_deref(), Some(text));
        }
        assert_eq!(encode("é"), "?");
    }

    #[test]
    fn table() {
        let table = [
            ("QQ314159", Some("QQ314159")),
            ("a+2Bb+3Dc", Some("a+b=c")),
            ("a+20b", Some("a b")),
            ("a+2bb", None),
            ("a+2", None),
            ("a+", None),
            ("a=b", None),
            ("a+0D+0Ab", None),
            ("é", None),
            ("", Some("")),
        ];
        for (text, plain) in table {
            assert_eq!(decode(text).as_deref(), plain, "{text:?}");
        }
    }
}
