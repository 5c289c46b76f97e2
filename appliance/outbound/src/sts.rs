//! MTA-STS (RFC 8461): fetching what a domain says about TLS to its mail exchangers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use pillarbox_proto::reply::clip;
use pillarbox_store::StsPolicy;
use pillarbox_vocabulary::Timestamp;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::{Error, PolicyFault, Result};
use super::policy::Policy;

/// Octets of a policy; RFC 8461 §3.3 suggests 64 KiB, real ones have a few hundred.
const POLICY_OCTETS: usize = 64 * 1024;
/// Octets of a media type that are reported.
const MEDIA_OCTETS: usize = 100;
/// Header fields of a web server's answer.
const HEADERS: usize = 100;
/// Seconds for all of fetching (RFC 8461 §3.3 suggests a minute).
const FETCH: Duration = Duration::from_secs(60);

/// Fetches a domain's policy over HTTPS (RFC 8461 §3.3) from one of these addresses.
pub async fn fetch(
    domain: &str,
    addresses: &[std::net::IpAddr],
    port: u16,
    tls: Arc<ClientConfig>,
) -> Result<String> {
    let host = format!("mta-sts.{domain}");
    let fetching = async {
        let mut last = PolicyFault::NoAddress;
        for address in addresses {
            match TcpStream::connect((*address, port)).await {
                Ok(tcp) => return ask(tcp, &host, tls.clone()).await,
                Err(error) => last = PolicyFault::broken(error),
            }
        }
        Err(last)
    };
    let fetched = tokio::time::timeout(FETCH, fetching).await.unwrap_or(Err(PolicyFault::Slow));
    fetched.map_err(|fault| Error::TlsPolicy { host, fault })
}

async fn ask(tcp: TcpStream, host: &str, tls: Arc<ClientConfig>) -> Result<String, PolicyFault> {
    let name = ServerName::try_from(host.to_string()).map_err(PolicyFault::broken)?;
    let tls = TlsConnector::from(tls).connect(name, tcp).await.map_err(PolicyFault::broken)?;
    let mut connecting = hyper::client::conn::http1::Builder::new();
    let connecting = connecting.max_buf_size(POLICY_OCTETS).max_headers(HEADERS);
    let (mut sender, connection) = connecting
        .handshake::<_, Empty<Bytes>>(TokioIo::new(tls))
        .await
        .map_err(PolicyFault::broken)?;
    let driving = tokio::spawn(connection);
    let request = http::Request::get("/.well-known/mta-sts.txt")
        .header(header::HOST, host)
        .header(header::USER_AGENT, "Pillarbox");
    let request = request
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(PolicyFault::broken)?;
    let answer = async {
        let (parts, body) =
            sender.send_request(request).await.map_err(PolicyFault::broken)?.into_parts();
        is_policy(&parts)?;
        let body = Limited::new(body, POLICY_OCTETS)
            .collect()
            .await
            .map_err(|e| PolicyFault::Body(e.to_string()))?;
        Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    };
    let answer = answer.await;
    driving.abort();
    answer
}

/// Whether an answer brings a policy (RFC 8461 §3.2, §3.3): status 200, no redirect, and of the one type that policies
/// have, lest a page for every address is taken for one.
fn is_policy(parts: &http::response::Parts) -> Result<(), PolicyFault> {
    if parts.status != http::StatusCode::OK {
        return Err(PolicyFault::Status(parts.status.as_u16()));
    }
    let kind = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = kind.split(';').next().unwrap_or_default().trim();
    match media.eq_ignore_ascii_case("text/plain") {
        true => Ok(()),
        false => Err(PolicyFault::Media(clip(media, MEDIA_OCTETS).to_string())),
    }
}

/// What is remembered of a fetched policy.
pub fn remembered(id: String, text: String, policy: &Policy, now: Timestamp) -> StsPolicy {
    StsPolicy { id, text, expires: now.plus(Duration::from_secs(policy.max_age)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_text_with_200_is_a_policy() {
        let answer = |status: u16, kind: Option<&str>| {
            let mut answer = http::Response::builder().status(status);
            if let Some(kind) = kind {
                answer = answer.header(header::CONTENT_TYPE, kind);
            }
            is_policy(&answer.body(()).unwrap().into_parts().0)
        };
        assert_eq!(answer(200, Some("text/plain")), Ok(()));
        assert_eq!(answer(200, Some("Text/Plain; charset=utf-8")), Ok(()));
        for (status, kind) in [
            (200, Some("text/html")),
            (200, None),
            (200, Some("text/plainish")),
            (301, Some("text/plain")),
            (404, Some("text/plain")),
            (204, None),
        ] {
            assert!(answer(status, kind).is_err(), "{status} {kind:?}");
        }
    }
}
