//! Names and addresses: questions with a deadline, a cache, and the knowledge whether an answer was proven (DNSSEC).
//!
//! [`plain`] asks whatever name servers there are, [`signed`] knows where proof can be expected, [`servers`] sets
//! resolvers up.

mod bare;
pub mod datagram;
mod plain;
mod reverse;
mod servers;
mod signed;
mod values;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::domain::Label;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use pillarbox_vocabulary::Domain;

use crate::config::{Config, seconds};
use crate::error::Error;

use plain::Plain;
pub use reverse::{backwards, reverse_name};
use servers::{Edns, NameServers, Proof};
use signed::{Signing, signing};
pub use values::{Answer, DnsError, Tlsa};

/// What is known of DNSSEC on this line.
const UNKNOWN: u8 = 0;
const WORKS: u8 = 1;
const BROKEN: u8 = 2;

/// The resolver.
pub struct Dns {
    plain: Plain,
    proving: Option<TokioResolver>,
    /// The zones whose keys are known.
    anchors: Vec<Name>,
    /// Whether the name servers pass signatures on; asked once when first needed.
    dnssec: AtomicU8,
    has_anchor: bool,
    deadline: Duration,
}

impl Dns {
    /// A resolver as the settings have it.
    /// Needs a tokio runtime.
    pub fn new(config: &Config) -> Result<Dns, Error> {
        let has_anchor = !config.dns.trust_anchor.as_os_str().is_empty();
        let (servers, deadline) = (NameServers::of(config), seconds(config.dns.deadline));
        let unproven = |edns| servers.resolver(config, edns, Proof::Unasked);
        let bare = bare::Bare::new(servers.addresses(), deadline / 3);
        Ok(Dns {
            plain: Plain::new(unproven(Edns::Used)?, unproven(Edns::Unused)?, bare, deadline),
            proving: if config.dns.dnssec {
                Some(servers.resolver(config, Edns::Used, Proof::Checked)?)
            } else {
                None
            },
            anchors: servers::anchors(config)?,
            dnssec: AtomicU8::new(UNKNOWN),
            has_anchor,
            deadline,
        })
    }

    /// Mail exchangers of a domain by preference (RFC 5321 §5.1).
    pub async fn mx(&self, domain: &str) -> Result<Answer<(u16, String)>, DnsError> {
        let pick = |data: &RData| match data {
            RData::MX(mx) => Some((mx.preference, host_text(&mx.exchange))),
            _ => None,
        };
        self.ask(domain, RecordType::MX, pick).await
    }

