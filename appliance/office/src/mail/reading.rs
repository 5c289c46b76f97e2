//! A stored message opened for reading: its structure, its text, what lists and searches need of it.
//! Blocks, within a budget.

use std::collections::HashMap;
use std::ops::ControlFlow;

use pillarbox_message::calendar;
use pillarbox_message::charset;
use pillarbox_message::choice::Form;
use pillarbox_message::extract::Extractor;
use pillarbox_message::flowed::unflow;
use pillarbox_message::html;
use pillarbox_message::structure::{Part, Person, Structure, Walker};
use pillarbox_message::winmail::{self, Winmail};
use pillarbox_store::{Card, Content, Field, Store};

use super::readers::{Budget, Unread};
use super::spoken::ATTACHMENT;

/// Octets of a body that are shown, and that are searched in.
pub const SHOWN: usize = 1 << 20;
const SEARCHED: usize = 128 * 1024;
/// Octets of a message that a list looks at before the index has read it.
const GLANCED: usize = 64 * 1024;
/// Messages that came along with one and are shown with it, and how deep they are looked for.
const ATTACHED: usize = 20;
const NESTED: usize = 3;
/// Octets that are read at a time.
const PIECE: usize = 64 * 1024;
/// Characters of a name, an address or a subject in a list.
const LINE: usize = 400;
/// Characters of a list's preview.
const PREVIEW: usize = 140;

type Result<T> = std::result::Result<T, Unread>;

