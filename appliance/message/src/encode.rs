//! Text beyond ASCII as messages have it: encoded words in header fields, quoted-printable in bodies.

use pillarbox_proto::smtp::encode_base64;

use crate::eight_bit;
use crate::repair::with_whole_words;

/// Octets of an ASCII word that stays as it is where it may be encoded; more does not fit well behind a field's name.
pub(crate) const WORD: usize = 900;

/// Breaks long ASCII text at spaces for a header field (RFC 5322 §2.2.3): lines of at most 74 characters where words
/// allow it, the first one shorter by 24 for the field's name.
/// What must not end the field, such as CR and LF, is the caller's to keep out.
pub fn fold(text: &str) -> String {
    let (mut out, mut column) = (String::new(), 24);
    for word in text.split(' ') {
        if column + word.len() > 74 && !out.is_empty() {
            out.push_str("\r\n ");
            column = 1;
        } else if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        column += word.len() + 1;
    }
    out
}

/// Text for a header field: folded if it is ASCII with words that fit into a line, else encoded words (RFC 2047 §4.1)
/// of at most 75 characters, a line each.
/// As for `fold`, ASCII text must be one line.
pub fn encoded_words(text: &str) -> String {
    if text.is_ascii() && text.split(' ').all(|word| word.len() <= WORD) {
        return fold(text);
    }
    let (mut words, mut piece) = (Vec::new(), String::new());
    for c in text.chars() {
        // 42 octets become 56 characters of base64.
        if piece.len() + c.len_utf8() > 42 {
            words.push(std::mem::take(&mut piece));
        }
        piece.push(c);
    }
    words.push(piece);
    let encode = |word: &String| format!("=?utf-8?B?{}?=", encode_base64(word.as_bytes()));
    words.iter().map(encode).collect::<Vec<_>>().join("\r\n ")
}

/// A field's text with its encoded words read (RFC 2047), as our pages show it.
pub fn decoded(text: &str) -> String {
    with_whole_words(text, str::to_string)
}

/// Text for a body (RFC 2045 §6.7): lines of at most 76 characters that end in CRLF.
/// Lines of the text end in LF or CRLF.
pub fn quoted_printable(text: &str) -> String {
    let mut out = Vec::new();
    for line in text.lines() {
        eight_bit::quoted_printable(line.as_bytes(), &mut out);
        out.extend_from_slice(b"\r\n");
    }
    String::from_utf8_lossy(&out).into_owned()
}
