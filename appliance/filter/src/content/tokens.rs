//! Texts cut into words, and what is told of texts in few letters.

/// Octets of a word that counts, at least.
const SHORT: usize = 2;
/// Characters of a word: a longer one counts by its beginning.
const LONG: usize = 24;
/// Octets of a form, and characters that are looked at for it.
const FORM: usize = 16;
const FORMED: usize = 80;

/// Gives each word of a text in order, in small letters: letters and digits, with the marks that join them.
pub fn words(text: &str, mut take: impl FnMut(&str)) {
    let (mut word, mut characters) = (String::with_capacity(4 * LONG), 0);
    for c in text.chars() {
        let is_letter = match c.is_ascii() {
            true => c.is_ascii_alphanumeric() || c == '$',
            false => c.is_alphanumeric(),
        };
        if is_letter || characters > 0 && matches!(c, '\'' | '-' | '.' | '_' | '@') {
            characters += 1;
            match c {
                _ if characters > LONG => {}
                c if c.is_ascii() => word.push(c.to_ascii_lowercase()),
                c => word.extend(c.to_lowercase()),
            }
        } else if characters > 0 {
            give(&mut word, &mut take);
            characters = 0;
        }
    }
    give(&mut word, &mut take);
}

fn give(word: &mut String, take: &mut impl FnMut(&str)) {
    let plain = word.trim_end_matches(['\'', '-', '.', '_', '@']);
    if plain.len() >= SHORT {
        take(plain);
    }
    word.clear();
}

/// How a text is built: its runs of small and large letters, digits and blanks, and its marks.
pub fn form(text: &str) -> String {
    let mut out = String::with_capacity(FORM);
    for c in text.chars().take(FORMED) {
        let is = match c {
            c if c.is_ascii_digit() => '9',
            c if c.is_uppercase() => 'A',
            c if c.is_alphanumeric() => 'a',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if out.len() + is.len_utf8() > FORM {
            break;
        }
        if !out.ends_with(is) {
            out.push(is);
        }
    }
    out
}

/// A number by its size: few are told apart, many by their powers of two.
pub fn size(number: usize) -> String {
    match number {
        0..=4 => number.to_string(),
        _ => format!("2^{}", number.ilog2()),
    }
}

/// Large letters among the letters of a text, in twentieths.
pub fn shouts(text: &str) -> usize {
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    text.bytes().filter(u8::is_ascii_uppercase).count() * 20 / letters.max(1)
}

/// Names of hosts.
pub mod host {
    /// What most often belongs to one owner: the last two labels.
    pub fn registered(name: &str) -> &str {
        let at = name.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
        &name[at..]
    }

    /// The host of an address, in small letters; empty where it has none.
    pub fn of_address(address: &str) -> String {
        let host = address.rsplit_once('@').map_or("", |(_, host)| host);
        host.trim_end_matches(['>', ' ']).to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_small_and_keep_what_joins_them() {
        let mut found = Vec::new();
        words("Gr\u{fc}\u{df}e, it's $99.95! x Ann@Box.test- __ ANN", |word| {
            found.push(word.to_string());
        });
        assert_eq!(found, ["gr\u{fc}\u{df}e", "it's", "$99.95", "ann@box.test", "ann"]);
        words(&"a".repeat(1000), |word| assert_eq!(word.len(), LONG));
    }

    #[test]
    fn forms_sizes_and_hosts_are_short() {
        assert_eq!(form("Re: 20% OFF!!"), "Aa: 9% A!");
        assert!(
            form(&"aB".repeat(100)).len() <= FORM && form(&"\u{2603}x".repeat(9)).len() <= FORM
        );
        assert_eq!([0, 4, 5, 1000].map(size), ["0", "4", "2^2", "2^9"]);
        assert_eq!(host::registered("a.b.example.test"), "example.test");
        assert_eq!(host::of_address("<Ann@Mail.Box.test>"), "mail.box.test");
        assert_eq!((host::registered("x"), host::of_address("x")), ("x", String::new()));
        assert_eq!(shouts("ABcd 1"), 10);
    }
}
