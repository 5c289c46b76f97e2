//! What the world knows of a domain of ours, beside what it should know.

use crate::dkim::DnsRecord;
use crate::dns::{Dns, DnsError};

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
        ([_], "record-dmarc") => Check::Right,
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
        _ => dns.txt(&record.name).await.map(|a| a.records),
    };
    compare(record, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: &'static str, value: &str, key: &'static str) -> DnsRecord {
        DnsRecord { name: "box.example".into(), kind, value: value.into(), why: "", key }
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
}
