//! Messages and their recipients: commands, outcomes, notices.

use std::time::Instant;

use super::super::*;
use super::{MODERN, codes, config, mailing, play};
use crate::smtp::envelope::{Body, Notify, Ret};

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
