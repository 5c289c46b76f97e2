//! What the world should know of a domain of ours, and what it knows.

mod check;
mod texts;

use std::net::IpAddr;

use pillarbox_outbound::dkim;
use pillarbox_platform::clock;
use pillarbox_platform::config::Config;
use pillarbox_platform::tls::Certificates;
use pillarbox_store::Reader;
use pillarbox_vocabulary::Timestamp;
use sha2::{Digest, Sha256};

use crate::settings;
pub use check::{Check, look};

/// A DNS record, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// Without the dot at its end.
    pub name: String,
    pub kind: &'static str,
    pub value: String,
    pub why: &'static str,
    /// The name of the same words in the pages' catalogue.
    pub key: &'static str,
    pub need: Need,
}

/// How much depends on a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Mail does not come or is not believed without it.
    Must,
    /// Mail programs set themselves up with it, or transport gets safer.
    Good,
}

/// How mail of the box reaches other servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sends {
    #[default]
    Itself,
    /// All of it through a provider, whose addresses receivers see.
    ThroughProvider,
}

/// What the box knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub hostname: String,
    /// The address the world sees.
    pub address: Option<IpAddr>,
    /// Whether its certificate is one that other servers believe.
    pub has_certificate: bool,
    pub sends: Sends,
}

impl Facts {
    /// As they are now.
    pub fn of(
        reader: &Reader,
        config: &Config,
        certificates: &Certificates,
    ) -> pillarbox_store::Result<Facts> {
        let hostname = config.hostname();
        Ok(Facts {
            address: reader
                .setting(settings::PUBLIC_ADDRESS)?
                .and_then(|address| address.parse().ok()),
            has_certificate: certificates.facts().is_believed(&hostname, clock::now()),
            sends: match reader.routes()?.iter().any(|(domain, _)| domain.is_empty()) {
                true => Sends::ThroughProvider,
                false => Sends::Itself,
            },
            hostname,
        })
    }
}

/// The TLS policy that a domain publishes (RFC 8461 §3.2): only with a certificate that others believe, else mail would
/// be kept from coming in.
pub fn sts_policy(facts: &Facts) -> Option<String> {
    facts.has_certificate.then(|| {
        format!("version: STSv1\r\nmode: enforce\r\nmx: {}\r\nmax_age: 604800\r\n", facts.hostname)
    })
}

/// Why a record is there: its words in the pages' catalogue, and the same in English.
type Why = (&'static str, &'static str);

impl DnsRecord {
    fn must(name: String, kind: &'static str, value: String, (key, why): Why) -> DnsRecord {
        DnsRecord { name, kind, value, why, key, need: Need::Must }
    }

    fn good(name: String, kind: &'static str, value: String, (key, why): Why) -> DnsRecord {
        DnsRecord { name, kind, value, why, key, need: Need::Good }
    }
}

/// The records that a domain of this box should have, the necessary ones first.
pub fn records(
    reader: &Reader,
    domain: &str,
    facts: &Facts,
    now: Timestamp,
) -> pillarbox_store::Result<Vec<DnsRecord>> {
    let mut records = Vec::new();
    records.extend(address_of_the_box(domain, facts));
    records.extend(way_in(domain, &facts.hostname));
    records.extend(proof_of_sender(domain, dkim::published(reader, domain, now)?));
    records.extend(settings_of_programs(domain, &facts.hostname));
    records.extend(encrypted_transport(domain, facts));
    Ok(records)
}

/// Where the box is, if its name belongs to the domain.
fn address_of_the_box(domain: &str, facts: &Facts) -> Option<DnsRecord> {
    let host = &facts.hostname;
    let is_within = host.ends_with(&format!(".{domain}")) || host == domain;
    let address = facts.address.filter(|_| is_within)?;
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    let why = ("record-address", "where the box is");
    Some(DnsRecord::must(host.clone(), kind, address.to_string(), why))
}

/// Which host takes mail for the domain (RFC 5321 §5), and sends it (RFC 7208).
fn way_in(domain: &str, host: &str) -> [DnsRecord; 2] {
    let mx = ("record-mx", "where other servers bring mail for the domain");
    let spf = ("record-spf", "who may send mail of the domain (SPF)");
    [
        DnsRecord::must(domain.into(), "MX", format!("10 {host}."), mx),
        DnsRecord::must(domain.into(), "TXT", "v=spf1 mx ~all".into(), spf),
    ]
}

/// Keys of signatures (RFC 6376 §3.6), and what to do with mail that lacks one (RFC 7489 §6.3).
/// `keys`: name, value, and whether it is an older one.
fn proof_of_sender(domain: &str, keys: Vec<(String, String, bool)>) -> Vec<DnsRecord> {
    let new = ("record-dkim", "the key with which this box signs the domain's mail (DKIM)");
    let old = (
        "record-dkim-old",
        "an older key: leave it until mail signed with it has arrived (30 days)",
    );
    let mut records: Vec<DnsRecord> = keys
        .into_iter()
        .map(|(name, value, is_old)| {
            DnsRecord::must(name, "TXT", value, if is_old { old } else { new })
        })
        .collect();
    let policy = format!("v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}");
    let why =
        ("record-dmarc", "what others do with mail that only pretends to be the domain's (DMARC)");
    records.push(DnsRecord::must(format!("_dmarc.{domain}"), "TXT", policy, why));
    records
}

