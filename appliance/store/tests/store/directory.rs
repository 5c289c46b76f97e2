//! Accounts, aliases and names.

use pillarbox_store::*;
use pillarbox_vocabulary::Timestamp;

use super::{NOW, deliver, deliver_to, id, keep_house, read, with_people};

#[test]
fn aliases_and_catch_all_resolve_and_loops_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let (ann, bob) = (id(&store, "ann"), id(&store, "bob"));
    let alias = |address: &str, targets: &[&str]| {
        let targets = targets.iter().map(|t| format!("{t}@example.org")).collect();
        store.change(SetAlias { address: format!("{address}@example.org"), targets }).wait()
    };
    alias("info", &["ann", "bob"]).unwrap();
    alias("all", &["info", "ann"]).unwrap();
    alias("info", &["ann", "bob", "all"]).unwrap();
    assert!(matches!(alias("x", &["nobody"]), Err(Error::NotFound { .. })));
    assert!(matches!(alias("ann", &["bob"]), Err(Error::Exists { .. })));
    let resolve = |a: &str| store.read(|r| r.resolve(a)).unwrap();
    assert_eq!(resolve("all@example.org"), Resolution::Accounts(vec![ann, bob]));
    assert_eq!(resolve("who@example.org"), Resolution::NoSuchAddress);
    assert_eq!(resolve("ann@example.com"), Resolution::OtherDomain);
    alias("", &["bob"]).unwrap();
    assert_eq!(resolve("who@example.org"), Resolution::Accounts(vec![bob]));
}

#[test]
fn a_removed_account_takes_its_mail_along_and_its_number_is_not_reused() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let bob = id(&store, "bob");
    let message = deliver(&store, &[b'z'; 9000], &[bob]).message;
    store.change(RemoveAccount { address: "bob@example.org".into() }).wait().unwrap();
    assert!(matches!(
        deliver_to(&store, b"late", &[(AccountId(99), FolderId::INBOX)]),
        Err(Error::NotFound { .. })
    ));
    keep_house(&store, NOW);
    assert_eq!(read(&store, message), None);
    let again = AddAccount {
        address: "bob@example.org".into(),
        name: String::new(),
        hash: "x".into(),
        policy: MailboxPolicy::Keep,
        at: Timestamp(NOW),
    };
    assert_eq!(store.change(again).wait().unwrap(), AccountId(bob.0 + 1));
}

#[test]
fn what_cannot_be_a_key_is_not_there_and_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let ann = id(&store, "ann");
    let long = format!("{}@example.org", "x".repeat(600));
    for text in ["", &long, &"d".repeat(512)] {
        assert!(store.read(|r| r.account(text)).unwrap().is_none());
        assert!(!store.read(|r| r.is_local(text)).unwrap());
        assert!(!matches!(store.read(|r| r.resolve(text)).unwrap(), Resolution::Accounts(_)));
        assert!(store.read(|r| r.setting(text)).unwrap().is_none());
        assert!(store.read(|r| r.session(text)).unwrap().is_none());
        assert!(store.read(|r| r.sts_policy(text)).unwrap().is_none());
        let add = AddAccount {
            address: text.into(),
            name: String::new(),
            hash: "x".into(),
            policy: MailboxPolicy::Keep,
            at: Timestamp(NOW),
        };
        for refused in [
            AnyChange::of(add),
            AnyChange::of(AddDomain { name: text.into(), at: Timestamp(NOW) }),
            AnyChange::of(SetAlias {
                address: text.into(),
                targets: vec!["ann@example.org".into()],
            }),
            AnyChange::of(SetSetting { key: text.into(), value: Some("x".into()) }),
            AnyChange::of(PutContacts {
                account: ann,
                contacts: vec![
                    ("cy@a.test".into(), Some(Contact::default())),
                    (text.into(), Some(Contact::default())),
                ],
            }),
        ] {
            let kind = format!("{refused:?}");
            let error = store.change(refused).wait().expect_err(&kind);
            assert!(
                matches!(error, Error::Invalid { .. } | Error::NotFound { .. }),
                "{kind}: {error}"
            );
        }
    }
    // What was refused changed nothing, and nothing else in the commit was harmed.
    assert!(store.read(|r| r.contacts_after(ann, "", 10)).unwrap().is_empty());
    store
        .change(NoteWritten {
            account: ann,
            people: vec![("x".into(), long), (String::new(), "cy@a.test".into())],
            at: Timestamp(NOW),
        })
        .wait()
        .unwrap();
    assert_eq!(store.read(|r| r.contacts_after(ann, "", 10)).unwrap().len(), 1);
}

#[test]
fn names_are_kept_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Access::Server, &Options::default()).unwrap();
    store.change(AddDomain { name: "example.org".into(), at: Timestamp(NOW) }).wait().unwrap();
    let (address, hash) = ("ann@example.org".to_string(), "x".to_string());
    store
        .change(AddAccount {
            address: address.clone(),
            name: "Ann\r\nBcc: x@y".into(),
            hash: hash.clone(),
            policy: MailboxPolicy::Keep,
            at: Timestamp(NOW),
        })
        .wait()
        .unwrap();
    let (id, account) = store.read(|r| r.account(&address)).unwrap().unwrap();
    assert_eq!(account.name, "Ann Bcc: x@y");
    store.change(SetName { address: address.clone(), name: "Ann\n\tLee\0".into() }).wait().unwrap();
    assert_eq!(store.read(|r| r.account(&address)).unwrap().unwrap().1.name, "Ann Lee");
    store
        .change(AddDevice {
            address: address.clone(),
            label: "Re\rception".into(),
            hash,
            at: Timestamp(NOW),
        })
        .wait()
        .unwrap();
    assert!(
        store
            .read(|r| r.credentials(id))
            .unwrap()
            .iter()
            .any(|(_, credential)| credential.label == "Re ception")
    );
    assert!(store.change(MakeFolder { account: id, name: "\r\n".into() }).wait().is_err());
    store.change(MakeFolder { account: id, name: "Bills\r\n2026".into() }).wait().unwrap();
    let folders = store.read(|r| r.folders(id)).unwrap();
    assert!(
        folders.iter().any(|(_, name, _)| name == "Bills 2026"),
        "{:?}",
        folders.iter().map(|(_, name, _)| name).collect::<Vec<_>>()
    );
}