/// Gives the decoded octets of what an extractor takes out of a message, piece by piece.
fn decoded(
    store: &Store,
    content: &Content,
    mut extractor: Extractor,
    budget: &Budget,
    take: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    let mut out = Vec::new();
    pieces(store, content, budget, &mut |piece| {
        extractor.push(piece, &mut out);
        take(&out);
        out.clear();
        if extractor.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    extractor.finish(&mut out);
    take(&out);
    Ok(())
}

/// A message in pieces, until no more of it is wanted.
fn pieces(
    store: &Store,
    content: &Content,
    budget: &Budget,
    take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<()> {
    let mut skip = content.delivery_octets();
    let mut give = |piece: &[u8]| {
        let skipped = skip.min(piece.len());
        skip -= skipped;
        take(&piece[skipped..])
    };
    budget.check()?;
    let Some(mut file) = store.open_large(content)? else {
        let mut octets = Vec::new();
        store.read(|r| r.read_inline(content, &mut octets))?;
        for piece in octets.chunks(PIECE) {
            budget.check()?;
            if give(piece).is_break() {
                break;
            }
        }
        return Ok(());
    };
    let mut piece = vec![0; PIECE];
    loop {
        budget.check()?;
        let count = file.read(&mut piece)?;
        if count == 0 || give(&piece[..count]).is_break() {
            return Ok(());
        }
    }
}

/// Takes a message apart.
/// Reads all of it, in pieces.
pub fn structure(store: &Store, content: &Content, budget: &Budget) -> Result<Structure> {
    let mut walker = Walker::new();
    pieces(store, content, budget, &mut |piece| {
        walker.push(piece);
        ControlFlow::Continue(())
    })?;
    Ok(walker.finish())
}

/// The decoded octets of a part, at most `limit`.
pub fn octets(
    store: &Store,
    content: &Content,
    part: &Part,
    limit: usize,
    budget: &Budget,
) -> Result<Vec<u8>> {
    Ok(many(store, content, &[part], limit, budget)?.pop().unwrap_or_default())
}

/// The decoded octets of parts that lie one behind the other, at most `limit` of all of them.
/// Reads the message once.
fn many(
    store: &Store,
    content: &Content,
    parts: &[&Part],
    limit: usize,
    budget: &Budget,
) -> Result<Vec<Vec<u8>>> {
    let mut taken = Taken::new(parts, limit);
    pieces(store, content, budget, &mut |piece| taken.push(piece))?;
    Ok(taken.finish())
}

/// Parts on their way out of a message.
struct Taken {
    parts: Vec<(Extractor, Vec<u8>)>,
    left: usize,
}

impl Taken {
    fn new(parts: &[&Part], limit: usize) -> Taken {
        Taken {
            parts: parts.iter().map(|part| (Extractor::new(part), Vec::new())).collect(),
            left: limit,
        }
    }

    fn push(&mut self, piece: &[u8]) -> ControlFlow<()> {
        for (extractor, out) in &mut self.parts {
            let before = out.len();
            extractor.push(piece, out);
            out.truncate(before + self.left);
            self.left -= out.len() - before;
        }
        let is_over = self.left == 0 || self.parts.iter().all(|(extractor, _)| extractor.is_over());
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn finish(self) -> Vec<Vec<u8>> {
        let mut left = self.left;
        let mut end = |(mut extractor, mut out): (Extractor, Vec<u8>)| {
            let before = out.len();
            extractor.finish(&mut out);
            out.truncate(before + left);
            left -= out.len() - before;
            out
        };
        self.parts.into_iter().map(&mut end).collect()
    }
}

/// What stands in its place in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Html(String),
    /// A picture: the number of its part.
    Picture(usize),
}

/// A message as it is read, in order; at most `limit` octets of text.
pub fn body(
    store: &Store,
    content: &Content,
    structure: &Structure,
    form: Form,
    limit: usize,
    budget: &Budget,
) -> Result<Vec<Piece>> {
    body_of(structure, form, |parts| many(store, content, parts, limit, budget))
}

fn body_of(
    structure: &Structure,
    form: Form,
    read: impl FnOnce(&[&Part]) -> Result<Vec<Vec<u8>>>,
) -> Result<Vec<Piece>> {
    let shown: Vec<(usize, &Part)> = structure
        .shown(form)
        .into_iter()
        .filter_map(|at| Some((at, structure.parts.get(at)?)))
        .collect();
    let is_picture = |part: &Part| part.kind.starts_with("image/");
    let texts: Vec<&Part> =
        shown.iter().map(|(_, part)| *part).filter(|part| !is_picture(part)).collect();
    let mut octets = read(&texts)?.into_iter();
    let piece = |(at, part): (usize, &Part)| match part.kind.as_str() {
        _ if is_picture(part) => Piece::Picture(at),
        "text/html" => {
            Piece::Html(charset::decode_html(&octets.next().unwrap_or_default(), &part.charset))
        }
        _ => Piece::Text(unflow(
            &charset::decode(&octets.next().unwrap_or_default(), &part.charset),
            part.flow,
        )),
    };
    Ok(shown.into_iter().map(piece).collect())
}

/// Pieces as plain text, an empty line between them.
fn joined(pieces: Vec<Piece>) -> String {
    let mut texts = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text),
        Piece::Html(html) => Some(html::to_text(&html)),
        Piece::Picture(_) => None,
    });
    let mut out = texts.next().unwrap_or_default();
    for text in texts.filter(|text| !text.trim().is_empty()) {
        out.truncate(out.trim_end().len());
        if !out.is_empty() {
            out.push_str("\n\n");
        }
        out.push_str(&text);
    }
    out
}

/// A message that is a part of another one.
pub struct Attached {
    /// The numbers of the parts that lead to it, the outermost first.
    pub way: Vec<usize>,
    pub structure: Structure,
    pub text: String,
}

