//! What the world should know of a domain of ours, and what it knows.

use std::net::IpAddr;

use pillarbox_store::Reader;
use sha2::{Digest, Sha256};

use crate::dkim;
use crate::dns::{Dns, DnsError};

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

/// What the box knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub hostname: String,
    /// The address the world sees.
    pub address: Option<IpAddr>,
    /// Whether its certificate is one that other servers believe.
    pub has_certificate: bool,
}

/// The TLS policy that a domain publishes (RFC 8461 §3.2): only with a certificate that others believe, else mail would
/// be kept from coming in.
pub fn sts_policy(facts: &Facts) -> Option<String> {
    facts.has_certificate.then(|| format!("version: STSv1\r\nmode: enforce\r\nmx: {}\r\nmax_age: 604800\r\n", facts.hostname))
}

/// The records that a domain of this box should have, the necessary ones first.
pub fn records(reader: &Reader, domain: &str, facts: &Facts, now: u64) -> pillarbox_store::Result<Vec<DnsRecord>> {
    let host = &facts.hostname;
    let record = |name: String, kind, value: String, why, key, need| DnsRecord { name, kind, value, why, key, need };
    let mut records = Vec::new();
    if let Some(address) = facts.address.filter(|_| host.ends_with(&format!(".{domain}")) || host == domain) {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        records.push(record(host.clone(), kind, address.to_string(), "where the box is", "record-address", Need::Must));
    }
    records.push(record(domain.into(), "MX", format!("10 {host}."), "where other servers bring mail for the domain", "record-mx", Need::Must));
    records.push(record(domain.into(), "TXT", "v=spf1 mx ~all".into(), "who may send mail of the domain (SPF)", "record-spf", Need::Must));
    for (name, value, is_old) in dkim::published(reader, domain, now)? {
        let (why, key) = match is_old {
            false => ("the key with which this box signs the domain's mail (DKIM)", "record-dkim"),
            true => ("an older key: leave it until mail signed with it has arrived (30 days)", "record-dkim-old"),
        };
        records.push(record(name, "TXT", value, why, key, Need::Must));
    }
    let dmarc = format!("v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}");
    let why = "what others do with mail that only pretends to be the domain's (DMARC)";
    records.push(record(format!("_dmarc.{domain}"), "TXT", dmarc, why, "record-dmarc", Need::Must));
    for prefix in ["autoconfig", "autodiscover"] {
        let why = "mail programs find their settings there";
        records.push(record(format!("{prefix}.{domain}"), "CNAME", format!("{host}."), why, "record-autoconfig", Need::Good));
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
        records.push(record(format!("{service}.{domain}"), "SRV", value, "where mail programs fetch and send", "record-srv", Need::Good));
    }
    if let Some(policy) = sts_policy(facts) {
        let id: String = Sha256::digest(policy).iter().take(8).map(|octet| format!("{octet:02x}")).collect();
        let why = "mail to the domain comes encrypted or not at all (MTA-STS)";
        records.push(record(format!("mta-sts.{domain}"), "CNAME", format!("{host}."), why, "record-sts-host", Need::Good));
        records.push(record(format!("_mta-sts.{domain}"), "TXT", format!("v=STSv1; id={id}"), why, "record-sts", Need::Good));
    }
    let reports = format!("v=TLSRPTv1; rua=mailto:postmaster@{domain}");
    let why = "where other servers report trouble with encryption";
    records.push(record(format!("_smtp._tls.{domain}"), "TXT", reports, why, "record-tls-reports", Need::Good));
    Ok(records)
}

/// The records as lines of a zone file (RFC 1035 §5.1); long texts in pieces of at most 255 octets.
pub fn zone_lines(records: &[DnsRecord]) -> String {
    let line = |record: &DnsRecord| {
        let value = match record.kind {
            "TXT" => {
                let octets = record.value.as_bytes();
                let pieces = octets.chunks(250).map(|piece| format!("\"{}\"", String::from_utf8_lossy(piece)));
                pieces.collect::<Vec<_>>().join(" ")
            }
            _ => record.value.clone(),
        };
        format!("; {}\n{}. 3600 IN {} {value}\n", record.why, record.name, record.kind)
    };
    records.iter().map(line).collect()
}

