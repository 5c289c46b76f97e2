//! Content on its way in, whatever its size and however it is cut; where verdicts put it.

#![allow(clippy::unwrap_used)] // tests may

use pillarbox_outbound::Source;
use pillarbox_store::{Access, Content, FolderId, INLINE_OCTETS, Options};
use pillarbox_vocabulary::Address;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::intake::PIECE;
use super::*;
use crate::mail::readers::Budget;
use crate::mail::reading;
use crate::world::World;
use pillarbox_filter::verdict::{Action, Kind};

/// Octets of which no two neighbouring stretches look alike.
fn content(octets: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
        .take(octets)
        .collect()
}

/// Sizes around every limit on the way.
fn octets() -> impl Strategy<Value = usize> {
    let limit = prop::sample::select(vec![
        0,
        1024,
        4096,
        32 * 1024,
        64 * 1024,
        PIECE,
        2 * PIECE,
        INLINE_OCTETS,
        INLINE_OCTETS + PIECE,
        3 * INLINE_OCTETS,
    ]);
    (limit, 0usize..5).prop_map(|(limit, more)| (limit + more).saturating_sub(2))
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    let piece = prop_oneof![
        1usize..100,
        500usize..40_000,
        Just(32 * 1024),
        Just(PIECE),
        (0usize..5).prop_map(|n| INLINE_OCTETS - 2 + n)
    ];
    prop::collection::vec(piece, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn content_keeps_its_order_however_it_is_cut(octets in octets(), pieces in pieces()) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Access::Server, &Options { reserve_octets: 0, ..Options::default() }).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (content, mut intake, mut expected) = (content(octets), Intake::new(store.spool()), Checksum::default());
        let spool = runtime.block_on(async {
            let mut rest = &content[..];
            for piece in pieces.iter().cycle() {
                let (now, later) = rest.split_at((*piece).min(rest.len()));
                intake.write(now).await.unwrap();
                expected.add(now);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            intake.complete().await.unwrap()
        });
        let mut stored = Vec::new();
        spool.replay(&mut |piece| stored.extend_from_slice(piece)).unwrap();
        prop_assert!(stored == content, "{octets} octets in pieces of {pieces:?} came out in another order");
        prop_assert!(compare(&expected, &spool.finish().unwrap()).is_ok());
    }
}

#[test]
fn content_in_another_order_is_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(
        dir.path(),
        Access::Server,
        &Options { reserve_octets: 0, ..Options::default() },
    )
    .unwrap();
    let (mut expected, mut spool) = (Checksum::default(), store.spool());
    for (sent, written) in [(b"ab", b"cd"), (b"cd", b"ab")] {
        expected.add(sent);
        spool.append(written).unwrap();
    }
    assert!(matches!(compare(&expected, &spool.finish().unwrap()), Err(Error::Damaged { .. })));
}

fn envelope<'a>(sender: &'a str, accounts: &[AccountId]) -> Envelope<'a> {
    let received = trace::Received {
        hello: "client.test".into(),
        peer: trace::Peer::Shown(PEER),
        hostname: "mail.box.test".into(),
        protocol: "ESMTP",
        tls: None,
        id: "ABCDEFG".into(),
        recipient: None,
        date: String::new(),
    };
    Envelope {
        code: ShortCode(7),
        peer: PEER,
        sender,
        received,
        recipients: vec!["ann@box.test".into()],
        accounts: accounts.to_vec(),
        sent_by: None,
        relay: None,
        signing_domain: String::new(),
        report_on: None,
    }
}

/// Within the office: of such an address nothing can be asked.
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
/// Somewhere on the internet.
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

fn agent(world: &World) -> DeliveryAgent {
    let signer = world.office.outbound.signer.clone();
    DeliveryAgent::new(world.store.clone(), signer, world.handles.dns.clone(), 64 << 20)
}

/// What the store gives of a message, as POP3 gets it.
fn stored(store: &Store, content: &Content) -> Vec<u8> {
    let mut whole = Vec::new();
    match store.open_whole(content).unwrap() {
        None => store.read(|r| r.read_inline(content, &mut whole)).unwrap(),
        Some(mut file) => {
            let mut piece = vec![0; 10_000];
            loop {
                match file.read(&mut piece).unwrap() {
                    0 => break,
                    count => whole.extend_from_slice(&piece[..count]),
                }
            }
        }
    }
    whole
}

