//! Which hosts take a domain's mail, in which order, and what TLS must prove to them.

use std::net::IpAddr;
use std::time::Duration;

use pillarbox_host::net;
use pillarbox_platform::clock;
use pillarbox_platform::config::Ipv6;
use pillarbox_platform::dns::DnsError;
use pillarbox_store::{Detail, SetPolicyOf};

use super::error::{Error, PolicyFault};
use super::exchangers::{Hosts, NoHosts, order};
use super::policy::{self, Mode, Policy};
use super::sender::Outbound;
use super::sts;
use super::tls::Security;

/// Most addresses of a host.
const ADDRESSES: usize = 6;
/// How long a domain whose policy could not be fetched is left alone, in seconds.
const STS_PAUSE: Duration = Duration::from_secs(300);

/// The addresses to try, in order.
pub fn addresses(v4: Vec<IpAddr>, v6: Vec<IpAddr>, ipv6: Ipv6) -> Vec<IpAddr> {
    let (first, second) = match ipv6 {
        Ipv6::Off => (v4, Vec::new()),
        Ipv6::AfterIpv4 => (v4, v6),
        Ipv6::First => (v6, v4),
    };
    first.into_iter().chain(second).take(ADDRESSES).collect()
}

/// Addresses that are never another mail server: this machine, nowhere, everywhere.
pub fn is_foreign(address: IpAddr, own: &[IpAddr]) -> bool {
    let address = address.to_canonical();
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || own.contains(&address))
}

