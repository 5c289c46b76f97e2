//! A socket for multicast DNS on one interface, by one family of addresses.
//! It needs no privilege: the port is above 1024, and since Linux 5.7 a socket may be bound to an interface by anybody
//! who has not done so yet.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use smol::Async;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::{GROUP_V4, GROUP_V6, LONGEST, PORT, Way};

/// RFC 6762 §11: older software passes packets over that may have come through a router.
const HOPS: u32 = 255;

/// Opens it for an interface, by its name and its number.
pub fn open(interface: &str, index: u32, is_v6: bool) -> io::Result<Async<UdpSocket>> {
    let socket = Socket::new(
        if is_v6 { Domain::IPV6 } else { Domain::IPV4 },
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    if is_v6 {
        socket.set_only_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)).into())?;
        socket.join_multicast_v6(&GROUP_V6, index)?;
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_multicast_hops_v6(HOPS)?;
        socket.set_unicast_hops_v6(HOPS)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
        socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
        socket.set_multicast_loop_v4(false)?;
        socket.set_multicast_ttl_v4(HOPS)?;
        socket.set_ttl_v4(HOPS)?;
    }
    Async::new(socket.into())
}

/// Waits for a packet; one that is longer than [`LONGEST`] is passed over.
pub async fn receive(
    socket: &Async<UdpSocket>,
    space: &mut [u8; LONGEST],
) -> io::Result<(usize, SocketAddr, Way)> {
    loop {
        let read = socket.read_with(|socket| receive_now(socket, &mut space[..])).await?;
        if let Some(read) = read {
            return Ok(read);
        }
    }
}

fn receive_now(
    socket: &UdpSocket,
    space: &mut [u8],
) -> io::Result<Option<(usize, SocketAddr, Way)>> {
    let mut control = nix::cmsg_space!(nix::libc::in6_pktinfo, nix::libc::in_pktinfo);
    let mut pieces = [IoSliceMut::new(space)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut pieces,
        Some(&mut control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    if message.flags.contains(MsgFlags::MSG_TRUNC) {
        return Ok(None);
    }
    let to = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::V4(u32::from_be(info.ipi_addr.s_addr).into()))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            Some(IpAddr::V6(info.ipi6_addr.s6_addr.into()))
        }
        _ => None,
    });
    let way = if to.is_some_and(|to| to.is_multicast()) { Way::Group } else { Way::Direct };
    let from = message.address.as_ref().and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
    });
    Ok(from.map(|from| (message.bytes, from, way)))
}
