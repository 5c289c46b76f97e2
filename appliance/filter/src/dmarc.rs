//! Whether a message is from the domain that its reader sees (RFC 9989): what that domain publishes, and whether what
//! was proven is aligned with it.

use std::collections::HashMap;

use mail_auth::common::parse::TxtRecordParser;
pub use mail_auth::dmarc::Policy;
use mail_auth::dmarc::{Alignment, Dmarc, Psd};
use pillarbox_platform::dns::{Dns, DnsError};

/// Longer names are asked for at so many labels next, after they were asked for whole (§4.10): eight questions in all.
const LABELS: usize = 7;

/// What is concluded of an author's domain (RFC 8601 §2.7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The domain publishes nothing.
    None,
    Pass,
    Fail,
    /// It can't be told now.
    Temporary,
}

/// An author's domain, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// As it is registered.
    pub domain: String,
    pub outcome: Outcome,
    /// What the domain asks receivers to do with what fails; `None` while it publishes nothing.
    pub policy: Option<Policy>,
}

/// By what a domain was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    Spf,
    Dkim,
}

/// A domain that was proven, or would be if the DNS had answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// As it is registered.
    pub domain: String,
    pub means: Means,
    /// False: that can't be told now.
    pub is_proven: bool,
}

/// The DNS could not answer now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unknown;

/// What was found on the way up from a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Walk {
    /// The organization's domain (§4.10.2).
    organization: String,
    /// Records with their names, from the longest on.
    records: Vec<(String, Dmarc)>,
}

/// Walks up from names, and remembers what it found.
pub struct Walker<'a> {
    dns: &'a Dns,
    known: HashMap<String, Result<Walk, Unknown>>,
}

impl<'a> Walker<'a> {
    pub fn new(dns: &'a Dns) -> Walker<'a> {
        Walker { dns, known: HashMap::new() }
    }

    /// Judges an author's domain, in its registered form.
    pub async fn judge(&mut self, author: &str, identifiers: &[Identifier]) -> Judged {
        let judged = |outcome, policy| Judged { domain: author.to_string(), outcome, policy };
        let Ok(walk) = self.walk(author).await else { return judged(Outcome::Temporary, None) };
        let Some((name, record)) = applied(author, &walk) else {
            return judged(Outcome::None, None);
        };
        // Only then it matters whether there is such a name.
        let exists = name == author || record.np == record.sp || self.exists(author).await;
        let Some(policy) = policy(record, name == author, exists) else {
            return judged(Outcome::None, None);
        };
        let mut outcome = Outcome::Fail;
        for identifier in identifiers {
            let is_strict = match identifier.means {
                Means::Spf => record.aspf == Alignment::Strict,
                Means::Dkim => record.adkim == Alignment::Strict,
            };
            let aligned = match identifier.domain == author {
                true => Ok(true),
                false if is_strict => Ok(false),
                false => self
                    .walk(&identifier.domain)
                    .await
                    .map(|other| other.organization == walk.organization),
            };
            match aligned {
                Ok(true) if identifier.is_proven => return judged(Outcome::Pass, Some(policy)),
                Ok(false) => {}
                Ok(true) | Err(Unknown) => outcome = Outcome::Temporary,
            }
        }
        judged(outcome, Some(policy))
    }

    async fn exists(&self, name: &str) -> bool {
        !matches!(self.dns.addresses(name).await, Err(DnsError::NoSuchName))
    }

    /// The tree walk (§4.10).
    async fn walk(&mut self, start: &str) -> Result<Walk, Unknown> {
        if let Some(known) = self.known.get(start) {
            return known.clone();
        }
        let found = self
            .look(start)
            .await
            .map(|records| Walk { organization: organization(start, &records), records });
        self.known.insert(start.to_string(), found.clone());
        found
    }

    async fn look(&self, start: &str) -> Result<Vec<(String, Dmarc)>, Unknown> {
        let mut records = Vec::new();
        for name in steps(start) {
            match self.dns.txt(&format!("_dmarc.{name}")).await {
                Ok(answer) => {
                    let Some(record) = only_record(&answer.records) else { continue };
                    let is_end = matches!(record.psd, Psd::Yes | Psd::No);
                    records.push((name.to_string(), record));
                    if is_end {
                        break;
                    }
                }
                Err(DnsError::NoSuchName | DnsError::NoData) => {}
                Err(DnsError::Temporary(_)) => return Err(Unknown),
            }
        }
        Ok(records)
    }
}

/// The names that are asked for, from a name up to the top.
fn steps(start: &str) -> Vec<&str> {
    let labels = start.split('.').count();
    let shorter = |count: usize| {
        let skipped: usize =
            start.split('.').take(labels - count).map(|label| label.len() + 1).sum();
        &start[skipped..]
    };
    let next = if labels > LABELS { LABELS } else { labels.saturating_sub(1) };
    std::iter::once(start).chain((1..=next).rev().map(shorter)).collect()
}

/// The record among a name's texts; of several none counts (§4.10).
fn only_record(texts: &[String]) -> Option<Dmarc> {
    let mut records = texts.iter().filter_map(|text| Dmarc::parse(text.as_bytes()).ok());
    records.next().filter(|_| records.next().is_none())
}

/// The organization's domain (§4.10.2): where a record says so, else the shortest name that has one, else the name
/// itself.
fn organization(start: &str, records: &[(String, Dmarc)]) -> String {
    for (name, record) in records {
        match record.psd {
            Psd::No => return name.clone(),
            // A public suffix: the organization is one label below it.
            Psd::Yes if name != start => return below(start, name),
            _ => {}
        }
    }
    records.last().map_or(start, |(name, _)| name).to_string()
}

/// The name one label longer than `suffix` on the way to `start`.
fn below(start: &str, suffix: &str) -> String {
    let front = start.strip_suffix(suffix).unwrap_or_default().trim_end_matches('.');
    let label = front.rsplit('.').next().unwrap_or_default();
    format!("{label}.{suffix}")
}

/// The record that counts for an author (§4.10.1): its own, else the organization's, else that of the public suffix.
fn applied<'w>(author: &str, walk: &'w Walk) -> Option<(&'w str, &'w Dmarc)> {
    let of = |wanted: &str| walk.records.iter().find(|(name, _)| name == wanted);
    let suffix = || walk.records.iter().find(|(_, record)| record.psd == Psd::Yes);
    of(author)
        .or_else(|| of(&walk.organization))
        .or_else(suffix)
        .map(|(name, record)| (&name[..], record))
}

