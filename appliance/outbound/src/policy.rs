//! MTA-STS policies (RFC 8461 §3): the record that announces one, and its text.

/// Longest `max_age` in seconds (RFC 8461 §3.2).
const MAX_AGE: u64 = 31_557_600;

/// How strict a policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Enforce,
    Testing,
    None,
}

/// A policy that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub mode: Mode,
    /// Names and `*.` patterns, lower case.
    pub mx: Vec<String>,
    /// Seconds.
    pub max_age: u64,
}

impl Policy {
    /// Reads a policy (RFC 8461 §3.2); `None` when it is none.
    pub fn parse(text: &str) -> Option<Policy> {
        // Of a field that is there twice the first one counts, whatever the second says.
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "version" => drop(version.get_or_insert(value)),
                "mode" => drop(mode.get_or_insert(value)),
                "max_age" => drop(max_age.get_or_insert(value)),
                "mx" => mx.extend(pattern(value)),
                _ => {}
            }
        }
        let mode = match mode? {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            "none" => Mode::None,
            _ => return None,
        };
        let max_age = max_age?.parse::<u64>().ok()?.min(MAX_AGE);
        (version? == "STSv1" && (mode == Mode::None || !mx.is_empty())).then_some(Policy {
            mode,
            mx,
            max_age,
        })
    }

    /// Whether a mail exchanger is one of those the policy names (RFC 8461 §4.1).
    pub fn names(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(suffix) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest == suffix),
            None => pattern == host,
        })
    }
}

/// A host's name or a `*.` pattern, in lower case; `None`: it is neither, and names no host.
fn pattern(text: &str) -> Option<String> {
    let text = text.trim_end_matches('.').to_ascii_lowercase();
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    let name = text.strip_prefix("*.").unwrap_or(&text);
    (name.len() <= 253 && name.split('.').all(is_label)).then_some(text)
}

/// The `id` in a domain's TXT records (RFC 8461 §3.1); `None` unless exactly one of them is for MTA-STS.
pub fn record_id(records: &[String]) -> Option<String> {
    // White space may be on both sides of a semicolon.
    let fields = |record: &str| {
        record.strip_prefix("v=STSv1").map(|rest| rest.trim_start_matches([' ', '\t']).to_string())
    };
    let mut ours = records
        .iter()
        .filter_map(|record| fields(record))
        .filter(|rest| rest.is_empty() || rest.starts_with(';'));
    let (fields, None) = (ours.next()?, ours.next()) else { return None };
    let id = fields.split(';').find_map(|field| field.trim().strip_prefix("id="))?.trim();
    let is_id = (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    is_id.then(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_the_standard_has_them() {
        let text = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nx: y\r\nmax_age: 604800\r\n";
        let policy = Policy::parse(text).unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, 604_800));
        for (host, is_named) in [
            ("mail.example.com", true),
            ("mx1.example.net", true),
            ("a.b.example.net", false),
            ("example.net", false),
            (".example.net", false),
            ("mail.example.org", false),
        ] {
            assert_eq!(policy.names(host), is_named, "{host}");
        }
        for bad in [
            "",
            "mode: enforce\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmax_age: 1",
            "version: STSv1\nmode: strict\nmx: a\nmax_age: 1",
            "version: STSv1\nmode: enforce\nmx: a",
        ] {
            assert_eq!(Policy::parse(bad), None, "{bad:?}");
        }
        assert_eq!(
            Policy::parse("version: STSv1\nmode: none\nmax_age: 99999999999").unwrap().max_age,
            MAX_AGE
        );
        let odd = "version: STSv1\nmode: enforce\nmx:\nmx: *.\nmx: *\nmx: a..b\nmx: a b\nmx: A.example.\nmax_age: 60\n";
        assert_eq!(Policy::parse(odd).unwrap().mx, ["a.example"]);
        assert_eq!(Policy::parse("version: STSv1\nmode: enforce\nmx:\nmax_age: 60\n"), None);
        // RFC 8461 §3.2: of a doubled field the first one counts.
        let doubled = "version: STSv1\nversion: x\nmode: testing\nmode: enforce\nmx: a\nmx: b\nmax_age: 60\nmax_age: x\n";
        assert_eq!(
            Policy::parse(doubled),
            Some(Policy { mode: Mode::Testing, mx: vec!["a".into(), "b".into()], max_age: 60 })
        );
        for bad in [
            "mode: strict\nmode: enforce\nmax_age: 1",
            "mode: enforce\nmax_age: x\nmax_age: 1",
            "version: STSv2\nversion: STSv1\nmode: none\nmax_age: 1",
        ] {
            let text = if bad.starts_with("version") {
                bad.to_string()
            } else {
                format!("version: STSv1\nmx: a\n{bad}")
            };
            assert_eq!(Policy::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn only_one_record_with_a_proper_id_counts() {
        let id = |records: &[&str]| {
            record_id(&records.iter().map(|r| r.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(
            id(&["v=spf1 -all", "v=STSv1; id=20160831085700Z;"]).as_deref(),
            Some("20160831085700Z")
        );
        assert_eq!(id(&["v=STSv1; id=1;", "v=STSv1; id=2;"]), None);
        for record in
            ["v=STSv1 ;id=1", "v=STSv1\t; id=1 ;", "v=STSv1;id=1;id=2", "v=STSv1; x=y ; id=1"]
        {
            assert_eq!(id(&[record]).as_deref(), Some("1"), "{record}");
        }
        assert_eq!(id(&["v=STSv1 ;id=1", "v=STSv1;id=1"]), None);
        assert_eq!(id(&["v=STSv12; id=1", "v=STSv1x; id=1"]), None);
        assert_eq!(id(&["v=STSv1;"]), None);
        assert_eq!(id(&["v=STSv1; id=a b;"]), None);
        assert_eq!(id(&[]), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(v=STSv1|version: STSv1\n)?[;:= a-z0-9\n*.\\PC]{0,60}") {
            let _ = record_id(std::slice::from_ref(&text));
            if let Some(policy) = Policy::parse(&text) {
                let _ = policy.names(&text);
            }
        }
    }
}
