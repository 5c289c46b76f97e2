//! Connections that say nothing.

use std::io::{self, Read, Write};

use serde_json::{Value, json};

use crate::Options;
use crate::connection::{Connection, tls};

/// Opens `--count` connections, a quarter each SMTP, SMTP with STARTTLS, POP3, and POP3 over TLS, says so, and holds
/// them until standard input ends.
pub fn run(options: &Options) -> Result<Value, String> {
    hold(options).map_err(|e| e.to_string())
}

fn hold(options: &Options) -> io::Result<Value> {
    let (smtp, pop3, pop3s) =
        (options.text("smtp", ""), options.text("pop3", ""), options.text("pop3s", ""));
    let tls = tls().map_err(io::Error::other)?;
    let mut open = Vec::new();
    for n in 0..options.number("count", 1000).map_err(io::Error::other)? {
        let mut connection = Connection::plain(match n % 4 {
            0 | 1 => &smtp,
            2 => &pop3,
            _ => &pop3s,
        })?;
        match n % 4 {
            0 => drop(connection.smtp_reply()?),
            1 => {
                connection.smtp_reply()?;
                connection.send(b"EHLO load.example\r\n")?;
                connection.smtp_reply()?;
                connection.send(b"STARTTLS\r\n")?;
                connection.smtp_reply()?;
                connection = connection.into_tls(&tls)?;
                connection.send(b"EHLO load.example\r\n")?;
                connection.smtp_reply()?;
            }
            2 => drop(connection.pop3_status()?),
            _ => {
                connection = connection.into_tls(&tls)?;
                connection.pop3_status()?;
            }
        }
        open.push(connection);
    }
    println!("{}", json!({"open": open.len()}));
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(json!({"closed": open.len()}))
}
