//! Names and addresses: questions with a deadline, a cache, and the knowledge whether an answer was proven (DNSSEC).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::config::{Config, seconds};

/// Answers that are remembered, per resolver.
const CACHED: u64 = 512;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsError {
    /// The name does not exist.
    NoSuchName,
    /// The name exists and has nothing of this kind.
    NoData,
    /// No answer could be had now, or it was not proven although it must be.
    Temporary(String),
}

/// Records, and whether DNSSEC proved them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    pub records: Vec<T>,
    pub is_proven: bool,
}

/// A TLSA record (RFC 6698 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// 2: a trust anchor, 3: the server's own certificate; others are not for mail (RFC 7672 §3.1.3).
    pub usage: u8,
    /// 0: the whole certificate, 1: its public key.
    pub selector: u8,
    /// 0: as it is, 1: SHA-256, 2: SHA-512.
    pub matching: u8,
    pub data: Vec<u8>,
}

/// What is known of DNSSEC on this line.
const UNKNOWN: u8 = 0;
const WORKS: u8 = 1;
const BROKEN: u8 = 2;

/// The resolver.
pub struct Dns {
    plain: TokioResolver,
    proving: Option<TokioResolver>,
    /// Whether the name servers pass signatures on; asked once when first needed.
    dnssec: AtomicU8,
    has_anchor: bool,
    deadline: Duration,
}

