//! Final delivery (MDA, RFC 5598 §4.2.4): content passes a tap into the spool; at its end evidence is gathered, a
//! verdict decides where it goes, trace fields are put in front, and one durable write takes it in.

mod intake;
mod looking;
mod placement;
pub mod tap;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pillarbox_filter::authentication::{self, Authentication, Client};
use pillarbox_filter::content::Model;
use pillarbox_filter::files;
use pillarbox_filter::listing::Lists;
use pillarbox_filter::verdict::{Decide, Evidence, Policy, Verdict, decide};
use pillarbox_filter::{dkim, results};
use pillarbox_host::net;
use pillarbox_message::head;
use pillarbox_outbound::dkim::Signer;
use pillarbox_platform::budget::{Budget, Charge, Party};
use pillarbox_platform::clock;
use pillarbox_platform::dns::Dns;
use pillarbox_proto::reply::{Enhanced, Reply};
use pillarbox_proto::smtp::{ReversePath, trace};
use pillarbox_store::{
    AccountId, Checksum, Delivered, Delivery, Detail, Error, Fate, LedgerRecord, MessageId, Reader,
    Relay, Result, ShortCode, Spool, Spooled, Store, off_thread,
};

use crate::filtering;
use crate::learning::Learned;
use intake::Intake;
use looking::{Looking, Seen};
use pillarbox_vocabulary::Timestamp;
use placement::{Refused, placements};
use tap::Tap;
use tokio::sync::Semaphore;

/// Content is handed to the disk in pieces of this size while memory is scarce.
const SMALL_PIECE: usize = 16 * 1024;
/// How long a message that has begun waits for memory: others are about to be done, as a rule.
const SHORT: Duration = Duration::from_millis(500);
/// How much of the front of a message is looked at for its subject.
const HEAD: usize = 16 * 1024;
/// The same for notices, which name the message they are about further down.
const NOTICE_HEAD: usize = 64 * 1024;
/// Octets of a message that is looked into at once, without waiting for a turn.
const GLANCED: u64 = 64 * 1024;
/// Messages whose files are looked into at one time: it takes a core while it lasts.
const LOOKS: usize = 2;
/// Memory that is set aside for the trace fields: of those with what was found, a longer one is left out.
const TRACE: usize = 8 * 1024;

/// Puts mail into mailboxes and queue.
pub struct DeliveryAgent {
    store: Store,
    signer: Arc<Signer>,
    dns: Arc<Dns>,
    /// Memory for message content that comes in.
    budget: Budget,
    /// Turns to look into what messages carry.
    looking: Arc<Semaphore>,
    learned: Learned,
    lists: Arc<Lists>,
    decide: Decide,
}

impl DeliveryAgent {
    /// `octets`: of content that may be in memory at one time.
    pub fn new(store: Store, signer: Arc<Signer>, dns: Arc<Dns>, octets: usize) -> DeliveryAgent {
        let (looking, learned) = (Arc::new(Semaphore::new(LOOKS)), Learned::default());
        let (budget, lists) = (Budget::new(octets), Arc::default());
        DeliveryAgent { store, signer, dns, budget, looking, learned, lists, decide }
    }

    /// The same with lists of spammers that are asked.
    pub fn asking(self, lists: Arc<Lists>) -> DeliveryAgent {
        DeliveryAgent { lists, ..self }
    }

    /// The same with what was learned of wanted and unwanted messages.
    pub fn knowing(self, learned: Learned) -> DeliveryAgent {
        DeliveryAgent { learned, ..self }
    }

    /// The same with another decision on where messages go.
    pub fn deciding(self, decide: Decide) -> DeliveryAgent {
        DeliveryAgent { decide, ..self }
    }

    /// Whether memory for content is scarce for this party.
    pub fn is_scarce(&self, party: Party) -> bool {
        self.budget.is_scarce(party)
    }
}

/// A message on its way into the store.
pub struct Incoming<'a> {
    agent: &'a DeliveryAgent,
    intake: Intake,
    tap: Tap,
    arrived: Timestamp,
    charge: Charge<'a>,
}

