//! Names as lines have them: old name servers, cut answers, odd names, zones with and without keys.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::TXT;
use pillarbox_platform::dns::DnsError;
use pillarbox_store::Fate;

use super::peer::{Peer, Script};
use super::world::{World, host};
use super::zone::{Edns, Kinds, Long, Top, Zone};

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_know_no_edns_are_asked_without_it() {
    for edns in [Edns::FormErr, Edns::NotImp, Edns::Bare, Edns::Silence] {
        let world = World::new().await;
        world.zone.edns(edns);
        let peer = world.server("a.test", 1, 10, vec![Script::default()]).await;
        world.submit(&["bob@a.test"]).await;
        world.work().await;
        let left: Vec<String> = world.queue().into_iter().map(|w| w.last.to_string()).collect();
        assert_eq!((peer.taken().len(), left), (1, vec![]), "{edns:?}");
        // It is remembered: the next question waits for nothing.
        let before = world.zone.asked().len();
        let missing = tokio::time::timeout(
            std::time::Duration::from_millis(900),
            world.outbound.dns.mx("nowhere.example"),
        );
        assert_eq!(missing.await.expect("at once").unwrap_err(), DnsError::NoSuchName, "{edns:?}");
        assert_eq!(world.zone.asked().len(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_answers_that_were_cut_what_came_is_used_where_some_is_enough() {
    for is_told in [true, false] {
        let world = World::new().await;
        let peer = world.server("a.test", 1, 10, vec![Script::default()]).await;
        for n in 0..40 {
            world.zone.mx(
                "a.test",
                20 + n,
                &format!("a-rather-long-name-of-a-host-{n}.somewhere.test"),
            );
        }
        world.zone.add(
            "text.test",
            RData::TXT(TXT::new(vec!["x".repeat(250), "y".repeat(250), "z".repeat(250)])),
        );
        world.zone.long(Long::Cut { is_told });
        world.submit(&["bob@a.test"]).await;
        world.work().await;
        let left: Vec<String> = world.queue().into_iter().map(|w| w.last.to_string()).collect();
        assert_eq!((peer.taken().len(), left), (1, vec![]), "{is_told}");
        // Half a text may mean anything.
        assert!(matches!(world.outbound.dns.txt("text.test").await, Err(DnsError::Temporary(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_knows_addresses_only_bounces_nothing() {
    let world = World::new().await;
    world.zone.mx("a.test", 10, "mx1.test");
    world.zone.address("a.test", host(1));
    world.zone.kinds(Kinds::Addresses);
    let there = world.submit(&["bob@a.test"]).await;
    let missing = world.submit(&["bob@nowhere.example"]).await;
    world.work().await;
    let queue = world.queue();
    assert!(
        queue.len() == 1 && queue[0].last.to_string().starts_with("4.4.3"),
        "{:?}",
        world.story(there)
    );
    assert_eq!(world.story(missing).last().unwrap().0, Fate::Bounced);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_asked_for_as_they_stand() {
    let world = World::new().await;
    for (number, domain, exchanger) in [
        (1, "under.test", "mx_1.under.test"),
        (2, "_first.test", "_mx.test"),
        (3, "a_b.test", "mail.test"),
        (4, "b\u{fc}ro.test", "m.test"),
    ] {
        let registered = if domain.is_ascii() { domain } else { "xn--bro-hoa.test" };
        world.zone.mx(registered, 10, exchanger);
        world.zone.address(exchanger, host(number));
        let peer = Peer::listen(host(number), world.port, vec![Script::default()]).await;
        let message = world.submit(&[&format!("bob@{domain}")]).await;
        world.work().await;
        assert_eq!(peer.taken().len(), 1, "{domain}: {:?}", world.story(message));
        assert!(world.zone.asked().contains(&format!("{exchanger}.")), "{:?}", world.zone.asked());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_domain_with_broken_name_servers_is_delivered_to() {
    let tops = [
        Top::Code(ResponseCode::NoError),
        Top::Code(ResponseCode::ServFail),
        Top::Code(ResponseCode::NXDomain),
        Top::Code(ResponseCode::Refused),
        Top::Silence,
    ];
    for top in tops {
        let world = World::with(Zone::signed(), |_| {}).await;
        world.zone.delegate_unsigned("child.test", top);
        world.zone.mx("child.test", 10, "mx1.child.test");
        world.zone.address("mx1.child.test", host(1));
        let peer = Peer::listen(host(1), world.port, vec![Script::default()]).await;
        let message = world.submit(&["bob@child.test"]).await;
        world.work().await;
        assert_eq!(peer.taken().len(), 1, "{top:?}: {:?}", world.story(message));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_domain_that_fails_is_held() {
    let world = World::with(Zone::signed(), |_| {}).await;
    let peer = world.server("a.test", 1, 10, vec![Script::default()]).await;
    // Somebody takes the signatures of one record away.
    world.zone.strip("a.test", hickory_proto::rr::RecordType::MX);
    let message = world.submit(&["bob@a.test"]).await;
    world.work().await;
    assert_eq!((peer.connections(), world.queue().len()), (0, 1), "{:?}", world.story(message));
    assert_eq!(world.story(message).last().unwrap().0, Fate::Queued);
    assert!(world.queue()[0].last.to_string().starts_with("4.4.3"), "{}", world.queue()[0].last);
}
