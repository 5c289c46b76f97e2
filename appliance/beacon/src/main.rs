//! `pillarbox-beacon`: the box's light and screen, and its page while the mail server does not run.
//! It is small and does little, because it must live when nothing else does.
//!
//! The screen is its standard output.
//!
//! `pillarbox-beacon [--board FILE] [--leds FOLDER] [--name FILE] [--privop SOCKET] [--smtp ADDRESS]`
//!
//! `pillarbox-beacon name` holds the box's name in the office (`name::run`).
//!
//! `pillarbox-beacon places` prints where the box's pages are, for the card (`systemd/bin/tell-card`).
//!
//! `pillarbox-beacon reset-button` runs before everything else starts: it exits 0 if the box is to be made as it came.

mod button;
mod light;
mod look;
mod name;
mod rescue;
mod screen;
mod shared;
mod visitors;
mod watch;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use pillarbox_host::status_file::STATUS_FILE;
use pillarbox_host::{SOCKET, net};

use light::LEDS;
use shared::{Beacon, Places};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("reset-button") => return light::reset_button(Path::new(LEDS)),
        Some("places") => return look::print_places(),
        Some("name") => return name::main(std::env::args().skip(2)),
        _ => {}
    }
    let places = match places(std::env::args().skip(1)) {
        Ok(places) => places,
        Err(why) => {
            eprintln!("pillarbox-beacon: {why}");
            return ExitCode::from(2);
        }
    };
    let listeners = inherited();
    let beacon = Arc::new(Beacon::new(places));
    smol::block_on(async {
        for listener in listeners {
            smol::spawn(visitors::pages(beacon.clone(), listener)).detach();
        }
        smol::spawn(light::light(beacon.clone())).detach();
        look::look(beacon).await;
    });
    ExitCode::SUCCESS
}

fn places(mut words: impl Iterator<Item = String>) -> Result<Places, String> {
    let mut places = Places {
        status_file: STATUS_FILE.into(),
        leds: LEDS.into(),
        name: net::LOCAL_NAME.into(),
        privop: SOCKET.into(),
        smtp: SocketAddr::from(([127, 0, 0, 1], 25)),
    };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--board" => places.status_file = value.into(),
            "--leds" => places.leds = value.into(),
            "--name" => places.name = value.into(),
            "--privop" => places.privop = value.into(),
            "--smtp" => {
                places.smtp =
                    value.parse().map_err(|_| format!("{value} is no address with a port"))?
            }
            other => return Err(format!("{other} is unknown")),
        }
    }
    Ok(places)
}

/// The sockets that systemd hands over; the server holds the same.
fn inherited() -> Vec<TcpListener> {
    let mut passed = listenfd::ListenFd::from_env();
    (0..passed.len()).filter_map(|at| passed.take_tcp_listener(at).ok().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn words_are_places() {
        let read = |words: &[&str]| places(words.iter().map(ToString::to_string));
        assert_eq!(read(&["--smtp", "127.0.0.1:2525"]).unwrap().smtp.port(), 2525);
        assert!(
            read(&["--smtp"]).is_err()
                && read(&["--smtp", "x"]).is_err()
                && read(&["--sing", "x"]).is_err()
        );
        assert_eq!(read(&[]).unwrap().status_file, PathBuf::from(STATUS_FILE));
    }
}
