//! MTA-STS (RFC 8461): what a domain says about TLS to its mail exchangers.

use std::sync::Arc;
use std::time::Duration;

use pillarbox_proto::reply::clip;
use pillarbox_store::StsPolicy;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Octets of a policy; RFC 8461 §3.3 suggests 64 KiB, real ones have a few hundred.
const POLICY_OCTETS: usize = 64 * 1024;
/// Octets of a web server's status line that are told.
const STATUS_OCTETS: usize = 200;
/// Seconds for all of fetching (RFC 8461 §3.3 suggests a minute).
const FETCH: Duration = Duration::from_secs(60);
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
        let (mut version, mut mode, mut mx, mut max_age) = (false, None, Vec::new(), None);
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            match (key.trim(), value.trim()) {
                ("version", value) => version = value == "STSv1",
                ("mode", "enforce") => mode = Some(Mode::Enforce),
                ("mode", "testing") => mode = Some(Mode::Testing),
                ("mode", "none") => mode = Some(Mode::None),
                ("mx", value) => mx.push(value.to_ascii_lowercase()),
                ("max_age", value) => max_age = value.parse::<u64>().ok(),
                _ => {}
            }
        }
        let (mode, max_age) = (mode?, max_age?.min(MAX_AGE));
        (version && (mode == Mode::None || !mx.is_empty())).then_some(Policy { mode, mx, max_age })
    }

    /// Whether a mail exchanger is one of those the policy names (RFC 8461 §4.1).
    pub fn names(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(suffix) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == suffix),
            None => pattern == host,
        })
    }
}

/// The `id` in a domain's TXT records (RFC 8461 §3.1); `None` unless exactly one of them is for MTA-STS.
pub fn record_id(records: &[String]) -> Option<String> {
    let mut ours = records.iter().filter(|r| r.starts_with("v=STSv1;") || r.as_str() == "v=STSv1");
    let (record, None) = (ours.next()?, ours.next()) else { return None };
    let id = record.split(';').find_map(|field| field.trim().strip_prefix("id="))?.trim();
    let is_id = (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    is_id.then(|| id.to_string())
}

/// Fetches a domain's policy over HTTPS (RFC 8461 §3.3) from one of these addresses.
pub async fn fetch(domain: &str, addresses: &[std::net::IpAddr], port: u16, tls: Arc<ClientConfig>) -> Result<String, String> {
    let host = format!("mta-sts.{domain}");
    let fetching = async {
        let mut last = "it has no address".to_string();
        for address in addresses {
            match TcpStream::connect((*address, port)).await {
                Ok(tcp) => return ask(tcp, &host, tls.clone()).await,
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    };
    let fetched = tokio::time::timeout(FETCH, fetching).await.unwrap_or_else(|_| Err("it took too long".into()));
    fetched.map_err(|why| format!("fetching the TLS policy from {host}: {why}"))
}

async fn ask(tcp: TcpStream, host: &str, tls: Arc<ClientConfig>) -> Result<String, String> {
    let name = ServerName::try_from(host.to_string()).map_err(|e| e.to_string())?;
    let mut tls = TlsConnector::from(tls).connect(name, tcp).await.map_err(|e| e.to_string())?;
    let request = format!("GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: {host}\r\nUser-Agent: Pillarbox\r\nConnection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    let mut limited = tls.take(POLICY_OCTETS as u64 + 1);
    // A server that ends without TLS's goodbye has still said what it said; what is cut has no policy's fields.
    if let Err(error) = limited.read_to_end(&mut answer).await
        && answer.is_empty()
    {
        return Err(error.to_string());
    }
    if answer.len() > POLICY_OCTETS {
        return Err("it is too long".into());
    }
    body(&String::from_utf8_lossy(&answer))
}

/// The body of an answer, if the answer is good (RFC 8461 §3.3: no redirects).
fn body(answer: &str) -> Result<String, String> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP answer")?;
    let status = head.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") => Ok(body.to_string()),
        _ => Err(format!("the server said {:?}", clip(status, STATUS_OCTETS))),
    }
}

/// What is remembered of a fetched policy.
pub fn remembered(id: String, text: String, policy: &Policy, now: u64) -> StsPolicy {
    StsPolicy { id, text, expires: now.saturating_add(policy.max_age) }
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
        assert_eq!(Policy::parse("version: STSv1\nmode: none\nmax_age: 99999999999").unwrap().max_age, MAX_AGE);
    }

    #[test]
    fn only_one_record_with_a_proper_id_counts() {
        let id = |records: &[&str]| record_id(&records.iter().map(|r| r.to_string()).collect::<Vec<_>>());
        assert_eq!(id(&["v=spf1 -all", "v=STSv1; id=20160831085700Z;"]).as_deref(), Some("20160831085700Z"));
        assert_eq!(id(&["v=STSv1; id=1;", "v=STSv1; id=2;"]), None);
        assert_eq!(id(&["v=STSv1;"]), None);
        assert_eq!(id(&["v=STSv1; id=a b;"]), None);
        assert_eq!(id(&[]), None);
    }

    #[test]
    fn only_a_plain_200_has_a_policy() {
        assert_eq!(body("HTTP/1.1 200 OK\r\nA: b\r\n\r\nx").unwrap(), "x");
        assert!(body("HTTP/1.1 301 Moved\r\nLocation: y\r\n\r\nx").is_err());
        assert!(body("SSH-2.0").is_err());
    }
}
