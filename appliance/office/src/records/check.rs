//! What the DNS says of a domain, judged as those judge who ask it: mail servers by MX, receivers by SPF, DKIM and
//! DMARC.

use std::net::IpAddr;

use pillarbox_platform::dns::{Dns, DnsError};

use super::texts::{is_dmarc, is_same_key, is_tls_reports, without_spaces};
use super::{DnsRecord, Facts, Sends};
use pillarbox_filter::spf::{self, Trouble, Verdict};

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

/// Looks one record of a domain up.
pub async fn look(dns: &Dns, facts: &Facts, domain: &str, record: &DnsRecord) -> Check {
    let check = match (record.kind, record.key) {
        ("MX", _) => exchangers(dns, facts, record).await,
        ("CNAME", _) => leads_to(dns, record).await,
        (_, "record-spf") => senders(dns, facts, record).await,
        _ => compare(record, found(dns, record.kind, &record.name).await),
    };
    match check {
        Check::Missing => doubled(dns, domain, record).await.unwrap_or(Check::Missing),
        check => check,
    }
}

async fn found(dns: &Dns, kind: &str, name: &str) -> Result<Vec<String>, DnsError> {
    match kind {
        "MX" => dns
            .mx(name)
            .await
            .map(|a| a.records.into_iter().map(|(p, host)| format!("{p} {host}")).collect()),
        "SRV" => dns.srv(name).await.map(|a| a.records),
        "A" | "AAAA" | "CNAME" => {
            dns.all_addresses(name).await.map(|found| found.iter().map(IpAddr::to_string).collect())
        }
        _ => dns.txt(name).await.map(|a| a.records),
    }
}

/// Many providers append the domain to whatever is typed in: a full name is in the DNS with the domain twice then.
async fn doubled(dns: &Dns, domain: &str, record: &DnsRecord) -> Option<Check> {
    let name = format!("{}.{domain}", record.name);
    let found = found(dns, record.kind, &name).await.ok()?;
    // What is there for every name is no record of ours.
    let is_ours = record.kind != "TXT" || found.iter().any(|text| is_of_kind(text, record));
    is_ours.then(|| Check::Different(format!("{name}: {}", found.join(" · "))))
}

/// Mail goes to the exchangers of the lowest preference (RFC 5321 §5.1): all of those must lead here.
async fn exchangers(dns: &Dns, facts: &Facts, record: &DnsRecord) -> Check {
    let hosts = match dns.mx(&record.name).await {
        Ok(answer) => answer.records,
        Err(why) => return failed(why),
    };
    let lowest = hosts.iter().map(|(preference, _)| *preference).min().unwrap_or_default();
    for (_, host) in hosts.iter().filter(|(preference, _)| *preference == lowest) {
        if host.eq_ignore_ascii_case(&facts.hostname) {
            continue;
        }
        // Another name of this box does as well.
        let leads_here = match facts.address {
            Some(address) => {
                dns.all_addresses(host).await.is_ok_and(|found| found.contains(&address))
            }
            None => false,
        };
        if !leads_here {
            let shown: Vec<String> =
                hosts.iter().map(|(preference, host)| format!("{preference} {host}")).collect();
            return Check::Different(shown.join(" · "));
        }
    }
    Check::Right
}

/// SPF is evaluated for the address that receivers see: anything but a pass is no use.
async fn senders(dns: &Dns, facts: &Facts, record: &DnsRecord) -> Check {
    let texts = match dns.txt(&record.name).await {
        Ok(answer) => answer.records,
        Err(why) => return failed(why),
    };
    // What only looks like one, say for quotes around it, is shown: no receiver sees it.
    let alike: Vec<&str> =
        texts.iter().filter(|text| is_of_kind(text, record)).map(String::as_str).collect();
    let real: Vec<&str> =
        texts.iter().filter(|text| spf::record::is_record(text)).map(String::as_str).collect();
    let [only] = real[..] else {
        return if alike.is_empty() {
            Check::Missing
        } else {
            Check::Different(alike.join(" · "))
        };
    };
    if facts.sends == Sends::ThroughProvider {
        // Receivers see the provider's addresses, which are unknown here.
        return Check::Right;
    }
    let address = match facts.address {
        Some(address) => Some(address),
        None => {
            dns.all_addresses(&facts.hostname).await.ok().and_then(|found| found.first().copied())
        }
    };
    let Some(address) = address else {
        // Nobody knows yet from where mail will come: `mx` and `a` are the words that will mean this box.
        let means_us = only.split(' ').any(|word| matches!(word, "mx" | "+mx" | "a" | "+a"));
        return if means_us { Check::Right } else { Check::Different(only.to_string()) };
    };
    let client = spf::Client { address, helo: &facts.hostname, local: "postmaster" };
    match spf::evaluate(dns, &record.name, &client).await {
        Ok(Verdict::Pass) => Check::Right,
        Ok(_) | Err(Trouble::Wrong) => Check::Different(only.to_string()),
        Err(Trouble::Unknown(why)) => Check::Unknown(why),
    }
}

