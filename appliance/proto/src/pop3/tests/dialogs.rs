//! What is said, command by command.

use super::*;

#[test]
fn a_whole_session() {
    let mut peer = Peer::new(PlaintextLogin::Allowed, Security::Plain);
    for (typed, wanted) in [
        ("", "+OK box.example POP3 Pillarbox ready\r\n"),
        ("STAT\r\nUTF8\r\n", "-ERR Log in first\r\n+OK UTF-8 is fine here\r\n"),
        ("user ann@example.org\r\n", "+OK Now the password\r\n"),
        ("PASS wrong\r\n", "-ERR [AUTH] Wrong\r\n"),
        ("PASS right\r\n", "-ERR Say USER first\r\n"),
        (
            "USER ann@example.org\r\nPASS right\r\n",
            "+OK Now the password\r\n+OK 3 messages, 63 octets\r\n",
        ),
        ("STAT\r\n", "+OK 3 63\r\n"),
        ("LIST\r\n", "+OK Messages follow\r\n1 19\r\n2 13\r\n3 31\r\n.\r\n"),
        ("LIST 2\r\n", "+OK 2 13\r\n"),
        ("UIDL 2\r\n", "+OK 2 cccccccccccccccc\r\n"),
        ("LIST 4\r\n", "-ERR There is no message 4; this mailbox has 3\r\n"),
        ("LIST x\r\n", "-ERR Say the number of a message\r\n"),
        ("RETR 1\r\n", "+OK 19 octets\r\nA: 1\r\n\r\none\r\n..dot\r\n.\r\n"),
        ("TOP 3 1\r\n", "+OK 31 octets\r\nC: 3\r\n\r\nthree lines\r\n.\r\n"),
        ("DELE 2\r\n", "+OK Marked as deleted\r\n"),
        ("STAT\r\n", "+OK 2 50\r\n"),
        ("RETR 2\r\n", "-ERR Message 2 is marked as deleted\r\n"),
        ("LIST\r\n", "+OK Messages follow\r\n1 19\r\n3 31\r\n.\r\n"),
        ("RSET\r\nSTAT\r\n", "+OK No message is marked as deleted any more\r\n+OK 3 63\r\n"),
        ("DELE 3\r\nDELE 1\r\n", "+OK Marked as deleted\r\n+OK Marked as deleted\r\n"),
        ("NOOP\r\nXYZ\r\n", "+OK Ok\r\n-ERR This command is not known here\r\n"),
        ("QUIT\r\n", "+OK Goodbye\r\n"),
    ] {
        assert_eq!(peer.type_in(typed), wanted, "after {typed:?}");
    }
    assert!(peer.closed);
    assert_eq!(peer.updates, [[1, 3]]);
}

#[test]
fn capabilities_are_true_before_and_after_login_and_tls() {
    let mut peer = Peer::new(PlaintextLogin::OnlyUnderTls, Security::Plain);
    let said = peer.type_in("CAPA\r\n");
    assert!(said.contains("STLS\r\n") && !said.contains("USER\r\n") && !said.contains("SASL"));
    assert!(
        said.contains("EXPIRE NEVER\r\nLOGIN-DELAY 9\r\n")
            && said.ends_with("IMPLEMENTATION Pillarbox-test\r\n.\r\n")
    );
    assert!(
        peer.type_in("USER ann@example.org\r\n")
            .starts_with("-ERR Passwords only under encryption")
    );
    assert!(
        peer.type_in("AUTH PLAIN AGEAYg==\r\n").starts_with("-ERR Passwords only under encryption")
    );
    peer.type_in("STLS\r\n");
    let said = peer.type_in("CAPA\r\n");
    assert!(said.contains("USER\r\nSASL PLAIN\r\n") && !said.contains("STLS"));
    peer.type_in("USER ann@example.org\r\nPASS right\r\n");
    assert!(!peer.type_in("CAPA\r\n").contains("USER"));
    assert!(peer.type_in("STLS\r\n").starts_with("-ERR"));
}

#[test]
fn nothing_said_in_the_clear_counts_after_stls() {
    let mut peer = Peer::new(PlaintextLogin::Allowed, Security::Plain);
    peer.type_in("USER eve@example.org\r\n");
    assert_eq!(peer.type_in("STLS\r\nPASS right\r\nSTAT\r\n"), "+OK Begin TLS now\r\n");
    assert_eq!(peer.type_in("PASS right\r\n"), "-ERR Say USER first\r\n");
}

