//! Runs a suite of SPF cases against a name server of its own, and says which are not as expected.
//!
//!     cargo run -p pillarbox-filter --example spf_suite -- CASES.json
//!
//! The file has the form of the openspf suite for RFC 7208, its YAML documents as one JSON array: `zonedata` by name
//! (each a list of `{ "TYPE": value }` or `"TIMEOUT"`) and `tests` by name with `helo`, `host`, `mailfrom` and `result`
//! (a word or several).

#![allow(clippy::unwrap_used)] // a tool for ourselves

use std::net::IpAddr;

use hickory_proto::rr::rdata::{CNAME, TXT};
use hickory_proto::rr::{Name, RData};
use pillarbox_filter::spf::{self, Client, Trouble, Verdict, evaluate};
use pillarbox_outbound::tests::world::World;
use pillarbox_outbound::tests::zone::{Zone, name};
use serde_json::Value;

#[tokio::main]
async fn main() {
    let path = std::env::args().nth(1).expect("name the file with the cases");
    let suite: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut all, mut wrong) = (0, 0);
    for scenario in suite.as_array().unwrap() {
        let world = World::new().await;
        fill(&world.zone, &scenario["zonedata"]);
        for (name, test) in scenario["tests"].as_object().unwrap() {
            all += 1;
            let found = word(&judge(&world, test).await);
            let expected: Vec<&str> = match &test["result"] {
                Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
                one => one.as_str().into_iter().collect(),
            };
            if !expected.contains(&found) {
                wrong += 1;
                println!(
                    "{} / {name}: {found} instead of {} ({})",
                    scenario["description"].as_str().unwrap_or_default(),
                    expected.join(" or "),
                    test["spec"]
                );
            }
        }
    }
    println!("{} of {all} cases as expected", all - wrong);
}

/// The case through the same way as a message: the reverse-path's domain, or the name said in EHLO.
async fn judge(world: &World, test: &Value) -> spf::Outcome {
    let text = |key: &str| test[key].as_str().unwrap_or_default();
    let helo = text("helo");
    let (local, domain) = match text("mailfrom").rsplit_once('@') {
        Some((local, domain)) => (if local.is_empty() { "postmaster" } else { local }, domain),
        None => ("postmaster", if text("mailfrom").is_empty() { helo } else { text("mailfrom") }),
    };
    let address: IpAddr = text("host").parse().unwrap();
    world.handles.dns.clear_cache();
    evaluate(&world.handles.dns, domain, &Client { address, helo, local }).await
}

fn word(outcome: &spf::Outcome) -> &'static str {
    match outcome {
        Ok(Verdict::None) => "none",
        Ok(Verdict::Neutral) => "neutral",
        Ok(Verdict::Pass) => "pass",
        Ok(Verdict::Fail) => "fail",
        Ok(Verdict::SoftFail) => "softfail",
        Err(Trouble::Unknown(_)) => "temperror",
        Err(Trouble::Wrong) => "permerror",
    }
}

fn fill(zone: &Zone, data: &Value) {
    // What is no name is in no name server.
    let is_name = |text: &str| Name::from_ascii(text).is_ok();
    for (owner, records) in data.as_object().unwrap().iter().filter(|(owner, _)| is_name(owner)) {
        let records = records.as_array().unwrap();
        let has_txt = records.iter().any(|record| record.get("TXT").is_some());
        let is_text = |record: &Value| record.get("TXT").is_some_and(|text| text != "NONE");
        let is_answered =
            records.iter().any(|record| is_text(record) || !has_txt && record.get("SPF").is_some());
        for record in records {
            match record {
                // Texts that are there are answered all the same.
                Value::String(_) if !is_answered => zone.silence(owner),
                Value::Object(of) => of.iter().for_each(|(kind, value)| {
                    add(zone, owner, if kind == "SPF" && !has_txt { "TXT" } else { kind }, value);
                }),
                _ => {}
            }
        }
    }
}

fn add(zone: &Zone, owner: &str, kind: &str, value: &Value) {
    match (kind, value) {
        ("A" | "AAAA", Value::String(address)) => {
            if let Ok(address) = address.parse() {
                zone.address(owner, address);
            }
        }
        ("CNAME", Value::String(host)) => zone.add(owner, RData::CNAME(CNAME(name(host)))),
        ("MX", Value::Array(pair)) => {
            let host = pair[1].as_str().unwrap();
            zone.mx(
                owner,
                pair[0].as_u64().unwrap() as u16,
                if host.is_empty() { "." } else { host },
            );
        }
        ("PTR", Value::String(host)) if Name::from_ascii(host).is_ok() => zone.pointer(owner, host),
        ("TXT", Value::String(text)) if text != "NONE" => zone.txt(owner, text),
        ("TXT", Value::Array(parts)) => {
            let parts: Vec<String> =
                parts.iter().filter_map(Value::as_str).map(str::to_string).collect();
            if !parts.is_empty() {
                zone.add(owner, RData::TXT(TXT::new(parts)));
            }
        }
        _ => {}
    }
}
