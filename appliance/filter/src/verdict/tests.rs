#![allow(clippy::unwrap_used)] // tests may

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::authentication::Spf;
use crate::files::Danger;

/// Something that sets one fact.
type Fact = fn(&mut Authentication);
/// What it is, what is known, the front of the message, and what follows with which reasons.
type Row<'a> = (&'a str, Fact, &'a [u8], Action, &'a [Kind]);

fn nothing() -> Authentication {
    Authentication {
        hello: None,
        sender: None,
        signatures: Vec::new(),
        authors: vec![judged(dmarc::Outcome::None, None)],
        name: iprev::Outcome::Pass("mx.a.test.".into()),
        addresses: Vec::new(),
        reverse_path: String::new(),
        posing: Vec::new(),
        listed: Vec::new(),
        is_whole: true,
        took: Duration::ZERO,
    }
}

fn judged(outcome: dmarc::Outcome, policy: Option<Asked>) -> dmarc::Judged {
    dmarc::Judged { domain: "a.test".into(), outcome, policy }
}

fn sent(found: &mut Authentication, domain: &str, verdict: spf::Verdict) {
    found.sender = Some(Spf { domain: domain.into(), outcome: Ok(verdict) });
}

fn fails(found: &mut Authentication, policy: Asked) {
    found.authors = vec![judged(dmarc::Outcome::Fail, Some(policy))];
}

fn signed(found: &mut Authentication, domain: &str, outcome: dkim::Outcome) {
    found.signatures.push(dkim::Judged {
        domain: domain.into(),
        selector: "s".into(),
        outcome,
        mark: String::new(),
    });
}

const PLAIN: &[u8] = b"From: a@a.test\r\nSubject: x\r\n\r\nList-Id: in the body\r\n";
const LIST: &[u8] = b"From: a@a.test\r\nlist-id: <l.list.test>\r\n\r\n";

