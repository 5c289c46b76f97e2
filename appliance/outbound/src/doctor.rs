//! The delivery doctor: the way of a message to an address, step by step, up to the question whether the recipient
//! would be taken.
//! Nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use pillarbox_store::{Detail, domain_of};
use tokio::sync::mpsc;

use super::endpoint::{Known, TlsPolicyMode};
use super::exchangers::NoHosts;
use super::sender::{NextHop, Outbound, next_hop};
use super::transport::{Connection, Endpoint, Trouble};
use super::work::{describe, said};

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
    /// The conversation with a provider up to the login.
    Login,
    /// Handing a message over.
    Sending,
    /// What the box did with a message of its own, and where it is now.
    Stored,
    /// Fetching it as a mail program does.
    Fetching,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Finding {
    pub topic: Topic,
    pub is_well: bool,
    /// What was found, in a line.
    pub summary: Detail,
    /// The conversation.
    pub lines: Vec<String>,
}

pub(super) fn finding(topic: Topic, is_well: bool, summary: Detail, lines: Vec<String>) -> Finding {
    Finding { topic, is_well, summary, lines }
}

/// Takes findings as they are made; whoever shows them may have gone away.
pub struct Findings(mpsc::Sender<Finding>);

/// A channel for findings.
pub fn findings() -> (Findings, mpsc::Receiver<Finding>) {
    let (sender, receiver) = mpsc::channel(32);
    (Findings(sender), receiver)
}

impl Findings {
    pub async fn push(&mut self, finding: Finding) {
        // Nobody looking any more is no failure.
        let _ = self.0.send(finding).await;
    }

    /// The same from its parts.
    pub async fn add(&mut self, topic: Topic, is_well: bool, summary: Detail, lines: Vec<String>) {
        self.push(finding(topic, is_well, summary, lines)).await;
    }
}

/// Examines the way to an address and gives what it finds at once.
/// False when another examination is under way.
pub fn examine(
    outbound: &Arc<Outbound>,
    sender: &str,
    address: &str,
    mut findings: Findings,
) -> bool {
    let Ok(one) = outbound.examining.clone().try_lock_owned() else { return false };
    let (outbound, sender, address) = (outbound.clone(), sender.to_string(), address.to_string());
    tokio::spawn(async move {
        let (_one, _alive) = (one, outbound.tasks.begin());
        if tokio::time::timeout(PATIENCE, walk(&outbound, &sender, &address, &mut findings))
            .await
            .is_err()
        {
            let summary = Detail::found(
                4,
                4,
                2,
                format!("it took longer than {} seconds", PATIENCE.as_secs()),
            );
            findings.add(Topic::Connection, false, summary, Vec::new()).await;
        }
    });
    true
}

async fn walk(outbound: &Arc<Outbound>, sender: &str, address: &str, findings: &mut Findings) {
    let domain = domain_of(address).to_lowercase();
    let routes = outbound.read(|r| r.routes()).await.unwrap_or_default();
    let next_hop = next_hop(&routes, &domain);
    let hosts = match &next_hop {
        NextHop::Route(_, route) => {
            Ok(super::exchangers::Hosts { names: vec![route.host.clone()], is_proven: false })
        }
        NextHop::Direct => outbound.hosts(&domain, &outbound.hostname()).await,
    };
    let hosts = match hosts {
        Ok(hosts) => hosts,
        Err(NoHosts::Never(why) | NoHosts::NotNow(why)) => {
            return findings.add(Topic::Hosts, false, why, Vec::new()).await;
        }
    };
    findings.add(Topic::Hosts, true, Detail::text(hosts.names.join(", ")), Vec::new()).await;
    let policy = match &next_hop {
        NextHop::Route(..) => None,
        NextHop::Direct => outbound.sts_policy(&domain).await,
    };
    if let Some(policy) = &policy {
        let summary = Detail::text(format!("MTA-STS, {:?}: {}", policy.mode, policy.mx.join(", ")));
        findings.add(Topic::Policy, true, summary, Vec::new()).await;
    }
    for host in hosts.names.iter().take(HOSTS) {
        let known = Known {
            tls_mode: TlsPolicyMode::Follow,
            policy: policy.as_ref(),
            hosts_proven: hosts.is_proven,
        };
        match outbound.endpoints(host, &next_hop, known).await {
            Err(NoHosts::Never(why)) => findings.add(Topic::Hosts, false, why, Vec::new()).await,
            Err(NoHosts::NotNow(why)) => findings.add(Topic::Policy, false, why, Vec::new()).await,
            Ok(endpoints) => {
                for endpoint in endpoints.into_iter().take(1) {
                    if ask(outbound, endpoint, sender, address, findings).await {
                        return;
                    }
                }
            }
        }
    }
}

/// Asks one host.
/// True when it answered about the recipient: then no other has to be asked.
async fn ask(
    outbound: &Arc<Outbound>,
    endpoint: Endpoint,
    sender: &str,
    address: &str,
    findings: &mut Findings,
) -> bool {
    let config = outbound.config();
    let shown = endpoint.clone();
    let opened =
        Connection::open(endpoint, &config.hostname(), outbound.tls.clone(), &config.outbound)
            .await;
    let mut connection = match opened {
        Ok(connection) => connection,
        Err((trouble, lines)) => {
            findings.add(Topic::Connection, false, describe(&trouble, &shown).0, lines).await;
            return false;
        }
    };
    let tls = connection.tls().unwrap_or_else(|| "-".into());
    findings
        .add(
            Topic::Connection,
            true,
            Detail::text(format!("{shown}, TLS: {tls}")),
            connection.transcript(),
        )
        .await;
    let (report, trouble): (_, Option<Trouble>) = connection.ask(sender, address).await;
    let lines = connection.transcript();
    let answer = report.outcomes.into_iter().flatten().next();
    match (answer, trouble) {
        (Some(reply), _) => {
            findings.add(Topic::Recipient, reply.code < 300, said(&shown.host, &reply), lines).await
        }
        (None, Some(trouble)) => {
            findings.add(Topic::Recipient, false, describe(&trouble, &shown).0, lines).await;
            return false;
        }
        (None, None) => {}
    }
    connection.quit().await;
    true
}
