//! Whether a message's author, way and links belong together.

use pillarbox_message::structure::{Person, Structure};

use super::tokens::{host, size};

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
    /// Of a message, before its reverse-path, way and links are known.
    pub fn of(structure: &Structure) -> Agreement {
        let (author, reply) = (first(&structure.from), first(&structure.reply_to));
        let said = [author, String::new(), reply, of(&structure.message_id)];
        Agreement { said, way: Vec::new(), links: Vec::new() }
    }

    /// The reverse-path of the message; of several the last counts.
    pub fn goes_back_to(&mut self, path: &str) {
        self.said[1] = of(path.trim_end());
    }

    /// The message came over this host.
    pub fn came_over(&mut self, name: &str) {
        if self.way.len() < MOST && !name.ends_with(|c: char| c.is_ascii_digit()) {
            self.way.push(host::registered(name).to_string());
        }
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
