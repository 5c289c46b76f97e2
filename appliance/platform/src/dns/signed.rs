//! Whether a name is in a signed zone, when its answers could not be proven: mail for an unsigned domain goes on
//! without proof, mail for a signed one waits.
//!
//! Zone cuts are found by DS, which the parent's servers answer (RFC 4035 §3.1.4.1).
//! The domain's own servers may answer anything to questions about NS: many balancers know nothing but addresses.

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError as NetDnsError, NetError};
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, NSEC3};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::DnsError;
use super::plain::Plain;

/// What was found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// Every delegation down to the name has keys, or that could not be found out.
    Signed,
    /// A delegation on the way has none: proven, or the parent says so.
    Unsigned,
}

/// What a parent says of a name below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delegation {
    Keys,
    /// A zone of its own, without keys.
    NoKeys,
    /// No zone of its own.
    None,
    /// No keys, and nothing that says whether it is a zone.
    Unclear,
    Unknown,
}

/// Looks from the trusted zones down.
/// `anchors`: the zones whose keys are known here.
pub async fn signing(
    proving: &TokioResolver,
    plain: &Plain,
    anchors: &[Name],
    name: &Name,
) -> Signing {
    let Some(top) =
        anchors.iter().filter(|anchor| anchor.zone_of(name)).map(Name::num_labels).max()
    else {
        return Signing::Unsigned;
    };
    for labels in top + 1..=name.num_labels() {
        let zone = name.trim_to(usize::from(labels));
        let delegation = match delegation(proving, &zone).await {
            Delegation::Unknown => unproven_delegation(plain, &zone).await,
            known => known,
        };
        match delegation {
            Delegation::Keys | Delegation::None => {}
            Delegation::NoKeys => return Signing::Unsigned,
            Delegation::Unclear if is_cut(plain, &zone).await => return Signing::Unsigned,
            Delegation::Unclear => {}
            Delegation::Unknown => return Signing::Signed,
        }
    }
    Signing::Signed
}

/// What the parent says, with proof.
async fn delegation(proving: &TokioResolver, zone: &Name) -> Delegation {
    match proving.lookup(zone.clone(), RecordType::DS).await {
        Ok(_) => Delegation::Keys,
        Err(NetError::Dns(NetDnsError::NoRecordsFound(none))) => match &none.authorities {
            Some(authorities) => of_denial(zone, authorities),
            None => Delegation::Unclear,
        },
        Err(_) => Delegation::Unknown,
    }
}

/// What the records say that deny keys (RFC 6840 §4.4: an NSEC of a delegation has NS and no SOA).
fn of_denial(zone: &Name, authorities: &[Record]) -> Delegation {
    let mut otherwise = Delegation::Unclear;
    for record in authorities.iter().filter(|record| record.proof.is_secure()) {
        let (is_ours, types) = match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(nsec)) => (record.name == *zone, nsec.type_set()),
            RData::DNSSEC(DNSSECRData::NSEC3(nsec3)) => {
                // With opt-out only unsigned delegations have no record of their own (RFC 5155 §6).
                if nsec3.opt_out() {
                    otherwise = Delegation::NoKeys;
                }
                (is_of(zone, &record.name, nsec3), nsec3.type_set())
            }
            _ => continue,
        };
        if otherwise == Delegation::Unclear {
            otherwise = Delegation::None;
        }
        if is_ours {
            return match types.contains(RecordType::NS) && !types.contains(RecordType::SOA) {
                true => Delegation::NoKeys,
                false => Delegation::None,
            };
        }
    }
    otherwise
}

/// Whether an NSEC3 record is that of a name (RFC 5155 §3).
fn is_of(zone: &Name, owner: &Name, nsec3: &NSEC3) -> bool {
    let hash = nsec3.hash_algorithm().hash(nsec3.salt(), zone, nsec3.iterations());
    let label = owner.iter().next().map(|label| label.to_ascii_lowercase());
    hash.ok().map(|hash| base32hex(hash.as_ref())) == label
}

/// RFC 4648 §7, lower case, without padding: an SHA-1 hash fills it evenly.
fn base32hex(octets: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut out = Vec::new();
    for group in octets.chunks(5) {
        let bits = group.iter().fold(0u64, |bits, octet| bits << 8 | u64::from(*octet))
            << (8 * (5 - group.len()));
        out.extend((0..8).map(|at| ALPHABET[(bits >> (35 - 5 * at)) as usize & 31]));
    }
    out
}

