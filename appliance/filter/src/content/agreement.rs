//! Whether a message's author, way and links belong together.

use pillarbox_message::head;
use pillarbox_message::structure::Person;

use super::Content;
use super::tokens::{host, size, words};

/// Hosts and links that are compared.
const MOST: usize = 100;

/// Domains that a message names, and those it has to do with.
pub struct Agreement {
    /// Of its author, of its reverse-path, for answers, of its identifier; empty where there is none.
    said: [String; 4],
    /// Of the servers it says it came over.
    way: Vec<String>,
    /// Of its links.
    links: Vec<String>,
}

impl Agreement {
    /// Of a message, before its links are known.
    pub fn of(content: &Content) -> Agreement {
        let structure = &content.structure;
        let (mut way, mut back) = (Vec::new(), String::new());
        for field in head::fields(&content.header) {
            let text = String::from_utf8_lossy(field);
            match head::name(field).map(str::to_ascii_lowercase).as_deref() {
                Some("return-path") => back = of(text.trim_end()),
                Some("received") if way.len() < MOST => {
                    let from = text.split_once(" by ").map_or(&text[..], |(from, _)| from);
                    words(from, |word| {
                        if word.contains('.') && !word.ends_with(|c: char| c.is_ascii_digit()) {
                            way.push(host::registered(word).to_string());
                        }
                    });
                }
                _ => {}
            }
        }
        let said =
            [first(&structure.from), back, first(&structure.reply_to), of(&structure.message_id)];
        Agreement { said, way, links: Vec::new() }
    }

    /// The message has a link to this host.
    pub fn leads_to(&mut self, name: &str) {
        if self.links.len() < MOST {
            self.links.push(host::registered(name).to_string());
        }
    }

    /// Kinds of facts, and facts.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let among = |all: &[String]| self.said.iter().map(|one| is_among(one, all)).collect();
        let (way, links): (String, String) = (among(&self.way), among(&self.links));
        let is_own = |link: &&String| self.said.contains(link) || self.way.contains(link);
        let own = self.links.iter().filter(is_own).count();
        let mut facts = vec![
            ("way-and-links", format!("{way}{links}{}", own > 0)),
            ("foreign-links", size(self.links.len() - own)),
            ("author-is-sender", (self.said[0] == self.said[1]).to_string()),
        ];
        facts.extend(way.char_indices().map(|(at, is)| ("way-of", format!("{at}{is}"))));
        facts.extend(links.char_indices().map(|(at, is)| ("links-of", format!("{at}{is}"))));
        facts.extend([("ways", way), ("leads", links)]);
        facts
    }
}

/// The domain of an address.
fn of(address: &str) -> String {
    host::registered(&host::of_address(address)).to_string()
}

fn first(people: &[Person]) -> String {
    people.first().map(|person| of(&person.address)).unwrap_or_default()
}

/// Whether a domain is among others: `y`, `n`, `-` without one, `0` without others.
fn is_among(one: &str, all: &[String]) -> char {
    match (one.is_empty(), all.is_empty()) {
        (true, _) => '-',
        (false, true) => '0',
        (false, false) if all.iter().any(|other| other == one) => 'y',
        (false, false) => 'n',
    }
}
