//! Dialogs that a postmaster can read.
//!
//! | line | meaning |
//! |---|---|
//! | `C: ` | a line from the peer, CRLF added; lines that follow each other arrive together (pipelining) |
//! | `c: ` | the same without CRLF |
//! | `S: ` | a line to the peer; `...` at its end stands for any rest |
//! | `M: ` | the driver took a message: reverse-path, recipients, content |
//! | `E: ` | `discard`, `tls` or `close` |
//!
//! `\r`, `\n`, `\0` and `\t` in `C:`, `c:` and `M:` stand for the octets.

mod deadlines;
mod dialogs;
mod hostile;
mod login;
mod properties;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Action, Answer, Question, Session};
use crate::reply::{Enhanced, Reply};
use crate::smtp::{Config, ForwardPath, Limits, Offer, ReversePath, Role, Security, TlsFacts};

/// A server with small limits.
fn config(role: Role) -> Config {
    let limits = Limits {
        command_line: 512,
        message_octets: 1000,
        recipients: 3,
        messages: 3,
        errors: 6,
        commands: 8,
        failed_logins: 2,
        received_headers: 2,
        content_duration: Duration::from_secs(600),
        ..Limits::default()
    };
    Config { hostname: "box.example".into(), role, starttls: Offer::Yes, limits }
}

fn mta() -> Config {
    config(Role::Mta)
}

fn tls() -> Security {
    Security::Tls(facts())
}

fn facts() -> TlsFacts {
    TlsFacts {
        version: "TLS1.3".into(),
        cipher: "TLS13_AES_128_GCM_SHA256".into(),
        server_name: None,
    }
}

/// A driver with a fixed policy, and a record of all that happened.
struct Driver {
    session: Option<Session>,
    now: Instant,
    output: Vec<u8>,
    content: Vec<u8>,
    record: Vec<String>,
    is_closed: bool,
}

impl Driver {
    fn new(config: Config, security: Security) -> Driver {
        let now = Instant::now();
        Driver::drive(Session::new(Arc::new(config), security, now), now)
    }

    fn drive(session: Session, now: Instant) -> Driver {
        let mut driver = Driver {
            session: Some(session),
            now,
            output: vec![],
            content: vec![],
            record: vec![],
            is_closed: false,
        };
        driver.pump();
        driver
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().unwrap()
    }

    fn feed(&mut self, octets: &[u8]) {
        let now = self.now;
        self.session().receive(now, octets);
        self.pump();
    }

    /// Lets the session run until it wants input or closes.
    fn pump(&mut self) {
        for _ in 0..1_000_000 {
            let now = self.now;
            let session = self.session.as_mut().unwrap();
            match session.poll(now) {
                Action::Input => {
                    assert!(session.wants_input() > 0, "input is wanted, but there is no room");
                    return;
                }
                Action::Send(octets) => self.output.extend_from_slice(octets),
                Action::Content(octets) => self.content.extend_from_slice(octets),
                Action::DiscardContent => self.event("E: discard"),
                Action::Ask(_) => self.decide(),
                Action::StartTls => {
                    self.event("E: tls");
                    self.session =
                        self.session.take().map(|session| session.start_tls(now, facts()));
                }
                Action::Close => {
                    if !std::mem::replace(&mut self.is_closed, true) {
                        self.event("E: close");
                    }
                    return;
                }
            }
        }
        panic!("the session goes in circles");
    }

    fn event(&mut self, event: &str) {
        if event == "E: discard" {
            self.content.clear();
        }
        self.flush();
        self.record.push(event.to_string());
    }

    fn flush(&mut self) {
        let output = String::from_utf8(std::mem::take(&mut self.output)).unwrap();
        self.record.extend(output.split_terminator("\r\n").map(|line| format!("S: {line}")));
    }

