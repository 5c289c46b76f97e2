//! The delivery doctor: the way of a message to an address, step by step, up to the question whether the recipient
//! would be taken. Nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use super::transport::{Connection, Endpoint, Trouble};
use super::way::NoWay;
use super::work::{describe, words};
use super::{Way, tls::Security, way};
use crate::context::Context;
use pillarbox_store::RouteTls;

/// Hosts that are asked.
const HOSTS: usize = 3;
/// For all of it.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Which hosts take the domain's mail.
    Hosts,
    /// What the domain says about TLS.
    Policy,
    /// The conversation with a host up to EHLO and STARTTLS.
    Connection,
    /// Whether it would take the recipient.
    Recipient,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Finding {
    pub topic: Topic,
    pub is_well: bool,
    /// What was found, in a line.
    pub summary: String,
    /// The conversation.
    pub lines: Vec<String>,
}

fn finding(topic: Topic, is_well: bool, summary: impl Into<String>, lines: Vec<String>) -> Finding {
    Finding { topic, is_well, summary: summary.into(), lines }
}

/// Examines the way to an address; `None` when another examination is under way.
pub async fn examine(context: &Arc<Context>, sender: &str, address: &str) -> Option<Vec<Finding>> {
    let _one = context.outbound.examining.try_lock().ok()?;
    let mut findings = Vec::new();
    if tokio::time::timeout(PATIENCE, walk(context, sender, address, &mut findings)).await.is_err() {
        let summary = format!("4.4.2 it took longer than {} seconds", PATIENCE.as_secs());
        findings.push(finding(Topic::Connection, false, summary, Vec::new()));
    }
    Some(findings)
}

async fn walk(context: &Arc<Context>, sender: &str, address: &str, findings: &mut Vec<Finding>) {
    let outbound = &context.outbound;
    let domain = super::work::domain_of(address).to_lowercase();
    let settings = context.settings();
    let routes = context.read(|r| r.routes()).await.unwrap_or_default();
    let route = match way(&routes, &domain) {
        Way::Direct => None,
        Way::Route(_, route) => Some(route),
    };
    let hosts = match &route {
        Some(route) => Ok(super::way::Hosts { names: vec![route.host.clone()], is_proven: false }),
        None => outbound.hosts(&domain, &settings.config.hostname()).await,
    };
    let hosts = match hosts {
        Ok(hosts) => hosts,
        Err(NoWay::Never(why) | NoWay::NotNow(why)) => return findings.push(finding(Topic::Hosts, false, why, Vec::new())),
    };
    findings.push(finding(Topic::Hosts, true, hosts.names.join(", "), Vec::new()));
    let policy = match &route {
        Some(_) => None,
        None => outbound.sts_policy(context, &domain).await,
    };
    if let Some(policy) = &policy {
        findings.push(finding(Topic::Policy, true, format!("MTA-STS, {:?}: {}", policy.mode, policy.mx.join(", ")), Vec::new()));
    }
    for host in hosts.names.iter().take(HOSTS) {
        let (addresses, is_proven) = match outbound.addresses_of(context, host).await {
            Ok(found) => found,
            Err(NoWay::Never(why) | NoWay::NotNow(why)) => {
                findings.push(finding(Topic::Hosts, false, why, Vec::new()));
                continue;
            }
        };
        let security = match &route {
            Some(_) => Ok(Security::Verified),
            None => outbound.security(context, host, policy.as_ref(), hosts.is_proven, is_proven).await,
        };
        let security = match security {
            Ok(security) => security,
            Err(why) => {
                findings.push(finding(Topic::Policy, false, why, Vec::new()));
                continue;
            }
        };
        let Some(&first) = addresses.first() else { continue };
        let login = route.as_ref().and_then(|route| outbound.login(route).ok().flatten());
        let endpoint = Endpoint {
            host: host.clone(),
            address: first,
            port: route.as_ref().map_or(settings.config.outbound.remote_port, |r| r.port),
            security,
            is_implicit: route.as_ref().is_some_and(|r| r.tls == RouteTls::Implicit),
            login,
        };
        if ask(context, endpoint, sender, address, findings).await {
            return;
        }
    }
}

/// Asks one host. True when it answered about the recipient: then no other has to be asked.
async fn ask(context: &Arc<Context>, endpoint: Endpoint, sender: &str, address: &str, findings: &mut Vec<Finding>) -> bool {
    let settings = context.settings();
    let shown = endpoint.clone();
    let opened = Connection::open(endpoint, &settings.config.hostname(), context.outbound.tls.clone(), &settings.config.outbound).await;
    let mut connection = match opened {
        Ok(connection) => connection,
        Err((trouble, lines)) => {
            findings.push(finding(Topic::Connection, false, describe(&trouble, &shown).0, lines));
            return false;
        }
    };
    let tls = connection.tls().unwrap_or_else(|| "-".into());
    findings.push(finding(Topic::Connection, true, format!("{shown}, TLS: {tls}"), connection.transcript()));
    let (report, trouble): (_, Option<Trouble>) = connection.ask(sender, address).await;
    let lines = connection.transcript();
    let answer = report.outcomes.into_iter().flatten().next();
    match (answer, trouble) {
        (Some(reply), _) => findings.push(finding(Topic::Recipient, reply.code < 300, format!("{} said: {}", shown.host, words(&reply)), lines)),
        (None, Some(trouble)) => {
            findings.push(finding(Topic::Recipient, false, describe(&trouble, &shown).0, lines));
            return false;
        }
        (None, None) => {}
    }
    connection.quit().await;
    true
}
