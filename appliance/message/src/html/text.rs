//! HTML as plain text.

use crate::entity;
use crate::markup::{Token, Tokens};

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
