//! What mail programs and other servers ask the pages for: settings, profiles, policies.

use pillarbox_store::{AddDomain, Timestamp};

use super::*;

/// Somewhere on the internet.
const OUTSIDE: &str = "203.0.113.9";

#[tokio::test(flavor = "multi_thread")]
async fn mail_programs_find_their_settings_and_names_stay_in_their_place() {
    let world = world().await;
    let answer = ask(
        &world,
        request(Method::GET, "/mail/config-v1.1.xml?emailaddress=x@evil%22%3E.example", "", ""),
    )
    .await;
    assert!(
        answer.body.contains("<emailProvider id=\"box.test\">")
            && answer.body.contains("%EMAILADDRESS%")
    );
    let owner = cookie(&world, Role::Owner).await;
    let answer =
        ask(&world, request(Method::GET, "/find?q=%3Cscript%3Ealert(1)%3C/script%3E", &owner, ""))
            .await;
    assert!(!answer.body.contains("<script>alert"));
}

#[tokio::test(flavor = "multi_thread")]
async fn autodiscover_answers_in_any_case_and_to_the_internet() {
    let world = world().await;
    let pox =
        "<Autodiscover><Request><EMailAddress>ann@box.test</EMailAddress></Request></Autodiscover>";
    let mut outlook = request(Method::POST, "/autodiscover/autodiscover.xml", "", pox);
    outlook.headers_mut().remove(header::ORIGIN);
    let answer = ask_from(&world, OUTSIDE, outlook).await;
    assert!(
        answer.status == StatusCode::OK
            && answer.body.contains("<LoginName>ann@box.test</LoginName>"),
        "{}",
        answer.body
    );
    let json = ask(
        &world,
        request(
            Method::GET,
            "/autodiscover/autodiscover.json?Email=a@box.test&Protocol=AutodiscoverV1",
            "",
            "",
        ),
    )
    .await;
    assert!(json.body.contains("\"Protocol\":\"AutodiscoverV1\""));
    // In any case, and with the address behind; from the internet, too.
    for path in [
        "/AUTODISCOVER/autodiscover.xml", "/AutoDiscover/AutoDiscover.xml",
        "/autodiscover/Autodiscover.xml",
    ] {
        let mut outlook = request(Method::POST, path, "", pox);
        outlook.headers_mut().remove(header::ORIGIN);
        assert!(
            ask_from(&world, OUTSIDE, outlook)
                .await
                .body
                .contains("<LoginName>ann@box.test</LoginName>"),
            "{path}"
        );
    }
    for path in [
        "/autodiscover/autodiscover.json/v1.0/ann@box.test?Protocol=Autodiscoverv1",
        "/AutoDiscover/AutoDiscover.json/V1.0/ann%40box.test?protocol=autodiscoverv1",
    ] {
        let json = ask_from(&world, OUTSIDE, request(Method::GET, path, "", "")).await;
        assert!(
            json.status == StatusCode::OK
                && json.body.contains("\"Url\":\"https://box.test/autodiscover/autodiscover.xml\""),
            "{path}: {}",
            json.body
        );
    }
}

/// A request under another name of the box.
fn at_host(host: &'static str, path: &str) -> Request<Body> {
    let mut request = request(Method::GET, path, "", "");
    request.headers_mut().insert(header::HOST, axum::http::HeaderValue::from_static(host));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_those_of_the_domain_and_had_without_tls() {
    let world = world().await;
    let domain = AddDomain { name: "second.test".into(), at: Timestamp(1) };
    world.office.store.change(domain).done().await.unwrap();
    let settings = at_host("autoconfig.second.test", "/mail/config-v1.1.xml");
    let answer = ask_from(&world, OUTSIDE, settings).await;
    assert!(answer.body.contains("<domain>second.test</domain>"));
    // A domain's own name is rarely in the certificate: its settings can be had without TLS.
    world.install_certificate(&["box.test"]);
    let path = "/.well-known/autoconfig/mail/config-v1.1.xml";
    let mut plain = at_host("second.test", path);
    plain.extensions_mut().insert(Link { peer: OUTSIDE.parse().unwrap(), is_secure: false });
    let plain = router(world.site.clone()).oneshot(plain).await.unwrap();
    assert_eq!(plain.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_a_profile_with_their_address() {
    let world = world().await;
    let bob = cookie(&world, Role::Worker).await;
    let profile =
        ask(&world, request(Method::GET, "/programs/pillarbox.mobileconfig", &bob, "")).await;
    assert!(
        profile.body.contains("<string>bob@box.test</string>")
            && profile.headers["content-type"].to_str().unwrap().contains("aspen")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_promised_only_with_a_certificate_that_others_believe() {
    let world = world().await;
    let policy = |host| at_host(host, "/.well-known/mta-sts.txt");
    assert_eq!(ask(&world, policy("mta-sts.box.test")).await.status, StatusCode::NOT_FOUND);
    world.install_certificate(&["box.test"]);
    let answer = ask_from(&world, OUTSIDE, policy("mta-sts.box.test")).await;
    assert!(answer.body.contains("mode: enforce\r\nmx: box.test\r\n"), "{}", answer.body);
    assert_eq!(ask(&world, policy("box.test")).await.status, StatusCode::NOT_FOUND);
}
