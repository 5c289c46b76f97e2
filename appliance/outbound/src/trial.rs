//! Trying things out for the owner: does the line let mail out, does the provider take it?

use std::net::IpAddr;
use std::time::Duration;

use pillarbox_proto::smtp::Body;
use pillarbox_proto::smtp::client::{Mailing, Target};
use pillarbox_store::{Detail, Route};

use super::doctor::{Finding, Topic, finding};
use super::endpoint::{Known, TlsPolicyMode};
use super::exchangers::NoHosts;
use super::sender::{NextHop, Outbound};
use super::source::Source;
use super::transport::Connection;
use super::work::{describe, said};

/// For one connection.
const PATIENCE: Duration = Duration::from_secs(15);
/// Hosts of a domain that are tried.
const HOSTS: usize = 2;

const NOTHING_KNOWN: Known<'_> =
    Known { tls_mode: TlsPolicyMode::Ignore, policy: None, hosts_proven: false };

/// Lets a domain's mail exchanger greet us: its name, its address, and the conversation; else why not.
pub async fn greet(
    outbound: &Outbound,
    domain: &str,
) -> Result<(String, IpAddr, Vec<String>), Detail> {
    let config = outbound.config();
    let reason = |no: NoHosts| match no {
        NoHosts::Never(why) | NoHosts::NotNow(why) => why,
    };
    let hosts = outbound.hosts(domain, &config.hostname()).await.map_err(reason)?;
    let mut last = Detail::text(format!("{domain} has no host for mail"));
    for host in hosts.names.iter().take(HOSTS) {
        let endpoints = match outbound.endpoints(host, &NextHop::Direct, NOTHING_KNOWN).await {
            Ok(endpoints) => endpoints,
            Err(no) => {
                last = reason(no);
                continue;
            }
        };
        let Some(endpoint) = endpoints.into_iter().next() else { continue };
        let (shown, address) = (endpoint.clone(), endpoint.address);
        let mut limits = config.outbound.clone();
        limits.connect = limits.connect.min(8);
        let hello = config.hostname();
        let opening = Connection::open(endpoint, &hello, outbound.tls.clone(), &limits);
        match tokio::time::timeout(PATIENCE, opening).await {
            Ok(Ok(mut connection)) => {
                let lines = connection.transcript();
                connection.quit().await;
                return Ok((host.clone(), address, lines));
            }
            Ok(Err((trouble, _))) => last = describe(&trouble, &shown).0,
            Err(_) => last = Detail::text(format!("{shown} was silent for too long")),
        }
    }
    Err(last)
}

/// A message that is sent to try a provider out.
pub struct Trial<'a> {
    pub sender: &'a str,
    pub recipient: &'a str,
    /// Header and body, with CRLF.
    pub content: Vec<u8>,
}

/// The message as the client core wants it.
pub fn mailing(trial: &Trial<'_>) -> Mailing {
    Mailing {
        reverse_path: trial.sender.to_string(),
        octets: trial.content.len() as u64,
        body: Body::SevenBit,
        smtputf8: false,
        requiretls: false,
        ret: None,
        envid: None,
        recipients: vec![Target {
            address: trial.recipient.to_string(),
            notify: None,
            orcpt: None,
        }],
    }
}

/// Logs in at a provider and hands a message over: for real, nothing is queued.
pub async fn try_route(outbound: &Outbound, route: &Route, trial: Trial<'_>) -> Vec<Finding> {
    let config = outbound.config();
    let next_hop = NextHop::Route(String::new(), route.clone());
    let endpoints = match outbound.endpoints(&route.host, &next_hop, NOTHING_KNOWN).await {
        Ok(endpoints) => endpoints,
        Err(NoHosts::Never(why) | NoHosts::NotNow(why)) => {
            return vec![finding(Topic::Hosts, false, why, Vec::new())];
        }
    };
    let mut findings = Vec::new();
    let Some(endpoint) = endpoints.into_iter().next() else { return findings };
    let shown = endpoint.clone();
    let hello = config.hostname();
    let opening = Connection::open(endpoint, &hello, outbound.tls.clone(), &config.outbound);
    let mut connection = match tokio::time::timeout(2 * PATIENCE, opening).await {
        Ok(Ok(connection)) => connection,
        Ok(Err((trouble, lines))) => {
            return vec![finding(Topic::Login, false, describe(&trouble, &shown).0, lines)];
        }
        Err(_) => {
            return vec![finding(
                Topic::Connection,
                false,
                Detail::found(4, 4, 2, format!("{shown} was silent for too long")),
                Vec::new(),
            )];
        }
    };
    let tls = connection.tls().unwrap_or_else(|| "-".into());
    findings.push(finding(
        Topic::Login,
        true,
        Detail::text(format!("{shown}, TLS: {tls}")),
        connection.transcript(),
    ));
    let (report, trouble) =
        connection.send(mailing(&trial), &mut Source::of_octets(trial.content)).await;
    let lines = connection.transcript();
    findings.push(match (report.outcomes.into_iter().flatten().next(), trouble) {
        (Some(reply), _) => {
            finding(Topic::Sending, reply.code < 300, said(&shown.host, &reply), lines)
        }
        (None, Some(trouble)) => {
            finding(Topic::Sending, false, describe(&trouble, &shown).0, lines)
        }
        (None, None) => finding(
            Topic::Sending,
            false,
            Detail::found(4, 4, 2, format!("{shown} gave no answer")),
            lines,
        ),
    });
    connection.quit().await;
    findings
}