#[test]
fn trace_fields_and_content_are_one_message_for_every_reader() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let (agent, store) = (agent(&world), &world.store);
    let take = async |sender: &ReversePath, content: &[u8], pieces: &[usize]| {
        let mut incoming = Incoming::begin(&agent, sender, (PEER, Party::Stranger)).await.unwrap();
        let mut rest = content;
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            incoming.append(now).await.unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let sender = sender.to_string();
        let message = incoming.deliver(envelope(&sender, &[world.ann])).await.unwrap().message;
        let mut relayed = Vec::new();
        let found = store.read(|r| r.content(message)).unwrap().unwrap();
        let mut source = Source::new(store, &found, b"DKIM-Signature: x\r\n".to_vec(), false);
        while let Some(piece) = source.piece().await.unwrap() {
            relayed.extend(piece);
        }
        (found, relayed)
    };
    let senders = prop::sample::select(vec![
        ReversePath::Null,
        ReversePath::Address(Address::parse("bob@elsewhere.test").unwrap()),
    ]);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(60));
    let each = |(sender, octets, pieces): (ReversePath, usize, Vec<usize>)| {
        let body = content(octets);
        let content = [b"Subject: Offer\r\n\r\n", &body[..]].concat();
        let (found, relayed) = runtime.block_on(take(&sender, &content, &pieces));
        let whole = stored(store, &found);
        let front = format!("Return-Path: <{sender}>\r\n");
        prop_assert_eq!((found.octets, found.delivery_octets()), (whole.len() as u64, front.len()));
        let received = trace::received(&trace::Received {
            date: clock::rfc5322(found.received_at),
            ..envelope("", &[]).received
        });
        let is_whole = whole == [front.as_bytes(), received.as_bytes(), &content].concat();
        prop_assert!(is_whole, "{octets} octets in pieces of {pieces:?}");
        prop_assert!(relayed == [b"DKIM-Signature: x\r\n", &whole[front.len()..]].concat());
        let mut again = Vec::new();
        Source::blocking(store, &found, false, &mut |piece| again.extend_from_slice(piece))
            .unwrap();
        prop_assert!(again == whole[front.len()..]);
        let structure =
            reading::structure(store, &found, &Budget::of(Duration::from_secs(60))).unwrap();
        prop_assert_eq!(structure.subject, "Offer");
        Ok(())
    };
    runner.run(&(senders, octets(), pieces()), each).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_chooses_the_folder_or_refuses_before_anything_is_stored() {
    let world = World::new().await;
    let agent = agent(&world).deciding(|evidence, _| {
        let action = match evidence.front {
            b"Subject: junk\r\n\r\n" => Action::Junk,
            front if front.starts_with(b"Subject: worse") => Action::Refuse,
            _ => Action::Inbox,
        };
        Verdict { action, reasons: Vec::new() }
    });
    let deliver = async |content: &[u8]| {
        let mut incoming =
            Incoming::begin(&agent, &ReversePath::Null, (PEER, Party::Stranger)).await.unwrap();
        incoming.append(content).await.unwrap();
        incoming.deliver(envelope("", &[world.ann])).await
    };
    let folder = |folder| world.store.read(|r| r.entries(world.ann, folder, 0, 100)).unwrap().len();
    deliver(b"Subject: junk\r\n\r\n").await.unwrap();
    assert_eq!((folder(FolderId::INBOX), folder(FolderId::JUNK)), (0, 1));
    deliver(b"Subject: hello\r\n\r\n").await.unwrap();
    assert_eq!((folder(FolderId::INBOX), folder(FolderId::JUNK)), (1, 1));
    for octets in [0, 2 * INLINE_OCTETS] {
        let worse = [b"Subject: worse\r\n\r\n", &content(octets)[..]].concat();
        let Err(Refusal::Said(reply)) = deliver(&worse).await else { panic!("it was taken") };
        assert_eq!(
            (reply.code, reply.lines.join(" ").starts_with("This is not wanted here (")),
            (550, true),
            "{reply:?}"
        );
        assert_eq!((folder(FolderId::INBOX), folder(FolderId::JUNK)), (1, 1));
        assert_eq!(
            std::fs::read_dir(world.config.data.join("blobs")).unwrap().count(),
            0,
            "of a refused message nothing stays"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_share_too_little_memory_do_not_wait_for_each_other() {
    let world = World::new().await;
    let signer = world.office.outbound.signer.clone();
    // Each holds a part of it, and none has enough.
    let agent: &'static DeliveryAgent = Box::leak(Box::new(DeliveryAgent::new(
        world.store.clone(),
        signer,
        world.handles.dns.clone(),
        4 << 20,
    )));
    let all_begun = Arc::new(tokio::sync::Barrier::new(16));
    let mut coming = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (content, account, all_begun) = (content(300_000), world.ann, all_begun.clone());
        coming.spawn(async move {
            let sender = ReversePath::Address(Address::parse("bob@elsewhere.test").unwrap());
            let begun = Incoming::begin(agent, &sender, (PEER, Party::Stranger)).await;
            let mut incoming = begun.unwrap();
            let (first, rest) = content.split_at(10_000);
            incoming.append(first).await.unwrap();
            all_begun.wait().await;
            for piece in rest.chunks(10_000) {
                incoming.append(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            incoming.deliver(envelope("", &[account])).await.unwrap().message
        });
    }
    let begun = std::time::Instant::now();
    let messages = coming.join_all().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "they waited until one gave up");
    for message in messages {
        let found = world.store.read(|r| r.content(message)).unwrap().unwrap();
        assert!(stored(&world.store, &found).ends_with(&content(300_000)));
    }
}

