//! A server that says anything in any pieces: the SMTP client session must not panic, must come to an end, and must
//! give each recipient at most one outcome, and a positive one only when a server's final reply was positive.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use pillarbox_proto::smtp::client::{
    Action, Config, Login, Mailing, Session, StartTls, Target, Timeouts,
};
use pillarbox_proto::smtp::{Body, Secret};

const MESSAGES: usize = 3;
const RECIPIENTS: usize = 3;
const MOST_STEPS: usize = 20_000;
/// Octets of a reply's text that may be kept for a recipient, with the words that the session adds.
const KEPT: usize = 1024 + 64;
/// The same of a conversation.
const SHOWN: usize = 20 * 1024;

fuzz_target!(|data: &[u8]| {
    let Some((&setting, octets)) = data.split_first() else { return };
    let piece = usize::from(setting >> 3).max(1);
    let config = Config {
        hello: "box.example".into(),
        starttls: if setting & 1 == 0 { StartTls::IfOffered } else { StartTls::Must },
        login: (setting & 2 == 0)
            .then(|| Login { user: "u".into(), password: Secret::new("p".into()) }),
        timeouts: Timeouts::default(),
    };
    let now = Instant::now();
    let mut session = Session::new(config, setting & 4 == 0, now);
    let (mut rest, mut sent, mut contents) = (octets, 0, 0);
    for step in 0.. {
        assert!(step < MOST_STEPS, "it goes on for ever");
        if step % 64 == 0 {
            let shown: usize =
                session.take_transcript().iter().map(|line| line.to_string().len()).sum();
            assert!(shown <= SHOWN, "too much of the conversation is kept");
        }
        match session.poll(now) {
            Action::Input if rest.is_empty() => session.peer_closed(),
            Action::Input => {
                let (given, later) = rest.split_at(piece.min(rest.len()));
                rest = later;
                session.receive(given);
            }
            Action::Send(octets) => assert!(!octets.is_empty()),
            Action::StartTls => session.tls_done(now),
            Action::Ready if sent < MESSAGES => {
                sent += 1;
                let target = |n| Target { address: format!("r{n}@x"), notify: None, orcpt: None };
                let mailing = Mailing {
                    reverse_path: "a@b".into(),
                    octets: 5,
                    body: Body::EightBitMime,
                    smtputf8: false,
                    requiretls: false,
                    ret: None,
                    envid: None,
                    recipients: (0..RECIPIENTS).map(target).collect(),
                };
                session.begin(mailing, now);
            }
            Action::Ready => session.quit(now),
            Action::Content => {
                contents += 1;
                session.content(b"x\r\n.\r\n");
                session.content_end(now);
            }
            Action::Done => {
                let report = session.take_report();
                assert_eq!(report.outcomes.len(), RECIPIENTS);
                for reply in report.outcomes.iter().flatten() {
                    assert!(
                        reply.lines.iter().map(String::len).sum::<usize>() <= KEPT,
                        "too much of a reply is kept"
                    );
                }
                let positive = report.outcomes.iter().flatten().any(|reply| reply.code < 300);
                assert!(!positive || contents > 0);
            }
            Action::Failed => {
                assert!(session.failure().is_some());
                let report = session.take_report();
                assert!(report.outcomes.is_empty() || report.outcomes.len() == RECIPIENTS);
                return;
            }
            Action::Close => return,
        }
    }
});
