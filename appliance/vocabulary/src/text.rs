//! Text from outside that stands in one line of a page or a terminal, beside other text.

/// Whether a character is not seen but changes what is: it turns the writing direction (UAX #9), or hides in a word.
/// Joiners are not among them: [`one_line`] looks at what they join.
pub fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The text on one line, without characters that are not seen: what ends lines or controls terminals is a blank, and a
/// joiner (U+200C, U+200D) stays only behind a letter or picture outside of ASCII, whose form it changes.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|&c| !is_unseen(c)) {
        let joins =
            || out.chars().next_back().is_some_and(|last| !last.is_ascii() && !is_joiner(last));
        if is_joiner(c) && !joins() {
            continue;
        }
        let is_break = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        out.push(if is_break { ' ' } else { c });
    }
    out
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_and_writing_stays() {
        for text in [
            "Müller, Jörg", "שלום עולם", "مرحبا بالعالم", "می\u{200c}خواهم", "क्\u{200d}ष",
            "👩\u{200d}👩\u{200d}👧 x", "അവന്\u{200d} ക്\u{200d}", "ശ്രീ\u{200c}x", "葛\u{e0100}城",
            "a\u{a0}b \u{fffd}", "",
        ] {
            assert_eq!(one_line(text), text);
        }
        for (text, is) in [
            ("\u{202e}tset.proc@ssob", "tset.proc@ssob"),
            ("a\u{2066}b\u{2069}\u{200f}c", "abc"),
            ("bo\u{200b}ss@co\u{ad}rp\u{feff}", "boss@corp"),
            ("\u{200d}a\u{200d}b\u{200c}ü\u{200d}\u{200d}", "abü\u{200d}"),
            ("a\r\nb\u{2028}c\0", "a  b c "),
            ("a\u{e0041}b", "ab"),
        ] {
            assert_eq!(one_line(text), is, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_unseen_is_left_and_once_is_enough(text in "(\\PC|[\\u{200c}\\u{200d}\\u{202a}-\\u{202e}\\u{2066}\\n\\u{2028}a@ü]){0,40}") {
            let once = one_line(&text);
            proptest::prop_assert!(!once.chars().any(|c| is_unseen(c) || c.is_control()));
            proptest::prop_assert_eq!(one_line(&once), once);
        }
    }
}
