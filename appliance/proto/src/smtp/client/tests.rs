//! Dialogs with scripted servers: `S:` lines come from the server, `C:` lines must come from us.

use std::time::{Duration, Instant};

use super::*;
use crate::reply::{Enhanced, Reply};
use crate::smtp::envelope::{Body, Notify, Ret, Secret};

const CONTENT: &[u8] = b"Subject: x\r\n\r\n.dot\r\n";

fn config() -> Config {
    Config {
        hello: "box.example".into(),
        starttls: StartTls::IfOffered,
        login: None,
        timeouts: Timeouts::default(),
    }
}

fn mailing(recipients: &[&str]) -> Mailing {
    Mailing {
        reverse_path: "ann@box.example".into(),
        octets: CONTENT.len() as u64,
        body: Body::SevenBit,
        smtputf8: false,
        requiretls: false,
        ret: None,
        envid: None,
        recipients: recipients
            .iter()
            .map(|r| Target { address: r.to_string(), notify: None, orcpt: None })
            .collect(),
    }
}

/// Drives a session through a script and gives the report of each message, and the failure if it failed.
fn play(
    mut session: Session,
    mut mailings: Vec<Mailing>,
    script: &str,
) -> (Vec<Report>, Option<Failure>) {
    let now = Instant::now();
    let mut reports = Vec::new();
    let mut heard = String::new();
    let mut lines = script.lines().map(str::trim).filter(|l| !l.is_empty()).peekable();
    mailings.reverse();
    loop {
        match session.poll(now) {
            Action::Send(octets) => heard.push_str(std::str::from_utf8(octets).unwrap()),
            Action::StartTls => {
                assert_eq!(lines.next(), Some("TLS"));
                session.tls_done(now);
            }
            Action::Ready => match mailings.pop() {
                Some(mailing) => session.begin(mailing, now),
                None => session.quit(now),
            },
            Action::Content => {
                session.content(CONTENT);
                session.content_end(now);
            }
            Action::Done => reports.push(session.take_report()),
            Action::Failed => {
                reports.push(session.take_report());
                return (reports, session.failure().cloned());
            }
            Action::Close => {
                assert_eq!((lines.next(), heard.as_str()), (None, ""), "all was said");
                return (reports, None);
            }
            Action::Input => {
                let Some(line) = lines.next() else {
                    session.peer_closed();
                    continue;
                };
                match line.split_once(' ').unwrap_or((line, "")) {
                    ("C:", text) => {
                        let (said, rest) = heard.split_once("\r\n").unwrap_or((&heard, ""));
                        assert_eq!(said, text);
                        heard = rest.to_string();
                    }
                    ("S:", text) => session.receive(format!("{text}\r\n").as_bytes()),
                    ("HANG", _) => {
                        let later = now + Duration::from_secs(3600);
                        assert!(session.deadline() <= later);
                        assert_eq!(session.poll(later), Action::Failed);
                    }
                    other => panic!("{other:?} in a script"),
                }
            }
        }
    }
}

fn codes(report: &Report) -> Vec<Option<u16>> {
    report.outcomes.iter().map(|o| o.as_ref().map(|r| r.code)).collect()
}

#[test]
fn an_old_server_gets_one_command_at_a_time() {
    let script = "
        S: 220 old.example ready
        C: EHLO box.example
        S: 500 what?
        C: HELO box.example
        S: 250 old.example
        C: MAIL FROM:<ann@box.example>
        S: 250 ok
        C: RCPT TO:<bob@old.example>
        S: 250 ok
        C: DATA
        S: 354 go on
        C: Subject: x
        C:
        C: ..dot
        C: .
        S: 250 queued as 1
        C: QUIT
        S: 221 bye";
    let (reports, failure) = play(
        Session::new(config(), false, Instant::now()),
        vec![mailing(&["bob@old.example"])],
        script,
    );
    assert_eq!((codes(&reports[0]), failure), (vec![Some(250)], None));
}

const MODERN: &str = "
        S: 220 new.example ready
        C: EHLO box.example
        S: 250-new.example
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-8BITMIME
        S: 250 DSN";

