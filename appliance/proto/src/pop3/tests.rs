//! POP3 dialogs a postmaster can read, and properties that hold for any input.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Action, Answer, Config, ContentNeed, Entry, Expire, Limits, Offer, PlaintextLogin, Question, Refusal, Security, Session};

/// The maildrop of all tests.
const MESSAGES: [&str; 3] =
    ["A: 1\r\n\r\none\r\n.dot\r\n", "B: 2\r\n\r\ntwo\r\n", "C: 3\r\n\r\nthree lines\r\nof\r\ntext\r\n"];

fn config(plaintext_login: PlaintextLogin) -> Arc<Config> {
    Arc::new(Config {
        hostname: "box.example".into(),
        stls: Offer::Yes,
        plaintext_login,
        login_delay: Some(Duration::from_secs(9)),
        expire: Expire::Never,
        implementation: "Pillarbox-test".into(),
        limits: Limits::default(),
    })
}

/// A session and what its driver saw.
struct Peer {
    session: Option<Session>,
    now: Instant,
    said: String,
    updates: Vec<Vec<u32>>,
    closed: bool,
}

impl Peer {
    fn new(plaintext_login: PlaintextLogin, security: Security) -> Peer {
        let now = Instant::now();
        let session = Some(Session::new(config(plaintext_login), security, now));
        Peer { session, now, said: String::new(), updates: Vec::new(), closed: false }
    }

    fn inside() -> Peer {
        let mut peer = Peer::new(PlaintextLogin::Allowed, Security::Plain);
        peer.type_in("USER ann@example.org\r\nPASS right\r\n");
        peer.said.clear();
        peer
    }

    /// Sends octets and lets the session go on until it waits.
    fn give(&mut self, octets: &[u8]) {
        let mut rest = octets;
        self.turn();
        while !rest.is_empty() && !self.closed {
            let Some(session) = &mut self.session else { return };
            let (piece, later) = rest.split_at(rest.len().min(session.wants_input()));
            session.receive(self.now, piece);
            rest = later;
            self.turn();
        }
    }

    fn type_in(&mut self, text: &str) -> String {
        self.give(text.as_bytes());
        std::mem::take(&mut self.said)
    }

    fn turn(&mut self) {
        while let Some(session) = &mut self.session {
            assert!(session.buffered() < 160 * 1024);
            match session.poll(self.now) {
                Action::Input => return,
                Action::Send(octets) => self.said.push_str(&String::from_utf8_lossy(octets)),
                Action::Ask(question) => {
                    if let Question::Update { deleted } = &question {
                        self.updates.push(deleted.to_vec());
                    }
                    let (answer, body) = answer(question);
                    session.answer(self.now, answer);
                    if let Some(body) = body {
                        for octet in body.as_bytes().chunks(1) {
                            if session.content_satisfied() == ContentNeed::More {
                                session.content(octet);
                            }
                        }
                        session.content_end();
                    }
                }
                Action::StartTls => self.session = self.session.take().map(|s| s.start_tls(self.now)),
                Action::Close => {
                    self.closed = true;
                    return;
                }
            }
        }
    }
}

fn answer(question: Question) -> (Answer, Option<&'static str>) {
    let octets = |n: usize| MESSAGES[n].len() as u64;
    match question {
        Question::Login(c) if c.password.as_str() == "right" => {
            (Answer::LoggedIn { messages: 3, octets: (0..3).map(octets).sum() }, None)
        }
        Question::Login(_) => (Answer::Refuse(Refusal { code: Some("AUTH"), text: "Wrong".into() }), None),
        Question::Listing { from, limit } => {
            // One at a time: the session must come back for the rest.
            let last = (from + limit - 1).min(3).min(from);
            let entries = (from..=last).map(|n| Entry { octets: octets(n as usize - 1), uidl: [b'a' + n as u8; 16] });
            (Answer::Listing(entries.collect()), None)
        }
        Question::Retrieve { number } => {
            let message = MESSAGES[number as usize - 1];
            (Answer::Content { octets: message.len() as u64 }, Some(message))
        }
        Question::Update { .. } => (Answer::Accept, None),
    }
}