/// Delivers a message of a stranger's for Ann; gives what is stored of it, with its verdict and folder.
async fn from_stranger(
    world: &World,
    sender: &str,
    message: &str,
) -> std::result::Result<(String, Option<Verdict>, FolderId), Refusal> {
    world.handles.dns.clear_cache();
    let (agent, store) = (agent(world), &world.store);
    let path = ReversePath::Address(Address::parse(sender).unwrap());
    let mut incoming = Incoming::begin(&agent, &path, (STRANGER, Party::Stranger)).await.unwrap();
    for piece in message.as_bytes().chunks(11) {
        incoming.append(piece).await.unwrap();
    }
    let envelope = Envelope { peer: STRANGER, ..envelope(sender, &[world.ann]) };
    let message = incoming.deliver(envelope).await?.message;
    let content = store.read(|r| r.content(message)).unwrap().unwrap();
    let budget = Budget::of(Duration::from_secs(60));
    let verdict = reading::verdict(store, &content, &budget).unwrap();
    let is_in = |folder: &FolderId| {
        let entries = store.read(|r| r.entries(world.ann, *folder, 0, 100)).unwrap();
        entries.iter().any(|(_, entry)| entry.message == message)
    };
    let folder = [FolderId::INBOX, FolderId::JUNK].into_iter().find(is_in).unwrap();
    Ok((String::from_utf8(stored(store, &content)).unwrap(), verdict, folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sender_proves_decides_and_is_told_with_the_message() {
    let world = World::new().await;
    let zone = &world.zone;
    zone.txt("a.test", "v=spf1 ip4:203.0.113.9 -all");
    zone.txt("_dmarc.a.test", "v=DMARC1; p=reject");
    zone.txt("_dmarc.soft.test", "v=DMARC1; p=quarantine");
    zone.pointer("9.113.0.203.in-addr.arpa", "mx.a.test");
    zone.address("mx.a.test", STRANGER);
    let by = |author: &str| format!("From: <x@{author}>\r\nSubject: Offer\r\n\r\nHello\r\n");
    let kinds = |verdict: &Option<Verdict>| {
        verdict.iter().flat_map(|v| &v.reasons).map(|reason| reason.kind).collect::<Vec<_>>()
    };

    let (whole, verdict, folder) = from_stranger(&world, "x@a.test", &by("a.test")).await.unwrap();
    assert_eq!((kinds(&verdict), folder), (vec![Kind::Proven], FolderId::INBOX), "{whole}");
    let order = [
        "Return-Path: <x@a.test>\r\n", "Authentication-Results: mail.box.test;",
        "Pillarbox-Verdict: inbox", "Received: from client.test", "From: ",
    ];
    let places = order.map(|field| whole.find(field).unwrap());
    assert!(places.is_sorted(), "{whole}");
    assert!(
        whole.contains("spf=pass smtp.mailfrom=a.test")
            && whole.contains("dmarc=pass (p=reject) header.from=a.test")
    );

    let (whole, verdict, folder) =
        from_stranger(&world, "x@a.test", &by("soft.test")).await.unwrap();
    assert_eq!((kinds(&verdict), folder), (vec![Kind::Suspected], FolderId::JUNK), "{whole}");
    let records = world.store.read(|r| r.ledger_recent(1)).unwrap();
    assert!(
        records[0].1.wording().contains("into Junk: it says to be from soft.test"),
        "{records:?}"
    );

    // Nobody else writes that in our name: it is read of what delivery put in front alone.
    let forged = format!("Pillarbox-Verdict: junk; no-author +60\r\n{}", by("nobody.test"));
    let (_, verdict, folder) = from_stranger(&world, "x@nobody.test", &forged).await.unwrap();
    assert_eq!((verdict, folder), (None, FolderId::INBOX));

    // A forged author is refused, with the reason and whom to ask.
    let Err(Refusal::Said(reply)) = from_stranger(&world, "x@other.test", &by("a.test")).await
    else {
        panic!("it was taken")
    };
    let said = reply.lines.join(" ");
    assert!(
        reply.code == 550 && said.contains("says to be from a.test") && said.contains("DMARC"),
        "{reply:?}"
    );

    // Unless it comes over somebody whom the owner trusts.
    zone.txt("forwards.test", "v=spf1 ip4:203.0.113.9 -all");
    tokio::task::block_in_place(|| {
        let policy = Policy { forwarders: vec!["forwards.test".into()], ..Policy::default() };
        crate::filtering::set(&world.store, &policy).unwrap();
    });
    let (_, verdict, folder) =
        from_stranger(&world, "srs@forwards.test", &by("a.test")).await.unwrap();
    assert_eq!((kinds(&verdict), folder), (vec![Kind::Forwarder], FolderId::INBOX));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wrote_to_a_proven_author_gets_the_answer_whatever_it_looks_like() {
    let world = World::new().await;
    let zone = &world.zone;
    // The author is proven, the server has no name and is on two lists.
    zone.txt("a.test", "v=spf1 ip4:203.0.113.9 -all");
    zone.txt("_dmarc.a.test", "v=DMARC1; p=reject");
    for list in ["one.test", "two.test"] {
        for address in ["9.113.0.203", "2.0.0.127"] {
            zone.address(&format!("{address}.{list}"), "127.0.0.2".parse().unwrap());
        }
    }
    let lists = || Arc::new(Lists::new(vec!["one.test".into(), "two.test".into()]));
    let message = "From: Xenia <X@a.test>\r\nSubject: Offer\r\n\r\nHello\r\n";
    let folder = async |account| {
        let agent = agent(&world).asking(lists());
        let path = ReversePath::Address(Address::parse("x@a.test").unwrap());
        let mut incoming =
            Incoming::begin(&agent, &path, (STRANGER, Party::Stranger)).await.unwrap();
        incoming.append(message.as_bytes()).await.unwrap();
        let envelope = Envelope { peer: STRANGER, ..envelope("x@a.test", &[account]) };
        let message = incoming.deliver(envelope).await.unwrap().message;
        let entries = world.store.read(|r| r.entries(account, FolderId::JUNK, 0, 100)).unwrap();
        entries.iter().any(|(_, entry)| entry.message == message)
    };
    assert!(folder(world.ann).await, "two lists are enough");
    let people = vec![("Xenia".to_string(), "x@a.test".to_string())];
    let note = pillarbox_store::NoteWritten { account: world.ann, people, at: Timestamp(1) };
    world.store.change(note).done().await.unwrap();
    assert!(!folder(world.ann).await, "she wrote to her");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_dns_holds_nothing_against_anybody() {
    let world = World::new().await;
    for name in ["a.test", "_dmarc.a.test", "9.113.0.203.in-addr.arpa"] {
        world.zone.silence(name);
    }
    let message = "From: <x@a.test>\r\n\r\nHello\r\n";
    let (whole, verdict, folder) = from_stranger(&world, "x@a.test", message).await.unwrap();
    assert_eq!((verdict, folder), (None, FolderId::INBOX));
    assert!(whole.contains("spf=temperror") && whole.contains("dmarc=temperror"), "{whole}");
}
