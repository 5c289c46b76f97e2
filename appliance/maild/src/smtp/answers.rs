//! Answers to the questions of an SMTP session: one mail transaction at a time.

use std::net::IpAddr;
use std::time::Instant;

use pillarbox_host::net::is_near;
use pillarbox_message::own_fields::OwnFields;
use pillarbox_platform::budget::{Pace, Party};
use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::{
    Answer, Credentials, ForwardPath, MailCommand, Question, Recipient, ReversePath, Security,
    Session, trace,
};
use pillarbox_store::{AccountId, Delivered, Error, ShortCode};

use pillarbox_office::auth::Identity;
use pillarbox_office::code;
use pillarbox_office::delivery::{Envelope, Incoming, Refusal};
use pillarbox_office::routing::{self, Routing};
use pillarbox_office::submission::{self, Facts, Submission};

use super::{Edge, replies};

/// A question, owned: the session can't be borrowed while the answer is awaited.
pub enum Owned {
    Mail(MailCommand),
    Recipient(Recipient),
    BeginContent,
    EndContent,
    Authenticate(Credentials),
}

impl From<Question<'_>> for Owned {
    fn from(question: Question<'_>) -> Self {
        match question {
            Question::Mail(mail) => Owned::Mail(mail.clone()),
            Question::Recipient(recipient) => Owned::Recipient(recipient.clone()),
            Question::BeginContent => Owned::BeginContent,
            Question::EndContent { .. } => Owned::EndContent,
            Question::Authenticate(credentials) => Owned::Authenticate(credentials.clone()),
        }
    }
}

/// The state behind the session's current mail transaction.
pub struct Transaction<'a> {
    edge: &'a Edge,
    peer: IpAddr,
    identity: Option<Identity>,
    code: ShortCode,
    local: Vec<Recipient>,
    accounts: Vec<AccountId>,
    /// Recipients elsewhere; only of a person who is logged in.
    remote: Vec<Recipient>,
    taking: Taking<'a>,
    /// Of the message under way.
    pace: Pace,
    /// Takes fields off that only this box may write.
    own_fields: OwnFields,
}

