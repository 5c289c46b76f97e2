//! A message of the box to itself, on the same way that the world's mail takes: in at port 25, into the mailbox, out by
//! POP3.
//! Each hop is a finding, made when it happens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pillarbox_message::encode::encoded_words;
use pillarbox_outbound::{
    Connection, Endpoint, Findings, Handles, Security, Source, Topic, Trial, mailing,
};
use pillarbox_platform::clock;
use pillarbox_platform::config::{Config, Live};
use pillarbox_platform::service::Service;
use pillarbox_platform::stream::{Patience, Stream};
use pillarbox_store::{AddDevice, Detail, DeviceId, Fate, RemoveDevice, off_thread, term};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use crate::auth::hash;

/// For each conversation.
const PATIENCE: Duration = Duration::from_secs(20);
/// Octets of an answer that are read.
const ANSWER: usize = 64 * 1024;
/// What is found when mail of another sender came in between.
const OTHER_MESSAGE: &str =
    "the newest message is another one: somebody else's mail came at the same moment; try again";

/// What the way needs.
struct Loopback {
    settings: Arc<Config>,
    handles: Handles,
}

/// Sends the message for a person and follows it; runs beside everything else.
pub fn start(
    settings: &Live,
    handles: &Handles,
    address: &str,
    subject: String,
    mut findings: Findings,
) {
    let (this, address) =
        (Loopback { settings: settings.get(), handles: handles.clone() }, address.to_string());
    tokio::spawn(async move {
        let _alive = this.handles.tasks.begin();
        if let Some(mark) = bring(&this, &address, &subject, &mut findings).await {
            fetch(&this, &address, &mark, &mut findings).await;
        }
    });
}

/// Where a service of ours is reached from this machine.
fn own(settings: &Config, service: Service) -> Option<SocketAddr> {
    let listening = service.addresses(settings).first().copied()?;
    let ip = match listening.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    Some(SocketAddr::new(ip, listening.port()))
}

/// Brings the message as another server would.
/// Returns the word by which it is known again.
async fn bring(
    this: &Loopback,
    address: &str,
    subject: &str,
    findings: &mut Findings,
) -> Option<String> {
    let mut connection = match connect(this).await {
        Ok((place, mut connection)) => {
            let tls = connection.tls().unwrap_or_else(|| "-".into());
            let summary = Detail::text(format!("{place}, TLS: {tls}"));
            findings.add(Topic::Connection, true, summary, connection.transcript()).await;
            connection
        }
        Err((why, lines)) => {
            findings.add(Topic::Connection, false, why, lines).await;
            return None;
        }
    };
    let hostname = this.settings.hostname();
    let mark = format!("round-{:016x}@{hostname}", getrandom::u64().unwrap_or_default());
    let content = content(&hostname, address, subject, &mark);
    let trial = Trial { sender: "", recipient: address, content: content.into_bytes() };
    let (report, _) = connection.send(mailing(&trial), &mut Source::of_octets(trial.content)).await;
    let lines = connection.transcript();
    connection.quit().await;
    let reply = report.outcomes.into_iter().flatten().next();
    let said = match &reply {
        Some(reply) => Detail::Answer { code: reply.code, text: reply.lines.join(" ") },
        None => Detail::found(4, 4, 2, "no answer"),
    };
    let is_taken = reply.is_some_and(|r| r.code == 250);
    findings.add(Topic::Sending, is_taken, said, lines).await;
    if !is_taken {
        return None;
    }
    stored(this, address, &mark, findings).await.then_some(mark)
}

/// Connects to our own port 25: the place, and the connection.
/// An error has its reason and the conversation so far.
async fn connect(this: &Loopback) -> Result<(SocketAddr, Connection), (Detail, Vec<String>)> {
    let settings = &this.settings;
    let hostname = settings.hostname();
    let Some(place) = own(settings, Service::Smtp) else {
        let why = Detail::found(4, 4, 1, "this box listens on no port for SMTP");
        return Err((why, Vec::new()));
    };
    let endpoint = Endpoint {
        host: hostname.clone(),
        address: place.ip(),
        port: place.port(),
        security: Security::Opportunistic,
        is_implicit: false,
        login: None,
    };
    let opening =
        Connection::open(endpoint, &hostname, this.handles.tls.clone(), &settings.outbound);
    match tokio::time::timeout(PATIENCE, opening).await {
        Ok(Ok(connection)) => Ok((place, connection)),
        Ok(Err((trouble, lines))) => {
            Err((Detail::found(4, 4, 1, format!("{place}: {trouble:?}")), lines))
        }
        Err(_) => {
            let why = format!("{place} was silent for too long");
            Err((Detail::found(4, 4, 2, why), Vec::new()))
        }
    }
}

/// The message, with `mark` as its Message-ID and as its text.
fn content(hostname: &str, address: &str, subject: &str, mark: &str) -> String {
    format!(
        "From: Pillarbox <postmaster@{hostname}>\r\nTo: <{address}>\r\nSubject: {}\r\nDate: {}\r\n\
         Message-ID: <{mark}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{mark}\r\n",
        encoded_words(subject),
        clock::rfc5322(clock::now()),
    )
}

