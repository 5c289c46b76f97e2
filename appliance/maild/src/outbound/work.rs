//! A worker: one piece of the queue, carried over one connection after another until each recipient has an outcome.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::client::{Failure, Mailing, Stage, Target};
use pillarbox_proto::smtp::{Body, Notify, Ret};
use pillarbox_store::{
    Content, Delivery, Fate, LedgerRecord, MessageId, Notices, Outgoing, QueueKey, QueueState, Resolution, Result, Route, Settlement, Traits, Transcript,
    Verdict, Waiting,
};

use super::endpoint::{Heed, Known};
use super::notice::{self, About, Facts, Returned};
use super::schedule::{self, Notice, Outcome};
use super::sts::Policy;
use super::tls::Security;
use super::transport::{Connection, Endpoint, Source, Trouble};
use super::way::NoWay;
use super::{Batch, Outbound, Way, owner};
use crate::context::{Context, fresh_code, off_thread};

/// Settlements under way while the next message is being sent.
const UNSETTLED: usize = 8;
/// Connections tried in one attempt: a destination with many dead hosts must not keep a worker for an hour.
const TRIES: usize = 10;
/// Seconds that further hosts get to be reached, after the first one was not.
const FURTHER_CONNECT: u64 = 10;
/// Pause after a fault of our own store, so that it is not met again and again in a tight loop.
const FAULT_PAUSE: std::time::Duration = std::time::Duration::from_secs(5);

/// Some recipients of one message.
struct Group {
    message: MessageId,
    recipients: Vec<(u32, Waiting)>,
}

/// Works through a batch, and through what else is due for the same destination while the connection is good.
pub async fn run(context: Arc<Context>, batch: Batch) {
    let _alive = context.alive();
    let destination = batch.way.destination(&batch.domain);
    let mut worker = Worker { context: &context, connection: None, settling: VecDeque::new() };
    let mut next = Some(batch);
    while let Some(batch) = next.take() {
        let domain = batch.domain.clone();
        worker.batch(batch).await;
        let is_over = *context.stop().borrow();
        if !is_over && worker.connection.as_ref().is_some_and(|(_, c)| c.served < worker.limits().messages_per_connection) {
            next = context.outbound.claim(&context, Some(destination.clone())).await.ok().flatten();
        }
        // A connection serves one domain, or all of a route.
        if next.as_ref().is_some_and(|b| b.domain != domain && matches!(b.way, Way::Direct)) {
            worker.hang_up().await;
        }
    }
    worker.hang_up().await;
    worker.settle_all().await;
    context.outbound.worker_ends(&destination);
    context.outbound.wake();
}

struct Worker<'a> {
    context: &'a Arc<Context>,
    /// A connection, and whether the destination's TLS policy was heeded for it.
    connection: Option<(Heed, Connection)>,
    settling: VecDeque<(Vec<QueueKey>, pillarbox_store::Pending<()>)>,
}

/// The endpoints of a batch, looked up as they are needed.
struct Endpoints {
    hosts: VecDeque<String>,
    hosts_proven: bool,
    policy: Option<Policy>,
    current: VecDeque<Endpoint>,
    /// Connections tried.
    tried: usize,
    /// Why the last one was of no use, and whether every one so far said never.
    last: Option<String>,
    all_said_never: bool,
    transcript: Vec<String>,
}

