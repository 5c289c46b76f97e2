//! One connection to another server: the client core driven over a socket.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pillarbox_platform::config::{self, seconds};
use pillarbox_platform::stream::{Patience, Stream};
use pillarbox_proto::smtp::client::{
    Action, Config, Failure, Login, Mailing, Report, Session, Stage, StartTls, Timeouts,
};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use super::source::Source;
use super::tls::{ClientTls, Security};

/// Octets that are read at a time.
const PIECE: usize = 64 * 1024;

/// Where to connect, and what is expected there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The name certificates are checked for.
    pub host: String,
    pub address: IpAddr,
    pub port: u16,
    pub security: Security,
    /// TLS from the start.
    pub is_implicit: bool,
    pub login: Option<Login>,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [{}]", self.host, self.address)
    }
}

/// Why there is no connection, or none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server was not reached, or the connection broke.
    Connect(String),
    /// TLS did not come about, or did not prove what it must.
    Tls(String),
    /// The session failed.
    Session(Failure),
    /// Our own content could not be read.
    Content(String),
}

/// A connection that waits for messages.
pub struct Connection {
    stream: Option<Stream>,
    session: Session,
    endpoint: Endpoint,
    tls: Arc<ClientTls>,
    /// Messages sent so far.
    pub served: usize,
}

