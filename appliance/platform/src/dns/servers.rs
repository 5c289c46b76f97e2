//! Which name servers are asked, and how: resolvers made from the settings.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::read_system_conf;

use crate::config::{Config, seconds};
use crate::error::{Error, Result};

/// Answers that are remembered, per resolver.
const CACHED: u64 = 512;

/// Whether questions have the OPT record (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edns {
    Used,
    Unused,
}

/// Whether signatures are asked for and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Checked,
    Unasked,
}

/// The name servers of this machine.
pub struct NameServers {
    config: ResolverConfig,
    options: ResolverOpts,
}

impl NameServers {
    /// Those of the settings, else the system's, else one on this machine.
    pub fn of(config: &Config) -> NameServers {
        if config.dns.servers.is_empty() {
            // Without a resolv.conf there may be a name server on this machine.
            let local = || {
                (
                    ResolverConfig::from_name_servers(vec![NameServerConfig::udp_and_tcp(
                        IpAddr::from([127, 0, 0, 1]),
                    )]),
                    ResolverOpts::default(),
                )
            };
            let (config, options) = read_system_conf().unwrap_or_else(|_| local());
            return NameServers { config, options };
        }
        let servers = config.dns.servers.iter().map(|server| {
            let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|connection| connection.port = server.0.port());
            NameServerConfig::new(server.0.ip(), true, connections.to_vec())
        });
        NameServers {
            config: ResolverConfig::from_name_servers(servers.collect()),
            options: ResolverOpts::default(),
        }
    }

    /// Where datagrams go.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let of = |server: &NameServerConfig| {
            let udp = server
                .connections
                .iter()
                .find(|connection| matches!(connection.protocol, ProtocolConfig::Udp))?;
            Some(SocketAddr::new(server.ip, udp.port))
        };
        self.config.name_servers().iter().filter_map(of).collect()
    }

    /// A resolver that asks them.
    /// Needs a tokio runtime.
    pub fn resolver(&self, config: &Config, edns: Edns, proof: Proof) -> Result<TokioResolver> {
        let mut builder = TokioResolver::builder_with_config(
            self.config.clone(),
            TokioRuntimeProvider::default(),
        )
        .with_options(self.options.clone());
        let options: &mut ResolverOpts = builder.options_mut();
        options.validate = proof == Proof::Checked;
        options.cache_size = CACHED;
        options.attempts = 2;
        options.timeout = seconds(config.dns.deadline) / 3;
        options.edns0 = edns == Edns::Used;
        options.ndots = 0;
        if proof == Proof::Checked
            && let Some(anchors) = private_anchors(config)?
        {
            builder = builder.with_trust_anchor(Arc::new(anchors));
        }
        // Names are asked for without TLS.
        // The resolver would look for the system's authorities all the same, and not start on a system that has none.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::failed("setting TLS up"))?;
        builder = builder.with_tls_config(
            tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth(),
        );
        builder.build().map_err(Error::failed("starting the resolver"))
    }
}

/// The zones whose keys are known: the root, or those of the settings' file.
pub fn anchors(config: &Config) -> Result<Vec<Name>> {
    let Some(text) = anchor_file(config)? else { return Ok(vec![Name::root()]) };
    let zones = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| !word.starts_with(';'));
    Ok(zones.filter_map(super::name_of).collect())
}

/// The keys of the settings' file; `None` where it is not used.
pub fn private_anchors(config: &Config) -> Result<Option<TrustAnchors>> {
    let Some(text) = anchor_file(config)? else { return Ok(None) };
    let path = &config.dns.trust_anchor;
    if text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with(';')) {
        return Err(of_setting()(Error::file("", path)("no DNSKEY record in it")));
    }
    text.parse().map(Some).map_err(Error::file("", path)).map_err(of_setting())
}

fn of_setting() -> impl Fn(Error) -> Error {
    Error::of_setting("dns.trust_anchor")
}

fn anchor_file(config: &Config) -> Result<Option<String>> {
    let path = &config.dns.trust_anchor;
    match config.dns.dnssec && !path.as_os_str().is_empty() {
        true => {
            let text = std::fs::read_to_string(path).map_err(Error::file("", path));
            text.map(Some).map_err(of_setting())
        }
        false => Ok(None),
    }
}
