//! HTML taken apart into tags and text, and nothing more: no tree, linear time, no memory of its own.
//!
//! Follows the tokenizer of the HTML standard (§13.2.5) where a sender could hide something from us: comments, quoted
//! attribute values, elements whose content is text.
//! It knows nothing of what elements mean.

/// A piece of HTML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'h> {
    /// With its character references as they are.
    Text(&'h str),
    Open {
        name: &'h str,
        /// What is between the name and the end of the tag.
        inside: &'h str,
    },
    Close {
        name: &'h str,
    },
}

/// Elements whose content is text up to their end tag (§13.2.5.2 to §13.2.5.4): what looks like a tag in them is none.
/// Nobody reads that text.
const RAW: [&str; 9] =
    ["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"];

/// The tokens of some HTML, in order.
pub struct Tokens<'h> {
    rest: &'h str,
    /// The element whose content is passed over.
    raw: Option<&'static str>,
}

impl<'h> Tokens<'h> {
    pub fn of(html: &'h str) -> Tokens<'h> {
        Tokens { rest: html, raw: None }
    }

    fn skip(&mut self, octets: usize) {
        self.rest = &self.rest[octets..];
    }

    /// The content of a raw element: up to its end tag, or all that is left.
    fn pass_over(&mut self, name: &str) {
        let octets = self.rest.as_bytes();
        let is_end = |at: &usize| {
            let rest = &octets[at + 2..];
            rest.len() > name.len()
                && rest[..name.len()].eq_ignore_ascii_case(name.as_bytes())
                && ends_name(rest[name.len()])
        };
        let end = memchr::memmem::find_iter(octets, b"</").find(is_end);
        self.skip(end.filter(|_| name != "plaintext").unwrap_or(octets.len()));
    }

    /// A comment, a declaration, or what only looks like one (§13.2.5.41 to §13.2.5.52).
    /// `rest` begins with `<`.
    fn comment(&mut self) {
        let octets = self.rest.as_bytes();
        let Some(within) = octets.strip_prefix(b"<!--") else {
            let end = memchr::memchr(b'>', octets).map_or(octets.len(), |at| at + 1);
            return self.skip(end);
        };
        // `<!-->` and `<!--->` are comments that end at once.
        let end = match within {
            [b'>', ..] => Some(5),
            [b'-', b'>', ..] => Some(6),
            _ => memchr::memmem::find_iter(within, b"--").find_map(|at| match within[at + 2..] {
                [b'>', ..] => Some(4 + at + 3),
                [b'!', b'>', ..] => Some(4 + at + 4),
                _ => None,
            }),
        };
        self.skip(end.unwrap_or(octets.len()));
    }

    /// A tag; `at` is where its name begins.
    /// `None`: it never ends, and with it all that is left is gone.
    fn tag(&mut self, at: usize) -> Option<Token<'h>> {
        let whole = self.rest;
        let octets = whole.as_bytes();
        let name_end = octets[at..]
            .iter()
            .position(|&octet| ends_name(octet))
            .map_or(octets.len(), |length| at + length);
        let name = &whole[at..name_end];
        let Some(end) = tag_end(&octets[name_end..]).map(|length| name_end + length) else {
            self.rest = "";
            return None;
        };
        self.skip(end + 1);
        if at == 2 {
            return Some(Token::Close { name });
        }
        self.raw = RAW.into_iter().find(|raw| raw.eq_ignore_ascii_case(name));
        Some(Token::Open { name, inside: &whole[name_end..end] })
    }
}

impl<'h> Iterator for Tokens<'h> {
    type Item = Token<'h>;

    fn next(&mut self) -> Option<Token<'h>> {
        if let Some(name) = self.raw.take() {
            self.pass_over(name);
        }
        loop {
            match self.rest.as_bytes() {
                [] => return None,
                [b'<', b'!' | b'?', ..] => self.comment(),
                [b'<', letter, ..] if letter.is_ascii_alphabetic() => return self.tag(1),
                [b'<', b'/', letter, ..] if letter.is_ascii_alphabetic() => return self.tag(2),
                [b'<', b'/', _, ..] => self.comment(),
                octets => {
                    // A `<` that begins no tag is text.
                    let end = memchr::memchr(b'<', &octets[1..]).map_or(octets.len(), |at| at + 1);
                    let (text, rest) = self.rest.split_at(end);
                    self.rest = rest;
                    return Some(Token::Text(text));
                }
            }
        }
    }
}