/// What the record asks for (§4.7): `p` for its own name, `np` for names that there are not, `sp` for others.
/// `None`: it asks for nothing and wants no reports either, so it is no record.
fn policy(record: &Dmarc, is_own: bool, exists: bool) -> Option<Policy> {
    if record.p == Policy::Unspecified {
        return (!record.rua.is_empty()).then_some(Policy::None);
    }
    let stated = match (is_own, exists) {
        (true, _) => record.p,
        (false, true) => record.sp,
        (false, false) => record.np,
    };
    // While a domain tests, one step less is done.
    Some(match (stated, record.t) {
        (Policy::Reject, true) => Policy::Quarantine,
        (Policy::Quarantine, true) | (Policy::Unspecified, _) => Policy::None,
        (stated, _) => stated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_asked_for_at_most_eight_times() {
        assert_eq!(steps("a.example.org"), ["a.example.org", "example.org", "org"]);
        assert_eq!(steps("org"), ["org"]);
        assert_eq!(steps("1.2.3.4.5.6.7.8.9.example.org").len(), 8);
        assert_eq!(steps("1.2.3.4.5.6.7.8.9.example.org")[1], "5.6.7.8.9.example.org");
        assert_eq!(steps("2.3.4.5.6.example.org").len(), 7);
        assert_eq!(steps("1.2.3.4.5.6.example.org").len(), 8);
    }

    fn records(of: &[(&str, &str)]) -> Vec<(String, Dmarc)> {
        of.iter()
            .map(|(name, text)| (name.to_string(), Dmarc::parse(text.as_bytes()).unwrap()))
            .collect()
    }

    #[test]
    fn the_organization_is_where_records_say() {
        let plain = "v=DMARC1; p=none";
        for (start, found, expected) in [
            (
                "a.b.example.org",
                &[("a.b.example.org", plain), ("example.org", plain)][..],
                "example.org",
            ),
            ("a.b.example.org", &[], "a.b.example.org"),
            ("a.b.example.org", &[("b.example.org", "v=DMARC1; p=none; psd=n")], "b.example.org"),
            ("a.b.co.uk", &[("a.b.co.uk", plain), ("co.uk", "v=DMARC1; p=none; psd=y")], "b.co.uk"),
            ("co.uk", &[("co.uk", "v=DMARC1; p=none; psd=y")], "co.uk"),
        ] {
            assert_eq!(organization(start, &records(found)), expected, "{start} {found:?}");
        }
    }

    #[test]
    fn a_policy_is_for_the_name_those_below_and_those_that_are_not() {
        let record = |text: &str| Dmarc::parse(text.as_bytes()).unwrap();
        let all = "v=DMARC1; p=reject; sp=quarantine; np=none";
        for (text, is_own, exists, expected) in [
            (all, true, true, Some(Policy::Reject)),
            (all, false, true, Some(Policy::Quarantine)),
            (all, false, false, Some(Policy::None)),
            ("v=DMARC1; p=reject", false, false, Some(Policy::Reject)),
            ("v=DMARC1; p=reject; t=y", true, true, Some(Policy::Quarantine)),
            ("v=DMARC1; p=quarantine; t=y", true, true, Some(Policy::None)),
            ("v=DMARC1; rua=mailto:x@example.org", true, true, Some(Policy::None)),
            ("v=DMARC1", true, true, None),
        ] {
            assert_eq!(policy(&record(text), is_own, exists), expected, "{text}");
        }
        let one =
            |texts: &[&str]| only_record(&texts.iter().map(|t| t.to_string()).collect::<Vec<_>>());
        assert!(one(&["v=spf1 -all", "v=DMARC1; p=none"]).is_some());
        assert!(
            one(&["v=DMARC1; p=none", "v=DMARC1; p=reject"]).is_none()
                && one(&["p=none"]).is_none()
        );
    }
}
