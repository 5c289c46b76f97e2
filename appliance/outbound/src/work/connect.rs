//! From a destination to a connection: its hosts one after the other, until one can be used or the reason is known why none can.

use std::collections::VecDeque;

use pillarbox_proto::reply::{Reply, clip};
use pillarbox_proto::smtp::client::{Failure, Stage};
use pillarbox_store::Route;

use super::{Errand, Worker};
use crate::endpoint::{Heed, Known};
use crate::exchangers::{Hosts, NoWay};
use crate::owner;
use crate::policy::Policy;
use crate::schedule::{DETAIL_OCTETS, Outcome};
use crate::sender::Way;
use crate::tls::Security;
use crate::transport::{Connection, Endpoint, Trouble};

/// Connections tried in one attempt: a destination with many dead hosts must not keep a worker for an hour.
const TRIES: usize = 10;
/// Seconds that further hosts get to be reached, after the first one was not.
const FURTHER_CONNECT: u64 = 10;

/// The endpoints of a batch, looked up as they are needed.
pub(super) struct Endpoints {
    hosts: VecDeque<String>,
    hosts_proven: bool,
    policy: Option<Policy>,
    pub(super) current: VecDeque<Endpoint>,
    /// Connections tried.
    tried: usize,
    /// Why the last one was of no use, and whether every one so far said never.
    pub(super) last: Option<String>,
    all_said_never: bool,
    pub(super) transcript: Vec<String>,
}

impl Worker<'_> {
    /// The next connection that comes about, or what to do when none does.
    pub(super) async fn connect(&mut self, errand: &Errand<'_>, endpoints: &mut Option<Endpoints>) -> std::result::Result<Connection, Outcome> {
        let &Errand { domain, way, heed, .. } = errand;
        if endpoints.is_none() {
            *endpoints = Some(self.endpoints(domain, way, heed).await?);
        }
        let Some(endpoints) = endpoints else { return Err(Outcome::Deferred { reason: "4.3.0 no endpoints".into() }) };
        let config = self.outbound.config();
        loop {
            let next = if endpoints.tried < TRIES { endpoints.current.pop_front() } else { None };
            let Some(endpoint) = next else {
                let Some(host) = endpoints.hosts.pop_front().filter(|_| endpoints.tried < TRIES) else {
                    let reason = endpoints.last.clone().unwrap_or_else(|| format!("4.4.4 {domain} has no host that can be used"));
                    return Err(match endpoints.all_said_never && endpoints.last.is_some() {
                        true => Outcome::Refused { reply: reason },
                        false => Outcome::Deferred { reason },
                    });
                };
                self.endpoints_of(&host, way, heed, endpoints).await;
                continue;
            };
            endpoints.tried += 1;
            let shown = endpoint.clone();
            let hello = config.hostname();
            let mut limits = config.outbound.clone();
            if endpoints.tried > 1 {
                // A destination whose first host is silent is often silent as a whole.
                limits.connect = limits.connect.min(FURTHER_CONNECT);
            }
            match Connection::open(endpoint, &hello, self.outbound.tls.clone(), &limits).await {
                Ok(connection) => {
                    // It was there: whatever follows, "never" is not what all of them said.
                    endpoints.all_said_never = false;
                    return Ok(connection);
                }
                Err((trouble, said)) => {
                    endpoints.transcript.push(format!("* {shown}"));
                    endpoints.transcript.extend(said);
                    let (reason, says_never) = describe(&trouble, &shown);
                    endpoints.transcript.push(format!("* {reason}"));
                    if let (Way::Route(name, route), Some(fault)) = (way, login_fault(&trouble, &reason)) {
                        self.hold_route(name, route, &fault).await;
                        return Err(Outcome::LoginRefused { reason: fault });
                    }
                    // TLS that was only offered and does not work: plain, as if it had not been offered (RFC 7435).
                    if matches!(trouble, Trouble::Tls(_)) && shown.security == Security::Opportunistic {
                        endpoints.current.push_front(Endpoint { security: Security::Plain, ..shown });
                    }
                    endpoints.all_said_never &= says_never;
                    endpoints.last = Some(reason);
                }
            }
        }
    }

    async fn endpoints(&self, domain: &str, way: &Way, heed: Heed) -> std::result::Result<Endpoints, Outcome> {
        let (hosts, policy) = match way {
            Way::Route(_, route) => (Hosts { names: vec![route.host.clone()], is_proven: false }, None),
            Way::Direct => {
                let own = self.outbound.hostname();
                let hosts = self.outbound.hosts(domain, &own).await.map_err(no_way)?;
                let policy = match heed {
                    Heed::Policy => self.outbound.sts_policy(domain).await,
                    Heed::Nothing => None,
                };
                (hosts, policy)
            }
        };
        Ok(Endpoints {
            hosts: hosts.names.into(),
            hosts_proven: hosts.is_proven,
            policy,
            current: VecDeque::new(),
            tried: 0,
            last: None,
            all_said_never: true,
            transcript: Vec::new(),
        })
    }

    /// Looks a host up; a host of no use leaves its reason.
    async fn endpoints_of(&self, host: &str, way: &Way, heed: Heed, endpoints: &mut Endpoints) {
        let useless = |endpoints: &mut Endpoints, why: String, is_never: bool| {
            endpoints.transcript.push(format!("* {why}"));
            endpoints.all_said_never &= is_never;
            endpoints.last = Some(why);
        };
        let known = Known { heed, policy: endpoints.policy.as_ref(), hosts_proven: endpoints.hosts_proven };
        match self.outbound.endpoints(host, way, known).await {
            Ok(found) => endpoints.current.extend(found),
            Err(NoWay::Never(why)) => useless(endpoints, why, true),
            Err(NoWay::NotNow(why)) => useless(endpoints, why, false),
        }
    }

    /// Nothing goes this way before the owner has acted, and the owner hears of it.
    async fn hold_route(&self, name: &str, route: &Route, fault: &str) {
        let now = self.outbound.now().at;
        let current = self.outbound.read(|r| r.routes()).await.unwrap_or_default();
        if current.iter().any(|(n, r)| n == name && !r.fault.is_empty()) {
            // Another worker met it a moment ago, and told.
            return;
        }
        let held = Route { fault: fault.to_string(), told_at: now, ..route.clone() };
        let change = pillarbox_store::SetRoute { domain: name.to_string(), route: held };
        if let Err(error) = self.outbound.store.change(change).done().await {
            tracing::error!(%error, "the fault of a provider can't be noted");
        }
        tracing::error!(host = route.host, fault, "sending through the provider is stopped until its login works");
        if let Err(error) = owner::tell_owner(self.outbound, owner::Message::ProviderLogin { host: &route.host, user: &route.user, reply: fault }).await {
            tracing::error!(%error, "the owner can't be told");
        }
    }
}

