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
//! `pillarbox-beacon reset-button` runs before everything else starts: it ends well if the box shall be made as it
//! came.

mod button;
mod name;
mod rescue;
mod screen;
mod watch;

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use pillarbox_host::status_file::{NO_DATA, PULSE, STATUS_FILE, STOPPED};
use pillarbox_host::{Answer, Request, SOCKET, StatusFile, net};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, Timer};

use button::Verdict;
use rescue::{Asked, BODY, HEAD};
use watch::{Seen, State, Watch, pattern};

/// Between two looks at the server, and how many of them go without asking for its greeting.
const LOOK: Duration = Duration::from_secs(5);
const GREETINGS: u32 = 12;
/// For a greeting, and for a browser.
const PATIENCE: Duration = Duration::from_secs(10);
/// Addresses that have room on the screen.
const ADDRESSES: usize = 4;
/// Browsers at once.
const VISITORS: usize = 16;
/// After a wrong password.
const PENALTY: Duration = Duration::from_secs(3);
/// Where the board's lights are.
const LEDS: &str = "/sys/class/leds";
/// Between two looks at the reset button; the light changes as often.
const TOUCH: Duration = Duration::from_millis(100);

/// Where things are; tests put them elsewhere.
struct Places {
    status_file: PathBuf,
    leds: PathBuf,
    name: PathBuf,
    privop: PathBuf,
    smtp: SocketAddr,
}

/// What all parts share.
struct Beacon {
    places: Places,
    /// The machine's own name; when it changes, this program is started anew.
    machine: String,
    status_file: Mutex<StatusFile>,
    state: Mutex<State>,
    /// The server does not run: the page is ours.
    is_down: AtomicBool,
    visitors: AtomicUsize,
    /// One password is checked at a time.
    door: smol::lock::Mutex<()>,
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("reset-button") => return reset_button(Path::new(LEDS)),
        Some("places") => return print_places(),
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
    let beacon = Arc::new(Beacon {
        places,
        machine: net::machine_name(),
        status_file: Mutex::default(),
        state: Mutex::new(State::Booting),
        is_down: AtomicBool::new(false),
        visitors: AtomicUsize::new(0),
        door: smol::lock::Mutex::new(()),
    });
    smol::block_on(async {
        for listener in listeners {
            smol::spawn(pages(beacon.clone(), listener)).detach();
        }
        smol::spawn(light(beacon.clone())).detach();
        look(beacon).await;
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

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Looks at the server, and shows what it sees.
async fn look(beacon: Arc<Beacon>) {
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
            // Ours would take visitors that nobody answers: it starts this program again, with the same socket as the
            // server's.
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
fn print_places() -> ExitCode {
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

/// The light that is ours, taken from whatever made it blink; without rights to it there is none, and everything else
/// goes on.
fn led(folder: &Path) -> Option<PathBuf> {
    let names = ["ACT", "led0", "PWR"];
    let led =
        names.iter().map(|name| folder.join(name)).find(|led| led.join("brightness").exists())?;
    let _ = fs::write(led.join("trigger"), "none");
    Some(led)
}

/// Waits for as long as the reset button is held, and says whether it was meant.
/// The light is on while it must be held, and blinks fast when it may be let go.
fn reset_button(leds: &Path) -> ExitCode {
    if !button::is_held() {
        return ExitCode::FAILURE;
    }
    println!("pillarbox: the reset button is held");
    let (began, led) = (Instant::now(), led(leds));
    let (mut is_enough, mut is_on) = (false, false);
    loop {
        let held = began.elapsed();
        match button::decide(held, button::is_held()) {
            Some(Verdict::Reset) => return ExitCode::SUCCESS,
            Some(Verdict::Nothing) => break,
            None => {}
        }
        if held >= button::HOLD && !is_enough {
            is_enough = true;
            println!("pillarbox: let the reset button go to remove everything in this box");
        }
        is_on = !is_enough || !is_on;
        if let Some(led) = &led {
            let _ = fs::write(led.join("brightness"), if is_on { "1" } else { "0" });
        }
        std::thread::sleep(TOUCH);
    }
    println!("pillarbox: the reset button was not meant; nothing is removed");
    ExitCode::FAILURE
}

/// Blinks; a board without a light of its own costs nothing.
async fn light(beacon: Arc<Beacon>) {
    let Some(led) = led(&beacon.places.leds) else { return };
    loop {
        let state = *held(&beacon.state);
        for (on, off) in pattern(state) {
            for (value, milliseconds) in [("1", on), ("0", off)] {
                if *milliseconds > 0 {
                    let _ = fs::write(led.join("brightness"), value);
                    Timer::after(Duration::from_millis(*milliseconds)).await;
                }
            }
        }
    }
}

/// Answers on the server's own socket, but only while the server does not.
async fn pages(beacon: Arc<Beacon>, listener: TcpListener) {
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

/// What comes of it in time; `None` when it is late.
async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(time).await;
        None
    };
    smol::future::or(async { Some(work.await) }, late).await
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

/// The claim code of a box that is nobody's, else the owner's password.
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

/// Compares without telling by its time where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_given_up() {
        let never = smol::future::pending::<()>();
        assert_eq!(smol::block_on(within(Duration::from_millis(1), never)), None);
        assert_eq!(smol::block_on(within(PATIENCE, async { 1 })), Some(1));
    }

    #[test]
    fn words_are_places() {
        let folder = tempfile::tempdir().unwrap();
        let status_file = folder.path().join("board.json");
        assert_eq!(silence(&status_file), Seen::Silent);
        for (why, seen) in [("", Seen::Ended), ("no-data\n", Seen::NoData)] {
            fs::write(folder.path().join(STOPPED), why).unwrap();
            assert_eq!(silence(&status_file), seen);
        }
        let read = |words: &[&str]| places(words.iter().map(ToString::to_string));
        assert_eq!(read(&["--smtp", "127.0.0.1:2525"]).unwrap().smtp.port(), 2525);
        assert!(
            read(&["--smtp"]).is_err()
                && read(&["--smtp", "x"]).is_err()
                && read(&["--sing", "x"]).is_err()
        );
        assert_eq!(read(&[]).unwrap().status_file, PathBuf::from(STATUS_FILE));
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"abc", b"ab"));
    }
}
