//! Looks at the server, and shows on the screen what it sees.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pillarbox_host::status_file::{NO_DATA, PULSE, STOPPED};
use pillarbox_host::{StatusFile, net};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, Timer};

use crate::screen;
use crate::shared::{Beacon, PATIENCE, held, within};
use crate::watch::{Seen, Watch};

/// Between two looks at the server, and how many of them go without asking for its greeting.
const LOOK: Duration = Duration::from_secs(5);
const GREETINGS: u32 = 12;
/// Addresses that have room on the screen.
const ADDRESSES: usize = 4;

/// Looks at the server, and shows what it sees.
pub async fn look(beacon: Arc<Beacon>) {
    let mut watch = Watch::new(Instant::now());
    let mut shown = String::new();
    for round in 0u32.. {
        let seen = seen(&beacon, round % GREETINGS == GREETINGS - 1).await;
        let state = watch.see(seen, Instant::now());
        if *held(&beacon.state) != state {
            eprintln!("{state:?}");
        }
        *held(&beacon.state) = state;
        let was_down = beacon.is_down.swap(state.is_down(), Ordering::Relaxed);
        if was_down && !state.is_down() {
            // Systemd may have opened the socket anew for the server.
            // Ours would take visitors and not answer them: systemd starts this program again, with the same socket as
            // the server's.
            return;
        }
        let name = net::local_name_in(&beacon.places.name);
        let text =
            screen::text(state, &held(&beacon.status_file), name.as_deref(), &shown_addresses());
        if text != shown {
            // Cleared, and the cursor at the top.
            // A box without a screen is none the worse for it.
            let _ = std::io::stdout()
                .write_all(format!("\x1b[2J\x1b[H{text}").replace('\n', "\r\n").as_bytes());
            let _ = std::io::stdout().flush();
            shown = text;
        }
        Timer::after(LOOK).await;
    }
}

/// Addresses that others in the office can use.
fn shown_addresses() -> Vec<IpAddr> {
    net::own().into_iter().filter(|address| net::is_for_others(*address)).take(ADDRESSES).collect()
}

/// One line each.
/// Nothing while there is no network: then none of them is known to work.
pub fn print_places() -> ExitCode {
    let addresses = shown_addresses();
    if !addresses.is_empty() {
        println!("{}", screen::places(net::local_name().as_deref(), &addresses).join("\n"));
    }
    ExitCode::SUCCESS
}

async fn seen(beacon: &Beacon, asks_for_greeting: bool) -> Seen {
    let Some((status_file, age)) = StatusFile::read(&beacon.places.status_file) else {
        return silence(&beacon.places.status_file);
    };
    let needs_attention = status_file.needs_attention;
    *held(&beacon.status_file) = status_file;
    if age > 3 * PULSE || asks_for_greeting && !greets(beacon.places.smtp).await {
        return silence(&beacon.places.status_file);
    }
    if needs_attention { Seen::Complaining } else { Seen::Well }
}

/// Why nothing is heard of the server: what is known of its end is beside its status file.
fn silence(status_file: &Path) -> Seen {
    match fs::read_to_string(status_file.with_file_name(STOPPED)) {
        Ok(why) if why.trim() == NO_DATA => Seen::NoData,
        Ok(_) => Seen::Ended,
        Err(_) => Seen::Silent,
    }
}

/// Whether the server says its first line in time (RFC 5321 §3.1).
async fn greets(place: SocketAddr) -> bool {
    let asking = async {
        let mut tcp = Async::<TcpStream>::connect(place).await.ok()?;
        let mut first = [0; 3];
        tcp.read_exact(&mut first).await.ok()?;
        // Leaving politely keeps the server's log clean.
        let _ = tcp.write_all(b"QUIT\r\n").await;
        // 220, or 421 for a server that has too much to do: it lives.
        Some(&first == b"220" || &first == b"421")
    };
    within(PATIENCE, asking).await.flatten().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_server_has_ended_where_a_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let status_file = folder.path().join("board.json");
        assert_eq!(silence(&status_file), Seen::Silent);
        for (why, seen) in [("", Seen::Ended), ("no-data\n", Seen::NoData)] {
            fs::write(folder.path().join(STOPPED), why).unwrap();
            assert_eq!(silence(&status_file), seen);
        }
    }
}
