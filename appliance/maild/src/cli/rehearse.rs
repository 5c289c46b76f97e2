//! `pillarbox rehearse`: does mail work in this release, with this box's store?
//! A new system is kept only if it does.
//!
//! The rehearsal plays on a copy.
//! The store itself is not opened, so it is not migrated either: whoever goes back to the release before finds it as it
//! was, and since no mail is taken before a rehearsal is over, none came meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use pillarbox_outbound::{Topic, findings};
use pillarbox_platform::clock;
use pillarbox_platform::config::Config;
use pillarbox_platform::service::Service;
use pillarbox_store::{AddAccount, AddDomain, Disk, MailboxPolicy, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::serve::runtime;
use super::tools::{Place, say};
use crate::server::Server;
use pillarbox_office::auth::hash;
use pillarbox_office::loopback;

/// Nobody's domain (RFC 2606), in the copy only.
const DOMAIN: &str = "rehearsal.invalid";
const SUBJECT: &str = "Rehearsal";
/// For a page.
const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of a page that are read.
const PAGE: u64 = 1 << 20;
/// Most octets of a store that are copied.
/// The slowest cards on sale write 4 MB a second (class 4): that is nine minutes of the fifteen that the unit gives, in
/// which mail waits outside.
const COPY: u64 = 2 << 30;
/// What is left of a rehearsal that was cut off is removed at the next start (`systemd/bin/firstboot`), by this name.
const STAGE: &str = "rehearsal-";

pub fn run(place: &Place) -> Result<(), String> {
    let config = place.config()?;
    // Beside the store: the copy must not take memory, and a card's other partitions are small.
    std::fs::create_dir_all(&config.data)
        .map_err(|e| format!("making {}: {e}", config.data.display()))?;
    let stage = tempfile::Builder::new()
        .prefix(STAGE)
        .tempdir_in(&config.data)
        .map_err(|e| format!("making a folder for the copy: {e}"))?;
    let is_copied = copy(&config.data, stage.path())?;
    say(if is_copied {
        "Rehearsing on a copy of the store."
    } else {
        "There is no store yet, or it is too large for a copy: rehearsing on an empty one."
    })?;
    runtime()?.block_on(play(staged(config, stage.path())))?;
    say("Mail comes in, goes out by POP3, and stands on the page.")
}

/// Copies the store's tables, if there are any and there is room; large messages in files stay where they are.
fn copy(data: &Path, stage: &Path) -> Result<bool, String> {
    let from = data.join("store").join("data.mdb");
    let Ok(facts) = std::fs::metadata(&from) else { return Ok(false) };
    let free = Disk::of(stage).map_or(0, |disk| disk.free);
    if !can_copy(facts.len(), free) {
        return Ok(false);
    }
    Store::copy(data, stage).map_err(|e| e.to_string())
}

/// Does a copy of a store of so many octets end in time and fit into what is free, with room for what is played on it?
fn can_copy(octets: u64, free: u64) -> bool {
    octets <= COPY && octets + octets / 4 + (64 << 20) <= free
}

/// The box's settings on another stage: free ports of this machine, nothing goes out into the world.
fn staged(mut config: Config, stage: &Path) -> Config {
    config.data = stage.to_path_buf();
    config.tls.certificate.clear();
    config.tls.key.clear();
    let free = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let listen = &mut config.listen;
    for service in [
        &mut listen.smtp, &mut listen.submission, &mut listen.submissions, &mut listen.pop3,
        &mut listen.pop3s, &mut listen.http, &mut listen.https,
    ] {
        service.clone_from(&free);
    }
    config.outbound.hold = true;
    config
}

async fn play(config: Config) -> Result<(), String> {
    let server = Server::open(config, None)?;
    let (office, port) = (server.office(), server.port(Service::Http).ok_or("no port for pages")?);
    let (address, password) = (format!("player@{DOMAIN}"), hash::generate()?);
    tokio::task::block_in_place(|| {
        let (hash, at) = (hash::password(&password)?, clock::now());
        super::tools::change(&office.store, AddDomain { name: DOMAIN.into(), at })?;
        super::tools::change(
            &office.store,
            AddAccount {
                address: address.clone(),
                name: String::new(),
                hash,
                policy: MailboxPolicy::Keep,
                at,
            },
        )
    })?;
    let serving = tokio::spawn(server.run());
    let (made, mut found) = findings();
    loopback::start(&office.settings, &office.handles, &address, SUBJECT.into(), made);
    let mut last = None;
    while let Some(finding) = found.recv().await {
        say(&format!(
            "{} {:?}: {}",
            if finding.is_well { "ok    " } else { "FAILED" },
            finding.topic,
            finding.summary
        ))?;
        last = Some(finding);
    }
    match last {
        Some(finding) if finding.is_well && finding.topic == Topic::Fetching => {}
        Some(finding) => return Err(format!("mail does not work here: {}", finding.summary)),
        None => return Err("mail does not work here".into()),
    }
    let shown = tokio::time::timeout(PATIENCE, webmail(port, &address, &password)).await;
    let shown = shown.unwrap_or_else(|_| Err("the page took too long".into()))?;
    serving.abort();
    if shown.contains(SUBJECT) { Ok(()) } else { Err("webmail does not show the message".into()) }
}

/// Signs in and opens the inbox, as a browser does.
async fn webmail(port: u16, address: &str, password: &str) -> Result<String, String> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let form = format!("user={}&password={}", encoded(address), encoded(password));
    let signed_in = ask(
        port,
        &format!("POST /login HTTP/1.1\r\nOrigin: http://localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", form.len()),
        &form,
    )
    .await?;
    let cookie = signed_in.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .starts_with("set-cookie:")
            .then(|| line[11..].split(';').next().unwrap_or_default().trim().to_string())
    });
    let cookie = cookie.ok_or("signing in on the page does not work")?;
    ask(port, &format!("GET /mail/1 HTTP/1.1\r\nCookie: {cookie}\r\n"), "").await
}

async fn ask(port: u16, head: &str, body: &str) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("the pages: {error}");
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.map_err(wrong)?;
    tcp.write_all(format!("{head}Host: localhost\r\nConnection: close\r\n\r\n{body}").as_bytes())
        .await
        .map_err(wrong)?;
    let mut answer = Vec::new();
    tcp.take(PAGE).read_to_end(&mut answer).await.map_err(wrong)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_copied_where_that_ends_in_time_and_fits() {
        assert!(can_copy(0, 64 << 20));
        assert!(!can_copy(4096, 64 << 20));
        assert!(can_copy(1 << 30, 2 << 30));
        assert!(!can_copy(1 << 30, 1 << 30));
        assert!(can_copy(COPY, u64::MAX));
        assert!(!can_copy(COPY + 1, u64::MAX));
        assert!(!can_copy(u64::MAX, u64::MAX));
    }
}
