//! Another mail server, which follows a script of the test.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// How one connection goes.
#[derive(Clone)]
pub struct Script {
    pub greeting: &'static str,
    /// Lines of the reply to EHLO after the first.
    pub abilities: Vec<&'static str>,
    pub mail: &'static str,
    /// The reply to a recipient, by its address; others are accepted.
    pub recipients: Vec<(&'static str, &'static str)>,
    pub data: &'static str,
    pub end: &'static str,
    pub tls: Option<Arc<ServerConfig>>,
    /// What a login is answered.
    pub login: &'static str,
    pub fault: Fault,
    /// The greeting waits for this.
    pub gate: Option<Arc<Notify>>,
}

/// Where a connection goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Closes without a word.
    DropAtOnce,
    /// Closes after some content has come.
    DropInContent,
    /// Takes all content and closes instead of replying.
    DropAfterContent,
    /// Says nothing after DATA.
    HangAtData,
    /// Takes one message a connection, and says 421 to the next.
    OneMessage,
    /// Hangs up on content with "poison" in its subject.
    Poison,
}

impl Default for Script {
    fn default() -> Self {
        Script {
            greeting: "220 peer ready",
            abilities: vec!["PIPELINING", "8BITMIME", "SIZE 1000000", "DSN", "SMTPUTF8"],
            mail: "250 2.1.0 ok",
            recipients: Vec::new(),
            data: "354 go on",
            end: "250 2.0.0 queued as X",
            tls: None,
            login: "235 2.7.0 welcome",
            fault: Fault::None,
            gate: None,
        }
    }
}

/// A message that was acknowledged, or at least taken whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub from: String,
    pub to: Vec<String>,
    pub content: String,
    pub under_tls: bool,
}

/// A listening server.
#[derive(Clone)]
pub struct Peer {
    /// One script per connection; the last one goes for all that follow.
    scripts: Arc<Mutex<Vec<Script>>>,
    taken: Arc<Mutex<Vec<Taken>>>,
    connections: Arc<Mutex<usize>>,
}

impl Peer {
    pub async fn listen(address: IpAddr, port: u16, scripts: Vec<Script>) -> Peer {
        let listener = TcpListener::bind((address, port)).await.unwrap();
        let peer = Peer {
            scripts: Arc::new(Mutex::new(scripts)),
            taken: Arc::default(),
            connections: Arc::default(),
        };
        let serving = peer.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let peer = serving.clone();
                let script = {
                    *peer.connections.lock().unwrap() += 1;
                    let mut scripts = peer.scripts.lock().unwrap();
                    if scripts.len() > 1 { scripts.remove(0) } else { scripts[0].clone() }
                };
                tokio::spawn(async move {
                    // The test looks from the other side at how a connection ends.
                    let _ = peer.serve(tcp, script).await;
                });
            }
        });
        peer
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    async fn serve(&self, tcp: tokio::net::TcpStream, script: Script) -> std::io::Result<()> {
        if script.fault == Fault::DropAtOnce {
            return Ok(());
        }
        let mut stream = BufReader::new(tcp);
        if let Some(gate) = &script.gate {
            gate.notified().await;
        }
        say(&mut stream, script.greeting).await?;
        if self.talk(&mut stream, &script, false).await? == Next::Tls
            && let Some(tls) = script.tls.clone()
        {
            let tls = TlsAcceptor::from(tls).accept(stream.into_inner()).await?;
            self.talk(&mut BufReader::new(tls), &script, true).await?;
        }
        Ok(())
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        script: &Script,
        under_tls: bool,
    ) -> std::io::Result<Next> {
        let mut session = Session {
            peer: self,
            script,
            under_tls,
            from: String::new(),
            to: Vec::new(),
            has_sender: false,
            count: 0,
        };
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(Next::End);
            }
            match session.command(stream, line.trim_end()).await? {
                Next::Command => {}
                next => return Ok(next),
            }
        }
    }
}

/// What follows a command.
#[derive(PartialEq, Eq)]
enum Next {
    Command,
    Tls,
    End,
}

