//! Whether the address that a message came from has a name that leads back to it (RFC 8601 §3).

use std::net::IpAddr;

use pillarbox_platform::dns::{Dns, DnsError, reverse_name};

/// Names of an address that are looked at.
const NAMES: usize = 5;

/// What is known of the name of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has this name, which leads back to it.
    Pass(String),
    /// It has no name, or none that leads back.
    Fail,
    /// It can't be told now.
    Temporary,
}

/// Looks.
pub async fn look(dns: &Dns, address: IpAddr) -> Outcome {
    let names = match dns.ptr(&reverse_name(address)).await {
        Ok(answer) => answer.records,
        Err(DnsError::NoSuchName | DnsError::NoData) => return Outcome::Fail,
        Err(DnsError::Temporary(_)) => return Outcome::Temporary,
    };
    let mut outcome = Outcome::Fail;
    for name in names.into_iter().take(NAMES) {
        match dns.all_addresses(&name).await {
            Ok(found) if found.contains(&address) => return Outcome::Pass(name),
            Err(DnsError::Temporary(_)) => outcome = Outcome::Temporary,
            _ => {}
        }
    }
    outcome
}
