//! What the owner wants done with mail that may be unwanted.

use std::collections::BTreeMap;

use pillarbox_filter::dkim::registered;
use pillarbox_filter::verdict::{Group, Handling, Kind, Policy, Reason};
use pillarbox_store::{Reader, Result, SetSetting, Store};
use pillarbox_texts::Language;
use pillarbox_vocabulary::{Address, Domain};

use crate::settings::{ALLOWED, BANNED, FILES, FORWARDERS};

/// Forwarders that can be named, and addresses or domains of each of the other lists.
pub const MOST_FORWARDERS: usize = 100;
pub const MOST_LISTED: usize = 500;

/// Why a list is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A word of it is no domain.
    NoDomain(String),
    /// A word of it is neither an address nor a domain.
    NoSender(String),
    /// It has more than so many.
    TooMany(usize),
}

/// What the owner chose.
pub fn policy(reader: &Reader) -> Result<Policy> {
    let list = |key| -> Result<Vec<String>> {
        let words = reader.setting(key)?.unwrap_or_default();
        Ok(words.split_ascii_whitespace().map(str::to_string).collect())
    };
    Ok(Policy {
        forwarders: list(FORWARDERS)?,
        allowed: list(ALLOWED)?,
        banned: list(BANNED)?,
        files: files(&reader.setting(FILES)?.unwrap_or_default()),
    })
}

/// Reads what is kept of files; words of later releases are passed over.
fn files(text: &str) -> BTreeMap<Group, Handling> {
    let pairs = text.split_ascii_whitespace().filter_map(|word| word.split_once('='));
    pairs.filter_map(|(group, how)| handling(group, how)).collect()
}

/// The changes that keep a policy.
pub fn changes(policy: &Policy) -> [SetSetting; 4] {
    let files = policy.files.iter().filter(|(group, handling)| group.usual() != **handling);
    let files: Vec<String> =
        files.map(|(group, handling)| format!("{}={}", group.name(), handling.name())).collect();
    let lists = [
        (FORWARDERS, policy.forwarders.join(" ")),
        (ALLOWED, policy.allowed.join(" ")),
        (BANNED, policy.banned.join(" ")),
        (FILES, files.join(" ")),
    ];
    lists.map(|(key, text)| {
        let value = (!text.is_empty()).then_some(text);
        SetSetting { key: key.into(), value }
    })
}

/// Keeps a policy; blocks.
pub fn set(store: &Store, policy: &Policy) -> Result<()> {
    let written = changes(policy).map(|change| store.change(change));
    written.into_iter().try_for_each(|change| change.wait().map(drop))
}

/// A reason of a verdict as a sentence.
pub fn sentence(language: Language, reason: &Reason) -> String {
    let key = format!("verdict-{}", reason.kind.name());
    let about = match reason.kind {
        Kind::File(_) if reason.about.is_empty() => language.get("verdict-whole-message"),
        _ => reason.about.as_str().into(),
    };
    let name = if matches!(reason.kind, Kind::File(_)) { "file" } else { "domain" };
    language.with(&key, &[(name, &about)]).into_owned()
}

/// What is done with files of a group, by their names in settings.
pub fn handling(group: &str, handling: &str) -> Option<(Group, Handling)> {
    let group = Group::ALL.into_iter().find(|one| one.name() == group)?;
    Some((group, Handling::ALL.into_iter().find(|one| one.name() == handling)?))
}

/// Reads a list of domains as people write it: with commas, spaces or line ends, with or without an `@`.
pub fn forwarders(text: &str) -> std::result::Result<Vec<String>, Wrong> {
    list(text, MOST_FORWARDERS, |word| {
        let domain = Domain::parse(word.trim_start_matches('@'));
        domain
            .map(|domain| registered(&domain.to_string()))
            .map_err(|_| Wrong::NoDomain(word.to_string()))
    })
}

/// The same of addresses and domains.
pub fn senders(text: &str) -> std::result::Result<Vec<String>, Wrong> {
    list(text, MOST_LISTED, |word| {
        let word = word.trim_start_matches('@');
        let found = match word.contains('@') {
            true => Address::parse(word).ok().and_then(|address| {
                let address = address.canonical().to_lowercase();
                let (local, domain) = address.rsplit_once('@')?;
                Some(format!("{local}@{}", registered(domain)))
            }),
            false => Domain::parse(word).ok().map(|domain| registered(&domain.to_string())),
        };
        found.ok_or_else(|| Wrong::NoSender(word.to_string()))
    })
}

/// The words of a list, each once.
fn list(
    text: &str,
    most: usize,
    read: impl Fn(&str) -> std::result::Result<String, Wrong>,
) -> std::result::Result<Vec<String>, Wrong> {
    let words = text.split([',', ';', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
    let mut found = Vec::new();
    for word in words.map(read) {
        let word = word?;
        if !found.contains(&word) {
            found.push(word);
        }
    }
    if found.len() > most { Err(Wrong::TooMany(most)) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_with_files_is_read_and_unknown_words_do_no_harm() {
        let known = [(Group::Macros, Handling::Refuse), (Group::Programs, Handling::Junk)];
        assert_eq!(files("macros=refuse later=junk pages=later programs=junk x"), known.into());
        assert_eq!(files(""), BTreeMap::new());
    }

    #[test]
    fn what_is_kept_is_read_again_and_the_usual_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let options = pillarbox_store::Options { reserve_octets: 0, ..Default::default() };
        let store = Store::open(dir.path(), pillarbox_store::Access::Server, &options).unwrap();
        let mut policy = Policy {
            forwarders: vec!["uni.test".into(), "verein.test".into()],
            allowed: vec!["ann@a.test".into()],
            banned: vec!["pest.test".into()],
            files: [(Group::Macros, Handling::Refuse)].into(),
        };
        set(&store, &policy).unwrap();
        assert_eq!(store.read(super::policy).unwrap(), policy);
        policy = Policy { files: [(Group::Macros, Handling::Warn)].into(), ..Policy::default() };
        set(&store, &policy).unwrap();
        assert_eq!(store.read(super::policy).unwrap(), Policy::default());
        assert_eq!(store.read(|r| r.setting(FILES)).unwrap(), None);
    }

    #[test]
    fn a_list_of_domains_is_read_as_people_write_it() {
        assert_eq!(
            forwarders(" @Uni.test, M\u{fc}ller.test\r\nuni.test;"),
            Ok(vec!["uni.test".to_string(), "xn--mller-kva.test".to_string()])
        );
        assert_eq!(forwarders(""), Ok(Vec::new()));
        assert_eq!(forwarders("ok.test no_domain!"), Err(Wrong::NoDomain("no_domain!".into())));
        let many: String = (0..=MOST_FORWARDERS).map(|n| format!("d{n}.test ")).collect();
        assert_eq!(forwarders(&many), Err(Wrong::TooMany(MOST_FORWARDERS)));
    }

    #[test]
    fn a_list_of_senders_has_addresses_and_domains() {
        assert_eq!(
            senders("Ann@A.test @pest.test; pest.test\nM\u{fc}ller.test"),
            Ok(["ann@a.test", "pest.test", "xn--mller-kva.test"].map(String::from).to_vec())
        );
        assert_eq!(senders("a@"), Err(Wrong::NoSender("a@".into())));
        assert_eq!(senders("no_domain!"), Err(Wrong::NoSender("no_domain!".into())));
    }
}
