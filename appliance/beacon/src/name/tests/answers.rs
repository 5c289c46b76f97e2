//! What is asked, and how it is answered: to all or to the one who asks.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::{Record, RecordType};

use super::super::*;
use super::world::*;

/// The types and owners in the answers, and those beside them.
fn told(message: &Message) -> (Vec<String>, Vec<String>) {
    let texts = |records: &[Record]| {
        records.iter().map(|record| format!("{} {}", record.name, record.record_type())).collect()
    };
    (texts(&message.answers), texts(&message.additionals))
}

/// A question, what it is answered, and what is added to that.
type Row = (&'static str, RecordType, &'static [&'static str], &'static [&'static str]);

const QUESTIONS: [Row; 8] = [
    ("pillarbox.local.", RecordType::A, &["pillarbox.local. A"], &["pillarbox.local. AAAA"]),
    ("PillarBox.LOCAL.", RecordType::AAAA, &["pillarbox.local. AAAA"], &["pillarbox.local. A"]),
    ("pillarbox.local.", RecordType::ANY, &["pillarbox.local. A", "pillarbox.local. AAAA"], &[]),
    ("pillarbox.local.", RecordType::TXT, &["pillarbox.local. NSEC"], &[]),
    (
        "_services._dns-sd._udp.local.",
        RecordType::PTR,
        &["_services._dns-sd._udp.local. PTR"; 4],
        &[],
    ),
    (
        "_http._tcp.local.",
        RecordType::PTR,
        &["_http._tcp.local. PTR"],
        &[
            "pillarbox._http._tcp.local. SRV", "pillarbox._http._tcp.local. TXT",
            "pillarbox.local. A", "pillarbox.local. AAAA",
        ],
    ),
    (
        "pillarbox._smtp._tcp.local.",
        RecordType::SRV,
        &["pillarbox._smtp._tcp.local. SRV"],
        &["pillarbox.local. A", "pillarbox.local. AAAA"],
    ),
    ("pillarbox._smtp._tcp.local.", RecordType::A, &["pillarbox._smtp._tcp.local. NSEC"], &[]),
];

#[test]
fn questions_are_answered_to_all() {
    for (name, kind, answers, more) in QUESTIONS {
        let mut world = settled(vec![(FIRST, having(&["192.168.1.7", "fe80::7"]))]);
        let asked = world.now;
        world.say("192.168.1.9", PORT, question(name, kind).to_vec().unwrap());
        world.run(Duration::from_secs(2));
        let sent = world.answers(asked);
        assert_eq!(sent.len(), 1, "{name} {kind}");
        assert!(
            sent[0].queries.is_empty()
                && sent[0].metadata.id == 0
                && world.sent[0].2.to == Target::Group
        );
        assert_eq!(
            told(&sent[0]),
            (
                answers.iter().map(ToString::to_string).collect(),
                more.iter().map(ToString::to_string).collect()
            ),
            "{name} {kind}"
        );
    }
}

#[test]
fn other_names_and_services_are_not_answered() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    for (name, kind) in [
        ("other.local.", RecordType::A),
        ("_ipp._tcp.local.", RecordType::PTR),
        ("pillarbox.example.", RecordType::A),
    ] {
        world.say("192.168.1.9", PORT, question(name, kind).to_vec().unwrap());
    }
    world.run(Duration::from_secs(2));
    assert!(world.sent.is_empty());
}

#[test]
fn a_type_that_is_not_there_is_said_not_to_be() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    world.say(
        "192.168.1.9",
        PORT,
        question("pillarbox.local.", RecordType::AAAA).to_vec().unwrap(),
    );
    world.run(Duration::from_secs(2));
    assert_eq!(told(&world.answers(world.began)[0]).0, ["pillarbox.local. NSEC"]);
    let octets = &world.sent[0].2.octets;
    // Next name, then block 0 with one octet of bits: type 1 (RFC 4034 §4.1.2).
    assert!(octets.ends_with(b"\x09pillarbox\x05local\x00\x00\x01\x40"), "{octets:?}");
}

#[test]
fn what_is_known_is_not_said_again() {
    for (ttl, said) in [(120, 0), (60, 0), (59, 1)] {
        let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
        let mut message = question("pillarbox.local.", RecordType::A);
        let mut known = Message::from_vec(&claimed("pillarbox.local.", "192.168.1.7"))
            .unwrap()
            .answers
            .remove(0);
        known.ttl = ttl;
        message.add_answer(known);
        world.say("192.168.1.9", PORT, message.to_vec().unwrap());
        world.run(Duration::from_secs(2));
        assert_eq!(world.sent.len(), said, "{ttl}");
    }
}

#[test]
fn a_record_is_sent_to_all_once_a_second() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    for _ in 0..100 {
        world.say(
            "192.168.1.9",
            PORT,
            question("pillarbox.local.", RecordType::A).to_vec().unwrap(),
        );
        world.run(millis(100));
    }
    assert!((9..=11).contains(&world.sent.len()), "{}", world.sent.len());
}