impl Worker<'_> {
    fn limits(&self) -> crate::config::Outbound {
        self.context.settings().config.outbound.clone()
    }

    fn outbound(&self) -> &Outbound {
        &self.context.outbound
    }

    async fn batch(&mut self, batch: Batch) {
        let limit = self.limits().recipients_per_message;
        let mut messages: BTreeMap<MessageId, Vec<(u32, Waiting)>> = BTreeMap::new();
        for (key, waiting) in batch.entries {
            messages.entry(key.message).or_default().push((key.recipient, waiting));
        }
        let mut endpoints: [Option<Endpoints>; 2] = [None, None];
        for (message, recipients) in messages {
            let all: Vec<QueueKey> = recipients.iter().map(|(r, _)| QueueKey { message, recipient: *r }).collect();
            let read = self.context.read(move |r| Ok((r.outgoing(message)?, r.content(message)?))).await;
            let (outgoing, content) = match read {
                Ok((Some(outgoing), Some(content))) => (outgoing, content),
                // Removed by the owner a moment ago.
                Ok(_) => {
                    self.outbound().give_back(all);
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, message = message.0, "a queued message can't be read");
                    tokio::time::sleep(FAULT_PAUSE).await;
                    self.outbound().give_back(all);
                    continue;
                }
            };
            let (given_up, waiting): (Vec<_>, Vec<_>) = recipients.into_iter().partition(|(_, w)| w.state == QueueState::GivenUp);
            if !given_up.is_empty() {
                let outcomes = given_up.iter().map(|_| Outcome::GivenUp).collect();
                self.settle(&outgoing, &content, Group { message, recipients: given_up }, outcomes, Vec::new()).await;
            }
            for chunk in waiting.chunks(limit) {
                let group = Group { message, recipients: chunk.to_vec() };
                let heed = if outgoing.traits.contains(Traits::TLS_OPTIONAL) { Heed::Nothing } else { Heed::Policy };
                let endpoints = &mut endpoints[heed as usize];
                let (outcomes, transcript) = self.attempt(&batch.domain, &batch.way, heed, endpoints, &outgoing, &content, &group).await;
                self.settle(&outgoing, &content, group, outcomes, transcript).await;
            }
        }
    }

    /// One attempt for a group of recipients: an outcome for each.
    #[allow(clippy::too_many_arguments)] // what one attempt needs; a struct for it would only rename it
    async fn attempt(
        &mut self,
        domain: &str,
        way: &Way,
        heed: Heed,
        endpoints: &mut Option<Endpoints>,
        outgoing: &Outgoing,
        content: &Content,
        group: &Group,
    ) -> (Vec<Outcome>, Vec<String>) {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; group.recipients.len()];
        let mut transcript = Vec::new();
        let mut broke_it = false;
        let finish =
            |outcomes: Vec<Option<Outcome>>, rest: Outcome, transcript| (outcomes.into_iter().map(|o| o.unwrap_or_else(|| rest.clone())).collect(), transcript);
        if let Way::Route(_, route) = way
            && !route.fault.is_empty()
        {
            return finish(outcomes, Outcome::LoginRefused { reason: route.fault.clone() }, transcript);
        }
        loop {
            if self.connection.as_ref().is_some_and(|(of, _)| *of != heed) {
                self.hang_up().await;
            }
            if self.connection.is_none() {
                match self.connect(domain, way, heed, endpoints).await {
                    Ok(connection) => self.connection = Some((heed, connection)),
                    Err(outcome) => {
                        if let Some(endpoints) = endpoints {
                            transcript.append(&mut endpoints.transcript.clone());
                        }
                        // Hosts that this message made hang up may take the next one.
                        if broke_it {
                            *endpoints = None;
                        }
                        return finish(outcomes, outcome, transcript);
                    }
                }
            }
            let Some((_, mut connection)) = self.connection.take() else { continue };
            if outgoing.traits.contains(Traits::REQUIRE_TLS) && !connection.is_verified() {
                let reply = format!("5.7.30 The identity of {} can't be proven, and the sender asked for that (REQUIRETLS)", connection.endpoint().host);
                self.connection = Some((heed, connection));
                return finish(outcomes, Outcome::Refused { reply }, transcript);
            }
            let open: Vec<usize> = (0..outcomes.len()).filter(|&at| outcomes[at].is_none()).collect();
            let prepared = self.prepare(outgoing, content, group, &open, connection.takes_eight_bit()).await;
            let (mailing, mut source) = match prepared {
                Ok(prepared) => prepared,
                Err(why) => {
                    tracing::error!(why, message = group.message.0, "a queued message can't be read");
                    self.connection = Some((heed, connection));
                    return finish(outcomes, Outcome::Deferred { reason: format!("4.3.0 {why}") }, transcript);
                }
            };
            let host = connection.endpoint().host.clone();
            let notices_passed_on = connection.sends_notices();
            let (report, trouble) = connection.send(mailing, &mut source).await;
            transcript.push(format!("* {}", connection.endpoint()));
            transcript.append(&mut connection.transcript());
            for (&at, reply) in open.iter().zip(report.outcomes) {
                outcomes[at] = reply.map(|reply| outcome(&host, &reply, notices_passed_on));
            }
            let Some(trouble) = trouble else {
                self.connection = Some((heed, connection));
                return finish(outcomes, Outcome::Deferred { reason: format!("4.4.2 {host} gave no answer") }, transcript);
            };
            let (reason, _) = describe(&trouble, connection.endpoint());
            transcript.push(format!("* {reason}"));
            let may_have_it =
                matches!(trouble, Trouble::Session(Failure::Broken { stage: Stage::FinalReply } | Failure::TimedOut { stage: Stage::FinalReply }));
            // A server that has had enough of this connection, not of the mail: the same one again, afresh.
            let has_had_enough = match &trouble {
                Trouble::Session(Failure::Refused { stage: Stage::Envelope, reply }) => reply.code == 421,
                Trouble::Session(Failure::Broken { stage: Stage::Envelope | Stage::Idle }) => true,
                _ => false,
            };
            if has_had_enough && connection.served > 1 {
                for at in open {
                    if matches!(outcomes[at], Some(Outcome::Deferred { .. })) {
                        outcomes[at] = None;
                    }
                }
                if let Some(endpoints) = endpoints {
                    endpoints.current.push_front(connection.endpoint().clone());
                }
                continue;
            }
            // Another host would get it a second time, where the first one may have it. And our own trouble follows us.
            if may_have_it || matches!(trouble, Trouble::Content(_)) || outcomes.iter().all(Option::is_some) {
                *endpoints = None;
                return finish(outcomes, Outcome::Deferred { reason }, transcript);
            }
            broke_it = true;
            if let Some(endpoints) = endpoints {
                endpoints.last = Some(reason);
            }
        }
    }

    /// The next connection that comes about, or what to do when none does.
    async fn connect(&mut self, domain: &str, way: &Way, heed: Heed, endpoints: &mut Option<Endpoints>) -> std::result::Result<Connection, Outcome> {
        if endpoints.is_none() {
            *endpoints = Some(self.endpoints(domain, way, heed).await?);
        }
        let Some(endpoints) = endpoints else { return Err(Outcome::Deferred { reason: "4.3.0 no endpoints".into() }) };
        let settings = self.context.settings();
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
            let hello = settings.config.hostname();
            let mut limits = settings.config.outbound.clone();
            if endpoints.tried > 1 {
                // A destination whose first host is silent is often silent as a whole.
                limits.connect = limits.connect.min(FURTHER_CONNECT);
            }
            match Connection::open(endpoint, &hello, self.outbound().tls.clone(), &limits).await {
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
            Way::Route(_, route) => (super::way::Hosts { names: vec![route.host.clone()], is_proven: false }, None),
            Way::Direct => {
                let own = self.context.settings().config.hostname();
                let hosts = self.outbound().hosts(domain, &own).await.map_err(no_way)?;
                let policy = match heed {
                    Heed::Policy => self.outbound().sts_policy(self.context, domain).await,
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
        match self.outbound().endpoints(self.context, host, way, known).await {
            Ok(found) => endpoints.current.extend(found),
            Err(NoWay::Never(why)) => useless(endpoints, why, true),
            Err(NoWay::NotNow(why)) => useless(endpoints, why, false),
        }
    }

    /// Nothing goes this way before the owner has acted, and the owner hears of it.
    async fn hold_route(&self, name: &str, route: &Route, fault: &str) {
        let now = self.outbound().now().at;
        let current = self.context.read(|r| r.routes()).await.unwrap_or_default();
        if current.iter().any(|(n, r)| n == name && !r.fault.is_empty()) {
            // Another worker met it a moment ago, and told.
            return;
        }
        let held = Route { fault: fault.to_string(), told_at: now, ..route.clone() };
        let change = pillarbox_store::Change::SetRoute { domain: name.to_string(), route: held };
        if let Err(error) = self.context.store.change(change).done().await {
            tracing::error!(%error, "the fault of a provider can't be noted");
        }
        tracing::error!(host = route.host, fault, "sending through the provider is stopped until its login works");
        if let Err(error) = owner::tell_owner(self.context, owner::Message::ProviderLogin { host: &route.host, user: &route.user, reply: fault }).await {
            tracing::error!(%error, "the owner can't be told");
        }
    }

    /// What the core needs for one message, for a server with these abilities.
    async fn prepare(
        &self,
        outgoing: &Outgoing,
        content: &Content,
        group: &Group,
        open: &[usize],
        takes_eight_bit: bool,
    ) -> std::result::Result<(Mailing, Source), String> {
        let is_wide = outgoing.traits.contains(Traits::EIGHT_BIT);
        let converts = is_wide && !takes_eight_bit;
        let store = self.context.store.clone();
        let (front, octets) = match converts {
            false => (outgoing.signature.clone(), content.octets - content.delivery_octets() as u64 + outgoing.signature.len() as u64),
            true => {
                // What is converted has to be signed anew.
                let (context, content, domain) = (self.context.clone(), content.clone(), domain_of(&outgoing.sender).to_string());
                let signed = tokio::task::spawn_blocking(move || {
                    let keys = context.outbound.signer.keys(&context.store, &domain)?;
                    let mut octets = 0;
                    let front = keys.sign(|write| {
                        Source::blocking(&context.store, &content, true, &mut |piece| {
                            octets += piece.len() as u64;
                            write(piece);
                        })
                    })?;
                    Ok::<_, String>((front, octets))
                });
                let (front, octets) = signed.await.map_err(|e| e.to_string())??;
                let octets = octets + front.len() as u64;
                (front, octets)
            }
        };
        let ret = match outgoing.traits {
            t if t.contains(Traits::RETURN_HEADERS) => Some(Ret::Headers),
            t if t.contains(Traits::RETURN_FULL) => Some(Ret::Full),
            _ => None,
        };
        let envid = match outgoing.envid.is_empty() {
            // Our own code: a notice that comes back names it.
            true => Some(outgoing.code.to_string()),
            false => Some(outgoing.envid.clone()),
        };
        let recipients = open.iter().map(|&at| {
            let waiting = &group.recipients[at].1;
            let has = |notice| waiting.notices.contains(notice);
            let notify = has(Notices::ASKED).then(|| Notify { success: has(Notices::SUCCESS), failure: has(Notices::FAILURE), delay: has(Notices::DELAY) });
            let orcpt = (!waiting.orcpt.is_empty()).then(|| waiting.orcpt.clone());
            Target { address: waiting.address.clone(), notify, orcpt }
        });
        let mailing = Mailing {
            reverse_path: outgoing.sender.clone(),
            octets,
            body: if is_wide && !converts { Body::EightBitMime } else { Body::SevenBit },
            smtputf8: outgoing.traits.contains(Traits::UTF8),
            requiretls: outgoing.traits.contains(Traits::REQUIRE_TLS),
            ret,
            envid,
            recipients: recipients.collect(),
        };
        Ok((mailing, Source::new(&store, content, front, converts)))
    }

    /// Writes outcomes down with all that follows from them. The commit is awaited later.
    async fn settle(&mut self, outgoing: &Outgoing, content: &Content, group: Group, outcomes: Vec<Outcome>, transcript: Vec<String>) {
        let now = self.outbound().now();
        let limits = self.limits();
        let keys: Vec<QueueKey> = group.recipients.iter().map(|(r, _)| QueueKey { message: group.message, recipient: *r }).collect();
        let first = group.recipients.first().map_or(0, |(r, _)| *r);
        let mut settlement = Settlement {
            message: group.message,
            at: now.at,
            verdicts: Vec::new(),
            records: Vec::new(),
            notices: Vec::new(),
            transcript: (!transcript.is_empty()).then(|| (first, Transcript { at: now.at, text: transcript.join("\n") })),
        };
        let mut notices: BTreeMap<u8, (Notice, Vec<About>)> = BTreeMap::new();
        for ((recipient, waiting), outcome) in group.recipients.into_iter().zip(outcomes) {
            let spread = group.message.0.wrapping_mul(31).wrapping_add(u64::from(recipient));
            let mut step = schedule::decide(&waiting, outcome, now, &limits, spread);
            if let Verdict::Keep(kept) = &mut step.verdict {
                kept.transcript = (!transcript.is_empty()).then_some(first);
            }
            tracing::info!(
                id = %outgoing.code, to = waiting.address, fate = step.fate.as_str(), detail = step.detail,
                attempts = waiting.attempts + 1, "delivery attempt"
            );
            let about = About {
                address: waiting.address.clone(),
                orcpt: waiting.orcpt.clone(),
                detail: step.detail.clone(),
                until: waiting.since.max(1).saturating_add(limits.lifetime),
                attempted_at: now.at,
            };
            if let Some(notice) = step.notice {
                notices.entry(notice as u8).or_insert_with(|| (notice, Vec::new())).1.push(about);
            }
            note(&mut settlement.records, outgoing, group.message, now.at, step.fate, step.detail, waiting.address);
            settlement.verdicts.push((recipient, step.verdict));
        }
        if !outgoing.sender.is_empty() && !outgoing.traits.contains(Traits::AUTOMATIC) {
            for (notice, about) in notices.into_values() {
                match self.notice(outgoing, content, group.message, notice, &about, now.at).await {
                    Ok(delivery) => settlement.notices.extend(delivery),
                    Err(error) => {
                        // Without its notice a failure must not be settled: the next attempt brings both.
                        tracing::error!(%error, message = group.message.0, "a notice can't be written");
                        tokio::time::sleep(FAULT_PAUSE).await;
                        return self.outbound().give_back(keys);
                    }
                }
            }
        }
        self.settling.push_back((keys, self.context.store.settle(settlement)));
        if self.settling.len() >= UNSETTLED {
            self.settle_one().await;
        }
    }

    async fn settle_one(&mut self) {
        if let Some((keys, pending)) = self.settling.pop_front() {
            if let Err(error) = pending.done().await {
                tracing::error!(%error, "what an attempt came to could not be written; it is tried again");
                tokio::time::sleep(FAULT_PAUSE).await;
            }
            self.outbound().give_back(keys);
        }
    }

    async fn settle_all(&mut self) {
        while !self.settling.is_empty() {
            self.settle_one().await;
        }
    }

    async fn hang_up(&mut self) {
        if let Some((_, connection)) = self.connection.take() {
            connection.quit().await;
        }
    }

    /// A notice to the sender, into a mailbox of this box: senders are always ours. Where the sender's mailbox is
    /// gone, the owner reads it.
    async fn notice(&self, outgoing: &Outgoing, content: &Content, message: MessageId, notice: Notice, about: &[About], at: u64) -> Result<Option<Delivery>> {
        let (context, outgoing, content, about) = (self.context.clone(), outgoing.clone(), content.clone(), about.to_vec());
        let hostname = context.settings().config.hostname();
        off_thread(move || {
            let store = &context.store;
            let accounts = store.read(|r| match r.resolve(&outgoing.sender.to_lowercase())? {
                Resolution::Accounts(accounts) => Ok(accounts),
                _ => Ok(r.accounts()?.first().map(|(id, _)| *id).into_iter().collect()),
            })?;
            if accounts.is_empty() {
                return Ok(None);
            }
            let code = fresh_code();
            let whole = notice == Notice::Failed && !outgoing.traits.contains(Traits::RETURN_HEADERS) && content.octets <= notice::RETURN_OCTETS as u64;
            let mut original = Vec::new();
            Source::blocking(store, &content, false, &mut |piece| {
                let room = notice::RETURN_OCTETS.saturating_sub(original.len()).min(piece.len());
                original.extend_from_slice(&piece[..room]);
            })?;
            if !whole {
                let end = memchr::memmem::find(&original, b"\r\n\r\n").map_or(original.len(), |at| at + 2);
                original.truncate(end.min(notice::HEADER_OCTETS));
            }
            let unique = getrandom::u64().unwrap_or(u64::from(code.0));
            let facts = Facts {
                hostname: &hostname,
                sender: &outgoing.sender,
                subject: &outgoing.subject,
                code: &outgoing.code.to_string(),
                arrived: outgoing.arrived,
                envid: &outgoing.envid,
                about: &about,
                returned: if whole { Returned::Message(original) } else { Returned::Header(original) },
                now: at,
                unique,
            };
            let text = notice::build(notice, &facts);
            owner::delivery(store, accounts, &outgoing.sender, &text, code, at).map(|mut delivery| {
                delivery.report_on = Some(message);
                Some(delivery)
            })
        })
        .await
    }
}

/// Adds a recipient's fate to the ledger's records; those with the same fate and words share one.
fn note(records: &mut Vec<LedgerRecord>, outgoing: &Outgoing, message: MessageId, at: u64, fate: Fate, detail: String, address: String) {
    if let Some(record) = records.iter_mut().find(|r| r.fate == fate && r.detail == detail) {
        return record.recipients.push(address);
    }
    records.push(LedgerRecord {
        sender: outgoing.sender.clone(),
        recipients: vec![address],
        subject: outgoing.subject.clone(),
        detail,
        messages: vec![message.0],
        ..LedgerRecord::new(at, fate, outgoing.code)
    });
}

fn no_way(why: NoWay) -> Outcome {
    match why {
        NoWay::Never(reply) => Outcome::Refused { reply },
        NoWay::NotNow(reason) => Outcome::Deferred { reason },
    }
}

/// A reply as the ledger keeps it.
pub fn words(reply: &Reply) -> String {
    let enhanced = reply.enhanced.map_or(String::new(), |Enhanced(a, b, c)| format!("{a}.{b}.{c} "));
    format!("{} {enhanced}{}", reply.code, reply.lines.join(" "))
}

fn outcome(host: &str, reply: &Reply, notices_passed_on: bool) -> Outcome {
    let said = format!("{host} said: {}", words(reply));
    match reply.code / 100 {
        2 => Outcome::Relayed { reply: said, notices_passed_on },
        5 => Outcome::Refused { reply: said },
        _ => Outcome::Deferred { reason: said },
    }
}

/// Trouble in words with a status code, and whether it is a server's "never".
pub fn describe(trouble: &Trouble, endpoint: &Endpoint) -> (String, bool) {
    match trouble {
        Trouble::Connect(why) => (format!("4.4.1 connecting to {endpoint}: {why}"), false),
        Trouble::Tls(why) => (format!("4.7.10 TLS with {endpoint}: {why}"), false),
        Trouble::Content(why) => (format!("4.3.0 reading the message: {why}"), false),
        Trouble::Session(Failure::Refused { reply, .. }) => (format!("{} said: {}", endpoint.host, words(reply)), reply.is_permanent()),
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

pub fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}
