//! HTML written anew before a tree is built of it: only elements and attributes that may stay, each end tag in its
//! place, and never more of them than a small box can bear.
//!
//! The tree builder of the HTML standard repairs what is nested wrongly, and some repairs cost the square of what was
//! sent: formatting elements that are left open are opened anew in every paragraph (§13.2.4.3), each block looks
//! through all that is open (§13.2.4.2), each attribute is compared with all others of its tag.
//! So it never sees what a sender wrote, only what stands here: whatever is open closes together with the element it
//! stands in.

use crate::markup::{Token, Tokens, attributes};

/// Elements that are opened.
const ELEMENTS: usize = 20_000;
/// Elements within elements.
const DEPTH: usize = 500;
/// Attributes of all elements.
const ATTRIBUTES: usize = 60_000;
/// Octets of what is written.
const OCTETS: usize = 4 << 20;
/// Elements, each counted with the formatting that is open around it: what the tree would have if each opened all of it
/// anew.
const WEIGHT: usize = 200_000;

/// Octets of text in one piece, and of an attribute, with characters in it that need a reference when they are written.
const RUN: usize = 1024;
const VALUE: usize = 4 * 1024;
const SPECIAL: [char; 5] = ['&', '<', '>', '"', '\u{a0}'];

/// More than a tree is built of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// More than 20,000 elements, or too much formatting that stays open around others.
    Elements,
    /// More than 500 elements within each other.
    Depth,
    /// More than 60,000 attributes.
    Attributes,
    /// More than 4 MiB of document.
    Octets,
}

/// What may stay; lower case, at most 64 attributes.
pub struct Rules<'r> {
    pub elements: &'r [&'static str],
    pub attributes: &'r [&'static str],
}

const VOID: [&str; 6] = ["area", "br", "col", "hr", "img", "wbr"];
/// What the standard calls formatting elements (§13.2.4.3).
const FORMATTING: [&str; 13] =
    ["a", "b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"];
/// Elements that end a paragraph which is open (§13.2.6.4.7).
const BLOCKS: [&str; 34] = [
    "address", "article", "aside", "blockquote", "center", "dd", "details", "div", "dl", "dt",
    "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr",
    "li", "main", "menu", "nav", "ol", "p", "pre", "section", "summary", "table", "ul", "caption",
];
/// End tags and implied ends don't reach out of these (§13.2.4.2, the scopes).
const BARRIERS: [&str; 4] = ["table", "td", "th", "caption"];
/// Parts of a table, and below which of its parts each of them stands (§13.2.6.4.9 to §13.2.6.4.15).
const PARTS: [(&str, &[&str]); 8] = [
    ("td", &["tr", "tbody", "thead", "table"]),
    ("th", &["tr", "tbody", "thead", "table"]),
    ("tr", &["tbody", "thead", "table"]),
    ("tbody", &["table"]),
    ("thead", &["table"]),
    ("caption", &["table"]),
    ("colgroup", &["table"]),
    ("col", &["colgroup", "table"]),
];

/// Writes HTML anew.
pub fn tidy(html: &str, rules: &Rules) -> Result<String, Excess> {
    let mut writer = Writer {
        rules,
        out: String::with_capacity(html.len().min(OCTETS)),
        open: Vec::new(),
        elements: 0,
        attributes: 0,
        weight: 0,
        formatting: 0,
        parted: 0,
    };
    for token in Tokens::of(html) {
        match token {
            Token::Text(text) => writer.text(text),
            Token::Open { name, inside } => writer.start(name, inside)?,
            Token::Close { name } => writer.end(name)?,
        }
        if writer.out.len() > OCTETS {
            return Err(Excess::Octets);
        }
    }
    Ok(writer.out)
}

struct Writer<'r> {
    rules: &'r Rules<'r>,
    out: String,
    open: Vec<&'static str>,
    elements: usize,
    attributes: usize,
    weight: usize,
    /// Formatting elements among those that are open.
    formatting: usize,
    /// Where the last tag or comment ended.
    parted: usize,
}