/// Where mail programs find their settings and the services.
fn settings_of_programs(domain: &str, host: &str) -> Vec<DnsRecord> {
    let settings = ("record-autoconfig", "mail programs find their settings there");
    let services = ("record-srv", "where mail programs fetch and send");
    let names = ["autoconfig", "autodiscover"].map(|prefix| {
        DnsRecord::good(format!("{prefix}.{domain}"), "CNAME", format!("{host}."), settings)
    });
    // RFC 6186 §3.4, RFC 8314 §5.1; a lone dot says that there is no such service.
    let places = [
        ("_submissions._tcp", format!("0 1 465 {host}.")),
        ("_submission._tcp", format!("0 2 587 {host}.")),
        ("_pop3s._tcp", format!("0 1 995 {host}.")),
        ("_imap._tcp", "0 0 0 .".to_string()),
        ("_imaps._tcp", "0 0 0 .".to_string()),
        ("_autodiscover._tcp", format!("0 1 443 {host}.")),
    ];
    let places = places.into_iter().map(|(service, value)| {
        DnsRecord::good(format!("{service}.{domain}"), "SRV", value, services)
    });
    names.into_iter().chain(places).collect()
}

/// That mail comes encrypted (RFC 8461 §3.1), and where trouble with it is reported (RFC 8460 §3).
fn encrypted_transport(domain: &str, facts: &Facts) -> Vec<DnsRecord> {
    let mut records = Vec::new();
    if let Some(policy) = sts_policy(facts) {
        let id: String =
            Sha256::digest(policy).iter().take(8).map(|octet| format!("{octet:02x}")).collect();
        let host = format!("{}.", facts.hostname);
        let why = "mail to the domain comes encrypted or not at all (MTA-STS)";
        records.extend([
            DnsRecord::good(format!("mta-sts.{domain}"), "CNAME", host, ("record-sts-host", why)),
            DnsRecord::good(
                format!("_mta-sts.{domain}"),
                "TXT",
                format!("v=STSv1; id={id}"),
                ("record-sts", why),
            ),
        ]);
    }
    let reports = format!("v=TLSRPTv1; rua=mailto:postmaster@{domain}");
    let why = ("record-tls-reports", "where other servers report trouble with encryption");
    records.push(DnsRecord::good(format!("_smtp._tls.{domain}"), "TXT", reports, why));
    records
}

/// The records as lines of a zone file (RFC 1035 §5.1); long texts in pieces of at most 255 octets.
pub fn zone_lines(records: &[DnsRecord]) -> String {
    let line = |record: &DnsRecord| {
        let value = match record.kind {
            "TXT" => {
                let octets = record.value.as_bytes();
                let pieces = octets
                    .chunks(250)
                    .map(|piece| format!("\"{}\"", String::from_utf8_lossy(piece)));
                pieces.collect::<Vec<_>>().join(" ")
            }
            _ => record.value.clone(),
        };
        format!("; {}\n{}. 3600 IN {} {value}\n", record.why, record.name, record.kind)
    };
    records.iter().map(line).collect()
}

/// The name as it is typed in at providers that append the domain themselves; `@` is the domain itself.
pub fn short_name(record: &DnsRecord, domain: &str) -> String {
    match record.name.strip_suffix(domain).map(|rest| rest.trim_end_matches('.')) {
        Some("") => "@".into(),
        Some(short) => short.to_string(),
        None => record.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_short_form() {
        let of = |name: &str| {
            let record = DnsRecord {
                name: name.into(),
                kind: "TXT",
                value: String::new(),
                why: "",
                key: "",
                need: Need::Must,
            };
            short_name(&record, "box.example")
        };
        assert_eq!(
            (of("box.example"), of("_dmarc.box.example"), of("mail.other.example")),
            ("@".into(), "_dmarc".into(), "mail.other.example".into())
        );
    }

    #[test]
    fn the_zone_has_what_the_box_can_promise() {
        use pillarbox_store::{Access, AddDomain, Options, Store};
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Access::Server, &Options::default()).unwrap();
        store.change(AddDomain { name: "box.example".into(), at: Timestamp(1) }).wait().unwrap();
        let zone = |facts: Facts| {
            zone_lines(&store.read(|r| records(r, "box.example", &facts, Timestamp(1))).unwrap())
        };
        let plain = zone(Facts { hostname: "mail.box.example".into(), ..Facts::default() });
        assert!(
            plain.contains("box.example. 3600 IN MX 10 mail.box.example.\n")
                && !plain.contains("mta-sts")
                && !plain.contains(" IN A ")
        );
        assert!(plain.lines().all(|line| line.len() < 600));
        let full = Facts {
            hostname: "mail.box.example".into(),
            address: Some(IpAddr::from([203, 0, 113, 9])),
            has_certificate: true,
            ..Facts::default()
        };
        assert!(
            zone(full.clone()).contains("mail.box.example. 3600 IN A 203.0.113.9\n")
                && zone(full.clone()).contains("v=STSv1; id=")
        );
        let elsewhere = Facts { hostname: "mail.other.example".into(), ..full };
        assert!(!zone(elsewhere).contains(" IN A "));
    }
}