#[test]
fn mixed_outcomes_and_a_second_message_on_the_same_connection() {
    let script = format!(
        "{MODERN}
        C: MAIL FROM:<ann@box.example> SIZE=20
        C: RCPT TO:<a@x>
        C: RCPT TO:<b@x>
        C: RCPT TO:<c@x>
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 550 5.1.1 nobody
        S: 451 4.7.1 later
        S: 354 go
        C: Subject: x
        C:
        C: ..dot
        C: .
        S: 250 done
        C: MAIL FROM:<ann@box.example> SIZE=20
        C: RCPT TO:<d@x>
        C: DATA
        S: 250 ok
        S: 550 no
        S: 554 nobody
        C: RSET
        C: MAIL FROM:<ann@box.example> SIZE=20
        C: RCPT TO:<e@x>
        C: DATA
        S: 250 reset
        S: 250 ok
        S: 550 no
        S: 354 go
        C: .
        S: 554 no recipients
        C: QUIT
        S: 221 bye"
    );
    let mailings = vec![mailing(&["a@x", "b@x", "c@x"]), mailing(&["d@x"]), mailing(&["e@x"])];
    let (reports, failure) = play(Session::new(config(), false, Instant::now()), mailings, &script);
    assert_eq!(failure, None);
    let expected = [vec![Some(250), Some(550), Some(451)], vec![Some(550)], vec![Some(550)]];
    assert_eq!(reports.iter().map(codes).collect::<Vec<_>>(), expected);
}

#[test]
fn a_refused_sender_settles_everybody() {
    let script = format!(
        "{MODERN}
        C: MAIL FROM:<ann@box.example> SIZE=20
        C: RCPT TO:<a@x>
        C: RCPT TO:<b@x>
        C: DATA
        S: 550 5.7.1 go away
        S: 503 no sender
        S: 503 no sender
        S: 503 no sender
        C: QUIT
        S: 221 bye"
    );
    let (reports, _) = play(
        Session::new(config(), false, Instant::now()),
        vec![mailing(&["a@x", "b@x"])],
        &script,
    );
    assert_eq!(codes(&reports[0]), [Some(550), Some(550)]);
}

