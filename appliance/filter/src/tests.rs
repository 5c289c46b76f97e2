//! Whole messages on their way through all proofs, with a name server of the test's.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use pillarbox_outbound::dkim::{Keys, Signer, ensure_keys, published, rotate};
use pillarbox_outbound::tests::world::{START, World};
use pillarbox_outbound::tests::zone::Zone;
use pillarbox_platform::secrets::Secrets;
use pillarbox_vocabulary::Timestamp;

use crate::authentication::{Authentication, Client, examine};
use crate::dkim::{Outcome, Reading, Signed};
use crate::dmarc::{self, Policy};
use crate::listing::{Listing, Lists};
use crate::{iprev, spf};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));
const MESSAGE: &str = "From: Ann <ann@box.test>\r\nTo: bob@elsewhere.test\r\nSubject: Hello\r\n\r\nHello  Bob \r\n \t\r\n\r\n";

/// A domain that signs, and publishes its keys.
struct Signing {
    world: World,
    keys: Arc<Keys>,
    lists: Arc<Lists>,
}

impl Signing {
    async fn new() -> Signing {
        // Silence is waited for.
        let world = World::with(Zone::plain(), |config| config.dns.deadline = 1).await;
        let secrets = Arc::new(Secrets::open(&world.config.data).unwrap());
        let keys = tokio::task::block_in_place(|| {
            ensure_keys(&world.store, &secrets, "box.test", START).unwrap();
            Signer::new(secrets).keys(&world.store, "box.test").unwrap()
        });
        for (name, text, _) in world.store.read(|r| published(r, "box.test", START)).unwrap() {
            world.zone.txt(&name, &text);
        }
        let names = ["good.test", "wild.test", "empty.test", "rude.test"];
        let lists = Arc::new(Lists::new(names.map(String::from).to_vec()));
        Signing { world, keys, lists }
    }

    /// A message with signatures in front.
    fn sign(&self, message: &str) -> String {
        let feed = |write: &mut dyn FnMut(&[u8])| {
            write(message.as_bytes());
            Ok::<_, pillarbox_outbound::Error>(())
        };
        String::from_utf8(self.keys.sign(feed).unwrap()).unwrap() + message
    }

    async fn examine(&self, sender: &str, message: &str) -> Authentication {
        self.world.handles.dns.clear_cache();
        let client =
            Client { address: ADDRESS, hello: "mx.box.test".into(), sender: sender.into() };
        examine((&self.world.handles.dns, &self.lists), &client, read(message, 7), START).await
    }
}

fn read(message: &str, piece: usize) -> Signed {
    let mut reading = Reading::default();
    message.as_bytes().chunks(piece).for_each(|piece| reading.push(piece));
    reading.finish()
}

