//! The rescue page: browsers that come while the server does not run.

use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use pillarbox_host::{Answer, Request, StatusFile, net};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, Timer};

use crate::rescue::{self, Asked, BODY, HEAD};
use crate::shared::{Beacon, PATIENCE, held, within};

/// Browsers at once.
const VISITORS: usize = 16;
/// After a wrong password.
const PENALTY: Duration = Duration::from_secs(3);

/// Answers on the server's own socket, but only while the server does not.
pub async fn pages(beacon: Arc<Beacon>, listener: TcpListener) {
    let Ok(listener) = Async::new(listener) else { return };
    loop {
        if !beacon.is_down.load(Ordering::Relaxed)
            || beacon.visitors.load(Ordering::Relaxed) >= VISITORS
        {
            Timer::after(Duration::from_millis(500)).await;
            continue;
        }
        let accepted = async { listener.accept().await.ok() };
        let again = async {
            Timer::after(Duration::from_secs(1)).await;
            None
        };
        if let Some((tcp, peer)) = smol::future::or(accepted, again).await {
            beacon.visitors.fetch_add(1, Ordering::Relaxed);
            let beacon = beacon.clone();
            smol::spawn(async move {
                visit(&beacon, tcp, peer.ip()).await;
                beacon.visitors.fetch_sub(1, Ordering::Relaxed);
            })
            .detach();
        }
    }
}

/// One request of one browser.
/// Each part has its time: a box that is too busy for an answer says so.
async fn visit(beacon: &Beacon, mut tcp: Async<TcpStream>, peer: IpAddr) -> Option<()> {
    let answer = match within(PATIENCE, request(&mut tcp)).await?? {
        Ok(asked) => match within(6 * PATIENCE, respond(beacon, &asked, peer)).await {
            Some(answer) => answer,
            None => rescue::answer(
                "503 Service Unavailable",
                "text/plain",
                "",
                asked.language.plain("rescue-busy"),
            ),
        },
        Err(status) => rescue::answer(status, "text/plain", "", status),
    };
    let send = async {
        tcp.write_all(&answer).await.ok()?;
        tcp.close().await.ok()
    };
    within(2 * PATIENCE, send).await?
}

/// Reads a request, or gives the status that refuses it; `None` when the browser went.
async fn request(tcp: &mut Async<TcpStream>) -> Option<Result<Asked, &'static str>> {
    let mut octets = Vec::new();
    loop {
        match rescue::parse(&octets) {
            Ok(Some(asked)) => return Some(Ok(asked)),
            Err(status) => return Some(Err(status)),
            Ok(None) => {}
        }
        let mut piece = [0; 1024];
        let count = tcp
            .read(&mut piece)
            .await
            .ok()
            .filter(|&count| count > 0 && octets.len() <= HEAD + BODY)?;
        octets.extend_from_slice(&piece[..count]);
    }
}

async fn respond(beacon: &Beacon, asked: &Asked, peer: IpAddr) -> Vec<u8> {
    let (status_file, state, language) =
        (held(&beacon.status_file).clone(), *held(&beacon.state), asked.language);
    let name = net::local_name_in(&beacon.places.name);
    if !asked.is_for_us(&status_file.hostname, &beacon.machine, name.as_deref())
        || !net::is_near(peer)
    {
        return rescue::answer("403 Forbidden", "text/plain", "", language.plain("rescue-far"));
    }
    let page = |status: &str, said: &str, log: &str| {
        rescue::answer(
            status,
            "text/html",
            "",
            &rescue::page(language, state, &status_file, said, log),
        )
    };
    if !asked.is_post {
        return page("503 Service Unavailable", "", "");
    }
    if !is_right(beacon, &status_file, asked.field("secret")).await {
        return page("403 Forbidden", language.plain("rescue-wrong"), "");
    }
    let request = match asked.field("do") {
        "restart" => Request::RestartServer,
        "other" => Request::OtherSlot,
        _ => Request::Logs,
    };
    let (privop, wanted) = (beacon.places.privop.clone(), request.clone());
    match smol::unblock(move || pillarbox_host::ask(&privop, &wanted, Duration::from_secs(50)))
        .await
    {
        Ok(Answer::Done { text }) if asked.field("do") == "download" => rescue::answer(
            "200 OK",
            "text/plain",
            "Content-Disposition: attachment; filename=\"pillarbox.log\"\r\n",
            &text,
        ),
        Ok(Answer::Done { text }) if request == Request::Logs => page("200 OK", "", &text),
        Ok(Answer::Done { .. }) => page("200 OK", language.plain("rescue-starts"), ""),
        Ok(Answer::Refused { why } | Answer::Failed { why }) | Err(why) => {
            page("500 Internal Server Error", &why, "")
        }
    }
}

/// The claim code of a box that is unclaimed, else the owner's password.
/// One try at a time, wrong ones cost time.
async fn is_right(beacon: &Beacon, status_file: &StatusFile, secret: &str) -> bool {
    let _one = beacon.door.lock().await;
    let (claim, owner, secret) =
        (status_file.claim_code.clone(), status_file.owner.clone(), secret.to_string());
    let right = smol::unblock(move || match (claim, owner) {
        (Some(code), _) => same(code.as_bytes(), secret.trim().to_ascii_uppercase().as_bytes()),
        (None, Some(hash)) => PasswordHash::new(&hash)
            .is_ok_and(|hash| Argon2::default().verify_password(secret.as_bytes(), &hash).is_ok()),
        (None, None) => false,
    });
    let right = right.await;
    if !right {
        Timer::after(PENALTY).await;
    }
    right
}

/// Compares in a time that does not depend on where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_compared_to_their_end() {
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"abc", b"ab"));
    }
}