#[test]
fn what_is_known_decides() {
    use Action::{Inbox, Junk, Refuse};
    let policy = Policy {
        forwarders: vec!["uni.test".into()],
        allowed: vec!["friend.test".into()],
        banned: vec!["xn--mller-kva.test".into(), "bob@mixed.test".into()],
        ..Policy::default()
    };
    let table: &[Row<'_>] = &[
        ("nothing is known", |_| {}, PLAIN, Inbox, &[]),
        (
            "the author is proven",
            |f| f.authors = vec![judged(dmarc::Outcome::Pass, Some(Asked::Reject))],
            PLAIN,
            Inbox,
            &[Kind::Proven],
        ),
        ("forged, to be refused", |f| fails(f, Asked::Reject), PLAIN, Refuse, &[Kind::Refused]),
        (
            "forged, to be suspected",
            |f| fails(f, Asked::Quarantine),
            PLAIN,
            Junk,
            &[Kind::Suspected],
        ),
        ("not proven, nothing asked", |f| fails(f, Asked::None), PLAIN, Inbox, &[Kind::NotProven]),
        (
            "one of two authors is forged",
            |f| {
                fails(f, Asked::Reject);
                f.authors.push(judged(dmarc::Outcome::Pass, Some(Asked::Reject)));
            },
            PLAIN,
            Refuse,
            &[Kind::Refused, Kind::Proven],
        ),
        (
            "one of two authors is suspected",
            |f| {
                fails(f, Asked::Quarantine);
                f.authors.push(judged(dmarc::Outcome::Pass, Some(Asked::Reject)));
            },
            PLAIN,
            Junk,
            &[Kind::Suspected, Kind::Proven],
        ),
        (
            "the DNS does not answer",
            |f| {
                f.authors = vec![judged(dmarc::Outcome::Temporary, Some(Asked::Reject))];
                f.name = iprev::Outcome::Temporary;
                f.sender = Some(Spf {
                    domain: "a.test".into(),
                    outcome: Err(spf::Trouble::Unknown("silence".into())),
                });
            },
            PLAIN,
            Inbox,
            &[],
        ),
        (
            "the sender's domain says no, but the author's is proven",
            |f| {
                sent(f, "a.test", spf::Verdict::Fail);
                f.authors = vec![judged(dmarc::Outcome::Pass, Some(Asked::None))];
            },
            PLAIN,
            Inbox,
            &[Kind::Denied, Kind::Proven],
        ),
        (
            "the sender's domain says no",
            |f| sent(f, "a.test", spf::Verdict::Fail),
            PLAIN,
            Inbox,
            &[Kind::Denied],
        ),
        (
            "the sender's domain says no, and the address has no name",
            |f| {
                sent(f, "a.test", spf::Verdict::Fail);
                f.name = iprev::Outcome::Fail;
            },
            PLAIN,
            Junk,
            &[Kind::Denied, Kind::NoName],
        ),
        (
            "an address without a name",
            |f| f.name = iprev::Outcome::Fail,
            PLAIN,
            Inbox,
            &[Kind::NoName],
        ),
        (
            "neither author nor name",
            |f| {
                f.authors.clear();
                f.name = iprev::Outcome::Fail;
            },
            PLAIN,
            Junk,
            &[Kind::NoAuthor, Kind::NoName],
        ),
        (
            "an author whose name is another's address",
            |f| f.posing = vec!["boss@firm.test".into()],
            PLAIN,
            Inbox,
            &[Kind::Posing],
        ),
        (
            "the same, from an address without a name",
            |f| {
                f.posing = vec!["boss@firm.test".into()];
                f.name = iprev::Outcome::Fail;
            },
            PLAIN,
            Junk,
            &[Kind::Posing, Kind::NoName],
        ),
        (
            "a header without end",
            |f| {
                f.authors.clear();
                f.is_whole = false;
            },
            PLAIN,
            Junk,
            &[Kind::LongHeader],
        ),
        (
            "over a mailing list that proves itself",
            |f| {
                fails(f, Asked::Reject);
                sent(f, "list.test", spf::Verdict::Pass);
            },
            LIST,
            Junk,
            &[Kind::Suspected, Kind::List],
        ),
        (
            "over a mailing list with a signature",
            |f| {
                fails(f, Asked::Reject);
                signed(f, "a.test", dkim::Outcome::Fail);
                signed(f, "list.test", dkim::Outcome::Pass);
                f.name = iprev::Outcome::Fail;
            },
            LIST,
            Junk,
            &[Kind::Suspected, Kind::NoName, Kind::List],
        ),
        (
            "it says to be a mailing list, and proves nothing",
            |f| {
                fails(f, Asked::Reject);
                sent(f, "list.test", spf::Verdict::SoftFail);
                f.name = iprev::Outcome::Fail;
            },
            LIST,
            Refuse,
            &[Kind::Refused, Kind::NoName, Kind::Doubted],
        ),
        (
            "over a forwarder that is trusted",
            |f| {
                fails(f, Asked::Reject);
                sent(f, "a.test", spf::Verdict::Fail);
                f.name = iprev::Outcome::Pass("mx7.UNI.test".to_lowercase());
            },
            PLAIN,
            Inbox,
            &[Kind::Forwarder],
        ),
        (
            "the owner wants it, and it is proven",
            |f| {
                f.authors = vec![judged(dmarc::Outcome::Pass, None)];
                f.addresses = vec!["news@letters.friend.test".into(), "b@x.test".into()];
                f.name = iprev::Outcome::Fail;
                f.posing = vec!["boss@b.test".into()];
                sent(f, "friend.test", spf::Verdict::Pass);
            },
            PLAIN,
            Inbox,
            &[Kind::Proven, Kind::Allowed],
        ),
        (
            "it says to be from somebody the owner wants, and proves nothing",
            |f| {
                f.addresses = vec!["news@friend.test".into()];
                f.posing = vec!["boss@b.test".into()];
                f.name = iprev::Outcome::Fail;
            },
            PLAIN,
            Junk,
            &[Kind::Posing, Kind::NoName],
        ),
        (
            "the owner wants none of it, whoever proves it",
            |f| {
                f.authors = vec![judged(dmarc::Outcome::Pass, None)];
                f.addresses = vec!["sales@m\u{fc}ller.test".into()];
            },
            PLAIN,
            Refuse,
            &[Kind::Banned, Kind::Proven],
        ),
        (
            "one address of a domain is refused, this is another",
            |f| f.addresses = vec!["ann@mixed.test".into(), "xm.test".into()],
            PLAIN,
            Inbox,
            &[],
        ),
        (
            "a forwarder whose name only ends alike",
            |f| {
                fails(f, Asked::Reject);
                f.name = iprev::Outcome::Pass("mx.evil-uni.test".into());
            },
            PLAIN,
            Refuse,
            &[Kind::Refused],
        ),
    ];
    for (what, fact, front, action, kinds) in table {
        let mut found = nothing();
        fact(&mut found);
        let evidence = Evidence { front, authentication: Some(&found), files: &[], content: None };
        let verdict = decide(&evidence, &policy);
        let found: Vec<Kind> = verdict.reasons.iter().map(|reason| reason.kind).collect();
        assert_eq!((verdict.action, &found[..]), (*action, *kinds), "{what}: {verdict:?}");
    }
    let within = Evidence { front: LIST, authentication: None, files: &[], content: None };
    assert_eq!(decide(&within, &policy), Verdict::default());
}

