//! Searching against a plain model, and what a crash at each step leaves behind.

#![allow(clippy::unwrap_used)] // tests may

use pillarbox_vocabulary::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pillarbox_store::*;
use proptest::prelude::*;

fn open(dir: &Path) -> Store {
    Store::open(dir, Access::Server, &Options { reserve_octets: 0, ..Options::default() }).unwrap()
}

fn with_ann(dir: &Path) -> (Store, AccountId) {
    let store = open(dir);
    store.change(AddDomain { name: "example.org".into(), at: Timestamp(1) }).wait().unwrap();
    let account = AddAccount {
        address: "ann@example.org".into(),
        name: String::new(),
        hash: "x".into(),
        policy: MailboxPolicy::Keep,
        at: Timestamp(1),
    };
    store.change(account).wait().unwrap();
    let ann = store.read(|r| r.account("ann@example.org")).unwrap().unwrap().0;
    (store, ann)
}

fn deliver(store: &Store, account: AccountId, text: &str) -> MessageId {
    let mut spool = store.spool();
    spool.append(text.as_bytes()).unwrap();
    let placement = Placement { account, folder: FolderId::INBOX, flags: Flags::default() };
    let record = LedgerRecord::new(Timestamp(1), Fate::Delivered, ShortCode(9));
    store
        .deliver(Delivery::local(spool.finish().unwrap(), 0, vec![placement], record))
        .wait()
        .unwrap()
        .message
}

/// Takes what waits into the index: each message with the words that are given for it.
fn index(store: &Store, account: AccountId, words: &BTreeMap<MessageId, Vec<String>>) {
    let mut batch = Batch::default();
    let mut folders = Vec::new();
    for Unindexed { folder, from, entries, .. } in
        store.read(|r| r.unindexed(Some(account), 1000)).unwrap()
    {
        let below = entries.last().unwrap().0 + 1;
        let messages: Vec<(u32, MessageId)> =
            entries.iter().map(|(uid, entry)| (*uid, entry.message)).collect();
        for (_, message) in &messages {
            if !store.read(|r| r.is_indexed(account, *message)).unwrap() {
                batch.add(*message, words[message].iter().map(|word| (Field::Body, word.as_str())));
            }
        }
        folders.push(Indexed { folder, from, below, messages });
    }
    let segment = if batch.is_empty() {
        None
    } else {
        store.write_segment(account, &batch, &mut |_| true).unwrap()
    };
    assert!(store.change(IndexWork { account, folders, segment }).wait().unwrap());
}

fn files(dir: &Path) -> BTreeSet<String> {
    let found = std::fs::read_dir(dir.join("index"))
        .map(|items| items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect());
    found.unwrap_or_default()
}

fn word(word: &str, is_prefix: bool) -> Ask {
    Ask::Word(Term { word: word.into(), fields: Fields::ALL, is_prefix })
}

/// All pages of a search.
fn found(store: &Store, account: AccountId, ask: &Ask, limit: usize) -> Vec<(MessageId, bool)> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = store.search(account, ask, before, limit).unwrap();
        assert!(page.damage.is_none() && page.hits.len() <= limit);
        all.extend(page.hits.iter().map(|(one, is_certain)| (one.entry.message, *is_certain)));
        match page.next {
            Some(next) => before = Some(next),
            None => return all,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Arrive(Vec<String>),
    Index,
    Merge,
    Delete(prop::sample::Index),
    Move(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec("[ab]{1,2}", 0..5).prop_map(Step::Arrive),
        2 => Just(Step::Index),
        1 => Just(Step::Merge),
        1 => any::<prop::sample::Index>().prop_map(Step::Delete),
        1 => any::<prop::sample::Index>().prop_map(Step::Move),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let term = || {
        ("[ab]{1,2}", any::<bool>()).prop_map(|(word, is_prefix)| Term {
            word,
            fields: Fields::ALL,
            is_prefix,
        })
    };
    let leaf = prop_oneof![
        3 => term().prop_map(Ask::Word),
        1 => proptest::collection::vec(term(), 1..3).prop_map(Ask::Phrase),
        1 => Just(Ask::Fact(Fact::In(FolderId::JUNK))),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Ask::All),
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Ask::Any),
            inner.prop_map(|ask| Ask::Not(Box::new(ask))),
        ]
    })
}

/// A message as it is.
struct Plain<'a>(&'a [String]);

