//! What the world should know of a domain of ours, and what it knows.

mod check;
mod spf;
mod texts;

use std::net::IpAddr;

use pillarbox_outbound::dkim;
use pillarbox_platform::clock;
use pillarbox_platform::config::Config;
use pillarbox_platform::tls::Certificates;
use pillarbox_store::Reader;
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

/// The records that a domain of this box should have, the necessary ones first.
pub fn records(
    reader: &Reader,
    domain: &str,
    facts: &Facts,
    now: u64,
) -> pillarbox_store::Result<Vec<DnsRecord>> {
    let host = &facts.hostname;
    let record = |name: String, kind, value: String, why, key, need| DnsRecord {
        name,
        kind,
        value,
        why,
        key,
        need,
    };
    let mut records = Vec::new();
    if let Some(address) =
        facts.address.filter(|_| host.ends_with(&format!(".{domain}")) || host == domain)
    {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        records.push(record(
            host.clone(),
            kind,
            address.to_string(),
            "where the box is",
            "record-address",
            Need::Must,
        ));
    }
    records.push(record(
        domain.into(),
        "MX",
        format!("10 {host}."),
        "where other servers bring mail for the domain",
        "record-mx",
        Need::Must,
    ));
    records.push(record(
        domain.into(),
        "TXT",
        "v=spf1 mx ~all".into(),
        "who may send mail of the domain (SPF)",
        "record-spf",
        Need::Must,
    ));
    for (name, value, is_old) in dkim::published(reader, domain, now)? {
        let (why, key) = match is_old {
            false => ("the key with which this box signs the domain's mail (DKIM)", "record-dkim"),
            true => (
                "an older key: leave it until mail signed with it has arrived (30 days)",
                "record-dkim-old",
            ),
        };
        records.push(record(name, "TXT", value, why, key, Need::Must));
    }
    let dmarc = format!("v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}");
    let why = "what others do with mail that only pretends to be the domain's (DMARC)";
    records.push(record(format!("_dmarc.{domain}"), "TXT", dmarc, why, "record-dmarc", Need::Must));
    for prefix in ["autoconfig", "autodiscover"] {
        let why = "mail programs find their settings there";
        records.push(record(
            format!("{prefix}.{domain}"),
            "CNAME",
            format!("{host}."),
            why,
            "record-autoconfig",
            Need::Good,
        ));
    }
    // RFC 6186 §3.4, RFC 8314 §5.1: where programs fetch and send; a lone dot says that there is no such service.
    for (service, value) in [
        ("_submissions._tcp", format!("0 1 465 {host}.")),
        ("_submission._tcp", format!("0 2 587 {host}.")),
        ("_pop3s._tcp", format!("0 1 995 {host}.")),
        ("_imap._tcp", "0 0 0 .".to_string()),
        ("_imaps._tcp", "0 0 0 .".to_string()),
        ("_autodiscover._tcp", format!("0 1 443 {host}.")),
    ] {
        records.push(record(
            format!("{service}.{domain}"),
            "SRV",
            value,
            "where mail programs fetch and send",
            "record-srv",
            Need::Good,
        ));
    }
    if let Some(policy) = sts_policy(facts) {
        let id: String =
            Sha256::digest(policy).iter().take(8).map(|octet| format!("{octet:02x}")).collect();
        let why = "mail to the domain comes encrypted or not at all (MTA-STS)";
        records.push(record(
            format!("mta-sts.{domain}"),
            "CNAME",
            format!("{host}."),
            why,
            "record-sts-host",
            Need::Good,
        ));
        records.push(record(
            format!("_mta-sts.{domain}"),
            "TXT",
            format!("v=STSv1; id={id}"),
            why,
            "record-sts",
            Need::Good,
        ));
    }
    let reports = format!("v=TLSRPTv1; rua=mailto:postmaster@{domain}");
    let why = "where other servers report trouble with encryption";
    records.push(record(
        format!("_smtp._tls.{domain}"),
        "TXT",
        reports,
        why,
        "record-tls-reports",
        Need::Good,
    ));
    Ok(records)
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
        store.change(AddDomain { name: "box.example".into(), at: 1 }).wait().unwrap();
        let zone = |facts: Facts| {
            zone_lines(&store.read(|r| records(r, "box.example", &facts, 1)).unwrap())
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
