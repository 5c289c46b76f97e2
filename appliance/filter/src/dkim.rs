//! Signatures that came with a message (RFC 6376, RFC 8463): read while it comes in, judged when their keys are there.

pub mod body;
mod unsigned;

use std::sync::Arc;

use mail_auth::AuthenticatedMessage;
use mail_auth::common::crypto::Algorithm;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::to_a_label;
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::Signature;
use memchr::memmem;
use pillarbox_message::structure::{AT_SIGNS, Person, Walker};
use pillarbox_platform::dns::{Dns, DnsError};
use pillarbox_proto::smtp::encode_base64;
use pillarbox_vocabulary::Timestamp;
use tokio::task::JoinSet;

use body::{BodyHash, Hashed, Kind};

/// Signatures that are looked at, from the top: each costs a question to the DNS (RFC 6376 §8.4).
const SIGNATURES: usize = 8;
/// Octets of a header that is kept whole; a longer one can't be proven.
const HEADER: usize = 64 * 1024;
/// Octets of memory that a [`Reading`] may come to hold.
pub const MOST_MEMORY: usize = HEADER;
const HEADER_END: &[u8] = b"\r\n\r\n";
/// The key flag `t=s` (RFC 6376 §3.6.1): the signing identity is in the very domain.
const SAME_DOMAIN: u64 = 0x20;

/// What became of a signature (RFC 8601 §2.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Pass,
    /// Signed, and not what was signed, or not with the domain's key.
    Fail,
    /// It holds, but not in a way that proves anything: a part of the body only, a weak algorithm.
    Policy,
    /// It can't be read.
    Neutral,
    /// The key can't be had now.
    Temporary,
    /// There is no such key, or it can't be used.
    Permanent,
}

/// A signature, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The domain that signed, in its registered form; empty when it can't be read.
    pub domain: String,
    pub selector: String,
    pub outcome: Outcome,
    /// The first octets of the signature, which tell two of one domain apart (RFC 6008).
    pub mark: String,
}

/// Reads a message as it comes in, and keeps what its signatures need: the header, and the hashes of its body.
#[derive(Default)]
pub struct Reading {
    header: Vec<u8>,
    part: Part,
    hashes: Vec<BodyHash>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Header,
    Body,
    /// The header is longer than what is kept.
    TooLong,
}

impl Reading {
    /// The next piece of the message, of any size.
    pub fn push(&mut self, piece: &[u8]) {
        match self.part {
            Part::TooLong => {}
            Part::Body => self.hashes.iter_mut().for_each(|hash| hash.push(piece)),
            Part::Header => self.header(piece),
        }
    }

    fn header(&mut self, piece: &[u8]) {
        let known = self.header.len();
        let taken = piece.len().min(HEADER - known);
        // Not more than twice what is there, and never above the most.
        let wanted = (2 * (known + taken)).min(HEADER);
        if self.header.capacity() < known + taken {
            self.header.reserve_exact(wanted - known);
        }
        self.header.extend_from_slice(&piece[..taken]);
        let from = known.saturating_sub(HEADER_END.len() - 1);
        let end = match self.header.starts_with(b"\r\n") {
            true => Some(2),
            false => memmem::find(&self.header[from..], HEADER_END)
                .map(|at| from + at + HEADER_END.len()),
        };
        match end {
            Some(end) => {
                let body = piece.get(end - known..).unwrap_or_default();
                self.header.truncate(end);
                self.part = Part::Body;
                self.hashes = kinds(&self.header).into_iter().map(BodyHash::new).collect();
                self.push(body);
            }
            None if self.header.len() == HEADER => self.part = Part::TooLong,
            None => {}
        }
    }

    /// Octets of memory that it holds.
    pub fn memory(&self) -> usize {
        self.header.capacity()
    }