fn failed(why: DnsError) -> Check {
    match why {
        DnsError::NoSuchName | DnsError::NoData => Check::Missing,
        DnsError::Temporary(why) => Check::Unknown(why),
    }
}

/// Whether a text is of the same kind as a record (`v=spf1`, `v=DMARC1`), or was meant to be: with quotes in it, in
/// other letters, without what must follow.
fn is_of_kind(text: &str, record: &DnsRecord) -> bool {
    let kind = record.value.split([' ', ';']).next().unwrap_or_default();
    let text = text.trim_start_matches(|c: char| c == '"' || c == '\\' || c.is_whitespace());
    text.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind))
}

/// Compares what was found with what should be there.
pub fn compare(record: &DnsRecord, found: Result<Vec<String>, DnsError>) -> Check {
    let found = match found {
        Ok(found) => found,
        Err(why) => return failed(why),
    };
    let bare = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
    // Whatever is at a selector is a key record to those who ask (RFC 6376 §3.6.2.2); elsewhere other texts are
    // none of ours.
    let is_key = matches!(record.key, "record-dkim" | "record-dkim-old");
    let same: Vec<&str> = found
        .iter()
        .map(String::as_str)
        .filter(|text| record.kind != "TXT" || is_key || is_of_kind(text, record))
        .collect();
    let is_right = match (&same[..], record.key) {
        ([], _) => return Check::Missing,
        // An alias was followed: what it leads to counts, and any of the addresses may be the one.
        (several, "record-address") => several.contains(&record.value.as_str()),
        (several, "record-srv") => several.iter().any(|found| bare(found) == bare(&record.value)),
        // Several are as good as none (RFC 6376 §3.6.2.2, RFC 7489 §6.6.3, RFC 8460 §3).
        ([only], "record-dkim" | "record-dkim-old") => is_same_key(only, &record.value),
        ([only], "record-dmarc") => is_dmarc(only),
        ([only], "record-tls-reports") => is_tls_reports(only),
        ([only], _) => without_spaces(only) == without_spaces(&record.value),
        _ => false,
    };
    if is_right { Check::Right } else { Check::Different(same.join(" · ")) }
}

