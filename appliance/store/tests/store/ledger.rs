//! The ledger, and the codes that people read in it.

use pillarbox_store::*;
use pillarbox_vocabulary::Timestamp;

use super::{DAY, NOW, collect, id, keep_house, with_people};

#[test]
fn the_ledger_is_found_by_every_term_indexed_or_not_and_trimmed_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_people(dir.path(), MailboxPolicy::Keep);
    for n in 0..2000u32 {
        let mut record =
            LedgerRecord::new(Timestamp(NOW + u64::from(n)), Fate::Refused, ShortCode(1000 + n));
        record.sender = format!("sender{n}@example.net");
        record.subject = format!("Invoice {n}");
        store.note(record);
        if n % 500 == 499 {
            collect(&store, id(&store, "ann"), 0, []);
        }
    }
    keep_house(&store, NOW);
    let find = |kind: &str, text: &str| {
        let found = store.read(|r| {
            r.ledger_find(Some(term(kind, text)), 10, |_, l| l.terms().contains(&term(kind, text)))
        });
        found.unwrap().into_iter().map(|(_, l)| l.code.0).collect::<Vec<_>>()
    };
    for n in [3u32, 700, 1999] {
        assert_eq!(find("address", &format!("sender{n}@example.net")), [1000 + n]);
        assert_eq!(
            find("word", &n.to_string().repeat(if n < 10 { 0 } else { 1 })).contains(&(1000 + n)),
            n >= 10
        );
        assert_eq!(find("code", &ShortCode(1000 + n).to_string()), [1000 + n]);
    }
    assert_eq!(find("domain", "example.net").len(), 10);
    keep_house(&store, NOW + 366 * DAY);
    assert_eq!(find("address", "sender3@example.net"), [0u32; 0]);
    assert_eq!(find("address", "sender1999@example.net"), [2999]);
}
