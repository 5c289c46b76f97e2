//! What mail programs and other servers fetch: settings in each maker's format, and our TLS policy.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::not_found;
use super::programs::{Servers, servers};
use crate::frame::trouble;
use crate::guard::name_of;
use crate::session::{Person, Visit};
use pillarbox_office::Office;
use pillarbox_office::records;

#[derive(Template)]
#[template(path = "autoconfig.xml", escape = "html")]
struct Autoconfig {
    domain: String,
    servers: Servers,
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    emailaddress: String,
}

fn xml(text: Result<String, askama::Error>, kind: &'static str) -> Response {
    match text {
        Ok(xml) => ([(header::CONTENT_TYPE, kind)], xml).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What Thunderbird and others fetch (the "autoconfiguration" format, version 1.1).
/// Who names no address is answered for the host that was asked.
pub async fn autoconfig(
    State(office): State<Arc<Office>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let domains = office.store.read_off_thread(|r| r.domains()).await.unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let domain =
        asked_domain(&domains, &asked.emailaddress, host).or_else(|| domains.first().cloned());
    let Some(domain) = domain else { return StatusCode::NOT_FOUND.into_response() };
    xml((Autoconfig { domain, servers: servers(&office) }).render(), "text/xml; charset=utf-8")
}

/// The domain of ours that settings are wanted for: that of the address, else the one whose host was asked, under its
/// own name or one of those that programs try.
fn asked_domain(domains: &[String], address: &str, host: &str) -> Option<String> {
    let of = |name: &str| domains.iter().find(|domain| domain.eq_ignore_ascii_case(name)).cloned();
    let host = name_of(host).trim_end_matches('.');
    let wanted = address.rsplit_once('@').and_then(|(_, domain)| of(domain.trim()));
    wanted.or_else(|| of(host)).or_else(|| host.split_once('.').and_then(|(_, parent)| of(parent)))
}

#[derive(Template)]
#[template(path = "autodiscover.xml", escape = "html")]
struct Autodiscover {
    address: String,
    servers: Servers,
}

/// The address in a request of Outlook: the text of the element `EMailAddress` ([MS-OXDSCLI] §2.2.3).
fn address_in(body: &str) -> Option<String> {
    let start = body.find("<EMailAddress>")? + "<EMailAddress>".len();
    let end = body[start..].find("</EMailAddress>")? + start;
    let address = body[start..end].trim();
    let is_plain =
        address.contains('@') && address.len() <= 254 && !address.contains(['<', '&', '>', '"']);
    is_plain.then(|| address.to_string())
}

/// What Outlook asks for by POST ([MS-OXDSCLI], "POX").
/// The address is given back as it came; nothing shows whether there is such a mailbox.
pub async fn autodiscover(State(office): State<Arc<Office>>, body: Bytes) -> Response {
    let Some(address) = address_in(&String::from_utf8_lossy(&body)) else {
        let text = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
             <Autodiscover \
             xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\">\n\
             <Response><Error Time=\"00:00:00\" Id=\"0\"><ErrorCode>600</ErrorCode>\
             <Message>Invalid Request</Message><DebugData /></Error></Response>\n\
             </Autodiscover>\n";
        return xml(Ok(text.to_string()), "text/xml; charset=utf-8");
    };
    xml((Autodiscover { address, servers: servers(&office) }).render(), "text/xml; charset=utf-8")
}

#[derive(Deserialize)]
pub struct Json {
    #[serde(default, rename = "Protocol", alias = "protocol")]
    protocol: String,
}

/// Where newer programs learn which of Microsoft's formats is spoken here.
pub async fn autodiscover_json(
    State(office): State<Arc<Office>>,
    headers: HeaderMap,
    Query(asked): Query<Json>,
) -> Response {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).map(str::to_string);
    let host = host.unwrap_or_else(|| office.settings.get().hostname());
    let (status, body) = if asked.protocol.eq_ignore_ascii_case("autodiscoverv1") {
        let url = format!("https://{host}/autodiscover/autodiscover.xml");
        (StatusCode::OK, json!({"Protocol": "AutodiscoverV1", "Url": url}))
    } else {
        let message = "The protocol is not supported. Supported: Autodiscoverv1";
        let body = json!({"ErrorCode": "InvalidProtocol", "ErrorMessage": message});
        (StatusCode::BAD_REQUEST, body)
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Paths that no route has: programs write those of Autodiscover in any case, and newer ones put the address behind
/// (`autodiscover.json/v1.0/ann@example.org`).
/// Everything else is not there.
pub async fn stray(
    State(office): State<Arc<Office>>,
    method: Method,
    visit: Visit,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_ascii_lowercase();
    let is_known = path.starts_with("/autodiscover/autodiscover.");
    if is_known && !matches!(method, Method::GET | Method::HEAD | Method::POST) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let protocol =
        || Query::<Json>::try_from_uri(&uri).unwrap_or(Query(Json { protocol: String::new() }));
    match path.as_str() {
        "/autodiscover/autodiscover.xml" => autodiscover(State(office), body).await,
        "/autodiscover/autodiscover.json" => {
            autodiscover_json(State(office), headers, protocol()).await
        }
        path if path.starts_with("/autodiscover/autodiscover.json/v1.0/") => {
            autodiscover_json(State(office), headers, protocol()).await
        }
        _ => not_found(visit).await,
    }
}

#[derive(Template)]
#[template(path = "mobileconfig.xml", escape = "html")]
struct MobileConfig {
    address: String,
    name: String,
    servers: Servers,
    /// Stable for an address, so that a second profile takes the first one's place.
    profile: String,
    account: String,
}

/// A stable UUID of version 8 (RFC 9562 §5.8) from a text.
fn uuid(text: &str) -> String {
    let mut octets = [0u8; 16];
    octets.copy_from_slice(&Sha256::digest(text)[..16]);
    octets[6] = octets[6] & 0x0f | 0x80;
    octets[8] = octets[8] & 0x3f | 0x80;
    let hex: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A profile for iPhones, iPads and Macs; the password is asked for there.
pub async fn mobileconfig(Person(visit, visitor): Person) -> Response {
    let address = visitor.address.clone();
    let name = match visit.office.store.read_off_thread(move |r| r.account(&address)).await {
        Ok(found) => found.map(|(_, account)| account.name).unwrap_or_default(),
        Err(error) => return trouble(&visit, &error),
    };
    let profile = MobileConfig {
        profile: uuid(&format!("profile {}", visitor.address)),
        account: uuid(&format!("account {}", visitor.address)),
        address: visitor.address,
        name,
        servers: servers(&visit.office),
    };
    let mut response = xml(profile.render(), "application/x-apple-aspen-config; charset=utf-8");
    let disposition =
        header::HeaderValue::from_static("attachment; filename=\"pillarbox.mobileconfig\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    response
}

/// The policy that other servers fetch from `mta-sts.` of a domain of ours (RFC 8461 §3.2, §3.3).
pub async fn mta_sts(State(office): State<Arc<Office>>, headers: HeaderMap) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let name = host.split(':').next().unwrap_or_default().to_string();
    let own = office.clone();
    let policy = office.store.read_off_thread(move |r| {
        let is_ours =
            name.strip_prefix("mta-sts.").is_some_and(|domain| r.is_local(domain).unwrap_or(false));
        Ok(if is_ours {
            records::sts_policy(&records::Facts::of(r, &own.settings.get(), &own.certificates)?)
        } else {
            None
        })
    });
    match policy.await {
        Ok(Some(policy)) => ([(header::CONTENT_TYPE, "text/plain")], policy).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_the_address_or_of_the_host() {
        let domains = ["first.test".to_string(), "second.test".to_string()];
        let of = |address: &str, host: &str| asked_domain(&domains, address, host);
        assert_eq!(of("ann@Second.test", "autoconfig.first.test").as_deref(), Some("second.test"));
        for host in [
            "autoconfig.second.test", "second.test:80", "AutoConfig.Second.Test.",
            "mail.second.test",
        ] {
            assert_eq!(of("", host).as_deref(), Some("second.test"), "{host}");
            assert_eq!(of("ann@elsewhere.test", host).as_deref(), Some("second.test"), "{host}");
        }
        assert_eq!(
            (of("", "192.168.1.7"), of("ann", "pillarbox.local"), of("", "")),
            (None, None, None)
        );
    }

    #[test]
    fn outlooks_request_is_read_and_what_is_strange_is_not() {
        let body = |address: &str| {
            format!(
                "<?xml version=\"1.0\"?><Autodiscover><Request>\
                 <EMailAddress>{address}</EMailAddress></Request></Autodiscover>"
            )
        };
        assert_eq!(address_in(&body(" ann@example.org ")).as_deref(), Some("ann@example.org"));
        for strange in ["", "ann", "a@b<x>", "a&amp;@b", "\"@b"] {
            assert_eq!(address_in(&body(strange)), None, "{strange}");
        }
        assert_eq!(address_in("<EMailAddress>a@b"), None);
        assert_eq!(uuid("x"), uuid("x"));
        assert_eq!((uuid("x").len(), uuid("x").as_bytes()[14]), (36, b'8'));
    }
}