impl Dns {
    /// A resolver as the settings have it. Needs a tokio runtime.
    pub fn new(config: &Config) -> Result<Dns, String> {
        let has_anchor = !config.dns.trust_anchor.as_os_str().is_empty();
        Ok(Dns {
            plain: resolver(config, false)?,
            proving: if config.dns.dnssec { Some(resolver(config, true)?) } else { None },
            dnssec: AtomicU8::new(UNKNOWN),
            has_anchor,
            deadline: seconds(config.dns.deadline),
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
    pub async fn addresses(&self, host: &str) -> Result<(Answer<IpAddr>, Answer<IpAddr>), DnsError> {
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
            (Err(DnsError::Temporary(why)), Err(_)) | (Err(_), Err(DnsError::Temporary(why))) => Err(DnsError::Temporary(why)),
            (Err(why), Err(_)) => Err(why),
        }
    }

    /// Text records, the pieces of each joined.
    pub async fn txt(&self, name: &str) -> Result<Answer<String>, DnsError> {
        let pick = |data: &RData| match data {
            RData::TXT(txt) => Some(txt.txt_data.iter().map(|piece| String::from_utf8_lossy(piece)).collect::<String>()),
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
            RData::SRV(srv) => Some(format!("{} {} {} {}", srv.priority, srv.weight, srv.port, host_text(&srv.target))),
            _ => None,
        };
        self.ask(name, RecordType::SRV, pick).await
    }

    /// TLSA records of a service (RFC 6698 §3); proven or not.
    pub async fn tlsa(&self, host: &str, port: u16) -> Result<Answer<Tlsa>, DnsError> {
        let pick = |data: &RData| match data {
            RData::TLSA(tlsa) => {
                Some(Tlsa { usage: tlsa.cert_usage.into(), selector: tlsa.selector.into(), matching: tlsa.matching.into(), data: tlsa.cert_data.clone() })
            }
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
                let asked = tokio::time::timeout(self.deadline, proving.lookup(Name::root(), RecordType::NS)).await;
                asked.is_ok_and(|answer| answer.is_ok_and(|lookup| is_proven(&lookup)))
            };
            self.dnssec.store(if works { WORKS } else { BROKEN }, Ordering::Relaxed);
            if !works {
                tracing::warn!("the name servers pass no signatures on: DANE is not used until the next look");
            }
        }
        self.dnssec.load(Ordering::Relaxed) == WORKS
    }

    /// Forgets what is known of DNSSEC on this line; housekeeping does so now and then.
    pub fn look_again(&self) {
        self.dnssec.store(UNKNOWN, Ordering::Relaxed);
    }

    /// Forgets all answers.
    #[cfg(test)]
    pub fn clear_cache(&self) {
        self.plain.clear_cache();
        if let Some(proving) = &self.proving {
            proving.clear_cache();
        }
    }

    async fn ask<T>(&self, name: &str, kind: RecordType, pick: impl Fn(&RData) -> Option<T>) -> Result<Answer<T>, DnsError> {
        let temporary = |why: String| DnsError::Temporary(format!("looking up {kind} of {name}: {why}"));
        // From UTF-8, so that international names become what DNS has (RFC 5891).
        let mut asked = Name::from_utf8(name).map_err(|_| DnsError::NoSuchName)?;
        asked.set_fqdn(true);
        let resolver = match (&self.proving, self.proves().await) {
            (Some(proving), true) => proving,
            _ => &self.plain,
        };
        let answer = tokio::time::timeout(self.deadline, resolver.lookup(asked, kind)).await;
        let lookup = match answer {
            Err(_) => return Err(temporary(format!("no answer within {} seconds", self.deadline.as_secs()))),
            Ok(Err(error)) => return Err(reason(&error).unwrap_or_else(|| temporary(error.to_string()))),
            Ok(Ok(lookup)) => lookup,
        };
        let records: Vec<T> = lookup.answers().iter().filter_map(|record| pick(&record.data)).collect();
        match records.is_empty() {
            true => Err(DnsError::NoData),
            false => Ok(Answer { records, is_proven: is_proven(&lookup) }),
        }
    }
}

fn is_proven(lookup: &Lookup) -> bool {
    !lookup.answers().is_empty() && lookup.answers().iter().all(|record| record.proof.is_secure())
}

fn reason(error: &NetError) -> Option<DnsError> {
    if error.is_nx_domain() {
        return Some(DnsError::NoSuchName);
    }
    // SERVFAIL and the like also come as "no records": only a plain "nothing there" is one.
    let NetError::Dns(hickory_resolver::net::DnsError::NoRecordsFound(none)) = error else { return None };
    (none.response_code == hickory_resolver::proto::op::ResponseCode::NoError).then_some(DnsError::NoData)
}

/// A host name without the dot at its end; the root stays `.`, which is the null MX (RFC 7505 §3).
fn host_text(name: &Name) -> String {
    match name.is_root() {
        true => ".".into(),
        false => name.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
    }
}

fn resolver(config: &Config, validate: bool) -> Result<TokioResolver, String> {
    let fail = |e: NetError| format!("starting the resolver: {e}");
    let mut builder = match config.dns.servers.is_empty() {
        true => TokioResolver::builder_tokio().or_else(|_| {
            // Without a resolv.conf there may be a name server on this machine.
            let local = NameServerConfig::udp_and_tcp(IpAddr::from([127, 0, 0, 1]));
            let config = ResolverConfig::from_name_servers(vec![local]);
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        }),
        false => {
            let servers = config.dns.servers.iter().map(|server| {
                let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                connections.iter_mut().for_each(|connection| connection.port = server.0.port());
                NameServerConfig::new(server.0.ip(), true, connections.to_vec())
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        }
    }
    .map_err(fail)?;
    let options: &mut ResolverOpts = builder.options_mut();
    options.validate = validate;
    options.cache_size = CACHED;
    options.attempts = 2;
    options.timeout = seconds(config.dns.deadline) / 3;
    options.edns0 = true;
    options.ndots = 0;
    if validate && !config.dns.trust_anchor.as_os_str().is_empty() {
        let path = &config.dns.trust_anchor;
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let anchors: TrustAnchors = text.parse().map_err(|e| format!("{}: {e}", path.display()))?;
        builder = builder.with_trust_anchor(Arc::new(anchors));
    }
    // Names are asked for without TLS. The resolver would look for the system's authorities all the same, and not start on a
    // system that has none.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    builder = builder.with_tls_config(tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth());
    builder.build().map_err(fail)
}
