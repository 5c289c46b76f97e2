//! Which parts of a message are what it says, in their order, and which are files.
//! One decision for its page, for quoting and forwarding, for previews, searching, notices and printing.
//!
//! Only `alternative` is a choice (RFC 2046 §5.1.4).
//! Everything else that can be read in its place is read there, one behind the other: text, picture, text as Apple's
//! programs write it, footers of mailing lists and scanners.

use crate::structure::{Disposition, Group, Part, Structure};

/// What the reader can bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The richest one, with pictures between the texts.
    Html,
    /// Plain text where there is some.
    Plain,
}

/// Kinds of text that are made for programs, or for what people keep as a file.
const FILES: [&str; 13] = [
    "text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/csv", "text/css",
    "text/javascript", "text/xml", "text/rtf", "text/rfc822-headers", "text/x-amp-html",
    "text/x-watch-html", "text/watch-html",
];
/// Octets of a text that says nothing: line ends.
const BLANK: u64 = 4;

impl Part {
    /// Whether it is text that is read in its place.
    /// A name makes no file of it (RFC 2183 §2), unless such text is not for people.
    pub fn is_inline_text(&self) -> bool {
        let is_read = match self.kind.as_str() {
            "text/plain" | "text/html" => true,
            kind => {
                kind.starts_with("text/") && !FILES.contains(&kind) && self.file_name.is_empty()
            }
        };
        is_read && self.disposition != Disposition::Attachment
    }

    fn is_inline_picture(&self) -> bool {
        self.kind.starts_with("image/") && self.disposition == Disposition::Inline
    }

    fn is_html(&self) -> bool {
        self.kind == "text/html"
    }

    /// Whether it is a message of its own (RFC 2046 §5.2.1, RFC 6532 §3.7).
    pub fn is_message(&self) -> bool {
        matches!(self.kind.as_str(), "message/rfc822" | "message/global")
    }

    fn is_blank(&self) -> bool {
        self.end - self.start <= BLANK
    }
}

/// What is in a multipart.
#[derive(Clone, Copy)]
enum Child {
    Part(usize),
    Group(usize),
}

impl Structure {
    /// The numbers of the parts that are shown, in order.
    /// Pictures are among them in the rich form only.
    pub fn shown(&self, form: Form) -> Vec<usize> {
        let found = self.select(None, form);
        if !found.iter().any(|&at| self.parts[at].is_inline_text()) {
            // RFC 3464 §2: a report without a word for people still says what happened.
            let report = self.parts.iter().position(|part| {
                part.kind.starts_with("message/") && part.kind.ends_with("delivery-status")
            });
            return report.into_iter().chain(found).collect();
        }
        found
    }

    /// Everything else: numbers and parts.
    /// Pictures that are shown are among them too, and texts that have a name of their own.
    pub fn attachments(&self) -> Vec<(usize, &Part)> {
        let (html, plain) = (self.shown(Form::Html), self.shown(Form::Plain));
        let is_file = |(at, part): &(usize, &Part)| {
            if !part.is_inline_text() {
                // A report that is all the message says.
                return !plain.contains(at);
            }
            // The other forms of what is shown are no files; a calendar among them is worth one.
            let is_body = part.group.is_none()
                || self.is_choice(part)
                || html.first() == Some(at) && part.is_html();
            !is_body && !part.file_name.is_empty()
                || !html.contains(at) && !plain.contains(at) && !self.is_choice(part)
        };
        self.parts.iter().enumerate().filter(is_file).collect()
    }

    /// The kind of the multipart a part is in; empty for the message itself.
    pub fn within(&self, part: &Part) -> &str {
        part.group.and_then(|at| self.groups.get(at)).map_or("", |group| &group.kind)
    }

    /// Whether a choice is above a part.
    fn is_choice(&self, part: &Part) -> bool {
        let mut above = part.group.and_then(|at| self.groups.get(at));
        while let Some(group) = above {
            if group.kind == "alternative" {
                return true;
            }
            above = self.parent(group);
        }
        false
    }

    fn parent(&self, group: &Group) -> Option<&Group> {
        group.parent.and_then(|at| self.groups.get(at))
    }

    /// What is shown of a multipart, or of the message.
    /// Goes as deep as multiparts may.
    fn select(&self, group: Option<usize>, form: Form) -> Vec<usize> {
        let lists = self.children(group).into_iter().map(|child| match child {
            Child::Part(at) if self.parts[at].is_inline_text() => vec![at],
            Child::Part(at) if form == Form::Html && self.parts[at].is_inline_picture() => vec![at],
            Child::Part(_) => Vec::new(),
            Child::Group(at) => self.select(Some(at), form),
        });
        match group.map_or("", |at| self.groups[at].kind.as_str()) {
            "alternative" => self.choose(lists.collect(), form),
            "related" => self.root(lists.collect()),
            _ => lists.flatten().collect(),
        }
    }

    /// One of the alternatives.
    /// The last is the richest one (RFC 2046 §5.1.4); one that says nothing is none.
    fn choose(&self, lists: Vec<Vec<usize>>, form: Form) -> Vec<usize> {
        let says = |list: &[usize], is: &dyn Fn(&Part) -> bool| {
            list.iter().any(|&at| is(&self.parts[at]) && !self.parts[at].is_blank())
        };
        let rich = lists
            .iter()
            .rposition(|list| says(list, &Part::is_html))
            .filter(|_| form == Form::Html);
        let plain = || {
            let is_plain = |list: &Vec<usize>| {
                says(list, &|part| part.kind == "text/plain") && !says(list, &Part::is_html)
            };
            lists.iter().position(is_plain)
        };
        let any = || lists.iter().position(|list| says(list, &Part::is_inline_text));
        let chosen = rich
            .or_else(plain)
            .or_else(any)
            .or_else(|| lists.iter().position(|list| !list.is_empty()));
        chosen.and_then(|at| lists.into_iter().nth(at)).unwrap_or_default()
    }

    /// The first is what the others belong to (RFC 2387 §3.2).
    /// Texts that nothing can refer to are read behind it: some gateways put their footers there.
    fn root(&self, lists: Vec<Vec<usize>>) -> Vec<usize> {
        let mut lists = lists.into_iter().skip_while(Vec::is_empty);
        let root = lists.next().unwrap_or_default();
        let is_own =
            |at: &usize| self.parts[*at].content_id.is_empty() && self.parts[*at].is_inline_text();
        root.into_iter().chain(lists.flatten().filter(is_own)).collect()
    }

    /// What is directly in a multipart, or is the message.
    fn children(&self, group: Option<usize>) -> Vec<Child> {
        let (mut at, end) = group.map_or((0, self.parts.len()), |group| {
            (self.groups[group].first, self.groups[group].end)
        });
        let mut found = Vec::new();
        while at < end {
            let child = self.child(at, group);
            found.push(child);
            at = match child {
                Child::Part(part) => part + 1,
                Child::Group(inner) => self.groups[inner].end.max(at + 1),
            };
        }
        found
    }

    /// The child of a multipart that a part is, or is in.
    fn child(&self, part: usize, group: Option<usize>) -> Child {
        let mut found = Child::Part(part);
        let mut above = self.parts[part].group;
        while let Some(at) = above.filter(|_| above != group) {
            found = Child::Group(at);
            above = self.groups[at].parent;
        }
        found
    }
}

#[cfg(test)]
mod tests;