/// Whether a name leads to the same machine as the one it should be an alias of; how does not matter.
async fn leads_to(dns: &Dns, record: &DnsRecord) -> Check {
    let target = record.value.trim_end_matches('.');
    let shown =
        |found: Vec<IpAddr>| found.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" · ");
    match (dns.all_addresses(&record.name).await, dns.all_addresses(target).await) {
        (Ok(found), Ok(wanted)) if found.iter().any(|address| wanted.contains(address)) => {
            Check::Right
        }
        (Ok(found), _) => Check::Different(shown(found)),
        (Err(why), _) => failed(why),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Need;
    use super::*;
    use crate::world::World;

    fn record(kind: &'static str, value: &str, key: &'static str) -> DnsRecord {
        DnsRecord {
            name: "box.test".into(),
            kind,
            value: value.into(),
            why: "",
            key,
            need: Need::Must,
        }
    }

    fn check(record: &DnsRecord, found: &[&str]) -> Check {
        compare(record, Ok(found.iter().map(|t| t.to_string()).collect()))
    }

    fn is_different(check: Check) -> bool {
        matches!(check, Check::Different(_))
    }

    #[test]
    fn keys_and_policies_count_as_those_read_them_who_ask() {
        let dkim = record("TXT", "v=DKIM1; k=rsa; p=ABCDEF", "record-dkim");
        for right in [
            "v=DKIM1;k=rsa;p=AB C DEF;",
            "p=ABCDEF",
            "v=DKIM1; p=ABCDEF; s=email:x; h=sha1:sha256; n=note",
            "v=DKIM1; k=rsa; t=s; p=ABCDEF",
        ] {
            assert_eq!(check(&dkim, &[right]), Check::Right, "{right}");
        }
        for wrong in [
            "v=DKIM1; k=rsa; p=XYZ", "v=DKIM1; k=ed25519; p=ABCDEF", "k=rsa; v=DKIM1; p=ABCDEF",
            "v=DKIM1 k=rsa p=ABCDEF", "\"v=DKIM1; k=rsa; p=ABCDEF\"", "v=DKIM1; p=ABCDEF; t=y",
            "v=DKIM1; p=ABCDEF; h=sha1", "v=DKIM1; p=ABCDEF; s=tlsrpt",
            "v=DKIM1; p=ABCDEF; p=ABCDEF", "something else",
        ] {
            assert!(is_different(check(&dkim, &[wrong])), "{wrong}");
        }
        // The second half of a key, left over as a record of its own: which one a receiver takes is anybody's guess.
        assert!(is_different(check(&dkim, &["v=DKIM1; k=rsa; p=ABCDEF", "DEF"])));
        assert!(is_different(check(
            &dkim,
            &["v=DKIM1; k=rsa; p=ABCDEF", "v=DKIM1; k=rsa; p=ABCDEF"]
        )));
        let dmarc =
            record("TXT", "v=DMARC1; p=quarantine; rua=mailto:postmaster@box.test", "record-dmarc");
        for right in
            ["v=DMARC1; p=none", "v=DMARC1;p=Reject;", "v=DMARC1; p=quarantine; pct=50 ; adkim=s"]
        {
            assert_eq!(check(&dmarc, &[right, "unrelated"]), Check::Right, "{right}");
        }
        for wrong in [
            "v=DMARC1 p=none", "v=DMARC1", "v=DMARC1; p=maybe", "v=DMARC1; p none",
            "\"v=DMARC1; p=none\"", "V=dmarc1; p=none", "v=DMARC1; rua=mailto:x; ",
        ] {
            assert!(is_different(check(&dmarc, &[wrong])), "{wrong}");
        }
        assert!(is_different(check(&dmarc, &["v=DMARC1; p=none", "v=DMARC1; p=none"])));
        assert_eq!(check(&dmarc, &["unrelated"]), Check::Missing);
        let reports =
            record("TXT", "v=TLSRPTv1; rua=mailto:postmaster@box.test", "record-tls-reports");
        assert_eq!(check(&reports, &["v=TLSRPTv1;rua=https://x.test/"]), Check::Right);
        assert!(
            is_different(check(&reports, &["v=TLSRPTv1 rua=mailto:x"]))
                && is_different(check(&reports, &["v=TLSRPTv1;"]))
        );
        assert_eq!(compare(&dmarc, Err(DnsError::NoData)), Check::Missing);
        assert_eq!(
            compare(&dmarc, Err(DnsError::Temporary("t".into()))),
            Check::Unknown("t".into())
        );
    }

    #[test]
    fn services_and_addresses_are_compared_as_dns_writes_them() {
        let srv = record("SRV", "0 1 465 mail.box.test.", "record-srv");
        let none = record("SRV", "0 0 0 .", "record-srv");
        let address = record("A", "203.0.113.9", "record-address");
        assert_eq!(check(&srv, &["0 1 465 Mail.box.test"]), Check::Right);
        assert_eq!(check(&none, &["0 0 0 ."]), Check::Right);
        assert!(is_different(check(&srv, &["0 1 587 mail.box.test"])));
        assert_eq!(check(&address, &["198.51.100.1", "203.0.113.9"]), Check::Right);
        assert!(is_different(check(&address, &["198.51.100.1"])));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn mail_comes_where_the_lowest_preference_leads() {
        let mx = record("MX", "10 mail.box.test.", "record-mx");
        let facts = Facts {
            hostname: "mail.box.test".into(),
            address: Some("203.0.113.9".parse().unwrap()),
            ..Facts::default()
        };
        let table: [(&[(u16, &str)], bool); 6] = [
            (&[(10, "Mail.Box.test")], true),
            (&[(10, "mail.box.test"), (20, "elsewhere.test")], true),
            (&[(5, "elsewhere.test"), (10, "mail.box.test")], false),
            (&[(10, "elsewhere.test"), (10, "mail.box.test")], false),
            (&[(5, "other-name.test"), (10, "mail.box.test")], true),
            (&[(0, ".")], false),
        ];
        for (records, is_right) in table {
            let world = World::new().await;
            for (preference, host) in records {
                world.zone.mx("box.test", *preference, host);
            }
            world.zone.address("elsewhere.test", "198.51.100.7".parse().unwrap());
            world.zone.address("other-name.test", "203.0.113.9".parse().unwrap());
            let check = look(&world.handles.dns, &facts, "box.test", &mx).await;
            assert_eq!(
                (check == Check::Right, is_different(check)),
                (is_right, !is_right),
                "{records:?}"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_receivers_see_of_senders_counts() {
        let spf = record("TXT", "v=spf1 mx ~all", "record-spf");
        let known = Facts {
            hostname: "mail.box.test".into(),
            address: Some("203.0.113.9".parse().unwrap()),
            ..Facts::default()
        };
        let unknown = Facts { address: None, ..known.clone() };
        let provider = Facts { sends: Sends::ThroughProvider, ..known.clone() };
        let elsewhere = "v=spf1 ip4:198.51.100.77 -all";
        let table: [(&[&str], &Facts, bool); 10] = [
            (&["v=spf1 mx ~all"], &known, true),
            (&["v=spf1 mx ~all", "google-site-verification=x"], &unknown, true),
            (&["v=spf1 ip4:203.0.113.8/30 -all"], &known, true),
            (&[elsewhere], &known, false),
            (&["v=spf1 a -all"], &known, false),
            (&["v=spf1 -all mx"], &known, false),
            (&["v=spf1 mx -all", "v=spf1 mx ~all"], &known, false),
            (&["\"v=spf1 mx ~all\""], &known, false),
            (&[elsewhere], &provider, true),
            (&["v=spf1 mx ~all oops"], &known, false),
        ];
        for (texts, facts, is_right) in table {
            let world = World::new().await;
            world.zone.mx("box.test", 10, "mail.box.test");
            world.zone.address("mail.box.test", "203.0.113.9".parse().unwrap());
            world.zone.address("box.test", "198.51.100.7".parse().unwrap());
            texts.iter().for_each(|text| world.zone.txt("box.test", text));
            let check = look(&world.handles.dns, facts, "box.test", &spf).await;
            assert_eq!(
                (check == Check::Right, is_different(check.clone())),
                (is_right, !is_right),
                "{texts:?} {check:?}"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_name_with_the_domain_twice_is_found() {
        let world = World::new().await;
        let dns = &world.handles.dns;
        let name = "pb1._domainkey.box.test".to_string();
        let dkim = DnsRecord { name, ..record("TXT", "v=DKIM1; k=rsa; p=ABC", "record-dkim") };
        assert_eq!(look(dns, &Facts::default(), "box.test", &dkim).await, Check::Missing);
        world.zone.txt("pb1._domainkey.box.test.box.test", "v=DKIM1; k=rsa; p=ABC");
        world.zone.txt("other.box.test.box.test", "unrelated");
        dns.clear_cache();
        let there = "pb1._domainkey.box.test.box.test: v=DKIM1; k=rsa; p=ABC";
        assert_eq!(
            look(dns, &Facts::default(), "box.test", &dkim).await,
            Check::Different(there.into())
        );
        let other = DnsRecord {
            name: "other.box.test".into(),
            ..record("TXT", "v=DMARC1; p=none", "record-dmarc")
        };
        assert_eq!(look(dns, &Facts::default(), "box.test", &other).await, Check::Missing);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(v=(DKIM1|DMARC1|spf1|TLSRPTv1))?[;= a-z\"\\\\\\PC]{0,40}") {
            for (value, key) in [("v=DKIM1; p=A", "record-dkim"), ("v=DMARC1; p=none", "record-dmarc"), ("v=TLSRPTv1; rua=mailto:x", "record-tls-reports"), ("v=STSv1; id=1", "record-sts")] {
                let _ = check(&record("TXT", value, key), &[&text]);
            }
        }
    }
}
