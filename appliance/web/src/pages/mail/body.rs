//! What a message says, as a document: its pieces one behind the other, with the pictures that came along.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use pillarbox_message::pictures;
use pillarbox_message::structure::Structure;
use pillarbox_store::{Content, Store};

use pillarbox_office::mail::readers::{Budget, Unread};
use pillarbox_office::mail::reading::{self, Piece};

/// Octets of pictures that an HTML message brings along and shows.
const PICTURE: usize = 2 << 20;
const ALL_PICTURES: usize = 8 << 20;
/// Such pictures that are looked for: each means reading the message once.
const PICTURE_PARTS: usize = 50;

/// A message's pieces as HTML, not yet cleaned.
pub fn fragments(body: &[Piece]) -> Vec<Cow<'_, str>> {
    body.iter().map(fragment).collect()
}

fn fragment(piece: &Piece) -> Cow<'_, str> {
    match piece {
        Piece::Html(html) => Cow::Borrowed(html),
        Piece::Text(text) => {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
            Cow::Owned(format!(
                "<pre style=\"white-space:pre-wrap;font:inherit\">\n{escaped}</pre>"
            ))
        }
        Piece::Picture(number) => {
            Cow::Owned(format!("<p><img src=\"cid:{}\"></p>", in_place(*number)))
        }
    }
}

/// The name of a picture between texts, in place of a content-id.
fn in_place(number: usize) -> String {
    format!("part-{number}")
}

/// The pictures that came along and that the body shows, as data addresses by their content-id.
pub fn pictures(
    store: &Store,
    content: &Content,
    structure: &Structure,
    body: &[Piece],
    budget: &Budget,
) -> Result<HashMap<String, String>, Unread> {
    let named: BTreeSet<String> = body
        .iter()
        .flat_map(|piece| {
            if let Piece::Html(html) = piece { pictures::wanted(html) } else { BTreeSet::new() }
        })
        .collect();
    let mut found = HashMap::new();
    let mut left = ALL_PICTURES;
    let all = structure.parts.iter().enumerate().filter(|(_, part)| !part.is_inline_text());
    let wanted = all.filter_map(|(number, part)| {
        let id = pictures::comparable(&part.content_id);
        match (!id.is_empty() && named.contains(&id), body.contains(&Piece::Picture(number))) {
            (true, _) => Some((id, part)),
            (false, true) => Some((in_place(number), part)),
            (false, false) => None,
        }
    });
    for (id, part) in wanted.take(PICTURE_PARTS) {
        if (part.end - part.start) as usize > PICTURE.min(left) * 3 / 2 {
            continue;
        }
        let octets = reading::octets(store, content, part, PICTURE, budget)?;
        // Whatever the sender calls it: old programs and gateways call pictures nothing but octets.
        let Some(kind) = pictures::kind(&octets) else { continue };
        left = left.saturating_sub(octets.len());
        found.insert(
            id,
            format!("data:{kind};base64,{}", pillarbox_proto::smtp::encode_base64(&octets)),
        );
    }
    Ok(found)
}