/// What was said so far.
struct Session<'a> {
    peer: &'a Peer,
    script: &'a Script,
    under_tls: bool,
    from: String,
    to: Vec<String>,
    has_sender: bool,
    /// Messages that were taken.
    count: usize,
}

impl Session<'_> {
    async fn command<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut BufReader<S>,
        line: &str,
    ) -> std::io::Result<Next> {
        let script = self.script;
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => self.abilities(stream).await?,
            "STARTTLS" => {
                say(stream, "220 go").await?;
                return Ok(Next::Tls);
            }
            "AUTH" => say(stream, script.login).await?,
            "MAIL" if script.fault == Fault::OneMessage && self.count > 0 => {
                say(stream, "421 4.7.0 one message is enough").await?;
                return Ok(Next::End);
            }
            "MAIL" => {
                self.from = inner(line);
                self.to.clear();
                self.has_sender = script.mail.starts_with('2');
                say(stream, script.mail).await?;
            }
            "RCPT" | "DATA" if !self.has_sender => say(stream, "503 5.5.1 no sender").await?,
            "RCPT" => {
                let address = inner(line);
                let reply = script.recipients.iter().find(|(a, _)| *a == address);
                let reply = reply.map_or("250 2.1.5 ok", |(_, reply)| *reply);
                if reply.starts_with('2') {
                    self.to.push(address);
                }
                say(stream, reply).await?;
            }
            "DATA" => return self.data(stream).await,
            "QUIT" => {
                say(stream, "221 bye").await?;
                return Ok(Next::End);
            }
            _ => say(stream, "250 ok").await?,
        }
        Ok(Next::Command)
    }

    /// The reply to EHLO, a line for each ability.
    async fn abilities<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
    ) -> std::io::Result<()> {
        let mut lines = vec!["peer"];
        lines.extend(&self.script.abilities);
        if self.script.tls.is_some() && !self.under_tls {
            lines.push("STARTTLS");
        }
        let last = lines.len() - 1;
        for (at, text) in lines.iter().enumerate() {
            say(stream, &format!("250{}{text}", if at == last { ' ' } else { '-' })).await?;
        }
        Ok(())
    }

    /// Takes a message.
    async fn data<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut BufReader<S>,
    ) -> std::io::Result<Next> {
        let script = self.script;
        if script.fault == Fault::HangAtData {
            std::future::pending::<()>().await;
        }
        if self.to.is_empty() && script.data.starts_with('3') {
            say(stream, "554 5.5.1 nobody").await?;
            return Ok(Next::Command);
        }
        say(stream, script.data).await?;
        if !script.data.starts_with('3') {
            return Ok(Next::Command);
        }
        let Some(content) = content(stream, script.fault).await? else { return Ok(Next::End) };
        self.count += 1;
        self.peer.taken.lock().unwrap().push(Taken {
            from: self.from.clone(),
            to: self.to.clone(),
            content,
            under_tls: self.under_tls,
        });
        if script.fault == Fault::DropAfterContent {
            return Ok(Next::End);
        }
        say(stream, script.end).await?;
        Ok(Next::Command)
    }
}

/// Content up to the final dot, without the dots that were added (RFC 5321 §4.5.2).
/// `None`: the connection ends here.
async fn content<S: AsyncRead + Unpin>(
    stream: &mut BufReader<S>,
    fault: Fault,
) -> std::io::Result<Option<String>> {
    let mut content = String::new();
    loop {
        let mut octets = Vec::new();
        if stream.read_until(b'\n', &mut octets).await? == 0 || fault == Fault::DropInContent {
            return Ok(None);
        }
        if fault == Fault::Poison && octets.starts_with(b"Subject: poison") {
            return Ok(None);
        }
        if octets == b".\r\n" {
            return Ok(Some(content));
        }
        let text = octets.strip_prefix(b".").unwrap_or(&octets);
        content.push_str(&String::from_utf8_lossy(text));
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    line: &str,
) -> std::io::Result<()> {
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.get_mut().flush().await
}

fn inner(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_string()
}
