//! Messages in.

use std::io;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::Options;
use crate::connection::{Connection, tls};

struct Load {
    address: String,
    messages: usize,
    until: Option<Duration>,
    size: usize,
    recipients: usize,
    users: usize,
    domain: String,
    starttls: Option<Arc<ClientConfig>>,
    reconnect: bool,
    begun: Instant,
    next: AtomicUsize,
    /// Acknowledged tokens, written as they come.
    acks: Option<Mutex<std::fs::File>>,
}

/// Sends `--messages` over `--sessions`, each of `--size` octets to `--recipients` of `--users`.
pub fn run(options: &Options) -> Result<Value, String> {
    let acks = options.text("acks", "");
    let acks = match acks.as_str() {
        "" => None,
        path => Some(Mutex::new(std::fs::File::create(path).map_err(|e| format!("{path}: {e}"))?)),
    };
    let seconds = options.number("seconds", 0)?;
    let load = Arc::new(Load {
        address: options.text("address", "127.0.0.1:25"),
        messages: options.number("messages", 1000)?,
        until: (seconds > 0).then(|| Duration::from_secs(seconds as u64)),
        size: options.number("size", 4096)?,
        recipients: options.number("recipients", 1)?,
        users: options.number("users", 50)?,
        domain: options.text("domain", "example.test"),
        starttls: if options.is_on("starttls") { Some(tls()?) } else { None },
        reconnect: options.is_on("reconnect"),
        begun: Instant::now(),
        next: AtomicUsize::new(0),
        acks,
    });
    let sessions = options.number("sessions", 1)?;
    let threads: Vec<_> = (0..sessions)
        .map(|n| {
            let load = load.clone();
            std::thread::spawn(move || session(&load, n))
        })
        .collect();
    let (mut latencies, mut failures) = (Vec::new(), Vec::new());
    for thread in threads {
        let (mut taken, failure) = thread.join().map_err(|_| "a session panicked")?;
        latencies.append(&mut taken);
        failures.extend(failure);
    }
    let seconds = load.begun.elapsed().as_secs_f64();
    latencies.sort();
    let at = |part: usize| latencies.get(latencies.len() * part / 100).map_or(0.0, |d| d.as_secs_f64() * 1000.0);
    Ok(json!({
        "messages": latencies.len(), "seconds": seconds, "rate": latencies.len() as f64 / seconds,
        "p50_ms": at(50), "p99_ms": at(99), "failures": failures,
    }))
}

/// Sends until there is nothing left to send or the server fails; returns how long each message took.
fn session(load: &Load, number: usize) -> (Vec<Duration>, Option<String>) {
    let mut latencies = Vec::new();
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    let text = body(load.size, &mut random);
    let mut connection = None;
    loop {
        let n = load.next.fetch_add(1, Ordering::Relaxed);
        if n >= load.messages || load.until.is_some_and(|until| load.begun.elapsed() > until) {
            return (latencies, None);
        }
        let begun = Instant::now();
        match message(load, &mut connection, n, &mut random, &text) {
            Ok(()) => latencies.push(begun.elapsed()),
            Err(e) => return (latencies, Some(e.to_string())),
        }
        if load.reconnect {
            connection = None;
        }
    }
}

fn connect(load: &Load) -> io::Result<Connection> {
    let mut connection = Connection::plain(&load.address)?;
    connection.smtp_reply()?;
    let hello = |connection: &mut Connection| {
        connection.send(b"EHLO load.example\r\n")?;
        connection.smtp_reply()
    };
    hello(&mut connection)?;
    if let Some(tls) = &load.starttls {
        connection.send(b"STARTTLS\r\n")?;
        connection.smtp_reply()?;
        connection = connection.into_tls(tls)?;
        hello(&mut connection)?;
    }
    Ok(connection)
}

/// One message, commands pipelined as a real server does (RFC 2920).
fn message(load: &Load, open: &mut Option<Connection>, n: usize, random: &mut Random, text: &[u8]) -> io::Result<()> {
    let connection = match open {
        Some(connection) => connection,
        None => open.insert(connect(load)?),
    };
    let mut commands = format!("MAIL FROM:<sender{n}@example.net> SIZE={}\r\n", load.size);
    let first = random.below(load.users);
    for k in 0..load.recipients {
        commands.push_str(&format!("RCPT TO:<user{}@{}>\r\n", (first + k) % load.users, load.domain));
    }
    commands.push_str("DATA\r\n");
    connection.send(commands.as_bytes())?;
    for _ in 0..load.recipients + 2 {
        connection.smtp_reply()?;
    }
    connection.send(&content(load, n, text))?;
    connection.smtp_reply()?;
    if let Some(acks) = &load.acks {
        let mut acks = acks.lock().unwrap_or_else(|e| e.into_inner());
        writeln!(acks, "token-{n}-")?;
    }
    Ok(())
}

/// A message of exactly `size` octets, with its final dot behind it.
fn content(load: &Load, n: usize, text: &[u8]) -> Vec<u8> {
    let mut content = format!(
        "From: Sender <sender{n}@example.net>\r\nTo: somebody@{}\r\nSubject: Load token-{n}-\r\n\
         Date: Mon, 23 Nov 2026 21:58:00 +0000\r\nMessage-ID: <{n}@example.net>\r\nMIME-Version: 1.0\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        load.domain
    )
    .into_bytes();
    let room = load.size.saturating_sub(content.len() + 2);
    content.extend_from_slice(&text[..room]);
    // The last line may have been cut between CR and LF.
    if content.ends_with(b"\r") {
        content.pop();
        content.push(b'=');
    }
    content.extend_from_slice(b"\r\n.\r\n");
    content
}

/// Lines of random base64: what attachments look like, and nothing that compresses.
fn body(size: usize, random: &mut Random) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(size + 80);
    while text.len() < size {
        text.extend((0..76).map(|_| LETTERS[random.below(64)]));
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// Xorshift: cheap and the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % limit.max(1)
    }
}
