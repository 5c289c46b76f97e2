//! People in a form's field: written so that they are read again as they were (RFC 5322 §3.4), and read as people type
//! and paste them.
//! What is no address is refused by its own words, never made into another one.

use pillarbox_vocabulary::Address;

use crate::structure::Person;

/// People in one field.
const PEOPLE: usize = 500;

/// People as a field has them.
pub fn field(people: &[Person]) -> String {
    people.iter().map(mailbox).collect::<Vec<_>>().join(", ")
}

/// One of them; a name that holds more than words is quoted (RFC 5322 §3.2.4).
pub fn mailbox(person: &Person) -> String {
    let is_word =
        |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    match (person.name.is_empty(), person.name.chars().all(is_word)) {
        (true, _) => person.address.clone(),
        (false, true) => format!("{} <{}>", person.name, person.address),
        (false, false) => format!("{} <{}>", quoted(&person.name), person.address),
    }
}

/// A quoted string (RFC 5322 §3.2.4).
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The words that are no address, or one too many, as they were typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnAddress(pub String);

/// People as they are typed: with names, with commas, semicolons or line ends between them.
pub fn recipients(text: &str) -> Result<Vec<Person>, NotAnAddress> {
    let mut found = Vec::new();
    for piece in pieces(text) {
        found.push(person(piece)?);
        if found.len() > PEOPLE {
            return Err(NotAnAddress(piece.to_string()));
        }
    }
    Ok(found)
}

/// What is between separators, those within quotes, brackets and comments left out of account.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut at = Within::default();
    let between = text.split(move |c: char| {
        matches!(c, ',' | ';' | '\n' | '\r') && at.step(c) == 0
            || !matches!(c, ',' | ';' | '\n' | '\r') && at.pass(c)
    });
    between.map(str::trim).filter(|piece| !piece.is_empty())
}

/// Where in the syntax of addresses a character is.
#[derive(Clone, Copy, Default)]
struct Within {
    is_quoted: bool,
    is_escaped: bool,
    is_bracketed: bool,
    comments: usize,
}

impl Within {
    /// Takes one in; how many quotes, brackets and comments are open in front of it.
    fn step(&mut self, c: char) -> usize {
        let open = usize::from(self.is_quoted) + usize::from(self.is_bracketed) + self.comments;
        match (c, self.is_quoted) {
            _ if self.is_escaped => {}
            ('"', _) => self.is_quoted = !self.is_quoted,
            ('<', false) => self.is_bracketed = true,
            ('>', false) => self.is_bracketed = false,
            ('(', false) => self.comments += 1,
            (')', false) => self.comments = self.comments.saturating_sub(1),
            _ => {}
        }
        self.is_escaped = c == '\\' && self.is_quoted && !self.is_escaped;
        open
    }

    /// Takes one in that separates nothing.
    fn pass(&mut self, c: char) -> bool {
        self.step(c);
        false
    }
}

fn person(piece: &str) -> Result<Person, NotAnAddress> {
    let wrong = || NotAnAddress(piece.to_string());
    let outside = |wanted: char| {
        let mut within = Within::default();
        piece.char_indices().find(|&(_, c)| within.step(c) == 0 && c == wanted).map(|(at, _)| at)
    };
    let (name, address) = match (outside('<'), outside('(')) {
        (Some(at), _) => (&piece[..at], piece[at + 1..].strip_suffix('>').ok_or_else(wrong)?),
        (None, Some(at)) => (piece[at + 1..].strip_suffix(')').ok_or_else(wrong)?, &piece[..at]),
        (None, None) => ("", piece),
    };
    let mut within = Within::default();
    let is_closed = piece.chars().chain([' ']).map(|c| within.step(c)).last() == Some(0);
    let address = address.trim();
    let address = address
        .get(..7)
        .filter(|front| front.eq_ignore_ascii_case("mailto:"))
        .map_or(address, |_| &address[7..]);
    // No host is reached by a name without a dot (RFC 5321 §2.3.5); who types one forgot the rest.
    let is_whole = Address::parse(address)
        .is_ok_and(|parsed| parsed.domain().is_literal() || parsed.domain().as_str().contains('.'));
    match is_whole && is_closed {
        true => Ok(Person { name: plain(name), address: address.to_string() }),
        false => Err(if address.is_empty() { wrong() } else { NotAnAddress(address.to_string()) }),
    }
}

