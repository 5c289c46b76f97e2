//! What counts of a message, as numbers.

use pillarbox_message::head;
use pillarbox_message::html::to_text;
use pillarbox_message::markup::{Token, Tokens, attributes};
use pillarbox_message::structure::{Part, Person};

use super::Content;
use super::agreement::Agreement;
use super::tokens::{form, host, shouts, size, words};

/// Features are below two to this.
pub const BITS: u32 = 20;
/// Words and facts are below this, windows of four octets are not.
pub const WINDOWS: u32 = 3 << (BITS - 2);
/// Octets of the text that windows are moved over.
const WINDOWED: usize = 4000;
/// Words and facts of a message before equal ones are one: whatever is written, time and memory are bounded.
const MOST: usize = 24_000;
/// People, parts, multiparts, links and tags that count.
const PEOPLE: usize = 3;
const PARTS: usize = 16;
const GROUPS: usize = 8;
const LINKS: usize = 60;
const TAGS: usize = 1500;
const ATTRIBUTES: usize = 12;
/// Characters of a value.
const VALUE: usize = 40;

/// Fields that tell of the way of a message, of a filter or of a mailbox, and nothing of the message.
const PASSED_OVER: [&str; 12] = [
    "received", "return-path", "delivered-to", "delivery-date", "date", "status", "x-status",
    "x-keywords", "x-uid", "lines", "pillarbox-verdict", "authentication-results",
];
/// Fields whose words count.
const SPOKEN: [&str; 9] = [
    "content-type", "x-mailer", "user-agent", "mime-version", "precedence", "x-priority",
    "importance", "list-id", "organization",
];

/// What counts of a message: numbers in order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features(Vec<u32>);

/// Hears words, with their numbers.
pub type Tell<'t> = dyn FnMut(u32, &str) + 't;

impl Features {
    /// Of a message.
    pub fn of(content: &Content) -> Features {
        Features::told(content, &mut |_, _| {})
    }

    /// The same; `tell` hears the words of what it says, wherever they are.
    pub fn told(content: &Content, tell: &mut Tell<'_>) -> Features {
        let agreement = Agreement::of(&content.structure);
        let mut all =
            Collector { ids: Vec::with_capacity(4096), windows: Vec::new(), tell, agreement };
        all.header(content);
        all.people(content);
        all.structure(content);
        all.texts(content);
        all.agreement();
        let Collector { mut ids, windows, .. } = all;
        ids.extend(windows);
        Features::from_ids(ids)
    }

    /// Of numbers; those that are none are left out.
    pub fn from_ids(mut ids: Vec<u32>) -> Features {
        ids.retain(|id| *id < 1 << BITS);
        ids.sort_unstable();
        ids.dedup();
        Features(ids)
    }

    pub fn ids(&self) -> &[u32] {
        &self.0
    }

    /// Words and facts; then windows.
    pub fn halves(&self) -> (&[u32], &[u32]) {
        self.0.split_at(self.0.partition_point(|&id| id < WINDOWS))
    }
}

/// Takes note of what counts.
struct Collector<'t, 'h> {
    ids: Vec<u32>,
    windows: Vec<u32>,
    tell: &'t mut Tell<'h>,
    agreement: Agreement,
}

/// Of what a feature is, and of the feature (FNV-1a, mixed).
fn hash(kind: &str, word: &str) -> u64 {
    let octets = kind.bytes().chain([b':']).chain(word.bytes());
    let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    mixed(hash)
}

