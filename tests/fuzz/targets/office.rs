//! Packets of multicast DNS in any order, among them our own that come back: the responder must not panic, must answer
//! each with one packet at most to its sender, must not flood the link, and must give up no name for what it said
//! itself.
#![no_main]

mod responder;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use responder::{Address, Packet, Responder, Standing, Target, Way};

const LINK: u32 = 1;
/// Octets of a packet that is sent.
const MOST: usize = 1232;

fuzz_target!(|data: &[u8]| {
    let mut now = Instant::now();
    let mut responder = Responder::new("pillarbox", None, 7);
    let own = [[192, 168, 1, 7].into(), IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 7])];
    responder.set_links(&[(LINK, own.map(|ip| Address { ip, prefix: 24 }).to_vec())], now);
    let (mut said, mut has_stranger, mut rest) = (Vec::<Vec<u8>>::new(), false, data);
    let began = now;
    while let [how, length, octets @ ..] = rest {
        let (octets, left) = octets.split_at(usize::from(*length).min(octets.len()));
        rest = left;
        // Up to three seconds between two packets.
        now += Duration::from_millis(u64::from(how >> 4) * 200);
        let packet = match (how & 1, said.len()) {
            (1, count @ 1..) => said[usize::from(*length) % count].clone(),
            _ => {
                has_stranger = true;
                octets.to_vec()
            }
        };
        let from =
            SocketAddr::new([192, 168, 1, 66].into(), if how & 2 == 0 { 5353 } else { 40_000 });
        responder.advance(now);
        said.extend(drain(&mut responder).into_iter().map(|packet| packet.octets));
        responder.receive(
            LINK,
            from,
            if how & 4 == 0 { Way::Group } else { Way::Direct },
            &packet,
            now,
        );
        let sent = drain(&mut responder);
        assert!(sent.iter().filter(|packet| packet.to != Target::Group).count() <= 1);
        said.extend(sent.into_iter().map(|packet| packet.octets));
        said.truncate(64);
        // Whatever comes, a later look finds it waiting for nothing that is past.
        assert!(responder.deadline().is_none_or(|deadline| deadline > now));
    }
    let sent = said.len() as u64;
    assert!(sent >= 64 || sent <= 8 * (2 + (now - began).as_secs() * 4 + data.len() as u64));
    if !has_stranger {
        assert!(!matches!(responder.standing(), Standing::None | Standing::Held("pillarbox-2")));
    }
});

fn drain(responder: &mut Responder) -> Vec<Packet> {
    let packets: Vec<Packet> = std::iter::from_fn(|| responder.poll()).collect();
    assert!(packets.iter().all(|packet| packet.octets.len() <= MOST));
    packets
}
