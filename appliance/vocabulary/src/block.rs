//! Blocks of addresses as settings and SPF records write them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// An address with a prefix length, such as `192.168.1.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressBlock {
    address: IpAddr,
    prefix: u8,
}

impl AddressBlock {
    /// The block of this prefix length that the address lies in; a length beyond the address's bits is that of one
    /// address.
    pub fn around(address: IpAddr, prefix: u8) -> AddressBlock {
        AddressBlock { address, prefix: prefix.min(if address.is_ipv4() { 32 } else { 128 }) }
    }

    /// True when the address lies inside; IPv4 written as IPv6 (`::ffff:a.b.c.d`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip.to_canonical() {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 4),
            IpAddr::V6(v6) => (u128::from(v6), 6),
        };
        let ((ours, family), (theirs, other)) = (bits(self.address), bits(address));
        let differing = ours ^ theirs;
        family == other && (self.prefix == 0 || differing.leading_zeros() >= u32::from(self.prefix))
    }
}

impl TryFrom<String> for AddressBlock {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a network; write it like \"192.168.1.0/24\"");
        let (address, prefix) = text.split_once('/').unwrap_or((&text, ""));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix =
            if prefix.is_empty() { widest } else { prefix.parse().map_err(|_| wrong())? };
        if prefix > widest { Err(wrong()) } else { Ok(AddressBlock { address, prefix }) }
    }
}

impl From<AddressBlock> for String {
    fn from(network: AddressBlock) -> String {
        format!("{}/{}", network.address, network.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_the_addresses_that_share_its_prefix() {
        for (address, prefix, other, is_inside) in [
            ("192.168.1.7", 24, "192.168.1.200", true),
            ("192.168.1.7", 24, "192.168.2.1", false),
            ("192.168.1.7", 24, "::ffff:192.168.1.9", true),
            ("10.0.0.1", 32, "10.0.0.1", true),
            ("10.0.0.1", 255, "10.0.0.1", true),
            ("10.0.0.1", 255, "10.0.0.2", false),
            ("10.0.0.1", 0, "8.8.8.8", true),
            ("2001:db8:1::7", 64, "2001:db8:1::ffff", true),
            ("2001:db8:1::7", 64, "2001:db8:2::1", false),
            ("2001:db8::7", 255, "2001:db8::7", true),
            ("2001:db8::7", 0, "192.0.2.1", false),
        ] {
            let block = AddressBlock::around(address.parse().unwrap(), prefix);
            assert_eq!(
                block.contains(other.parse().unwrap()),
                is_inside,
                "{address}/{prefix} {other}"
            );
        }
    }
}
