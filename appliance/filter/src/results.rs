//! What was found, as a field for people's programs (RFC 8601).

use std::fmt::Write;
use std::net::IpAddr;

use crate::authentication::{Authentication, Spf};
use crate::dmarc::Policy;
use crate::{dkim, dmarc, iprev, spf};

/// The field's name.
pub const FIELD: &str = "Authentication-Results";

/// The field, with its line end.
/// `hostname`: who says it; `address`: of the other server.
pub fn field(hostname: &str, address: IpAddr, found: &Authentication) -> String {
    // Of an IPv6 address the colons need quotes (RFC 2045 §5.1).
    let address = if address.is_ipv6() { format!("\"{address}\"") } else { address.to_string() };
    let mut results = Vec::new();
    results.extend(found.sender.as_ref().map(|spf| sender(spf, found.hello.as_ref())));
    results.extend(found.signatures.iter().map(signature));
    if found.signatures.is_empty() {
        results.push("dkim=none".into());
    }
    results.extend(found.authors.iter().map(author));
    results.push(match &found.name {
        iprev::Outcome::Pass(name) => {
            format!("iprev=pass ({}) policy.iprev={address}", shown(name))
        }
        iprev::Outcome::Fail => format!("iprev=fail policy.iprev={address}"),
        iprev::Outcome::Temporary => format!("iprev=temperror policy.iprev={address}"),
    });
    let mut field = format!("{FIELD}: {}", shown(hostname));
    for result in results {
        let _ = write!(field, ";\r\n\t{result}");
    }
    field + "\r\n"
}

fn sender(spf: &Spf, hello: Option<&Spf>) -> String {
    // Where there is no reverse-path it is the name said in EHLO.
    let property = if Some(spf) == hello { "helo" } else { "mailfrom" };
    format!("spf={} smtp.{property}={}", spf_word(&spf.outcome), shown(&spf.domain))
}

fn signature(signature: &dkim::Judged) -> String {
    let word = match signature.outcome {
        dkim::Outcome::Pass => "pass",
        dkim::Outcome::Fail => "fail",
        dkim::Outcome::Policy => "policy",
        dkim::Outcome::Neutral => "neutral",
        dkim::Outcome::Temporary => "temperror",
        dkim::Outcome::Permanent => "permerror",
    };
    match signature.domain.is_empty() {
        true => format!("dkim={word}"),
        false => format!(
            "dkim={word} header.d={} header.s={} header.b=\"{}\"",
            shown(&signature.domain),
            shown(&signature.selector),
            signature.mark
        ),
    }
}

fn author(author: &dmarc::Judged) -> String {
    let word = match author.outcome {
        dmarc::Outcome::None => "none",
        dmarc::Outcome::Pass => "pass",
        dmarc::Outcome::Fail => "fail",
        dmarc::Outcome::Temporary => "temperror",
    };
    let policy =
        author.policy.map_or(String::new(), |policy| format!(" (p={})", policy_word(policy)));
    format!("dmarc={word}{policy} header.from={}", shown(&author.domain))
}

/// A policy as records have it (RFC 9989 §4.7).
pub fn policy_word(policy: Policy) -> &'static str {
    match policy {
        Policy::Reject => "reject",
        Policy::Quarantine => "quarantine",
        Policy::None | Policy::Unspecified => "none",
    }
}

/// RFC 8601 §2.7.2.
fn spf_word(outcome: &spf::Outcome) -> &'static str {
    match outcome {
        Ok(spf::Verdict::None) => "none",
        Ok(spf::Verdict::Neutral) => "neutral",
        Ok(spf::Verdict::Pass) => "pass",
        Ok(spf::Verdict::Fail) => "fail",
        Ok(spf::Verdict::SoftFail) => "softfail",
        Err(spf::Trouble::Unknown(_)) => "temperror",
        Err(spf::Trouble::Wrong) => "permerror",
    }
}

/// A name that others chose, where it can do no harm: letters of names only, and not too many.
fn shown(name: &str) -> String {
    let is_of_names = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let text: String = name.chars().filter(is_of_names).take(255).collect();
    if text.is_empty() { "unknown".into() } else { text }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_field_says_what_was_found_and_nothing_that_others_slip_in() {
        let spf = |domain: &str, outcome| Some(Spf { domain: domain.into(), outcome });
        let mut found = Authentication {
            hello: spf("mail.a.example", Ok(spf::Verdict::None)),
            sender: spf("a.example", Ok(spf::Verdict::Pass)),
            signatures: vec![
                dkim::Judged {
                    domain: "a.example".into(),
                    selector: "s1;\r\n dmarc=pass".into(),
                    outcome: dkim::Outcome::Pass,
                    mark: "Ab+/cdef".into(),
                },
                dkim::Judged {
                    domain: String::new(),
                    selector: String::new(),
                    outcome: dkim::Outcome::Neutral,
                    mark: String::new(),
                },
            ],
            authors: vec![dmarc::Judged {
                domain: "a.example".into(),
                outcome: dmarc::Outcome::Pass,
                policy: Some(Policy::Reject),
            }],
            name: iprev::Outcome::Pass("mail.a.example".into()),
            addresses: Vec::new(),
            reverse_path: String::new(),
            posing: Vec::new(),
            listed: Vec::new(),
            is_whole: true,
            took: Duration::ZERO,
        };
        let address = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(
            field("mail.box.example", address, &found),
            "Authentication-Results: mail.box.example;\r\n\tspf=pass smtp.mailfrom=a.example;\r\n\t\
             dkim=pass header.d=a.example header.s=s1dmarcpass header.b=\"Ab+/cdef\";\r\n\tdkim=neutral;\r\n\t\
             dmarc=pass (p=reject) header.from=a.example;\r\n\tiprev=pass (mail.a.example) policy.iprev=192.0.2.1\r\n"
        );
        found.sender = found.hello.clone();
        found.signatures.clear();
        found.authors.clear();
        found.name = iprev::Outcome::Temporary;
        assert_eq!(
            field("mail.box.example", "2001:db8::1".parse().unwrap(), &found),
            "Authentication-Results: mail.box.example;\r\n\tspf=none smtp.helo=mail.a.example;\r\n\tdkim=none;\r\n\t\
             iprev=temperror policy.iprev=\"2001:db8::1\"\r\n"
        );
    }
}
