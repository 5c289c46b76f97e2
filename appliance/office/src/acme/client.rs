//! Requests to the authority, with our own look-ups, trust and limits.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use pillarbox_outbound::ClientTls;
use pillarbox_platform::dns::Dns;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::{Error, Result};

/// Octets of an authority's answer.
const ANSWER: usize = 1 << 20;
/// For one request.
const REQUEST: Duration = Duration::from_secs(30);

/// Asks the authority over HTTPS.
pub struct Client {
    pub dns: Arc<Dns>,
    pub tls: Arc<ClientTls>,
}

impl HttpClient for Client {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let (dns, tls) = (self.dns.clone(), self.tls.clone());
        Box::pin(async move {
            let asked = tokio::time::timeout(REQUEST, ask(&dns, &tls, request)).await;
            asked.unwrap_or_else(|_| Err(asking("no answer in time"))).map_err(other)
        })
    }
}

fn other(error: Error) -> instant_acme::Error {
    instant_acme::Error::Other(error.into())
}

fn asking(why: impl std::fmt::Display) -> Error {
    Error::failed("asking the authority")(why)
}

async fn ask(
    dns: &Dns,
    tls: &ClientTls,
    mut request: http::Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse> {
    let uri = request.uri().clone();
    let host = uri
        .host()
        .ok_or_else(|| asking("its address has no host"))?
        .trim_matches(['[', ']'])
        .to_string();
    if uri.scheme_str() != Some("https") {
        return Err(asking(format!("{uri} is not https")));
    }
    let port = uri.port_u16().unwrap_or(443);
    let tcp = connect(dns, &host, port).await?;
    let tls: Arc<ClientConfig> = tls.verified();
    let name = ServerName::try_from(host.clone()).map_err(asking)?;
    let tls = TlsConnector::from(tls).connect(name, tcp).await.map_err(asking)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(asking)?;
    tokio::spawn(connection);
    let authority = uri.authority().map(|a| a.to_string()).unwrap_or(host);
    let value = http::HeaderValue::from_str(&authority).map_err(asking)?;
    request.headers_mut().insert(http::header::HOST, value);
    *request.uri_mut() = uri
        .path_and_query()
        .map_or("/", |p| p.as_str())
        .parse()
        .map_err(|_| asking("a strange address"))?;
    let (parts, body) = sender.send_request(request).await.map_err(asking)?.into_parts();
    let body = Limited::new(body, ANSWER).collect().await.map_err(asking)?.to_bytes();
    Ok(BytesResponse::from(http::Response::from_parts(parts, http_body_util::Full::new(body))))
}

async fn connect(dns: &Dns, host: &str, port: u16) -> Result<TcpStream> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => {
            let found = dns.all_addresses(host).await;
            found.map_err(|e| asking(format!("{host} was not found: {e:?}")))?
        }
    };
    let mut last = format!("{host} has no address");
    for address in addresses {
        match TcpStream::connect((address, port)).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = format!("{host} [{address}]: {error}"),
        }
    }
    Err(asking(last))
}
