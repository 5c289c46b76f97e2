//! Dialogs with scripted servers: `S:` lines come from the server, `C:` lines must come from us.

mod envelope;
mod faults;
mod opening;

use std::time::{Duration, Instant};

use super::*;
use crate::smtp::envelope::Body;

const CONTENT: &[u8] = b"Subject: x\r\n\r\n.dot\r\n";

const MODERN: &str = "
        S: 220 new.example ready
        C: EHLO box.example
        S: 250-new.example
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-8BITMIME
        S: 250 DSN";

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
