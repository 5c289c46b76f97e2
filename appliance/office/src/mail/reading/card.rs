//! What is kept of a message besides its content: for lists and searches.

use std::ops::ControlFlow;

use pillarbox_message::choice::Form;
use pillarbox_message::received;
use pillarbox_message::structure::{Person, Structure, Walker};
use pillarbox_store::{Card, Content, Field, Store};
use pillarbox_vocabulary::Timestamp;
use pillarbox_vocabulary::text::one_line;

use super::body::{body_of, joined, plain};
use super::pieces::{Result, Taken, pieces, structure};
use crate::mail::readers::Budget;
use crate::mail::spoken::ATTACHMENT;

/// Octets of a body that are searched in.
const SEARCHED: usize = 128 * 1024;
/// Octets of a message that a list looks at before the index has read it.
const GLANCED: usize = 64 * 1024;
/// Characters of a name, an address or a subject in a list.
const LINE: usize = 400;
/// Characters of a list's preview.
const PREVIEW: usize = 72;

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

fn summarise(structure: &Structure, body: String) -> (Card, Vec<(Field, String)>) {
    let attachments = structure
        .attachments()
        .iter()
        .filter(|(_, part)| part.content_id.is_empty() || structure.within(part) != "related")
        .count();
    let card = card(structure, &body, attachments as u32);
    (card, texts(structure, body, attachments > 0))
}

/// What lists show.
fn card(structure: &Structure, body: &str, attachments: u32) -> Card {
    let first = structure.from.first().cloned().unwrap_or_default();
    let to = structure.to.first().map(Person::short);
    let said =
        body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('>'));
    let preview: String = said.flat_map(|line| line.chars().chain([' '])).take(PREVIEW).collect();
    let root = structure.references.first().unwrap_or(&structure.message_id);
    let clip = |text: &str| text.chars().take(LINE).collect::<String>();
    Card {
        from_name: clip(&first.name),
        from: clip(&first.address),
        to: clip(&to.unwrap_or_default()),
        recipients: (structure.to.len() + structure.cc.len()) as u32,
        subject: clip(&structure.subject),
        preview: one_line(preview.trim_end()),
        date: Timestamp(structure.date),
        attachments,
        conversation: if root.is_empty() { 0 } else { pillarbox_store::term("conversation", root) },
    }
}

/// What searches look at.
fn texts(structure: &Structure, body: String, has_attachments: bool) -> Vec<(Field, String)> {
    let person =
        |field| move |person: &Person| (field, format!("{} {}", person.name, person.address));
    let mut texts: Vec<(Field, String)> = structure.from.iter().map(person(Field::From)).collect();
    texts.extend(structure.to.iter().chain(&structure.cc).map(person(Field::To)));
    // Who gave out sub-addresses finds what came to one of them, also when To says something else.
    let recipient = received::recipient(&structure.received);
    texts.extend(recipient.map(|address| (Field::To, address.to_string())));
    texts.push((Field::Subject, structure.subject.clone()));
    texts.extend(
        structure.attachments().iter().map(|(_, part)| (Field::File, part.file_name.clone())),
    );
    if has_attachments {
        texts.push((Field::Fact, ATTACHMENT.to_string()));
    }
    texts.push((Field::Body, body));
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::spoken::Spoken;
    use pillarbox_message::structure::Walker;

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
        // To says nothing of the address that was given out.
        let structure = Structure {
            received: "from a by b with ESMTPS id 1 for <ann+shop@b.example>; x".into(),
            ..Structure::default()
        };
        let terms = Spoken::of(&summarise(&structure, String::new()).1);
        assert!(terms.terms().contains(&(Field::To, "shop")));
        let long = Structure {
            subject: "x".repeat(100_000),
            from: vec![Person { name: "n".repeat(100_000), address: "a".repeat(100_000) }],
            ..Structure::default()
        };
        let (card, _) = summarise(&long, String::new());
        assert_eq!((card.subject.len(), card.from_name.len(), card.from.len()), (LINE, LINE, LINE));
    }
}