/// The messages that came along, in order, each before those it brings along itself; at most `limit` octets of all
/// their texts.
/// Nested to a bound: what lies deeper can be saved.
pub fn attached(
    store: &Store,
    content: &Content,
    structure: &Structure,
    limit: usize,
    budget: &Budget,
) -> Result<Vec<Attached>> {
    let mut found: Vec<Attached> = Vec::new();
    let mut left = limit;
    let messages = |structure: &Structure, way: &[usize]| {
        let is_message = |(_, part): &(usize, &Part)| part.is_message();
        let way_to = |(at, _): (usize, &Part)| [way, &[at]].concat();
        structure.parts.iter().enumerate().filter(is_message).map(way_to).collect::<Vec<_>>()
    };
    let mut waiting = messages(structure, &[]);
    waiting.reverse();
    while let Some(way) = waiting.pop().filter(|_| found.len() < ATTACHED) {
        let Some(parts) = along(structure, &way, &found) else { continue };
        let (mut extractor, mut walker, mut beginning, mut out) =
            (Extractor::along(&parts), Walker::new(), Vec::new(), Vec::new());
        let mut take = |out: &mut Vec<u8>| {
            walker.push(out);
            beginning.extend_from_slice(&out[..out.len().min(left - beginning.len())]);
            out.clear();
        };
        pieces(store, content, budget, &mut |piece| {
            extractor.push(piece, &mut out);
            take(&mut out);
            if extractor.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        extractor.finish(&mut out);
        take(&mut out);
        let inner = walker.finish();
        let body = body_of(&inner, Form::Plain, |parts| {
            let mut taken = Taken::new(parts, left);
            let _ = taken.push(&beginning);
            Ok(taken.finish())
        })?;
        left = left.saturating_sub(beginning.len());
        if way.len() < NESTED {
            waiting.extend(messages(&inner, &way).into_iter().rev());
        }
        found.push(Attached { way, structure: inner, text: joined(body) });
    }
    Ok(found)
}

/// What a message in a message is about, by its beginning.
pub fn subject(
    store: &Store,
    content: &Content,
    parts: &[Part],
    budget: &Budget,
) -> Result<String> {
    let (mut extractor, mut walker, mut out) = (Extractor::along(parts), Walker::new(), Vec::new());
    let mut count = 0;
    pieces(store, content, budget, &mut |piece| {
        extractor.push(piece, &mut out);
        walker.push(&out);
        count += out.len();
        out.clear();
        if count >= GLANCED || extractor.is_over() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    extractor.finish(&mut out);
    walker.push(&out);
    Ok(walker.finish().subject)
}

/// Whether a part, decoded, is lines as they travel without an encoding (RFC 2045 §2.8): CRLF and nothing of it alone,
/// no NUL, at most 998 octets each.
pub fn travels_as_it_is(
    store: &Store,
    content: &Content,
    part: &Part,
    budget: &Budget,
) -> Result<bool> {
    let mut lines = Lines::default();
    decoded(store, content, Extractor::new(part), budget, &mut |octets| lines.push(octets))?;
    Ok(lines.are_good())
}

/// Lines that are looked at.
#[derive(Default)]
struct Lines {
    length: usize,
    was_cr: bool,
    is_bad: bool,
}

impl Lines {
    fn push(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.is_bad |= octet == 0 || self.was_cr != (octet == b'\n');
            self.length = if octet == b'\n' { 0 } else { self.length + 1 };
            self.was_cr = octet == b'\r';
            self.is_bad |= self.length > 999;
        }
    }

    fn are_good(&self) -> bool {
        !self.is_bad && !self.was_cr
    }
}

/// The parts a way leads through, as far as the messages on it are known.
fn along(structure: &Structure, way: &[usize], known: &[Attached]) -> Option<Vec<Part>> {
    let step = |length: usize| {
        let (at, above) = way[..length].split_last()?;
        let around = match above {
            [] => structure,
            above => &known.iter().find(|message| message.way == above)?.structure,
        };
        around.parts.get(*at).cloned()
    };
    (1..=way.len()).map(step).collect()
}

/// The parts a way leads through: the last one is what it leads to, all others are messages.
pub fn reached(
    store: &Store,
    content: &Content,
    structure: &Structure,
    way: &[usize],
    budget: &Budget,
) -> Result<Option<Vec<Part>>> {
    let mut around = structure.clone();
    let mut parts: Vec<Part> = Vec::new();
    for (depth, &at) in way.iter().take(NESTED + 1).enumerate() {
        if depth > 0 {
            let mut walker = Walker::new();
            decoded(store, content, Extractor::along(&parts), budget, &mut |octets| {
                walker.push(octets)
            })?;
            around = walker.finish();
        }
        let part = around.parts.get(at).filter(|_| parts.iter().all(Part::is_message));
        let Some(part) = part else { return Ok(None) };
        parts.push(part.clone());
    }
    Ok((!parts.is_empty() && parts.len() == way.len()).then_some(parts))
}

/// What is wrapped in a `winmail.dat`.
pub fn winmail(store: &Store, content: &Content, part: &Part, budget: &Budget) -> Result<Winmail> {
    let mut walker = winmail::Walker::default();
    decoded(store, content, Extractor::new(part), budget, &mut |octets| walker.push(octets))?;
    Ok(walker.finish())
}

/// A text part as text, in whatever charset it came (RFC 2046 §4.1.2; old mail names none).
pub fn text(
    store: &Store,
    content: &Content,
    part: &Part,
    limit: usize,
    budget: &Budget,
) -> Result<String> {
    Ok(charset::decode(&octets(store, content, part, limit, budget)?, &part.charset))
}

/// The text of a message for people who read no HTML, and for searching.
pub fn plain(
    store: &Store,
    content: &Content,
    structure: &Structure,
    limit: usize,
    budget: &Budget,
) -> Result<String> {
    Ok(joined(body(store, content, structure, Form::Plain, limit, budget)?))
}

/// What lists show of a message, the texts it is found by, and those it went to.
#[derive(Default)]
pub struct Summary {
    pub card: Card,
    /// The body is the last one: of very many words those of the others count first.
    pub texts: Vec<(Field, String)>,
    pub recipients: Vec<Person>,
}

/// Sums a message up.
pub fn summary(store: &Store, content: &Content, budget: &Budget) -> Result<Summary> {
    let structure = structure(store, content, budget)?;
    let body = plain(store, content, &structure, SEARCHED, budget)?;
    Ok(sum_up(structure, body))
}

/// Sums up what the beginning of a message says: for lists, which must not take longer the larger messages are.
pub fn glance(store: &Store, content: &Content, budget: &Budget) -> Result<Summary> {
    let mut beginning = Vec::new();
    pieces(store, content, budget, &mut |piece| {
        beginning.extend_from_slice(&piece[..piece.len().min(GLANCED - beginning.len())]);
        if beginning.len() < GLANCED { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    let mut walker = Walker::new();
    walker.push(&beginning);
    let structure = walker.finish();
    let body = body_of(&structure, Form::Plain, |parts| {
        let mut taken = Taken::new(parts, GLANCED);
        let _ = taken.push(&beginning);
        Ok(taken.finish())
    })?;
    Ok(sum_up(structure, joined(body)))
}

fn sum_up(structure: Structure, body: String) -> Summary {
    let (card, texts) = summarise(&structure, body);
    Summary { card, texts, recipients: [structure.to, structure.cc, structure.bcc].concat() }
}

/// Reads a message as the index and its page would, and keeps nothing: it did no harm if this comes back.
pub fn probe(store: &Store, content: &Content, budget: &Budget) -> Result<()> {
    let structure = structure(store, content, budget)?;
    plain(store, content, &structure, SHOWN, budget)?;
    attached(store, content, &structure, SHOWN, budget)?;
    for part in &structure.parts {
        match part.kind.as_str() {
            "text/html" => drop(html::clean(
                &text(store, content, part, SHOWN, budget)?,
                &HashMap::new(),
                html::Remote::Blocked,
            )),
            "text/calendar" => {
                drop(calendar::event(&text(store, content, part, calendar::OCTETS, budget)?))
            }
            _ if winmail::is_wrapping(part) => drop(winmail(store, content, part, budget)?),
            _ => {}
        }
    }
    Ok(())
}

fn summarise(structure: &Structure, body: String) -> (Card, Vec<(Field, String)>) {
    let first = structure.from.first().cloned().unwrap_or_default();
    let to = structure.to.first().map(Person::short);
    let attachments = structure
        .attachments()
        .iter()
        .filter(|(_, part)| part.content_id.is_empty() || structure.within(part) != "related")
        .count();
    let said =
        body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('>'));
    let preview: String = said.flat_map(|line| line.chars().chain([' '])).take(PREVIEW).collect();
    let root = structure.references.first().unwrap_or(&structure.message_id);
    let person =
        |field| move |person: &Person| (field, format!("{} {}", person.name, person.address));
    let mut texts: Vec<(Field, String)> = structure.from.iter().map(person(Field::From)).collect();
    texts.extend(structure.to.iter().chain(&structure.cc).map(person(Field::To)));
    texts.push((Field::Subject, structure.subject.clone()));
    texts.extend(
        structure.attachments().iter().map(|(_, part)| (Field::File, part.file_name.clone())),
    );
    if attachments > 0 {
        texts.push((Field::Fact, ATTACHMENT.to_string()));
    }
    texts.push((Field::Body, body));
    let clip = |text: &str| text.chars().take(LINE).collect::<String>();
    let card = Card {
        from_name: clip(&first.name),
        from: clip(&first.address),
        to: clip(&to.unwrap_or_default()),
        recipients: (structure.to.len() + structure.cc.len()) as u32,
        subject: clip(&structure.subject),
        preview: preview.trim_end().to_string(),
        date: structure.date,
        attachments: attachments as u32,
        conversation: if root.is_empty() { 0 } else { pillarbox_store::term("conversation", root) },
    };
    (card, texts)
}

#[cfg(test)]
mod tests {
    use super::super::spoken::Spoken;
    use super::*;

    #[test]
    fn only_lines_that_can_travel_go_without_an_encoding() {
        let long = |length: usize| [vec![b'x'; length], b"\r\n".to_vec()].concat();
        for (octets, is_good) in [
            (b"a\r\n\r\nb".to_vec(), true),
            (b"".to_vec(), true),
            (b"a\nb".to_vec(), false),
            (b"a\rb\r\n".to_vec(), false),
            (b"a\r".to_vec(), false),
            (b"a\0\r\n".to_vec(), false),
            (long(998), true),
            (long(999), false),
        ] {
            for size in [1, 1000] {
                let mut lines = Lines::default();
                octets.chunks(size).for_each(|piece| lines.push(piece));
                assert_eq!(lines.are_good(), is_good, "{octets:?}");
            }
        }
    }

    #[test]
    fn a_message_is_summed_up() {
        let mut walker = Walker::new();
        walker.push(
            b"From: Ann <ann@a.example>\r\nTo: b@b.example\r\nSubject: Offer\r\nIn-Reply-To: <root@a>\r\nMessage-ID: <2@a>\r\n\r\n> old\r\n\r\nHello there\r\n",
        );
        let structure = walker.finish();
        let (card, texts) = summarise(&structure, "> old\n\nHello there\n".into());
        assert_eq!(
            (card.from_name.as_str(), card.to.as_str(), card.preview.as_str()),
            ("Ann", "b@b.example", "Hello there")
        );
        assert_eq!(card.conversation, pillarbox_store::term("conversation", "root@a"));
        let terms = Spoken::of(&texts);
        let terms = terms.terms();
        assert!(
            terms.contains(&(Field::From, "ann"))
                && terms.contains(&(Field::Subject, "offer"))
                && terms.contains(&(Field::Body, "hello"))
        );
        let long = Structure {
            subject: "x".repeat(100_000),
            from: vec![Person { name: "n".repeat(100_000), address: "a".repeat(100_000) }],
            ..Structure::default()
        };
        let (card, _) = summarise(&long, String::new());
        assert_eq!((card.subject.len(), card.from_name.len(), card.from.len()), (LINE, LINE, LINE));
    }
}
