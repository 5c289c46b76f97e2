//! The gates that every request passes.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use pillarbox_host::net;

use super::routes::{Reach, Routes};
use super::serve::Link;
use pillarbox_office::Office;

/// Octets of a form.
pub const BODY_OCTETS: usize = 64 * 1024;

/// Nothing but our own files runs, shows or is asked for; no page of ours can be shown in a frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                      img-src 'self' data:; font-src 'self'; connect-src 'self'; \
                      frame-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'; report-uri /policy-report";

/// Names of a domain that lead here, besides the domain itself.
const PREFIXES: [&str; 5] = ["mail.", "autoconfig.", "autodiscover.", "mta-sts.", "www."];

/// Checks host, origin and place, and adds what every answer carries.
pub async fn check(State(office): State<Arc<Office>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let link = parts.extensions.get::<Link>().copied();
    let routes = parts.extensions.get::<Routes>().cloned();
    let refusal = match link.zip(routes) {
        None => Some((StatusCode::INTERNAL_SERVER_ERROR, "no connection").into_response()),
        Some((link, routes)) => refuse(&office, &routes, &parts, link).await,
    };
    let is_secure = link.is_some_and(|l| l.is_secure);
    let mut response = match refusal {
        Some(refusal) => refusal,
        None => next.run(Request::from_parts(parts, body)).await,
    };
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    set(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(
        header::HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=()",
    );
    if is_secure {
        // Short: a box whose certificate is lost must stay reachable in its own network the next day.
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=86400");
    }
    response
}

async fn refuse(
    office: &Arc<Office>,
    routes: &Routes,
    asked: &Parts,
    link: Link,
) -> Option<Response> {
    let (method, path, headers) = (&asked.method, asked.uri.path(), &asked.headers);
    let route = routes.find(path);
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let domains = office.store.read_off_thread(|r| r.domains()).await.unwrap_or_default();
    let settings = office.settings.get();
    let in_the_office = || [net::machine_name(), net::local_name().unwrap_or_default()];
    if !is_our_host(host, &settings.hostname(), &domains, in_the_office) {
        // A page elsewhere may point a name of its own at this box and make a browser talk to it (DNS rebinding).
        return Some(
            (StatusCode::MISDIRECTED_REQUEST, "This box is not known by that name.")
                .into_response(),
        );
    }
    let web = &settings.web;
    let is_open = match routes.reach(path) {
        Reach::World => true,
        Reach::Remote => (web.owner_from_everywhere || web.from_everywhere) && link.is_secure,
        Reach::Office => web.owner_from_everywhere && link.is_secure,
    };
    if !is_open && !net::is_near(link.peer) {
        return Some(
            (StatusCode::FORBIDDEN, "These pages are open to the box's own network only.")
                .into_response(),
        );
    }
    let facts = office.certificates.facts();
    if !link.is_secure
        && !facts.is_self_signed
        && facts.ends > pillarbox_platform::clock::now()
        && !route.is_some_and(|route| route.is_plain)
    {
        let port =
            settings.listen.https.first().map(|address| address.port()).filter(|&port| port != 443);
        return Some(to_https(name_of(host), &settings.hostname(), port, path, &facts));
    }
    if *method != Method::GET
        && *method != Method::HEAD
        && !is_own_form(headers, host)
        && !route.is_some_and(|route| route.is_for_programs)
    {
        return Some(
            (StatusCode::FORBIDDEN, "This form was not sent from a page of this box.")
                .into_response(),
        );
    }
    None
}

/// There is a certificate: the pages are under TLS.
/// Whoever came by a name that is not in it (`pillarbox.local`) gets both links.
/// The good name may lead nowhere from inside the office.
fn to_https(
    asked: &str,
    hostname: &str,
    port: Option<u16>,
    path: &str,
    facts: &pillarbox_platform::tls::Facts,
) -> Response {
    let port = port.map_or(String::new(), |port| format!(":{port}"));
    if facts.names(asked) {
        return Redirect::temporary(&format!("https://{asked}{port}{path}")).into_response();
    }
    let text = format!(
        "This box has a certificate now, and its pages are encrypted:\n\n\
         https://{hostname}{port}/\n\n\
         If that does not open from here, use this address, \
         which your browser will warn about:\nhttps://{asked}{port}/\n"
    );
    (StatusCode::UPGRADE_REQUIRED, [(header::UPGRADE, "TLS/1.2, HTTP/1.1")], text).into_response()
}

/// The name in a Host field, without its port.
pub fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Our names, our domains' autoconfig names, and plain addresses (which no foreign page can rebind).
/// `office`: the names in the office, without ".local"; empty ones count as none.
fn is_our_host(
    host: &str,
    own: &str,
    domains: &[String],
    office: impl FnOnce() -> [String; 2],
) -> bool {
    let name = name_of(host).trim_end_matches('.').to_ascii_lowercase();
    let label = name.strip_suffix(".local").unwrap_or(&name);
    let is_of = |domain: &String| {
        let mut known = PREFIXES.iter();
        name == *domain || known.any(|prefix| name.strip_prefix(prefix) == Some(domain))
    };
    name.parse::<IpAddr>().is_ok()
        || ["localhost", "pillarbox.local", "pillarbox"].contains(&name.as_str())
        || name == own
        || domains.iter().any(is_of)
        // Last: a file is read for it.
        || !label.is_empty() && office().iter().any(|known| known == label)
}

/// A form counts as ours when the browser says so; browsers that say nothing do not send forms any more.
fn is_own_form(headers: &HeaderMap, host: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site")
        && site != "same-origin"
    {
        return false;
    }
    match text("origin") {
        Some(origin) => origin.split_once("://").is_some_and(|(_, rest)| rest == host),
        None => text("sec-fetch-site") == Some("same-origin"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_and_plain_addresses_are_answered() {
        let domains = ["example.org".to_string()];
        let offices =
            [["post".to_string(), "post-2".to_string()], ["post".to_string(), String::new()]];
        for (host, is) in [
            ("pillarbox.local", true),
            ("post.local:80", true),
            ("post", true),
            ("post-2.local", true),
            ("post-3.local", false),
            (".local", false),
            ("post.example", false),
            ("localhost:8080", true),
            ("Box.Example:443", true),
            ("192.168.1.7", true),
            ("[fd00::1]:80", true),
            ("autoconfig.example.org", true),
            ("mta-sts.example.org", true),
            ("evil.example", false),
            ("example.org.evil.example", false),
            ("", false),
        ] {
            let is_ours = |office: &[String; 2]| {
                is_our_host(host, "box.example", &domains, || office.clone())
            };
            assert_eq!(offices.iter().any(is_ours), is, "{host}");
        }
    }

    #[test]
    fn forms_from_elsewhere_are_known() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs
                .iter()
                .map(|(n, v)| (header::HeaderName::from_static(n), HeaderValue::from_static(v)))
                .collect::<HeaderMap>()
        };
        let own =
            |pairs: &[(&'static str, &'static str)]| is_own_form(&headers(pairs), "box.example");
        assert!(own(&[("origin", "https://box.example")]));
        assert!(own(&[("origin", "https://box.example"), ("sec-fetch-site", "same-origin")]));
        assert!(own(&[("sec-fetch-site", "same-origin")]));
        assert!(!own(&[]));
        assert!(!own(&[("origin", "https://evil.example")]));
        assert!(!own(&[("origin", "null")]));
        assert!(!own(&[("origin", "https://box.example"), ("sec-fetch-site", "cross-site")]));
    }
}
