//! What is searched for, as a tree, and what is known of a message without its text.

use std::collections::{BTreeMap, BTreeSet};

use pillarbox_vocabulary::Timestamp;
use roaring::RoaringBitmap;

use crate::ids::FolderId;
use crate::index::Field;
use crate::mailbox::{Entry, Flags};

/// Some of the fields of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fields(u8);

impl Fields {
    /// Where words are that a person may have read.
    pub const ALL: Fields =
        Fields::of(&[Field::From, Field::To, Field::Subject, Field::Body, Field::File]);

    pub const fn of(fields: &[Field]) -> Fields {
        let (mut bits, mut at) = (0, 0);
        while at < fields.len() {
            bits |= 1 << fields[at] as u8;
            at += 1;
        }
        Fields(bits)
    }

    pub fn contains(self, field: Field) -> bool {
        self.has(field as u8)
    }

    /// The same for the number of a field.
    pub(crate) fn has(self, field: u8) -> bool {
        field < 8 && self.0 & 1 << field != 0
    }
}

/// A folded word in one of some fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    pub word: String,
    pub fields: Fields,
    /// Words that begin so are meant, too.
    pub is_prefix: bool,
}

/// What is known of an entry of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Stored later than this.
    After(Timestamp),
    /// Stored before this.
    Before(Timestamp),
    In(FolderId),
    Has(Flags),
    /// More octets than this.
    Larger(u64),
    /// Fewer octets than this.
    Smaller(u64),
}

impl Fact {
    /// Whether it is so.
    pub fn holds(self, folder: FolderId, entry: &Entry) -> bool {
        match self {
            Fact::After(at) => entry.saved_at > at,
            Fact::Before(at) => entry.saved_at < at,
            Fact::In(wanted) => folder == wanted,
            Fact::Has(flags) => entry.flags.contains(flags),
            Fact::Larger(octets) => u64::from(entry.octets) > octets,
            Fact::Smaller(octets) => u64::from(entry.octets) < octets,
        }
    }
}

/// What is searched for.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    Word(Term),
    /// These words one behind the other in one field.
    Phrase(Vec<Term>),
    Fact(Fact),
    /// Each of these; of none, every message.
    All(Vec<Ask>),
    /// One of these at least; of none, no message.
    Any(Vec<Ask>),
    Not(Box<Ask>),
}

/// How far something is known.
/// In this order the least of several is that of all of them, and the greatest that of any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    No,
    /// The text of the message says.
    Maybe,
    Yes,
}

impl From<bool> for Truth {
    fn from(is: bool) -> Truth {
        if is { Truth::Yes } else { Truth::No }
    }
}

/// What answers for the words of a message.
pub trait Words {
    fn word(&self, term: &Term) -> Truth;
    fn phrase(&self, terms: &[Term]) -> Truth;
}

impl Ask {
    /// Whether an entry is one of those that are searched for.
    pub fn holds(&self, words: &dyn Words, folder: FolderId, entry: &Entry) -> Truth {
        let of = |ask: &Ask| ask.holds(words, folder, entry);
        match self {
            Ask::Word(term) => words.word(term),
            Ask::Phrase(terms) => words.phrase(terms),
            Ask::Fact(fact) => fact.holds(folder, entry).into(),
            Ask::All(asks) => asks.iter().map(of).min().unwrap_or(Truth::Yes),
            Ask::Any(asks) => asks.iter().map(of).max().unwrap_or(Truth::No),
            Ask::Not(ask) => match of(ask) {
                Truth::No => Truth::Yes,
                Truth::Maybe => Truth::Maybe,
                Truth::Yes => Truth::No,
            },
        }
    }

    /// Whether it can hold for an entry, whatever words its message has.
    pub fn may_hold(&self, folder: FolderId, entry: &Entry) -> bool {
        struct Unknown;
        impl Words for Unknown {
            fn word(&self, _: &Term) -> Truth {
                Truth::Maybe
            }
            fn phrase(&self, _: &[Term]) -> Truth {
                Truth::Maybe
            }
        }
        self.holds(&Unknown, folder, entry) != Truth::No
    }

    /// All words in it, each once.
    pub fn terms(&self) -> BTreeSet<&Term> {
        let mut found = BTreeSet::new();
        self.visit(&mut |term| found.extend([term]));
        found
    }

    fn visit<'a>(&'a self, take: &mut dyn FnMut(&'a Term)) {
        match self {
            Ask::Word(term) => take(term),
            Ask::Phrase(terms) => terms.iter().for_each(take),
            Ask::Fact(_) => {}
            Ask::All(asks) | Ask::Any(asks) => asks.iter().for_each(|ask| ask.visit(take)),
            Ask::Not(ask) => ask.visit(take),
        }
    }
}

/// The messages that have each of the words, by their numbers.
pub(crate) type Hits = BTreeMap<Term, RoaringBitmap>;

/// The messages among which those are that are searched for; `None`: among all.
pub(crate) fn among(ask: &Ask, hits: &Hits) -> Option<RoaringBitmap> {
    let of = |term: &Term| hits.get(term).cloned().unwrap_or_default();
    let both = |a: RoaringBitmap, b: RoaringBitmap| a & b;
    match ask {
        Ask::Word(term) => Some(of(term)),
        Ask::Phrase(terms) => terms.iter().map(of).reduce(both),
        Ask::Fact(_) | Ask::Not(_) => None,
        Ask::All(asks) => asks.iter().filter_map(|ask| among(ask, hits)).reduce(both),
        Ask::Any(asks) => asks
            .iter()
            .map(|ask| among(ask, hits))
            .collect::<Option<Vec<_>>>()
            .map(|all| all.into_iter().fold(RoaringBitmap::new(), |a, b| a | b)),
    }
}

/// A message as the index knows it.
pub(crate) struct Known<'a> {
    pub number: u32,
    pub hits: &'a Hits,
}

impl Words for Known<'_> {
    fn word(&self, term: &Term) -> Truth {
        self.hits.get(term).is_some_and(|hits| hits.contains(self.number)).into()
    }

    /// The index knows no places: that would double what it takes.
    fn phrase(&self, terms: &[Term]) -> Truth {
        match terms.iter().all(|term| self.word(term) == Truth::Yes) {
            true if terms.len() < 2 => Truth::Yes,
            true => Truth::Maybe,
            false => Truth::No,
        }
    }
}
