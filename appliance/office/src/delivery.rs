//! Final delivery (MDA, RFC 5598 §4.2.4): trace fields in front, mailboxes planned, one durable write.

use std::net::IpAddr;
use std::sync::Arc;

use pillarbox_message::head;
use pillarbox_message::lines::Lengths;
use pillarbox_outbound::dkim::Signer;
use pillarbox_platform::budget::{Budget, Charge, Party};
use pillarbox_platform::clock;
use pillarbox_proto::smtp::{ReversePath, trace};
use pillarbox_store::{
    AccountId, Checksum, Delivered, Delivery, Error, Fate, Flags, FolderId, LedgerRecord, MessageId, Placement, Relay, Result, ShortCode, Spool, Spooled,
    Store, Traits, off_thread,
};

/// Content is handed to the disk in pieces of this size once it is large.
const PIECE: usize = 128 * 1024;
/// How much of the front of a message is looked at for its subject.
const HEAD: usize = 16 * 1024;
/// The same for notices, which name the message they are about further down.
const NOTICE_HEAD: usize = 64 * 1024;

/// Puts mail into mailboxes and queue.
pub struct DeliveryAgent {
    store: Store,
    signer: Arc<Signer>,
    /// Memory for message content that comes in.
    budget: Budget,
}

impl DeliveryAgent {
    /// `octets`: of content that may be in memory at one time.
    pub fn new(store: Store, signer: Arc<Signer>, octets: usize) -> DeliveryAgent {
        DeliveryAgent { store, signer, budget: Budget::new(octets) }
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
    /// Of the trace fields and all that was appended, to be compared with what the store has of it.
    expected: Checksum,
    head: Vec<u8>,
    /// How much of the front is kept.
    head_octets: usize,
    is_ascii: bool,
    lengths: Lengths,
    delivery_octets: u16,
    arrived: u64,
    charge: Charge<'a>,
}

/// The envelope facts that final delivery needs.
pub struct Envelope<'a> {
    pub code: ShortCode,
    pub peer: IpAddr,
    pub sender: &'a str,
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
    /// Begins with Return-Path (RFC 5321 §4.4) and the trace field given; waits for memory where it is scarce.
    ///
    /// # Errors
    /// [`Error::Busy`] when there was no memory in time, here and for each piece that follows.
    pub async fn begin(
        agent: &'a DeliveryAgent,
        reverse_path: &ReversePath,
        (peer, party): (IpAddr, Party),
        received: impl FnOnce(u64) -> trace::Received,
    ) -> Result<Incoming<'a>> {
        let charge = agent.budget.charge(peer, party);
        let arrived = clock::now();
        let return_path = match reverse_path {
            ReversePath::Null => "Return-Path: <>\r\n".to_string(),
            ReversePath::Address(address) => format!("Return-Path: <{address}>\r\n"),
        };
        let mut incoming = Incoming {
            agent,
            intake: Intake::new(agent.store.spool()),
            expected: Checksum::default(),
            head: Vec::new(),
            head_octets: if *reverse_path == ReversePath::Null { NOTICE_HEAD } else { HEAD },
            is_ascii: true,
            lengths: Lengths::default(),
            delivery_octets: return_path.len() as u16,
            arrived,
            charge,
        };
        let trace = trace::received(&received(arrived));
        incoming.write(return_path.as_bytes()).await?;
        incoming.write(trace.as_bytes()).await?;
        Ok(incoming)
    }

    /// Appends content.
    pub async fn append(&mut self, octets: &[u8]) -> Result<()> {
        self.is_ascii = self.is_ascii && octets.is_ascii();
        self.lengths.look(octets);
        let wanted = self.head_octets.saturating_sub(self.head.len()).min(octets.len());
        self.head.extend_from_slice(&octets[..wanted]);
        self.write(octets).await
    }

    async fn write(&mut self, octets: &[u8]) -> Result<()> {
        let memory = self.head.capacity() + self.intake.memory();
        self.charge.hold(memory + octets.len()).await.map_err(|_| Error::Busy)?;
        self.expected.add(octets);
        self.intake.write(octets).await?;
        // Once a piece went to the disk its memory is free again.
        self.charge.shrink(self.head.capacity() + self.intake.memory());
        Ok(())
    }

    /// The front part of the message as it was sent.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Puts the message into inboxes and queue: when this returns, it is on stable storage.
    pub async fn deliver(mut self, envelope: Envelope<'_>) -> Result<Delivered> {
        let mut spool = self.intake.complete().await?;
        let mut relay = envelope.relay;
        if let Some(relay) = &mut relay {
            let (store, signer, domain, from) =
                (self.agent.store.clone(), self.agent.signer.clone(), envelope.signing_domain, usize::from(self.delivery_octets));
            let signed = off_thread(move || {
                let signature = sign(&store, &signer, &domain, &spool, from)?;
                Ok((spool, signature))
            });
            (spool, relay.outgoing.signature) = signed.await?;
            if !self.is_ascii {
                relay.outgoing.traits = relay.outgoing.traits.with(Traits::EIGHT_BIT);
            }
            if self.lengths.has_long() {
                relay.outgoing.traits = relay.outgoing.traits.with(Traits::LONG_LINES);
            }
        }
        let content = match spool.blocks(0) {
            true => off_thread(move || spool.finish()).await?,
            false => spool.finish()?,
        };
        compare(&self.expected, &content)?;
        let place = |account, folder, flags| Placement { account, folder, flags };
        let inboxes = envelope.accounts.iter().map(|&account| place(account, FolderId::INBOX, Flags::default()));
        let sent = envelope.sent_by.map(|account| place(account, FolderId::SENT, Flags::SEEN));
        let facts = head::facts(&self.head);
        let mut record = LedgerRecord {
            peer: Some(envelope.peer),
            sender: envelope.sender.to_string(),
            recipients: envelope.recipients,
            subject: facts.subject,
            message_id: facts.message_id,
            ..LedgerRecord::new(self.arrived, Fate::Delivered, envelope.code)
        };
        let mut further = Vec::new();
        if let Some(relay) = &relay {
            if !record.recipients.is_empty() {
                further.push(record.clone());
            }
            record.fate = Fate::Queued;
            record.recipients = relay.recipients.iter().map(|r| r.address.clone()).collect();
        }
        let placements = inboxes.chain(sent).collect();
        let delivery = Delivery { relay, further, report_on: envelope.report_on, ..Delivery::local(content, self.delivery_octets, placements, record) };
        self.agent.store.deliver(delivery).done().await
    }
}

