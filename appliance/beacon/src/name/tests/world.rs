//! A link that exists only here: packets take a moment, repeaters say them again, time is a number.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::super::packet::ROOM;
use super::super::*;

pub const FIRST: LinkId = 1;
pub const SECOND: LinkId = 2;

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// An interface with addresses of /24 or /64.
pub fn having(texts: &[&str]) -> Vec<Address> {
    texts
        .iter()
        .map(|text| ip(text))
        .map(|ip| Address { ip, prefix: if ip.is_ipv4() { 24 } else { 64 } })
        .collect()
}

/// A machine on the link: it is reached there by one interface or more.
pub struct Machine {
    pub responder: Responder,
    pub links: Vec<(LinkId, Vec<Address>)>,
    pub begins: Instant,
    pub has_begun: bool,
    /// Names that it held, in turn.
    pub held: Vec<String>,
}

/// A repeater: says again what it hears of machines, from its own address.
#[derive(Clone, Copy, Debug)]
pub struct Repeater {
    pub delay: Duration,
    pub from: IpAddr,
}

/// A packet on its way to all.
/// By the link itself nothing comes back to the interface that sent it.
pub struct Flight {
    pub arrives: Instant,
    pub from: SocketAddr,
    pub by: Option<(usize, LinkId)>,
    pub octets: Vec<u8>,
}

/// One link that all interfaces of all machines are on.
pub struct World {
    pub began: Instant,
    pub now: Instant,
    pub machines: Vec<Machine>,
    pub repeaters: Vec<Repeater>,
    pub flying: Vec<Flight>,
    /// Everything machines sent: when, which of them, where to.
    pub sent: Vec<(Instant, usize, Packet)>,
}

impl World {
    pub fn new() -> World {
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

    pub fn machine(
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

    pub fn simple(&mut self, seed: u64, address: &str) -> usize {
        self.machine(seed, None, Duration::ZERO, vec![(FIRST, having(&[address]))])
    }

    pub fn say(&mut self, from: &str, port: u16, octets: Vec<u8>) {
        self.flying.push(Flight {
            arrives: self.now,
            from: SocketAddr::new(ip(from), port),
            by: None,
            octets,
        });
    }

    pub fn name(&self, at: usize) -> Option<&str> {
        match self.machines[at].responder.standing() {
            Standing::Held(name) => Some(name),
            _ => None,
        }
    }

    /// What machines sent, and what becomes of it.
    pub fn collect(&mut self) {
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
    pub fn run(&mut self, span: Duration) {
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

    pub fn answers(&self, since: Instant) -> Vec<Message> {
        self.sent
            .iter()
            .filter(|(when, ..)| *when >= since)
            .map(|(_, _, packet)| Message::from_vec(&packet.octets).unwrap())
            .collect()
    }
}

pub fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

pub fn claimed(name: &str, address: &str) -> Vec<u8> {
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    let IpAddr::V4(v4) = ip(address) else { panic!("IPv4 only") };
    message.add_answer(Record::from_rdata(Name::from_ascii(name).unwrap(), 120, RData::A(A(v4))));
    message.to_vec().unwrap()
}

/// A machine alone that has its name.
pub fn settled(links: Vec<(LinkId, Vec<Address>)>) -> World {
    let mut world = World::new();
    world.machine(1, None, Duration::ZERO, links);
    world.run(Duration::from_secs(10));
    assert_eq!(world.name(0), Some("pillarbox"));
    world.sent.clear();
    world
}
