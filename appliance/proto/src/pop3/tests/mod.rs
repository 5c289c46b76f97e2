//! POP3 dialogs a postmaster can read, and properties that hold for any input.

mod bounds;
mod dialogs;
mod ends;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{
    Action, Answer, Config, ContentNeed, Entry, Expire, Limits, Offer, PlaintextLogin, Question,
    Refusal, Security, Session,
};

/// The maildrop of all tests.
const MESSAGES: [&str; 3] = [
    "A: 1\r\n\r\none\r\n.dot\r\n",
    "B: 2\r\n\r\ntwo\r\n",
    "C: 3\r\n\r\nthree lines\r\nof\r\ntext\r\n",
];

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
                Action::StartTls => {
                    self.session = self.session.take().map(|s| s.start_tls(self.now))
                }
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
        Question::Login(_) => {
            (Answer::Refuse(Refusal { code: Some("AUTH"), text: "Wrong".into() }), None)
        }
        Question::Listing { from, limit } => {
            // One at a time: the session must come back for the rest.
            let last = (from + limit - 1).min(3).min(from);
            let entries = (from..=last)
                .map(|n| Entry { octets: octets(n as usize - 1), uidl: [b'a' + n as u8; 16] });
            (Answer::Listing(entries.collect()), None)
        }
        Question::Retrieve { number } => {
            let message = MESSAGES[number as usize - 1];
            (Answer::Content { octets: message.len() as u64 }, Some(message))
        }
        Question::Update { .. } => (Answer::Accept, None),
    }
}