#[test]
fn what_a_message_carries_is_refused_doubted_or_told_as_the_owner_wants() {
    let finding = |danger| Finding { danger, name: "a.zip / b".into() };
    let usual = Policy::default();
    let strict = Policy { files: [(Group::Macros, Handling::Refuse)].into(), ..Policy::default() };
    let free = Policy { files: [(Group::Programs, Handling::Warn)].into(), ..Policy::default() };
    let table = [
        (&usual, Danger::Program, Action::Refuse),
        (&usual, Danger::TestVirus, Action::Refuse),
        (&usual, Danger::Macros, Action::Inbox),
        (&usual, Danger::Locked, Action::Inbox),
        (&usual, Danger::ActivePage, Action::Junk),
        (&usual, Danger::Endless, Action::Junk),
        (&strict, Danger::Macros, Action::Refuse),
        (&free, Danger::Program, Action::Inbox),
    ];
    for (policy, danger, action) in table {
        let files = [finding(danger)];
        let evidence =
            Evidence { front: PLAIN, authentication: None, files: &files, content: None };
        let verdict = decide(&evidence, policy);
        assert_eq!((verdict.action, verdict.reasons.len()), (action, 1), "{danger:?}");
        let mut proven = nothing();
        proven.authors = vec![judged(dmarc::Outcome::Pass, None)];
        let evidence = Evidence { authentication: Some(&proven), ..evidence };
        assert_eq!(decide(&evidence, policy).action, action, "{danger:?} of a proven author");
        assert_eq!(verdict.reasons[0].kind, Kind::File(danger));
    }
}

#[test]
fn whoever_wrote_to_a_proven_author_gets_what_is_doubted_softly() {
    let verdict = |kinds: &[Kind]| Verdict {
        action: Action::Junk,
        reasons: kinds.iter().map(|kind| Reason::of(*kind, "x")).collect(),
    };
    for (kinds, spares) in [
        (&[Kind::Proven, Kind::LikeUnwanted][..], true),
        (&[Kind::Proven, Kind::Listed, Kind::Posing, Kind::NoName], true),
        (&[Kind::LikeUnwanted], false),
        (&[Kind::Proven, Kind::LikeUnwanted, Kind::Suspected], false),
        (&[Kind::Proven, Kind::LikeUnwanted, Kind::Denied], false),
    ] {
        assert_eq!(verdict(kinds).spares_known(), spares, "{kinds:?}");
    }
    let carries = Reason { weight: 100, ..Reason::of(Kind::File(Danger::Macros), "x") };
    let mut with_file = verdict(&[Kind::Proven, Kind::LikeUnwanted]);
    with_file.reasons.push(carries);
    assert!(!with_file.spares_known());
    assert!(!Verdict { action: Action::Inbox, ..verdict(&[Kind::Proven]) }.spares_known());
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = Kind::all().map(Kind::name).collect();
    assert_eq!(names.len(), Kind::all().count());
    assert!(Kind::all().all(|kind| !kind.name().is_empty() && Reason::of(kind, "").kind == kind));
    assert!(Danger::ALL.iter().all(|danger| Kind::all().any(|kind| kind == Kind::File(*danger))));
}

fn reasons() -> impl Strategy<Value = Vec<Reason>> {
    let kinds: Vec<Kind> = Kind::all().collect();
    let reason =
        (prop::sample::select(kinds), ".{0,15}").prop_map(|(kind, about)| Reason::of(kind, &about));
    prop::collection::vec(reason, 1..6)
}

proptest! {
    #[test]
    fn a_field_says_all_of_it_whatever_others_call_themselves(
        action in prop::sample::select(vec![Action::Inbox, Action::Junk, Action::Refuse]),
        reasons in reasons(),
    ) {
        let verdict = Verdict { action, reasons };
        let field = verdict.field().unwrap();
        prop_assert!(field.ends_with("\r\n") && field.lines().skip(1).all(|line| line.starts_with('\t') && line.len() < 998));
        prop_assert_eq!(field.matches("\r\n").count(), 1 + verdict.reasons.len());
        let value = field.strip_prefix("Pillarbox-Verdict:").unwrap();
        prop_assert_eq!(Verdict::parse(value), Some(verdict));
    }

    #[test]
    fn no_other_text_is_a_verdict(text in "(inbox|junk)?[;a-z +0-9-]{0,30}") {
        if let Some(verdict) = Verdict::parse(&text) {
            prop_assert!(verdict.reasons.iter().all(|reason| Kind::all().any(|kind| kind == reason.kind)));
        }
    }
}

#[test]
fn without_a_reason_there_is_no_field() {
    assert_eq!(Verdict::default().field(), None);
}