impl Connection {
    /// Connects and goes on until the server waits for a message.
    pub async fn open(
        endpoint: Endpoint,
        hello: &str,
        tls: Arc<ClientTls>,
        limits: &config::Outbound,
    ) -> Result<Connection, (Trouble, Vec<String>)> {
        let none = |trouble| (trouble, Vec::new());
        let connecting = TcpStream::connect((endpoint.address, endpoint.port));
        let tcp = tokio::time::timeout(seconds(limits.connect), connecting).await;
        let tcp = tcp.map_err(|_| {
            none(Trouble::Connect(format!("no answer within {} seconds", limits.connect)))
        })?;
        let tcp = tcp.map_err(|e| none(Trouble::Connect(plain(&e))))?;
        // Commands are written whole: waiting to fill a packet only delays them.
        let _ = tcp.set_nodelay(true);
        let patience =
            Patience { send: seconds(limits.command), handshake: seconds(limits.command.min(60)) };
        let mut stream = Stream::plain(tcp, patience);
        if endpoint.is_implicit {
            stream = secure(stream, &endpoint, &tls).await.map_err(none)?;
        }
        let config = Config {
            hello: hello.to_string(),
            starttls: match &endpoint.security {
                _ if endpoint.is_implicit => StartTls::Never,
                Security::Plain => StartTls::Never,
                Security::Opportunistic => StartTls::IfOffered,
                Security::Encrypted | Security::Verified | Security::Dane(_) => StartTls::Must,
            },
            login: endpoint.login.clone(),
            timeouts: Timeouts {
                greeting: seconds(limits.greeting),
                command: seconds(limits.command),
                data: seconds(limits.data),
                final_reply: seconds(limits.final_reply),
            },
        };
        let session = Session::new(config, endpoint.is_implicit, Instant::now());
        let mut connection = Connection { stream: Some(stream), session, endpoint, tls, served: 0 };
        match connection.drive(None).await {
            Ok(()) => Ok(connection),
            Err(trouble) => Err((trouble, connection.transcript())),
        }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether the server's identity was proven.
    pub fn is_verified(&self) -> bool {
        self.session.is_secure() && self.endpoint.security.is_proof()
    }

    /// Whether it takes octets beyond ASCII in bodies.
    pub fn takes_eight_bit(&self) -> bool {
        self.session.peer().eight_bit_mime
    }

    /// Whether it sends the notices that senders ask for.
    pub fn sends_notices(&self) -> bool {
        self.session.peer().dsn
    }

    /// The conversation since the last call, a line each.
    pub fn transcript(&mut self) -> Vec<String> {
        self.session.take_transcript().iter().map(ToString::to_string).collect()
    }

    /// Hands a message over.
    /// The report contains what was settled, also when there was trouble.
    /// After trouble the connection is of no more use.
    pub async fn send(
        &mut self,
        mailing: Mailing,
        source: &mut Source,
    ) -> (Report, Option<Trouble>) {
        self.session.begin(mailing, Instant::now());
        self.served += 1;
        let trouble = self.drive(Some(source)).await.err();
        (self.session.take_report(), trouble)
    }

    /// Asks whether a recipient would be taken; nothing is sent.
    pub async fn ask(&mut self, sender: &str, recipient: &str) -> (Report, Option<Trouble>) {
        self.session.ask(sender, recipient, Instant::now());
        let trouble = self.drive(None).await.err();
        (self.session.take_report(), trouble)
    }

    /// What TLS agreed on, in words.
    pub fn tls(&self) -> Option<String> {
        let facts = self.stream.as_ref()?.facts()?;
        Some(format!("{} {}", facts.version, facts.cipher))
    }

    /// Says goodbye.
    pub async fn quit(mut self) {
        self.session.quit(Instant::now());
        // What goes wrong now does no harm.
        let _ = self.drive(None).await;
        if let Some(stream) = &mut self.stream {
            stream.close().await;
        }
    }

    /// Goes on until the server waits, the message is through or everything was said.
    async fn drive(&mut self, mut source: Option<&mut Source>) -> Result<(), Trouble> {
        loop {
            let Some(stream) = &mut self.stream else {
                return Err(Trouble::Connect("the connection is gone".into()));
            };
            match self.session.poll(Instant::now()) {
                Action::Input => {
                    let deadline = self.session.deadline();
                    match stream.read(PIECE, deadline).await {
                        Ok(Some(octets)) => self.session.receive(octets),
                        Ok(None) | Err(_) => self.session.peer_closed(),
                    }
                }
                Action::Send(octets) => {
                    if stream.send(octets).await.is_err() {
                        // It may have said why before it hung up.
                        if let Ok(Some(said)) =
                            stream.read(PIECE, Instant::now() + Duration::from_millis(200)).await
                        {
                            self.session.receive(said);
                        }
                        self.session.peer_closed();
                        if matches!(
                            self.session.poll(Instant::now()),
                            Action::Content | Action::Send(_)
                        ) {
                            self.session.broken();
                        }
                    }
                }
                Action::StartTls => {
                    let plain = self
                        .stream
                        .take()
                        .ok_or_else(|| Trouble::Connect("the connection is gone".into()))?;
                    self.stream = Some(secure(plain, &self.endpoint, &self.tls).await?);
                    self.session.tls_done(Instant::now());
                }
                Action::Content => {
                    let piece = match &mut source {
                        Some(source) => source.piece().await,
                        None => {
                            Err(pillarbox_store::Error::Invalid { why: "nothing to send".into() })
                        }
                    };
                    match piece {
                        Ok(Some(piece)) => self.session.content(&piece),
                        Ok(None) => self.session.content_end(Instant::now()),
                        // Cut off without the final dot: the server forgets it.
                        Err(why) => {
                            self.stream = None;
                            return Err(Trouble::Content(why.to_string()));
                        }
                    }
                }
                Action::Ready | Action::Done | Action::Close => return Ok(()),
                Action::Failed => {
                    let failure = self.session.failure().cloned();
                    return Err(Trouble::Session(
                        failure.unwrap_or(Failure::Broken { stage: Stage::Idle }),
                    ));
                }
            }
        }
    }
}

async fn secure(stream: Stream, endpoint: &Endpoint, tls: &ClientTls) -> Result<Stream, Trouble> {
    let name = ServerName::try_from(endpoint.host.clone())
        .or_else(|_| Ok::<_, ()>(ServerName::from(endpoint.address)));
    let name = name.map_err(|()| Trouble::Tls("its name can't stand in a certificate".into()))?;
    let config = tls.config(&endpoint.security).map_err(|e| Trouble::Tls(e.to_string()))?;
    stream.start_client_tls(config, name).await.map_err(|e| Trouble::Tls(e.to_string()))
}

fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::HostUnreachable => {
            "there is no way there from this line".into()
        }
        _ => error.to_string(),
    }
}
