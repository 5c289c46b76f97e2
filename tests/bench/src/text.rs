//! English letters: words as frequent as in real text, so that an index of them is as large as a real one.

use crate::random::Random;

/// Octets of the shortest and the longest letter.
/// Between them lengths are spread evenly by magnitude, 8.3 KB in the mean.
const SHORTEST: f64 = 1_000.0;
const LONGEST: f64 = 29_000.0;
/// Different words.
/// A word's rank is drawn so that its frequency falls with it, as Zipf found for real text.
const WORDS: f64 = 40_000.0;
/// Words in a sentence, and sentences in a paragraph, at most.
const SENTENCE: usize = 18;
const PARAGRAPH: usize = 6;
const WIDTH: usize = 72;

/// The most frequent words, in order.
const FREQUENT: &[&str] = &[
    "the", "to", "of", "and", "a", "in", "is", "for", "that", "you", "it", "on", "we", "with",
    "be", "this", "are", "as", "have", "at", "not", "will", "from", "or", "your", "can", "if",
    "by", "our", "an", "all", "but", "has", "was", "they", "there", "so", "please", "would",
    "about", "what", "when", "one", "which", "us", "do", "more", "no", "any", "time", "me", "been",
    "week", "new", "out", "up", "may", "other", "were", "how", "meeting", "their", "some", "only",
    "could", "then", "also", "should", "need", "now", "like", "them", "than", "just", "work",
    "know", "get", "order", "first", "day", "these", "into", "like", "today", "make", "after",
    "who", "see", "before", "people", "two", "next", "made", "report", "over", "most", "where",
    "here", "project", "think", "price", "much", "way", "good", "call", "office", "back", "thanks",
    "very",
];
const STEMS: &[&str] = &[
    "account", "answer", "arrange", "balance", "board", "bridge", "budget", "camera", "carry",
    "chair", "change", "clear", "cloud", "collect", "color", "compare", "contract", "copy",
    "corner", "count", "cover", "crop", "custom", "deal", "deliver", "depart", "design", "differ",
    "direct", "draft", "drive", "engine", "enter", "estimate", "exchange", "farm", "figure",
    "filter", "finance", "follow", "forest", "forward", "garden", "gather", "glass", "ground",
    "guard", "harbor", "health", "house", "improve", "inform", "invoice", "journey", "kitchen",
    "ladder", "letter", "limit", "machine", "manage", "market", "measure", "member", "mention",
    "mirror", "motor", "number", "observe", "offer", "paint", "paper", "pattern", "payment",
    "plan", "plant", "point", "present", "process", "produce", "promise", "question", "reader",
    "record", "repair", "request", "return", "river", "school", "season", "second", "service",
    "ship", "signal", "silver", "station", "store", "summer", "supply", "support", "table",
    "teach", "travel", "valley", "village", "window", "winter", "wonder", "yellow",
];
const BEGINNINGS: &[&str] = &[
    "", "re", "un", "over", "under", "out", "inter", "pre", "non", "sub", "co", "mis", "counter",
    "super", "fore", "semi",
];
const ENDS: &[&str] = &[
    "", "s", "ed", "ing", "er", "ers", "ment", "able", "ness", "ful", "less", "ly", "ship", "like",
    "wise", "ward", "al", "ist", "ism", "ize", "ward's", "er's", "land", "ton",
];

/// A letter's fields for people and its text, without the final dot.
pub fn letter(number: usize, to: &str, random: &mut Random) -> Vec<u8> {
    let octets = (SHORTEST * (LONGEST / SHORTEST).powf(random.fraction())) as usize;
    let sender = random.below(500);
    let mut subject = String::new();
    for _ in 0..3 + random.below(5) {
        subject.push_str(&word(random));
        subject.push(' ');
    }
    let mut letter = format!(
        "From: \"Person {sender}\" <person{sender}@example.net>\r\nTo: {to}\r\nSubject: {subject}token-{number}-\r\n\
         Date: Mon, 23 Nov 2026 21:58:00 +0000\r\nMessage-ID: <{number}.{}@example.net>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=us-ascii\r\n\r\n",
        random.below(1 << 40)
    );
    while letter.len() < octets {
        for _ in 0..1 + random.below(PARAGRAPH) {
            sentence(&mut letter, random);
        }
        letter.push_str("\r\n\r\n");
    }
    letter.into_bytes()
}

fn sentence(letter: &mut String, random: &mut Random) {
    for place in 0..4 + random.below(SENTENCE) {
        let mut word = word(random);
        if place == 0 {
            word[..1].make_ascii_uppercase();
        }
        let width = letter.len() - letter.rfind('\n').map_or(0, |at| at + 1);
        if width > 0 {
            letter.push_str(if width + word.len() > WIDTH { "\r\n" } else { " " });
        }
        letter.push_str(&word);
    }
    letter.push('.');
}

fn word(random: &mut Random) -> String {
    let rank = WORDS.powf(random.fraction()) as usize - 1;
    let Some(rank) = rank.checked_sub(FREQUENT.len()) else { return FREQUENT[rank].into() };
    let (stem, rest) = (STEMS[rank % STEMS.len()], rank / STEMS.len());
    format!("{}{stem}{}", BEGINNINGS[rest / ENDS.len() % BEGINNINGS.len()], ENDS[rest % ENDS.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_as_long_as_promised_and_wrapped() {
        let mut random = Random::new(1);
        let letters: Vec<_> =
            (0..2000).map(|n| letter(n, "user@example.test", &mut random)).collect();
        let mean = letters.iter().map(Vec::len).sum::<usize>() / letters.len();
        assert!((8_000..9_000).contains(&mean), "{mean}");
        let is_wrapped = |letter: &Vec<u8>| {
            letter.split(|&b| b == b'\n').all(|line| line.len() < 200 && !line.starts_with(b"."))
        };
        assert!(letters.iter().all(is_wrapped));
        assert!(letters.iter().all(|letter| letter.ends_with(b"\r\n")));
    }
}
