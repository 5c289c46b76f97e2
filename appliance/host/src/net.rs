//! The machine's place in the office: its name, its addresses, and who is its neighbour.

use std::net::IpAddr;

/// What the machine calls itself, empty where it has no name. On a box, with ".local" after it, the name that computers in
/// the office find it by; in the server's sandbox it is the name at the server's start.
pub fn machine_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    name.replace("(none)", "").to_ascii_lowercase()
}

/// The addresses that the machine has now, each with its interface's name: they come after a start, and change. Empty where
/// the system does not tell.
pub fn addresses() -> Vec<(String, IpAddr)> {
    let of = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let ip = v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))?;
        Some((interface.interface_name, ip))
    };
    nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(of).collect()
}

/// The same without the interfaces.
pub fn own() -> Vec<IpAddr> {
    addresses().into_iter().map(|(_, address)| address).collect()
}

/// Can others in the office use this address of the machine? They can't use loopback, nor what an interface gave itself.
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
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Is it an address of the public internet, and not of the box's own network? Whoever lets strangers name addresses asks
/// this before it knocks there.
pub fn is_public(address: IpAddr) -> bool {
    is_global(address) && !is_near(address)
}

/// Addresses that lead through the internet to one machine (RFC 6890 and the registries it made). Those that carry another
/// address within them count as none: a translator on the way may lead them into the office.
fn is_global(address: IpAddr) -> bool {
    let is_special = match address.to_canonical() {
        IpAddr::V4(v4) => match v4.octets() {
            [0 | 240.., ..] => true,
            // IETF protocols, 6to4 relays, measurements.
            [192, 0, 0, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => true,
            _ => v4.is_link_local() || v4.is_documentation(),
        },
        IpAddr::V6(v6) => match v6.segments() {
            // The first holds unspecified, loopback and IPv4 within IPv6 (RFC 4291 §2.5.5.1), then translation (RFC 6052,
            // RFC 8215), discarding (RFC 6666), 6to4 (RFC 3056).
            [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 0 | 1, ..] | [0x100, 0, 0, ..] | [0x2002, ..] => true,
            // Teredo and the like (RFC 4380, RFC 6890 §2.2.3), documentation (RFC 3849, RFC 9637), segment routing (RFC 9602).
            [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..0x1000, ..] | [0x5f00, ..] => true,
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

/// Is somebody in the box's own network? With IPv6 everybody in an office has addresses of the whole internet, and is a
/// neighbour by the first half of them (RFC 4291 §2.5.1, RFC 6177).
pub fn is_near(peer: IpAddr) -> bool {
    is_private(peer) || is_neighbour(peer, own)
}

fn is_neighbour(peer: IpAddr, own: impl FnOnce() -> Vec<IpAddr>) -> bool {
    let peer = peer.to_canonical();
    peer.is_ipv6() && own().into_iter().any(|own| own.is_ipv6() && network_of(own) == network_of(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_own_network_is_near() {
        let own = || vec![ip("192.168.1.2"), ip("203.0.113.7"), ip("2001:db8:1:2::25"), ip("fe80::25")];
        let near = ["192.168.1.5", "127.0.0.1", "::ffff:10.1.1.1", "100.64.0.1", "fe80::1", "fd00::1", "2001:db8:1:2:aaaa::1"];
        let far = ["203.0.113.9", "203.0.113.7", "::ffff:203.0.113.9", "2001:db8:1:3::25", "2001:db8::1"];
        for (address, is) in near.map(|address| (address, true)).into_iter().chain(far.map(|address| (address, false))) {
            assert_eq!(is_private(ip(address)) || is_neighbour(ip(address), own), is, "{address}");
        }
    }

    #[test]
    fn only_addresses_of_the_world_are_public() {
        let world = ["93.184.216.34", "198.17.0.1", "198.20.0.1", "192.0.1.1", "2606:2800::1", "2001:200::1", "2a00::1", "3ffe::1", "::ffff:93.184.216.34"];
        let none = [
            "192.168.1.1", "127.0.0.1", "169.254.1.1", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "100.64.0.1",
            "198.18.0.1", "198.19.255.255", "192.0.0.8", "192.88.99.1", "192.0.2.1", "203.0.113.1", "240.0.0.1", "::", "::1", "::192.168.1.1", "::10.0.0.1",
            "64:ff9b::c0a8:101", "64:ff9b:1::1", "100::1", "2002:c0a8:101::1", "2001::1", "2001:0:4136:e378::1", "2001:10::1", "2001:20::1", "2001:db8::1",
            "3fff::1", "5f00::1", "fec0::1", "feff::1", "fc00::1", "fd00::1", "ff02::1",
        ];
        for (address, is) in world.map(|address| (address, true)).into_iter().chain(none.map(|address| (address, false))) {
            assert_eq!(is_global(ip(address)), is, "{address}");
        }
        // Nor is any address of this machine, or of its network.
        assert!(own().into_iter().all(|address| address.is_ipv4() || !is_public(address)));
    }

    #[test]
    fn this_machine_has_addresses() {
        let all = addresses();
        assert!(all.iter().any(|(_, address)| address.is_loopback()), "{all:?}");
        assert!(!is_for_others(ip("127.0.0.1")) && !is_for_others(ip("fe80::1")) && !is_for_others(ip("169.254.1.1")) && is_for_others(ip("192.168.1.2")));
    }
}
