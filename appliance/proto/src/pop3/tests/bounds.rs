//! Much, long, cut up and senseless input.

use proptest::prelude::*;

use super::*;

#[test]
fn an_overlong_line_is_swallowed_in_bounded_memory() {
    let mut peer = Peer::inside();
    peer.give(&vec![b'x'; 1_000_000]);
    assert!(peer.session.as_ref().unwrap().buffered() < 64 * 1024);
    assert_eq!(peer.type_in("\r\nNOOP\r\n"), "-ERR This line is too long\r\n+OK Ok\r\n");
}

#[test]
fn waiting_retrievals_are_counted() {
    let mut session =
        Session::new(config(PlaintextLogin::Allowed), Security::Plain, Instant::now());
    let now = Instant::now();
    let _ = session.poll(now);
    session.receive(now, b"USER a@b.c\r\nPASS right\r\nRETR 1\r\nretr 2\r\nRETR 3\r\nRETR 9\r\n");
    while !matches!(session.poll(now), Action::Ask(Question::Login(_))) {}
    session.answer(now, Answer::LoggedIn { messages: 3, octets: 63 });
    while !matches!(session.poll(now), Action::Ask(Question::Retrieve { number: 1 })) {}
    assert_eq!(session.more_retrievals_waiting(), 2);
}

#[test]
fn a_large_listing_streams_and_idleness_holds_next_to_nothing() {
    let now = Instant::now();
    let mut session = Session::new(config(PlaintextLogin::Allowed), Security::Plain, now);
    session.receive(now, b"USER a@b.c\r\nPASS right\r\nUIDL\r\n");
    let (mut octets, mut listed) = (0, 0);
    loop {
        assert!(session.buffered() < 160 * 1024);
        let answer = match session.poll(now) {
            Action::Input => break,
            Action::Send(out) => {
                octets += out.len();
                continue;
            }
            Action::Ask(Question::Listing { from, limit }) => {
                assert_eq!(from, listed + 1);
                let count = limit.min(100_000 - listed);
                listed += count;
                Answer::Listing(vec![Entry { octets: 1, uidl: [b'u'; 16] }; count as usize])
            }
            _ => Answer::LoggedIn { messages: 100_000, octets: 100_000 },
        };
        session.answer(now, answer);
    }
    let digits: usize = (1..=100_000).map(|n: u32| n.to_string().len()).sum();
    assert_eq!(listed, 100_000);
    assert!(octets > digits + 100_000 * 19 && session.buffered() < 1024);
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        Just("USER ann@example.org\r\nPASS right\r\n".to_string()),
        Just("STAT\r\n".into()),
        Just("LIST\r\n".into()),
        Just("UIDL\r\n".into()),
        "(RETR|DELE|LIST|UIDL|TOP) [0-4] ?[0-4]?\r\n",
        Just("RSET\r\nQUIT\r\n".into()),
        Just("CAPA\r\n".into()),
        "\\PC{0,20}\r?\n?",
    ];
    proptest::collection::vec(words, 0..20).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn what_is_said_does_not_depend_on_how_it_was_cut(input in soup(), cuts in proptest::collection::vec(1usize..9, 0..40)) {
        let mut whole = Peer::new(PlaintextLogin::Allowed, Security::Plain);
        whole.give(&input);
        let mut pieces = Peer::new(PlaintextLogin::Allowed, Security::Plain);
        let mut rest = &input[..];
        for cut in cuts {
            let (piece, later) = rest.split_at(cut.min(rest.len()));
            pieces.give(piece);
            rest = later;
        }
        pieces.give(rest);
        prop_assert_eq!(whole.said, pieces.said);
        prop_assert_eq!(whole.updates, pieces.updates);
        prop_assert_eq!(whole.closed, pieces.closed);
    }
}
