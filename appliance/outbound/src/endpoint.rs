//! From a host's name to the places that are connected to, and what TLS must prove there.

use pillarbox_store::{Detail, RouteTls};

use super::exchangers::NoHosts;
use super::policy::Policy;
use super::sender::{NextHop, Outbound};
use super::tls::Security;
use super::transport::Endpoint;

/// Whether the policy of a destination about TLS is followed (RFC 8689 §5 lets a sender say no).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPolicyMode {
    Follow,
    Ignore,
}

/// What is known of a destination before its hosts are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub tls_mode: TlsPolicyMode,
    pub policy: Option<&'a Policy>,
    /// Whether DNSSEC proved the names of its hosts.
    pub hosts_proven: bool,
}

impl Outbound {
    /// The endpoints of a host, one for each of its addresses, in the order they are tried.
    pub(super) async fn endpoints(
        &self,
        host: &str,
        next_hop: &NextHop,
        known: Known<'_>,
    ) -> Result<Vec<Endpoint>, NoHosts> {
        let (addresses, addresses_proven) = self.addresses_of(host).await?;
        let (port, security, is_implicit, login) = match next_hop {
            NextHop::Route(_, route) => {
                let login = self
                    .login(route)
                    .map_err(|why| NoHosts::NotNow(Detail::found(4, 7, 0, why)))?;
                (route.port, Security::Verified, route.tls == RouteTls::Implicit, login)
            }
            NextHop::Direct => {
                let security = match known.tls_mode {
                    TlsPolicyMode::Ignore => Security::Opportunistic,
                    TlsPolicyMode::Follow => {
                        let security = self
                            .security(host, known.policy, known.hosts_proven, addresses_proven)
                            .await;
                        security.map_err(NoHosts::NotNow)?
                    }
                };
                (self.config().outbound.remote_port, security, false, None)
            }
        };
        let endpoint = |address| Endpoint {
            host: host.to_string(),
            address,
            port,
            security: security.clone(),
            is_implicit,
            login: login.clone(),
        };
        Ok(addresses.into_iter().map(endpoint).collect())
    }
}
