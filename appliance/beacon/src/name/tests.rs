//! Responders on a link that exists only here: packets take a moment, repeaters say them again, time is a number.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{A, PTR};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;

use super::packet::ROOM;
use super::*;

const FIRST: LinkId = 1;
const SECOND: LinkId = 2;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// An interface with addresses of /24 or /64.
fn having(texts: &[&str]) -> Vec<Address> {
    texts
        .iter()
        .map(|text| ip(text))
        .map(|ip| Address { ip, prefix: if ip.is_ipv4() { 24 } else { 64 } })
        .collect()
}

/// A machine on the link: it is reached there by one interface or more.
struct Machine {
    responder: Responder,
    links: Vec<(LinkId, Vec<Address>)>,
    begins: Instant,
    has_begun: bool,
    /// Names that it held, in turn.
    held: Vec<String>,
}

/// A repeater: says again what it hears of machines, from its own address.
#[derive(Clone, Copy, Debug)]
struct Repeater {
    delay: Duration,
    from: IpAddr,
}

/// A packet on its way to all.
/// By the link itself nothing comes back to the interface that sent it.
struct Flight {
    arrives: Instant,
    from: SocketAddr,
    by: Option<(usize, LinkId)>,
    octets: Vec<u8>,
}

/// One link that all interfaces of all machines are on.
struct World {
    began: Instant,
    now: Instant,
    machines: Vec<Machine>,
    repeaters: Vec<Repeater>,
    flying: Vec<Flight>,
    /// Everything machines sent: when, which of them, where to.
    sent: Vec<(Instant, usize, Packet)>,
}

