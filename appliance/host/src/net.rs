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
    fn this_machine_has_addresses() {
        let all = addresses();
        assert!(all.iter().any(|(_, address)| address.is_loopback()), "{all:?}");
        assert!(!is_for_others(ip("127.0.0.1")) && !is_for_others(ip("fe80::1")) && !is_for_others(ip("169.254.1.1")) && is_for_others(ip("192.168.1.2")));
    }
}
