//! Another mail server that does what a test tells it.

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
                    // How a connection ends is the test's to see from the other side.
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
        let (mut from, mut to) = (String::new(), Vec::new());
        let (mut has_sender, mut count) = (false, 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(Next::End);
            }
            let line = line.trim_end().to_string();
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    let mut lines = vec!["peer"];
                    lines.extend(&script.abilities);
                    if script.tls.is_some() && !under_tls {
                        lines.push("STARTTLS");
                    }
                    let last = lines.len() - 1;
                    for (at, text) in lines.iter().enumerate() {
                        say(stream, &format!("250{}{text}", if at == last { ' ' } else { '-' }))
                            .await?;
                    }
                }
                "STARTTLS" => {
                    say(stream, "220 go").await?;
                    return Ok(Next::Tls);
                }
                "AUTH" => say(stream, script.login).await?,
                "MAIL" if script.fault == Fault::OneMessage && count > 0 => {
                    say(stream, "421 4.7.0 one message is enough").await?;
                    return Ok(Next::End);
                }
                "MAIL" => {
                    from = inner(&line);
                    to.clear();
                    has_sender = script.mail.starts_with('2');
                    say(stream, script.mail).await?;
                }
                "RCPT" | "DATA" if !has_sender => say(stream, "503 5.5.1 no sender").await?,
                "RCPT" => {
                    let address = inner(&line);
                    let reply = script
                        .recipients
                        .iter()
                        .find(|(a, _)| *a == address)
                        .map(|(_, reply)| *reply);
                    if reply.is_none_or(|r| r.starts_with('2')) {
                        to.push(address);
                    }
                    say(stream, reply.unwrap_or("250 2.1.5 ok")).await?;
                }
                "DATA" => {
                    if script.fault == Fault::HangAtData {
                        std::future::pending::<()>().await;
                    }
                    if to.is_empty() && script.data.starts_with('3') {
                        say(stream, "554 5.5.1 nobody").await?;
                        continue;
                    }
                    say(stream, script.data).await?;
                    if !script.data.starts_with('3') {
                        continue;
                    }
                    let mut content = String::new();
                    loop {
                        let mut octets = Vec::new();
                        if stream.read_until(b'\n', &mut octets).await? == 0
                            || script.fault == Fault::DropInContent
                        {
                            return Ok(Next::End);
                        }
                        if script.fault == Fault::Poison && octets.starts_with(b"Subject: poison") {
                            return Ok(Next::End);
                        }
                        if octets == b".\r\n" {
                            break;
                        }
                        let text = octets.strip_prefix(b".").unwrap_or(&octets);
                        content.push_str(&String::from_utf8_lossy(text));
                    }
                    count += 1;
                    self.taken.lock().unwrap().push(Taken {
                        from: from.clone(),
                        to: to.clone(),
                        content,
                        under_tls,
                    });
                    if script.fault == Fault::DropAfterContent {
                        return Ok(Next::End);
                    }
                    say(stream, script.end).await?;
                }
                "QUIT" => {
                    say(stream, "221 bye").await?;
                    return Ok(Next::End);
                }
                _ => say(stream, "250 ok").await?,
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    Tls,
    End,
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