/// A name without its quotes.
fn plain(name: &str) -> String {
    let (mut out, mut is_escaped) = (String::new(), false);
    for c in name.trim().chars().filter(|c| !c.is_control()) {
        match c {
            '\\' | '"' if !is_escaped => is_escaped = c == '\\',
            c => {
                out.push(c);
                is_escaped = false;
            }
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, address: &str) -> Person {
        Person { name: name.into(), address: address.into() }
    }

    #[test]
    fn people_are_read_as_they_are_typed() {
        for (text, read) in [
            (
                "Ann <ann@a.example>; b@b.example,",
                vec![person("Ann", "ann@a.example"), person("", "b@b.example")],
            ),
            (
                "\"Doe, Jane\" <j@x.example>\nb@b.example",
                vec![person("Doe, Jane", "j@x.example"), person("", "b@b.example")],
            ),
            ("\"a \\\"b\\\" \\\\; c\" <a@a.example>", vec![person("a \"b\" \\; c", "a@a.example")]),
            ("mailto:ann@a.example", vec![person("", "ann@a.example")]),
            ("ann@a.example (Ann, at home)", vec![person("Ann, at home", "ann@a.example")]),
            (
                "<ann@a.example>, \"x y\"@a.example, c@[192.0.2.1]",
                vec![
                    person("", "ann@a.example"),
                    person("", "\"x y\"@a.example"),
                    person("", "c@[192.0.2.1]"),
                ],
            ),
            (" , ;\r\n", vec![]),
        ] {
            assert_eq!(recipients(text), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_its_words_and_made_into_none() {
        for (text, wrong) in [
            ("ann@a.example, nobody", "nobody"),
            ("nobody, Ann <ann@a.example>", "nobody"),
            ("Hans bob@remote.test", "Hans bob@remote.test"),
            ("first last@remote.test", "first last@remote.test"),
            ("Hans <first last@remote.test>", "first last@remote.test"),
            ("a@b.example c@d.example", "a@b.example c@d.example"),
            ("Miller, Hans <h@x.example>", "Miller"),
            ("ann@a.example>", "ann@a.example>"),
            ("Ann <ann@a.example", "Ann <ann@a.example"),
            ("Ann <ann@a.example> x", "Ann <ann@a.example> x"),
            ("Ann <>", "Ann <>"),
            ("\"Ann <ann@a.example>, b@b.example", "\"Ann <ann@a.example>, b@b.example"),
            ("ann@localhost", "ann@localhost"),
            ("ann@@a.example", "ann@@a.example"),
            ("ann@ a.example", "ann@ a.example"),
            ("an\u{a0}n@a.example", "an\u{a0}n@a.example"),
        ] {
            assert_eq!(recipients(text), Err(NotAnAddress(wrong.to_string())), "{text}");
        }
        assert!(
            recipients(&"a@b.example,".repeat(PEOPLE + 1)).is_err()
                && recipients(&"a@b.example,".repeat(PEOPLE)).is_ok()
        );
    }

    proptest::proptest! {
        #[test]
        fn what_a_field_has_is_read_again(names in proptest::collection::vec("[a-zÜ.,;:<>()@\"\\\\ ]{0,20}", 0..4)) {
            let people: Vec<Person> = names.iter().map(|name| person(&name.split_whitespace().collect::<Vec<_>>().join(" "), "a@b.example")).collect();
            proptest::prop_assert_eq!(recipients(&field(&people)), Ok(people));
        }

        #[test]
        fn anything_can_be_typed(text in "[a@.,;<>()\"\\\\\n ]{0,40}") {
            let _ = recipients(&text);
        }
    }
}
