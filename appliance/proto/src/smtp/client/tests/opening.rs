//! TLS and login.

use std::time::Instant;

use super::super::*;
use super::{config, play};
use crate::smtp::envelope::Secret;

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