fn ends_name(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' | b'/' | b'>')
}

/// Where the `>` of a tag is, behind its name: one within quotes is none.
fn tag_end(octets: &[u8]) -> Option<usize> {
    let mut attributes = Attributes { rest: octets };
    while attributes.raw().is_some() {}
    (attributes.rest.first() == Some(&b'>')).then(|| octets.len() - attributes.rest.len())
}

/// The attributes of a tag as they were written: name and value, character references as they are.
pub fn attributes(inside: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut attributes = Attributes { rest: inside.as_bytes() };
    std::iter::from_fn(move || attributes.raw()).filter_map(|(name, value)| {
        Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
    })
}

/// Walks through the inside of a tag (§13.2.5.32 to §13.2.5.40), up to its `>`.
struct Attributes<'h> {
    rest: &'h [u8],
}

impl<'h> Attributes<'h> {
    fn take(&mut self, count: usize) -> &'h [u8] {
        let (now, later) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = later;
        now
    }

    fn take_while(&mut self, is: impl Fn(u8) -> bool) -> &'h [u8] {
        self.take(self.rest.iter().position(|&octet| !is(octet)).unwrap_or(self.rest.len()))
    }

    fn raw(&mut self) -> Option<(&'h [u8], &'h [u8])> {
        self.take_while(|octet| is_blank(octet) || octet == b'/');
        if matches!(self.rest, [] | [b'>', ..]) {
            return None;
        }
        // A `=` in front belongs to the name (§13.2.5.32).
        let whole = self.rest;
        self.take(1);
        self.take_while(|octet| !ends_name(octet) && octet != b'=');
        let name = &whole[..whole.len() - self.rest.len()];
        self.take_while(is_blank);
        if self.rest.first() != Some(&b'=') {
            return Some((name, b""));
        }
        self.take(1);
        self.take_while(is_blank);
        let value = match self.rest.first() {
            Some(&quote @ (b'"' | b'\'')) => {
                self.take(1);
                let value = self.take_while(|octet| octet != quote);
                self.take(1);
                value
            }
            _ => self.take_while(|octet| !is_blank(octet) && octet != b'>'),
        };
        Some((name, value))
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(html: &str) -> String {
        let one = |token| match token {
            Token::Text(text) => format!("[{text}]"),
            Token::Open { name, inside } => format!(
                "<{name}{}>",
                attributes(inside)
                    .map(|(name, value)| format!(" {name}={{{value}}}"))
                    .collect::<String>()
            ),
            Token::Close { name } => format!("</{name}>"),
        };
        Tokens::of(html).map(one).collect()
    }

    #[test]
    fn tags_and_text_are_told_apart_as_browsers_do() {
        for (html, is) in [
            ("a<b>c</b>d", "[a]<b>[c]</b>[d]"),
            ("<a href=\"x>y\" t='>' u=v/w z>k", "<a href={x>y} t={>} u={v/w} z={}>[k]"),
            ("1 < 2 <3 </ >x", "[1 ][< 2 ][<3 ][x]"),
            ("a<!-- <b> -- > -->c<!-->d<!--->e<!doctype x>f<?php ?>g", "[a][c][d][e][f][g]"),
            ("a<!-- x --!>b<!-- never ends <b>", "[a][b]"),
            ("<script>if (a<b) '</scripty>' </SCRIPT >x", "<script></SCRIPT>[x]"),
            ("<title>t<b></title>x<style>y", "<title></title>[x]<style>"),
            ("a<plaintext>b</plaintext>c", "[a]<plaintext>"),
            ("a<b never=\"ends>", "[a]"),
            ("<br/><img src=x/>", "<br><img src={x/}>"),
            ("<a =b c = d>", "<a =b={} c={d}>"),
            ("<", "[<]"),
            ("", ""),
        ] {
            assert_eq!(written(html), is, "{html}");
        }
    }

    proptest::proptest! {
        #[test]
        fn tokens_come_in_order_and_come_to_an_end(html in "([<>a-z/=\"'! -]|ü|<!--|</script>|<script>|<title>){0,80}") {
            let octets: usize = Tokens::of(&html).map(|token| match token { Token::Text(text) => text.len(), Token::Open { name, inside } => name.len() + inside.len(), Token::Close { name } => name.len() }).sum();
            proptest::prop_assert!(octets <= html.len());
        }
    }
}