fn outcomes(found: &Authentication) -> Vec<Outcome> {
    found.signatures.iter().map(|signature| signature.outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_holds_for_what_was_signed_and_nothing_else() {
    let signing = Signing::new().await;
    let signed = signing.sign(MESSAGE);
    let passes = [Outcome::Pass; 2];
    let fails = [Outcome::Fail; 2];
    for (what, message, expected) in [
        ("as it was sent", signed.clone(), &passes[..]),
        (
            "with blanks where they do not count",
            signed.replace("Hello  Bob ", "Hello \t Bob\t "),
            &passes,
        ),
        ("with a field added that was not signed", format!("X-Way: long\r\n{signed}"), &passes),
        ("with a field added that is not to be", format!("Subject: Other\r\n{signed}"), &fails),
        ("with another author in front", format!("From: eve@evil.test\r\n{signed}"), &fails),
        ("with another text", signed.replace("Hello  Bob", "Hello Eve"), &fails),
        ("with another subject", signed.replace("Subject: Hello", "Subject: Hi"), &fails),
        ("without a signature", MESSAGE.to_string(), &[]),
        (
            "with one that can't be read",
            format!("DKIM-Signature: v=1; a=rsa-sha256; d\r\n{MESSAGE}"),
            &[Outcome::Neutral],
        ),
    ] {
        let found = signing.examine("ann@box.test", &message).await;
        assert_eq!(outcomes(&found), expected, "{what}");
        let proven = if expected == passes { dmarc::Outcome::Pass } else { dmarc::Outcome::Fail };
        signing.world.zone.remove("_dmarc.box.test", RecordType::TXT);
        signing.world.zone.txt("_dmarc.box.test", "v=DMARC1; p=reject");
        let found = signing.examine("bounces@list.test", &message).await;
        let ours = found.authors.iter().find(|author| author.domain == "box.test").unwrap();
        assert_eq!((ours.outcome, ours.policy), (proven, Some(Policy::Reject)), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_a_message_is_cut_changes_nothing() {
    let signing = Signing::new().await;
    let signed = signing.sign(MESSAGE);
    let keys = crate::dkim::ask(&signing.world.handles.dns, read(&signed, 1000).keys()).await;
    for piece in 1..=signed.len() {
        let judged = read(&signed, piece).judge(&keys, START);
        assert!(
            judged.len() == 2 && judged.iter().all(|one| one.outcome == Outcome::Pass),
            "pieces of {piece}: {judged:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_gone_or_silent_or_another_proves_nothing() {
    let signing = Signing::new().await;
    let signed = signing.sign(MESSAGE);
    let names = read(&signed, 100).keys();
    signing.world.zone.remove(&names[0], RecordType::TXT);
    signing.world.zone.silence(&names[1]);
    let found = signing.examine("ann@box.test", &signed).await;
    assert_eq!(outcomes(&found), [Outcome::Permanent, Outcome::Temporary]);
    // What can't be told now is not held against anybody.
    signing.world.zone.txt("_dmarc.box.test", "v=DMARC1; p=reject");
    let found = signing.examine("x@list.test", &signed).await;
    assert_eq!(found.authors[0].outcome, dmarc::Outcome::Temporary);
    for (text, expected) in [
        ("v=DKIM1; k=rsa; p=", Outcome::Permanent),
        ("v=DKIM1; k=other; p=AAAA", Outcome::Permanent),
        ("nonsense", Outcome::Permanent),
    ] {
        signing.world.zone.remove(&names[0], RecordType::TXT);
        signing.world.zone.txt(&names[0], text);
        let found = signing.examine("ann@box.test", &signed).await;
        assert_eq!(found.signatures[0].outcome, expected, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_of_the_same_domain_do_not_hurt_what_was_signed_before() {
    let signing = Signing::new().await;
    let signed = signing.sign(MESSAGE);
    let world = &signing.world;
    let secrets = Secrets::open(&world.config.data).unwrap();
    tokio::task::block_in_place(|| {
        rotate(&world.store, &secrets, "box.test", Timestamp(START.0 + 60)).unwrap()
    });
    let found = signing.examine("ann@box.test", &signed).await;
    assert_eq!(outcomes(&found), [Outcome::Pass; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_may_send_for_a_domain_and_has_a_name() {
    let signing = Signing::new().await;
    let zone = &signing.world.zone;
    zone.txt("box.test", "v=spf1 ip4:203.0.113.9 -all");
    zone.txt("mx.box.test", "v=spf1 a -all");
    zone.address("mx.box.test", ADDRESS);
    zone.pointer("9.113.0.203.in-addr.arpa", "mx.box.test");
    zone.txt("other.test", "v=spf1 -all");
    zone.txt("_dmarc.box.test", "v=DMARC1; p=quarantine");
    let found = signing.examine("ann@box.test", MESSAGE).await;
    assert_eq!(found.hello.as_ref().unwrap().outcome, Ok(spf::Verdict::Pass));
    assert_eq!(found.sender.as_ref().unwrap().outcome, Ok(spf::Verdict::Pass));
    assert_eq!(found.name, iprev::Outcome::Pass("mx.box.test".into()));
    assert_eq!(found.authors[0].outcome, dmarc::Outcome::Pass);
    // A reverse-path elsewhere proves nothing of the author.
    let found = signing.examine("ann@other.test", MESSAGE).await;
    assert_eq!(found.sender.as_ref().unwrap().outcome, Ok(spf::Verdict::Fail));
    assert_eq!(
        (found.authors[0].outcome, found.authors[0].policy),
        (dmarc::Outcome::Fail, Some(Policy::Quarantine))
    );
    // A notice has no reverse-path: its server speaks for it, here from within the author's organization.
    let found = signing.examine("", MESSAGE).await;
    assert_eq!(found.sender, found.hello);
    assert_eq!(found.authors[0].outcome, dmarc::Outcome::Pass);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_authors_is_judged() {
    let signing = Signing::new().await;
    let zone = &signing.world.zone;
    zone.txt("box.test", "v=spf1 ip4:203.0.113.9 -all");
    zone.txt("_dmarc.box.test", "v=DMARC1; p=reject");
    zone.txt("_dmarc.bank.test", "v=DMARC1; p=reject; aspf=s");
    let two = MESSAGE.replace("From: Ann", "From: \"The Bank\" <service@BANK.test>, Ann");
    let found = signing.examine("ann@box.test", &two).await;
    let judged: Vec<(&str, dmarc::Outcome)> =
        found.authors.iter().map(|a| (&a.domain[..], a.outcome)).collect();
    assert_eq!(judged, [("bank.test", dmarc::Outcome::Fail), ("box.test", dmarc::Outcome::Pass)]);
    let twice = format!("From: service@bank.test\r\n{MESSAGE}");
    assert_eq!(signing.examine("ann@box.test", &twice).await.authors.len(), 2);
    let none = MESSAGE.replace("From: Ann <ann@box.test>\r\n", "");
    assert_eq!(signing.examine("ann@box.test", &none).await.authors, []);
    for (from, posing) in [
        ("\"boss@firm.test\" <x@evil.test>", Some("boss@firm.test")),
        ("=?utf-8?q?Boss_=28boss=40firm.test=29?= <x@evil.test>", Some("boss@firm.test")),
        ("=?utf-8?q?boss=EF=BC=A0firm.test?= <x@evil.test>", Some("boss@firm.test")),
        ("\"ann@box.test\" <ann@BOX.test>", None),
        ("Ann @ work <ann@box.test>", None),
    ] {
        let message = MESSAGE.replace("Ann <ann@box.test>", from);
        let found = read(&message, 9).authors().posing;
        assert_eq!(found.first().map(String::as_str), posing, "{from}");
    }
    // However it is written: whom people see counts.
    for from in [
        "=?utf-8?q?The_Bank?= <service@bank.test>",
        "Bank: service@bank.test;",
        "\"a\" (b) <service@bank.test>",
    ] {
        let forged = MESSAGE.replace("Ann <ann@box.test>", from);
        let found = signing.examine("ann@box.test", &forged).await;
        let judged: Vec<_> = found.authors.iter().map(|a| (&a.domain[..], a.outcome)).collect();
        assert_eq!(judged, [("bank.test", dmarc::Outcome::Fail)], "{from}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_found_and_aligned_as_the_standard_has_it() {
    let signing = Signing::new().await;
    let zone = &signing.world.zone;
    for domain in ["org.test", "a.org.test", "other.test"] {
        zone.txt(domain, "v=spf1 ip4:203.0.113.9 -all");
    }
    zone.txt("_dmarc.co.test", "v=DMARC1; p=reject; psd=y");
    zone.txt("x.co.test", "v=spf1 ip4:203.0.113.9 -all");
    zone.txt("y.co.test", "v=spf1 ip4:203.0.113.9 -all");
    zone.txt("there.org.test", "something");
    let (pass, fail, none) = (dmarc::Outcome::Pass, dmarc::Outcome::Fail, dmarc::Outcome::None);
    let all = "v=DMARC1; p=reject; sp=quarantine; np=none";
    let table = [
        // The record of org.test, the reverse-path's domain, the author's, what follows.
        ("v=DMARC1; p=reject", "org.test", "org.test", pass, Some(Policy::Reject)),
        ("v=DMARC1; p=reject", "a.org.test", "ORG.test", pass, Some(Policy::Reject)),
        ("v=DMARC1; p=reject", "org.test", "b.org.test", pass, Some(Policy::Reject)),
        ("v=DMARC1; p=reject; aspf=s", "a.org.test", "org.test", fail, Some(Policy::Reject)),
        ("v=DMARC1; p=reject", "other.test", "org.test", fail, Some(Policy::Reject)),
        (all, "other.test", "org.test", fail, Some(Policy::Reject)),
        (all, "other.test", "there.org.test", fail, Some(Policy::Quarantine)),
        (all, "other.test", "nobody.org.test", fail, Some(Policy::None)),
        ("v=DMARC1; p=quarantine; t=y", "other.test", "org.test", fail, Some(Policy::None)),
        ("v=DMARC1; rua=mailto:a@org.test", "other.test", "org.test", fail, Some(Policy::None)),
        ("p=reject", "other.test", "org.test", none, None),
        // Below a public suffix each name is an organization of its own.
        ("v=DMARC1; p=none", "x.co.test", "y.co.test", fail, Some(Policy::Reject)),
        ("v=DMARC1; p=none", "y.co.test", "y.co.test", pass, Some(Policy::Reject)),
    ];
    for (record, sender, author, outcome, policy) in table {
        zone.remove("_dmarc.org.test", RecordType::TXT);
        zone.txt("_dmarc.org.test", record);
        let message = MESSAGE.replace("ann@box.test", &format!("ann@{author}"));
        let found = signing.examine(&format!("x@{sender}"), &message).await;
        let judged = &found.authors[0];
        assert_eq!(
            (judged.outcome, judged.policy),
            (outcome, policy),
            "{record} {sender} {author}"
        );
    }
    zone.txt("_dmarc.org.test", "v=DMARC1; p=reject");
    let twice = MESSAGE.replace("ann@box.test", "ann@org.test");
    let found = signing.examine("x@other.test", &twice).await;
    assert_eq!(found.authors[0].outcome, none, "of two records none counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_without_end_takes_bounded_memory_and_proves_nothing() {
    let mut reading = Reading::default();
    for _ in 0..1000 {
        reading.push(&[b'x'; 1000]);
    }
    assert!(reading.memory() <= 128 * 1024);
    let signed = reading.finish();
    assert!(!signed.is_whole() && signed.keys().is_empty() && signed.judge(&[], START).is_empty());
}

/// RFC 8463 Appendix A: the message of RFC 6376 Appendix A with a signature of each kind, and their keys.
const EXAMPLE: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; \
    i=@football.example.com;\r\n q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : \
    message-id : from : subject : date;\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
    b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
    DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=football.example.com; \
    i=@football.example.com;\r\n q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n date : \
    message-id : from : subject : date;\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
    b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n \
    DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n \
    dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n\
    From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\n\
    Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
const EXAMPLE_KEYS: [&str; 2] = [
    "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/\
     J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryO\
     TIKT+l/K4w3QIDAQAB",
];

#[test]
fn the_examples_of_the_standards_hold() {
    let judge = |message: &str| {
        let signed = read(message, 5);
        assert_eq!(
            signed.keys(),
            ["brisbane._domainkey.football.example.com", "test._domainkey.football.example.com"]
        );
        let keys: Vec<_> = EXAMPLE_KEYS.iter().map(|key| Ok(vec![key.to_string()])).collect();
        signed.judge(&keys, START).into_iter().map(|one| one.outcome).collect::<Vec<_>>()
    };
    assert_eq!(judge(EXAMPLE), [Outcome::Pass; 2]);
    assert_eq!(judge(&EXAMPLE.replace("hungry", "thirsty")), [Outcome::Fail; 2]);
    assert_eq!(
        judge(&EXAMPLE.replace("t=1528637909; h=from : to :\r\n", "t=1; h=from : to :\r\n")),
        [Outcome::Fail, Outcome::Pass]
    );
}

#[test]
fn records_that_lead_from_one_to_the_next_need_no_more_stack_than_the_server_has() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(1)
        .thread_stack_size(512 * 1024)
        .build()
        .unwrap();
    let signing = runtime.block_on(Signing::new());
    let zone = &signing.world.zone;
    for number in 0..12 {
        let (this, next) = (format!("c{number}.test"), format!("c{}.test", number + 1));
        zone.txt(&this, &format!("v=spf1 include:{next} -all"));
        zone.txt(&format!("_dmarc.{this}"), "v=DMARC1; p=reject");
    }
    let (dns, message) = (signing.world.handles.dns.clone(), signing.sign(MESSAGE));
    let examined = async move {
        let client =
            Client { address: ADDRESS, hello: "c0.test".into(), sender: "x@c0.test".into() };
        examine((&dns, &Arc::default()), &client, read(&message, 100), START).await
    };
    let found = runtime.block_on(async { tokio::spawn(examined).await.unwrap() });
    assert_eq!(found.sender.unwrap().outcome, Err(spf::Trouble::Wrong), "too many questions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_spammers_counts_once_it_has_shown_that_it_is_one() {
    let signing = Signing::new().await;
    let zone = &signing.world.zone;
    let say = |name: &str, answer: &str| zone.address(name, answer.parse().unwrap());
    assert_eq!(signing.examine("ann@box.test", MESSAGE).await.listed, []);
    assert!(signing.lists.states().iter().all(|(_, state)| state.is_none()));
    // One as it should be, one that answers all, one that knows nobody else, and one that does not serve us.
    for name in ["9.113.0.203.good.test", "2.0.0.127.good.test"] {
        say(name, "127.0.0.4");
    }
    for name in ["9.113.0.203.wild.test", "2.0.0.127.wild.test", "1.0.0.127.wild.test"] {
        say(name, "127.0.0.2");
    }
    say("9.113.0.203.empty.test", "127.0.0.2");
    say("9.113.0.203.rude.test", "127.255.255.254");
    let found = signing.examine("ann@box.test", MESSAGE).await;
    assert_eq!(found.listed, [("good.test".to_string(), Listing::Listed)]);
    let believed: Vec<Option<bool>> =
        signing.lists.states().into_iter().map(|(_, state)| state).collect();
    assert_eq!(believed, [Some(true), Some(false), Some(false), None]);
    // What was found out holds for a while.
    zone.remove("2.0.0.127.good.test", RecordType::A);
    say("9.113.0.203.good.test", "127.0.0.11");
    zone.remove("9.113.0.203.good.test", RecordType::A);
    say("9.113.0.203.good.test", "127.0.0.11");
    let found = signing.examine("ann@box.test", MESSAGE).await;
    assert_eq!(found.listed, [("good.test".to_string(), Listing::DialUp)]);
}
