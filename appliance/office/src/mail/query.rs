//! What a person types into the search field.
//!
//! Words are looked for wherever a person may have read them: names and addresses, subject, text, names of files.
//! The last letters of a word may be missing.
//! "Phrases" are meant word by word, one behind the other; `-` leaves out what has it; `OR` is between alternatives,
//! and binds before everything else does.

use pillarbox_message::words::typed;
use pillarbox_store::{Ask, Fact, Field, Fields, Flags, FolderId, Term};

use super::spoken::ATTACHMENT;

/// A search that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub ask: Ask,
    /// Folded words to be marked in results.
    pub words: Vec<String>,
}

/// Words and conditions of one search.
const CLAUSES: usize = 24;
/// Octets that are read of what was typed.
const LENGTH: usize = 1000;

impl Query {
    /// Understands words, "phrases", `-` and `OR`, and
    /// `from: to: subject: filename: has:attachment before: after: larger: smaller: in: is:unread is:read is:flagged`.
    /// `folder` knows folders by their names; nothing is in one that it does not know.
    pub fn parse(text: &str, folder: &dyn Fn(&str) -> Option<FolderId>) -> Query {
        let mut groups: Vec<Vec<Ask>> = Vec::new();
        let mut words = Vec::new();
        let (mut rest, mut is_alternative, mut count) =
            (text[..text.floor_char_boundary(LENGTH)].trim(), false, 0);
        while !rest.is_empty() && count < CLAUSES {
            let (whole, later) = token(rest);
            rest = later.trim_start();
            if whole == "OR" {
                is_alternative = !groups.is_empty();
                continue;
            }
            let (is_not, token) = whole
                .strip_prefix('-')
                .filter(|token| !token.is_empty())
                .map_or((false, whole), |token| (true, token));
            let mut found = Vec::new();
            let Some(ask) = understood(token, folder, &mut found) else { continue };
            count += 1 + found.len();
            let ask = if is_not { Ask::Not(Box::new(ask)) } else { ask };
            if !is_not {
                words.append(&mut found);
            }
            match groups.last_mut().filter(|_| is_alternative) {
                Some(group) => group.push(ask),
                None => groups.push(vec![ask]),
            }
            is_alternative = false;
        }
        let any =
            |mut group: Vec<Ask>| if group.len() == 1 { group.remove(0) } else { Ask::Any(group) };
        Query { ask: Ask::All(groups.into_iter().map(any).collect()), words }
    }

    /// Whether there is anything to search for.
    pub fn is_empty(&self) -> bool {
        self.ask == Ask::All(Vec::new())
    }
}

/// What a token asks for; its words go to `words`.
/// `None`: nothing.
fn understood(
    token: &str,
    folder: &dyn Fn(&str) -> Option<FolderId>,
    words: &mut Vec<String>,
) -> Option<Ask> {
    let (key, value) = token.split_once(':').unwrap_or(("", token));
    let bare = value.trim_matches('"');
    let day = || pillarbox_platform::clock::parse(bare).ok();
    let is = |what: &str| bare.eq_ignore_ascii_case(what);
    let fact = |fact| Some(Ask::Fact(fact));
    match key.to_ascii_lowercase().as_str() {
        "from" => said(value, Fields::of(&[Field::From]), words),
        "to" | "cc" => said(value, Fields::of(&[Field::To]), words),
        "subject" => said(value, Fields::of(&[Field::Subject]), words),
        "filename" => said(value, Fields::of(&[Field::File]), words),
        "has" if is("attachment") => Some(Ask::Word(Term {
            word: ATTACHMENT.into(),
            fields: Fields::of(&[Field::Fact]),
            is_prefix: false,
        })),
        "before" if day().is_some() => fact(Fact::Before(day()?.0)),
        "after" if day().is_some() => fact(Fact::After(day()?.1)),
        "larger" if octets(bare).is_some() => fact(Fact::Larger(octets(bare)?)),
        "smaller" if octets(bare).is_some() => fact(Fact::Smaller(octets(bare)?)),
        "in" if !bare.is_empty() => Some(
            folder(&bare.to_lowercase())
                .map_or(Ask::Any(Vec::new()), |folder| Ask::Fact(Fact::In(folder))),
        ),
        "is" if is("unread") => Some(Ask::Not(Box::new(Ask::Fact(Fact::Has(Flags::SEEN))))),
        "is" if is("read") => fact(Fact::Has(Flags::SEEN)),
        "is" if is("flagged") => fact(Fact::Has(Flags::FLAGGED)),
        _ => said(token, Fields::ALL, words),
    }
}

