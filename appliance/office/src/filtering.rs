//! What the owner wants done with mail that may be unwanted.

use std::collections::BTreeMap;

use pillarbox_filter::verdict::{Group, Handling, Policy};
use pillarbox_store::{Reader, Result, SetSetting, Store};
use pillarbox_vocabulary::Domain;

use crate::settings::{FILES, FORWARDERS};

/// Forwarders that can be named.
pub const MOST_FORWARDERS: usize = 100;

/// Why a list is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A word of it is no domain.
    NoDomain(String),
    TooMany,
}

/// What the owner chose.
pub fn policy(reader: &Reader) -> Result<Policy> {
    let forwarders = reader.setting(FORWARDERS)?.unwrap_or_default();
    Ok(Policy {
        forwarders: forwarders.split_ascii_whitespace().map(str::to_string).collect(),
        files: files(&reader.setting(FILES)?.unwrap_or_default()),
    })
}

/// Reads what is kept of files; words of later releases are passed over.
fn files(text: &str) -> BTreeMap<Group, Handling> {
    let pairs = text.split_ascii_whitespace().filter_map(|word| word.split_once('='));
    pairs.filter_map(|(group, how)| handling(group, how)).collect()
}

/// The changes that keep a policy.
pub fn changes(policy: &Policy) -> [SetSetting; 2] {
    let files = policy.files.iter().filter(|(group, handling)| group.usual() != **handling);
    let files: Vec<String> =
        files.map(|(group, handling)| format!("{}={}", group.name(), handling.name())).collect();
    [(FORWARDERS, policy.forwarders.join(" ")), (FILES, files.join(" "))].map(|(key, text)| {
        let value = (!text.is_empty()).then_some(text);
        SetSetting { key: key.into(), value }
    })
}

/// Keeps a policy; blocks.
pub fn set(store: &Store, policy: &Policy) -> Result<()> {
    let [forwarders, files] = changes(policy).map(|change| store.change(change));
    forwarders.wait()?;
    files.wait().map(drop)
}

/// What is done with files of a group, by their names in settings.
pub fn handling(group: &str, handling: &str) -> Option<(Group, Handling)> {
    let group = Group::ALL.into_iter().find(|one| one.name() == group)?;
    Some((group, Handling::ALL.into_iter().find(|one| one.name() == handling)?))
}

/// Reads a list of domains as people write it: with commas, spaces or line ends, with or without an `@`.
pub fn forwarders(text: &str) -> std::result::Result<Vec<String>, Wrong> {
    let words = text.split([',', ';', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
    let mut domains = Vec::new();
    for word in words {
        let domain = Domain::parse(word.trim_start_matches('@'))
            .map_err(|_| Wrong::NoDomain(word.to_string()))?
            .to_string();
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    if domains.len() > MOST_FORWARDERS { Err(Wrong::TooMany) } else { Ok(domains) }
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
            forwarders(" @Uni.test, verein.test\r\nuni.test;"),
            Ok(vec!["uni.test".to_string(), "verein.test".to_string()])
        );
        assert_eq!(forwarders(""), Ok(Vec::new()));
        assert_eq!(forwarders("ok.test no_domain!"), Err(Wrong::NoDomain("no_domain!".into())));
        let many: String = (0..=MOST_FORWARDERS).map(|n| format!("d{n}.test ")).collect();
        assert_eq!(forwarders(&many), Err(Wrong::TooMany));
    }
}