/// The envelope facts that final delivery needs.
pub struct Envelope<'a> {
    pub code: ShortCode,
    pub peer: IpAddr,
    /// The reverse-path; empty for notices.
    pub sender: &'a str,
    /// How it came; the date is put in here.
    pub received: trace::Received,
    /// Local recipients as given, in order.
    pub recipients: Vec<String>,
    pub accounts: Vec<AccountId>,
    /// The account that submitted it and keeps a copy among what it sent.
    pub sent_by: Option<AccountId>,
    /// The part for other servers; its signature, `EIGHT_BIT` and `LONG_LINES` are found out here.
    pub relay: Option<Relay>,
    /// The domain that signs what goes out.
    pub signing_domain: String,
    /// The sent message that this one is a notice about.
    pub report_on: Option<MessageId>,
}

impl<'a> Incoming<'a> {
    /// Begins, and waits for memory where it is scarce.
    ///
    /// # Errors
    /// [`Error::Busy`] when there was no memory in time, here and for each piece that follows.
    pub async fn begin(
        agent: &'a DeliveryAgent,
        reverse_path: &ReversePath,
        (peer, party): (IpAddr, Party),
    ) -> Result<Incoming<'a>> {
        let mut charge = agent.budget.charge(peer, party);
        charge.hold(TRACE).await.map_err(|_| Error::Busy)?;
        // Of an address that means another machine everywhere nothing can be asked.
        let is_asked = party == Party::Stranger && !net::is_private(peer);
        let tap = Tap::new(
            if *reverse_path == ReversePath::Null { NOTICE_HEAD } else { HEAD },
            is_asked.then(dkim::Reading::default),
        );
        Ok(Incoming {
            agent,
            intake: Intake::new(agent.store.spool()),
            tap,
            arrived: clock::now(),
            charge,
        })
    }

    /// Appends content.
    ///
    /// Only the first piece waits long for memory, when the message holds none: messages that hold a part and wait for
    /// more might all wait for each other.
    pub async fn append(&mut self, octets: &[u8]) -> Result<()> {
        self.charge.hold(self.least()).await.map_err(|_| Error::Busy)?;
        self.tap.see(octets);
        if self.charge.hold_within(self.memory() + octets.len(), SHORT).await.is_ok() {
            self.intake.write(octets).await?;
        } else {
            // What is held beyond the least goes to the disk, then the rest in small pieces.
            for piece in octets.chunks(SMALL_PIECE) {
                self.intake.spill().await?;
                self.intake.write(piece).await?;
            }
        }
        // Once a piece went to the disk its memory is free again.
        self.charge.shrink(self.memory().max(self.least()));
        Ok(())
    }

    fn memory(&self) -> usize {
        TRACE + self.tap.memory() + self.intake.memory()
    }

    /// Memory with which a message comes in whatever its size.
    fn least(&self) -> usize {
        TRACE + self.tap.most_memory() + SMALL_PIECE
    }

    /// The front part of the message as it was sent.
    pub fn head(&self) -> &[u8] {
        self.tap.front()
    }

    /// Looks into the message: what it carries, and what it says.
    async fn look_into(&self, mut spool: Spool, envelope: &Envelope<'_>) -> Result<(Spool, Seen)> {
        let (model, front) = (self.agent.learned.model(), self.tap.front());
        // Nothing is looked for in what the box's own people send.
        if envelope.sent_by.is_some() || model.is_none() && files::is_plain_text(front) {
            return Ok((spool, Seen::default()));
        }
        if !spool.blocks(0)
            && spool.octets() <= GLANCED
            && let Some(seen) = self.looking(model, envelope).glance(&spool)?
        {
            return Ok((spool, seen));
        }
        // What is looked for is made when it is its turn: those that wait hold nothing more.
        let _turn = self.agent.looking.acquire().await.map_err(|_| Error::Closed)?;
        let looking = self.looking(self.agent.learned.model(), envelope);
        off_thread(move || looking.look(&spool).map(|seen| (spool, seen))).await
    }

    /// What is to be looked for.
    fn looking(&self, model: Option<Arc<Model>>, envelope: &Envelope<'_>) -> Looking {
        let front = self.tap.front();
        let mut before = Vec::new();
        if model.is_some() {
            before = trace_fields(envelope.sender, "", &envelope.received, front).0;
            before.extend_from_slice(front);
        }
        Looking { has_files: !files::is_plain_text(front), model, front: before }
    }

    /// Gathers the evidence, within a time, and decides.
    async fn judge(
        &mut self,
        envelope: &Envelope<'_>,
        seen: &Seen,
    ) -> Result<(Option<Authentication>, Verdict)> {
        let (agent, signed) = (self.agent, self.tap.take_signed());
        let policy = match signed.is_some() || !seen.files.is_empty() {
            true => agent.store.read_off_thread(filtering::policy).await?,
            false => Policy::default(),
        };
        let found = match signed {
            Some(signed) => {
                let client = Client {
                    address: envelope.peer.to_canonical(),
                    hello: envelope.received.hello.clone(),
                    sender: envelope.sender.to_string(),
                };
                let asked = (&agent.dns, &agent.lists);
                // Apart from what waits for it: all its questions at once would take much of a thread's stack.
                let examining = authentication::examine(asked, &client, signed, self.arrived);
                let found = Box::pin(examining).await;
                tracing::debug!(id = %envelope.code, ?found, "who sent it");
                Some(found)
            }
            None => None,
        };
        let evidence = Evidence {
            front: self.tap.front(),
            authentication: found.as_ref(),
            files: &seen.files,
            content: seen.thought.as_ref(),
        };
        let verdict = (agent.decide)(&evidence, &policy);
        Ok((found, verdict))
    }

    /// Those who have written to the author before, where the verdict spares them.
    async fn knowing(
        &self,
        verdict: &Verdict,
        accounts: &[AccountId],
        found: Option<&Authentication>,
    ) -> Result<Vec<AccountId>> {
        let Some(found) = found.filter(|_| verdict.spares_known()) else { return Ok(Vec::new()) };
        let (accounts, authors) = (accounts.to_vec(), found.addresses.clone());
        let look = move |r: &Reader<'_>| {
            let mut knowing = Vec::new();
            for account in accounts {
                for author in &authors {
                    if r.contact(account, author)?.is_some_and(|contact| contact.written > 0) {
                        knowing.push(account);
                    }
                }
            }
            Ok(knowing)
        };
        self.agent.store.read_off_thread(look).await
    }

    /// Puts the message into folders and queue: when this returns well, it is on stable storage.
    ///
    /// # Errors
    /// [`Refusal::Said`] when the verdict is to refuse it; nothing was stored then.
    pub async fn deliver(
        mut self,
        envelope: Envelope<'_>,
    ) -> std::result::Result<Delivered, Refusal> {
        let spool = self.intake.complete().await?;
        let (mut spool, seen) = self.look_into(spool, &envelope).await?;
        let (found, verdict) = self.judge(&envelope, &seen).await?;
        let knowing = self.knowing(&verdict, &envelope.accounts, found.as_ref()).await?;
        let placements = placements(&verdict, &envelope.accounts, &knowing, envelope.sent_by);
        // RFC 3463 §3.8: delivery not authorized, message refused.
        let refusal = |Refused(why)| {
            let text = format!("{why} ({})", envelope.code);
            Refusal::Said(Reply::new(550, Enhanced(5, 7, 1), text))
        };
        let placements = placements.map_err(refusal)?;
        let mut relay = envelope.relay;
        if let Some(relay) = &mut relay {
            let (store, signer, domain) =
                (self.agent.store.clone(), self.agent.signer.clone(), envelope.signing_domain);
            let signed = off_thread(move || {
                let signature = sign(&store, &signer, &domain, &spool)?;
                Ok((spool, signature))
            });
            (spool, relay.outgoing.signature) = signed.await?;
            relay.outgoing.traits = relay.outgoing.traits.with(self.tap.traits());
        }
        let date = clock::rfc5322(self.arrived);
        let received = trace::Received { date, ..envelope.received };
        let summary = verdict.summary();
        let peer = envelope.peer.to_canonical();
        let said = said(&received.hostname, peer, found.as_ref(), &verdict);
        let (prefix, delivery_octets) =
            trace_fields(envelope.sender, &said, &received, self.tap.front());
        let expected = Checksum::of(&prefix).followed_by(self.tap.sum());
        spool.put_in_front(prefix)?;
        let content = match spool.blocks(0) {
            true => off_thread(move || spool.finish()).await?,
            false => spool.finish()?,
        };
        compare(&expected, &content)?;
        let record = LedgerRecord {
            detail: if summary.is_empty() { Detail::None } else { Detail::text(summary) },
            peer: Some(envelope.peer),
            sender: envelope.sender.to_string(),
            recipients: envelope.recipients,
            ..LedgerRecord::new(self.arrived, Fate::Delivered, envelope.code)
        };
        let (record, further) = records(record, self.tap.front(), relay.as_ref());
        let delivery = Delivery {
            relay,
            further,
            report_on: envelope.report_on,
            ..Delivery::local(content, delivery_octets, placements, record)
        };
        Ok(self.agent.store.deliver(delivery).done().await?)
    }
}

