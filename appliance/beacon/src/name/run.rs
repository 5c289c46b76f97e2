//! Gives the responder its sockets, its time and its file.
//!
//! `pillarbox-beacon name [--folder FOLDER] [--machine NAME]`

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_signal::{Signal, Signals};
use pillarbox_host::net::{self, Interface};
use smol::channel::{Receiver, Sender};
use smol::stream::StreamExt;
use smol::{Async, Timer};

use super::{
    Address, GROUP_V4, GROUP_V6, LONGEST, LinkId, PORT, Packet, Responder, Standing, Target, Way,
    socket,
};

/// Between two looks at the interfaces.
const LOOK: Duration = Duration::from_secs(2);
/// Packets that wait to be read; more are dropped, as on any network.
const WAITING: usize = 32;
/// After a socket failed it is opened again at the next look; meanwhile its error must not be met over and over.
const PAUSE: Duration = Duration::from_secs(1);

/// A packet as it came.
struct Came {
    link: LinkId,
    from: SocketAddr,
    way: Way,
    octets: Vec<u8>,
}

enum Event {
    Came(Came),
    Due,
    Look,
    Stop,
}

/// Both sockets of an interface, where they could be opened, with what reads them.
struct Port {
    name: String,
    v4: Option<Arc<Async<UdpSocket>>>,
    v6: Option<Arc<Async<UdpSocket>>>,
    /// Without an address of a family the kernel would send from another interface's.
    has_v4: bool,
    has_v6: bool,
    readers: Vec<smol::Task<()>>,
}

/// Runs until it is asked to stop.
pub fn main(words: impl Iterator<Item = String>) -> ExitCode {
    let (folder, machine) = match places(words) {
        Ok(places) => places,
        Err(why) => {
            eprintln!("pillarbox-beacon: {why}");
            return ExitCode::from(2);
        }
    };
    match smol::block_on(hold(&folder, &machine)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pillarbox-beacon: {error}");
            ExitCode::FAILURE
        }
    }
}

fn places(mut words: impl Iterator<Item = String>) -> Result<(PathBuf, String), String> {
    let mut folder = Path::new(net::LOCAL_NAME).parent().map(Path::to_path_buf).unwrap_or_default();
    let mut machine = net::machine_name();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--folder" => folder = value.into(),
            "--machine" => machine = value,
            other => return Err(format!("{other} is unknown")),
        }
    }
    Ok((folder, machine))
}

async fn hold(folder: &Path, machine: &str) -> std::io::Result<()> {
    let file = folder.join("name");
    let last = net::held_name(&file);
    let mut responder = Responder::new(machine, last.as_deref(), fastrand::u64(..));
    // The name of a machine that was called otherwise, or none at all: nothing is known yet.
    if !last.is_some_and(|last| responder.may_hold(&last)) {
        let _ = fs::remove_file(&file);
    }
    let mut signals = Signals::new([Signal::Term, Signal::Int])?;
    let (sender, receiver) = smol::channel::bounded(WAITING);
    let mut ports = BTreeMap::new();
    let mut written = None;
    let mut next_look = Instant::now();
    loop {
        let event = if Instant::now() >= next_look {
            Event::Look
        } else {
            next(&responder, &receiver, &mut signals, next_look).await
        };
        let now = Instant::now();
        let is_end = matches!(event, Event::Stop);
        match event {
            Event::Came(came) => {
                responder.receive(came.link, came.from, came.way, &came.octets, now)
            }
            Event::Due => responder.advance(now),
            Event::Look => {
                let links = look(&mut ports, &sender);
                responder.set_links(&links, now);
                next_look = now + LOOK;
            }
            Event::Stop => responder.stop(),
        }
        while let Some(packet) = responder.poll() {
            if let Some(port) = ports.get(&packet.link) {
                send(port, &packet);
            }
        }
        if is_end {
            return Ok(());
        }
        let name = match responder.standing() {
            Standing::Sought => continue,
            Standing::Held(name) => name,
            Standing::None => "",
        };
        if written.as_deref() != Some(name) {
            eprintln!(
                "{}",
                if name.is_empty() {
                    "all names are taken".to_string()
                } else {
                    format!("the name in the office is {name}.local")
                }
            );
            match write(&file, name) {
                Ok(()) => written = Some(name.to_string()),
                Err(error) => eprintln!("{}: {error}", file.display()),
            }
        }
    }
}

