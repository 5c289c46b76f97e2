//! A peer on the emulated cable of a box in QEMU (`-netdev stream` over a Unix socket): a network stack of its own, in
//! this process, without the kernel's.
//! It gives itself an address, as everybody on a cable without a router does (RFC 4862 §5.3), finds the box by its name
//! as a computer in the office does (multicast DNS, RFC 6762), and hands it one message by SMTP (RFC 5321).
//! What was said goes to standard output; the exit status is 0 only when the message was accepted.
//!
//! Usage: `pillarbox-cable SOCKET RECIPIENT SUBJECT`

use std::error::Error;
use std::net::Ipv6Addr;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{Config, Ipv6Cidr, Stack, StackResources, StaticConfigV6};
use embassy_net_driver_channel as channel;
use embassy_net_driver_channel::driver::{HardwareAddress, LinkState};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use smol::Async;
use smol::future::{FutureExt, or};
use smol::io::{AsyncReadExt, AsyncWriteExt};

/// An Ethernet frame without its checksum, octets.
const FRAME: usize = 1514;
/// Locally administered, like QEMU's own; and the address on the link that follows from it (RFC 4291 appendix A).
const HARDWARE: [u8; 6] = [0x52, 0x54, 0x00, 0x70, 0x62, 0x01];
const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe70, 0x6201);
const MDNS: (Ipv6Addr, u16) = (Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb), 5353);
const NAME: &str = "pillarbox.local.";
/// For each step; the machine on the other end is an emulated one.
const PATIENCE: Duration = Duration::from_secs(60);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(recipient), Some(subject)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: pillarbox-cable SOCKET RECIPIENT SUBJECT".into());
    };
    let cable = Async::new(UnixStream::connect(socket)?)?;
    let mut state = channel::State::<FRAME, 8, 8>::new();
    let (runner, device) = channel::new(&mut state, HardwareAddress::Ethernet(HARDWARE));
    let mut resources = StackResources::<4>::new();
    let seed = u64::from(std::process::id());
    let own = StaticConfigV6 {
        address: Ipv6Cidr::new(ADDRESS, 64),
        gateway: None,
        dns_servers: Default::default(),
    };
    let (stack, mut network) =
        embassy_net::new(device, Config::ipv6_static(own), &mut resources, seed);
    smol::block_on(or(
        visit(stack, &recipient, &subject),
        or(carry(runner, cable), async { network.run().await }),
    ))
}

/// Frames between the stack and the cable, where each is preceded by its length: four octets, big-endian.
async fn carry(runner: channel::Runner<'_, FRAME>, cable: Async<UnixStream>) -> Result<()> {
    let (link, mut inward, mut outward) = runner.split();
    link.set_link_state(LinkState::Up);
    let receive = async {
        let mut cable = &cable;
        let mut frame = [0; 1 << 16];
        loop {
            let mut length = [0; 4];
            cable.read_exact(&mut length).await?;
            let length = u32::from_be_bytes(length) as usize;
            let frame = frame.get_mut(..length).ok_or("a frame longer than any")?;
            cable.read_exact(frame).await?;
            let space = inward.rx_buf().await;
            if let Some(space) = space.get_mut(..length) {
                space.copy_from_slice(frame);
                inward.rx_done(length);
            }
        }
    };
    let send = async {
        let mut cable = &cable;
        loop {
            let frame = outward.tx_buf().await;
            cable.write_all(&(frame.len() as u32).to_be_bytes()).await?;
            cable.write_all(frame).await?;
            outward.tx_done();
        }
    };
    or(receive, send).await
}

async fn visit(stack: Stack<'_>, recipient: &str, subject: &str) -> Result<()> {
    println!("own address: {ADDRESS}");
    let host = in_time("nobody answers to the name", find(stack)).await?;
    println!("{NAME} is {host}");
    deliver(stack, host, recipient, subject).await
}

/// Asks the whole cable who has the box's name, again each two seconds as a lost question is nobody's fault.
async fn find(stack: Stack<'_>) -> Result<Ipv6Addr> {
    let (mut in_meta, mut out_meta) = ([PacketMetadata::EMPTY; 8], [PacketMetadata::EMPTY; 4]);
    let (mut in_space, mut out_space, mut answer) = ([0; 8192], [0; 2048], [0; 2048]);
    let mut socket =
        UdpSocket::new(stack, &mut in_meta, &mut in_space, &mut out_meta, &mut out_space);
    socket.bind(MDNS.1).map_err(|error| format!("{error:?}"))?;
    stack.join_multicast_group(MDNS.0).map_err(|error| format!("{error:?}"))?;
    let mut question = Message::new(0, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::from_ascii(NAME)?, RecordType::AAAA));
    let question = question.to_vec()?;
    loop {
        socket.send_to(&question, MDNS).await.map_err(|error| format!("{error:?}"))?;
        let heard = async { Some(socket.recv_from(&mut answer).await) }.or(async {
            smol::Timer::after(Duration::from_secs(2)).await;
            None
        });
        let Some(Ok((length, _))) = heard.await else { continue };
        let Ok(message) = Message::from_vec(&answer[..length]) else { continue };
        for record in &message.answers {
            if let (true, RData::AAAA(address)) =
                (record.name.to_ascii().eq_ignore_ascii_case(NAME), &record.data)
            {
                // The link is all there is: no other address of the box can be reached on it.
                if address.0.is_unicast_link_local() {
                    return Ok(address.0);
                }
            }
        }
    }
}

/// One message, one step after the other.
async fn deliver(stack: Stack<'_>, host: Ipv6Addr, recipient: &str, subject: &str) -> Result<()> {
    let (mut in_space, mut out_space) = ([0; 4096], [0; 4096]);
    let mut socket = TcpSocket::new(stack, &mut in_space, &mut out_space);
    in_time("no connection", async {
        socket.connect((host, 25)).await.map_err(|error| format!("{error:?}").into())
    })
    .await?;
    let message = format!(
        "From: cable@peer.example\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nfrom a stack of its own\r\n.\r\n"
    );
    let steps = [
        (String::new(), "220"),
        ("EHLO peer.example\r\n".to_owned(), "250"),
        ("MAIL FROM:<cable@peer.example>\r\n".to_owned(), "250"),
        (format!("RCPT TO:<{recipient}>\r\n"), "250"),
        ("DATA\r\n".to_owned(), "354"),
        (message, "250"),
        ("QUIT\r\n".to_owned(), "221"),
    ];
    for (said, expected) in steps {
        let mut left = said.as_bytes();
        while !left.is_empty() {
            let written = socket.write(left).await.map_err(|error| format!("{error:?}"))?;
            left = &left[written..];
        }
        let reply = in_time("no reply", reply(&mut socket)).await?;
        print!("{reply}");
        if !reply.starts_with(expected) {
            return Err(format!("{expected} was expected").into());
        }
    }
    Ok(())
}

/// A whole reply: its last line has a space after the code (RFC 5321 §4.2.1).
async fn reply(socket: &mut TcpSocket<'_>) -> Result<String> {
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let length = socket.read(&mut piece).await.map_err(|error| format!("{error:?}"))?;
        if length == 0 {
            return Err("the box hung up".into());
        }
        text.extend_from_slice(&piece[..length]);
        let last = text
            .strip_suffix(b"\r\n")
            .map(|whole| whole.rsplit(|octet| *octet == b'\n').next().unwrap_or(whole));
        if last.is_some_and(|line| line.get(3) == Some(&b' ')) {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
    }
}

async fn in_time<T>(complaint: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    work.or(async {
        smol::Timer::after(PATIENCE).await;
        Err(complaint.into())
    })
    .await
}
