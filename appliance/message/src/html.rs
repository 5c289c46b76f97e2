//! Foreign HTML made harmless: only known elements and attributes stay (ammonia), nothing runs, nothing is fetched that
//! was not allowed.
//! The page shows the result in a sandboxed frame on a policy of its own: two locks, not one.
//!
//! A tree is built only of what was written anew within bounds (`tidy`); the text of HTML needs no tree at all.

mod text;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ammonia::{Builder, UrlRelative};

use crate::pictures;
pub use crate::tidy::Excess;
use crate::tidy::{Rules, tidy};
pub use text::to_text;

/// Pictures of other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remote {
    /// They are left out and counted.
    Blocked,
    /// Their addresses stay: the browser fetches them.
    Allowed,
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clean {
    /// A fragment for the body of a document: nothing in it runs.
    pub html: String,
    /// Pictures of other servers that were left out.
    pub blocked: usize,
}

/// Elements that mail is made of: ammonia's, and those that old and new mail has besides.
const ELEMENTS: [&str; 81] = [
    "a", "abbr", "acronym", "area", "article", "aside", "b", "bdi", "bdo", "big", "blockquote",
    "br", "caption", "center", "cite", "code", "col", "colgroup", "data", "dd", "del", "details",
    "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font", "footer", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hgroup", "hr", "i", "img", "ins", "kbd", "li", "map", "mark",
    "nav", "ol", "p", "pre", "q", "rp", "rt", "rtc", "ruby", "s", "samp", "small", "span",
    "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "time",
    "tr", "tt", "u", "ul", "var", "wbr", "address", "section", "main", "menu",
];
/// Attributes that lay mail out.
const LAYOUT: [&str; 14] = [
    "style", "align", "valign", "width", "height", "bgcolor", "color", "border", "cellpadding",
    "cellspacing", "face", "size", "dir", "title",
];
/// Those that only some elements have.
const ATTRIBUTES: [&str; 30] = [
    "style", "align", "valign", "width", "height", "bgcolor", "color", "border", "cellpadding",
    "cellspacing", "face", "size", "dir", "title", "lang", "href", "hreflang", "src", "alt",
    "cite", "start", "span", "colspan", "rowspan", "headers", "scope", "summary", "char",
    "charoff", "datetime",
];
/// What our own editor makes.
const WRITTEN: [&str; 14] =
    ["a", "b", "strong", "i", "em", "u", "s", "p", "br", "div", "ul", "ol", "li", "blockquote"];
/// Octets of an address that are looked at for its kind.
const KIND: usize = 100;
/// Octets of pictures that came along and are put into the document, each as often as the document names it.
const PICTURES: usize = 16 << 20;

/// Cleans HTML.
/// `pictures` has `data:` addresses for the pictures that came along, by their content-id.
pub fn clean(
    html: &str,
    pictures: &HashMap<String, String>,
    remote: Remote,
) -> Result<Clean, Excess> {
    clean_all(&[html], pictures, remote)
}

/// Cleans pieces of HTML that are shown one behind the other.
/// Each is cleaned by itself: nothing that is left open in one swallows the next.
/// What pictures may add is counted for all of them together.
pub fn clean_all(
    pieces: &[impl AsRef<str>],
    pictures: &HashMap<String, String>,
    remote: Remote,
) -> Result<Clean, Excess> {
    let pictures =
        pictures.iter().map(|(id, data)| (pictures::comparable(id), data.clone())).collect();
    let sources = Arc::new(Sources {
        pictures,
        remote,
        blocked: AtomicUsize::new(0),
        room: AtomicUsize::new(PICTURES),
    });
    let mut html = String::new();
    for piece in pieces {
        let cleaned = clean_one(piece.as_ref(), sources.clone())?;
        match pieces.len() {
            1 => html = cleaned,
            _ => html.extend(["<div>", &cleaned, "</div>"]),
        }
    }
    Ok(Clean { html, blocked: sources.blocked.load(Ordering::Relaxed) })
}

/// Where pictures may come from.
struct Sources {
    /// By content-id, in lower case.
    pictures: HashMap<String, String>,
    remote: Remote,
    /// Those of other servers that were left out.
    blocked: AtomicUsize,
    /// Octets that pictures may still add to the document.
    /// A small letter that names one large picture a thousand times must not become a document of gigabytes.
    room: AtomicUsize,
}

fn clean_one(html: &str, sources: Arc<Sources>) -> Result<String, Excess> {
    let tidied = tidy(html, &Rules { elements: &ELEMENTS, attributes: &ATTRIBUTES })?;
    let mut builder = Builder::default();
    builder
        .add_tags(ELEMENTS)
        .add_generic_attributes(LAYOUT)
        .add_tag_attributes("img", ["src", "alt"])
        .url_schemes(HashSet::from(["http", "https", "mailto", "cid", "data", "tel"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank")
        .attribute_filter(move |element, attribute, value| match (element, attribute) {
            ("img", "src") => picture(value, &sources),
            (_, "style") => Some(style(value)),
            // Nothing but pictures comes from data addresses.
            (_, "href" | "cite" | "src")
                if value.trim_start().to_ascii_lowercase().starts_with("data:") =>
            {
                None
            }
            _ => Some(Cow::Borrowed(value)),
        });
    Ok(builder.clean(&tidied).to_string())
}

/// Where a picture comes from.
fn picture<'v>(value: &'v str, sources: &Sources) -> Option<Cow<'v, str>> {
    if let Some(ids) = pictures::named(value) {
        let data = ids.iter().find_map(|id| sources.pictures.get(id))?;
        let left = sources.room.load(Ordering::Relaxed).checked_sub(data.len())?;
        sources.room.store(left, Ordering::Relaxed);
        return Some(Cow::Owned(data.clone()));
    }
    let lower = value.trim().get(..KIND).unwrap_or(value.trim()).to_ascii_lowercase();
    if lower.starts_with("data:") {
        // Vector pictures may contain more than a picture.
        let is_plain = ["data:image/png", "data:image/jpeg", "data:image/gif", "data:image/webp"]
            .iter()
            .any(|kind| lower.starts_with(kind));
        return is_plain.then_some(Cow::Borrowed(value));
    }
    match sources.remote {
        Remote::Allowed => Some(Cow::Borrowed(value)),
        Remote::Blocked => {
            sources.blocked.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

/// Declarations without anything that fetches or leaves its place.
fn style(value: &str) -> Cow<'_, str> {
    let is_harmless = |declaration: &&str| {
        let lower = declaration.to_ascii_lowercase().replace(char::is_whitespace, "");
        ![
            "url(", "expression", "position:", "@", "\\", "-moz-binding", "behavior", "image-set",
            "/*",
        ]
        .iter()
        .any(|bad| lower.contains(bad))
    };
    Cow::Owned(value.split(';').filter(is_harmless).collect::<Vec<_>>().join(";"))
}

/// Formatted text of our own editor: what it can make, and nothing else.
pub fn written(html: &str) -> Result<String, Excess> {
    let tidied = tidy(html, &Rules { elements: &WRITTEN, attributes: &["href"] })?;
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(WRITTEN))
        .tag_attributes(HashMap::from([("a", HashSet::from(["href"]))]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(None);
    Ok(builder.clean(&tidied).to_string())
}

#[cfg(test)]
mod tests;