    /// What was read, when all of the message came.
    pub fn finish(mut self) -> Signed {
        if self.part == Part::Header {
            // There was no body.
            self.hashes = kinds(&self.header).into_iter().map(BodyHash::new).collect();
        }
        Signed {
            is_whole: self.part != Part::TooLong,
            header: self.header,
            hashes: self.hashes.into_iter().map(BodyHash::finish).collect(),
        }
    }
}

/// The different hashes that the signatures of a header need.
fn kinds(header: &[u8]) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    let Some(message) = parsed(header) else { return kinds };
    for signature in message.dkim_headers.iter().take(SIGNATURES).map(|field| &field.header) {
        let kind = kind(signature);
        if signature.a != Algorithm::RsaSha1 && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

fn kind(signature: &Signature) -> Kind {
    Kind { canonicalization: signature.cb, limit: signature.l }
}

fn parsed(header: &[u8]) -> Option<AuthenticatedMessage<'_>> {
    // Signatures of a part of the body are read, too, to be told of.
    AuthenticatedMessage::parse_with_opts(header, None, false)
}

/// A key's text, or why there is none.
pub type Key = Result<Vec<String>, DnsError>;

/// Those who are named as authors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authors {
    /// In lower case: those that the proof reads, and those that people see.
    pub addresses: Vec<String>,
    /// Addresses of other domains that stand where people look for an author's name.
    pub posing: Vec<String>,
}

/// A domain in the form in which it is registered.
pub fn registered(domain: &str) -> String {
    to_a_label(domain).to_ascii_lowercase()
}

/// What is kept of a message for the proof of its signatures.
pub struct Signed {
    header: Vec<u8>,
    is_whole: bool,
    hashes: Vec<Hashed>,
}

