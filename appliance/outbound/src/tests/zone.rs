//! A name server with a handful of records, signed if a test wants it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use hickory_proto::dnssec::crypto::EcdsaSigningKey;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_proto::dnssec::{Algorithm, DnssecSigner, SigningKey};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, MX, SOA, TLSA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordSet, RecordType};
use rustls_pki_types::PrivatePkcs8KeyDer;

/// The zone everything lives in.
pub const APEX: &str = "test.";

/// What a server does to a question with EDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edns {
    Known,
    FormErr,
    NotImp,
    /// A header and nothing else.
    Bare,
    Silence,
}

/// Which questions it has answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    All,
    /// To others it says that there is no such name.
    Addresses,
}

/// What it does to an answer longer than 512 octets.
/// There is no TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Long {
    Sent,
    /// Cut within a record, with the flag that says so, or without.
    Cut {
        is_told: bool,
    },
}

/// How a server answers questions about a zone's top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Top {
    Code(ResponseCode),
    Silence,
}

/// How the server behaves.
struct Manners {
    /// Names that get no answer.
    silent: Vec<Name>,
    edns: Edns,
    kinds: Kinds,
    long: Long,
    /// Unsigned zones below, and how they answer to NS, SOA and the like.
    unsigned: Vec<(Name, Top)>,
    /// Names that were asked for, lower case.
    asked: Vec<String>,
}

type Records = HashMap<(Name, RecordType), RecordSet>;

/// A running name server; its records can change while it runs.
pub struct Zone {
    pub address: SocketAddr,
    records: Arc<Mutex<Records>>,
    manners: Arc<Mutex<Manners>>,
    signer: Option<DnssecSigner>,
    /// The anchor file's text, of a signed zone.
    pub anchor: String,
}

pub fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

impl Zone {
    pub fn plain() -> Zone {
        Zone::start(None, String::new())
    }

    pub fn signed() -> Zone {
        let pkcs8 = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256).unwrap();
        let key = EcdsaSigningKey::from_pkcs8(
            &PrivatePkcs8KeyDer::from(pkcs8.secret_pkcs8_der().to_vec()),
            Algorithm::ECDSAP256SHA256,
        )
        .unwrap();
        let public = key.to_public_key().unwrap();
        let dnskey = DNSKEY::from_key(&public);
        let anchor = format!("{APEX} 3600 IN DNSKEY {dnskey}\n");
        let signer = DnssecSigner::new(
            dnskey.clone(),
            Box::new(key),
            name(APEX),
            std::time::Duration::from_secs(86_400),
        );
        let zone = Zone::start(Some(signer), anchor);
        zone.add(APEX, RData::DNSSEC(DNSSECRData::DNSKEY(dnskey)));
        zone
    }

    fn start(signer: Option<DnssecSigner>, anchor: String) -> Zone {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, records) =
            (socket.local_addr().unwrap(), Arc::new(Mutex::new(Records::new())));
        let manners = Manners {
            silent: Vec::new(),
            edns: Edns::Known,
            kinds: Kinds::All,
            long: Long::Sent,
            unsigned: Vec::new(),
            asked: Vec::new(),
        };
        let manners = Arc::new(Mutex::new(manners));
        let (served, minded) = (records.clone(), manners.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((count, from)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = minded.lock().unwrap().answer(&served, &buffer[..count]) {
                    // A resolver that is gone needs no answer.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        let zone = Zone { address, records, manners, signer, anchor };
        zone.add(
            APEX,
            RData::SOA(SOA::new(name("ns.test."), name("admin.test."), 1, 60, 60, 60, 60)),
        );
        zone
    }

    /// Adds a record, and signs its set anew.
    pub fn add(&self, owner: &str, data: RData) {
        let owner = name(owner);
        let mut records = self.records.lock().unwrap();
        let key = (owner.clone(), data.record_type());
        let set = records
            .entry(key)
            .or_insert_with(|| RecordSet::with_ttl(owner.clone(), data.record_type(), 60));
        let mut all: Vec<Record> = set.records_without_rrsigs().cloned().collect();
        all.push(Record::from_rdata(owner.clone(), 60, data));
        set.set_records(all);
        let is_below =
            self.manners.lock().unwrap().unsigned.iter().any(|(zone, _)| zone.zone_of(&owner));
        let is_parents = set.record_type() == RecordType::NSEC;
        if let Some(signer) = self.signer.as_ref().filter(|_| is_parents || !is_below) {
            let since = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
            let signature = RRSIG::from_rrset(set, DNSClass::IN, since, signer).unwrap();
            set.clear_rrsigs();
            set.insert_rrsig(Record::from_rdata(
                owner,
                60,
                RData::DNSSEC(DNSSECRData::RRSIG(signature)),
            ));
        }
    }

    /// Says with proof that a name has these kinds of records and no others.
    pub fn only(&self, owner: &str, kinds: &[RecordType]) {
        let kinds = kinds.iter().copied().chain([RecordType::RRSIG, RecordType::NSEC]);
        self.add(
            owner,
            RData::DNSSEC(DNSSECRData::NSEC(NSEC::new(name(&format!("0.{owner}")), kinds))),
        );
    }

    /// Answers nothing about a name from now on.
    pub fn silence(&self, owner: &str) {
        self.manners.lock().unwrap().silent.push(name(owner));
    }

    pub fn edns(&self, edns: Edns) {
        self.manners.lock().unwrap().edns = edns;
    }

    pub fn kinds(&self, kinds: Kinds) {
        self.manners.lock().unwrap().kinds = kinds;
    }

    pub fn long(&self, long: Long) {
        self.manners.lock().unwrap().long = long;
    }

    /// Names that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.manners.lock().unwrap().asked.clone()
    }

    /// Delegates a domain without keys, as the signed zone says; its servers answer so to questions about its top.
    pub fn delegate_unsigned(&self, domain: &str, top: Top) {
        self.manners.lock().unwrap().unsigned.push((name(domain), top));
        self.only(domain, &[RecordType::NS]);
    }

    /// Takes a set's signatures away.
    pub fn strip(&self, owner: &str, kind: RecordType) {
        if let Some(set) = self.records.lock().unwrap().get_mut(&(name(owner), kind)) {
            set.clear_rrsigs();
        }
    }

    pub fn remove(&self, owner: &str, kind: RecordType) {
        self.records.lock().unwrap().remove(&(name(owner), kind));
    }

    pub fn mx(&self, domain: &str, preference: u16, host: &str) {
        self.add(domain, RData::MX(MX::new(preference, name(host))));
    }

    pub fn address(&self, host: &str, address: IpAddr) {
        match address {
            IpAddr::V4(v4) => self.add(host, RData::A(A(v4))),
            IpAddr::V6(v6) => self.add(host, RData::AAAA(AAAA(v6))),
        }
    }

    /// The name of an address, by its reverse name.
    pub fn pointer(&self, reverse: &str, host: &str) {
        self.add(reverse, RData::PTR(hickory_proto::rr::rdata::PTR(name(host))));
    }

    /// A text of any length; what is longer than 255 octets comes in several strings (RFC 6376 §3.6.2.2).
    pub fn txt(&self, owner: &str, text: &str) {
        let parts = text.as_bytes().chunks(255).map(|part| String::from_utf8_lossy(part).into());
        let parts = if text.is_empty() { vec![String::new()] } else { parts.collect() };
        self.add(owner, RData::TXT(TXT::new(parts)));
    }

    /// DANE-EE, public key, SHA-256 (3 1 1).
    pub fn tlsa(&self, host: &str, port: u16, digest: Vec<u8>) {
        self.add(
            &format!("_{port}._tcp.{host}"),
            RData::TLSA(TLSA::new(3.into(), 1.into(), 1.into(), digest)),
        );
    }
}

