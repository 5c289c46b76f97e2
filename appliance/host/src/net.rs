//! The machine's place in the office: its name, its addresses, and who is its neighbour.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use nix::ifaddrs::InterfaceAddress;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrStorage;

use crate::values::is_label;

/// What computers in the office find the box by: the label before ".local".
/// `pillarbox-beacon name` writes it, one line; an empty file says that no name could be had.
pub const LOCAL_NAME: &str = "/run/pillarbox-name/name";

/// The name in the office, without its ".local": the one that is held, or the machine's own where nothing holds one for
/// it.
/// `None`: there is none, and only an address leads to this machine.
pub fn local_name() -> Option<String> {
    local_name_in(Path::new(LOCAL_NAME))
}

/// The same from another file than [`LOCAL_NAME`].
pub fn local_name_in(file: &Path) -> Option<String> {
    match held_name(file) {
        Some(name) if name.is_empty() => None,
        Some(name) => Some(name),
        None => {
            machine_name().split('.').next().filter(|label| is_label(label)).map(str::to_string)
        }
    }
}

/// What the file says; `None` where there is none, or something that is no name.
pub fn held_name(file: &Path) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(80).read_to_string(&mut text).ok()?;
    let name = text.trim();
    (name.is_empty() || is_label(name)).then(|| name.to_string())
}

/// What the machine calls itself, empty where it has no name; in the server's sandbox it is the name at the server's
/// start.
/// Computers in the office find it by [`local_name`], which is another one where several machines want the same.
pub fn machine_name() -> String {
    let name = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_default();
    name.replace("(none)", "").to_ascii_lowercase()
}

/// The addresses that the machine has now, each with its interface's name: they come after a start, and change.
/// Empty where the system does not tell.
pub fn addresses() -> Vec<(String, IpAddr)> {
    let of = |interface: InterfaceAddress| {
        Some((interface.interface_name, interface.address.as_ref().and_then(ip_of)?))
    };
    nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(of).collect()
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

/// An interface that leads to others: it is up, has a carrier and takes multicast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    /// The kernel's number of it; another one when it was removed and made again.
    pub index: u32,
    /// Each with the length of its network's prefix, in bits.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// The interfaces that lead to others and have an address.
/// Empty where the system does not tell.
pub fn interfaces() -> Vec<Interface> {
    let wanted =
        InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING | InterfaceFlags::IFF_MULTICAST;
    let unwanted = InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_POINTOPOINT;
    let mut found: BTreeMap<String, Vec<(IpAddr, u8)>> = BTreeMap::new();
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(address) =
            interface.address.as_ref().and_then(ip_of).filter(|address| !address.is_unspecified())
        else {
            continue;
        };
        if !interface.flags.contains(wanted) || interface.flags.intersects(unwanted) {
            continue;
        }
        let prefix = match interface.netmask.as_ref().and_then(ip_of) {
            Some(IpAddr::V4(mask)) => u32::from(mask).leading_ones(),
            Some(IpAddr::V6(mask)) => u128::from(mask).leading_ones(),
            None => 128,
        };
        found.entry(interface.interface_name).or_default().push((address, prefix.min(128) as u8));
    }
    let known = |(name, addresses): (String, _)| {
        if_nametoindex(name.as_str()).ok().map(|index| Interface { name, index, addresses })
    };
    found.into_iter().filter_map(known).collect()
}

/// The addresses of [`addresses`] without the interfaces.
pub fn own() -> Vec<IpAddr> {
    addresses().into_iter().map(|(_, address)| address).collect()
}

/// Can others in the office use this address of the machine?
/// They can't use loopback, nor what an interface gave itself.
pub fn is_for_others(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    }
}

/// Loopback, link-local and the private ranges of RFC 1918, RFC 4193 and RFC 6598.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Is it an address of the public internet, and not of the box's own network?
/// Whoever lets strangers name addresses asks this before it knocks there.
pub fn is_public(address: IpAddr) -> bool {
    is_global(address) && !is_near(address)
}

/// Addresses that lead through the internet to one machine (RFC 6890 and the registries it made).
/// Those that carry another address within them count as none: a translator on the way may lead them into the office.
fn is_global(address: IpAddr) -> bool {
    let is_special = match address.to_canonical() {
        IpAddr::V4(v4) => match v4.octets() {
            [0 | 240.., ..] => true,
            // IETF protocols, 6to4 relays, measurements.
            [192, 0, 0, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => true,
            _ => v4.is_link_local() || v4.is_documentation(),
        },
        IpAddr::V6(v6) => match v6.segments() {
            // The first holds unspecified, loopback and IPv4 within IPv6 (RFC 4291 §2.5.5.1), then translation (RFC
            // 6052, RFC 8215), discarding (RFC 6666), 6to4 (RFC 3056).
            [0, 0, 0, 0, 0, 0, ..]
            | [0x64, 0xff9b, 0 | 1, ..]
            | [0x100, 0, 0, ..]
            | [0x2002, ..] => true,
            // Teredo and the like (RFC 4380, RFC 6890 §2.2.3), documentation (RFC 3849, RFC 9637), segment routing (RFC
            // 9602).
            [0x2001, 0..0x200, ..]
            | [0x2001, 0xdb8, ..]
            | [0x3fff, 0..0x1000, ..]
            | [0x5f00, ..] => true,
            // Site-local of old (RFC 3879), link-local.
            [first, ..] => first & 0xffc0 == 0xfec0 || first & 0xffc0 == 0xfe80,
        },
    };
    !(is_special || is_private(address) || address.is_unspecified() || address.is_multicast())
}

/// An address's network as far as one customer has it: of IPv6 the first half, of IPv4 the address itself.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes()),
        v4 => v4,
    }
}