/// Words or a phrase in some fields.
fn said(text: &str, fields: Fields, words: &mut Vec<String>) -> Option<Ask> {
    let term = |word: String, is_prefix| Term { word, fields, is_prefix };
    if let Some(phrase) = text.strip_prefix('"') {
        // As one types: the last word of a phrase without its end may go on.
        let is_open = !phrase.ends_with('"');
        let mut terms: Vec<Term> =
            typed(phrase).map(|(word, _)| term(word, false)).take(CLAUSES).collect();
        words.extend(terms.iter().map(|term| term.word.clone()));
        terms.last_mut()?.is_prefix = is_open && may_go_on(&terms.last()?.word);
        return Some(if terms.len() == 1 {
            Ask::Word(terms.remove(0))
        } else {
            Ask::Phrase(terms)
        });
    }
    let mut all = Vec::new();
    for (word, spelled) in typed(text).take(CLAUSES) {
        let mut ways = vec![word];
        ways.extend(spelled);
        words.extend(ways.iter().cloned());
        let mut asks: Vec<Ask> = ways
            .into_iter()
            .map(|word| (may_go_on(&word), word))
            .map(|(is_prefix, word)| Ask::Word(term(word, is_prefix)))
            .collect();
        all.push(if asks.len() == 1 { asks.remove(0) } else { Ask::Any(asks) });
    }
    match all.len() {
        0 => None,
        1 => Some(all.remove(0)),
        _ => Some(Ask::All(all)),
    }
}

/// The last letters may be missing; a single letter would match nearly everything.
fn may_go_on(word: &str) -> bool {
    word.chars().count() > 1
}

/// `500`, `20k`, `5M`, `1.5g`: octets.
fn octets(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let number = text.trim_end_matches(['k', 'm', 'g']);
    let shift = match &text[number.len()..] {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    (0.0..1e9).contains(&number).then_some((number * (1u64 << shift) as f64) as u64)
}

/// The next token: quotes keep blanks together.
fn token(text: &str) -> (&str, &str) {
    let mut is_quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => return (&text[..at], &text[at..]),
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use pillarbox_store::{Entry, MessageId, Timestamp, Truth};

    use super::super::spoken::Spoken;
    use super::*;

    fn parse(text: &str) -> Query {
        Query::parse(text, &|name| (name == "sent").then_some(FolderId::SENT))
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_typed(text in "\\PC{0,80}", more in "[a-z\": OR-]{0,40}") {
            parse(&text);
            parse(&more);
        }
    }

    #[test]
    fn what_is_typed_finds_what_is_meant() {
        let texts = [
            (Field::From, "Ann Müller ann@post.example".to_string()),
            (Field::To, "bob@b.example".to_string()),
            (Field::Subject, "Neues Angebot".to_string()),
            (Field::Body, "Grüße aus der Rechnung_2026, wie besprochen".to_string()),
            (Field::File, "offer_v2.pdf".to_string()),
            (Field::Fact, ATTACHMENT.to_string()),
        ];
        let spoken = Spoken::of(&texts);
        let entry = Entry {
            message: MessageId(1),
            unique_id: 1,
            octets: 3 << 20,
            saved_at: Timestamp(1_789_948_800),
            flags: Flags::FLAGGED,
            modseq: 1,
            keywords: 0,
        };
        let finds =
            |text: &str| parse(text).ask.holds(&spoken, FolderId::INBOX, &entry) == Truth::Yes;
        for text in [
            "grüße", "grus from:an has:attachment", "mueller", "muller", "müller",
            "from:\"ann müller\"", "\"aus der rechnung\"", "rechnung 2026", "2026",
            "\"aus der rech", "filename:offer", "pdf", "v2", "offer_v2", "-from:bob",
            "subject:angebot -pdfs", "nothing OR angebot", "bob nothing OR angebot", "larger:2M",
            "smaller:4M", "larger:2.5mb", "is:unread is:flagged", "-is:read", "-in:sent",
            "before:2026-12-24", "after:2026-01-01", "angebot OR", "OR angebot", "post.example",
            "example", "-\"angebot neues\"",
        ] {
            assert!(finds(text), "{text}");
        }
        for text in [
            "from:bob", "\"neues angebote\"", "\"der aus\"", "-angebot", "-\"neues angebot\"",
            "\"angebo\"", "in:sent", "in:nowhere", "larger:3M", "smaller:1k", "is:read",
            "nothing OR other", "angebot nothing OR other", "x", "filename:rechnung",
            "-in:inbox -nothing -neues",
        ] {
            assert!(!finds(text), "{text}");
        }
        assert!(
            parse("  ").is_empty()
                && parse("- \"\" OR").is_empty()
                && !parse("in:nowhere").is_empty()
        );
        assert_eq!(
            parse("http://x -left \"two words\" müller").words,
            ["http", "x", "two", "words", "muller", "mueller"]
        );
        assert_eq!(
            ["5", "5k", "1.5M", "2GB", "x", "-1", "1e300", "5x"].map(octets),
            [Some(5), Some(5120), Some(3 << 19), Some(2 << 30), None, None, None, None]
        );
    }
}