fn no_way(why: NoWay) -> Outcome {
    match why {
        NoWay::Never(reply) => Outcome::Refused { reply },
        NoWay::NotNow(reason) => Outcome::Deferred { reason },
    }
}

/// A reply as the ledger keeps it.
pub fn words(reply: &Reply) -> String {
    reply.on_one_line(" ")
}

/// Trouble in words with a status code, and whether it is a server's "never". What comes from outside (a reply, the names in
/// a certificate) may be long: as much is told as is kept.
pub fn describe(trouble: &Trouble, endpoint: &Endpoint) -> (String, bool) {
    let (mut text, is_never) = in_full(trouble, endpoint);
    text.truncate(clip(&text, DETAIL_OCTETS).len());
    (text, is_never)
}

fn in_full(trouble: &Trouble, endpoint: &Endpoint) -> (String, bool) {
    match trouble {
        Trouble::Connect(why) => (format!("4.4.1 connecting to {endpoint}: {why}"), false),
        Trouble::Tls(why) => (format!("4.7.10 TLS with {endpoint}: {why}"), false),
        Trouble::Content(why) => (format!("4.3.0 reading the message: {why}"), false),
        Trouble::Session(Failure::Refused { reply, .. }) => (format!("{} said: {}", endpoint.host, words(reply)), reply.is_permanent()),
        // It has said two things at once: another host may make sense, and another day.
        Trouble::Session(Failure::BrokenGreeting { reply }) => {
            (format!("4.5.0 {} greets with codes that contradict each other; its last line: {}", endpoint.host, words(reply)), false)
        }
        Trouble::Session(Failure::Broken { stage }) => (format!("4.4.2 the connection to {endpoint} broke while {stage}"), false),
        Trouble::Session(Failure::TimedOut { stage }) => (format!("4.4.2 {endpoint} was silent for too long while {stage}"), false),
        Trouble::Session(Failure::NotSmtp { stage }) => (format!("4.5.0 {endpoint} does not speak SMTP ({stage})"), false),
        Trouble::Session(Failure::NoTls) => (format!("4.7.10 {endpoint} offers no TLS, and mail must not go there without"), false),
        Trouble::Session(Failure::NoLogin) => (format!("4.7.9 {endpoint} offers no login that can be used"), false),
    }
}

/// What only the owner can mend: the provider's answer to our login.
fn login_fault(trouble: &Trouble, reason: &str) -> Option<String> {
    match trouble {
        Trouble::Session(Failure::Refused { stage: Stage::Login, reply }) if reply.is_permanent() => Some(reason.to_string()),
        Trouble::Session(Failure::NoLogin) => Some(reason.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_in_few_words_whatever_a_server_brings() {
        let endpoint = Endpoint {
            host: "mx.x".into(),
            address: std::net::IpAddr::from([192, 0, 2, 1]),
            port: 25,
            security: Security::Opportunistic,
            is_implicit: false,
            login: None,
        };
        let reply = || Reply::plain(550, "ü".repeat(100_000));
        let troubles = [
            Trouble::Tls(format!("its certificate is for {}", "name.example, ".repeat(10_000))),
            Trouble::Session(Failure::Refused { stage: Stage::Greeting, reply: reply() }),
            Trouble::Session(Failure::BrokenGreeting { reply: reply() }),
        ];
        for trouble in troubles {
            let (text, _) = describe(&trouble, &endpoint);
            assert!(text.len() <= DETAIL_OCTETS && text.len() > 1000, "{}", text.len());
        }
    }
}
