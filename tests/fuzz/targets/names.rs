//! What comes by DNS, from whoever has a domain: records are read or refused as a whole, and what follows from them
//! stays within its bounds.
#![no_main]
#![allow(dead_code)] // the target uses some of what it includes

#[path = "../../../appliance/outbound/src/exchangers.rs"]
mod exchangers;
#[path = "../../../appliance/outbound/src/policy.rs"]
mod policy;
#[path = "../../../appliance/filter/src/spf/record.rs"]
mod spf;
#[path = "../../../appliance/office/src/records/texts.rs"]
mod texts;

use std::net::IpAddr;

use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use libfuzzer_sys::fuzz_target;
use pillarbox_platform::dns::{Answer, DnsError, datagram};

use exchangers::{Hosts, NoHosts, order};
use policy::{Mode, Policy, record_id};
use spf::{Mechanism, Sender, Term};

const OWN: &str = "mail.box.test";

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 5 {
        0 => answer(data),
        1 => spf_record(&String::from_utf8_lossy(data)),
        2 => policies(&String::from_utf8_lossy(data)),
        3 => keys(&String::from_utf8_lossy(data)),
        _ => hosts(data),
    }
});

/// An answer, whole or cut: no more records than octets can hold, and of a cut answer no others than of the whole one.
fn answer(data: &[u8]) {
    let name = Name::from_ascii("a.test.").expect("a name");
    let query = Query::query(name, RecordType::MX);
    let question =
        [0, 7, 0x80, 0, 0, 1, 0, 9, 0, 0, 0, 0, 1, b'a', 4, b't', b'e', b's', b't', 0, 0, 15, 0, 1];
    let framed: Vec<u8> = question.iter().chain(data).copied().collect();
    for octets in [data, &framed] {
        let Some(whole) = datagram::read(octets, 7, &query) else { continue };
        assert!(whole.len() <= octets.len() / 11);
        assert!(
            whole.is_empty()
                || whole.iter().any(|record| matches!(record.data, RData::MX(_))
                    || record.record_type() == RecordType::MX)
        );
        if let Some(cut) = datagram::read(&octets[..octets.len() / 2], 7, &query) {
            assert!(cut.len() <= whole.len() && cut[..] == whole[..cut.len()]);
        }
    }
}

/// SPF: every name that a term leads to can be asked for, whoever sends.
fn spf_record(text: &str) {
    let Some(terms) = spf::parse(text) else { return };
    for (address, other) in [("203.0.113.9", "2001:db8::9"), ("2001:db8::9", "203.0.113.9")] {
        let (address, other): (IpAddr, IpAddr) =
            (address.parse().expect("an address"), other.parse().expect("an address"));
        let sender =
            Sender { address, local: "ann", origin: "box.test", helo: OWN, name: "mx.box.test" };
        for term in &terms {
            let spec = match term {
                Term::Redirect(spec)
                | Term::Mechanism(_, Mechanism::Include(spec) | Mechanism::Exists(spec)) => {
                    Some(spec)
                }
                Term::Mechanism(
                    _,
                    Mechanism::A(spec, prefixes) | Mechanism::Mx(spec, prefixes),
                ) => {
                    assert!(prefixes.cover(address, address) && !prefixes.cover(other, address));
                    spec.as_ref()
                }
                Term::Mechanism(_, Mechanism::Ptr(spec)) => spec.as_ref(),
                Term::Mechanism(_, Mechanism::Ip(block)) => {
                    assert!(!(block.contains(address) && block.contains(other)));
                    None
                }
                Term::Mechanism(_, Mechanism::All) | Term::Explanation | Term::Other => None,
            };
            if let Some(name) = spec.and_then(|spec| sender.expand(spec, "box.test")) {
                assert!(name.len() <= 253);
            }
        }
    }
}

/// MTA-STS: a policy that is enforced names hosts, and an id is short and plain.
fn policies(text: &str) {
    if let Some(policy) = Policy::parse(text) {
        assert!(
            policy.max_age <= 31_557_600 && (policy.mode == Mode::None || !policy.mx.is_empty())
        );
        assert!(!policy.names(""));
        for host in &policy.mx {
            assert!(host.starts_with("*.") || policy.names(host));
        }
    }
    if let Some(id) = record_id(&text.lines().map(str::to_string).collect::<Vec<_>>()) {
        assert!(
            (1..=32).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric())
        );
    }
}

/// DKIM, DMARC and TLS reports: a record that is judged right is right beside itself.
fn keys(text: &str) {
    let _ = (texts::is_dmarc(text), texts::is_tls_reports(text), texts::without_spaces(text));
    let (found, ours) = text.split_once('\n').unwrap_or((text, "v=DKIM1; k=rsa; p=ABCDEF"));
    if texts::is_same_key(found, ours) {
        assert!(texts::is_same_key(found, found));
    }
}

/// Exchangers: each one once, best first, never this box and never nowhere.
fn hosts(data: &[u8]) {
    let (first, rest) = data.split_at(data.len().min(1));
    let record = |line: &[u8]| {
        let (preference, name) = line.split_first()?;
        Some((u16::from(*preference), String::from_utf8_lossy(name).into_owned()))
    };
    let records: Vec<(u16, String)> =
        rest.split(|octet| *octet == b'\n').filter_map(record).collect();
    let answer = match first {
        [b'0'] => Err(DnsError::NoData),
        [b'1'] => Err(DnsError::NoSuchName),
        [b'2'] => Err(DnsError::Temporary("later".into())),
        _ => Ok(Answer { records: records.clone(), is_proven: false }),
    };
    let is_known = answer.is_ok();
    let mut chance = 0u32;
    let random = || {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        chance
    };
    match order("x.test", OWN, answer, random) {
        Ok(Hosts { names, .. }) if is_known => {
            assert!(records.is_empty() == names.is_empty());
            let preference = |name: &String| {
                records
                    .iter()
                    .filter(|(_, known)| known == name)
                    .map(|(preference, _)| *preference)
                    .min()
            };
            assert!(names.iter().all(|name| name != "." && !name.eq_ignore_ascii_case(OWN)));
            assert!(names.windows(2).all(|pair| preference(&pair[0]) <= preference(&pair[1])));
            assert!((1..names.len()).all(|at| !names[..at].contains(&names[at])), "{names:?}");
        }
        Ok(Hosts { names, .. }) => assert_eq!(names, ["x.test"]),
        Err(NoHosts::Never(why) | NoHosts::NotNow(why)) => assert!(!why.to_string().is_empty()),
    }
}
