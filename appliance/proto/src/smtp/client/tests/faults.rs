//! Servers that break off, contradict themselves or never stop talking.

use std::time::Instant;

use super::super::*;
use super::{CONTENT, MODERN, codes, config, mailing, play};
use crate::reply::{Enhanced, Reply};

#[test]
fn ends_at_any_point_leave_what_was_settled() {
    let begun = format!(
        "{MODERN}
        C: MAIL FROM:<ann@box.example> SIZE=20
        C: RCPT TO:<a@x>
        C: RCPT TO:<b@x>
        C: DATA
        S: 250 ok
        S: 550 no
        S: 250 ok"
    );
    let two = || vec![mailing(&["a@x", "b@x"])];
    let session = || Session::new(config(), false, Instant::now());
    let (reports, failure) = play(session(), two(), &begun);
    assert_eq!(
        (codes(&reports[0]), failure),
        (vec![Some(550), None], Some(Failure::Broken { stage: Stage::Envelope }))
    );
    let (reports, failure) = play(session(), two(), &format!("{begun}\nHANG"));
    assert_eq!(
        (codes(&reports[0]), failure),
        (vec![Some(550), None], Some(Failure::TimedOut { stage: Stage::Envelope }))
    );
    let (reports, failure) = play(session(), two(), &format!("{begun}\nS: 354 go\nHANG"));
    assert_eq!(
        (codes(&reports[0]), failure),
        (vec![Some(550), None], Some(Failure::TimedOut { stage: Stage::FinalReply }))
    );
    let (reports, failure) =
        play(session(), two(), &format!("{begun}\nS: 421 4.3.2 shutting down"));
    assert_eq!(codes(&reports[0]), [Some(550), Some(421)]);
    assert!(matches!(failure, Some(Failure::Refused { stage: Stage::Envelope, .. })));
    // A yes before the content came is not taken for one.
    let (reports, failure) = play(session(), two(), &format!("{begun}\nS: 250 thanks"));
    assert_eq!(
        (codes(&reports[0]), failure),
        (vec![Some(550), None], Some(Failure::NotSmtp { stage: Stage::Envelope }))
    );
    let (_, failure) = play(session(), two(), "S: 554 no mail from you");
    let reply = Reply::plain(554, "no mail from you");
    assert_eq!(failure, Some(Failure::Refused { stage: Stage::Greeting, reply }));
    let (_, failure) = play(session(), two(), "S: SSH-2.0-OpenSSH_9.2");
    assert_eq!(failure, Some(Failure::NotSmtp { stage: Stage::Greeting }));
}

#[test]
fn a_greeting_that_contradicts_itself_is_broken_and_its_words_are_kept() {
    let play = |script: &str| play(Session::new(config(), false, Instant::now()), vec![], script).1;
    let failure = play("S: 220-mx.remote.test ESMTP\nS: 521 5.7.1 Your address is on a list");
    let reply = Reply::new(521, Enhanced(5, 7, 1), "Your address is on a list");
    assert_eq!(failure, Some(Failure::BrokenGreeting { reply }));
    assert!(matches!(play("S: 220-mx\nS: 450 later"), Some(Failure::BrokenGreeting { .. })));
    // The last line is a welcome.
    assert_eq!(
        play("S: 554-mx\nS: 220 ready\nC: EHLO box.example\nS: 250 mx\nC: QUIT\nS: 221 bye"),
        None
    );
    // One code, however often: a plain refusal.
    assert!(matches!(
        play("S: 521-no\nS: 521 no"),
        Some(Failure::Refused { stage: Stage::Greeting, .. })
    ));
}

#[test]
fn of_a_talkative_server_little_is_kept() {
    let chatter = |code: u16, sep: char| format!("S: {code}{sep}5.1.1 {}\n", "ü".repeat(1900));
    let long = |code| format!("{}{}", chatter(code, '-').repeat(50), chatter(code, ' '));
    let recipients: Vec<String> = (0..30).map(|n| format!("r{n}@x")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let named: String = recipients.iter().map(|r| format!("C: RCPT TO:<{r}>\n")).collect();
    let script = format!(
        "{MODERN}\nC: MAIL FROM:<ann@box.example> SIZE=20\n{named}C: DATA\nS: 250 ok\n{}S: 554 nobody\nC: QUIT\nS: 221 bye",
        long(550).repeat(30)
    );
    let mut session = Session::new(config(), false, Instant::now());
    session.receive(b"220 x\r\n250 x\r\n");
    let (reports, failure) =
        play(Session::new(config(), false, Instant::now()), vec![mailing(&recipients)], &script);
    assert_eq!(failure, None);
    for reply in reports[0].outcomes.iter().flatten() {
        assert!(
            reply.code == 550 && reply.on_one_line(" ").len() < 1100,
            "{}",
            reply.on_one_line(" ").len()
        );
    }
    // The same holds for what is shown of the conversation.
    while !matches!(session.poll(Instant::now()), Action::Ready) {}
    session.begin(mailing(&recipients), Instant::now());
    for _ in 0..31 {
        session.receive(long(550).replace("S: ", "").replace('\n', "\r\n").as_bytes());
        while matches!(session.poll(Instant::now()), Action::Send(_)) {}
    }
    let shown: usize = session.take_transcript().iter().map(|line| line.to_string().len()).sum();
    assert!((1024..20 * 1024).contains(&shown), "{shown}");
}

proptest::proptest! {
    #[test]
    fn no_server_makes_it_panic_loop_or_grow(octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400), replies in "(2|3|4|5)[0-9]{2}[ -][A-Z0-9 ]{0,9}\r\n(250[ -](PIPELINING|SIZE 9|AUTH PLAIN|DSN|8BITMIME)\r\n){0,9}(354 x\r\n){0,2}") {
        for wire in [octets, replies.into_bytes()] {
            let now = Instant::now();
            let mut session = Session::new(config(), false, now);
            session.receive(b"220 x\r\n");
            session.receive(&wire);
            session.peer_closed();
            let mut left = 3;
            for step in 0.. {
                assert!(step < 1000);
                match session.poll(now) {
                    Action::Ready if left > 0 => { left -= 1; session.begin(mailing(&["a@x", "b@x"]), now) }
                    Action::Ready => session.quit(now),
                    Action::Content => { session.content(CONTENT); session.content_end(now) }
                    Action::Done => { let report = session.take_report(); assert_eq!(report.outcomes.len(), 2) }
                    Action::StartTls => session.tls_done(now),
                    Action::Failed | Action::Close => break,
                    Action::Send(_) => {}
                    Action::Input => panic!("nothing more can come"),
                }
            }
        }
    }
}
