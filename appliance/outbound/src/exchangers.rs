//! The hosts of a domain, in the order in which they are tried.

use pillarbox_platform::dns::{Answer, DnsError};
use pillarbox_store::Detail;

/// Most hosts of a domain that are tried in one attempt.
const HOSTS: usize = 8;

/// Why a domain has no hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoHosts {
    Never(Detail),
    NotNow(Detail),
}

/// The hosts of a domain, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    pub names: Vec<String>,
    /// DNSSEC proved that these are the hosts, or nothing is between them and the domain's name.
    pub is_proven: bool,
}

/// Orders what MX said (RFC 5321 §5.1): by preference, at random within one, and nothing at or behind ourselves.
pub fn order(
    domain: &str,
    own_name: &str,
    answer: Result<Answer<(u16, String)>, DnsError>,
    mut random: impl FnMut() -> u32,
) -> Result<Hosts, NoHosts> {
    let Answer { mut records, is_proven } = match answer {
        Ok(answer) => answer,
        // No MX: the domain itself is the host (implicit MX).
        // No name was looked up that could be a wrong one, so its own records prove as much as they can (RFC 7672
        // §2.2.2).
        Err(DnsError::NoData) => {
            return Ok(Hosts { names: vec![domain.to_string()], is_proven: true });
        }
        Err(DnsError::NoSuchName) => {
            return Err(NoHosts::Never(Detail::found(
                5,
                1,
                2,
                format!("The domain {domain} does not exist"),
            )));
        }
        Err(DnsError::Temporary(why)) => return Err(NoHosts::NotNow(Detail::found(4, 4, 3, why))),
    };
    if !records.is_empty() && records.iter().all(|(_, name)| name == ".") {
        // RFC 7505 §3.
        return Err(NoHosts::Never(Detail::found(
            5,
            1,
            10,
            format!("The domain {domain} says that it takes no mail (null MX)"),
        )));
    }
    records.retain(|(_, name)| name != ".");
    if let Some(own) = records
        .iter()
        .filter(|(_, name)| name.eq_ignore_ascii_case(own_name))
        .map(|(p, _)| *p)
        .min()
    {
        records.retain(|(preference, _)| *preference < own);
        if records.is_empty() {
            return Err(NoHosts::Never(Detail::found(
                5,
                4,
                6,
                format!(
                    "The mail exchanger of {domain} is this box, which does not serve the domain"
                ),
            )));
        }
    }
    let mut keyed: Vec<(u16, u32, String)> =
        records.into_iter().map(|(preference, name)| (preference, random(), name)).collect();
    keyed.sort();
    let mut names: Vec<String> = Vec::new();
    for (_, _, name) in keyed {
        // A host that is there twice is tried once, as its better preference has it.
        if !names.contains(&name) && names.len() < HOSTS {
            names.push(name);
        }
    }
    Ok(Hosts { names, is_proven })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(records: &[(u16, &str)], randoms: &[u32]) -> Result<Hosts, NoHosts> {
        let records = records.iter().map(|(p, n)| (*p, n.to_string())).collect();
        let mut randoms = randoms.iter().copied().cycle();
        order("x.example", "box.example", Ok(Answer { records, is_proven: false }), || {
            randoms.next().unwrap()
        })
    }

    #[test]
    fn preference_first_then_chance() {
        let names = |randoms| ordered(&[(20, "c"), (10, "a"), (10, "b")], randoms).unwrap().names;
        assert_eq!(names(&[0, 1, 2]), ["a", "b", "c"]);
        assert_eq!(names(&[0, 2, 1]), ["b", "a", "c"]);
    }

    #[test]
    fn null_mx_and_ourselves_end_the_search() {
        assert!(
            matches!(ordered(&[(0, ".")], &[0]), Err(NoHosts::Never(why)) if why.to_string().starts_with("5.1.10"))
        );
        assert!(
            matches!(ordered(&[(10, "box.example"), (20, "b")], &[0]), Err(NoHosts::Never(why)) if why.to_string().starts_with("5.4.6"))
        );
        assert!(
            matches!(ordered(&[(0, "."), (10, ".")], &[0]), Err(NoHosts::Never(why)) if why.to_string().starts_with("5.1.10"))
        );
        assert_eq!(ordered(&[(0, "."), (10, "b")], &[0]).unwrap().names, ["b"]);
        assert_eq!(
            ordered(&[(20, "a"), (10, "b"), (10, "a"), (30, "b")], &[0]).unwrap().names,
            ["a", "b"]
        );
        assert_eq!(
            ordered(&[(5, "a"), (10, "Box.Example"), (20, "b")], &[0]).unwrap().names,
            ["a"]
        );
        let answer = |error| order("x.example", "box.example", Err(error), || 0);
        assert_eq!(answer(DnsError::NoData).unwrap().names, ["x.example"]);
        assert!(matches!(answer(DnsError::NoSuchName), Err(NoHosts::Never(_))));
        assert!(matches!(answer(DnsError::Temporary("t".into())), Err(NoHosts::NotNow(_))));
    }
}
