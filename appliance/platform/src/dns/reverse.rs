//! The way from an address to the names that are kept for it.

use std::net::IpAddr;

/// The parts of an address backwards, as reverse names and lists have them (RFC 1035 §3.5, RFC 3596 §2.5, RFC 5782 §2).
pub fn backwards(address: IpAddr) -> String {
    let parts: Vec<String> = match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(ToString::to_string).collect(),
        IpAddr::V6(v6) => v6
            .octets()
            .iter()
            .rev()
            .flat_map(|o| [o & 15, o >> 4])
            .map(|nibble| format!("{nibble:x}"))
            .collect(),
    };
    parts.join(".")
}

/// The name under which an address's own name is kept.
pub fn reverse_name(address: IpAddr) -> String {
    let zone = if address.to_canonical().is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
    format!("{}.{zone}", backwards(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_backwards() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(reverse_name(ip("203.0.113.9")), "9.113.0.203.in-addr.arpa");
        assert_eq!(reverse_name(ip("::ffff:203.0.113.9")), "9.113.0.203.in-addr.arpa");
        assert!(
            reverse_name(ip("2001:db8::5")).starts_with("5.0.0.0.")
                && reverse_name(ip("2001:db8::5")).ends_with("8.b.d.0.1.0.0.2.ip6.arpa")
        );
    }
}
