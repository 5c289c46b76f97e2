//! Leaving a mailing list with one click (RFC 8058): the box asks the list's server, so that no page of a stranger is
//! opened and no cookie goes along.
//! Only servers of the public internet are asked: a message must not make the box knock at doors of its own network.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pillarbox_host::net;
use pillarbox_outbound::ClientTls;
use pillarbox_platform::dns::Dns;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::error::{Error, Result};

/// How long the list's server may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Octets of its answer that are read.
const ANSWER: u64 = 4096;

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub port: u16,
    /// Path and query.
    pub path: String,
}

/// Understands the address; only `https:` with a host name of the world will do.
pub fn target(address: &str) -> Option<Target> {
    let url = Url::parse(address).ok().filter(|url| {
        url.scheme() == "https" && url.username().is_empty() && url.password().is_none()
    })?;
    let Some(Host::Domain(host)) = url.host() else { return None };
    let path = url
        .query()
        .map_or_else(|| url.path().to_string(), |query| format!("{}?{query}", url.path()));
    (host.contains('.') && !host.ends_with(".local")).then(|| Target {
        host: host.to_string(),
        port: url.port_or_known_default().unwrap_or(443),
        path,
    })
}

/// Asks the list's server to leave; `allowed` says which addresses may be asked.
pub async fn leave(
    dns: &Dns,
    tls: &ClientTls,
    target: &Target,
    allowed: fn(IpAddr) -> bool,
) -> Result<()> {
    let fail = |why: String| Error::NotLeft { host: target.host.clone(), why };
    let (v4, v6) = dns
        .addresses(&target.host)
        .await
        .map_err(|error| fail(format!("{}: {error:?}", target.host)))?;
    let own = net::own();
    let addresses: Vec<IpAddr> = v4
        .records
        .into_iter()
        .chain(v6.records)
        .filter(|&address| allowed(address) && !own.contains(&address))
        .collect();
    if addresses.is_empty() {
        return Err(fail(format!("{} has no address in the internet", target.host)));
    }
    let asking = async {
        let mut last = String::new();
        for address in addresses {
            match TcpStream::connect((address, target.port)).await {
                Ok(tcp) => return ask(tcp, target, tls.verified()).await,
                Err(error) => last = error.to_string(),
            }
        }
        Err(fail(last))
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| Err(fail("it took too long".into())))
}

async fn ask(tcp: TcpStream, target: &Target, tls: Arc<ClientConfig>) -> Result<()> {
    let fail = |why: &dyn std::fmt::Display| Error::NotLeft {
        host: target.host.clone(),
        why: why.to_string(),
    };
    let name = ServerName::try_from(target.host.clone()).map_err(|e| fail(&e))?;
    let mut stream = TlsConnector::from(tls).connect(name, tcp).await.map_err(|e| fail(&e))?;
    stream.write_all(request(target).as_bytes()).await.map_err(|e| fail(&e))?;
    let mut answer = Vec::new();
    // A server that ends without TLS's goodbye has still said what it said.
    if let Err(error) = stream.take(ANSWER).read_to_end(&mut answer).await
        && answer.is_empty()
    {
        return Err(fail(&error));
    }
    let status = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_string();
    match status.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok()) {
        Some(200..=299) => Ok(()),
        // RFC 8058 §3.1: no redirects.
        _ => Err(fail(&format_args!(
            "the server said {:?}",
            status.chars().take(100).collect::<String>()
        ))),
    }
}

fn request(target: &Target) -> String {
    const FORM: &str = "List-Unsubscribe=One-Click";
    format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Pillarbox\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{FORM}",
        target.path,
        target.host,
        FORM.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_of_the_world_are_asked() {
        let found = target("https://lists.example/u?id=1&x=%0d%0aHost:%20evil").unwrap();
        assert_eq!((found.host.as_str(), found.port), ("lists.example", 443));
        assert!(
            !request(&found).contains("\r\nHost: evil")
                && request(&found).ends_with("\r\n\r\nList-Unsubscribe=One-Click")
        );
        assert!(
            !target("https://a.example/x\r\nHost: evil")
                .is_some_and(|found| found.path.contains('\n'))
        );
        for bad in [
            "http://a.example/", "https://127.0.0.1/", "https://[::1]/", "https://box/",
            "https://printer.local/", "https://u:p@a.example/", "x",
        ] {
            assert_eq!(target(bad), None, "{bad}");
        }
    }
}