    /// IPv4 and IPv6 addresses of a host, each kind in the order given.
    pub async fn addresses(
        &self,
        host: &str,
    ) -> Result<(Answer<IpAddr>, Answer<IpAddr>), DnsError> {
        let v4 = self.ask(host, RecordType::A, |data| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            _ => None,
        });
        let v6 = self.ask(host, RecordType::AAAA, |data| match data {
            RData::AAAA(a) => Some(IpAddr::V6(a.0)),
            _ => None,
        });
        let empty = || Answer { records: Vec::new(), is_proven: true };
        match tokio::join!(v4, v6) {
            (Ok(v4), Ok(v6)) => Ok((v4, v6)),
            // One kind that can't be had now is no reason to do without the other.
            (Ok(v4), Err(_)) => Ok((v4, empty())),
            (Err(_), Ok(v6)) => Ok((empty(), v6)),
            (Err(DnsError::Temporary(why)), Err(_)) | (Err(_), Err(DnsError::Temporary(why))) => {
                Err(DnsError::Temporary(why))
            }
            (Err(why), Err(_)) => Err(why),
        }
    }

    /// All addresses of a host, of both kinds.
    pub async fn all_addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        let (v4, v6) = self.addresses(host).await?;
        Ok(v4.records.into_iter().chain(v6.records).collect())
    }

    /// Text records, the pieces of each joined.
    pub async fn txt(&self, name: &str) -> Result<Answer<String>, DnsError> {
        let pick = |data: &RData| match data {
            RData::TXT(txt) => Some(
                txt.txt_data.iter().map(|piece| String::from_utf8_lossy(piece)).collect::<String>(),
            ),
            _ => None,
        };
        self.ask(name, RecordType::TXT, pick).await
    }

    /// The names of an address, by its reverse name.
    pub async fn ptr(&self, reverse: &str) -> Result<Answer<String>, DnsError> {
        let pick = |data: &RData| match data {
            RData::PTR(name) => Some(host_text(name)),
            _ => None,
        };
        self.ask(reverse, RecordType::PTR, pick).await
    }

    /// Where a service is (RFC 2782): `priority weight port target` of each.
    pub async fn srv(&self, name: &str) -> Result<Answer<String>, DnsError> {
        let pick = |data: &RData| match data {
            RData::SRV(srv) => Some(format!(
                "{} {} {} {}",
                srv.priority,
                srv.weight,
                srv.port,
                host_text(&srv.target)
            )),
            _ => None,
        };
        self.ask(name, RecordType::SRV, pick).await
    }

    /// TLSA records of a service (RFC 6698 §3); proven or not.
    pub async fn tlsa(&self, host: &str, port: u16) -> Result<Answer<Tlsa>, DnsError> {
        let pick = |data: &RData| match data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        };
        self.ask(&format!("_{port}._tcp.{host}"), RecordType::TLSA, pick).await
    }

    /// Whether answers can be proven on this line.
    pub async fn proves(&self) -> bool {
        let Some(proving) = &self.proving else { return false };
        if self.dnssec.load(Ordering::Relaxed) == UNKNOWN {
            // A private anchor is there because somebody wants it used; else the root tells.
            let works = self.has_anchor || {
                let asked = tokio::time::timeout(
                    self.deadline,
                    proving.lookup(Name::root(), RecordType::NS),
                )
                .await;
                asked.is_ok_and(|answer| answer.is_ok_and(|lookup| is_proven(&lookup)))
            };
            self.dnssec.store(if works { WORKS } else { BROKEN }, Ordering::Relaxed);
            if !works {
                tracing::warn!(
                    "the name servers pass no signatures on: DANE is not used until the next look"
                );
            }
        }
        self.dnssec.load(Ordering::Relaxed) == WORKS
    }

    /// Forgets what is known of DNSSEC on this line; housekeeping does so now and then.
    pub fn look_again(&self) {
        self.dnssec.store(UNKNOWN, Ordering::Relaxed);
    }

    /// Forgets all answers: tests change their zones between two questions.
    pub fn clear_cache(&self) {
        self.plain.clear_cache();
        if let Some(proving) = &self.proving {
            proving.clear_cache();
        }
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, DnsError> {
        let asked = name_of(name).ok_or(DnsError::NoSuchName)?;
        let (found, is_proven) = match self.lookup(&asked, kind).await {
            Err(DnsError::Temporary(why)) => {
                return Err(DnsError::Temporary(format!("looking up {kind} of {name}: {why}")));
            }
            other => other?,
        };
        let records: Vec<T> = found.iter().filter_map(|record| pick(&record.data)).collect();
        match records.is_empty() {
            true => Err(DnsError::NoData),
            false => Ok(Answer { records, is_proven }),
        }
    }

    /// Records, and whether they are proven.
    /// A domain that has no keys is asked without proof; one that has and fails is not.
    async fn lookup(&self, name: &Name, kind: RecordType) -> Result<(Vec<Record>, bool), DnsError> {
        let proving = match &self.proving {
            Some(proving) if self.proves().await => proving,
            _ => return Ok((self.plain.lookup(name, kind).await?, false)),
        };
        let late = || {
            Err(DnsError::Temporary(format!(
                "no answer within {} seconds",
                self.deadline.as_secs()
            )))
        };
        let answer =
            match tokio::time::timeout(self.deadline, proving.lookup(name.clone(), kind)).await {
                Err(_) => late(),
                Ok(Ok(lookup)) => return Ok((lookup.answers().to_vec(), is_proven(&lookup))),
                Ok(failed) => records(failed),
            };
        let Err(DnsError::Temporary(why)) = answer else { return Ok((answer?, false)) };
        // Both at once: where the line is down neither is worth waiting for twice.
        let looking =
            tokio::time::timeout(self.deadline, signing(proving, &self.plain, &self.anchors, name));
        let (found, unproven) = tokio::join!(looking, self.plain.lookup(name, kind));
        match found.unwrap_or(Signing::Signed) {
            Signing::Signed => Err(DnsError::Temporary(why)),
            Signing::Unsigned => Ok((unproven?, false)),
        }
    }
}

/// Whether the file with keys that the settings name can be used.
pub fn examine(config: &Config) -> Result<(), Error> {
    servers::private_anchors(config).map(drop)
}

/// A domain in the form that is registered, in ASCII and lower case, without a dot at the end (RFC 5891 §4.4).
/// `None` for what has no such form.
pub fn registered(domain: &Domain) -> Option<String> {
    Some(host_text(&name_of(domain.as_str())?))
}

/// A name as the DNS has it.
/// International labels become what is registered (RFC 5891); ASCII is asked for as it stands: an underscore is no part
/// of a host name (RFC 952), yet there are hosts that have one, and mail for them.
fn name_of(text: &str) -> Option<Name> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Some(Name::root());
    }
    let labels = text.split('.').map(|label| match label.is_ascii() {
        true if label.is_empty() => None,
        true => Label::from_raw_bytes(label.as_bytes()).ok(),
        false => Label::from_utf8(label).ok(),
    });
    let mut name = Name::from_labels(labels.collect::<Option<Vec<Label>>>()?).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn is_proven(lookup: &Lookup) -> bool {
    !lookup.answers().is_empty() && lookup.answers().iter().all(|record| record.proof.is_secure())
}

/// The records of an answer, or what is known of there being none.
fn records(answer: Result<Lookup, NetError>) -> Result<Vec<Record>, DnsError> {
    let error = match answer {
        Ok(lookup) => return Ok(lookup.answers().to_vec()),
        Err(error) => error,
    };
    if error.is_nx_domain() {
        return Err(DnsError::NoSuchName);
    }
    // SERVFAIL and the like also come as "no records": only a plain "nothing there" is one.
    Err(match &error {
        NetError::Dns(hickory_resolver::net::DnsError::NoRecordsFound(none))
            if none.response_code == hickory_resolver::proto::op::ResponseCode::NoError =>
        {
            DnsError::NoData
        }
        _ => DnsError::Temporary(error.to_string()),
    })
}

/// A host name without the dot at its end; the root stays `.`, which is the null MX (RFC 7505 §3).
fn host_text(name: &Name) -> String {
    match name.is_root() {
        true => ".".into(),
        false => name.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
    }
}