    fn decide(&mut self) {
        let now = self.now;
        let content = std::mem::take(&mut self.content);
        let session = self.session.as_mut().unwrap();
        let Action::Ask(question) = session.poll(now) else { panic!("the question is gone") };
        let is_end =
            matches!(question, Question::EndContent { octets } if octets == content.len() as u64);
        let answer = answer(question, &content);
        if is_end && !matches!(answer, Answer::Refuse(_)) {
            let to: Vec<_> =
                session.envelope().recipients.iter().map(|r| format!("<{}>", r.path)).collect();
            let from = &session.envelope().mail.as_ref().unwrap().reverse_path;
            let line = format!("M: <{from}> {} {}", to.join(" "), content.escape_ascii());
            session.answer(now, answer);
            return self.event(&line);
        }
        session.answer(now, answer);
    }
}

/// The policy: `nobody` doesn't exist, `later` is not taken now, `full` finds no room, content with "spam" is refused.
fn answer(question: Question, content: &[u8]) -> Answer {
    let refuse = |code, enhanced, text: &str| Answer::Refuse(Reply::new(code, enhanced, text));
    match question {
        Question::Recipient(r) => match &r.path {
            ForwardPath::Address(a) if a.local() == "nobody" => {
                refuse(550, Enhanced(5, 1, 1), "No such mailbox")
            }
            ForwardPath::Address(a) if a.local() == "later" => {
                refuse(450, Enhanced(4, 2, 1), "Not now")
            }
            ForwardPath::Address(a) if a.local() == "bye" => {
                refuse(421, Enhanced(4, 7, 0), "Go away")
            }
            _ => Answer::Accept,
        },
        Question::Mail(mail) => match &mail.reverse_path {
            ReversePath::Address(a) if a.local() == "spammer" => {
                refuse(550, Enhanced(5, 7, 1), "No mail from you")
            }
            _ => Answer::Accept,
        },
        Question::EndContent { octets } => {
            assert_eq!(octets, content.len() as u64, "octets are counted as handed over");
            match memchr::memmem::find(content, b"spam").is_some() {
                true => refuse(554, Enhanced(5, 7, 1), "This is spam"),
                false => Answer::AcceptAs(Reply::new(250, Enhanced(2, 0, 0), "Ok: stored as K7QX")),
            }
        }
        Question::Authenticate(c) => match (c.user.as_str(), c.password.as_str()) {
            ("ann@box.example", "secret") => Answer::Authenticated { identity: "ann".into() },
            _ => Answer::Refuse(super::wrong_credentials()),
        },
        Question::BeginContent => Answer::Accept,
    }
}

/// Runs a dialog and wants exactly what it says.
#[track_caller]
fn dialog(config: Config, security: Security, script: &str) -> Driver {
    play(Driver::new(config, security), script)
}

#[track_caller]
fn play(mut driver: Driver, script: &str) -> Driver {
    let lines: Vec<&str> =
        script.lines().map(str::trim_start).filter(|line| !line.is_empty()).collect();
    for group in lines.chunk_by(|a, b| is_input(a) == is_input(b)) {
        if is_input(group[0]) {
            let octets: Vec<u8> = group.iter().flat_map(|line| unescape(line)).collect();
            driver.feed(&octets);
            continue;
        }
        driver.flush();
        let record = std::mem::take(&mut driver.record);
        let matches = |(want, got): (&&str, &String)| match want.strip_suffix("...") {
            Some(start) => got.starts_with(start),
            None => want == got,
        };
        let is_same = record.len() == group.len() && group.iter().zip(&record).all(matches);
        assert!(is_same, "expected\n{}\ngot\n{}", group.join("\n"), record.join("\n"));
    }
    driver.flush();
    assert!(driver.record.is_empty(), "unexpected\n{}", driver.record.join("\n"));
    driver
}

fn is_input(line: &str) -> bool {
    line.starts_with(['C', 'c'])
}

fn unescape(line: &str) -> Vec<u8> {
    let end = if line.starts_with('C') { "\r\n" } else { "" };
    let text = line.get(3..).unwrap_or_default();
    let text =
        text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").replace("\\t", "\t");
    (text + end).into_bytes()
}

/// The greeting and EHLO, then `rest`.
#[track_caller]
fn after_ehlo(config: Config, security: Security, rest: &str) -> Driver {
    let mut driver = Driver::new(config, security);
    driver.feed(b"EHLO mail.example.org\r\n");
    driver.output.clear();
    play(driver, rest)
}
