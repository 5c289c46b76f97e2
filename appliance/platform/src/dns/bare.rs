//! One question in one datagram, and whatever of the answer arrived: the last thing tried where everything better
//! fails.
//!
//! Home routers cut answers at 512 octets, with the flag that says so or without, and have no TCP to ask again over.
//! A cut list of mail exchangers or addresses is still a list of them, and mail that goes to one of them is delivered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, Query};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use tokio::net::UdpSocket;

use super::datagram;

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

    /// What came of the records of one kind, at least one; `None` when nothing did.
    /// Only for kinds of which some are as good as all.
    pub async fn some(&self, name: &Name, kind: RecordType) -> Option<Vec<Record>> {
        if !matches!(
            kind,
            RecordType::MX | RecordType::A | RecordType::AAAA | RecordType::PTR | RecordType::SRV
        ) {
            return None;
        }
        for server in &self.servers {
            if let Ok(Some(records)) =
                tokio::time::timeout(self.patience, ask(*server, name, kind)).await
            {
                return Some(records);
            }
        }
        None
    }
}

async fn ask(server: SocketAddr, name: &Name, kind: RecordType) -> Option<Vec<Record>> {
    let any = if server.is_ipv4() {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::from(Ipv6Addr::UNSPECIFIED)
    };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(server).await.ok()?;
    // A number and a port that can't be guessed (RFC 5452 §4).
    let id = getrandom::u32().ok()? as u16;
    let query = Query::query(name.clone(), kind);
    let mut question = Message::query();
    (question.metadata.id, question.metadata.recursion_desired) = (id, true);
    question.add_query(query.clone());
    socket.send(&question.to_vec().ok()?).await.ok()?;
    let mut answer = vec![0; ANSWER_OCTETS];
    for _ in 0..STRAYS {
        let count = socket.recv(&mut answer).await.ok()?;
        if let Some(records) = datagram::read(&answer[..count], id, &query) {
            return (!records.is_empty()).then_some(records);
        }
    }
    None
}
