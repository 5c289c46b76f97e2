//! Several processes with one store.

use pillarbox_vocabulary::Timestamp;
use std::path::Path;

use pillarbox_store::*;

use super::{NOW, deliver, id, with_people};

#[test]
fn a_tool_reads_and_writes_beside_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let _server = with_people(dir.path(), MailboxPolicy::Keep);
    assert!(matches!(
        Store::open(dir.path(), Access::Server, &Options::default()),
        Err(Error::InUse { .. })
    ));
}

#[test]
fn commits_are_reported_to_who_listens_also_those_of_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    let (ann, bob) = (id(&store, "ann"), id(&store, "bob"));
    let (mut first, mut second) = (store.notices(), store.notices());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let next = |listener: &mut Listener| runtime.block_on(listener.next());
    deliver(&store, b"x", &[ann, bob]);
    let flags = MailWhat::Flag { add: Flags::SEEN, remove: Flags::default() };
    store
        .change(MailOrder {
            account: bob,
            folder: FolderId::INBOX,
            uids: vec![1],
            what: flags,
            at: Timestamp(NOW),
            service: Service::Web,
        })
        .wait()
        .unwrap();
    assert!(store.change(RemoveFolder { account: ann, folder: FolderId(99) }).wait().is_err());
    let folder = |account, what| Notice::Folder { account, folder: FolderId::INBOX, what };
    for listener in [&mut first, &mut second] {
        let mut heard = Vec::new();
        for _ in 0..3 {
            heard.push(next(listener).unwrap());
        }
        assert_eq!(
            heard,
            [
                folder(ann, Happened::Added),
                folder(bob, Happened::Added),
                folder(bob, Happened::Flagged)
            ]
        );
    }
    drop(second);
    // A process of its own: LMDB may be opened once in each.
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::another_process_changes_a_store", "--nocapture"])
        .env("PILLARBOX_TEST_STORE", dir.path())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(next(&mut first), Some(Notice::Anywhere));
    drop(store);
    while let Some(notice) = next(&mut first) {
        assert_eq!(notice, Notice::Anywhere);
    }
}

/// Runs as the other process of the test above; alone it has nothing to do.
#[test]
fn another_process_changes_a_store() {
    let Some(dir) = std::env::var_os("PILLARBOX_TEST_STORE") else { return };
    let store = Store::open(
        Path::new(&dir),
        Access::Tool,
        &Options { reserve_octets: 0, ..Options::default() },
    )
    .unwrap();
    store.change(SetSetting { key: "x".into(), value: Some("y".into()) }).wait().unwrap();
}