#[test]
fn who_wants_an_answer_alone_gets_it_alone() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    let mut message = question("pillarbox.local.", RecordType::A);
    message.metadata.id = 77;
    message.queries[0].mdns_unicast_response = true;
    world.say("192.168.1.9", PORT, message.to_vec().unwrap());
    world.run(Duration::from_secs(1));
    let sent = world.answers(world.began);
    assert_eq!(
        (sent.len(), world.sent[0].2.to),
        (1, Target::One(SocketAddr::new(ip("192.168.1.9"), PORT)))
    );
    assert_eq!((sent[0].metadata.id, sent[0].queries.len(), sent[0].answers[0].ttl), (0, 0, 120));
    // Long after the announcement the others hear it, too.
    world.run(Duration::from_secs(60));
    world.sent.clear();
    world.say("192.168.1.9", PORT, message.to_vec().unwrap());
    world.run(Duration::from_secs(1));
    assert_eq!(world.sent.len(), 2);
}

#[test]
fn an_ordinary_resolver_gets_what_it_understands() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    let mut message = question("pillarbox.local.", RecordType::A);
    message.metadata.id = 77;
    world.say("192.168.1.9", 40_000, message.to_vec().unwrap());
    world.say("203.0.113.9", 40_000, message.to_vec().unwrap());
    world.run(Duration::from_secs(1));
    let sent = world.answers(world.began);
    assert_eq!(
        (sent.len(), world.sent[0].2.to),
        (1, Target::One(SocketAddr::new(ip("192.168.1.9"), 40_000))),
        "and nobody far away"
    );
    assert_eq!((sent[0].metadata.id, sent[0].queries.len()), (77, 1));
    assert!(
        sent[0]
            .answers
            .iter()
            .chain(&sent[0].additionals)
            .all(|record| record.ttl <= 10 && !record.mdns_cache_flush)
    );
}

#[test]
fn packets_from_elsewhere_are_passed_over() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    let (question, now) =
        (question("pillarbox.local.", RecordType::A).to_vec().unwrap(), world.now);
    let responder = &mut world.machines[0].responder;
    responder.receive(FIRST, "203.0.113.9:5353".parse().unwrap(), Way::Direct, &question, now);
    responder.receive(
        FIRST,
        "203.0.113.9:5353".parse().unwrap(),
        Way::Direct,
        &claimed("pillarbox.local.", "203.0.113.9"),
        now,
    );
    responder.receive(9, "192.168.1.9:5353".parse().unwrap(), Way::Group, &question, now);
    assert_eq!((responder.poll(), responder.deadline()), (None, None));
    responder.receive(FIRST, "192.168.1.9:5353".parse().unwrap(), Way::Direct, &question, now);
    assert!(matches!(responder.poll(), Some(Packet { to: Target::One(_), .. })));
}
