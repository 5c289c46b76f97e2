//! A name server with a handful of records, signed if a test wants it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use hickory_proto::dnssec::crypto::EcdsaSigningKey;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, RRSIG};
use hickory_proto::dnssec::{Algorithm, DnssecSigner, SigningKey};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, MX, SOA, TLSA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordSet, RecordType};
use rustls_pki_types::PrivatePkcs8KeyDer;

/// The zone everything lives in.
pub const APEX: &str = "test.";

type Records = HashMap<(Name, RecordType), RecordSet>;

/// A running name server; its records can change while it runs.
pub struct Zone {
    pub address: SocketAddr,
    records: Arc<Mutex<Records>>,
    /// Names that get no answer.
    silent: Arc<Mutex<Vec<Name>>>,
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
        let key = EcdsaSigningKey::from_pkcs8(&PrivatePkcs8KeyDer::from(pkcs8.secret_pkcs8_der().to_vec()), Algorithm::ECDSAP256SHA256).unwrap();
        let public = key.to_public_key().unwrap();
        let dnskey = DNSKEY::from_key(&public);
        let anchor = format!("{APEX} 3600 IN DNSKEY {dnskey}\n");
        let signer = DnssecSigner::new(dnskey.clone(), Box::new(key), name(APEX), std::time::Duration::from_secs(86_400));
        let zone = Zone::start(Some(signer), anchor);
        zone.add(APEX, RData::DNSSEC(DNSSECRData::DNSKEY(dnskey)));
        zone
    }

    fn start(signer: Option<DnssecSigner>, anchor: String) -> Zone {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, records) = (socket.local_addr().unwrap(), Arc::new(Mutex::new(Records::new())));
        let silent: Arc<Mutex<Vec<Name>>> = Arc::default();
        let (served, unanswered) = (records.clone(), silent.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((count, from)) = socket.recv_from(&mut buffer) {
                let asked = Message::from_vec(&buffer[..count]).ok().and_then(|m| Some(name(&m.queries.first()?.name().to_ascii().to_ascii_lowercase())));
                if asked.is_some_and(|asked| unanswered.lock().unwrap().contains(&asked)) {
                    continue;
                }
                if let Some(answer) = answer(&served, &buffer[..count]) {
                    // A resolver that is gone needs no answer.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        let zone = Zone { address, records, silent, signer, anchor };
        zone.add(APEX, RData::SOA(SOA::new(name("ns.test."), name("admin.test."), 1, 60, 60, 60, 60)));
        zone
    }

    /// Adds a record, and signs its set anew.
    pub fn add(&self, owner: &str, data: RData) {
        let owner = name(owner);
        let mut records = self.records.lock().unwrap();
        let key = (owner.clone(), data.record_type());
        let set = records.entry(key).or_insert_with(|| RecordSet::with_ttl(owner.clone(), data.record_type(), 60));
        let mut all: Vec<Record> = set.records_without_rrsigs().cloned().collect();
        all.push(Record::from_rdata(owner.clone(), 60, data));
        set.set_records(all);
        if let Some(signer) = &self.signer {
            let since = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
            let signature = RRSIG::from_rrset(set, DNSClass::IN, since, signer).unwrap();
            set.clear_rrsigs();
            set.insert_rrsig(Record::from_rdata(owner, 60, RData::DNSSEC(DNSSECRData::RRSIG(signature))));
        }
    }

    /// Answers nothing about a name from now on.
    pub fn silence(&self, owner: &str) {
        self.silent.lock().unwrap().push(name(owner));
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

    pub fn txt(&self, owner: &str, text: &str) {
        self.add(owner, RData::TXT(TXT::new(vec![text.to_string()])));
    }

    /// DANE-EE, public key, SHA-256 (3 1 1).
    pub fn tlsa(&self, host: &str, port: u16, digest: Vec<u8>) {
        self.add(&format!("_{port}._tcp.{host}"), RData::TLSA(TLSA::new(3.into(), 1.into(), 1.into(), digest)));
    }
}

fn answer(records: &Mutex<Records>, octets: &[u8]) -> Option<Vec<u8>> {
    let question = Message::from_vec(octets).ok()?;
    let query = question.queries.first()?.clone();
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    let records = records.lock().unwrap();
    let asked = name(&query.name().to_ascii().to_ascii_lowercase());
    if let Some(set) = records.get(&(asked.clone(), query.query_type())) {
        reply.add_answers(set.records_with_rrsigs().map(|record| {
            // The resolver may ask in mixed case and expects the same back.
            let mut record = record.clone();
            record.name = query.name().clone();
            record
        }));
    } else {
        let exists = records.keys().any(|(owner, _)| *owner == asked || asked.zone_of(owner));
        reply.metadata.response_code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
        if let Some(soa) = records.get(&(name(APEX), RecordType::SOA)) {
            reply.add_authorities(set_of(soa));
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
