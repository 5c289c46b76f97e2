//! A signature's own field as it was when it was signed: without the signature (RFC 6376 §3.7).

/// The field's value without its line end, and with the value of its `b=` tag taken out.
/// Everything else stays as it is, octet for octet.
/// Of two such tags both are emptied: nobody may have two, and such a signature does not hold.
pub fn without_signature(value: &[u8]) -> Vec<u8> {
    let text = value.strip_suffix(b"\r\n").or(value.strip_suffix(b"\n")).unwrap_or(value);
    let mut out = Vec::with_capacity(value.len());
    for (place, tag) in text.split(|&b| b == b';').enumerate() {
        if place > 0 {
            out.push(b';');
        }
        let name = tag.iter().position(|&b| b == b'=').map(|end| (&tag[..end], end));
        match name {
            Some((name, end)) if name.trim_ascii() == b"b" => out.extend_from_slice(&tag[..=end]),
            _ => out.extend_from_slice(tag),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signature_goes() {
        for (value, expected) in [
            ("v=1; b=abc; d=x\r\n", "v=1; b=; d=x"),
            (" v=1;\r\n\tbh=ab==;\r\n\tb =\r\n\tAB==\r\n\tCD=\r\n", " v=1;\r\n\tbh=ab==;\r\n\tb ="),
            ("b=abc;\r\n", "b=;"),
            ("bh=b=;h=b\r\n", "bh=b=;h=b"),
            ("b=x;", "b=;"),
            ("", ""),
        ] {
            let found = without_signature(value.as_bytes());
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{value:?}");
        }
    }
}