/// Nothing is acknowledged that is not what came in. A difference is a fault of ours: the peer hears "later" and keeps its
/// message, the log says it loudly.
fn compare(expected: &Checksum, content: &Spooled) -> Result<()> {
    match expected == content.checksum() {
        true => Ok(()),
        false => Err(Error::Damaged { what: "a message on its way into the store: what was written is not what came in".into() }),
    }
}

/// The way of content from an edge into a spool: at once while it is small, in pieces off the async threads once it is large.
struct Intake {
    /// Gone only while a piece is being written, and for good when that failed.
    spool: Option<Spool>,
    /// Content of a large message that is not in the spool yet.
    gathered: Vec<u8>,
}

impl Intake {
    fn new(spool: Spool) -> Intake {
        Intake { spool: Some(spool), gathered: Vec::new() }
    }

    /// Octets in memory.
    fn memory(&self) -> usize {
        self.gathered.capacity() + self.spool.as_ref().map_or(0, Spool::memory)
    }

    async fn write(&mut self, octets: &[u8]) -> Result<()> {
        let spool = self.spool.as_mut().ok_or(Error::Closed)?;
        // What was gathered comes first: a later piece that would still fit into memory must not overtake it.
        if self.gathered.is_empty() && !spool.blocks(octets.len()) {
            return spool.append(octets);
        }
        self.gathered.extend_from_slice(octets);
        if self.gathered.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let (mut spool, gathered) = (self.spool.take().ok_or(Error::Closed)?, std::mem::take(&mut self.gathered));
        let (spool, mut gathered) = off_thread(move || {
            spool.append(&gathered)?;
            Ok((spool, gathered))
        })
        .await?;
        gathered.clear();
        self.gathered = gathered;
        self.spool = Some(spool);
        Ok(())
    }