/// The ledger's record of a message with what its header tells, and a further one where a part of it waits in the
/// queue.
fn records(
    record: LedgerRecord,
    front: &[u8],
    relay: Option<&Relay>,
) -> (LedgerRecord, Vec<LedgerRecord>) {
    let head::Facts { subject, message_id } = head::facts(front);
    let record = LedgerRecord { subject, message_id, ..record };
    let Some(relay) = relay else { return (record, Vec::new()) };
    let further = (!record.recipients.is_empty()).then(|| record.clone());
    let recipients = relay.recipients.iter().map(|r| r.address.clone()).collect();
    (LedgerRecord { fate: Fate::Queued, recipients, ..record }, further.into_iter().collect())
}

/// What was found and concluded, as fields; a field that is too long is left out.
fn said(hostname: &str, peer: IpAddr, found: Option<&Authentication>, verdict: &Verdict) -> String {
    let results = found.map(|found| results::field(hostname, peer, found));
    let fields = results.into_iter().chain(verdict.field());
    fields.filter(|field| field.len() < TRACE / 3).collect()
}

/// What goes in front of a message: Return-Path (RFC 5321 §4.4), what was found, then Received.
/// Also the octets of what belongs to final delivery and not to a relayed copy: all but the last.
/// `sender`: the reverse-path, empty when it is null; `said`: fields with their line ends; `front`: the first octets of
/// the message.
fn trace_fields(
    sender: &str,
    said: &str,
    received: &trace::Received,
    front: &[u8],
) -> (Vec<u8>, u16) {
    let return_path = format!("Return-Path: <{sender}>\r\n{said}");
    let octets = return_path.len() as u16;
    // Where all of the message is text it must not become a part of our fields.
    let end = if head::has_header(front) { "" } else { "\r\n" };
    ((return_path + &trace::received(received) + end).into_bytes(), octets)
}

