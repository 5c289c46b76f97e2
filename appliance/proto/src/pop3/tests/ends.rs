//! How sessions end, and that nothing is deleted on any way but one.

use super::*;

#[test]
fn a_dropped_line_a_time_out_and_a_stop_delete_nothing() {
    let mut dropped = Peer::inside();
    dropped.type_in("DELE 1\r\n");
    dropped.session.as_mut().unwrap().peer_closed();
    dropped.turn();
    let mut silent = Peer::inside();
    silent.type_in("DELE 1\r\n");
    silent.now += Duration::from_secs(601);
    silent.turn();
    assert_eq!(silent.said, "");
    let mut stopped = Peer::inside();
    stopped.type_in("DELE 1\r\n");
    stopped.session.as_mut().unwrap().shut_down();
    stopped.turn();
    assert!(stopped.said.starts_with("-ERR [SYS/TEMP]"));
    for peer in [dropped, silent, stopped] {
        assert!(peer.closed && peer.updates.is_empty());
    }
}

#[test]
fn guessing_and_dawdling_end_the_session() {
    let mut guesser = Peer::new(PlaintextLogin::Allowed, Security::Plain);
    for _ in 0..3 {
        guesser.type_in("USER a@b.c\r\nPASS wrong\r\n");
    }
    assert!(guesser.closed);
    let mut dawdler = Peer::new(PlaintextLogin::Allowed, Security::Plain);
    dawdler.turn();
    for _ in 0..7 {
        dawdler.now += Duration::from_secs(9);
        dawdler.give(b"CAPA\r\n");
    }
    dawdler.turn();
    assert!(dawdler.closed);
}

#[test]
fn a_slow_transfer_does_not_count_as_silence() {
    let (mut peer, slow) = (Peer::inside(), Duration::from_secs(900));
    let (session, start) = (peer.session.as_mut().unwrap(), peer.now);
    session.receive(start, b"RETR 1\r\n");
    while !matches!(session.poll(start), Action::Ask(_)) {}
    session.answer(start, Answer::Content { octets: 19 });
    session.content(MESSAGES[0].as_bytes());
    session.content_end();
    assert!(matches!(session.poll(start), Action::Send(_)));
    // The peer took a quarter of an hour to take it; now it has its ten minutes for the next command.
    assert!(matches!(session.poll(start + slow), Action::Input));
    assert_eq!(session.deadline(), start + slow + Duration::from_secs(600));
}

#[test]
fn octets_that_are_no_command_do_not_put_off_the_autologout() {
    let mut peer = Peer::inside();
    for _ in 0..7 {
        peer.now += Duration::from_secs(99);
        peer.give(b"N");
    }
    assert!(peer.closed && peer.updates.is_empty());
    let mut peer = Peer::inside();
    for _ in 0..7 {
        peer.now += Duration::from_secs(599);
        assert_eq!(peer.type_in("NOOP\r\n"), "+OK Ok\r\n");
    }
}

#[test]
fn too_many_errors_end_the_session_and_say_so() {
    let mut peer = Peer::inside();
    for _ in 0..50 {
        assert_eq!(peer.type_in("XYZ\r\n"), "-ERR This command is not known here\r\n");
    }
    assert_eq!(
        peer.type_in("XYZ\r\nSTAT\r\n"),
        "-ERR This command is not known here; too many errors, goodbye\r\n"
    );
    assert!(peer.closed && peer.updates.is_empty());
}

#[test]
fn a_stop_amid_a_message_lets_it_end_and_hears_no_quit() {
    let mut peer = Peer::inside();
    let (session, now) = (peer.session.as_mut().unwrap(), peer.now);
    session.receive(now, b"DELE 1\r\nRETR 2\r\nQUIT\r\n");
    assert!(matches!(session.poll(now), Action::Ask(Question::Listing { from: 1, limit: 1 })));
    session.answer(now, Answer::Listing(vec![Entry { octets: 19, uidl: [b'a'; 16] }]));
    assert!(matches!(session.poll(now), Action::Ask(Question::Retrieve { number: 2 })));
    session.answer(now, Answer::Content { octets: 13 });
    session.shut_down();
    session.content(MESSAGES[1].as_bytes());
    session.content_end();
    peer.turn();
    let wanted = "+OK Marked as deleted\r\n+OK 13 octets\r\nB: 2\r\n\r\ntwo\r\n.\r\n-ERR [SYS/TEMP] This server is being stopped";
    assert!(peer.said.starts_with(wanted), "{}", peer.said);
    assert!(peer.closed && peer.updates.is_empty());
}

#[test]
fn an_update_that_fails_is_told_and_ends_the_session() {
    let mut peer = Peer::inside();
    peer.type_in("DELE 2\r\n");
    let (session, now) = (peer.session.as_mut().unwrap(), peer.now);
    session.receive(now, b"QUIT\r\nNOOP\r\n");
    // Asked again until it is answered; meanwhile nothing is parsed.
    for _ in 0..2 {
        assert!(matches!(session.poll(now), Action::Ask(Question::Update { deleted: [2] })));
    }
    session
        .answer(now, Answer::Refuse(Refusal { code: Some("SYS/TEMP"), text: "Still here".into() }));
    peer.turn();
    assert_eq!((peer.said.as_str(), peer.closed), ("-ERR [SYS/TEMP] Still here\r\n", true));
}
