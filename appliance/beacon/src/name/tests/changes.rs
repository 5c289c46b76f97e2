//! Addresses and interfaces that come and go, and the end.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::MessageType;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::A;

use super::super::*;
use super::world::*;

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
