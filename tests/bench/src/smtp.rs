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
use crate::random::Random;
use crate::text::letter;

struct Load {
    address: String,
    messages: usize,
    until: Option<Duration>,
    size: usize,
    /// English letters in place of random octets; their length is their own.
    has_text: bool,
    /// From one message to the next; zero: as fast as the server takes them.
    interval: Duration,
    seed: u64,
    recipients: usize,
    users: usize,
    domain: String,
    starttls: Option<Arc<ClientConfig>>,
    reconnect: bool,
    begun: Instant,
    next: AtomicUsize,
    /// Of all contents that were sent.
    octets: AtomicUsize,
    /// Acknowledged tokens, written as they come.
    acks: Option<Mutex<std::fs::File>>,
}

/// Sends `--messages` over `--sessions`, each of `--size` octets (or `--text yes`: English, 8.3 KB in the mean) to
/// `--recipients` of `--users`; with `--interval-ms` no sooner than that after the one before.
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
        has_text: options.is_on("text"),
        interval: Duration::from_millis(options.number("interval-ms", 0)? as u64),
        seed: options.number("seed", 0)? as u64,
        recipients: options.number("recipients", 1)?,
        users: options.number("users", 50)?,
        domain: options.text("domain", "example.test"),
        starttls: if options.is_on("starttls") { Some(tls()?) } else { None },
        reconnect: options.is_on("reconnect"),
        begun: Instant::now(),
        next: AtomicUsize::new(0),
        octets: AtomicUsize::new(0),
        acks,
    });
    let sessions = options.number("sessions", 1)?;
    let threads: Vec<_> = (0..sessions)
        .map(|n| {
            let load = load.clone();
            std::thread::spawn(move || session(&load, n))
        })
        .collect();
    let (mut latencies, mut waits, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for thread in threads {
        let (mut taken, mut answered, failure) = thread.join().map_err(|_| "a session panicked")?;
        latencies.append(&mut taken);
        waits.append(&mut answered);
        failures.extend(failure);
    }
    let seconds = load.begun.elapsed().as_secs_f64();
    latencies.sort();
    waits.sort();
    let at = |part: usize| milliseconds(latencies.get(latencies.len() * part / 100));
    let wait = |part: usize| {
        milliseconds(waits.get((waits.len() * part / 100).min(waits.len().saturating_sub(1))))
    };
    Ok(json!({
        "messages": latencies.len(), "seconds": seconds, "rate": latencies.len() as f64 / seconds,
        "p50_ms": at(50), "p99_ms": at(99), "failures": failures,
        "octets": load.octets.load(Ordering::Relaxed), "wait_p50_ms": wait(50), "wait_p99_ms": wait(99), "wait_longest_ms": wait(100),
    }))
}

fn milliseconds(time: Option<&Duration>) -> f64 {
    time.map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

/// Sends until there is nothing left to send or the server fails; returns how long each message took, and how long
/// after its final dot the answer came.
fn session(load: &Load, number: usize) -> (Vec<Duration>, Vec<Duration>, Option<String>) {
    let (mut latencies, mut waits) = (Vec::new(), Vec::new());
    let mut random = Random::new(load.seed.wrapping_mul(1000) + number as u64);
    let text = body(load.size, &mut random);
    let mut connection = None;
    loop {
        let n = load.next.fetch_add(1, Ordering::Relaxed);
        if n >= load.messages || load.until.is_some_and(|until| load.begun.elapsed() > until) {
            return (latencies, waits, None);
        }
        let due = load.interval * n as u32;
        std::thread::sleep(due.saturating_sub(load.begun.elapsed()));
        let begun = Instant::now();
        match message(load, &mut connection, n, &mut random, &text) {
            Ok(wait) => {
                latencies.push(begun.elapsed());
                waits.push(wait);
            }
            Err(e) => return (latencies, waits, Some(e.to_string())),
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

/// One message, commands pipelined as a real server does (RFC 2920); returns how long the answer to its content took.
fn message(
    load: &Load,
    open: &mut Option<Connection>,
    n: usize,
    random: &mut Random,
    text: &[u8],
) -> io::Result<Duration> {
    let connection = match open {
        Some(connection) => connection,
        None => open.insert(connect(load)?),
    };
    let first = random.below(load.users);
    let content = match load.has_text {
        true => {
            [letter(n, &format!("user{first}@{}", load.domain), random), b".\r\n".to_vec()].concat()
        }
        false => content(load, n, text),
    };
    load.octets.fetch_add(content.len() - 3, Ordering::Relaxed);
    let mut commands = format!("MAIL FROM:<sender{n}@example.net> SIZE={}\r\n", content.len() - 3);
    for k in 0..load.recipients {
        commands.push_str(&format!(
            "RCPT TO:<user{}@{}>\r\n",
            (first + k) % load.users,
            load.domain
        ));
    }
    commands.push_str("DATA\r\n");
    connection.send(commands.as_bytes())?;
    for _ in 0..load.recipients + 2 {
        connection.smtp_reply()?;
    }
    connection.send(&content)?;
    let sent = Instant::now();
    connection.smtp_reply()?;
    let wait = sent.elapsed();
    if let Some(acks) = &load.acks {
        let mut acks = acks.lock().unwrap_or_else(|e| e.into_inner());
        writeln!(acks, "token-{n}-")?;
    }
    Ok(wait)
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