    /// The spool with all that was written.
    async fn complete(&mut self) -> Result<Spool> {
        self.flush().await?;
        self.spool.take().ok_or(Error::Closed)
    }
}

/// Signs for a domain of ours. A fault of the keys is logged and the message goes unsigned: late signing can't be,
/// and a message held back for it would be the greater harm.
fn sign(store: &Store, signer: &Signer, domain: &str, spool: &Spool, from: usize) -> Result<Vec<u8>> {
    let keys = match signer.keys(store, domain) {
        Ok(keys) if !keys.is_empty() => keys,
        Ok(_) => return Ok(Vec::new()),
        Err(error) => {
            tracing::error!(%error, domain, "a message goes out unsigned");
            return Ok(Vec::new());
        }
    };
    Ok(keys.sign(|write| spool.replay(from, write)).unwrap_or_else(|error| {
        tracing::error!(%error, domain, "a message goes out unsigned");
        Vec::new()
    }))
}

#[cfg(test)]
mod tests {
    use pillarbox_store::{Access, INLINE_OCTETS, Options};
    use proptest::prelude::*;

    use super::*;

    /// Octets of which no two neighbouring stretches look alike.
    fn content(octets: usize) -> Vec<u8> {
        (0u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).take(octets).collect()
    }

    /// Sizes around every limit on the way.
    fn octets() -> impl Strategy<Value = usize> {
        let limit = prop::sample::select(vec![0, 1024, 4096, 32 * 1024, 64 * 1024, PIECE, 2 * PIECE, INLINE_OCTETS, INLINE_OCTETS + PIECE, 3 * INLINE_OCTETS]);
        (limit, 0usize..5).prop_map(|(limit, more)| (limit + more).saturating_sub(2))
    }

    fn pieces() -> impl Strategy<Value = Vec<usize>> {
        let piece = prop_oneof![1usize..100, 500usize..40_000, Just(32 * 1024), Just(PIECE), (0usize..5).prop_map(|n| INLINE_OCTETS - 2 + n)];
        prop::collection::vec(piece, 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn content_keeps_its_order_however_it_is_cut(octets in octets(), pieces in pieces()) {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), Access::Server, &Options { reserve_octets: 0, ..Options::default() }).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (content, mut intake, mut expected) = (content(octets), Intake::new(store.spool()), Checksum::default());
            let spool = runtime.block_on(async {
                let mut rest = &content[..];
                for piece in pieces.iter().cycle() {
                    let (now, later) = rest.split_at((*piece).min(rest.len()));
                    intake.write(now).await.unwrap();
                    expected.add(now);
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                }
                intake.complete().await.unwrap()
            });
            let mut stored = Vec::new();
            spool.replay(0, &mut |piece| stored.extend_from_slice(piece)).unwrap();
            prop_assert!(stored == content, "{octets} octets in pieces of {pieces:?} came out in another order");
            prop_assert!(compare(&expected, &spool.finish().unwrap()).is_ok());
        }
    }

    #[test]
    fn content_in_another_order_is_not_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Access::Server, &Options { reserve_octets: 0, ..Options::default() }).unwrap();
        let (mut expected, mut spool) = (Checksum::default(), store.spool());
        for (sent, written) in [(b"ab", b"cd"), (b"cd", b"ab")] {
            expected.add(sent);
            spool.append(written).unwrap();
        }
        assert!(matches!(compare(&expected, &spool.finish().unwrap()), Err(Error::Damaged { .. })));
    }
}