impl World {
    fn new() -> World {
        let now = Instant::now();
        World {
            began: now,
            now,
            machines: Vec::new(),
            repeaters: Vec::new(),
            flying: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn machine(
        &mut self,
        seed: u64,
        last: Option<&str>,
        begins: Duration,
        links: Vec<(LinkId, Vec<Address>)>,
    ) -> usize {
        let responder = Responder::new("pillarbox", last, seed);
        self.machines.push(Machine {
            responder,
            links,
            begins: self.now + begins,
            has_begun: false,
            held: Vec::new(),
        });
        self.machines.len() - 1
    }

    fn simple(&mut self, seed: u64, address: &str) -> usize {
        self.machine(seed, None, Duration::ZERO, vec![(FIRST, having(&[address]))])
    }

    fn say(&mut self, from: &str, port: u16, octets: Vec<u8>) {
        self.flying.push(Flight {
            arrives: self.now,
            from: SocketAddr::new(ip(from), port),
            by: None,
            octets,
        });
    }

    fn name(&self, at: usize) -> Option<&str> {
        match self.machines[at].responder.standing() {
            Standing::Held(name) => Some(name),
            _ => None,
        }
    }

    /// What machines sent, and what becomes of it.
    fn collect(&mut self) {
        for at in 0..self.machines.len() {
            if let Standing::Held(name) = self.machines[at].responder.standing() {
                let name = name.to_string();
                if self.machines[at].held.last() != Some(&name) {
                    self.machines[at].held.push(name);
                }
            }
            while let Some(packet) = self.machines[at].responder.poll() {
                assert!(packet.octets.len() <= ROOM, "{} octets", packet.octets.len());
                let own = self.machines[at]
                    .links
                    .iter()
                    .find(|(id, _)| *id == packet.link)
                    .map(|(_, addresses)| addresses[0].ip);
                if let (Some(own), Target::Group) = (own, packet.to) {
                    let flight = |after, from, by| Flight {
                        arrives: self.now + after,
                        from: SocketAddr::new(from, PORT),
                        by,
                        octets: packet.octets.clone(),
                    };
                    self.flying.push(flight(millis(1), own, Some((at, packet.link))));
                    self.flying.extend(
                        self.repeaters.iter().map(|repeater| {
                            flight(millis(2) + repeater.delay, repeater.from, None)
                        }),
                    );
                }
                self.sent.push((self.now, at, packet));
            }
        }
    }

    /// Lets time pass.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.collect();
            let starts = self
                .machines
                .iter()
                .filter(|machine| !machine.has_begun)
                .map(|machine| machine.begins);
            let begun = self.machines.iter().filter(|machine| machine.has_begun);
            let due = begun.filter_map(|machine| machine.responder.deadline());
            let next =
                starts.chain(due).chain(self.flying.iter().map(|flight| flight.arrives)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next.max(self.now);
            for at in 0..self.machines.len() {
                let machine = &mut self.machines[at];
                if machine.begins <= self.now && !machine.has_begun {
                    machine.has_begun = true;
                    machine.responder.set_links(&machine.links.clone(), self.now);
                }
                if machine.has_begun {
                    machine.responder.advance(self.now);
                }
            }
            self.collect();
            let (arrived, flying): (Vec<Flight>, _) = std::mem::take(&mut self.flying)
                .into_iter()
                .partition(|flight| flight.arrives <= self.now);
            self.flying = flying;
            for Flight { from, by, octets, .. } in arrived {
                for (at, machine) in
                    self.machines.iter_mut().enumerate().filter(|(_, machine)| machine.has_begun)
                {
                    for (id, _) in machine.links.clone() {
                        if by != Some((at, id)) {
                            machine.responder.receive(id, from, Way::Group, &octets, self.now);
                        }
                    }
                }
            }
        }
        self.now = end;
    }

    fn answers(&self, since: Instant) -> Vec<Message> {
        self.sent
            .iter()
            .filter(|(when, ..)| *when >= since)
            .map(|(_, _, packet)| Message::from_vec(&packet.octets).unwrap())
            .collect()
    }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn claimed(name: &str, address: &str) -> Vec<u8> {
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    let IpAddr::V4(v4) = ip(address) else { panic!("IPv4 only") };
    message.add_answer(Record::from_rdata(Name::from_ascii(name).unwrap(), 120, RData::A(A(v4))));
    message.to_vec().unwrap()
}

/// A machine alone that has its name.
fn settled(links: Vec<(LinkId, Vec<Address>)>) -> World {
    let mut world = World::new();
    world.machine(1, None, Duration::ZERO, links);
    world.run(Duration::from_secs(10));
    assert_eq!(world.name(0), Some("pillarbox"));
    world.sent.clear();
    world
}

#[test]
fn a_name_is_probed_then_announced() {
    let mut world = World::new();
    world.simple(7, "192.168.1.7");
    world.run(Duration::from_secs(10));
    assert_eq!(world.name(0), Some("pillarbox"));
    let all: Vec<(Duration, Message)> = world
        .sent
        .iter()
        .map(|(when, _, p)| (*when - world.began, Message::from_vec(&p.octets).unwrap()))
        .collect();
    assert_eq!(all.len(), 5, "three questions, two announcements, then silence");
    for (at, (_, probe)) in all[..3].iter().enumerate() {
        assert_eq!(
            (probe.queries.len(), probe.queries[0].query_type, probe.authorities.len()),
            (1, RecordType::ANY, 1)
        );
        assert_eq!(probe.queries[0].mdns_unicast_response, at == 0);
        assert!(!probe.authorities[0].mdns_cache_flush);
    }
    assert!(
        all[0].0 <= millis(250)
            && all[1].0 - all[0].0 == millis(250)
            && all[2].0 - all[1].0 == millis(250)
            && all[3].0 - all[2].0 == millis(250)
    );
    assert!(all[4].0 - all[3].0 >= Duration::from_secs(1));
    let host = |record: &&Record| record.record_type() == RecordType::A;
    let announced = all[3].1.answers.iter().find(host).unwrap();
    assert!(announced.mdns_cache_flush && announced.ttl == 120 && all[3].1.metadata.authoritative);
    let ports: Vec<u16> = all[3]
        .1
        .answers
        .iter()
        .filter_map(|record| if let RData::SRV(srv) = &record.data { Some(srv.port) } else { None })
        .collect();
    assert_eq!(ports, [80, 995, 25, 587]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Repeaters of any delay, on one interface or two that are joined, while somebody asks and the address changes.
    #[test]
    fn what_comes_back_never_changes_the_name(
        seed in any::<u64>(),
        delays in prop::collection::vec(0u64..15_000, 1..4),
        has_two in any::<bool>(),
        changes in 0u64..40_000,
    ) {
        let mut world = World::new();
        let mut links = vec![(FIRST, having(&["192.168.1.7", "fe80::7", "2001:db8::7"]))];
        if has_two {
            links.push((SECOND, having(&["192.168.1.8", "fe80::8"])));
        }
        world.machine(seed, None, Duration::ZERO, links);
        world.repeaters = delays.iter().zip(250..).map(|(delay, last)| Repeater { delay: millis(*delay), from: ip(&format!("192.168.1.{last}")) }).collect();
        for step in 0..60 {
            if step * 1000 <= changes && changes < (step + 1) * 1000 {
                world.machines[0].links[0].1 = having(&["192.168.1.77", "fe80::7"]);
                let (links, now) = (world.machines[0].links.clone(), world.now);
                world.machines[0].responder.set_links(&links, now);
            }
            world.say("192.168.1.9", PORT, question("pillarbox.local.", RecordType::A).to_vec().unwrap());
            world.run(millis(1000));
        }
        prop_assert_eq!(&world.machines[0].held, &["pillarbox"]);
        prop_assert!(world.sent.len() < 400, "{} packets", world.sent.len());
    }

    /// Machines that start together, near each other or later: in the end each has a name of its own, and the first
    /// name is had.
    #[test]
    fn machines_get_names_of_their_own(
        starts in prop::collection::vec((any::<u64>(), 0u64..3000, any::<bool>()), 2..9),
        delay in prop::option::of(0u64..8000),
    ) {
        let mut world = World::new();
        world.repeaters = delay.map(|delay| Repeater { delay: millis(delay), from: ip("192.168.1.250") }).into_iter().collect();
        for (at, (seed, begins, has_two)) in starts.iter().enumerate() {
            let mut links = vec![(FIRST, having(&[&format!("192.168.1.{}", 10 + 7 * at % 40)]))];
            if *has_two {
                links.push((SECOND, having(&[&format!("192.168.1.{}", 100 + 31 * at % 90)])));
            }
            world.machine(*seed, None, millis(*begins), links);
        }
        world.run(Duration::from_secs(60));
        let mut names: Vec<&str> = (0..starts.len()).map(|at| world.name(at).unwrap_or("none")).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        prop_assert!(names.len() == count && !names.contains(&"none"), "{:?}", names);
        prop_assert!(names.contains(&"pillarbox"), "{:?}", names);
        prop_assert!(world.machines.iter().all(|machine| machine.held.len() == 1), "none is given up");
    }

    /// Whatever comes in: no panic, few packets out, and the name stays.
    #[test]
    fn any_octets_are_a_packet_or_not(
        octets in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0usize..2000,
        flips in prop::collection::vec((0usize..2000, any::<u8>()), 0..4),
        port in prop_oneof![Just(PORT), Just(40_000)],
    ) {
        let mut world = settled(vec![(FIRST, having(&["192.168.1.7", "fe80::7"]))]);
        let mut message = question("_services._dns-sd._udp.local.", RecordType::ANY);
        message.add_query(Query::query(Name::from_ascii("pillarbox._http._tcp.local.").unwrap(), RecordType::ANY));
        message.add_answer(Record::from_rdata(Name::from_ascii("_http._tcp.local.").unwrap(), 4000, RData::PTR(PTR(Name::from_ascii("x.local.").unwrap()))));
        let mut whole = message.to_vec().unwrap();
        whole.truncate(cut);
        for (at, flip) in flips {
            if let Some(octet) = whole.get_mut(at) {
                *octet ^= flip;
            }
        }
        let headed = [&[0, 0, 0x84, 0, 0, 2, 0, 2, 0, 2, 0, 2][..], &octets].concat();
        for packet in [octets, whole, headed] {
            world.say("192.168.1.9", port, packet);
            world.run(Duration::from_secs(5));
        }
        prop_assert!(world.sent.len() <= 12, "{}", world.sent.len());
        prop_assert_eq!(world.name(0), Some("pillarbox"));
    }
}

#[test]
fn one_that_comes_later_takes_the_next_name() {
    let mut world = World::new();
    for (at, begins) in [0, 20, 40].into_iter().enumerate() {
        world.machine(
            3,
            None,
            Duration::from_secs(begins),
            vec![(FIRST, having(&[&format!("192.168.1.{}", 200 - at)]))],
        );
    }
    world.run(Duration::from_secs(60));
    let held: Vec<&[String]> = world.machines.iter().map(|machine| &machine.held[..]).collect();
    assert_eq!(held, [["pillarbox"], ["pillarbox-2"], ["pillarbox-3"]]);
}

#[test]
fn one_that_held_a_name_tries_it_first() {
    let mut world = World::new();
    world.machine(3, Some("pillarbox-4"), Duration::ZERO, vec![(FIRST, having(&["192.168.1.7"]))]);
    world.machine(4, Some("other"), Duration::ZERO, vec![(FIRST, having(&["192.168.1.8"]))]);
    world.run(Duration::from_secs(5));
    assert_eq!((world.name(0), world.name(1)), (Some("pillarbox-4"), Some("pillarbox")));
}

#[test]
fn two_links_that_are_joined_later_keep_one_name_each() {
    let mut world = World::new();
    let (one, two) = (world.simple(1, "192.168.1.7"), world.simple(2, "192.168.1.8"));
    // Nobody hears anybody: two links.
    let long_ago = world.now;
    for machine in &mut world.machines {
        machine.responder.set_links(&machine.links.clone(), long_ago);
        machine.has_begun = true;
        for step in 1..200 {
            machine.responder.advance(long_ago + millis(step * 50));
            while machine.responder.poll().is_some() {}
        }
    }
    world.now = long_ago + Duration::from_secs(20);
    assert_eq!((world.name(one), world.name(two)), (Some("pillarbox"), Some("pillarbox")));
    world.say("192.168.1.9", PORT, question("pillarbox.local.", RecordType::A).to_vec().unwrap());
    world.run(Duration::from_secs(10));
    let mut names = [world.name(one), world.name(two)];
    names.sort_unstable();
    assert_eq!(names, [Some("pillarbox"), Some("pillarbox-2")]);
}

#[test]
fn when_all_names_are_taken_there_is_silence() {
    let mut world = World::new();
    for at in 0..9u64 {
        world.machine(
            at,
            None,
            Duration::from_secs(20 * at),
            vec![(FIRST, having(&[&format!("192.168.1.{}", 20 + at)]))],
        );
    }
    world.run(Duration::from_secs(240));
    let late = world.simple(99, "192.168.1.99");
    world.machines[late].begins = world.now + millis(1);
    world.run(Duration::from_secs(60));
    assert_eq!(world.machines[late].responder.standing(), Standing::None);
    let sent = world.sent.iter().filter(|(_, by, _)| *by == late).count();
    assert!(sent <= 27, "{sent} packets");
    world.run(Duration::from_secs(500));
    assert_eq!(world.sent.iter().filter(|(_, by, _)| *by == late).count(), sent, "silent");
    // One of the others is gone: its name is had at the next try.
    world.machines.remove(4);
    world.run(Duration::from_secs(120));
    assert_eq!(world.name(8), Some("pillarbox-5"));
    assert!((0..8).all(|at| world.machines[at].held.len() == 1));
}

#[test]
fn checks_are_rare_however_many_stray_answers_come() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    let stray = claimed("pillarbox.local.", "192.168.1.66");
    for _ in 0..600 {
        // Only while nothing is asked: a packet that was on its way for long.
        if world.machines[0].responder.deadline().is_none() {
            world.say("192.168.1.66", PORT, stray.clone());
        }
        world.run(millis(500));
    }
    assert_eq!(world.machines[0].held, ["pillarbox"]);
    let probes = world
        .answers(world.began)
        .iter()
        .filter(|message| message.metadata.message_type == MessageType::Query)
        .count();
    assert!((3..=24).contains(&probes), "{probes} questions in five minutes");
}

#[test]
fn a_real_answer_to_the_check_takes_the_name() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    let stray = claimed("pillarbox.local.", "192.168.1.66");
    world.say("192.168.1.66", PORT, stray.clone());
    world.run(millis(400));
    assert_eq!(world.name(0), Some("pillarbox"), "held while it is checked");
    world.say("192.168.1.66", PORT, stray);
    world.run(Duration::from_secs(3));
    assert_eq!(world.machines[0].held, ["pillarbox", "pillarbox-2"]);
}

#[test]
fn a_good_bye_of_another_is_no_conflict() {
    let mut world = World::new();
    world.simple(1, "192.168.1.7");
    let mut message = Message::from_vec(&claimed("pillarbox.local.", "192.168.1.66")).unwrap();
    message.answers[0].ttl = 0;
    world.say("192.168.1.66", PORT, message.to_vec().unwrap());
    world.run(Duration::from_secs(3));
    assert_eq!(world.machines[0].held, ["pillarbox"]);
}

/// The types and owners in the answers, and those beside them.
fn told(message: &Message) -> (Vec<String>, Vec<String>) {
    let texts = |records: &[Record]| {
        records.iter().map(|record| format!("{} {}", record.name, record.record_type())).collect()
    };
    (texts(&message.answers), texts(&message.additionals))
}

#[test]
fn questions_are_answered_to_all() {
    for (name, kind, answers, more) in [
        (
            "pillarbox.local.",
            RecordType::A,
            vec!["pillarbox.local. A"],
            vec!["pillarbox.local. AAAA"],
        ),
        (
            "PillarBox.LOCAL.",
            RecordType::AAAA,
            vec!["pillarbox.local. AAAA"],
            vec!["pillarbox.local. A"],
        ),
        (
            "pillarbox.local.",
            RecordType::ANY,
            vec!["pillarbox.local. A", "pillarbox.local. AAAA"],
            vec![],
        ),
        ("pillarbox.local.", RecordType::TXT, vec!["pillarbox.local. NSEC"], vec![]),
        (
            "_services._dns-sd._udp.local.",
            RecordType::PTR,
            vec!["_services._dns-sd._udp.local. PTR"; 4],
            vec![],
        ),
        (
            "_http._tcp.local.",
            RecordType::PTR,
            vec!["_http._tcp.local. PTR"],
            vec![
                "pillarbox._http._tcp.local. SRV", "pillarbox._http._tcp.local. TXT",
                "pillarbox.local. A", "pillarbox.local. AAAA",
            ],
        ),
        (
            "pillarbox._smtp._tcp.local.",
            RecordType::SRV,
            vec!["pillarbox._smtp._tcp.local. SRV"],
            vec!["pillarbox.local. A", "pillarbox.local. AAAA"],
        ),
        (
            "pillarbox._smtp._tcp.local.",
            RecordType::A,
            vec!["pillarbox._smtp._tcp.local. NSEC"],
            vec![],
        ),
    ] {
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
fn a_name_that_is_held_is_defended_at_once() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    let mut probe = question("pillarbox.local.", RecordType::ANY);
    probe.add_authority(
        Message::from_vec(&claimed("pillarbox.local.", "192.168.1.66")).unwrap().answers.remove(0),
    );
    for _ in 0..3 {
        let asked = world.now;
        world.say("192.168.1.66", PORT, probe.to_vec().unwrap());
        world.run(millis(250));
        assert_eq!(
            (world.answers(asked).len(), world.sent.last().map(|(when, ..)| *when)),
            (1, Some(asked))
        );
    }
    assert_eq!(world.machines[0].held, ["pillarbox"]);
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
    // Long after the announcement the others are told, too.
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

#[test]
fn new_addresses_are_announced_and_old_ones_ended() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7", "fe80::7"]))]);
    let changed = having(&["192.168.1.8", "fe80::7"]);
    world.machines[0].links = vec![(FIRST, changed)];
    let (links, now) = (world.machines[0].links.clone(), world.now);
    world.machines[0].responder.set_links(&links, now);
    world.run(Duration::from_secs(5));
    let sent = world.answers(now);
    assert_eq!(
        (sent[0].answers.len(), sent[0].answers[0].ttl, &sent[0].answers[0].data),
        (1, 0, &RData::A(A([192, 168, 1, 7].into())))
    );
    assert_eq!(sent.len(), 3);
    assert!(sent[1..].iter().all(|message| {
        message.answers.iter().any(|record| record.data == RData::A(A([192, 168, 1, 8].into())))
    }));
    // What the interface has for the first time is asked about first: whoever has the name may be heard only there.
    world.sent.clear();
    world.machines[0].links[0].1 = having(&["fe80::7"]);
    for addresses in [having(&["fe80::7"]), having(&["fe80::7", "192.168.1.9"])] {
        let now = world.now;
        world.machines[0].responder.set_links(&[(FIRST, addresses)], now);
        world.run(Duration::from_secs(5));
    }
    assert_eq!(
        world
            .answers(world.began)
            .iter()
            .filter(|message| message.metadata.message_type == MessageType::Query)
            .count(),
        3
    );
    assert_eq!(world.machines[0].held, ["pillarbox"]);
}

#[test]
fn interfaces_come_and_go() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    let now = world.now;
    world.machines[0].responder.set_links(&[], now);
    world.run(Duration::from_secs(5));
    assert_eq!((world.name(0), world.machines[0].responder.deadline()), (Some("pillarbox"), None));
    let now = world.now;
    world.machines[0].responder.set_links(&[(SECOND, having(&["10.0.0.7"]))], now);
    world.machines[0].links = vec![(SECOND, having(&["10.0.0.7"]))];
    world.run(Duration::from_secs(5));
    assert_eq!(world.sent.len(), 5);
    // Many addresses take more packets, not larger ones.
    let many: Vec<Address> = (0..200)
        .map(|at| Address { ip: IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, at]), prefix: 64 })
        .collect();
    let now = world.now;
    world.machines[0].responder.set_links(&[(SECOND, many)], now);
    world.run(Duration::from_secs(5));
    assert_eq!(world.machines[0].held, ["pillarbox"]);
}

#[test]
fn the_end_is_said() {
    let mut world = settled(vec![(FIRST, having(&["192.168.1.7"]))]);
    world.machines[0].responder.stop();
    world.collect();
    let sent = world.answers(world.began);
    assert!(
        !sent.is_empty()
            && sent.iter().all(|message| message.answers.iter().all(|record| record.ttl == 0))
    );
    assert!(
        sent.iter()
            .flat_map(|message| &message.answers)
            .all(|record| !record.name.to_string().starts_with("_services")),
        "others may serve that"
    );
}