impl Signed {
    /// Whether the header is there as a whole.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Who is named as an author (RFC 5322 §3.6.2).
    pub fn authors(&self) -> Authors {
        let mut addresses = parsed(&self.header).map(|message| message.from).unwrap_or_default();
        let people = self.people();
        let shown = people.iter().map(|from| from.address.to_lowercase());
        for address in shown.filter(|address| !address.is_empty()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let posing = people.iter().filter_map(|from| posing(&from.name, &from.address));
        Authors { addresses, posing: posing.collect() }
    }

    /// The authors as people see them.
    fn people(&self) -> Vec<Person> {
        let mut walker = Walker::new();
        walker.push(&self.header);
        walker.finish().from
    }

    /// The names in the DNS whose texts are the keys, signature by signature.
    pub fn keys(&self) -> Vec<String> {
        let Some(message) = parsed(&self.header).filter(|_| self.is_whole) else {
            return Vec::new();
        };
        let name = |signature: &Signature| format!("{}._domainkey.{}", signature.s, signature.d);
        message.dkim_headers.iter().take(SIGNATURES).map(|field| name(&field.header)).collect()
    }

    /// Judges each signature; `keys`: the answers to [`Signed::keys`], in the same order.
    pub fn judge(&self, keys: &[Key], now: Timestamp) -> Vec<Judged> {
        let Some(message) = parsed(&self.header).filter(|_| self.is_whole) else {
            return Vec::new();
        };
        let unread = message.errors.iter().take(SIGNATURES).map(|_| Judged {
            domain: String::new(),
            selector: String::new(),
            outcome: Outcome::Neutral,
            mark: String::new(),
        });
        let read = message.dkim_headers.iter().zip(keys).map(|(field, key)| {
            let signature = &field.header;
            Judged {
                domain: registered(&signature.d),
                selector: signature.s.clone(),
                outcome: self.outcome(&message, (field.name, field.value), signature, key, now),
                mark: mark(&signature.b),
            }
        });
        read.chain(unread).collect()
    }

    fn outcome(
        &self,
        message: &AuthenticatedMessage<'_>,
        (name, value): (&[u8], &[u8]),
        signature: &Signature,
        key: &Key,
        now: Timestamp,
    ) -> Outcome {
        // RFC 8301 §3.1: nobody may count such a signature.
        if signature.a == Algorithm::RsaSha1 {
            return Outcome::Policy;
        }
        // RFC 6376 §5.4: the author is always signed.
        if signature.v != 1 || !signature.h.iter().any(|name| name.eq_ignore_ascii_case("from")) {
            return Outcome::Permanent;
        }
        if signature.x != 0 && (signature.x < signature.t || signature.x < now.0) {
            return Outcome::Fail;
        }
        let Some(hashed) = self.hashes.iter().find(|hashed| hashed.kind == kind(signature)) else {
            return Outcome::Neutral;
        };
        if hashed.digest != signature.bh || signature.l > hashed.octets {
            return Outcome::Fail;
        }
        let record = match key {
            Ok(texts) => {
                match texts.iter().map(|text| DomainKey::parse(text.as_bytes())).find(Result::is_ok)
                {
                    Some(Ok(record)) => record,
                    _ => return Outcome::Permanent,
                }
            }
            Err(DnsError::Temporary(_)) => return Outcome::Temporary,
            Err(DnsError::NoSuchName | DnsError::NoData) => return Outcome::Permanent,
        };
        if !is_identity_within(&signature.i, &signature.d, record.f & SAME_DOMAIN != 0) {
            return Outcome::Permanent;
        }
        let value = unsigned::without_signature(value);
        let mut fields = message.signed_headers(&signature.h, name, &value);
        let verified = record.p.verify(&mut fields, &signature.b, signature.ch, signature.a);
        match verified {
            Err(_) => Outcome::Fail,
            // What is behind the signed part is anybody's (RFC 6376 §8.2).
            Ok(()) if signature.l != 0 && signature.l < hashed.octets => Outcome::Policy,
            Ok(()) => Outcome::Pass,
        }
    }
}

/// An address within a name that is of another domain than the real one.
fn posing(name: &str, address: &str) -> Option<String> {
    let (_, domain) = address.rsplit_once('@')?;
    let is_edge = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '@'));
    // Signs that look like one count as one.
    let name = name.replace(AT_SIGNS, "@");
    let mut words = name.split(is_edge).map(|word| word.trim_matches('.').to_lowercase());
    words.find(|word| {
        let (local, of) = word.rsplit_once('@').unwrap_or_default();
        !local.is_empty() && of.contains('.') && !of.eq_ignore_ascii_case(domain)
    })
}

/// Whether the signing identity is of the domain, or below it where the key allows that (RFC 6376 §3.5).
fn is_identity_within(identity: &str, domain: &str, is_same_domain: bool) -> bool {
    let Some((_, of)) = identity.rsplit_once('@') else { return identity.is_empty() };
    let (of, domain) = (of.to_ascii_lowercase(), domain.to_ascii_lowercase());
    of == domain || !is_same_domain && of.ends_with(&format!(".{domain}"))
}

/// The first letters of a signature (RFC 6008 §4).
fn mark(signature: &[u8]) -> String {
    let text = encode_base64(&signature[..signature.len().min(6)]);
    text.chars().take(8).collect()
}

/// What stands for keys that were asked for in vain.
pub fn unanswered(count: usize) -> Vec<Key> {
    (0..count).map(|_| Err(DnsError::Temporary("no answer in time".into()))).collect()
}

/// Asks for keys, all at once; each is asked for within the resolver's time.
pub async fn ask(dns: &Arc<Dns>, names: Vec<String>) -> Vec<Key> {
    let mut asking = JoinSet::new();
    let count = names.len();
    for (place, name) in names.into_iter().enumerate() {
        let dns = dns.clone();
        asking.spawn(async move { (place, dns.txt(&name).await.map(|answer| answer.records)) });
    }
    let mut keys = unanswered(count);
    while let Some(answer) = asking.join_next().await {
        if let Ok((place, key)) = answer {
            keys[place] = key;
        }
    }
    keys
}
