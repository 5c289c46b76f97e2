//! Packets of multicast DNS: what is read of one, and how records are put into them.
//!
//! Reading is lenient where others may be wrong: a record that can't be read is passed over, the rest of its packet
//! counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, Restrict};

/// RFC 6762 §3.
pub const PORT: u16 = 5353;
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// Octets of a packet that is read, with its headers (RFC 6762 §17).
pub const LONGEST: usize = 9000;
/// Octets of a packet that is sent: it passes any IPv6 link in one piece (RFC 8200 §5, less the headers of IPv6 and
/// UDP).
pub const ROOM: usize = 1232;
/// Questions of one packet that are answered.
const QUESTIONS: usize = 20;
/// Records of one packet that are looked at; others send fewer than a hundred.
const RECORDS: usize = 400;

/// RFC 6762 §18.12 and §10.2: the highest bit of a class says "answer by unicast", or "this is all there is".
const CLASS: u16 = 0x7fff;
const IN: u16 = 1;
const ANY: u16 = 255;

/// What a packet contains.
#[derive(Debug, Default)]
pub struct Heard {
    pub id: u16,
    pub is_response: bool,
    /// More known answers follow in another packet (RFC 6762 §7.2).
    pub is_truncated: bool,
    pub questions: Vec<Question>,
    /// The answers of a response and what it adds to them; of a query the answers that its sender knows (RFC 6762
    /// §7.1).
    pub records: Vec<Known>,
    /// What a query's sender means to claim (RFC 6762 §8.2).
    pub claims: Vec<Claim>,
}

#[derive(Debug)]
pub struct Question {
    pub name: Name,
    pub kind: RecordType,
    pub wants_unicast: bool,
}

/// A record of a kind that we have, too.
#[derive(Debug)]
pub struct Known {
    pub name: Name,
    /// Seconds.
    pub ttl: u32,
    pub data: RData,
}

impl Known {
    /// The address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match &self.data {
            RData::A(v4) => Some(IpAddr::V4(v4.0)),
            RData::AAAA(v6) => Some(IpAddr::V6(v6.0)),
            _ => None,
        }
    }
}

/// A record of a claim, as claims are compared: its type, then its data (RFC 6762 §8.2).
/// The class is the same for all.
#[derive(Debug)]
pub struct Claim {
    pub name: Name,
    pub what: (u16, Vec<u8>),
}

/// An address as claims are compared.
pub fn comparable(address: IpAddr) -> (u16, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (RecordType::A.into(), v4.octets().to_vec()),
        IpAddr::V6(v6) => (RecordType::AAAA.into(), v6.octets().to_vec()),
    }
}

/// Reads a packet of at most [`LONGEST`] octets.
/// `None`: it is none, or of a kind that is passed over in silence (RFC 6762 §18.3, §18.11).
pub fn read(octets: &[u8]) -> Option<Heard> {
    if octets.len() > LONGEST {
        return None;
    }
    let mut decoder = BinDecoder::new(octets);
    let id = number(&mut decoder)?;
    let flags = number(&mut decoder)?;
    let counts = [
        number(&mut decoder)?,
        number(&mut decoder)?,
        number(&mut decoder)?,
        number(&mut decoder)?,
    ];
    let (operation, status) = (flags >> 11 & 0xf, flags & 0xf);
    if operation != 0 || status != 0 {
        return None;
    }
    let mut heard = Heard {
        id,
        is_response: flags & 0x8000 != 0,
        is_truncated: flags & 0x0200 != 0,
        ..Heard::default()
    };
    for _ in 0..counts[0] {
        let question = question(&mut decoder)?;
        if heard.questions.len() < QUESTIONS {
            heard.questions.extend(question);
        }
    }
    let mut left = RECORDS;
    for (section, count) in counts.into_iter().enumerate().skip(1) {
        for _ in 0..count {
            // What is cut off is not there; what came before it counts.
            let (true, Some(read)) = (left > 0, record(&mut decoder)) else { return Some(heard) };
            left -= 1;
            match (heard.is_response, section, read) {
                (false, 2, (_, Some(claim))) => heard.claims.push(claim),
                (true, _, (Some(known), _)) | (false, 1, (Some(known), _)) => {
                    heard.records.push(known)
                }
                _ => {}
            }
        }
    }
    Some(heard)
}

