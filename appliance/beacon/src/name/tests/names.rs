//! Finding a name, holding it and losing it.

use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::rr::rdata::PTR;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;

use super::super::*;
use super::world::*;

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
