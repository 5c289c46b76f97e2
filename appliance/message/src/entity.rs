//! Character references of HTML (§13.5), as far as mail has them: numbers, and the names of HTML 4.

/// Latin-1 by names, from U+00A0 on (HTML 4 §24.2.1).
/// Old programs left their semicolons out, and browsers read them so.
const LATIN: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf",
    "laquo", "not", "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro",
    "para", "middot", "cedil", "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest",
    "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute",
    "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH", "Ntilde", "Ograve", "Oacute",
    "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute",
    "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil",
    "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde",
    "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave", "uacute", "ucirc",
    "uuml", "yacute", "thorn", "yuml",
];
/// Greek by names, from U+0391 and U+03B1 on; U+03A2 is nothing.
const GREEK: [&str; 25] = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "sigmaf", "sigma", "tau", "upsilon", "phi",
    "chi", "psi", "omega",
];
/// Everything else (HTML 4 §24.3, §24.4), and a few that newer programs write.
const OTHERS: [(&str, char); 78] = [
    ("amp", '&'),
    ("AMP", '&'),
    ("lt", '<'),
    ("LT", '<'),
    ("gt", '>'),
    ("GT", '>'),
    ("quot", '"'),
    ("QUOT", '"'),
    ("apos", '\''),
    ("OElig", 'Œ'),
    ("oelig", 'œ'),
    ("Scaron", 'Š'),
    ("scaron", 'š'),
    ("Yuml", 'Ÿ'),
    ("fnof", 'ƒ'),
    ("circ", 'ˆ'),
    ("tilde", '˜'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("lrm", '\u{200e}'),
    ("rlm", '\u{200f}'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("dagger", '†'),
    ("Dagger", '‡'),
    ("bull", '•'),
    ("hellip", '…'),
    ("permil", '‰'),
    ("prime", '′'),
    ("Prime", '″'),
    ("lsaquo", '‹'),
    ("rsaquo", '›'),
    ("oline", '‾'),
    ("frasl", '⁄'),
    ("euro", '€'),
    ("trade", '™'),
    ("larr", '←'),
    ("uarr", '↑'),
    ("rarr", '→'),
    ("darr", '↓'),
    ("harr", '↔'),
    ("lArr", '⇐'),
    ("rArr", '⇒'),
    ("hArr", '⇔'),
    ("forall", '∀'),
    ("part", '∂'),
    ("exist", '∃'),
    ("empty", '∅'),
    ("isin", '∈'),
    ("notin", '∉'),
    ("prod", '∏'),
    ("sum", '∑'),
    ("minus", '−'),
    ("radic", '√'),
    ("infin", '∞'),
    ("cap", '∩'),
    ("cup", '∪'),
    ("int", '∫'),
    ("asymp", '≈'),
    ("ne", '≠'),
    ("equiv", '≡'),
    ("le", '≤'),
    ("ge", '≥'),
    ("sdot", '⋅'),
    ("loz", '◊'),
    ("check", '✓'),
    ("star", '☆'),
    ("nbhy", '\u{2011}'),
    ("colon", ':'),
];
/// Octets of the longest reference.
const LONGEST: usize = 12;

/// Puts text behind `out`, its references as the characters they stand for.
/// Unknown ones stay as they are.
pub fn decode(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match reference(rest) {
            Some((c, length)) => {
                out.push(c);
                rest = &rest[length..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
}

/// What a reference stands for, and its octets behind the `&`.
fn reference(text: &str) -> Option<(char, usize)> {
    if let Some(number) = text.strip_prefix('#') {
        return numeric(number).map(|(c, length)| (c, length + 1));
    }
    let end = text.bytes().take(LONGEST).take_while(u8::is_ascii_alphanumeric).count();
    let name = &text[..end];
    let has_semicolon = text.as_bytes().get(end) == Some(&b';');
    let (c, is_old) = named(name)?;
    (has_semicolon || is_old).then_some((c, end + usize::from(has_semicolon)))
}

/// A character by its name, and whether it counts without a semicolon.
fn named(name: &str) -> Option<(char, bool)> {
    if let Some(at) = LATIN.iter().position(|known| *known == name) {
        return char::from_u32(0xa0 + at as u32).map(|c| (c, true));
    }
    if let Some((_, c)) = OTHERS.iter().find(|(known, _)| *known == name) {
        return Some((*c, matches!(c, '&' | '<' | '>' | '"')));
    }
    let (first, base) = (
        name.chars().next()?,
        if name.starts_with(|c: char| c.is_ascii_uppercase()) { 0x391 } else { 0x3b1 },
    );
    let is_rest = |known: &&str| {
        known[..1].eq_ignore_ascii_case(&first.to_string()) && known[1..] == name[1..]
    };
    let at = GREEK.iter().position(is_rest)?;
    char::from_u32(base + at as u32).filter(|c| c.is_alphabetic()).map(|c| (c, false))
}

/// A character by its number (§13.2.5.80): what old Windows programs called 128 to 159 is what they meant.
fn numeric(text: &str) -> Option<(char, usize)> {
    let (digits, radix, front) = match text.strip_prefix(['x', 'X']) {
        Some(hex) => (hex, 16, 1),
        None => (text, 10, 0),
    };
    let length = digits.bytes().take_while(|octet| char::from(*octet).is_digit(radix)).count();
    if length == 0 {
        return None;
    }
    // More digits than any character has are none: the number is clipped, not wrapped.
    let value = u32::from_str_radix(&digits[..length], radix).unwrap_or(u32::MAX);
    let c = match value {
        0x80..0xa0 => encoding_rs::WINDOWS_1252.decode(&[value as u8]).0.chars().next(),
        0 => None,
        _ => char::from_u32(value),
    };
    let has_semicolon = digits.as_bytes().get(length) == Some(&b';');
    Some((c.unwrap_or('\u{fffd}'), front + length + usize::from(has_semicolon)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_what_is_none_stays() {
        for (text, is) in [
            ("Gr&uuml;&szlig;e &amp; mehr", "Grüße & mehr"),
            ("&nbsp;|&#160;|&#xA0;|&nbsp|", "\u{a0}|\u{a0}|\u{a0}|\u{a0}|"),
            ("&#8217;&#x2019;&#146;&rsquo;", "’’’’"),
            ("a & b &; &unknown; &hellip &#; &#x; &", "a & b &; &unknown; &hellip &#; &#x; &"),
            ("&#0;&#xD800;&#99999999999999;", "\u{fffd}\u{fffd}\u{fffd}"),
            ("&alpha;&Omega;&Sigma;&sigmaf;&euro;&yuml;", "αΩΣς€ÿ"),
            ("&amp;lt;", "&lt;"),
            ("&ü;", "&ü;"),
        ] {
            let mut out = String::new();
            decode(text, &mut out);
            assert_eq!(out, is, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_read(text in "(&|#|x|[0-9]|;|[a-zA-Z]|ü){0,40}") {
            let mut out = String::new();
            decode(&text, &mut out);
            proptest::prop_assert!(out.len() <= text.len() + 3 * text.matches('&').count());
        }
    }
}
