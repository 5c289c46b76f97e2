//! The session: commands out, replies in.

mod login;
mod outcomes;
mod replies;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::input::Replies;
use super::peer::Peer;
use super::stuffing::Stuffing;
use super::types::{Action, Config, Failure, Mailing, Report, Stage, TranscriptLine};
use crate::reply::Reply;
use login::Mechanism;

/// Commands under way at once, where the server takes several (RFC 2920).
const IN_FLIGHT: usize = 100;
/// Content that may wait to be sent before the driver is asked to send it.
const OUTPUT_OCTETS: usize = 64 * 1024;
/// Lines of the conversation that are kept.
const TRANSCRIPT_LINES: usize = 200;
/// Octets of the conversation that are kept.
const TRANSCRIPT_OCTETS: usize = 16 * 1024;
/// Octets of one reply's text that are kept, for each recipient it is the answer to.
const REPLY_OCTETS: usize = 1024;

/// The reply that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    /// The step of the exchange: 0 is the AUTH command itself.
    Auth(Mechanism, u8),
    Reset,
    Mail,
    Recipient(usize),
    Data,
    Final,
    Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Replies are waited for.
    Talk,
    Tls,
    Ready,
    Content(Stuffing),
    Done,
    Failed,
    Close,
}

/// A message under way.
#[derive(Debug)]
struct Transaction {
    outcomes: Vec<Option<Reply>>,
    /// Recipients the server said yes to; the final reply is theirs.
    accepted: Vec<usize>,
    is_refused: bool,
    /// Only asked, nothing is to be sent.
    is_question: bool,
}

/// One connection from the client's side; see the module's text.
pub struct Session {
    config: Config,
    is_secure: bool,
    is_logged_in: bool,
    peer: Peer,
    greeting: String,
    phase: Phase,
    replies: Replies,
    expected: VecDeque<Expect>,
    /// Commands that wait for their turn, with what their reply will be.
    waiting: VecDeque<(String, Expect)>,
    output: Vec<u8>,
    sent: Vec<u8>,
    transaction: Option<Transaction>,
    report: Option<Report>,
    failure: Option<Failure>,
    /// A transaction was begun and not ended by a final reply.
    is_open: bool,
    is_eof: bool,
    deadline: Instant,
    transcript: Vec<TranscriptLine>,
    /// Octets that the transcript may still grow by.
    transcript_room: usize,
}

impl Session {
    /// A session on a fresh connection; `is_secure` when TLS is on already.
    pub fn new(config: Config, is_secure: bool, now: Instant) -> Session {
        let deadline = now + config.timeouts.greeting;
        Session {
            config,
            is_secure,
            is_logged_in: false,
            peer: Peer::default(),
            greeting: String::new(),
            phase: Phase::Talk,
            replies: Replies::default(),
            expected: VecDeque::from([Expect::Greeting]),
            waiting: VecDeque::new(),
            output: Vec::new(),
            sent: Vec::new(),
            transaction: None,
            report: None,
            failure: None,
            is_open: false,
            is_eof: false,
            deadline,
            transcript: Vec::new(),
            transcript_room: TRANSCRIPT_OCTETS,
        }
    }

    /// What the server said it can do.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The server's own words in its greeting.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Until when to wait for input.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Why the session failed.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// The conversation since it was last asked for; bounded.
    pub fn take_transcript(&mut self) -> Vec<TranscriptLine> {
        self.transcript_room = TRANSCRIPT_OCTETS;
        std::mem::take(&mut self.transcript)
    }

    /// Octets from the server.
    pub fn receive(&mut self, octets: &[u8]) {
        self.replies.push(octets);
    }

    /// The server closed the connection, or it broke.
    pub fn peer_closed(&mut self) {
        self.is_eof = true;
    }