#[test]
fn a_question_sends_nothing() {
    for (mail, rcpt, code) in
        [("250 ok", "250 ok", 250), ("250 ok", "550 no", 550), ("550 go away", "503 no", 550)]
    {
        let mut session = Session::new(config(), false, Instant::now());
        let now = Instant::now();
        session.receive(
            format!("220 x\r\n250-x\r\n250 PIPELINING\r\n{mail}\r\n{rcpt}\r\n").as_bytes(),
        );
        let (mut asked, mut heard) = (false, String::new());
        let report = loop {
            match session.poll(now) {
                Action::Ready if !asked => {
                    asked = true;
                    session.ask("ann@box.example", "bob@x", now);
                }
                Action::Send(octets) => heard.push_str(std::str::from_utf8(octets).unwrap()),
                Action::Done => break session.take_report(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(codes(&report), [Some(code)]);
        assert!(!heard.contains("DATA") && heard.ends_with("RCPT TO:<bob@x>\r\n"));
    }
}

#[test]
fn delivery_notices_are_asked_for_where_the_server_knows_them() {
    let script = format!(
        "{MODERN}
        C: MAIL FROM:<ann@box.example> SIZE=20 BODY=8BITMIME RET=HDRS ENVID=a+2Bb
        C: RCPT TO:<a@x> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+3D@x
        C: RCPT TO:<b@x> NOTIFY=NEVER
        C: DATA
        S: 250 ok
        S: 250 ok
        S: 250 ok
        S: 354 go
        C: Subject: x
        C:
        C: ..dot
        C: .
        S: 250 done
        C: QUIT
        S: 221 bye"
    );
    let mut wanted = mailing(&["a@x", "b@x"]);
    (wanted.body, wanted.ret, wanted.envid) =
        (Body::EightBitMime, Some(Ret::Headers), Some("a+b".into()));
    wanted.recipients[0].notify = Some(Notify { success: true, failure: false, delay: true });
    wanted.recipients[0].orcpt = Some("rfc822;a=@x".into());
    wanted.recipients[1].notify = Some(Notify::NEVER);
    let (reports, _) = play(Session::new(config(), false, Instant::now()), vec![wanted], &script);
    assert_eq!(codes(&reports[0]), [Some(250), Some(250)]);
}

#[test]
fn what_the_server_cannot_take_is_settled_without_asking() {
    let script = format!("{MODERN}\nC: QUIT\nS: 221 bye");
    let (mut large, mut foreign, mut guarded) =
        (mailing(&["a@x"]), mailing(&["ü@x"]), mailing(&["a@x"]));
    (large.octets, foreign.smtputf8, guarded.requiretls) = (1001, true, true);
    let (reports, _) =
        play(Session::new(config(), false, Instant::now()), vec![large, foreign, guarded], &script);
    assert_eq!(
        reports.iter().map(codes).collect::<Vec<_>>(),
        [[Some(552)], [Some(550)], [Some(550)]]
    );
}

#[test]
fn tls_is_taken_where_offered_and_missed_where_it_must_be() {
    let script = "
        S: 220 x
        C: EHLO box.example
        S: 250-x
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go
        TLS
        C: EHLO box.example
        S: 250 x
        C: QUIT
        S: 221 bye";
    assert_eq!(play(Session::new(config(), false, Instant::now()), vec![], script), (vec![], None));
    let refused = script.replace(
        "S: 220 go\n        TLS\n        C: EHLO box.example\n        S: 250 x",
        "S: 454 broken",
    );
    assert_eq!(
        play(Session::new(config(), false, Instant::now()), vec![], &refused),
        (vec![], None)
    );
    let must =
        || Session::new(Config { starttls: StartTls::Must, ..config() }, false, Instant::now());
    assert!(matches!(
        play(must(), vec![], &refused).1,
        Some(Failure::Refused { stage: Stage::Tls, .. })
    ));
    let plain = "S: 220 x\nC: EHLO box.example\nS: 250 x";
    assert_eq!(play(must(), vec![], plain).1, Some(Failure::NoTls));
}

#[test]
fn nothing_said_before_tls_counts_under_it() {
    let mut session = Session::new(config(), false, Instant::now());
    session.receive(b"220 x\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n250-x\r\n250 AUTH PLAIN\r\n");
    let failed = loop {
        match session.poll(Instant::now()) {
            Action::Send(_) => {}
            other => break matches!(other, Action::Failed),
        }
    };
    assert!(failed && session.failure() == Some(&Failure::NotSmtp { stage: Stage::Tls }));
}

#[test]
fn logging_in_happens_under_tls_only() {
    let login = Some(Login { user: "u".into(), password: Secret::new("p".into()) });
    let with =
        |secure| Session::new(Config { login: login.clone(), ..config() }, secure, Instant::now());
    let script = "S: 220 x\nC: EHLO box.example\nS: 250-x\nS: 250 AUTH LOGIN PLAIN";
    assert_eq!(play(with(false), vec![], script).1, Some(Failure::NoLogin));
    let plain = format!("{script}\nC: AUTH PLAIN AHUAcA==\nS: 235 hello\nC: QUIT\nS: 221 bye");
    assert_eq!(play(with(true), vec![], &plain).1, None);
    let login_only = plain.replace("AUTH LOGIN PLAIN", "AUTH=LOGIN");
    let login_only = login_only.replace(
        "C: AUTH PLAIN AHUAcA==",
        "C: AUTH LOGIN\nS: 334 VXNlcg==\nC: dQ==\nS: 334 UA==\nC: cA==",
    );
    assert_eq!(play(with(true), vec![], &login_only).1, None);
    let wrong = plain.replace("S: 235 hello\nC: QUIT\nS: 221 bye", "S: 535 5.7.8 wrong");
    assert!(matches!(
        play(with(true), vec![], &wrong).1,
        Some(Failure::Refused { stage: Stage::Login, .. })
    ));
}

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
fn too_many_recipients_means_later_and_a_full_mailbox_means_never() {
    let table = [
        ("552 5.5.3 Too many recipients", 452, "452 4.5.3 Too many recipients (sent as 552 5.5.3)"),
        ("552 Too many recipients", 452, "452 Too many recipients (sent as 552)"),
        ("552 5.0.0 no more", 452, "452 4.0.0 no more (sent as 552 5.0.0)"),
        ("552 5.2.2 Mailbox full", 552, "552 5.2.2 Mailbox full"),
        ("552 5.2.3 too long for it", 552, "552 5.2.3 too long for it"),
        ("552 5.3.4 too big", 552, "552 5.3.4 too big"),
        ("552 5.7.1 policy", 552, "552 5.7.1 policy"),
        ("550 5.5.3 no", 550, "550 5.5.3 no"),
    ];
    for (sent, code, kept) in table {
        let script = format!(
            "{MODERN}
            C: MAIL FROM:<ann@box.example> SIZE=20
            C: RCPT TO:<a@x>
            C: RCPT TO:<b@x>
            C: DATA
            S: 250 ok
            S: 250 ok
            S: {sent}
            S: 354 go
            C: Subject: x
            C:
            C: ..dot
            C: .
            S: 250 done
            C: QUIT
            S: 221 bye"
        );
        let (reports, _) = play(
            Session::new(config(), false, Instant::now()),
            vec![mailing(&["a@x", "b@x"])],
            &script,
        );
        assert_eq!(codes(&reports[0]), [Some(250), Some(code)], "{sent}");
        assert_eq!(reports[0].outcomes[1].as_ref().unwrap().on_one_line(" "), kept);
    }
    // At MAIL or after the content it is about the message, and final.
    let script = format!(
        "{MODERN}\nC: MAIL FROM:<ann@box.example> SIZE=20\nC: RCPT TO:<a@x>\nC: DATA\nS: 552 too big\nS: 503 no\nS: 503 no\nC: QUIT\nS: 221 bye"
    );
    assert_eq!(
        codes(
            &play(Session::new(config(), false, Instant::now()), vec![mailing(&["a@x"])], &script)
                .0[0]
        ),
        [Some(552)]
    );
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