fn mixed(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A number below `span`, by a hash's upper half.
fn scaled(hash: u64, span: u32) -> u32 {
    (((hash >> 32) * u64::from(span)) >> 32) as u32
}

impl Collector<'_, '_> {
    fn put(&mut self, hash: u64) -> u32 {
        let id = scaled(hash, WINDOWS);
        if self.ids.len() < MOST {
            self.ids.push(id);
        }
        id
    }

    fn fact(&mut self, kind: &str, value: &str) {
        self.put(hash(kind, value));
    }

    fn word(&mut self, kind: &str, word: &str) -> u64 {
        let hash = hash(kind, word);
        let id = self.put(hash);
        (self.tell)(id, word);
        hash
    }

    /// Words one by one, and each with the one before it.
    fn words(&mut self, kind: &str, text: &str) {
        let mut before: Option<u64> = None;
        words(text, |word| {
            let this = self.word(kind, word);
            if let Some(before) = before.replace(this) {
                self.put(mixed(before.rotate_left(17) ^ this));
            }
        });
    }

    /// A name of a host: whole, and its last labels.
    fn host(&mut self, kind: &str, name: &str) {
        self.fact(kind, name);
        self.fact(kind, name.rsplit('.').next().unwrap_or_default());
        self.word(kind, host::registered(name));
    }

    fn header(&mut self, content: &Content) {
        let mut received = 0;
        for field in head::fields(&content.header) {
            let Some(name) = head::name(field) else { continue };
            let lower = name.to_ascii_lowercase();
            let value = String::from_utf8_lossy(&field[name.len().min(field.len())..]);
            let value = value.trim_start_matches([':', ' ']);
            match &lower[..] {
                "received" => {
                    received += 1;
                    self.way(value);
                }
                "return-path" => {
                    self.words("back", value);
                    self.agreement.goes_back_to(value);
                }
                "message-id" => self.fact("id-form", &form(value.trim())),
                _ if SPOKEN.contains(&&lower[..]) => self.words(&lower, value),
                _ => {}
            }
            if !PASSED_OVER.contains(&&lower[..]) && !lower.starts_with("x-spam") {
                self.fact("has", &lower);
                self.fact("written", name);
            }
        }
        self.fact("received", &size(received));
        let structure = &content.structure;
        self.words("subject", &structure.subject);
        self.fact("subject-form", &form(&structure.subject));
        self.fact("date", if structure.date == 0 { "none" } else { "one" });
        self.fact("references", &size(structure.references.len()));
    }

    /// Where a message came from on a part of its way (RFC 5321 §4.4).
    fn way(&mut self, field: &str) {
        let from = field.split_once(" by ").map_or(field, |(from, _)| from);
        words(from, |word| {
            self.word("way", word);
            if word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.') {
                let nets = word.rmatch_indices('.').take(2);
                nets.for_each(|(at, _)| self.fact("net", &word[..at]));
            } else if word.contains('.') {
                self.host("way", word);
                self.agreement.came_over(word);
            }
        });
    }

    fn people(&mut self, content: &Content) {
        let structure = &content.structure;
        for person in structure.from.iter().take(PEOPLE) {
            self.person("from", person);
        }
        for person in structure.reply_to.iter().take(PEOPLE) {
            self.person("reply", person);
        }
        self.fact("to", &size(structure.to.len()));
        self.fact("cc", &size(structure.cc.len()));
        for person in structure.to.iter().take(PEOPLE) {
            self.fact("to-named", if person.name.is_empty() { "no" } else { "yes" });
            self.fact("to-host", &host::of_address(&person.address));
        }
    }

    fn person(&mut self, kind: &str, person: &Person) {
        self.words(kind, &person.name);
        self.fact("named", if person.name.is_empty() { "no" } else { "yes" });
        let address = person.address.to_ascii_lowercase();
        if let Some((local, name)) = address.rsplit_once('@') {
            self.word(kind, &address);
            self.host(kind, name);
            self.fact("local-form", &form(local));
        }
    }

    fn structure(&mut self, content: &Content) {
        let structure = &content.structure;
        self.fact("parts", &size(structure.parts.len()));
        structure.groups.iter().take(GROUPS).for_each(|group| self.fact("group", &group.kind));
        structure.parts.iter().take(PARTS).for_each(|part| self.part(part));
    }

    fn part(&mut self, part: &Part) {
        self.fact("kind", &part.kind);
        self.fact("charset", &part.charset.to_ascii_lowercase());
        self.fact("encoding", part.encoding.name());
        if let Some((_, end)) = part.file_name.rsplit_once('.') {
            self.words("file", &part.file_name);
            self.fact("file-end", &end.to_ascii_lowercase());
        }
    }

    fn texts(&mut self, content: &Content) {
        let mut plain = String::new();
        for (text, is_html) in &content.texts {
            let at = plain.len();
            if *is_html {
                self.html(text);
                plain.push_str(&to_text(text));
            } else {
                self.links(text);
                plain.push_str(text);
            }
            let said = &plain[at..];
            self.fact("shouts", &size(shouts(said)));
            self.fact("marks", &size(said.bytes().filter(|octet| *octet == b'!').count()));
            plain.push('\n');
        }
        self.fact("length", &size(plain.len() / 100));
        self.windows(&[&content.structure.subject, " ", &plain]);
        self.words("text", &plain);
    }

    /// Four octets each of what a text begins with, in small letters, blanks as one.
    fn windows(&mut self, texts: &[&str]) {
        let mut small: Vec<u8> = Vec::with_capacity(WINDOWED);
        for octet in texts.iter().flat_map(|text| text.bytes()) {
            let octet = if octet.is_ascii_whitespace() { b' ' } else { octet.to_ascii_lowercase() };
            if octet != b' ' || small.last() != Some(&b' ') {
                small.push(octet);
            }
            if small.len() == WINDOWED {
                break;
            }
        }
        self.windows.extend(small.windows(4).map(|four| {
            let four = four.iter().fold(0, |sum, octet| (sum << 8) | u64::from(*octet));
            WINDOWS + scaled(four.wrapping_mul(0x9e37_79b9_7f4a_7c15), (1 << BITS) - WINDOWS)
        }));
    }

    /// How HTML is built, and where it leads.
    fn html(&mut self, html: &str) {
        let (mut links, mut pictures, mut tags) = (0, 0, 0);
        for token in Tokens::of(html) {
            let Token::Open { name, inside } = token else { continue };
            let name = name.to_ascii_lowercase();
            tags += 1;
            links += usize::from(name == "a");
            pictures += usize::from(name == "img");
            if tags > TAGS {
                break;
            }
            self.fact("tag", &name);
            for (key, value) in attributes(inside).take(ATTRIBUTES) {
                self.attribute(&name, &key.to_ascii_lowercase(), value);
            }
        }
        self.fact("links", &size(links));
        self.fact("pictures", &size(pictures));
        self.fact("tags", &size(tags / 4));
    }

    fn attribute(&mut self, tag: &str, key: &str, value: &str) {
        match (tag, key) {
            ("a" | "area", "href") | ("img", "src") | (_, "action") => self.link(value),
            (_, "color" | "bgcolor" | "size" | "face" | "width" | "height" | "align") => {
                let value: String = value.chars().take(VALUE).collect();
                self.fact(key, &value.to_ascii_lowercase());
            }
            (_, "style") => {
                for one in value.split(';').take(ATTRIBUTES) {
                    let one = one.chars().filter(|c| !c.is_whitespace()).take(VALUE);
                    self.fact(key, &one.collect::<String>().to_ascii_lowercase());
                }
            }
            _ => self.fact("attribute", key),
        }
    }

    /// Links in plain text.
    fn links(&mut self, text: &str) {
        for at in memchr::memmem::find_iter(text.as_bytes(), b"://").take(LINKS) {
            let letters = text[..at].bytes().rev().take_while(u8::is_ascii_alphabetic).count();
            let link = &text[at - letters..];
            let is_end = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | ')');
            self.link(&link[..link.find(is_end).unwrap_or(link.len())]);
        }
    }

    fn link(&mut self, link: &str) {
        let Some((scheme, rest)) = link.split_once(':') else { return };
        let scheme: String = scheme.chars().take(VALUE).collect();
        self.fact("scheme", &scheme.to_ascii_lowercase());
        let rest = rest.trim_start_matches('/');
        let (place, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let place = place.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        let (name, port) = place.split_once(':').unwrap_or((&place, ""));
        self.host("link", name);
        self.agreement.leads_to(name);
        if name.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.') {
            self.fact("link-form", "address");
        }
        if !port.is_empty() {
            self.fact("link-form", "port");
        }
        let path: String = path.chars().take(2 * VALUE).collect();
        words(&path, |word| self.fact("path", word));
    }

    /// Whether those who say that they sent it are those it came from, and those it leads to.
    fn agreement(&mut self) {
        for (kind, value) in self.agreement.facts() {
            self.fact(kind, &value);
        }
    }
}
