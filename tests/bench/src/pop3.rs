//! Listings and messages out.

use std::io;
use std::time::Instant;

use serde_json::{Value, json};

use crate::Options;
use crate::connection::{Connection, tls};

/// Pipelined RETR commands sent at once.
const BURST: usize = 200;

/// Logs in as `--user` with `--password`; measures STAT, UIDL and LIST `--repeat` times, and then, as asked, retrieves
/// (`--retr yes`) or deletes (`--dele yes`) everything, or one of `--every` messages.
pub fn run(options: &Options) -> Result<Value, String> {
    measure(options).map_err(|e| e.to_string())
}

fn log_in(options: &Options) -> io::Result<Connection> {
    let mut connection = Connection::plain(&options.text("address", "127.0.0.1:110"))?;
    if options.is_on("tls") {
        connection = connection.into_tls(&tls().map_err(io::Error::other)?)?;
    }
    connection.pop3_status()?;
    for (verb, name) in [("USER", "user"), ("PASS", "password")] {
        connection.send(format!("{verb} {}\r\n", options.text(name, "")).as_bytes())?;
        connection.pop3_status()?;
    }
    Ok(connection)
}

fn measure(options: &Options) -> io::Result<Value> {
    let (mut logins, mut lists, mut stats) = (Vec::new(), Vec::new(), Vec::new());
    let mut messages = 0u32;
    for _ in 0..options.number("repeat", 5).map_err(io::Error::other)? {
        let begun = Instant::now();
        let mut connection = log_in(options)?;
        logins.push(milliseconds(begun));
        let begun = Instant::now();
        connection.send(b"STAT\r\n")?;
        let stat = connection.pop3_status()?;
        stats.push(milliseconds(begun));
        messages = stat.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        for command in ["UIDL\r\n", "LIST\r\n"] {
            connection.send(command.as_bytes())?;
            connection.skip_responses(1)?;
        }
        lists.push(milliseconds(begun));
        connection.send(b"QUIT\r\n")?;
        connection.rest()?;
    }
    let mut measured = json!({
        "messages": messages, "login_ms": median(&mut logins), "stat_ms": median(&mut stats),
        "stat_uidl_list_ms": median(&mut lists),
    });
    let every = options.number("every", 1).map_err(io::Error::other)?.max(1);
    let chosen: Vec<u32> = (1..=messages).step_by(every).collect();
    if options.is_on("retr") {
        let mut connection = log_in(options)?;
        let begun = Instant::now();
        let octets = retrieve(&mut connection, &chosen)?;
        let seconds = begun.elapsed().as_secs_f64();
        measured["retr_rate"] = json!(chosen.len() as f64 / seconds);
        measured["retr_mb_per_s"] = json!(octets as f64 / 1e6 / seconds);
    }
    if options.is_on("dele") {
        let mut connection = log_in(options)?;
        let begun = Instant::now();
        for some in chosen.chunks(BURST) {
            connection.send(burst("DELE", some).as_bytes())?;
            for _ in some {
                connection.pop3_status()?;
            }
        }
        connection.send(b"QUIT\r\n")?;
        connection.pop3_status()?;
        measured["dele_seconds"] = json!(begun.elapsed().as_secs_f64());
    }
    Ok(measured)
}

/// Some messages, the next burst of commands always on its way.
fn retrieve(connection: &mut Connection, chosen: &[u32]) -> io::Result<u64> {
    let mut octets = 0;
    let mut waiting = 0;
    for some in chosen.chunks(BURST) {
        connection.send(burst("RETR", some).as_bytes())?;
        octets += connection.skip_responses(waiting)?;
        waiting = some.len();
    }
    Ok(octets + connection.skip_responses(waiting)?)
}

fn burst(verb: &str, chosen: &[u32]) -> String {
    chosen.iter().map(|n| format!("{verb} {n}\r\n")).collect()
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
