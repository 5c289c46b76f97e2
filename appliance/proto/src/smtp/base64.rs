//! Base64 as AUTH uses it (RFC 4648 §4): padded, without line ends.

/// Decodes; `None` for anything that is not well formed.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let octets = text.as_bytes();
    if !octets.len().is_multiple_of(4) {
        return None;
    }
    let padding = octets.iter().rev().take(2).take_while(|&&b| b == b'=').count();
    let digits = &octets[..octets.len() - padding];
    let mut out = Vec::with_capacity(octets.len() / 4 * 3);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for &digit in group {
            bits = bits << 6 | value(digit)?;
        }
        bits <<= 6 * (4 - group.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

/// Encodes, padded.
pub fn encode(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(octets.len().div_ceil(3) * 4);
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, &octet| bits << 8 | u32::from(octet))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= group.len() { digit.into() } else { '=' });
        }
    }
    out
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn rfc_4648_vectors() {
        let table = [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmFy", "foobar"),
        ];
        for (text, plain) in table {
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in
            ["Z", "Zg", "Zg=", "=", "====", "Z===", "Zg==Zg==", "Zm 9", "Zm9v\r", "Zm9-", "é==="]
        {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }
}