impl Outbound {
    /// Looks the hosts of a domain up.
    pub async fn hosts(&self, domain: &str, own_name: &str) -> Result<Hosts, NoHosts> {
        if let Some(literal) = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
            let text = literal.strip_prefix("IPv6:").unwrap_or(literal);
            return Ok(Hosts { names: vec![text.to_string()], is_proven: false });
        }
        let random = || getrandom::u32().unwrap_or(0);
        let answer = match self.dns.mx(domain).await {
            // Some old name servers know nothing but addresses, and say of every other question that there is no such
            // name.
            Err(DnsError::NoSuchName) if self.dns.addresses(domain).await.is_ok() => {
                Err(DnsError::Temporary(format!(
                    "the name servers say that {domain} does not exist, and that it has an address"
                )))
            }
            answer => answer,
        };
        order(domain, own_name, answer, random)
    }

    /// The addresses of a host, and whether DNSSEC proved them.
    pub async fn addresses_of(&self, host: &str) -> Result<(Vec<IpAddr>, bool), NoHosts> {
        let config = self.config();
        let outbound = &config.outbound;
        let (found, is_proven) = match host.parse::<IpAddr>() {
            Ok(address) => (vec![address], false),
            Err(_) => match self.dns.addresses(host).await {
                Ok((v4, v6)) => {
                    let is_proven = v4.is_proven && v6.is_proven;
                    (addresses(v4.records, v6.records, outbound.ipv6), is_proven)
                }
                Err(DnsError::Temporary(why)) => {
                    return Err(NoHosts::NotNow(Detail::found(4, 4, 3, why)));
                }
                Err(_) => {
                    return Err(NoHosts::Never(Detail::found(
                        5,
                        4,
                        4,
                        format!("The host {host} has no address"),
                    )));
                }
            },
        };
        // In a test network everything is on this machine.
        let is_test = outbound.remote_port != 25;
        // As they are now: a box has none yet when its server starts.
        let own = net::own();
        let usable: Vec<IpAddr> =
            found.into_iter().filter(|a| is_test || is_foreign(*a, &own)).collect();
        match usable.is_empty() {
            true => Err(NoHosts::Never(Detail::found(
                5,
                4,
                6,
                format!("The address of {host} is this box itself, or none that mail can go to"),
            ))),
            false => Ok((usable, is_proven)),
        }
    }

    /// What TLS must prove to a host of a domain; an error is a reason not to use the host now.
    pub async fn security(
        &self,
        host: &str,
        policy: Option<&Policy>,
        hosts_proven: bool,
        addresses_proven: bool,
    ) -> Result<Security, Detail> {
        let config = self.config();
        let outbound = &config.outbound;
        // RFC 7672 §2.2: only when the way to the host was proven can its records be.
        let mut without = Security::Opportunistic;
        if outbound.dane && hosts_proven && addresses_proven {
            match self.dns.tlsa(host, outbound.remote_port).await {
                Ok(answer) if answer.is_proven => {
                    let records = super::dane::usable(answer.records);
                    if !records.is_empty() {
                        return Ok(Security::Dane(records));
                    }
                    // RFC 7672 §2.2: records that can't be used ask for TLS all the same, with whatever certificate.
                    without = Security::Encrypted;
                }
                Ok(_) | Err(DnsError::NoData | DnsError::NoSuchName) => {}
                // RFC 7672 §2.1.2: somebody may be hiding the records.
                Err(DnsError::Temporary(why)) => return Err(Detail::found(4, 7, 5, why)),
            }
        }
        match policy {
            Some(policy) if policy.mode == Mode::Enforce => match policy.names(host) {
                true => Ok(Security::Verified),
                false => Err(Detail::found(
                    4,
                    7,
                    10,
                    format!("The TLS policy of the domain (MTA-STS) does not name the host {host}"),
                )),
            },
            _ => Ok(without),
        }
    }

    /// The domain's MTA-STS policy, remembered or fetched (RFC 8461 §3.3, §5.1).
    pub async fn sts_policy(&self, domain: &str) -> Option<Policy> {
        let config = self.config();
        if !config.outbound.mta_sts || domain.starts_with('[') {
            return None;
        }
        let now = (self.time)().at;
        let name = domain.to_string();
        let remembered = self
            .read(move |r| r.sts_policy(&name))
            .await
            .ok()
            .flatten()
            .filter(|p| p.expires > now);
        let id = match self.dns.txt(&format!("_mta-sts.{domain}")).await {
            Ok(answer) => policy::record_id(&answer.records),
            Err(_) => None,
        };
        let Some(id) = id else { return remembered.and_then(|p| Policy::parse(&p.text)) };
        if let Some(old) = remembered.as_ref().filter(|old| old.id == id) {
            return Policy::parse(&old.text);
        }
        if self.sts_pauses(domain, now) {
            return remembered.and_then(|p| Policy::parse(&p.text));
        }
        let no_policy = |fault| Error::TlsPolicy { host: format!("mta-sts.{domain}"), fault };
        let fetched = match self.dns.addresses(&format!("mta-sts.{domain}")).await {
            Ok((v4, v6)) => {
                // Whoever is written to names this address: the box must not knock at doors of its own network for
                // them.
                // In a test network everything is on this machine.
                let is_test = config.outbound.https_port != 443;
                let mut addresses = addresses(v4.records, v6.records, config.outbound.ipv6);
                addresses.retain(|address| is_test || net::is_public(*address));
                sts::fetch(domain, &addresses, config.outbound.https_port, self.tls.verified())
                    .await
            }
            Err(error) => Err(no_policy(PolicyFault::Unknown(error))),
        };
        match fetched.and_then(|text| {
            Policy::parse(&text).map(|p| (text, p)).ok_or_else(|| no_policy(PolicyFault::Malformed))
        }) {
            Ok((text, policy)) => {
                let row = sts::remembered(id, text, &policy, now);
                let change = SetPolicyOf { domain: domain.to_string(), policy: Some(row) };
                if let Err(error) = self.store.change(change).done().await {
                    tracing::warn!(%error, domain, "a TLS policy could not be remembered");
                }
                Some(policy)
            }
            Err(why) => {
                tracing::info!(domain, %why, at = clock::iso(now), "no TLS policy, although one is announced");
                self.pause_sts(domain, now.plus(STS_PAUSE));
                remembered.and_then(|p| Policy::parse(&p.text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_never_goes_to_this_machine() {
        let own = ["192.0.2.7".parse().unwrap()];
        for (address, is) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("0.0.0.0", false),
            ("::ffff:192.0.2.7", false),
            ("192.0.2.8", true),
        ] {
            assert_eq!(is_foreign(address.parse().unwrap(), &own), is, "{address}");
        }
        let (v4, v6): (IpAddr, IpAddr) =
            ("192.0.2.8".parse().unwrap(), "2001:db8::1".parse().unwrap());
        assert_eq!(addresses(vec![v4], vec![v6], Ipv6::AfterIpv4), [v4, v6]);
        assert_eq!(addresses(vec![v4], vec![v6], Ipv6::First), [v6, v4]);
        assert_eq!(addresses(vec![v4], vec![v6], Ipv6::Off), [v4]);
    }
}