#[test]
fn a_whole_session() {
    let mut peer = Peer::new(PlaintextLogin::Allowed, Security::Plain);
    for (typed, wanted) in [
        ("", "+OK box.example POP3 Pillarbox ready\r\n"),
        ("STAT\r\nUTF8\r\n", "-ERR Log in first\r\n+OK UTF-8 is fine here\r\n"),
        ("user ann@example.org\r\n", "+OK Now the password\r\n"),
        ("PASS wrong\r\n", "-ERR [AUTH] Wrong\r\n"),
        ("PASS right\r\n", "-ERR Say USER first\r\n"),
        ("USER ann@example.org\r\nPASS right\r\n", "+OK Now the password\r\n+OK 3 messages, 63 octets\r\n"),
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
    assert!(said.contains("EXPIRE NEVER\r\nLOGIN-DELAY 9\r\n") && said.ends_with("IMPLEMENTATION Pillarbox-test\r\n.\r\n"));
    assert!(peer.type_in("USER ann@example.org\r\n").starts_with("-ERR Passwords only under encryption"));
    assert!(peer.type_in("AUTH PLAIN AGEAYg==\r\n").starts_with("-ERR Passwords only under encryption"));
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
fn an_overlong_line_is_swallowed_in_bounded_memory() {
    let mut peer = Peer::inside();
    peer.give(&vec![b'x'; 1_000_000]);
    assert!(peer.session.as_ref().unwrap().buffered() < 64 * 1024);
    assert_eq!(peer.type_in("\r\nNOOP\r\n"), "-ERR This line is too long\r\n+OK Ok\r\n");
}

#[test]
fn waiting_retrievals_are_counted() {
    let mut session = Session::new(config(PlaintextLogin::Allowed), Security::Plain, Instant::now());
    let now = Instant::now();
    let _ = session.poll(now);
    session.receive(now, b"USER a@b.c\r\nPASS right\r\nRETR 1\r\nretr 2\r\nRETR 3\r\nRETR 9\r\n");
    while !matches!(session.poll(now), Action::Ask(Question::Login(_))) {}
    session.answer(now, Answer::LoggedIn { messages: 3, octets: 63 });
    while !matches!(session.poll(now), Action::Ask(Question::Retrieve { number: 1 })) {}
    assert_eq!(session.more_retrievals_waiting(), 2);
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
fn a_listing_that_cannot_begin_is_an_error_and_one_that_breaks_off_drops_the_line() {
    let refusal = || Answer::Refuse(Refusal { code: Some("SYS/TEMP"), text: "Not now".into() });
    for (good, wanted) in [(0, "-ERR [SYS/TEMP] Not now\r\n"), (1, "+OK Messages follow\r\n1 19\r\n")] {
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
fn too_many_errors_end_the_session_and_say_so() {
    let mut peer = Peer::inside();
    for _ in 0..50 {
        assert_eq!(peer.type_in("XYZ\r\n"), "-ERR This command is not known here\r\n");
    }
    assert_eq!(peer.type_in("XYZ\r\nSTAT\r\n"), "-ERR This command is not known here; too many errors, goodbye\r\n");
    assert!(peer.closed && peer.updates.is_empty());
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
    session.answer(now, Answer::Refuse(Refusal { code: Some("SYS/TEMP"), text: "Still here".into() }));
    peer.turn();
    assert_eq!((peer.said.as_str(), peer.closed), ("-ERR [SYS/TEMP] Still here\r\n", true));
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
    assert_eq!(std::mem::take(&mut peer.said), "-ERR [SYS/TEMP] Something went wrong here; try again later\r\n");
    assert_eq!(peer.type_in("STAT\r\n"), "+OK 3 63\r\n");
}

#[test]
fn passwords_keep_their_spaces_and_stay_out_of_debug_output() {
    let now = Instant::now();
    let mut session = Session::new(config(PlaintextLogin::Allowed), Security::Plain, now);
    session.receive(now, "user ann@example.org\r\npass  two  words \u{fc} \n".as_bytes());
    let Action::Ask(Question::Login(credentials)) = session.poll(now) else { panic!("no login") };
    assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("ann@example.org", " two  words \u{fc} "));
    assert!(!format!("{credentials:?}").contains("words"));
}
