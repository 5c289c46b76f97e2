//! Words as they are searched for: folded, so that case and accents make no difference.
//!
//! A word of a text is found by each of its forms: without accents (`muller` for `Müller`), as one spells it where
//! there are no such letters (`mueller`), and by what is between the dots of a name (`pdf` in `report.pdf`).
//! What is typed is looked for in the first two.
//! So `mueller`, `muller` and `müller` all find `Müller`, and `müller` finds `Mueller`.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

/// Characters of a word.
const LENGTH: usize = 30;
/// Forms of a word.
const FORMS: usize = 8;

/// Lower case without accents; `ß` is `ss`, and letters that are two in one are two.
pub fn fold(text: &str) -> String {
    let plain = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    plain.fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            'đ' => out.push('d'),
            c => out.push(c),
        }
        out
    })
}

/// The same with letters spelled out: `ae` for `ä`, as in addresses; `None` where there are no such letters.
fn spelled(word: &str) -> Option<String> {
    if word.is_ascii() {
        return None;
    }
    let (mut out, mut is_other) = (String::with_capacity(word.len()), false);
    for c in word.nfc().flat_map(char::to_lowercase) {
        let letters = match c {
            'ä' => "ae",
            'ö' | 'ø' => "oe",
            'ü' => "ue",
            'å' => "aa",
            c => {
                out.push(c);
                continue;
            }
        };
        out.push_str(letters);
        is_other = true;
    }
    is_other.then(|| fold(&out))
}

fn cut(word: String) -> String {
    match word.char_indices().nth(LENGTH) {
        Some((end, _)) => word[..end].to_string(),
        None => word,
    }
}

/// The words of a text as they are in it, with their offsets (UAX #29); underscores are between words.
fn pieces(text: &str) -> impl Iterator<Item = (usize, &str)> + '_ {
    text.unicode_word_indices()
        .flat_map(|(start, word)| {
            let mut at = start;
            word.split('_').map(move |piece| {
                let here = at;
                at += piece.len() + 1;
                (here, piece)
            })
        })
        .filter(|(_, piece)| piece.chars().any(char::is_alphanumeric))
}

/// The words of a text, folded.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    pieces(text).map(|(_, word)| cut(fold(word)))
}

/// The words of a text, as they are typed: folded, and spelled out where that is something else.
pub fn typed(text: &str) -> impl Iterator<Item = (String, Option<String>)> + '_ {
    pieces(text).map(|(_, word)| (cut(fold(word)), spelled(word).map(cut)))
}

/// The words of a text in order, each in all forms by which it is found.
pub fn forms(text: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    pieces(text).map(|(_, word)| forms_of(word))
}

fn forms_of(word: &str) -> Vec<String> {
    let mut forms = vec![cut(fold(word))];
    forms.extend(spelled(word).map(cut));
    if word.contains('.') && word.chars().any(char::is_alphabetic) {
        forms.extend(word.split('.').filter(|part| part.len() > 1).map(|part| cut(fold(part))));
    }
    forms.truncate(FORMS);
    forms
}

/// A text in pieces: those that begin with a word that was searched for are marked.
/// `wanted` is folded.
pub fn marked(text: &str, wanted: &[String]) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut at = 0;
    for (start, word) in pieces(text) {
        let forms = forms_of(word);
        if wanted.iter().any(|wanted| forms.iter().any(|form| form.starts_with(wanted.as_str()))) {
            found.push((text[at..start].to_string(), false));
            found.push((word.to_string(), true));
            at = start + word.len();
        }
    }
    found.push((text[at..].to_string(), false));
    found.retain(|(piece, _)| !piece.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded() {
        let found: Vec<String> = words("Grüße, Été-2026! it's straße@x.example_old __").collect();
        assert_eq!(found, ["grusse", "ete", "2026", "it's", "strasse", "x.example", "old"]);
        assert_eq!(fold("ÀÉÎ ﬁ Ⅷ Łódź Ærø"), "aei fi viii lodz aero");
        assert_eq!(words(&"ä".repeat(100)).next().unwrap().len(), LENGTH);
        let found = marked("Ein Grüßchen, grüße!", &["gruss".to_string()]);
        assert_eq!(
            found.iter().map(|(piece, is)| (piece.as_str(), *is)).collect::<Vec<_>>(),
            [("Ein ", false), ("Grüßchen", true), (", ", false), ("grüße", true), ("!", false)]
        );
        assert!(
            marked("my_report.pdf", &["report".to_string()])
                .contains(&("report.pdf".to_string(), true))
        );
        assert!(
            marked("an Müller", &["mueller".to_string()]).contains(&("Müller".to_string(), true))
        );
    }

    #[test]
    fn a_word_has_the_forms_by_which_it_is_found() {
        let found: Vec<Vec<String>> =
            forms("Müller Mu\u{308}ller report.pdf 3.14 Göteborg.Ångström").collect();
        assert_eq!(found[0], ["muller", "mueller"]);
        assert_eq!(found[1], found[0], "however it is written");
        assert_eq!(found[2], ["report.pdf", "report", "pdf"]);
        assert_eq!(found[3], ["3.14"]);
        assert_eq!(found[4][..2], ["goteborg.angstrom", "goeteborg.aangstroem"]);
        assert_eq!(
            typed("Über").collect::<Vec<_>>(),
            [("uber".to_string(), Some("ueber".to_string()))]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_words_within_bounds(text in "\\PC{0,200}") {
            for forms in forms(&text) {
                proptest::prop_assert!((1..=FORMS).contains(&forms.len()) && forms.iter().all(|form| form.chars().count() <= LENGTH));
            }
            let pieces = marked(&text, &["a".to_string()]);
            proptest::prop_assert_eq!(pieces.into_iter().map(|(piece, _)| piece).collect::<String>(), text);
        }
    }
}