#[test]
fn sasl_plain_with_and_without_initial_response() {
    // "\0ann@example.org\0right"
    let response = "AGFubkBleGFtcGxlLm9yZwByaWdodA==";
    for (typed, wanted) in [
        (format!("AUTH PLAIN {response}\r\n"), "+OK 3 messages, 63 octets\r\n"),
        (format!("AUTH PLAIN\r\n{response}\r\n"), "+ \r\n+OK 3 messages, 63 octets\r\n"),
        ("AUTH PLAIN\r\n*\r\n".into(), "+ \r\n-ERR Login cancelled\r\n"),
        ("AUTH PLAIN ???\r\n".into(), "-ERR The login is not proper base64\r\n"),
        ("AUTH CRAM-MD5\r\n".into(), "-ERR Use AUTH PLAIN, or USER and PASS\r\n"),
        ("AUTH\r\n".into(), "+OK Mechanisms\r\nPLAIN\r\n.\r\n"),
    ] {
        let mut peer = Peer::new(PlaintextLogin::Allowed, Security::Plain);
        peer.type_in("");
        assert_eq!(peer.type_in(&typed), wanted, "{typed:?}");
    }
}

#[test]
fn a_listing_that_cannot_begin_is_an_error_and_one_that_breaks_off_drops_the_line() {
    let refusal = || Answer::Refuse(Refusal { code: Some("SYS/TEMP"), text: "Not now".into() });
    for (good, wanted) in
        [(0, "-ERR [SYS/TEMP] Not now\r\n"), (1, "+OK Messages follow\r\n1 19\r\n")]
    {
        let mut peer = Peer::inside();
        let (session, now) = (peer.session.as_mut().unwrap(), peer.now);
        session.receive(now, b"LIST\r\n");
        for _ in 0..good {
            assert!(matches!(session.poll(now), Action::Ask(_)));
            session.answer(now, Answer::Listing(vec![Entry { octets: 19, uidl: [b'a'; 16] }]));
        }
        assert!(matches!(session.poll(now), Action::Ask(_)));
        session.answer(now, refusal());
        peer.turn();
        assert_eq!((peer.said.as_str(), peer.closed), (wanted, good > 0));
    }
}

#[test]
fn message_numbers_are_digits_and_no_more() {
    let mut peer = Peer::inside();
    for (typed, wanted) in [
        ("LIST +1\r\n", "-ERR Say the number of a message\r\n"),
        ("RETR -1\r\n", "-ERR Say the number of a message\r\n"),
        ("DELE 1 2\r\n", "-ERR Say the number of a message\r\n"),
        ("RETR\r\n", "-ERR Say the number of a message\r\n"),
        ("RETR 0\r\n", "-ERR There is no message 0; this mailbox has 3\r\n"),
        ("RETR 4294967296\r\n", "-ERR There is no message 4294967296; this mailbox has 3\r\n"),
        ("TOP 1\r\n", "-ERR TOP wants a message number and a number of lines\r\n"),
        ("TOP 1 -1\r\n", "-ERR TOP wants a message number and a number of lines\r\n"),
        ("list 02 \r\n", "+OK 2 13\r\n"),
        // RFC 6856 §2: before the login only.
        ("UTF8\r\n", "-ERR You are logged in already\r\n"),
    ] {
        assert_eq!(peer.type_in(typed), wanted, "after {typed:?}");
    }
}

#[test]
fn an_answer_that_fits_no_question_is_harmless() {
    let mut peer = Peer::inside();
    let (session, now) = (peer.session.as_mut().unwrap(), peer.now);
    session.answer(now, Answer::LoggedIn { messages: 9, octets: 9 });
    session.content(b"nobody asked");
    session.content_end();
    session.receive(now, b"RETR 1\r\n");
    assert!(matches!(session.poll(now), Action::Ask(_)));
    session.answer(now, Answer::Accept);
    peer.turn();
    assert_eq!(
        std::mem::take(&mut peer.said),
        "-ERR [SYS/TEMP] Something went wrong here; try again later\r\n"
    );
    assert_eq!(peer.type_in("STAT\r\n"), "+OK 3 63\r\n");
}

#[test]
fn passwords_keep_their_spaces_and_stay_out_of_debug_output() {
    let now = Instant::now();
    let mut session = Session::new(config(PlaintextLogin::Allowed), Security::Plain, now);
    session.receive(now, "user ann@example.org\r\npass  two  words \u{fc} \n".as_bytes());
    let Action::Ask(Question::Login(credentials)) = session.poll(now) else { panic!("no login") };
    assert_eq!(
        (credentials.user.as_str(), credentials.password.as_str()),
        ("ann@example.org", " two  words \u{fc} ")
    );
    assert!(!format!("{credentials:?}").contains("words"));
}
