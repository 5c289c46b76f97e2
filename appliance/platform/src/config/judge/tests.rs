use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use toml::{Table, Value};

use super::*;
use crate::config::{Unit, seconds};

/// The settings of a file's text, as [`Config::read`] takes them.
fn read(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|e| e.to_string())?;
    config.judge().map_err(|e| e.to_string())?;
    Ok(config)
}

#[test]
fn what_would_go_into_a_line_or_a_path_as_it_is_must_fit_there() {
    let long = format!("\"{}x\"", "a.".repeat(200));
    let names = [
        "\"a b\"", "\"a\\r\\n250 evil\"", &long, "\"192.0.2.1\"", "\"[192.0.2.1]\"",
        "\"m.x.test.\"", "\"mäil.test\"", "\"m..test\"", "\"-a.test\"", "\"my_box.test\"", "\".\"",
        "\"a\\u0000b\"",
    ];
    for name in names {
        for (section, key) in [("", "hostname"), ("line", "probes"), ("line", "lists")] {
            let text = match section {
                "" => format!("{key} = {name}"),
                section => format!("[{section}]\n{key} = [\"good.test\", {name}]"),
            };
            let why = read(&text).expect_err(&text);
            assert!(why.contains(key) && why.contains("write a domain name"), "{text}: {why}");
            assert!(!why.contains(['\r', '\n', '\0']) && why.len() < 500, "{why:?}");
        }
    }
    for name in ["mail.example.org", "box", "Mail.Example.ORG", "xn--bcher-kva.example", ""] {
        read(&format!("hostname = \"{name}\"")).unwrap();
    }
    for (text, key) in [
        ("data = \"\"", "data"),
        ("data = \"/tmp/a\\u0000b\"", "data"),
        ("updates = \"/tmp/a\\nb\"", "updates"),
        ("[tls]\ncertificate = \"/x\"", "tls.key"),
        ("[tls]\nkey = \"/x\"", "tls.certificate"),
        ("[acme]\ndirectory = \"ftp://x\"", "acme.directory"),
        ("[acme]\ndirectory = \"https://\"", "acme.directory"),
        ("[acme]\ndirectory = \"https://x/\\r\\ny\"", "acme.directory"),
        ("[acme]\nterms = \"javascript:alert(1)\"", "acme.terms"),
        ("[dns]\nservers = [\"192.0.2.1:0\"]", "dns.servers"),
        ("[outbound]\nretry = []", "outbound.retry"),
        ("[outbound]\nretry = [60, 0]", "outbound.retry"),
        ("[log]\nlevel = \"loud\"", "log.level"),
        ("[log]\nlevel = \"\"", "log.level"),
        ("[timeouts]\nsmtp_command = 9223372036854775807", "timeouts.smtp_command"),
        ("[login]\nwait = 9223372036854775807", "login.wait"),
        ("[limits]\noctets_in_flight = 5", "limits.octets_in_flight"),
    ] {
        let why = read(text).expect_err(text);
        assert!(why.contains(key), "{text}: {why}");
    }
    let privop = format!("privop = \"/{}\"", "x".repeat(107));
    assert!(read(&privop).unwrap_err().contains("privop"));
    let networks = format!("[trust]\nnetworks = [{}]", "\"10.0.0.0/8\",".repeat(1001));
    assert!(read(&networks).unwrap_err().contains("trust.networks"));
}

#[test]
fn both_ends_of_each_bound_are_taken_and_nothing_beyond() {
    for bound in bounds(&Config::default()) {
        let (section, key) = bound.setting.split_once('.').unwrap();
        let with = |value: u64| {
            let is_list = bound.values.len() > 1;
            let value = if is_list { format!("[{value}]") } else { value.to_string() };
            // Other ports than the world's are for boxes that don't take its mail.
            read(&format!("[{section}]\n{key} = {value}\n[listen]\nsmtp = []"))
        };
        for value in [bound.least, bound.most] {
            assert_eq!(with(value).map(drop), Ok(()), "{} = {value}", bound.setting);
        }
        let below = bound.least.checked_sub(1).filter(|below| !bound.allows(*below));
        for value in [Some(bound.most + 1), below].into_iter().flatten() {
            let why = with(value).unwrap_err();
            assert!(why.contains(key), "{} = {value}: {why}", bound.setting);
        }
        assert_eq!(with(0).is_ok(), bound.allows(0), "{} = 0", bound.setting);
    }
}

