//! What is refused when there is no room, and what is not.

use pillarbox_store::*;
use pillarbox_vocabulary::Timestamp;

use super::{NOW, collect, deliver, deliver_to, id, maildrop, read, with_people};

#[test]
fn a_full_store_refuses_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_octets: Some(2 << 20), reserve_octets: 0, ..Options::default() };
    drop(with_people(dir.path(), MailboxPolicy::DeleteWhenAll));
    let store = Store::open(dir.path(), Access::Server, &options).unwrap();
    let ann = id(&store, "ann");
    let content = vec![b'f'; 50_000];
    let mut accepted = Vec::new();
    // A refusal lets the keeper tidy up, which may make room for one more.
    let is_full = (0..200).any(|_| match deliver_to(&store, &content, &[(ann, FolderId::INBOX)]) {
        Ok(delivered) => {
            accepted.push(delivered.message);
            false
        }
        Err(refused) => {
            assert!(matches!(refused, Error::Full), "{refused}");
            store.space(50_000) == Space::Short
        }
    });
    assert!(is_full);
    assert!(accepted.len() > 10);
    assert!(accepted.iter().all(|m| read(&store, *m).as_ref() == Some(&content)));
    // Deleting makes room again, also inside the file.
    collect(&store, ann, 0, 1..=accepted.len() as u32);
    collect(&store, ann, 0, []);
    assert_eq!(store.space(50_000), Space::Enough);
    deliver(&store, &content, &[ann]);
}

#[test]
fn a_burst_leaves_room_to_delete_what_it_brought() {
    let dir = tempfile::tempdir().unwrap();
    drop(with_people(dir.path(), MailboxPolicy::DeleteWhenAll));
    let options = Options { max_octets: Some(4 << 20), reserve_octets: 0, ..Options::default() };
    let store = Store::open(dir.path(), Access::Server, &options).unwrap();
    let ann = id(&store, "ann");
    let prepare = |number: usize| {
        let mut spool = store.spool();
        spool.append(&vec![b'b'; 4000]).unwrap();
        let placement =
            Placement { account: ann, folder: FolderId::INBOX, flags: Flags::default() };
        let record = LedgerRecord::new(Timestamp(NOW), Fate::Delivered, ShortCode(number as u32));
        Delivery::local(spool.finish().unwrap(), 0, vec![placement], record)
    };
    // All at once: nobody looks at the room between two of them.
    let burst: Vec<_> = (0..2000).map(|number| store.deliver(prepare(number))).collect();
    let taken = burst.into_iter().filter_map(|pending| pending.wait().ok()).count();
    assert!((100..2000).contains(&taken), "{taken}");
    collect(&store, ann, 0, 1..=taken as u32);
    assert_eq!(maildrop(&store, ann, 0).messages(), 0);
    deliver(&store, b"there is room again", &[ann]);
}
