//! TLS: taken where offered, demanded where a destination says so, and never believed without proof there.

use std::sync::Arc;

use pillarbox_store::{Notices, Timestamp, Traits};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::authority::{Authority, trusting, world_with_authority};
use super::peer::{Peer, Script};
use super::world::{World, host};
use super::zone::Zone;

fn tls(config: Arc<ServerConfig>) -> Script {
    Script { tls: Some(config), abilities: vec!["PIPELINING", "8BITMIME"], ..Script::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_taken_from_anybody_where_nothing_is_demanded() {
    let world = World::new().await;
    // A certificate of an unknown authority for another name is still better than none.
    let (config, _) = Authority::self_signed().server("other.example");
    let peer = world.server("a.test", 1, 10, vec![tls(config)]).await;
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert!(peer.taken()[0].under_tls);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_is_broken_and_not_demanded_is_done_without() {
    let world = World::new().await;
    // It offers STARTTLS and then does not speak TLS.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let broken = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let broken = broken
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    let peer = world.server("a.test", 1, 10, vec![tls(Arc::new(broken))]).await;
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert_eq!((peer.taken().len(), peer.taken()[0].under_tls, peer.connections()), (1, false, 2));
}

/// Serves a policy for every request.
async fn serve_policy(world: &World, config: Arc<ServerConfig>, policy: &'static str) {
    // In pieces, as web servers may answer HTTP/1.1.
    let (first, second) = policy.split_at(10);
    let chunks =
        format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    serve_answer(world, config, format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")).await;
}

/// Gives one answer to every request in HTTP/1.1 for the policy.
async fn serve_answer(world: &World, config: Arc<ServerConfig>, answer: String) {
    let port = world.outbound.config().outbound.https_port;
    let listener = tokio::net::TcpListener::bind((host(200), port)).await.unwrap();
    world.zone.address("mta-sts.a.test", host(200));
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(mut tls) = acceptor.accept(tcp).await {
                // Enough of the request to know that it is one.
                let mut request = [0; 1024];
                let count = tls.read(&mut request).await.unwrap_or(0);
                if request[..count].starts_with(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n") {
                    let _ = tls.write_all(answer.as_bytes()).await;
                }
                let _ = tls.shutdown().await;
            }
        }
    });
}

const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: mx1.test\r\nmax_age: 86400\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn mta_sts_is_enforced_and_remembered() {
    let (world, authority) = trusting(Zone::plain()).await;
    world.zone.txt("_mta-sts.a.test", "v=STSv1; id=1;");
    serve_policy(&world, authority.server("mta-sts.a.test").0, POLICY).await;
    // The right certificate, then one for another name, then none at all, then the right one again.
    let (right, wrong) = (tls(authority.server("mx1.test").0), tls(authority.server("mx7.test").0));
    let peer =
        world.server("a.test", 1, 10, vec![right.clone(), wrong, Script::default(), right]).await;
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert!(peer.taken()[0].under_tls);
    // From here on only what is remembered tells: the record is gone.
    world.zone.remove("_mta-sts.a.test", hickory_proto::rr::RecordType::TXT);
    world.outbound.dns.clear_cache();
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert_eq!((peer.taken().len(), world.queue().len()), (1, 1));
    assert!(
        world.queue()[0].last.to_string().starts_with("4.7.10 TLS with mx1.test"),
        "{}",
        world.queue()[0].last
    );
    world.work_on(1).await;
    assert!(
        world.queue()[0].last.to_string().contains("offers no TLS"),
        "{}",
        world.queue()[0].last
    );
    world.work_on(1).await;
    assert_eq!((peer.taken().len(), world.queue().len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_for_every_address_is_no_policy() {
    for head in ["Content-Type: text/html\r\n", "", "Content-Type: application/octet-stream\r\n"] {
        let (world, authority) = trusting(Zone::plain()).await;
        world.zone.txt("_mta-sts.a.test", "v=STSv1 ;id=1");
        let answer =
            format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\n\r\n{POLICY}", POLICY.len());
        serve_answer(&world, authority.server("mta-sts.a.test").0, answer).await;
        let peer = world.server("a.test", 2, 10, vec![Script::default()]).await;
        world.submit(&["bob@a.test"]).await;
        world.work().await;
        assert_eq!(peer.taken().len(), 1, "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_the_policy_does_not_name_get_nothing() {
    let (world, authority) = trusting(Zone::plain()).await;
    world.zone.txt("_mta-sts.a.test", "v=STSv1 ;id=1");
    serve_policy(&world, authority.server("mta-sts.a.test").0, POLICY).await;
    let stranger = world.server("a.test", 2, 10, vec![tls(authority.server("mx2.test").0)]).await;
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert_eq!((stranger.connections(), world.queue().len()), (0, 1));
    // The sender may say that getting there matters more (RFC 8689 §5).
    world
        .submit_as(&["bob@a.test"], Traits::TLS_OPTIONAL, Notices::default(), "Subject: x\r\n\r\n")
        .await;
    world.work().await;
    assert_eq!(stranger.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dane_believes_the_signed_zone_and_nothing_else() {
    let zone = Zone::signed();
    let (world, authority) = trusting(zone).await;
    let (config, digest) = authority.server("not-checked.example");
    world.zone.tlsa("mx1.test", world.port, digest);
    let (other, _) = authority.server("mx1.test");
    let peer =
        world.server("a.test", 1, 10, vec![tls(other), Script::default(), tls(config)]).await;
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    // A certificate of a trusted authority for the right name is not the one.
    assert_eq!((peer.taken().len(), world.queue().len()), (0, 1));
    assert!(
        world.queue()[0].last.to_string().starts_with("4.7.10 TLS with mx1.test"),
        "{}",
        world.queue()[0].last
    );
    world.work_on(1).await;
    assert!(
        world.queue()[0].last.to_string().contains("offers no TLS"),
        "{}",
        world.queue()[0].last
    );
    world.work_on(1).await;
    assert_eq!(peer.taken().len(), 1);
    assert!(peer.taken()[0].under_tls);
}

#[tokio::test(flavor = "multi_thread")]
async fn dane_holds_for_a_domain_that_is_its_own_host() {
    let (world, authority) = trusting(Zone::signed()).await;
    let (config, digest) = authority.server("not-checked.example");
    world.zone.address("plain.test", host(5));
    world.zone.only("plain.test", &[hickory_proto::rr::RecordType::A]);
    world.zone.tlsa("plain.test", world.port, digest);
    let (other, _) = authority.server("plain.test");
    let peer =
        Peer::listen(host(5), world.port, vec![Script::default(), tls(other), tls(config)]).await;
    let message = world.submit(&["bob@plain.test"]).await;
    world.work().await;
    assert!(
        peer.taken().is_empty() && world.queue()[0].last.to_string().contains("offers no TLS"),
        "{:?}",
        world.story(message)
    );
    world.work_on(1).await;
    assert!(
        world.queue()[0].last.to_string().starts_with("4.7.10 TLS with plain.test"),
        "{}",
        world.queue()[0].last
    );
    world.work_on(1).await;
    assert!(peer.taken()[0].under_tls);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_used_ask_for_tls_with_any_certificate() {
    let (world, _) = trusting(Zone::signed()).await;
    // PKIX-EE is not for mail (RFC 7672 §3.1.3); a digest of the wrong length is for nothing.
    for (host, usage, octets) in [("mx1.test", 1, 32), ("mx2.test", 3, 31)] {
        let record =
            hickory_proto::rr::rdata::TLSA::new(usage.into(), 1.into(), 1.into(), vec![7; octets]);
        world
            .zone
            .add(&format!("_{}._tcp.{host}", world.port), hickory_proto::rr::RData::TLSA(record));
    }
    let (stranger, _) = Authority::self_signed().server("nobody.example");
    for (number, domain) in [(1, "a.test"), (2, "b.test")] {
        let peer =
            world.server(domain, number, 10, vec![Script::default(), tls(stranger.clone())]).await;
        world.submit(&[&format!("bob@{domain}")]).await;
        world.work().await;
        assert!(
            peer.taken().is_empty() && world.queue()[0].last.to_string().contains("offers no TLS"),
            "{}",
            world.queue()[0].last
        );
        world.work_on(1).await;
        assert!(peer.taken()[0].under_tls, "{:?}", world.queue().first().map(|w| &w.last));
    }
    // It proves nothing: who asks for proof does not get it.
    let promise = Script { abilities: vec!["REQUIRETLS"], ..tls(stranger) };
    let peer = world.server("c.test", 3, 10, vec![promise]).await;
    let record = hickory_proto::rr::rdata::TLSA::new(1.into(), 1.into(), 1.into(), vec![7; 32]);
    world
        .zone
        .add(&format!("_{}._tcp.mx3.test", world.port), hickory_proto::rr::RData::TLSA(record));
    world
        .submit_as(&["bob@c.test"], Traits::REQUIRE_TLS, Notices::default(), "Subject: x\r\n\r\n")
        .await;
    world.work().await;
    assert!(peer.taken().is_empty() && world.inbox()[0].contains("can't be proven"));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_an_unsigned_zone_prove_nothing() {
    let (world, authority) = trusting(Zone::plain()).await;
    let (config, _) = authority.server("mx1.test");
    world.zone.tlsa("mx1.test", world.port, vec![7; 32]);
    let peer = world.server("a.test", 1, 10, vec![tls(config)]).await;
    world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert_eq!(peer.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn requiretls_goes_only_where_identity_and_promise_are_there() {
    let zone = Zone::signed();
    let (world, authority) = trusting(zone).await;
    let (config, digest) = authority.server("mx1.test");
    world.zone.tlsa("mx1.test", world.port, digest);
    let promise = Script { abilities: vec!["REQUIRETLS"], ..tls(config.clone()) };
    let peer = world.server("a.test", 1, 10, vec![tls(config.clone()), promise]).await;
    let submit = || {
        world.submit_as(
            &["bob@a.test"],
            Traits::REQUIRE_TLS,
            Notices::default(),
            "Subject: x\r\n\r\n",
        )
    };
    submit().await;
    world.work().await;
    assert!(peer.taken().is_empty() && world.inbox()[0].contains("Status: 5.7.30"));
    submit().await;
    world.work().await;
    assert!(peer.taken()[0].under_tls);

    let (world, authority) = trusting(Zone::plain()).await;
    let promise = Script { abilities: vec!["REQUIRETLS"], ..tls(authority.server("mx1.test").0) };
    let peer = world.server("a.test", 1, 10, vec![promise]).await;
    world
        .submit_as(&["bob@a.test"], Traits::REQUIRE_TLS, Notices::default(), "Subject: x\r\n\r\n")
        .await;
    world.work().await;
    assert!(peer.taken().is_empty() && world.inbox()[0].contains("can't be proven"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_certificate_must_be_right() {
    let (world, _) = world_with_authority("relay.test").await;
    let (wrong, _) = Authority::self_signed().server("relay.test");
    world.zone.address("relay.test", host(6));
    let peer = Peer::listen(
        host(6),
        world.port,
        vec![Script { abilities: vec!["AUTH PLAIN"], ..tls(wrong) }],
    )
    .await;
    let sealed = world.outbound.secrets.seal(crate::ROUTE_PURPOSE, b"secret").unwrap();
    let route = pillarbox_store::Route {
        host: "relay.test".into(),
        port: world.port,
        tls: pillarbox_store::RouteTls::StartTls,
        user: "me".into(),
        sealed,
        fault: pillarbox_store::Detail::None,
        told_at: Timestamp(0),
    };
    world
        .store
        .change(pillarbox_store::SetRoute { domain: String::new(), route })
        .done()
        .await
        .unwrap();
    world.submit(&["bob@x.test"]).await;
    world.work().await;
    // Later, not never: the clock may be wrong, or the provider is mending it.
    assert!(peer.taken().is_empty() && world.queue()[0].last.to_string().starts_with("4.7.10"));
}