/// The state of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// As it should be.
    Right,
    /// Nothing of the kind is there.
    Missing,
    /// Something else is there.
    Different(String),
    /// It could not be looked up now.
    Unknown(String),
}

/// Compares what was found with what should be there.
pub fn compare(record: &DnsRecord, found: Result<Vec<String>, DnsError>) -> Check {
    let found = match found {
        Ok(found) => found,
        Err(DnsError::NoSuchName | DnsError::NoData) => return Check::Missing,
        Err(DnsError::Temporary(why)) => return Check::Unknown(why),
    };
    let bare = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
    // Of several texts at a name only those of the same kind count: `v=spf1`, `v=DKIM1`, `v=DMARC1`.
    let kind = record.value.split([' ', ';']).next().unwrap_or_default();
    let same: Vec<&String> = found.iter().filter(|text| record.kind != "TXT" || text.split([' ', ';']).next() == Some(kind)).collect();
    match (&same[..], record.key) {
        ([], _) => Check::Missing,
        // Any of the hosts may be ours.
        (hosts, "record-mx") => {
            let ours = record.value.rsplit(' ').next().unwrap_or_default().trim_end_matches('.');
            let is_there = hosts.iter().any(|host| host.rsplit(' ').next().is_some_and(|h| h.eq_ignore_ascii_case(ours)));
            if is_there { Check::Right } else { Check::Different(joined(hosts)) }
        }
        // Two SPF records count as none (RFC 7208 §4.5).
        ([only], "record-spf") => {
            let names_us = only.split(' ').any(|word| matches!(word, "mx" | "+mx" | "a" | "+a") || word.starts_with("ip4:") || word.starts_with("ip6:"));
            if names_us { Check::Right } else { Check::Different(only.to_string()) }
        }
        ([_], "record-dmarc" | "record-tls-reports") => Check::Right,
        // An alias was followed: what it leads to counts, and any of the addresses may be the one.
        (several, "record-address") => {
            let is_there = several.iter().any(|found| **found == record.value);
            if is_there { Check::Right } else { Check::Different(joined(several)) }
        }
        (several, "record-srv") => {
            let is_there = several.iter().any(|found| bare(found) == bare(&record.value));
            if is_there { Check::Right } else { Check::Different(joined(several)) }
        }
        ([only], _) if without_spaces(only) == without_spaces(&record.value) => Check::Right,
        (several, _) => Check::Different(joined(several)),
    }
}

fn joined(texts: &[&String]) -> String {
    texts.iter().map(|text| text.as_str()).collect::<Vec<_>>().join(" · ")
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().trim_end_matches(';').to_string()
}

/// Looks one record up.
pub async fn look(dns: &Dns, record: &DnsRecord) -> Check {
    let found = match record.kind {
        "MX" => dns.mx(&record.name).await.map(|a| a.records.into_iter().map(|(p, host)| format!("{p} {host}")).collect()),
        "SRV" => dns.srv(&record.name).await.map(|a| a.records),
        "A" | "AAAA" => all_addresses(dns, &record.name).await,
        "CNAME" => return leads_to(dns, record).await,
        _ => dns.txt(&record.name).await.map(|a| a.records),
    };
    compare(record, found)
}

async fn all_addresses(dns: &Dns, name: &str) -> Result<Vec<String>, DnsError> {
    let (v4, v6) = dns.addresses(name).await?;
    Ok(v4.records.into_iter().chain(v6.records).map(|address| address.to_string()).collect())
}