/// Why a message is not taken.
#[derive(Debug)]
pub enum Refusal {
    /// The sender can mend it.
    Said(Reply),
    /// The world failed.
    Trouble(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Trouble(error)
    }
}

/// Nothing is acknowledged that is not what came in.
/// A difference is a fault of ours: the peer hears "later" and keeps its message, the log says it loudly.
fn compare(expected: &Checksum, content: &Spooled) -> Result<()> {
    match expected == content.checksum() {
        true => Ok(()),
        false => Err(Error::Damaged {
            what: "a message on its way into the store: what was written is not what came in"
                .into(),
        }),
    }
}

/// Signs for a domain of ours.
/// A fault of the keys is logged and the message goes unsigned: late signing can't be, and a message held back for it
/// would be the greater harm.
fn sign(store: &Store, signer: &Signer, domain: &str, spool: &Spool) -> Result<Vec<u8>> {
    let keys = match signer.keys(store, domain) {
        Ok(keys) if !keys.is_empty() => keys,
        Ok(_) => return Ok(Vec::new()),
        Err(error) => {
            tracing::error!(%error, domain, "a message goes out unsigned");
            return Ok(Vec::new());
        }
    };
    Ok(keys.sign(|write| spool.replay(write)).unwrap_or_else(|error| {
        tracing::error!(%error, domain, "a message goes out unsigned");
        Vec::new()
    }))
}
