//! Any octets in any pieces: the POP3 session must not panic, must keep its memory bounded, and must delete only what
//! was marked and only at QUIT.
#![no_main]

use std::sync::Arc;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use pillarbox_proto::pop3::{
    Action, Answer, Config, ContentNeed, Entry, Expire, Limits, Offer, PlaintextLogin, Question,
    Security, Session,
};

const MESSAGES: u32 = 7;
const MOST_BUFFERED: usize = 512 * 1024;

fuzz_target!(|data: &[u8]| {
    let Some((&setting, octets)) = data.split_first() else { return };
    let piece = usize::from(setting >> 2).max(1);
    let config = Arc::new(Config {
        hostname: "box.example".into(),
        stls: Offer::Yes,
        plaintext_login: if setting & 1 == 0 {
            PlaintextLogin::Allowed
        } else {
            PlaintextLogin::OnlyUnderTls
        },
        login_delay: None,
        expire: Expire::Never,
        implementation: "test".into(),
        limits: Limits::default(),
    });
    let security = if setting & 2 == 0 { Security::Plain } else { Security::Tls };
    let now = Instant::now();
    let mut session = Session::new(config, security, now);
    let mut rest = octets;
    let content = &octets[..octets.len().min(300)];
    loop {
        assert!(session.buffered() < MOST_BUFFERED);
        let waiting = session.more_retrievals_waiting();
        assert!(waiting < MOST_BUFFERED);
        match session.poll(now) {
            Action::Input if rest.is_empty() => session.peer_closed(),
            Action::Input => {
                let (now_given, later) =
                    rest.split_at(piece.min(rest.len()).min(session.wants_input()));
                rest = later;
                session.receive(now, now_given);
            }
            Action::Send(octets) => assert!(!octets.is_empty()),
            Action::Ask(question) => {
                let (answer, feed) = reply(question);
                session.answer(now, answer);
                if feed {
                    for part in content.chunks(piece) {
                        while session.content_room() == 0 {
                            assert!(matches!(session.poll(now), Action::Send(_)));
                        }
                        if session.content_satisfied() == ContentNeed::More {
                            session.content(part);
                        }
                    }
                    session.content_end();
                }
            }
            Action::StartTls => session = session.start_tls(now),
            Action::Close => return,
        }
    }
});

fn reply(question: Question) -> (Answer, bool) {
    match question {
        Question::Login(_) => (Answer::LoggedIn { messages: MESSAGES, octets: 700 }, false),
        Question::Listing { from, limit } => {
            assert!((1..=MESSAGES).contains(&from) && limit >= 1);
            let count = limit.min(MESSAGES - from + 1).min(3);
            (Answer::Listing(vec![Entry { octets: 100, uidl: [b'u'; 16] }; count as usize]), false)
        }
        Question::Retrieve { number } => {
            assert!((1..=MESSAGES).contains(&number));
            (Answer::Content { octets: 100 }, true)
        }
        Question::Update { deleted } => {
            assert!(deleted.iter().all(|n| (1..=MESSAGES).contains(n)));
            assert!(deleted.windows(2).all(|pair| pair[0] < pair[1]));
            (Answer::Accept, false)
        }
    }
}
