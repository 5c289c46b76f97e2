//! Foreign HTML made harmless: only known elements and attributes stay (ammonia), nothing runs, nothing is fetched that
//! was not allowed.
//! The page shows the result in a sandboxed frame on a policy of its own: two locks, not one.
//!
//! A tree is built only of what was written anew within bounds (`tidy`); the text of HTML needs no tree at all.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ammonia::{Builder, UrlRelative};

use crate::entity;
use crate::markup::{Token, Tokens};
use crate::pictures;
pub use crate::tidy::Excess;
use crate::tidy::{Rules, tidy};

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
        // Vector pictures may hold more than a picture.
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

/// The text of HTML, for previews, searching and quoting: blocks become lines.
/// Builds no tree: time and memory grow with what is read and with nothing else.
pub fn to_text(html: &str) -> String {
    let mut text = Text::default();
    let mut decoded = String::new();
    for token in Tokens::of(html) {
        match token {
            Token::Text(raw) => {
                decoded.clear();
                entity::decode(raw, &mut decoded);
                text.write(&decoded);
            }
            Token::Open { name, .. } => text.element(name, Side::Start),
            Token::Close { name } => text.element(name, Side::End),
        }
    }
    text.out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Start,
    End,
}

/// Text that is being laid out.
#[derive(Default)]
struct Text {
    out: String,
    /// Line ends, and a blank, that are due before the next letter.
    ends: usize,
    has_blank: bool,
    /// Open elements whose blanks and line ends count.
    pre: usize,
}