async fn next(
    responder: &Responder,
    receiver: &Receiver<Came>,
    signals: &mut Signals,
    next_look: Instant,
) -> Event {
    let came = async { receiver.recv().await.map_or(Event::Look, Event::Came) };
    let due = async {
        match responder.deadline() {
            Some(deadline) if deadline < next_look => Timer::at(deadline).await,
            _ => smol::future::pending().await,
        };
        Event::Due
    };
    let look = async {
        Timer::at(next_look).await;
        Event::Look
    };
    let stop = async {
        signals.next().await;
        Event::Stop
    };
    smol::future::or(stop, smol::future::or(due, smol::future::or(look, came))).await
}

/// Opens and closes sockets as interfaces come and go; the interfaces that packets can be sent on.
fn look(ports: &mut BTreeMap<LinkId, Port>, sender: &Sender<Came>) -> Vec<(LinkId, Vec<Address>)> {
    let found = net::interfaces();
    ports.retain(|id, port| {
        found.iter().any(|interface| interface.index == *id && interface.name == port.name)
    });
    for interface in &found {
        let none = || Port {
            name: interface.name.clone(),
            v4: None,
            v6: None,
            has_v4: false,
            has_v6: false,
            readers: Vec::new(),
        };
        let port = ports.entry(interface.index).or_insert_with(none);
        port.has_v4 = interface.addresses.iter().any(|(ip, _)| ip.is_ipv4());
        port.has_v6 = interface.addresses.iter().any(|(ip, _)| ip.is_ipv6());
        // One that ended is opened anew.
        port.readers.retain(|reader| !reader.is_finished());
        for is_v6 in [false, true] {
            let place = if is_v6 { &mut port.v6 } else { &mut port.v4 };
            if place.as_ref().is_some_and(|socket| Arc::strong_count(socket) > 1) {
                continue;
            }
            *place = socket::open(&interface.name, interface.index, is_v6).ok().map(Arc::new);
            if let Some(socket) = place {
                port.readers.push(smol::spawn(read(
                    interface.index,
                    socket.clone(),
                    sender.clone(),
                )));
            }
        }
    }
    let addresses = |interface: Interface| {
        interface.addresses.into_iter().map(|(ip, prefix)| Address { ip, prefix }).collect()
    };
    found
        .into_iter()
        .filter(|interface| ports.contains_key(&interface.index))
        .map(|interface| (interface.index, addresses(interface)))
        .collect()
}

async fn read(link: LinkId, socket: Arc<Async<UdpSocket>>, sender: Sender<Came>) {
    let mut space = Box::new([0; LONGEST]);
    loop {
        match socket::receive(&socket, &mut space).await {
            Ok((count, from, way)) => {
                let came = Came { link, from, way, octets: space[..count].to_vec() };
                if sender.try_send(came).is_err_and(|refused| refused.is_closed()) {
                    return;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => {
                Timer::after(PAUSE).await;
                return;
            }
        }
    }
}

/// What can't be sent is lost, as on any network: what matters is sent again.
fn send(port: &Port, packet: &Packet) {
    let groups = [SocketAddr::from((GROUP_V4, PORT)), SocketAddr::from((GROUP_V6, PORT))];
    for to in groups {
        let (to, is_wanted) = match packet.to {
            Target::Group => (to, true),
            Target::One(one) => (one, one.is_ipv4() == to.is_ipv4()),
        };
        let (socket, has_address) =
            if to.is_ipv4() { (&port.v4, port.has_v4) } else { (&port.v6, port.has_v6) };
        if let (true, Some(socket)) = (is_wanted && has_address, socket) {
            let _ = socket.get_ref().send_to(&packet.octets, to);
        }
    }
}

/// Writes the name beside the old one and puts it in its place: nobody reads half of it, and everybody may read it.
fn write(file: &Path, name: &str) -> std::io::Result<()> {
    let beside = file.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut new = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&beside)?;
    if !name.is_empty() {
        writeln!(new, "{name}")?;
    }
    fs::rename(&beside, file)
}