impl Writer<'_> {
    fn known(&self, name: &str) -> Option<&'static str> {
        self.rules.elements.iter().find(|known| known.eq_ignore_ascii_case(name)).copied()
    }

    /// References stay as they are: the tree builder reads them as we do.
    /// A comment, which does not stay, parts long text: ammonia's way of writing text looks through all that is left of
    /// it for each character that needs a reference.
    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(SPECIAL) {
            let (front, back) = rest.split_at(at);
            self.out.push_str(front);
            if self.out.len() - self.parted > RUN {
                self.out.push_str("<!---->");
                self.parted = self.out.len();
            }
            let c = back.chars().next().map_or(0, char::len_utf8);
            self.out.push_str(if back.starts_with('<') { "&lt;" } else { &back[..c] });
            rest = &back[c..];
        }
        self.out.push_str(rest);
    }

    fn start(&mut self, name: &str, inside: &str) -> Result<(), Excess> {
        let Some(name) = self.known(name) else { return Ok(()) };
        if let Some((_, above)) = PARTS.iter().find(|(part, _)| *part == name) {
            if !self.open.contains(&"table") {
                return Ok(());
            }
            while self.open.last().is_some_and(|top| !above.contains(top)) {
                self.close_last();
            }
        } else {
            self.close_implied(name);
        }
        (self.elements, self.weight) = (self.elements + 1, self.weight + 1 + self.formatting);
        if self.elements > ELEMENTS || self.weight > WEIGHT {
            return Err(Excess::Elements);
        }
        self.out.push('<');
        self.out.push_str(name);
        self.write_attributes(inside)?;
        self.out.push('>');
        self.parted = self.out.len();
        if !VOID.contains(&name) {
            self.open.push(name);
            self.formatting += usize::from(FORMATTING.contains(&name));
        }
        if self.open.len() > DEPTH { Err(Excess::Depth) } else { Ok(()) }
    }

    /// Closes what can't go on around an element that begins.
    fn close_implied(&mut self, name: &str) {
        let ended: &[&str] = match name {
            "li" => &["li"],
            "dd" | "dt" => &["dd", "dt"],
            "a" => &["a"],
            _ => &[],
        };
        let lists: &[&str] = match name {
            "li" => &["ul", "ol"],
            "dd" | "dt" => &["dl"],
            _ => &[],
        };
        if let Some(at) = self.find(ended, lists) {
            self.close_down_to(at);
        }
        if BLOCKS.contains(&name)
            && let Some(at) = self.find(&["p"], &[])
        {
            self.close_down_to(at);
        }
    }

    fn end(&mut self, name: &str) -> Result<(), Excess> {
        // The standard takes this one for a line break (§13.2.6.4.7), and old programs write it.
        if name.eq_ignore_ascii_case("br") {
            return self.start("br", "");
        }
        let Some(name) = self.known(name) else { return Ok(()) };
        let found = match PARTS.iter().any(|(part, _)| *part == name) || name == "table" {
            true => self
                .open
                .iter()
                .rposition(|open| *open == name || *open == "table")
                .filter(|&at| self.open[at] == name),
            false => self.find(&[name], &[]),
        };
        if let Some(at) = found {
            self.close_down_to(at);
        }
        Ok(())
    }

    /// The innermost open element of these, if no barrier is in between.
    fn find(&self, names: &[&str], barriers: &[&str]) -> Option<usize> {
        let is_end = |open: &&str| {
            names.contains(open) || BARRIERS.contains(open) || barriers.contains(open)
        };
        self.open.iter().rposition(is_end).filter(|&at| names.contains(&self.open[at]))
    }

    fn close_down_to(&mut self, at: usize) {
        while self.open.len() > at {
            self.close_last();
        }
    }

    fn close_last(&mut self) {
        if let Some(name) = self.open.pop() {
            self.out.extend(["</", name, ">"]);
            self.formatting -= usize::from(FORMATTING.contains(&name));
        }
    }

    /// Of two attributes of a name the first one counts (§13.2.5.33).
    fn write_attributes(&mut self, inside: &str) -> Result<(), Excess> {
        let mut seen = 0u64;
        for (name, value) in attributes(inside) {
            let Some(at) =
                self.rules.attributes.iter().position(|known| known.eq_ignore_ascii_case(name))
            else {
                continue;
            };
            let is_long = value.len() > VALUE && value.contains(SPECIAL);
            if seen & 1 << at != 0 || is_long {
                continue;
            }
            seen |= 1 << at;
            self.attributes += 1;
            if self.attributes > ATTRIBUTES {
                return Err(Excess::Attributes);
            }
            self.out.extend([" ", self.rules.attributes[at], "=\""]);
            let mut pieces = value.split('"');
            self.out.push_str(pieces.next().unwrap_or_default());
            pieces.for_each(|piece| self.out.extend(["&quot;", piece]));
            self.out.push('"');
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        elements: &[
            "p", "div", "font", "b", "i", "a", "table", "tr", "td", "ul", "li", "br", "blockquote",
        ],
        attributes: &["color", "href"],
    };

    #[test]
    fn what_is_open_closes_with_what_it_stands_in() {
        for (html, is) in [
            (
                "<p><font color=1>a<p><FONT COLOR='2\"'>b",
                "<p><font color=\"1\">a</font></p><p><font color=\"2&quot;\">b",
            ),
            ("<b><i>x</b>y</i>z", "<b><i>x</i></b>yz"),
            (
                "<ul><li>a<li><ul><li>b</ul><li>c</ul>",
                "<ul><li>a</li><li><ul><li>b</li></ul></li><li>c</li></ul>",
            ),
            ("<tr><td>no table", "no table"),
            (
                "<table><b><tr><td>a<td>b</div><table><td>c</table>d</table>",
                "<table><b></b><tr><td>a</td><td>b<table><td>c</td></table>d</td></tr></table>",
            ),
            (
                "<div><table><tr></div><td>x</table></div>",
                "<div><table><tr><td>x</td></tr></table></div>",
            ),
            (
                "<a href=1>x<a href=2 href=3 onclick=y>z</a>",
                "<a href=\"1\">x</a><a href=\"2\">z</a>",
            ),
            ("a <script>b</script> 1 < 2 <unknown>c</unknown></br>", "a  1 &lt; 2 c<br>"),
        ] {
            assert_eq!(tidy(html, &RULES).as_deref(), Ok(is), "{html}");
        }
    }

    #[test]
    fn more_than_a_tree_may_have_is_refused() {
        let of = |html: &str| tidy(html, &RULES).err();
        assert_eq!(of(&"<div>".repeat(DEPTH + 1)), Some(Excess::Depth));
        assert_eq!(of(&"<div>".repeat(DEPTH)), None);
        assert_eq!(of(&"<br>".repeat(ELEMENTS + 1)), Some(Excess::Elements));
        let formatted = "<b>".repeat(100) + &"<br>".repeat(3000);
        assert_eq!(of(&formatted), Some(Excess::Elements));
        let attributes = "<p color=1 href=2>".repeat(ELEMENTS - 1);
        assert_eq!(of(&attributes), None);
        assert_eq!(of(&format!("<p color={}>x</p>", "x".repeat(OCTETS))), Some(Excess::Octets));
    }

    #[test]
    fn long_text_is_parted_where_no_reference_is_torn() {
        let text = "&amp;".repeat(RUN);
        let out = tidy(&text, &RULES).unwrap();
        assert!(
            (4..6).contains(&out.matches("<!---->").count()) && out.replace("<!---->", "") == text,
            "{}",
            out.matches("<!---->").count()
        );
        assert_eq!(
            tidy(&format!("<p color='{text}' href={}>", "x".repeat(2 * VALUE)), &RULES)
                .unwrap()
                .len(),
            2 * VALUE + 11
        );
    }
}