/// What the ledger says of it: it was written in the same commit as the message.
async fn stored(this: &Loopback, address: &str, mark: &str, findings: &mut Findings) -> bool {
    let (wanted, address) = (mark.to_string(), address.to_lowercase());
    let found = this
        .handles
        .store
        .read_off_thread(move |r| {
            r.ledger_find(Some(term("address", &address)), 1, |_, record| {
                record.message_id == wanted
            })
        })
        .await;
    let record = found.ok().and_then(|found| found.into_iter().next()).map(|(_, record)| record);
    let is_there = record.as_ref().is_some_and(|record| record.fate == Fate::Delivered);
    let summary = match record {
        Some(record) => Detail::text(format!(
            "{} → {} ({})",
            record.fate.as_str(),
            record.recipients.join(", "),
            record.code
        )),
        None => Detail::found(4, 3, 0, "the ledger knows nothing of it"),
    };
    findings.add(Topic::Stored, is_there, summary, Vec::new()).await;
    is_there
}

/// Fetches it as a mail program does, with a password made for that and taken away again.
async fn fetch(this: &Loopback, address: &str, mark: &str, findings: &mut Findings) {
    let (store, owner) = (this.handles.store.clone(), address.to_string());
    let made = off_thread(move || {
        let password = hash::generate()
            .map_err(|error| pillarbox_store::Error::Invalid { why: error.to_string() })?;
        let add = AddDevice {
            address: owner,
            label: "Pillarbox".into(),
            hash: hash::device(&password),
            at: clock::now(),
        };
        Ok((store.change(add).wait()?, password))
    });
    let (device, password) = match made.await {
        Ok(made) => made,
        Err(error) => {
            return findings
                .add(Topic::Fetching, false, Detail::found(4, 3, 0, error.to_string()), Vec::new())
                .await;
        }
    };
    let talk = tokio::time::timeout(PATIENCE, pop3(this, address, &password, mark)).await;
    remove(this, address, device).await;
    match talk.unwrap_or_else(|_| Err(("it took too long".into(), Vec::new()))) {
        Ok((summary, lines)) => {
            findings.add(Topic::Fetching, true, Detail::text(summary), lines).await
        }
        Err((why, lines)) => {
            findings.add(Topic::Fetching, false, Detail::found(4, 4, 2, why), lines).await
        }
    }
}

async fn remove(this: &Loopback, address: &str, device: DeviceId) {
    if let Err(error) = this
        .handles
        .store
        .change(RemoveDevice { address: address.to_string(), device })
        .done()
        .await
    {
        tracing::error!(%error, "the password of the round can't be taken away");
    }
}

type Talk = Result<(String, Vec<String>), (String, Vec<String>)>;

/// Fetches the newest message; gives the place and the conversation, or why not and the conversation so far.
async fn pop3(this: &Loopback, address: &str, password: &str, mark: &str) -> Talk {
    let (place, mut stream) = connect_pop3(this).await.map_err(|why| (why, Vec::new()))?;
    let mut lines = Vec::new();
    let mut last = String::new();
    for verb in ["", "USER", "PASS", "STAT", "RETR", "QUIT"] {
        // STAT counted them; the newest is the last.
        let count = last.split(' ').nth(1).unwrap_or("1");
        let (command, shown) = match verb {
            "USER" => (format!("USER {address}"), format!("USER {address}")),
            "PASS" => (format!("PASS {password}"), "PASS ****".into()),
            "RETR" => (format!("RETR {count}"), format!("RETR {count}")),
            other => (other.to_string(), other.to_string()),
        };
        if !command.is_empty() {
            lines.push(format!("> {shown}"));
            if stream.send(format!("{command}\r\n").as_bytes()).await.is_err() {
                return Err(("the connection broke".into(), lines));
            }
        }
        let is_long = verb == "RETR";
        let answer = match answer(&mut stream, is_long).await {
            Ok(answer) => answer,
            Err(why) => return Err((why, lines)),
        };
        last = answer.lines().next().unwrap_or_default().to_string();
        lines.push(format!("< {last}"));
        if !last.starts_with("+OK") {
            return Err((last, lines));
        }
        if is_long && !answer.contains(mark) {
            return Err((OTHER_MESSAGE.into(), lines));
        }
    }
    Ok((format!("{place}"), lines))
}

/// Connects to our own POP3 service, with TLS from the start.
async fn connect_pop3(this: &Loopback) -> Result<(SocketAddr, Stream), String> {
    let place =
        own(&this.settings, Service::Pop3s).ok_or("this box listens on no port for POP3")?;
    let tcp = TcpStream::connect(place).await.map_err(|e| format!("{place}: {e}"))?;
    let config =
        this.handles.tls.config(&Security::Opportunistic).map_err(|error| error.to_string())?;
    let stream = Stream::plain(tcp, Patience { send: PATIENCE, handshake: PATIENCE })
        .start_client_tls(config, ServerName::from(place.ip()))
        .await
        .map_err(|error| error.to_string())?;
    Ok((place, stream))
}

/// An answer, to its last line.
async fn answer(stream: &mut Stream, is_long: bool) -> Result<String, String> {
    let mut text = String::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match stream.read(ANSWER, deadline).await {
            Ok(Some(octets)) if !octets.is_empty() => {
                text.push_str(&String::from_utf8_lossy(octets))
            }
            _ => return Err("the connection broke".into()),
        }
        let is_refusal = text.starts_with("-ERR") && text.ends_with("\r\n");
        let is_over = if is_long { text.ends_with("\r\n.\r\n") } else { text.ends_with("\r\n") };
        if is_over || is_refusal {
            return Ok(text);
        }
        if text.len() > ANSWER {
            return Err("the answer is too long".into());
        }
    }
}