impl Words for Plain<'_> {
    fn word(&self, term: &Term) -> Truth {
        self.phrase(std::slice::from_ref(term))
    }
    fn phrase(&self, terms: &[Term]) -> Truth {
        let is = |(word, term): (&String, &Term)| {
            if term.is_prefix { word.starts_with(&term.word) } else { *word == term.word }
        };
        self.0.windows(terms.len()).any(|some| some.iter().zip(terms).all(is)).into()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn searches_find_what_a_plain_look_at_every_message_finds(
        steps in proptest::collection::vec(step(), 1..60), asks in proptest::collection::vec(ask(), 1..20), limit in 1usize..6,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (store, ann) = with_ann(dir.path());
        let mut words: BTreeMap<MessageId, Vec<String>> = BTreeMap::new();
        for step in steps {
            let entries = |folder| store.read(|r| r.entries(ann, folder, 0, 1000)).unwrap();
            let uid = |at: prop::sample::Index| Some(entries(FolderId::INBOX)).filter(|all| !all.is_empty()).map(|all| all[at.index(all.len())].0);
            let order = |uid: Option<u32>, what| {
                if let Some(uid) = uid {
                    store.change(MailOrder { account: ann, folder: FolderId::INBOX, uids: vec![uid], what, at: Timestamp(5), service: Service::Web }).wait().unwrap();
                }
            };
            match step {
                Step::Arrive(said) => drop(words.insert(deliver(&store, ann, "x"), said)),
                Step::Index => index(&store, ann, &words),
                Step::Merge => while store.merge_segments(ann, &mut |_| true).unwrap() == Merged::Done {},
                Step::Delete(at) => order(uid(at), MailWhat::Delete { code: ShortCode(3) }),
                Step::Move(at) => order(uid(at), MailWhat::Move { to: FolderId::JUNK }),
            }
        }
        let fresh = store.read(|r| r.fresh(ann, 2000)).unwrap();
        let mut mail: Vec<Found> = Vec::new();
        for folder in [FolderId::INBOX, FolderId::JUNK] {
            mail.extend(store.read(|r| r.entries(ann, folder, 0, 1000)).unwrap().into_iter().map(|(uid, entry)| Found { folder, uid, entry }));
        }
        mail.sort_by_key(|one| std::cmp::Reverse(one.entry.message));
        for ask in asks {
            let holds = |one: &&Found| ask.holds(&Plain(&words[&one.entry.message]), one.folder, &one.entry) == Truth::Yes;
            let expected: Vec<MessageId> = mail.iter().filter(holds).map(|one| one.entry.message).collect();
            // The index is certain, or the text is looked at; what is fresh is looked at in any case.
            let mut both: BTreeSet<MessageId> = fresh.iter().filter(|one| ask.may_hold(one.folder, &one.entry)).filter(holds).map(|one| one.entry.message).collect();
            let hits = found(&store, ann, &ask, limit);
            prop_assert!(hits.is_sorted_by(|a, b| a.0 > b.0), "newest first, each once");
            for (message, is_certain) in hits {
                prop_assert!(!is_certain || expected.contains(&message), "{ask:?}");
                if expected.contains(&message) {
                    prop_assert!(both.insert(message), "it is not fresh, too");
                }
            }
            prop_assert_eq!(both.into_iter().rev().collect::<Vec<_>>(), expected, "{:?}", ask);
        }
        store.check_index(ann, &mut || true).unwrap();
    }
}

#[test]
fn a_crash_leaves_files_that_are_swept_and_an_index_that_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ann) = with_ann(dir.path());
    let mut words = BTreeMap::new();
    for n in 0..8 {
        words.insert(deliver(&store, ann, "x"), vec!["all".to_string(), format!("n{n}")]);
        index(&store, ann, &words);
    }
    let before = files(dir.path());
    assert_eq!(before.len(), 8);
    // A file was written and nobody came to name it.
    let mut batch = Batch::default();
    batch.add(MessageId(99), [(Field::Body, "all")]);
    std::mem::forget(store.write_segment(ann, &batch, &mut |_| true).unwrap().unwrap());
    assert_eq!(files(dir.path()).len(), 9);
    drop(store);
    let store = open(dir.path());
    assert_eq!(
        (files(dir.path()), found(&store, ann, &word("all", false), 3).len()),
        (before.clone(), 8)
    );
    // A merge was given up.
    assert_eq!(store.merge_segments(ann, &mut |_| false).unwrap(), Merged::GivenUp);
    assert_eq!(files(dir.path()), before);
    // A merge was named, and what it was made of not removed yet.
    let kept: Vec<(String, Vec<u8>)> = before
        .iter()
        .map(|name| (name.clone(), std::fs::read(dir.path().join("index").join(name)).unwrap()))
        .collect();
    assert_eq!(store.merge_segments(ann, &mut |_| true).unwrap(), Merged::Done);
    let after = files(dir.path());
    assert!(after.len() == 1 && after.is_disjoint(&before));
    drop(store);
    kept.iter().for_each(|(name, octets)| {
        std::fs::write(dir.path().join("index").join(name), octets).unwrap()
    });
    let store = open(dir.path());
    assert_eq!((files(dir.path()), found(&store, ann, &word("n", true), 3).len()), (after, 8));
}

