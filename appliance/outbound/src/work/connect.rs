//! From a destination to a connection: its hosts one after the other, until one can be used or the reason is known why
//! none can.

use std::collections::VecDeque;

use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::client::{Failure, Stage};
use pillarbox_store::{Detail, RemoteReply, Route, Status};

use super::{Attempt, Worker};
use crate::endpoint::{Known, TlsPolicyMode};
use crate::exchangers::{Hosts, NoHosts};
use crate::owner;
use crate::policy::Policy;
use crate::schedule::{DETAIL_OCTETS, Outcome};
use crate::sender::NextHop;
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
    pub(super) last: Option<Detail>,
    all_said_never: bool,
    pub(super) transcript: Vec<String>,
}

impl Endpoints {
    /// What follows when none is left: "never" only if all of them said so.
    fn exhausted(&self, domain: &str) -> Outcome {
        match &self.last {
            Some(reason) if self.all_said_never => Outcome::Refused { reply: reason.clone() },
            Some(reason) => Outcome::Deferred { reason: reason.clone() },
            None => {
                let text = format!("{domain} has no host that can be used");
                Outcome::Deferred { reason: Detail::found(4, 4, 4, text) }
            }
        }
    }
}

impl Worker<'_> {
    /// The next connection that comes about, or what to do when none does.
    pub(super) async fn connect(
        &mut self,
        attempt: &Attempt<'_>,
        endpoints: &mut Option<Endpoints>,
    ) -> std::result::Result<Connection, Outcome> {
        let &Attempt { domain, next_hop, tls_mode, .. } = attempt;
        if endpoints.is_none() {
            *endpoints = Some(self.endpoints(domain, next_hop, tls_mode).await?);
        }
        let Some(endpoints) = endpoints else {
            return Err(Outcome::Deferred { reason: Detail::found(4, 3, 0, "no endpoints") });
        };
        while let Some(endpoint) = self.next_endpoint(attempt, endpoints).await {
            endpoints.tried += 1;
            let shown = endpoint.clone();
            let (trouble, said) = match self.open(endpoint, endpoints.tried).await {
                Ok(connection) => {
                    // It was there: whatever follows, "never" is not what all of them said.
                    endpoints.all_said_never = false;
                    return Ok(connection);
                }
                Err(failed) => failed,
            };
            endpoints.transcript.push(format!("* {shown}"));
            endpoints.transcript.extend(said);
            let (reason, says_never) = describe(&trouble, &shown);
            endpoints.transcript.push(format!("* {reason}"));
            if let (NextHop::Route(name, route), Some(fault)) =
                (next_hop, login_fault(&trouble, &reason))
            {
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
        Err(endpoints.exhausted(domain))
    }

    /// Where to try next: hosts are looked up as they are needed.
    async fn next_endpoint(
        &self,
        attempt: &Attempt<'_>,
        endpoints: &mut Endpoints,
    ) -> Option<Endpoint> {
        while endpoints.tried < TRIES {
            if let Some(endpoint) = endpoints.current.pop_front() {
                return Some(endpoint);
            }
            let host = endpoints.hosts.pop_front()?;
            self.endpoints_of(&host, attempt.next_hop, attempt.tls_mode, endpoints).await;
        }
        None
    }

    /// Connects; `tried`: connections of this destination so far, this one included.
    async fn open(
        &self,
        endpoint: Endpoint,
        tried: usize,
    ) -> std::result::Result<Connection, (Trouble, Vec<String>)> {
        let config = self.outbound.config();
        let mut limits = config.outbound.clone();
        if tried > 1 {
            // A destination whose first host is silent is often silent as a whole.
            limits.connect = limits.connect.min(FURTHER_CONNECT);
        }
        let tls = self.outbound.tls.clone();
        Connection::open(endpoint, &config.hostname(), tls, &limits).await
    }

    async fn endpoints(
        &self,
        domain: &str,
        next_hop: &NextHop,
        tls_mode: TlsPolicyMode,
    ) -> std::result::Result<Endpoints, Outcome> {
        let (hosts, policy) = match next_hop {
            NextHop::Route(_, route) => {
                (Hosts { names: vec![route.host.clone()], is_proven: false }, None)
            }
            NextHop::Direct => {
                let own = self.outbound.hostname();
                let hosts = self.outbound.hosts(domain, &own).await.map_err(no_hosts)?;
                let policy = match tls_mode {
                    TlsPolicyMode::Follow => self.outbound.sts_policy(domain).await,
                    TlsPolicyMode::Ignore => None,
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
    async fn endpoints_of(
        &self,
        host: &str,
        next_hop: &NextHop,
        tls_mode: TlsPolicyMode,
        endpoints: &mut Endpoints,
    ) {
        let useless = |endpoints: &mut Endpoints, why: Detail, is_never: bool| {
            endpoints.transcript.push(format!("* {why}"));
            endpoints.all_said_never &= is_never;
            endpoints.last = Some(why);
        };
        let known = Known {
            tls_mode,
            policy: endpoints.policy.as_ref(),
            hosts_proven: endpoints.hosts_proven,
        };
        match self.outbound.endpoints(host, next_hop, known).await {
            Ok(found) => endpoints.current.extend(found),
            Err(NoHosts::Never(why)) => useless(endpoints, why, true),
            Err(NoHosts::NotNow(why)) => useless(endpoints, why, false),
        }
    }

    /// Nothing goes this way before the owner has acted, and the owner hears of it.
    async fn hold_route(&self, name: &str, route: &Route, fault: &Detail) {
        let now = self.outbound.now().at;
        let current = self.outbound.read(|r| r.routes()).await.unwrap_or_default();
        if current.iter().any(|(n, r)| n == name && !r.fault.is_none()) {
            // Another worker met it a moment ago, and reported it.
            return;
        }
        let held = Route { fault: fault.clone(), told_at: now, ..route.clone() };
        let change = pillarbox_store::SetRoute { domain: name.to_string(), route: held };
        if let Err(error) = self.outbound.store.change(change).done().await {
            tracing::error!(%error, "the fault of a provider can't be noted");
        }
        tracing::error!(host = route.host, %fault, "sending through the provider is stopped until its login works");
        let message = owner::Message::ProviderLogin {
            host: &route.host,
            user: &route.user,
            reply: &fault.to_string(),
        };
        if let Err(error) = owner::tell_owner(self.outbound, message).await {
            tracing::error!(%error, "the owner can't be told");
        }
    }
}

fn no_hosts(why: NoHosts) -> Outcome {
    match why {
        NoHosts::Never(reply) => Outcome::Refused { reply },
        NoHosts::NotNow(reason) => Outcome::Deferred { reason },
    }
}

/// A server's reply as the ledger keeps it.
/// A status of another class than the reply code's is one, too.
pub fn said(host: &str, reply: &Reply) -> Detail {
    let text = reply.lines.join(" ");
    let (status, text) = match (reply.enhanced, Status::leading(&text)) {
        (Some(Enhanced(class, subject, detail)), _) => {
            (Some(Status { class, subject, detail }), text)
        }
        (None, Some((status, rest))) => (Some(status), rest.to_string()),
        (None, None) => (None, text),
    };
    Detail::Reply(RemoteReply { host: host.to_string(), code: reply.code, status, text })
}

/// Trouble as the ledger keeps it, and whether it is a server's "never".
/// What comes from outside (a reply, the names in a certificate) may be long: as much is reported as is kept.
pub fn describe(trouble: &Trouble, endpoint: &Endpoint) -> (Detail, bool) {
    let (detail, is_never) = in_full(trouble, endpoint);
    (detail.clipped(DETAIL_OCTETS).into_owned(), is_never)
}

fn in_full(trouble: &Trouble, endpoint: &Endpoint) -> (Detail, bool) {
    let failure = match trouble {
        Trouble::Connect(why) => {
            return (Detail::found(4, 4, 1, format!("connecting to {endpoint}: {why}")), false);
        }
        Trouble::Tls(why) => {
            return (Detail::found(4, 7, 10, format!("TLS with {endpoint}: {why}")), false);
        }
        Trouble::Content(why) => {
            return (Detail::found(4, 3, 0, format!("reading the message: {why}")), false);
        }
        Trouble::Session(failure) => failure,
    };
    let (subject, detail, text) = match failure {
        Failure::Refused { reply, .. } => {
            return (said(&endpoint.host, reply), reply.is_permanent());
        }
        // It has said two things at once: another host may make sense, and another day.
        Failure::BrokenGreeting { reply } => {
            let last = reply.on_one_line(" ");
            (
                5,
                0,
                format!(
                    "{} greets with codes that contradict each other; its last line: {last}",
                    endpoint.host
                ),
            )
        }
        Failure::Broken { stage } => {
            (4, 2, format!("the connection to {endpoint} broke while {stage}"))
        }
        Failure::TimedOut { stage } => {
            (4, 2, format!("{endpoint} was silent for too long while {stage}"))
        }
        Failure::NotSmtp { stage } => (5, 0, format!("{endpoint} does not speak SMTP ({stage})")),
        Failure::NoTls => {
            (7, 10, format!("{endpoint} offers no TLS, and mail must not go there without"))
        }
        Failure::NoLogin => (7, 9, format!("{endpoint} offers no login that can be used")),
    };
    (Detail::found(4, subject, detail, text), false)
}

/// What only the owner can mend: the provider's answer to our login.
fn login_fault(trouble: &Trouble, reason: &Detail) -> Option<Detail> {
    match trouble {
        Trouble::Session(Failure::Refused { stage: Stage::Login, reply })
            if reply.is_permanent() =>
        {
            Some(reason.clone())
        }
        Trouble::Session(Failure::NoLogin) => Some(reason.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_kept_with_the_status_that_it_has() {
        let status = |class| Some(Status { class, subject: 7, detail: 1 });
        for (reply, kept, wording) in [
            (Reply::new(550, Enhanced(5, 7, 1), "no"), status(5), "mx.x said: 550 5.7.1 no"),
            // Of another class than the code: the client core leaves it in the text.
            (Reply::plain(450, "5.7.1 no"), status(5), "mx.x said: 450 5.7.1 no"),
            (Reply::plain(250, "ok"), None, "mx.x said: 250 ok"),
        ] {
            let detail = said("mx.x", &reply);
            assert_eq!((detail.status(), detail.to_string().as_str()), (kept, wording));
        }
    }

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
            let (detail, _) = describe(&trouble, &endpoint);
            let text = detail.to_string();
            assert!(text.len() <= DETAIL_OCTETS && text.len() > 1000, "{}", text.len());
        }
    }
}
