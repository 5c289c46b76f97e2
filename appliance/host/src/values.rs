//! Values that can't be wrong: whatever comes in as text is checked once, here.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// A value that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(pub &'static str);

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Wrong;
            fn try_from(text: String) -> Result<Self, Wrong> {
                let check: fn(&str) -> Result<(), Wrong> = $check;
                check(&text)?;
                Ok($name(text))
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
    };
}

checked!(
    /// A host name: labels of letters, digits and hyphens, 253 octets at most (RFC 1123 §2.1).
    HostName,
    |text| {
        let is_name = text.len() <= 253 && text.split('.').all(is_label);
        is_name.then_some(()).ok_or(Wrong("a host name has letters, digits and hyphens, in parts of at most 63"))
    }
);

checked!(
    /// A time zone's name, such as `Europe/Berlin`.
    ZoneName,
    |text| {
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+".contains(&b)) && !part.starts_with('-');
        let is_name = text.len() <= 64 && text.split('/').count() <= 3 && text.split('/').all(is_part);
        is_name.then_some(()).ok_or(Wrong("a time zone is written like Europe/Berlin"))
    }
);

checked!(
    /// The name of a wireless network: 1 to 32 octets (IEEE 802.11 §9.4.2.2).
    NetworkName,
    |text| (1..=32).contains(&text.len()).then_some(()).ok_or(Wrong("a wireless network's name has 1 to 32 octets"))
);

checked!(
    /// A passphrase: 8 to 63 printable characters of ASCII (IEEE 802.11 annex J.4).
    Passphrase,
    |text| {
        let is_good = (8..=63).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        is_good.then_some(()).ok_or(Wrong("a wireless password has 8 to 63 letters, digits and signs"))
    }
);

checked!(
    /// A country's two letters (ISO 3166-1), such as `DE`: which radio channels are allowed.
    Country,
    |text| {
        let is_country = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        is_country.then_some(()).ok_or(Wrong("a country is written with two capital letters, such as DE"))
    }
);

checked!(
    /// The name of a bundle in the folder for updates: never a path.
    BundleName,
    |text| {
        let is_name = text.len() <= 100
            && text.ends_with(".raucb")
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        is_name.then_some(()).ok_or(Wrong("an update is a file whose name ends with .raucb"))
    }
);

/// An address of the box with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(IpAddr, u8)", into = "(IpAddr, u8)")]
pub struct Interface {
    pub address: IpAddr,
    pub prefix: u8,
}

impl TryFrom<(IpAddr, u8)> for Interface {
    type Error = Wrong;
    fn try_from((address, prefix): (IpAddr, u8)) -> Result<Self, Wrong> {
        let is_usable = usable(address)
            && if address.is_ipv4() {
                (1..=30).contains(&prefix)
            } else {
                (1..=127).contains(&prefix)
            };
        is_usable
            .then_some(Interface { address, prefix })
            .ok_or(Wrong("that is no address a box can have in a network"))
    }
}

impl From<Interface> for (IpAddr, u8) {
    fn from(value: Interface) -> Self {
        (value.address, value.prefix)
    }
}

impl Interface {
    /// Whether another address is directly reachable in this network.
    pub fn reaches(self, other: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
            IpAddr::V6(v6) => u128::from(v6),
        };
        let is_same_kind = self.address.is_ipv4() == other.is_ipv4();
        is_same_kind && (bits(self.address) ^ bits(other)) >> (128 - u32::from(self.prefix)) == 0
    }
}

/// Whether an address can be a machine's.
pub fn usable(address: IpAddr) -> bool {
    let is_special = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    !is_special && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// A label of a host's name: letters, digits and hyphens, at most 63 (RFC 1123 §2.1, RFC 1035 §2.3.4).
pub(crate) fn is_label(text: &str) -> bool {
    let is_known = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_known)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is<T: TryFrom<String>>(text: &str) -> bool {
        T::try_from(text.to_string()).is_ok()
    }

    #[test]
    fn values_are_what_they_say_they_are() {
        for (text, good) in [
            ("mail.office.example", true),
            ("box", true),
            ("-box", false),
            ("a..b", false),
            ("a b", false),
            ("", false),
            ("a/b", false),
        ] {
            assert_eq!(is::<HostName>(text), good, "{text}");
        }
        for (text, good) in [
            ("Europe/Berlin", true),
            ("Etc/GMT+1", true),
            ("../passwd", false),
            ("/etc", false),
            ("America/Argentina/Ushuaia", true),
            ("a/b/c/d", false),
        ] {
            assert_eq!(is::<ZoneName>(text), good, "{text}");
        }
        for (text, good) in [
            ("pillarbox-1.raucb", true),
            ("../x.raucb", false),
            (".raucb", false),
            ("-x.raucb", false),
            ("x.img", false),
            ("a b.raucb", false),
        ] {
            assert_eq!(is::<BundleName>(text), good, "{text}");
        }
        assert!(
            is::<NetworkName>("Café")
                && !is::<NetworkName>("")
                && is::<Passphrase>("12345678")
                && !is::<Passphrase>("short")
                && !is::<Passphrase>("with\nnewline")
        );
        assert!(
            is::<Country>("DE")
                && !is::<Country>("de")
                && !is::<Country>("D")
                && !is::<Country>("D\n")
        );
        let interface = |text: &str, prefix| Interface::try_from((text.parse().unwrap(), prefix));
        let office = interface("192.168.1.7", 24).unwrap();
        assert!(
            office.reaches("192.168.1.1".parse().unwrap())
                && !office.reaches("192.168.2.1".parse().unwrap())
                && !office.reaches("fe80::1".parse().unwrap())
        );
        assert!(
            interface("0.0.0.0", 8).is_err()
                && interface("10.0.0.1", 32).is_err()
                && interface("127.0.0.1", 8).is_err()
        );
    }
}
