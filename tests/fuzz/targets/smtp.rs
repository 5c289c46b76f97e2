//! Any octets in any pieces: the SMTP session must not panic, must keep its memory bounded, must send only well-formed
//! replies, and must never hand over content with a lone CR or LF.
#![no_main]

use std::sync::Arc;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use pillarbox_proto::smtp::{
    Action, Answer, Config, Limits, Offer, Question, Role, Security, Session, TlsFacts,
};

const MOST_BUFFERED: usize = 256 * 1024;

fuzz_target!(|data: &[u8]| {
    let Some((&setting, octets)) = data.split_first() else { return };
    let facts = || TlsFacts { version: "TLS1.3".into(), cipher: "x".into(), server_name: None };
    let role = if setting & 1 == 0 { Role::Mta } else { Role::Submission };
    let security = if setting & 2 == 0 { Security::Plain } else { Security::Tls(facts()) };
    let piece = usize::from(setting >> 2).max(1);
    let limits = Limits { message_octets: 2000, recipients: 3, errors: 50, ..Limits::default() };
    let config =
        Arc::new(Config { hostname: "box.example".into(), role, starttls: Offer::Yes, limits });
    let now = Instant::now();
    let mut session = Session::new(config, security, now);
    let mut content = Vec::new();
    let mut rest = octets;
    loop {
        assert!(session.buffered() < MOST_BUFFERED);
        match session.poll(now) {
            Action::Input if rest.is_empty() => session.peer_closed(),
            Action::Input => {
                let (now_given, later) =
                    rest.split_at(piece.min(rest.len()).min(session.wants_input()));
                rest = later;
                session.receive(now, now_given);
            }
            Action::Send(octets) => check_replies(octets),
            Action::Content(piece) => content.extend_from_slice(piece),
            Action::DiscardContent => content.clear(),
            Action::Ask(question) => {
                let answer = match question {
                    Question::Authenticate(_) => {
                        Answer::Authenticated { identity: "ann@example.org".into() }
                    }
                    Question::EndContent { octets } => {
                        assert_eq!(octets, content.len() as u64);
                        check_lines(&content);
                        content.clear();
                        Answer::Accept
                    }
                    _ => Answer::Accept,
                };
                session.answer(now, answer);
            }
            Action::StartTls => {
                session = session.start_tls(now, facts());
                content.clear();
            }
            Action::Close => return,
        }
    }
});

fn check_replies(octets: &[u8]) {
    let text = std::str::from_utf8(octets).expect("replies are UTF-8");
    assert!(text.ends_with("\r\n"));
    for line in text.trim_end_matches("\r\n").split("\r\n") {
        assert!(line.len() <= 510 && line.len() >= 3 && !line.contains(['\r', '\n']), "{line:?}");
        assert!(line.as_bytes()[..3].iter().all(u8::is_ascii_digit), "{line:?}");
    }
}

fn check_lines(content: &[u8]) {
    for (at, &octet) in content.iter().enumerate() {
        match octet {
            b'\n' => assert!(at > 0 && content[at - 1] == b'\r'),
            b'\r' => assert_eq!(content.get(at + 1), Some(&b'\n')),
            _ => {}
        }
    }
}