/// What the parent says where it can't be proven.
async fn unproven_delegation(plain: &Plain, zone: &Name) -> Delegation {
    match plain.lookup(zone, RecordType::DS).await {
        Ok(_) => Delegation::Keys,
        Err(DnsError::NoData | DnsError::NoSuchName) => Delegation::Unclear,
        Err(DnsError::Temporary(_)) => Delegation::Unknown,
    }
}

/// Whether a name is a zone of its own, as far as its servers tell.
/// A name within a healthy zone has its answer: nothing of this kind here.
/// Servers that fail at it are other ones than those that just answered for the parent.
async fn is_cut(plain: &Plain, zone: &Name) -> bool {
    match plain.lookup(zone, RecordType::SOA).await {
        Ok(records) => records.iter().any(|record| record.name == *zone),
        Err(DnsError::NoSuchName | DnsError::NoData) => {
            plain.lookup(zone, RecordType::NS).await.is_ok()
        }
        Err(DnsError::Temporary(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_of_keys_says_whether_there_is_a_zone() {
        use hickory_resolver::proto::dnssec::rdata::NSEC;
        use hickory_resolver::proto::dnssec::{Nsec3HashAlgorithm, Proof};
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let zone = name("a.example.");
        let record = |owner: &str, data, proof| {
            let mut record = Record::from_rdata(name(owner), 60, RData::DNSSEC(data));
            record.proof = proof;
            record
        };
        let nsec = |owner: &str, kinds: &[RecordType], proof| {
            record(
                owner,
                DNSSECRData::NSEC(NSEC::new(name("z.example."), kinds.iter().copied())),
                proof,
            )
        };
        let nsec3 = |owner: &str, opt_out, kinds: &[RecordType]| {
            let data = NSEC3::new(
                Nsec3HashAlgorithm::SHA1,
                opt_out,
                12,
                vec![0xaa, 0xbb, 0xcc, 0xdd],
                vec![0; 20],
                kinds.iter().copied(),
            );
            record(owner, DNSSECRData::NSEC3(data), Proof::Secure)
        };
        // The hash of a.example in RFC 5155 appendix A, and that of example.
        let (own, apex) = (
            "35mthgpgcu1qg68fab165klnsnk3dpvl.example.",
            "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.",
        );
        let (ns, mx, soa) = (RecordType::NS, RecordType::MX, RecordType::SOA);
        let table = [
            (vec![nsec("a.example.", &[ns], Proof::Secure)], Delegation::NoKeys),
            (vec![nsec("a.example.", &[mx], Proof::Secure)], Delegation::None),
            (vec![nsec("a.example.", &[ns, soa], Proof::Secure)], Delegation::None),
            (vec![nsec("a.example.", &[ns], Proof::Bogus)], Delegation::Unclear),
            // It denies the name itself.
            (vec![nsec("0.example.", &[mx], Proof::Secure)], Delegation::None),
            (vec![nsec3(apex, false, &[ns, soa]), nsec3(own, false, &[ns])], Delegation::NoKeys),
            (vec![nsec3(apex, true, &[ns, soa]), nsec3(own, true, &[mx])], Delegation::None),
            (vec![nsec3(apex, true, &[ns, soa])], Delegation::NoKeys),
            (vec![nsec3(apex, false, &[ns, soa])], Delegation::None),
            (vec![], Delegation::Unclear),
        ];
        for (authorities, expected) in table {
            assert_eq!(of_denial(&zone, &authorities), expected, "{authorities:?}");
        }
    }

    #[test]
    fn hashes_are_written_as_the_standard_has_them() {
        // RFC 4648 §10, and the first hash of RFC 5155 appendix A.
        assert_eq!(base32hex(b"fooba"), b"cpnmuoj1");
        let example = Name::from_ascii("example.").unwrap();
        let owner = Name::from_ascii("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.").unwrap();
        let nsec3 = NSEC3::new(
            hickory_resolver::proto::dnssec::Nsec3HashAlgorithm::SHA1,
            false,
            12,
            vec![0xaa, 0xbb, 0xcc, 0xdd],
            vec![0; 20],
            [RecordType::NS],
        );
        assert!(is_of(&example, &owner, &nsec3));
        assert!(!is_of(&Name::from_ascii("a.example.").unwrap(), &owner, &nsec3));
    }
}