/// Whether a name leads to the same machine as the one it should be an alias of; how does not matter.
async fn leads_to(dns: &Dns, record: &DnsRecord) -> Check {
    let target = record.value.trim_end_matches('.');
    match (all_addresses(dns, &record.name).await, all_addresses(dns, target).await) {
        (Ok(found), Ok(wanted)) if found.iter().any(|address| wanted.contains(address)) => Check::Right,
        (Ok(found), _) => Check::Different(found.join(" · ")),
        (Err(DnsError::Temporary(why)), _) => Check::Unknown(why),
        (Err(_), _) => Check::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: &'static str, value: &str, key: &'static str) -> DnsRecord {
        DnsRecord { name: "box.example".into(), kind, value: value.into(), why: "", key, need: Need::Must }
    }

    #[test]
    fn right_wrong_missing_and_unknown() {
        let mx = record("MX", "10 mail.box.example.", "record-mx");
        let spf = record("TXT", "v=spf1 mx ~all", "record-spf");
        let dkim = record("TXT", "v=DKIM1; k=rsa; p=ABC", "record-dkim");
        let dmarc = record("TXT", "v=DMARC1; p=quarantine", "record-dmarc");
        let check = |record: &DnsRecord, found: &[&str]| compare(record, Ok(found.iter().map(|t| t.to_string()).collect()));
        assert_eq!(check(&mx, &["5 other.example", "10 Mail.Box.Example"]), Check::Right);
        assert_eq!(check(&mx, &["5 other.example"]), Check::Different("5 other.example".into()));
        assert_eq!(check(&spf, &["google-site-verification=x", "v=spf1 ip4:192.0.2.1 -all"]), Check::Right);
        assert_eq!(check(&spf, &["v=spf1 include:other.example -all"]), Check::Different("v=spf1 include:other.example -all".into()));
        assert!(matches!(check(&spf, &["v=spf1 mx -all", "v=spf1 mx ~all"]), Check::Different(_)));
        assert_eq!(check(&spf, &["something else"]), Check::Missing);
        assert_eq!(check(&dkim, &["v=DKIM1;k=rsa;p=AB C;"]), Check::Right);
        assert!(matches!(check(&dkim, &["v=DKIM1; k=rsa; p=XYZ"]), Check::Different(_)));
        assert_eq!(check(&dmarc, &["v=DMARC1; p=none"]), Check::Right);
        assert_eq!(compare(&mx, Err(DnsError::NoData)), Check::Missing);
        assert_eq!(compare(&mx, Err(DnsError::Temporary("t".into()))), Check::Unknown("t".into()));
    }

    #[test]
    fn services_and_addresses_are_compared_as_dns_writes_them() {
        let srv = record("SRV", "0 1 465 mail.box.example.", "record-srv");
        let none = record("SRV", "0 0 0 .", "record-srv");
        let address = record("A", "203.0.113.9", "record-address");
        let check = |record: &DnsRecord, found: &[&str]| compare(record, Ok(found.iter().map(|t| t.to_string()).collect()));
        assert_eq!(check(&srv, &["0 1 465 Mail.box.example"]), Check::Right);
        assert_eq!(check(&none, &["0 0 0 ."]), Check::Right);
        assert!(matches!(check(&srv, &["0 1 587 mail.box.example"]), Check::Different(_)));
        assert_eq!(check(&address, &["198.51.100.1", "203.0.113.9"]), Check::Right);
        assert!(matches!(check(&address, &["198.51.100.1"]), Check::Different(_)));
    }

    #[test]
    fn the_zone_has_what_the_box_can_promise() {
        use pillarbox_store::{Access, Change, Options, Store};
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Access::Server, &Options::default()).unwrap();
        store.change(Change::AddDomain { name: "box.example".into(), at: 1 }).wait().unwrap();
        let zone = |facts: Facts| zone_lines(&store.read(|r| records(r, "box.example", &facts, 1)).unwrap());
        let plain = zone(Facts { hostname: "mail.box.example".into(), ..Facts::default() });
        assert!(plain.contains("box.example. 3600 IN MX 10 mail.box.example.\n") && !plain.contains("mta-sts") && !plain.contains(" IN A "));
        assert!(plain.lines().all(|line| line.len() < 600));
        let full = Facts { hostname: "mail.box.example".into(), address: Some(IpAddr::from([203, 0, 113, 9])), has_certificate: true };
        assert!(zone(full.clone()).contains("mail.box.example. 3600 IN A 203.0.113.9\n") && zone(full.clone()).contains("v=STSv1; id="));
        let elsewhere = Facts { hostname: "mail.other.example".into(), ..full };
        assert!(!zone(elsewhere).contains(" IN A "));
    }
}
