//! One question in one datagram, and whatever of the answer arrived: the last thing tried where everything better fails.
//!
//! Home routers cut answers at 512 octets, with the flag that says so or without, and have no TCP to ask again over. A cut
//! list of mail exchangers or addresses is still a list of them, and mail that goes to one of them is delivered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Header, Message, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinDecoder};
use tokio::net::UdpSocket;

/// Octets of an answer that are read: more than any server sends to a question without EDNS.
const ANSWER_OCTETS: usize = 4096;
/// Datagrams that may come and be no answer before the server is given up.
const STRAYS: usize = 16;

/// Asks name servers one after the other.
pub struct Bare {
    servers: Vec<SocketAddr>,
    /// For each server.
    patience: Duration,
}

impl Bare {
    pub fn new(servers: Vec<SocketAddr>, patience: Duration) -> Bare {
        Bare { servers, patience }
    }

    /// What came of the records of one kind, at least one; `None` when nothing did. Only for kinds of which some are as
    /// good as all.
    pub async fn some(&self, name: &Name, kind: RecordType) -> Option<Vec<Record>> {
        if !matches!(kind, RecordType::MX | RecordType::A | RecordType::AAAA | RecordType::PTR | RecordType::SRV) {
            return None;
        }
        for server in &self.servers {
            if let Ok(Some(records)) = tokio::time::timeout(self.patience, ask(*server, name, kind)).await {
                return Some(records);
            }
        }
        None
    }
}

async fn ask(server: SocketAddr, name: &Name, kind: RecordType) -> Option<Vec<Record>> {
    let any = if server.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(server).await.ok()?;
    // A number that nobody guesses, from a port that nobody guesses (RFC 5452 §4).
    let id = getrandom::u32().ok()? as u16;
    let query = Query::query(name.clone(), kind);
    let mut question = Message::query();
    (question.metadata.id, question.metadata.recursion_desired) = (id, true);
    question.add_query(query.clone());
    socket.send(&question.to_vec().ok()?).await.ok()?;
    let mut answer = vec![0; ANSWER_OCTETS];
    for _ in 0..STRAYS {
        let count = socket.recv(&mut answer).await.ok()?;
        if let Some(records) = read(&answer[..count], id, &query) {
            return (!records.is_empty()).then_some(records);
        }
    }
    None
}

/// The whole records of an answer to this question, as far as they go; `None` when it is no such answer.
fn read(octets: &[u8], id: u16, query: &Query) -> Option<Vec<Record>> {
    let mut decoder = BinDecoder::new(octets);
    let header = Header::read(&mut decoder).ok()?;
    let is_answer = header.metadata.id == id && header.metadata.message_type == MessageType::Response && header.counts.queries == 1;
    let asked = Query::read(&mut decoder).ok().filter(|_| is_answer)?;
    if asked.name() != query.name() || asked.query_type() != query.query_type() {
        return None;
    }
    if header.metadata.response_code != ResponseCode::NoError {
        return Some(Vec::new());
    }
    let mut records = Vec::new();
    for _ in 0..header.counts.answers {
        // The end of what was not cut off.
        let Ok(record) = Record::read(&mut decoder) else { break };
        records.push(record);
    }
    let has_kind = records.iter().any(|record| record.record_type() == query.query_type());
    Some(if has_kind { records } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::rr::RData;
    use hickory_resolver::proto::rr::rdata::MX;

    #[test]
    fn of_a_cut_answer_the_whole_records_count() {
        let name = Name::from_ascii("a.test.").unwrap();
        let query = Query::query(name.clone(), RecordType::MX);
        let mut message = Message::response(7, hickory_resolver::proto::op::OpCode::Query);
        message.add_query(query.clone());
        for n in 0..20 {
            let host = Name::from_ascii(format!("mx{n}.somewhere-else.test.")).unwrap();
            message.add_answer(Record::from_rdata(name.clone(), 60, RData::MX(MX::new(n, host))));
        }
        let whole = message.to_vec().unwrap();
        assert_eq!(read(&whole, 7, &query).unwrap().len(), 20);
        assert_eq!((read(&whole, 8, &query), read(&whole, 7, &Query::query(name.clone(), RecordType::A))), (None, None));
        let mut before = 20;
        for end in (0..whole.len()).rev() {
            let count = read(&whole[..end], 7, &query).map_or(0, |records| records.len());
            assert!(count <= before, "{end}");
            before = count;
        }
        let cut = read(&whole[..512.min(whole.len() - 1)], 7, &query).unwrap();
        assert!((5..20).contains(&cut.len()), "{}", cut.len());
    }

    proptest::proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let query = Query::query(Name::from_ascii("a.test.").unwrap(), RecordType::MX);
            let mut wire = vec![0, 7, 0x80, 0, 0, 1, 0, 9, 0, 0, 0, 0, 1, b'a', 4, b't', b'e', b's', b't', 0, 0, 15, 0, 1];
            wire.extend_from_slice(&octets);
            for octets in [&wire[..], &octets[..]] {
                let _ = read(octets, 7, &query);
            }
        }
    }
}