fn number(decoder: &mut BinDecoder<'_>) -> Option<u16> {
    // Any number is one.
    Some(decoder.read_u16().ok()?.unverified())
}

/// The outer `None`: the packet ends; the inner one: a class that is not ours.
fn question(decoder: &mut BinDecoder<'_>) -> Option<Option<Question>> {
    let name = Name::read(decoder).ok()?;
    let (kind, class) = (number(decoder)?, number(decoder)?);
    let is_ours = matches!(class & CLASS, IN | ANY);
    Some(is_ours.then(|| Question {
        name,
        kind: RecordType::from(kind),
        wants_unicast: class & !CLASS != 0,
    }))
}

/// `None`: the packet ends.
/// Data that can't be read is that of no record.
fn record(decoder: &mut BinDecoder<'_>) -> Option<(Option<Known>, Option<Claim>)> {
    let name = Name::read(decoder).ok()?;
    let (kind, class) = (number(decoder)?, number(decoder)?);
    let ttl = decoder.read_u32().ok()?.unverified();
    let length = number(decoder)?;
    let at = u16::try_from(decoder.index()).ok()?;
    let octets = decoder.read_slice(length.into()).ok()?.unverified();
    if class & CLASS != IN {
        return Some((None, None));
    }
    let claim = Claim { name: name.clone(), what: (kind, octets.to_vec()) };
    let kind = RecordType::from(kind);
    let is_known = matches!(
        kind,
        RecordType::A | RecordType::AAAA | RecordType::PTR | RecordType::SRV | RecordType::TXT
    ) && length > 0;
    // Names within the data may point back into the packet, so it is read where it is.
    let data = is_known
        .then(|| RData::read(&mut decoder.clone(at), kind, Restrict::new(length)).ok())
        .flatten();
    Some((data.map(|data| Known { name, ttl, data }), Some(claim)))
}

/// A question about whether a name is taken (RFC 6762 §8.1).
pub fn probe(name: &Name, wants_unicast: bool, claims: Vec<Record>) -> Vec<u8> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    let mut query = Query::query(name.clone(), RecordType::ANY);
    query.mdns_unicast_response = wants_unicast;
    message.add_query(query);
    message.add_authorities(claims);
    message.to_vec().unwrap_or_default()
}

/// An answer that is sent to all: in as many packets as it needs.
/// What it adds is left out where it has no room.
pub fn to_all(answers: &[Record], more: &[Record]) -> Vec<Vec<u8>> {
    let packet = response(0, &[], answers, more);
    if packet.len() <= ROOM || answers.len() <= 1 && more.is_empty() {
        return vec![packet];
    }
    if !more.is_empty() {
        return to_all(answers, &[]);
    }
    let (first, second) = answers.split_at(answers.len() / 2);
    [to_all(first, &[]), to_all(second, &[])].concat()
}

/// An answer to the one who asked: always one packet, with as much as has room in it.
pub fn to_one(id: u16, questions: &[Query], answers: &[Record], more: &[Record]) -> Vec<u8> {
    let (mut answers, mut more) = (answers, more);
    loop {
        let packet = response(id, questions, answers, more);
        if packet.len() <= ROOM || answers.is_empty() {
            return packet;
        }
        match more {
            [] => answers = &answers[..answers.len() / 2],
            _ => more = &[],
        }
    }
}

fn response(id: u16, questions: &[Query], answers: &[Record], more: &[Record]) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Response, OpCode::Query);
    // RFC 6762 §18.4: the answers of who has the name are authoritative.
    message.metadata.authoritative = true;
    message.add_queries(questions.iter().cloned());
    message.add_answers(answers.iter().cloned());
    message.add_additionals(more.iter().cloned());
    message.to_vec().unwrap_or_default()
}