/// Numbers where mistakes are likely, and any.
fn number() -> impl Strategy<Value = i64> {
    let edges = [i64::MIN, -1, 0, 1, 25, 443, 65_536, 1 << 31, 1 << 32, 1 << 40, 1 << 62, i64::MAX];
    prop_oneof![select(edges.to_vec()), 1..100_000i64, any::<i64>()]
}

fn text() -> impl Strategy<Value = String> {
    let known = [
        "", "a b", "a\r\nb", "mail.example.org", "192.0.2.1", "[::]:25", "0.0.0.0:0", "first",
        "info", "https://example.org/", "10.0.0.0/8", "/var/lib/x", "\0",
    ];
    prop_oneof![select(known.to_vec()).prop_map(str::to_string), any::<String>()]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => number().prop_map(Value::Integer),
        4 => text().prop_map(Value::String),
        1 => any::<bool>().prop_map(Value::Boolean),
        1 => any::<f64>().prop_map(Value::Float),
        2 => prop::collection::vec(number().prop_map(Value::Integer), 0..70).prop_map(Value::Array),
        2 => prop::collection::vec(text().prop_map(Value::String), 0..70).prop_map(Value::Array),
    ]
}

/// All keys with their section, which is empty for those of the file itself.
fn keys() -> Vec<(String, String)> {
    let default = Table::try_from(Config::default()).unwrap();
    let of = |(name, value): (&String, &Value)| match value.as_table() {
        Some(section) => section.keys().map(|key| (name.clone(), key.clone())).collect(),
        None => vec![(String::new(), name.clone())],
    };
    default.iter().flat_map(of).collect()
}

/// What the server makes of settings: none of it may panic or overflow.
fn convert(config: &Config) {
    let now = Instant::now();
    for bound in bounds(config) {
        for value in bound.values {
            let duration = match bound.unit {
                Unit::Seconds => seconds(value),
                Unit::Hours => seconds(value * 3600),
                Unit::Days => seconds(value * 86_400),
                Unit::Octets => {
                    // Shares, percentages, sums with what is there.
                    let _ = (value * 100, value + (1 << 50), usize::try_from(value).unwrap());
                    Duration::ZERO
                }
                Unit::Things => Duration::ZERO,
            };
            let _ = (now + duration + duration * 2, tokio::time::Instant::now() + duration);
        }
    }
    let memory = config.limits.in_flight();
    let _ = tokio::sync::Semaphore::new(memory.ahead / 1024);
    let _ = tokio::sync::Semaphore::new(config.limits.password_checks);
    let _ = crate::budget::Budget::new(memory.content);
    let _ = (config.hostname(), config.tls_files(), config.issued_file());
    assert!(is_host_name(&config.hostname()), "{:?}", config.hostname());
}

proptest! {
    #[test]
    fn any_values_are_refused_by_name_or_harmless(
        set in prop::collection::vec((any::<Index>(), value()), 1..4),
    ) {
        let keys = keys();
        let (mut file, mut named) = (Table::new(), Vec::new());
        for (index, value) in set {
            let (section, key) = index.get(&keys);
            let part = match section.as_str() {
                "" => &mut file,
                section => {
                    let part = file.entry(section).or_insert_with(|| Table::new().into());
                    part.as_table_mut().unwrap()
                }
            };
            part.insert(key.clone(), value);
            named.push(key.clone());
        }
        match read(&toml::to_string(&file).unwrap()) {
            Ok(config) => convert(&config),
            Err(why) => prop_assert!(
                named.iter().any(|key| why.contains(key.as_str())),
                "{named:?}: {why}"
            ),
        }
    }

    #[test]
    fn numbers_within_their_bounds_are_harmless(
        set in prop::collection::vec((any::<Index>(), any::<u64>()), 1..20),
    ) {
        let (all, mut file) = (bounds(&Config::default()), Table::new());
        file.insert("listen".into(), Table::from_iter([("smtp".into(), Value::Array(vec![]))]).into());
        for (index, value) in set {
            let bound = index.get(&all);
            let (section, key) = bound.setting.split_once('.').unwrap();
            let value = bound.least + value % (bound.most - bound.least + 1);
            let value = Value::Integer(value as i64);
            let value = if bound.values.len() > 1 { Value::Array(vec![value]) } else { value };
            let part = file.entry(section).or_insert_with(|| Table::new().into());
            part.as_table_mut().unwrap().insert(key.into(), value);
        }
        convert(&read(&toml::to_string(&file).unwrap()).unwrap());
    }
}