impl Manners {
    fn answer(&mut self, records: &Mutex<Records>, octets: &[u8]) -> Option<Vec<u8>> {
        let question = Message::from_vec(octets).ok()?;
        let query = question.queries.first()?.clone();
        let asked = query.name().to_lowercase();
        self.asked.push(asked.to_ascii());
        if self.silent.contains(&asked) {
            return None;
        }
        let refusal = |code: u8, is_bare: bool| {
            let counts = if is_bare { [0, 0] } else { [0, 1] };
            let mut reply = [&octets[..2], &[0x81, 0x80 | code], &counts[..], &[0; 6]].concat();
            if !is_bare {
                // The question, and nothing of what came behind it.
                let end = 12 + query.name().to_ascii().len() + 1 + 4;
                reply.extend_from_slice(&octets[12..end]);
            }
            Some(reply)
        };
        match self.edns {
            _ if question.edns.is_none() => {}
            Edns::Known => {}
            Edns::FormErr => return refusal(1, false),
            Edns::NotImp => return refusal(4, false),
            Edns::Bare => return refusal(1, true),
            Edns::Silence => return None,
        }
        if self.kinds == Kinds::Addresses
            && !matches!(query.query_type(), RecordType::A | RecordType::AAAA)
        {
            return refusal(3, false);
        }
        let is_data = matches!(
            query.query_type(),
            RecordType::MX
                | RecordType::A
                | RecordType::AAAA
                | RecordType::TXT
                | RecordType::TLSA
                | RecordType::DS
        );
        match self.unsigned.iter().find(|(zone, _)| *zone == asked).filter(|_| !is_data) {
            Some((_, Top::Silence)) => return None,
            Some((_, Top::Code(code))) => return refusal(u16::from(*code) as u8, false),
            None => {}
        }
        let unsigned = self.unsigned.iter().any(|(zone, _)| zone.zone_of(&asked));
        let mut reply = answer(records, octets, unsigned)?;
        if let Long::Cut { is_told } = self.long
            && reply.len() > 512
        {
            reply.truncate(512);
            reply[2] |= if is_told { 2 } else { 0 };
        }
        Some(reply)
    }
}

/// The answer of a server that knows what it does.
/// `is_unsigned`: of a zone below that has no keys.
fn answer(records: &Mutex<Records>, octets: &[u8], is_unsigned: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(octets).ok()?;
    let query = question.queries.first()?.clone();
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    let records = records.lock().unwrap();
    let asked = query.name().to_lowercase();
    if let Some(set) = records.get(&(asked.clone(), query.query_type())) {
        reply.add_answers(set.records_with_rrsigs().map(|record| {
            // The resolver may ask in mixed case and expects the same back.
            let mut record = record.clone();
            record.name = query.name().clone();
            record
        }));
    } else {
        let exists = records.keys().any(|(owner, _)| *owner == asked || asked.zone_of(owner));
        reply.metadata.response_code =
            if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
        let is_parents = query.query_type() == RecordType::DS;
        if let Some(soa) =
            records.get(&(name(APEX), RecordType::SOA)).filter(|_| is_parents || !is_unsigned)
        {
            reply.add_authorities(set_of(soa));
        }
        if let Some(nsec) =
            records.get(&(asked, RecordType::NSEC)).filter(|_| is_parents || !is_unsigned)
        {
            reply.add_authorities(set_of(nsec));
        }
    }
    reply.add_query(query);
    if let Some(edns) = &question.edns {
        reply.set_edns(edns.clone());
    }
    reply.to_vec().ok()
}

fn set_of(set: &RecordSet) -> Vec<Record> {
    set.records_with_rrsigs().cloned().collect()
}
