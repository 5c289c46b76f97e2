use pillarbox_host::net::is_private;

use super::*;

fn attempt(n: u8) -> Fingerprint {
    [n; 32]
}

#[test]
fn strangers_wait_longer_and_longer_and_are_forgiven_after_an_hour() {
    let (peer, start) = ("203.0.113.9".parse().unwrap(), Instant::now());
    let mut throttle = Throttle::new(3, 60, is_private);
    for n in 0..3 {
        assert_eq!(throttle.decide(peer, "ann", Place::New, start), Decision::Try);
        throttle.failed(peer, "ann", attempt(n), start);
    }
    assert_eq!(throttle.decide(peer, "bob", Place::New, start), Decision::Wait(61));
    let waiting: Vec<String> = throttle.waiting(start).into_iter().map(|w| w.who).collect();
    assert_eq!(waiting, ["203.0.113.9", "ann"]);
    assert!(throttle.waiting(start + MEMORY).is_empty());
    throttle.failed(peer, "ann", attempt(9), start);
    assert_eq!(throttle.decide(peer, "ann", Place::New, start), Decision::Wait(121));
    assert_eq!(
        throttle.decide(peer, "ann", Place::New, start + Duration::from_secs(121)),
        Decision::Try
    );
    throttle.failed(peer, "ann", attempt(10), start + MEMORY);
    assert_eq!(throttle.decide(peer, "ann", Place::New, start + MEMORY), Decision::Try);
}

#[test]
fn the_same_wrong_password_counts_once() {
    let (peer, now) = ("203.0.113.9".parse().unwrap(), Instant::now());
    let mut throttle = Throttle::new(2, 60, is_private);
    (0..100).for_each(|_| throttle.failed(peer, "ann", attempt(1), now));
    assert_eq!(throttle.decide(peer, "ann", Place::New, now), Decision::Try);
}

#[test]
fn neighbours_are_slowed_down_and_never_shut_out() {
    let start = Instant::now();
    for near in [
        "127.0.0.1", "192.168.1.5", "10.1.1.1", "172.16.0.1", "100.64.0.1", "fd00::1", "::1",
        "::ffff:10.0.0.1",
    ] {
        let (mut throttle, peer) = (Throttle::new(3, 60, is_private), near.parse().unwrap());
        let (mut now, mut guesses) = (start, 0u8);
        // As fast as it is let, for ten minutes.
        while now < start + Duration::from_secs(600) && guesses < 255 {
            match throttle.decide(peer, "ann", Place::New, now) {
                Decision::Try => {}
                Decision::Pause(pause) => now += pause,
                Decision::Wait(_) => panic!("{near}: one after the other there is no line"),
            }
            throttle.failed(peer, "ann", attempt(guesses), now);
            guesses += 1;
        }
        assert!((100..200).contains(&guesses), "{near}: {guesses} guesses in ten minutes");
        let line = (0..50).map(|_| throttle.decide(peer, "ann", Place::New, now));
        let tried = line.filter(|decision| !matches!(decision, Decision::Wait(_))).count();
        assert!(tried <= 5, "a crowd stands in one line: {tried}");
        assert_eq!(
            throttle.decide(peer, "bob", Place::New, now),
            Decision::Try,
            "others are not slowed down"
        );
        let later = now + Duration::from_secs(20);
        assert_eq!(
            throttle.decide(peer, "ann", Place::New, later),
            Decision::Try,
            "nor anybody for long"
        );
        assert_eq!(
            throttle.decide("198.51.100.1".parse().unwrap(), "ann", Place::New, now),
            Decision::Try
        );
    }
}

#[test]
fn guesses_of_others_count_for_nothing_at_a_known_place() {
    let (mut throttle, now, home) =
        (Throttle::new(2, 60, is_private), Instant::now(), "203.0.113.1".parse().unwrap());
    (0..99u8).for_each(|n| throttle.failed(IpAddr::from([198, 51, n, 1]), "ann", attempt(n), now));
    assert!(matches!(throttle.decide(home, "ann", Place::New, now), Decision::Wait(_)));
    assert_eq!(throttle.decide(home, "ann", Place::Known, now), Decision::Try);
    (0..3).for_each(|n| throttle.failed(home, "ann", attempt(n), now));
    assert!(
        matches!(throttle.decide(home, "ann", Place::Known, now), Decision::Wait(_)),
        "its own do"
    );
}

#[test]
fn a_full_memory_still_counts() {
    let (mut throttle, now, peer) =
        (Throttle::new(10, 60, is_private), Instant::now(), "203.0.113.1".parse().unwrap());
    (0..20).for_each(|n| throttle.failed(peer, "ann", attempt(n), now));
    let spread =
        |n: u32| IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(n) << 64).to_be_bytes());
    for n in 0..20_000u32 {
        let mut fresh = [0; 32];
        fresh[..4].copy_from_slice(&n.to_be_bytes());
        throttle.failed(
            spread(n),
            &format!("u{n}"),
            fresh,
            now + Duration::from_millis(u64::from(n)),
        );
        assert!(throttle.failures.len() <= LIMIT);
    }
    let later = now + Duration::from_secs(20);
    assert!(
        matches!(throttle.decide(peer, "x", Place::New, later), Decision::Wait(_)),
        "who tried often is remembered"
    );
    (0..20).for_each(|n| throttle.failed("192.0.2.7".parse().unwrap(), "new", attempt(n), later));
    assert!(
        matches!(
            throttle.decide("192.0.2.7".parse().unwrap(), "y", Place::New, later),
            Decision::Wait(_)
        ),
        "and new ones count"
    );
    // All of those networks are in one of 32 bits.
    assert!(matches!(throttle.decide(spread(70_000), "z", Place::New, later), Decision::Wait(_)));
}

#[test]
fn an_attacked_account_waits_from_outside_only() {
    let now = Instant::now();
    let mut throttle = Throttle::new(2, 60, is_private);
    for n in 0..9u8 {
        throttle.failed(IpAddr::from([198, 51, 100, n]), "ann", attempt(n), now);
    }
    assert!(matches!(
        throttle.decide("203.0.113.1".parse().unwrap(), "ann", Place::New, now),
        Decision::Wait(_)
    ));
    assert_eq!(
        throttle.decide("203.0.113.1".parse().unwrap(), "bob", Place::New, now),
        Decision::Try
    );
    assert_eq!(
        throttle.decide("192.168.0.2".parse().unwrap(), "ann", Place::New, now),
        Decision::Try
    );
}

#[test]
fn one_ipv6_network_is_one_peer() {
    let now = Instant::now();
    let mut throttle = Throttle::new(2, 60, is_private);
    for n in 0..3u16 {
        throttle.failed(
            IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]),
            &format!("u{n}"),
            attempt(n as u8),
            now,
        );
    }
    assert!(matches!(
        throttle.decide("2001:db8:0:1::99".parse().unwrap(), "x", Place::New, now),
        Decision::Wait(_)
    ));
}