#[test]
fn a_damaged_or_missing_file_is_reported_and_the_index_made_anew() {
    for is_missing in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (store, ann) = with_ann(dir.path());
        let words = BTreeMap::from([(deliver(&store, ann, "x"), vec!["all".to_string()])]);
        index(&store, ann, &words);
        let file = dir.path().join("index").join(files(dir.path()).first().unwrap());
        let mut octets = std::fs::read(&file).unwrap();
        let middle = octets.len() / 2;
        octets[middle] ^= 1;
        match is_missing {
            true => std::fs::remove_file(&file).unwrap(),
            false => std::fs::write(&file, &octets).unwrap(),
        }
        let page = store.search(ann, &word("all", false), None, 10).unwrap();
        assert!(matches!(page.damage, Some(Error::Damaged { .. })) && page.hits.is_empty());
        assert!(matches!(store.check_index(ann, &mut || true), Err(Error::Damaged { .. })));
        store.forget_index(Some(ann)).unwrap();
        assert_eq!(
            (
                store.read(|r| r.fresh(ann, 10)).unwrap().len(),
                found(&store, ann, &Ask::All(vec![]), 3).len()
            ),
            (1, 0)
        );
        // Its messages are fresh at once, and nothing is taken in before the old rows are gone.
        let segment = None;
        let folders =
            vec![Indexed { folder: FolderId::INBOX, from: 0, below: 2, messages: vec![] }];
        assert!(!store.change(IndexWork { account: ann, folders, segment }).wait().unwrap());
        while store.tidy_index().unwrap() {}
        assert_eq!(store.read(|r| r.fresh(ann, 10)).unwrap().len(), 1);
        index(&store, ann, &words);
        assert_eq!(
            (found(&store, ann, &word("all", false), 3).len(), files(dir.path()).len()),
            (1, 1)
        );
        store.check_index(ann, &mut || true).unwrap();
    }
}

#[test]
fn two_who_index_at_the_same_time_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ann) = with_ann(dir.path());
    let message = deliver(&store, ann, "x");
    let work = |word: &str| {
        let mut batch = Batch::default();
        batch.add(message, [(Field::Body, word)]);
        let folders = vec![Indexed {
            folder: FolderId::INBOX,
            from: 0,
            below: 2,
            messages: vec![(1, message)],
        }];
        IndexWork {
            account: ann,
            folders,
            segment: store.write_segment(ann, &batch, &mut |_| true).unwrap(),
        }
    };
    let (first, second, third) = (work("one"), work("two"), work("three"));
    assert!(store.change(first).wait().unwrap());
    assert!(!store.change(second).wait().unwrap(), "the messages are in the index already");
    for (word, count) in [("one", 1), ("two", 0)] {
        assert_eq!(found(&store, ann, &self::word(word, false), 3).len(), count, "{word}");
    }
    drop(third);
    assert_eq!(files(dir.path()).len(), 1);
    // With its last message the file goes, too.
    let all = MailOrder {
        account: ann,
        folder: FolderId::INBOX,
        uids: vec![1],
        what: MailWhat::Delete { code: ShortCode(3) },
        at: Timestamp(5),
        service: Service::Web,
    };
    store.change(all).wait().unwrap();
    assert_eq!(
        (store.merge_segments(ann, &mut |_| true).unwrap(), files(dir.path()).len()),
        (Merged::Done, 0)
    );
    assert_eq!(store.merge_segments(ann, &mut |_| true).unwrap(), Merged::Nothing);
    // A removed account takes its files along.
    let message = deliver(&store, ann, "x");
    index(&store, ann, &BTreeMap::from([(message, vec!["one".to_string()])]));
    assert_eq!(files(dir.path()).len(), 1);
    store.change(RemoveAccount { address: "ann@example.org".into() }).wait().unwrap();
    while store
        .change(Retention {
            at: Timestamp(5),
            trash_for: 1,
            junk_for: 1,
            ledger_for: 1 << 30,
            ledger_octets: 1 << 40,
        })
        .wait()
        .unwrap()
        == Maintained::More
    {}
    while store.tidy_index().unwrap() {}
    assert_eq!(files(dir.path()).len(), 0);
}

#[test]
fn what_a_list_shows_moves_and_goes_with_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ann) = with_ann(dir.path());
    let message = deliver(&store, ann, "x");
    let card = Card { subject: "s".into(), ..Card::default() };
    store
        .change(PutCards {
            account: ann,
            cards: vec![
                (FolderId::INBOX, 1, message, card.clone()),
                (FolderId::INBOX, 2, message, card.clone()),
            ],
        })
        .wait()
        .unwrap();
    index(&store, ann, &BTreeMap::from([(message, vec!["one".to_string()])]));
    let order = |folder, what| {
        store
            .change(MailOrder {
                account: ann,
                folder,
                uids: vec![1],
                what,
                at: Timestamp(5),
                service: Service::Web,
            })
            .wait()
            .unwrap();
        store.read(|r| r.card(ann, message)).unwrap()
    };
    assert_eq!(order(FolderId::INBOX, MailWhat::Move { to: FolderId::JUNK }), Some(card));
    assert!(store.read(|r| r.fresh(ann, 10)).unwrap().is_empty(), "it need not be read again");
    assert_eq!(order(FolderId::JUNK, MailWhat::Delete { code: ShortCode(3) }), None);
}