    /// The next thing to do.
    /// Gives `Input` only when nothing else can be done.
    pub fn poll(&mut self, now: Instant) -> Action<'_> {
        loop {
            if matches!(self.phase, Phase::Failed) {
                return Action::Failed;
            }
            self.say_waiting(now);
            if !self.output.is_empty()
                && (self.output.len() >= OUTPUT_OCTETS || !matches!(self.phase, Phase::Content(_)))
            {
                self.sent.clear();
                std::mem::swap(&mut self.sent, &mut self.output);
                return Action::Send(&self.sent);
            }
            match self.phase {
                Phase::Tls => return Action::StartTls,
                Phase::Ready => return Action::Ready,
                Phase::Content(_) => return Action::Content,
                Phase::Done => return Action::Done,
                Phase::Failed => return Action::Failed,
                Phase::Close => return Action::Close,
                Phase::Talk => {}
            }
            match self.replies.next() {
                Err(_) => self.fail(Failure::NotSmtp { stage: self.stage() }),
                Ok(Some(heard)) => self.heard(heard, now),
                Ok(None) if self.is_eof => match self.expected.front() {
                    Some(Expect::Quit) => self.phase = Phase::Close,
                    _ => self.fail(Failure::Broken { stage: self.stage() }),
                },
                Ok(None) if now >= self.deadline => match self.expected.front() {
                    Some(Expect::Quit) => self.phase = Phase::Close,
                    _ => self.fail(Failure::TimedOut { stage: self.stage() }),
                },
                Ok(None) => return Action::Input,
            }
        }
    }

    /// TLS is on: everything is said anew (RFC 3207 §4.2).
    pub fn tls_done(&mut self, now: Instant) {
        self.wait_for(self.config.timeouts.command, now);
        self.is_secure = true;
        self.peer = Peer::default();
        self.phase = Phase::Talk;
        self.replies.clear();
        self.hello();
    }

    /// Asks whether a recipient would be taken, and sends nothing; only after `Ready`.
    /// The report has the server's answer.
    /// A yes is no promise: many servers look closer at the message itself.
    pub fn ask(&mut self, reverse_path: &str, recipient: &str, now: Instant) {
        if self.is_open {
            self.queue("RSET".into(), Expect::Reset);
        }
        self.queue(format!("MAIL FROM:<{reverse_path}>"), Expect::Mail);
        self.queue(format!("RCPT TO:<{recipient}>"), Expect::Recipient(0));
        self.transaction = Some(Transaction {
            outcomes: vec![None],
            accepted: Vec::new(),
            is_refused: false,
            is_question: true,
        });
        (self.is_open, self.phase) = (true, Phase::Talk);
        self.wait_for(self.config.timeouts.command, now);
    }

    /// Begins a message; only after `Ready`.
    /// What the server cannot take is settled at once.
    pub fn begin(&mut self, mailing: Mailing, now: Instant) {
        let refusal = self.peer.impossible(&mailing, self.is_secure);
        let outcomes = vec![refusal.clone(); mailing.recipients.len()];
        if refusal.is_some() || mailing.recipients.is_empty() {
            self.report = Some(Report { outcomes });
            self.phase = Phase::Done;
            return;
        }
        if self.is_open {
            self.queue("RSET".into(), Expect::Reset);
        }
        self.queue(self.peer.mail_command(&mailing), Expect::Mail);
        for (index, recipient) in mailing.recipients.iter().enumerate() {
            self.queue(self.peer.rcpt_command(recipient), Expect::Recipient(index));
        }
        self.queue("DATA".into(), Expect::Data);
        self.transaction = Some(Transaction {
            outcomes,
            accepted: Vec::new(),
            is_refused: false,
            is_question: false,
        });
        (self.is_open, self.phase) = (true, Phase::Talk);
        self.wait_for(self.config.timeouts.command, now);
    }

    /// Appends a piece of content; only after `Content`.
    pub fn content(&mut self, octets: &[u8]) {
        if let Phase::Content(stuffing) = &mut self.phase {
            stuffing.encode(octets, &mut self.output);
        }
    }

    /// The content is complete.
    pub fn content_end(&mut self, now: Instant) {
        if let Phase::Content(stuffing) = self.phase {
            stuffing.finish(&mut self.output);
            self.phase = Phase::Talk;
            self.expected.push_back(Expect::Final);
            self.wait_for(self.config.timeouts.final_reply, now);
        }
    }

    /// What became of the message; after `Done`, or after `Failed` what was settled before.
    pub fn take_report(&mut self) -> Report {
        if matches!(self.phase, Phase::Done) {
            self.phase = Phase::Ready;
        }
        self.report.take().unwrap_or_default()
    }

    /// Says goodbye; only after `Ready`.
    pub fn quit(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Ready) {
            self.phase = Phase::Talk;
            self.queue("QUIT".into(), Expect::Quit);
            // This answer is not needed for long.
            self.wait_for(self.config.timeouts.command.min(Duration::from_secs(10)), now);
        }
    }

    fn queue(&mut self, command: String, expect: Expect) {
        self.waiting.push_back((command, expect));
    }

    /// Sends what may be sent: one command at a time, or many where the server pipelines.
    fn say_waiting(&mut self, now: Instant) {
        while let Some((_, expect)) = self.waiting.front() {
            let is_group = matches!(
                expect,
                Expect::Reset | Expect::Mail | Expect::Recipient(_) | Expect::Data
            );
            let limit = if self.peer.pipelining && is_group { IN_FLIGHT } else { 1 };
            if self.expected.len() >= limit {
                return;
            }
            // A server that takes no group is spared a DATA without recipients.
            if *expect == Expect::Data && self.expected.is_empty() && self.none_accepted() {
                self.waiting.clear();
                return self.finish();
            }
            if let Some((command, expect)) = self.waiting.pop_front() {
                let shown = if matches!(expect, Expect::Auth(..)) { "(login)" } else { &command };
                self.note(TranscriptLine::Ours(shown.to_string()));
                self.output.extend_from_slice(command.as_bytes());
                self.output.extend_from_slice(b"\r\n");
                self.expected.push_back(expect);
                let patience = match expect {
                    Expect::Data => self.config.timeouts.data.max(self.config.timeouts.command),
                    _ => self.config.timeouts.command,
                };
                if expect != Expect::Quit {
                    self.wait_for(patience, now);
                }
            }
        }
    }

    fn none_accepted(&self) -> bool {
        self.transaction.as_ref().is_none_or(|t| t.is_refused || t.accepted.is_empty())
    }

    fn wait_for(&mut self, patience: Duration, now: Instant) {
        self.deadline = now + patience;
    }

    fn note(&mut self, line: TranscriptLine) {
        let (TranscriptLine::Ours(text) | TranscriptLine::Theirs(text)) = &line;
        if self.transcript.len() < TRANSCRIPT_LINES && text.len() <= self.transcript_room {
            self.transcript_room -= text.len();
            self.transcript.push(line);
        }
    }

    fn stage(&self) -> Stage {
        match self.expected.front() {
            Some(Expect::Greeting) => Stage::Greeting,
            Some(Expect::Ehlo | Expect::Helo) => Stage::Hello,
            Some(Expect::StartTls) => Stage::Tls,
            Some(Expect::Auth(..)) => Stage::Login,
            Some(Expect::Reset | Expect::Mail | Expect::Recipient(_) | Expect::Data) => {
                Stage::Envelope
            }
            Some(Expect::Final) => Stage::FinalReply,
            Some(Expect::Quit) => Stage::Idle,
            None if matches!(self.phase, Phase::Content(_)) => Stage::Content,
            None => Stage::Idle,
        }
    }

    /// The connection broke while the driver was sending.
    pub fn broken(&mut self) {
        self.fail(Failure::Broken { stage: self.stage() });
    }

    fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.phase = Phase::Failed;
        self.report = self.transaction.take().map(|t| Report { outcomes: t.outcomes });
    }

    fn hello(&mut self) {
        self.queue(format!("EHLO {}", self.config.hello), Expect::Ehlo);
    }

    fn finish(&mut self) {
        self.report = self.transaction.take().map(|t| Report { outcomes: t.outcomes });
        self.phase = Phase::Done;
    }
}
