//! Encodings that shift between sets of letters.

use encoding_rs::{Encoding, GBK};

use crate::transfer::{Decoder, Encoding as Transfer};

/// RFC 2152.
pub fn utf7(octets: &[u8]) -> String {
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
pub fn hz(octets: &[u8]) -> String {
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

/// What is between SO and SI belongs to the set; its escape sequence says only which one it is.
pub fn shifted(octets: &[u8], set: &'static Encoding) -> String {
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
