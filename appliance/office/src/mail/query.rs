//! What a person types into the search field.

use pillarbox_message::words::words;
use pillarbox_store::{Flags, FolderId, Found};

/// A search that was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// For each word its alternatives in the index; a message needs one of each.
    pub clauses: Vec<Vec<String>>,
    /// Folded words to be marked in results.
    pub words: Vec<String>,
    /// Seconds since 1970.
    pub after: Option<u64>,
    pub before: Option<u64>,
    pub folder: Option<String>,
    pub unread: Option<bool>,
    pub flagged: bool,
}

/// Words of one search.
const WORDS: usize = 12;

impl Query {
    /// Understands words, "phrases" (as words), and `from: to: subject: has:attachment before: after: in: is:unread is:read is:flagged`.
    pub fn parse(text: &str) -> Query {
        let mut query = Query::default();
        let mut rest = text.trim();
        while !rest.is_empty() && query.clauses.len() < WORDS {
            let (token, later) = token(rest);
            query.take(&token);
            rest = later.trim_start();
        }
        query
    }

    fn take(&mut self, token: &str) {
        let (key, value) = token.split_once(':').map_or(("", token), |(key, value)| (key, value));
        let value = value.trim_matches('"');
        let day = || pillarbox_platform::clock::parse(value).ok();
        match key.to_ascii_lowercase().as_str() {
            "from" => self.words_of(value, &['f']),
            "to" | "cc" => self.words_of(value, &['t']),
            "subject" => self.words_of(value, &['s']),
            "has" if value.eq_ignore_ascii_case("attachment") => self.clauses.push(vec!["xattachment".into()]),
            "before" if day().is_some() => self.before = day().map(|(start, _)| start),
            "after" if day().is_some() => self.after = day().map(|(_, end)| end),
            "in" => self.folder = Some(value.to_lowercase()),
            "is" if value.eq_ignore_ascii_case("unread") => self.unread = Some(true),
            "is" if value.eq_ignore_ascii_case("read") => self.unread = Some(false),
            "is" if value.eq_ignore_ascii_case("flagged") => self.flagged = true,
            _ => self.words_of(token.trim_matches('"'), &['f', 't', 's', 'b']),
        }
    }

    fn words_of(&mut self, text: &str, fields: &[char]) {
        for word in words(text) {
            // As one types: the last letters may be missing. A single letter would match nearly everything.
            let end = if word.chars().count() > 1 { "*" } else { "" };
            self.clauses.push(fields.iter().map(|field| format!("{field}{word}{end}")).collect());
            self.words.push(word);
        }
    }

    /// Whether there is anything to search for.
    pub fn is_empty(&self) -> bool {
        *self == Query::default()
    }

    /// Whether an entry passes what is not in the index. `folder` is the one that `in:` names.
    pub fn passes(&self, found: &Found, folder: Option<FolderId>) -> bool {
        let flags = found.entry.flags;
        self.after.is_none_or(|after| found.entry.saved_at > after)
            && self.before.is_none_or(|before| found.entry.saved_at < before)
            && folder.is_none_or(|folder| found.folder == folder)
            && self.unread.is_none_or(|unread| flags.contains(Flags::SEEN) != unread)
            && (!self.flagged || flags.contains(Flags::FLAGGED))
    }

    /// Whether a message's terms, sorted, have all that is asked for: for messages that are not in the index yet.
    pub fn matches(&self, terms: &[String]) -> bool {
        let has = |term: &String| match term.strip_suffix('*') {
            Some(prefix) => {
                let at = terms.partition_point(|known| known.as_str() < prefix);
                terms.get(at).is_some_and(|known| known.starts_with(prefix))
            }
            None => terms.binary_search(term).is_ok(),
        };
        self.clauses.iter().all(|alternatives| alternatives.iter().any(has))
    }
}

/// The next token: quotes keep blanks together.
fn token(text: &str) -> (String, &str) {
    let mut is_quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => return (text[..at].to_string(), &text[at..]),
            _ => {}
        }
    }
    (text.to_string(), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn anything_can_be_typed(text in "\\PC{0,80}") {
            Query::parse(&text);
        }
    }

    #[test]
    fn searches_are_understood_as_typed() {
        let query = Query::parse("Grüße from:ann subject:\"new offer\" has:attachment before:2026-09-21 is:unread in:Sent x");
        assert_eq!(query.clauses[0], ["fgrusse*", "tgrusse*", "sgrusse*", "bgrusse*"]);
        assert_eq!(query.clauses[1], ["fann*"]);
        assert_eq!(query.clauses[2..4], [vec!["snew*".to_string()], vec!["soffer*".to_string()]]);
        assert_eq!((query.before, query.unread, query.folder.as_deref()), (Some(1_789_948_800), Some(true), Some("sent")));
        assert_eq!(query.clauses[5], ["fx", "tx", "sx", "bx"]);
        assert!(Query::parse("  ").is_empty() && Query::parse("http://x").clauses.len() == 2);
        let terms: Vec<String> = ["bgrussen", "fann", "sneu", "xattachment"].map(String::from).to_vec();
        assert!(Query::parse("grüße from:ann").matches(&terms));
        assert!(Query::parse("grüs from:an has:attachment").matches(&terms));
        assert!(!Query::parse("from:bob").matches(&terms));
    }
}