/// The message that comes in.
enum Taking<'a> {
    Nothing,
    /// From another server.
    Transfer(Box<Incoming<'a>>),
    /// From a person.
    Submission(Box<Submission<'a>>),
    /// What went wrong while content came in; reported at its end.
    Failed(Error),
}

impl<'a> Transaction<'a> {
    pub fn new(edge: &'a Edge, peer: IpAddr) -> Self {
        let now = Instant::now();
        Transaction {
            edge,
            peer,
            identity: None,
            code: ShortCode(0),
            local: Vec::new(),
            accounts: Vec::new(),
            remote: Vec::new(),
            taking: Taking::Nothing,
            pace: Pace { begun: now, heard: now, octets: 0 },
            own_fields: OwnFields::default(),
        }
    }

    /// Takes a piece of content; a failure is remembered for the end.
    pub async fn content(&mut self, octets: &[u8]) {
        self.pace.octets += octets.len() as u64;
        match &mut self.taking {
            Taking::Transfer(incoming) => {
                if let Err(error) = incoming.append(self.own_fields.push(octets)).await {
                    self.taking = Taking::Failed(error);
                }
            }
            Taking::Submission(submission) => submission.content(octets).await,
            Taking::Nothing | Taking::Failed(_) => {}
        }
        // From here on the peer is waited for; waiting for memory is not its fault.
        self.pace.heard = Instant::now();
    }

    fn party(&self) -> Party {
        match self.identity.is_some() || is_near(self.peer) {
            true => Party::Office,
            false => Party::Stranger,
        }
    }

    /// Whether the message under way is to be given up: memory is scarce, and it comes too slowly.
    pub fn is_in_the_way(&self, now: Instant) -> bool {
        matches!(self.taking, Taking::Transfer(_) | Taking::Submission(_))
            && self.pace.is_too_slow(now)
            && self.edge.submission.delivery.is_scarce(self.party())
    }

    /// Forgets the content gathered so far.
    pub fn discard(&mut self) {
        self.taking = Taking::Nothing;
    }

    /// Answers a question; refusals are logged.
    pub async fn answer(&mut self, session: &Session, question: Owned) -> Answer {
        let answer = match question {
            Owned::Mail(mail) => self.mail(mail).await,
            Owned::Recipient(recipient) => self.recipient(session, recipient).await,
            Owned::BeginContent => self.begin(session).await,
            Owned::EndContent => self.end(session).await,
            Owned::Authenticate(credentials) => self.authenticate(credentials).await,
        };
        if let Answer::Refuse(reply) = &answer {
            tracing::info!(peer = %self.peer, reply = reply.code, text = reply.lines.join(" "), "smtp refusal");
        }
        answer
    }

    async fn mail(&mut self, mail: MailCommand) -> Answer {
        self.code = code::fresh();
        self.local.clear();
        self.accounts.clear();
        self.remote.clear();
        self.taking = Taking::Nothing;
        if !self.edge.condition.is_writable() {
            // No record either: there is nothing to write it on.
            return Answer::Refuse(replies::cannot_store(self.code));
        }
        if !self.edge.condition.has_space() {
            return self.refuse(
                &path_text(&mail.reverse_path),
                Vec::new(),
                replies::no_space(self.code),
            );
        }
        let Some(identity) = self.identity.clone() else { return Answer::Accept };
        let path = mail.reverse_path.clone();
        match self
            .edge
            .submission
            .store
            .read_off_thread(move |r| submission::sender(r, identity.account, &path))
            .await
        {
            Ok(submission::Sender::Own) => Answer::Accept,
            Ok(submission::Sender::Foreign) => {
                let sender = path_text(&mail.reverse_path);
                let reply = submission::foreign_sender(
                    "as the envelope's sender",
                    &sender,
                    &identity.address,
                    &self.code.to_string(),
                );
                self.refuse(&sender, Vec::new(), reply)
            }
            Err(error) => Answer::Refuse(self.trouble(&error)),
        }
    }

    async fn recipient(&mut self, session: &Session, recipient: Recipient) -> Answer {
        let agent = &self.edge.submission;
        let routing = match routing::find(
            &agent.store,
            &agent.settings.get(),
            recipient.path.clone(),
        )
        .await
        {
            Ok(routing) => routing,
            Err(error) => return Answer::Refuse(self.trouble(&error)),
        };
        let address = match &recipient.path {
            ForwardPath::Address(address) => address.to_string(),
            ForwardPath::Postmaster => "postmaster".to_string(),
        };
        let code = self.code.to_string();
        let reply = match routing {
            Routing::Local(accounts) => {
                self.accounts.extend(accounts);
                self.local.push(recipient);
                return Answer::Accept;
            }
            Routing::Elsewhere if self.identity.is_some() => {
                if !self.remote.iter().any(|r| r.path == recipient.path) {
                    self.remote.push(recipient);
                }
                return Answer::Accept;
            }
            other => routing::refusal(&other, &address, &code),
        };
        let sender = session
            .envelope()
            .mail
            .as_ref()
            .map_or_else(String::new, |m| path_text(&m.reverse_path));
        self.refuse(&sender, vec![address], reply)
    }

    /// How the message comes; without the date.
    fn received(&self, session: &Session) -> trace::Received {
        let tls = match session.security() {
            Security::Plain => None,
            Security::Tls(facts) => Some(facts.clone()),
        };
        trace::Received {
            hello: session.hello().to_string(),
            // RFC 6409 §7: where a worker sits is not shown.
            peer: match self.identity {
                Some(_) => trace::Peer::Hidden,
                None => trace::Peer::Shown(self.peer),
            },
            hostname: session.config().hostname.clone(),
            protocol: session.protocol(),
            tls,
            id: self.code.to_string(),
            recipient: match (&self.local[..], &self.remote[..]) {
                ([only], []) | ([], [only]) => Some(only.path.to_string()),
                _ => None,
            },
            date: String::new(),
        }
    }

    async fn begin(&mut self, session: &Session) -> Answer {
        let Some(mail) = &session.envelope().mail else {
            return Answer::Refuse(self.trouble(&Error::Closed));
        };
        let begun = match &self.identity {
            Some(identity) => {
                let facts = Facts {
                    identity: identity.clone(),
                    peer: self.peer,
                    code: self.code,
                    mail: mail.clone(),
                    received: self.received(session),
                    local: std::mem::take(&mut self.local),
                    accounts: std::mem::take(&mut self.accounts),
                    remote: std::mem::take(&mut self.remote),
                };
                Submission::begin(&self.edge.submission, facts)
                    .await
                    .map(|s| Taking::Submission(Box::new(s)))
            }
            None => {
                let path = mail.reverse_path.clone();
                self.own_fields = OwnFields::new(&session.config().hostname);
                Incoming::begin(&self.edge.submission.delivery, &path, (self.peer, self.party()))
                    .await
                    .map(|i| Taking::Transfer(Box::new(i)))
            }
        };
        match begun {
            Ok(taking) => {
                let now = Instant::now();
                self.pace = Pace { begun: now, heard: now, octets: 0 };
                self.taking = taking;
                Answer::Accept
            }
            Err(error) => Answer::Refuse(self.trouble(&error)),
        }
    }

    async fn end(&mut self, session: &Session) -> Answer {
        let sender = session
            .envelope()
            .mail
            .as_ref()
            .map_or_else(String::new, |m| path_text(&m.reverse_path));
        let recipients: Vec<String> =
            self.local.iter().chain(&self.remote).map(|r| r.path.to_string()).collect();
        let outcome = match std::mem::replace(&mut self.taking, Taking::Nothing) {
            Taking::Submission(submission) => submission.end().await,
            Taking::Transfer(mut incoming) => match incoming.append(self.own_fields.finish()).await
            {
                Ok(()) => self.transfer(session, *incoming, &sender).await,
                Err(error) => Err(Refusal::Trouble(error)),
            },
            Taking::Failed(error) => Err(Refusal::Trouble(error)),
            Taking::Nothing => Err(Refusal::Trouble(Error::Closed)),
        };
        match outcome {
            Ok(delivered) => {
                tracing::info!(peer = %self.peer, id = %self.code, copies = delivered.uids.len(), reply = 250, "message stored");
                let text = match delivered.is_held {
                    true => format!(
                        "Ok: stored as {}, but held: more recipients today than allowed; the owner decides",
                        self.code
                    ),
                    false => format!("Ok: stored as {}", self.code),
                };
                Answer::AcceptAs(Reply::new(250, Enhanced(2, 0, 0), text))
            }
            Err(Refusal::Said(reply)) => self.refuse(&sender, recipients, reply),
            Err(Refusal::Trouble(error)) => {
                let reply = self.trouble(&error);
                self.refuse(&sender, recipients, reply)
            }
        }
    }

    /// Takes over a message from another server.
    async fn transfer(
        &mut self,
        session: &Session,
        incoming: Incoming<'_>,
        sender: &str,
    ) -> Result<Delivered, Refusal> {
        let recipients: Vec<String> = self.local.iter().map(|r| r.path.to_string()).collect();
        let report_on = match sender.is_empty() {
            true => {
                let (head, to) = (incoming.head().to_vec(), recipients.clone());
                self.edge
                    .submission
                    .store
                    .read_off_thread(move |r| routing::report_on(r, &head, &to))
                    .await?
            }
            false => None,
        };
        let envelope = Envelope {
            code: self.code,
            peer: self.peer,
            sender,
            received: self.received(session),
            recipients,
            accounts: std::mem::take(&mut self.accounts),
            sent_by: None,
            relay: None,
            signing_domain: String::new(),
            report_on,
        };
        incoming.deliver(envelope).await
    }

    async fn authenticate(&mut self, credentials: Credentials) -> Answer {
        if !credentials.authorization.is_empty() && credentials.authorization != credentials.user {
            return Answer::Refuse(Reply::new(
                535,
                Enhanced(5, 7, 8),
                "Logging in for somebody else is not possible here",
            ));
        }
        let password = credentials.password.as_str();
        match self
            .edge
            .sign_ins
            .verify(pillarbox_store::Service::Submission, &credentials.user, password, self.peer)
            .await
        {
            Ok(identity) => {
                let name = identity.address.clone();
                self.identity = Some(identity);
                Answer::Authenticated { identity: name }
            }
            Err(why) if why.is_temporary() => {
                Answer::Refuse(Reply::new(454, Enhanced(4, 7, 0), why.to_string()))
            }
            Err(why) => Answer::Refuse(Reply::new(535, Enhanced(5, 7, 8), why.to_string())),
        }
    }

    /// A refusal that the ledger remembers.
    fn refuse(&self, sender: &str, recipients: Vec<String>, reply: Reply) -> Answer {
        routing::note_refusal(
            &self.edge.submission.store, self.code, self.peer, sender, recipients, &reply,
        );
        Answer::Refuse(reply)
    }

    /// The world failed: the peer gets a plain "later", the log the detail.
    fn trouble(&self, error: &Error) -> Reply {
        match error {
            Error::Busy => {
                tracing::warn!(peer = %self.peer, id = %self.code, "no memory for this message in time")
            }
            _ => {
                tracing::error!(peer = %self.peer, id = %self.code, %error, "taking mail failed")
            }
        }
        replies::later(error, self.code)
    }
}

fn path_text(path: &ReversePath) -> String {
    match path {
        ReversePath::Null => String::new(),
        ReversePath::Address(address) => address.to_string(),
    }
}