impl Text {
    fn write(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' if self.pre > 0 => self.ends = (self.ends + 1).min(2),
                c if c.is_whitespace() => self.has_blank = true,
                c => {
                    if !self.out.is_empty() {
                        (0..self.ends).for_each(|_| self.out.push('\n'));
                        if self.ends == 0 && self.has_blank {
                            self.out.push(' ');
                        }
                    }
                    (self.ends, self.has_blank) = (0, false);
                    self.out.push(c);
                }
            }
        }
    }

    fn element(&mut self, name: &str, side: Side) {
        let is = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is(&["br"]) {
            // One at the end of a block adds no empty line; one on a line of its own does.
            self.ends = (self.ends + 1).min(2);
        } else if is(&["p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote"]) {
            self.ends = 2;
            if is(&["pre"]) {
                self.pre =
                    if side == Side::Start { self.pre + 1 } else { self.pre.saturating_sub(1) };
            }
        } else if is(&[
            "div", "tr", "li", "ul", "ol", "dl", "dt", "dd", "table", "caption", "hr", "center",
            "section", "article", "header", "footer", "address",
        ]) {
            self.ends = self.ends.max(1);
        } else if is(&["td", "th"]) {
            self.has_blank = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(html: &str) -> String {
        clean(
            html,
            &HashMap::from([("p1@a".to_string(), "data:image/png;base64,AAAA".to_string())]),
            Remote::Blocked,
        )
        .unwrap()
        .html
    }

    #[test]
    fn nothing_that_runs_or_fetches_stays() {
        for bad in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<a href=\"data:text/html,x\">x</a>",
            "<iframe src=\"https://evil.example\"></iframe>",
            "<img src=\"https://evil.example/pixel\">",
            "<div style=\"background:url(https://evil.example)\">x</div>",
            "<link rel=stylesheet href=\"https://evil.example\">",
            "<svg onload=alert(1)>",
            "<img src=\"data:image/svg+xml,<svg>\">",
            "<form action=\"https://evil.example\"><input name=x></form>",
            "<meta http-equiv=refresh content=\"0;url=https://evil.example\">",
            "<base href=\"https://evil.example/\">",
            "<style>@import 'https://evil.example'</style>",
            "<p style=\"position:fixed;b\\61ckground:x\">x</p>",
        ] {
            let out = cleaned(bad).to_ascii_lowercase();
            for word in
                ["script", "onerror", "onload", "evil.example", "data:", "<form", "position", "\\"]
            {
                assert!(!out.contains(word), "{bad} left {out}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_rubbish_gets_anything_through(text in "[<>a-z /=\"':;&#x\u{0}-\u{20}]{0,200}") {
            let out = cleaned(&text).to_ascii_lowercase();
            proptest::prop_assert!(!out.contains("<script") && !out.contains("<iframe") && !out.contains("<style"));
            to_text(&text);
        }
    }

    /// Letters that made the tree builder open, compare or look through more and more: each is small, each did harm.
    fn hostile() -> Vec<String> {
        let many = |piece: &dyn Fn(usize) -> String, count: usize| {
            (0..count).map(piece).collect::<String>()
        };
        vec![
            many(&|n| format!("<p><font color={n}>"), 20_000),
            many(&|n| format!("<p><a href=https://x/{n}><b><i class={n}>x</p>"), 20_000),
            many(&|_| "<div>".into(), 200_000),
            many(&|_| "<blockquote><b>".into(), 50_000),
            format!("<img {}>", many(&|n| format!("a{n}=1 "), 100_000)),
            many(&|n| format!("<table><font size={n}>x"), 20_000),
            many(&|n| format!("<table><tr><td><u title={n}>"), 20_000),
            many(&|_| "<svg><style><font color=x></style>".into(), 20_000),
            many(&|n| format!("<b id={n}></p></br>"), 20_000),
            many(&|_| "<!--".into(), 200_000),
            many(&|_| "<script></scrip".into(), 50_000),
            many(&|_| "<a '".into(), 200_000),
            many(&|_| "</".into(), 300_000),
            many(&|_| "&amp".into(), 100_000),
            many(&|_| "\u{a0}".into(), 100_000),
            format!("<p title='{}'>", many(&|_| "&".into(), 500_000)),
            format!("<p style='{}'>", many(&|_| ";a:b".into(), 200_000)),
            many(&|n| format!("<i>{n}<div></i>"), 20_000),
            many(&|_| "<select><option><optgroup>".into(), 20_000),
            many(&|_| "<template>".into(), 50_000),
        ]
    }

    #[test]
    fn no_small_letter_costs_much_time_or_room() {
        for html in hostile() {
            let begun = crate::tests::worked();
            let (name, text) = (&html[..40], to_text(&html));
            assert!(text.len() <= html.len() * 2, "{name}");
            for out in [
                clean(&html, &HashMap::new(), Remote::Allowed).map(|clean| clean.html),
                written(&html),
            ]
            .into_iter()
            .flatten()
            {
                assert!(
                    out.len() <= 6 * html.len() + 100,
                    "{name}: {} octets of {}",
                    out.len(),
                    html.len()
                );
            }
            // The whole list took hours before.
            assert!(crate::tests::worked() - begun < std::time::Duration::from_secs(20), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_tree_is_never_much_larger_than_what_was_written_for_it(pieces in proptest::collection::vec(proptest::sample::select(vec![
            "<p>", "</p>", "<b>", "</b>", "<font color=1>", "<font color=2>", "</font>", "<a href=x>", "</a>", "<div>", "</div>", "<table>", "</table>", "<tr>", "<td>",
            "</td>", "</tr>", "<caption>", "<ul>", "<li>", "</li>", "<dd>", "<h1>", "</h1>", "<pre>", "x", "<ruby>", "<rt>", "<rp>", "<hr>", "<colgroup>", "<col>", "<tbody>", "<i>",
            "<article>", "</article>", "<small>", "<br>", "<summary>", "<details>", "<main>", "<menu>",
        ]), 0..300)) {
            let html = pieces.concat();
            let out = clean(&html, &HashMap::new(), Remote::Allowed).unwrap().html;
            // Each element that was written, a table's implied parts, and no formatting that is opened anew again and
            // again.
            let (written, built) = (tidy(&html, &Rules { elements: &ELEMENTS, attributes: &ATTRIBUTES }).unwrap().matches('<').count(), out.matches('<').count());
            // And nothing that was said is lost.
            proptest::prop_assert_eq!(to_text(&out).matches('x').count(), pieces.iter().filter(|piece| **piece == "x").count(), "{}", html);
            proptest::prop_assert!(built <= 3 * written + 10, "{} of {}: {}", built, written, html);
        }

        #[test]
        fn what_is_written_rightly_is_shown_as_before(html in rightly()) {
            // Ammonia alone, as it was before: the same rules, without what comes in front of it.
            let before = Builder::default().add_tags(ELEMENTS).add_generic_attributes(LAYOUT).link_rel(Some("noopener noreferrer nofollow"))
                .set_tag_attribute_value("a", "target", "_blank").clean(&html).to_string();
            proptest::prop_assert_eq!(cleaned(&html), before);
        }

        #[test]
        fn the_text_has_no_tags_and_all_words(words in proptest::collection::vec("[a-z]{1,5}", 1..20), tag in proptest::sample::select(vec!["b", "p", "div", "td", "unknown"])) {
            let html: String = words.iter().map(|word| format!("<{tag} title='<x>'>{word}</{tag}> <!-- <i>no</i> --><style>no</style>")).collect();
            let text = to_text(&html);
            proptest::prop_assert_eq!(text.split_whitespace().collect::<Vec<_>>(), words);
        }
    }

    /// HTML as good programs write it.
    fn rightly() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let leaf = proptest::sample::select(vec![
            "text",
            "a &amp; b&nbsp;&lt;",
            "<br>",
            "<p align=\"left\">x</p>",
            "<a href=\"https://a.example/?b=1&amp;c\">y</a>",
            "<hr>",
            "ü\n ",
        ]);
        leaf.prop_map(str::to_string).prop_recursive(6, 60, 4, |inner| {
            let wrap = proptest::sample::select(vec![
                ("<div style=\"color:red\">", "</div>"),
                ("<b>", "</b>"),
                ("<font color=\"red\" size=\"2\">", "</font>"),
                ("<span dir=\"rtl\">", "</span>"),
                (
                    "<table width=\"100%\"><tbody><tr><td bgcolor=\"red\">",
                    "</td><td>z</td></tr></tbody></table>",
                ),
                ("<ul><li>", "</li><li>z</li></ul>"),
                ("<blockquote>", "</blockquote>"),
                ("<center>", "</center>"),
                ("<h2>", "</h2>"),
                ("<dl><dt>q</dt><dd>", "</dd></dl>"),
            ]);
            (wrap, proptest::collection::vec(inner, 0..4))
                .prop_map(|((front, back), within)| format!("{front}{}{back}", within.concat()))
        })
    }

    #[test]
    fn one_picture_named_a_thousand_times_does_not_make_a_document_of_gigabytes() {
        let pictures = HashMap::from([(
            "Big@a".to_string(),
            format!("data:image/png;base64,{}", "A".repeat(3 << 20)),
        )]);
        let out = clean(&"<img src=\"cid:big@A\">".repeat(1000), &pictures, Remote::Blocked)
            .unwrap()
            .html;
        assert!(out.len() < PICTURES + 100_000 && out.contains("AAAA"));
    }

    #[test]
    fn text_is_laid_out_as_it_is_read() {
        for (html, text) in [
            ("<div>a</div><div><br></div><div>b<br></div><div>c</div>", "a\n\nb\nc"),
            ("  a\n  b<p>c</p>\n<p>d", "a b\n\nc\n\nd"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c", "a b\nc"),
            ("<ul><li>a<li>b</ul>c", "a\nb\nc"),
            ("<pre>a\n  b</pre>c", "a\nb\n\nc"),
            ("Gr&uuml;&szlig;e&nbsp;&#8212;&#150; <title>no</title>&lt;b&gt;", "Grüße —– <b>"),
            ("<HEAD><TITLE>t</TITLE></HEAD><BODY>x<BR>y</BODY>", "x\ny"),
        ] {
            assert_eq!(to_text(html), text, "{html}");
        }
    }

    #[test]
    fn what_mail_is_made_of_stays() {
        let out = cleaned(
            "<table bgcolor=red><tr><td style=\"color:blue;background:url(x)\"><a href=\"https://a.example\">go</a><img src=\"CID:p1@a\" alt=p></td></tr></table>",
        );
        assert!(
            out.contains("bgcolor=\"red\"")
                && out.contains("color:blue")
                && out.contains("data:image/png;base64,AAAA"),
            "{out}"
        );
        assert!(
            out.contains("rel=\"noopener noreferrer nofollow\"")
                && out.contains("target=\"_blank\"")
        );
        let remote = clean(
            "<img src=\"https://a.example/x.png\"><img src=\"http://b.example/y\">",
            &HashMap::new(),
            Remote::Blocked,
        )
        .unwrap();
        assert_eq!(remote.blocked, 2);
        assert!(
            clean("<img src=\"https://a.example/x.png\">", &HashMap::new(), Remote::Allowed)
                .unwrap()
                .html
                .contains("a.example")
        );
        assert_eq!(
            to_text(
                "<head><title>t</title></head><p>Hello &amp; <b>you</b></p><style>x</style><div>a<br>b</div>"
            ),
            "Hello & you\n\na\nb"
        );
    }
}