/// Is somebody in the box's own network?
/// With IPv6 everybody in an office has addresses of the whole internet, and is a neighbour by the first half of them
/// (RFC 4291 §2.5.1, RFC 6177).
pub fn is_near(peer: IpAddr) -> bool {
    is_private(peer) || is_neighbour(peer, own)
}

fn is_neighbour(peer: IpAddr, own: impl FnOnce() -> Vec<IpAddr>) -> bool {
    let peer = peer.to_canonical();
    peer.is_ipv6()
        && own().into_iter().any(|own| own.is_ipv6() && network_of(own) == network_of(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_own_network_is_near() {
        let own =
            || vec![ip("192.168.1.2"), ip("203.0.113.7"), ip("2001:db8:1:2::25"), ip("fe80::25")];
        let near = [
            "192.168.1.5", "127.0.0.1", "::ffff:10.1.1.1", "100.64.0.1", "fe80::1", "fd00::1",
            "2001:db8:1:2:aaaa::1",
        ];
        let far =
            ["203.0.113.9", "203.0.113.7", "::ffff:203.0.113.9", "2001:db8:1:3::25", "2001:db8::1"];
        for (address, is) in near
            .map(|address| (address, true))
            .into_iter()
            .chain(far.map(|address| (address, false)))
        {
            assert_eq!(is_private(ip(address)) || is_neighbour(ip(address), own), is, "{address}");
        }
    }

    #[test]
    fn only_addresses_of_the_world_are_public() {
        let world = [
            "93.184.216.34", "198.17.0.1", "198.20.0.1", "192.0.1.1", "2606:2800::1",
            "2001:200::1", "2a00::1", "3ffe::1", "::ffff:93.184.216.34",
        ];
        let none = [
            "192.168.1.1", "127.0.0.1", "169.254.1.1", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0",
            "0.1.2.3", "224.0.0.1", "255.255.255.255", "100.64.0.1", "198.18.0.1",
            "198.19.255.255", "192.0.0.8", "192.88.99.1", "192.0.2.1", "203.0.113.1", "240.0.0.1",
            "::", "::1", "::192.168.1.1", "::10.0.0.1", "64:ff9b::c0a8:101", "64:ff9b:1::1",
            "100::1", "2002:c0a8:101::1", "2001::1", "2001:0:4136:e378::1", "2001:10::1",
            "2001:20::1", "2001:db8::1", "3fff::1", "5f00::1", "fec0::1", "feff::1", "fc00::1",
            "fd00::1", "ff02::1",
        ];
        for (address, is) in world
            .map(|address| (address, true))
            .into_iter()
            .chain(none.map(|address| (address, false)))
        {
            assert_eq!(is_global(ip(address)), is, "{address}");
        }
        // Nor is any address of this machine, or of its network.
        assert!(own().into_iter().all(|address| address.is_ipv4() || !is_public(address)));
    }

    #[test]
    fn the_name_in_the_office_is_the_one_that_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("name");
        let own =
            machine_name().split('.').next().filter(|label| is_label(label)).map(str::to_string);
        assert_eq!(
            (local_name_in(&file), held_name(&file)),
            (own.clone(), None),
            "nothing holds one"
        );
        for (content, name) in [("pillarbox-2\n", Some("pillarbox-2")), ("", None), ("\n", None)] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(local_name_in(&file).as_deref(), name, "{content:?}");
        }
        for bad in ["a b\n", "evil.example", "-x", "<b>", &"x".repeat(64), &"x".repeat(4000)] {
            std::fs::write(&file, bad).unwrap();
            assert_eq!(local_name_in(&file), own, "{bad:?}");
        }
    }

    #[test]
    fn this_machine_has_addresses() {
        let all = addresses();
        assert!(all.iter().any(|(_, address)| address.is_loopback()), "{all:?}");
        for interface in interfaces() {
            assert!(
                interface.index > 0
                    && interface
                        .addresses
                        .iter()
                        .all(|(address, prefix)| !address.is_loopback() && *prefix > 0),
                "{interface:?}"
            );
        }
        assert!(
            !is_for_others(ip("127.0.0.1"))
                && !is_for_others(ip("fe80::1"))
                && !is_for_others(ip("169.254.1.1"))
                && is_for_others(ip("192.168.1.2"))
        );
    }
}
