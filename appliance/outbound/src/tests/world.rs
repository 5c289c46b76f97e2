//! A box with one person, whose clock and names the test holds in its hand.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pillarbox_platform::config::{Config, DnsServer, Live};
use pillarbox_platform::dns::Dns;
use pillarbox_platform::secrets::Secrets;
use pillarbox_platform::tasks::{Ending, tasks};
use pillarbox_store::{
    Access, AccountId, AddAccount, AddDomain, Delivery, Detail, Fate, Flags, FolderId,
    LedgerRecord, MailboxPolicy, MessageId, Notices, Outgoing, Placement, QueueKey, QueueState,
    Relay, ShortCode, Store, Timestamp, Traits, Waiting,
};

use super::peer::{Peer, Script};
use super::zone::Zone;
use crate::{ClientTls, Handles, Now, Outbound, work};

pub const START: Timestamp = Timestamp(1_800_000_000);
pub const ANN: &str = "ann@box.test";

pub struct World {
    pub outbound: Arc<Outbound>,
    pub store: Store,
    pub zone: Zone,
    pub port: u16,
    clock: Arc<AtomicU64>,
    trusted: Arc<AtomicBool>,
    pub ann: AccountId,
    dir: Arc<tempfile::TempDir>,
    pub config: Config,
    pub settings: Live,
    /// What a server around it needs to work as it does.
    pub handles: Handles,
    _ending: Ending,
}

/// An address for each server, so that all can listen on the one port.
pub fn host(number: u8) -> IpAddr {
    IpAddr::from([127, 0, 1, number])
}

impl World {
    pub async fn new() -> World {
        World::with(Zone::plain(), |_| {}).await
    }

    pub async fn with(zone: Zone, change: impl FnOnce(&mut Config)) -> World {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let free =
            std::net::TcpListener::bind("127.0.1.254:0").unwrap().local_addr().unwrap().port();
        let mut config = Config {
            hostname: "box.test".into(),
            data: dir.path().join("data"),
            ..Config::default()
        };
        config.dns.servers = vec![DnsServer(zone.address)];
        config.dns.deadline = 2;
        config.dns.dnssec = !zone.anchor.is_empty();
        if config.dns.dnssec {
            let path = dir.path().join("anchor");
            std::fs::write(&path, &zone.anchor).unwrap();
            config.dns.trust_anchor = path;
        }
        (config.outbound.remote_port, config.outbound.connect) = (free, 2);
        change(&mut config);
        World::open(zone, dir, config, Arc::new(AtomicU64::new(START.0)), person)
    }

    /// A box that is unclaimed yet and has no name; one domain is there.
    pub async fn empty() -> World {
        let mut world = World::new().await;
        let config = Config {
            hostname: String::new(),
            data: world.dir.path().join("empty"),
            ..world.config.clone()
        };
        let domain_only = |store: &Store| {
            store.change(AddDomain { name: "box.test".into(), at: START }).wait().unwrap();
            AccountId(0)
        };
        let zone = std::mem::replace(&mut world.zone, Zone::plain());
        World::open(zone, world.dir.clone(), config, Arc::new(AtomicU64::new(START.0)), domain_only)
    }

    fn open(
        zone: Zone,
        dir: Arc<tempfile::TempDir>,
        config: Config,
        clock: Arc<AtomicU64>,
        person: impl FnOnce(&Store) -> AccountId,
    ) -> World {
        let options =
            pillarbox_store::Options { reserve_octets: 0, ..pillarbox_store::Options::default() };
        let store = Store::open(&config.data, Access::Server, &options).unwrap();
        let (ending, tasks) = tasks();
        let secrets = Arc::new(Secrets::open(&config.data).unwrap());
        let (dns, tls) = (
            Arc::new(Dns::new(&config).unwrap()),
            Arc::new(ClientTls::new(&config.outbound.roots).unwrap()),
        );
        let handles = Handles { store: store.clone(), secrets, dns, tls, tasks };
        let settings = Live::new(config.clone());
        let mut outbound = Outbound::new(settings.clone(), handles.clone());
        let trusted = Arc::new(AtomicBool::new(true));
        let (time, trust) = (clock.clone(), trusted.clone());
        outbound.time = Box::new(move || Now {
            at: Timestamp(time.load(Ordering::SeqCst)),
            is_trusted: trust.load(Ordering::SeqCst),
        });
        let outbound = Arc::new(outbound);
        let ann = tokio::task::block_in_place(|| person(&store));
        let port = config.outbound.remote_port;
        World {
            outbound,
            store,
            zone,
            port,
            clock,
            trusted,
            ann,
            dir,
            config,
            settings,
            handles,
            _ending: ending,
        }
    }

    /// The same box after its process ended at once: all that was in memory is gone.
    pub async fn restart(self) -> World {
        let World { outbound, store, zone, clock, dir, config, handles, .. } = self;
        let outbound = Arc::into_inner(outbound).unwrap();
        tokio::task::block_in_place(|| drop((outbound, store, handles)));
        World::open(zone, dir, config, clock, person)
    }

    /// A server for a domain, found by MX.
    pub async fn server(
        &self,
        domain: &str,
        number: u8,
        preference: u16,
        scripts: Vec<Script>,
    ) -> Peer {
        let name = format!("mx{number}.test");
        self.zone.mx(domain, preference, &name);
        self.zone.address(&name, host(number));
        Peer::listen(host(number), self.port, scripts).await
    }

    pub fn at(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    pub fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn set_clock(&self, at: Timestamp, is_trusted: bool) {
        self.clock.store(at.0, Ordering::SeqCst);
        self.trusted.store(is_trusted, Ordering::SeqCst);
    }

    /// Queues a message from Ann, with a copy in Sent.
    pub async fn submit(&self, to: &[&str]) -> MessageId {
        self.submit_as(
            to,
            Traits::default(),
            Notices::default(),
            "Subject: Offer\r\nMessage-ID: <m@box.test>\r\n\r\nHello\r\n",
        )
        .await
    }

    pub async fn submit_as(
        &self,
        to: &[&str],
        traits: Traits,
        notices: Notices,
        content: &str,
    ) -> MessageId {
        let now = self.outbound.now();
        let since = if now.is_trusted { now.at } else { Timestamp(0) };
        let recipients = to.iter().map(|address| waiting(address, notices, now.at, since));
        let outgoing = self.outgoing(now.at, traits);
        let relay = Relay { outgoing, recipients: recipients.collect(), daily_limit: 100_000 };
        let mut spool = self.store.spool();
        spool.append(b"Return-Path: <ann@box.test>\r\n").unwrap();
        spool.append(content.as_bytes()).unwrap();
        let sent = Placement { account: self.ann, folder: FolderId::SENT, flags: Flags::SEEN };
        let record = LedgerRecord {
            sender: ANN.into(),
            message_id: "m@box.test".into(),
            ..LedgerRecord::new(now.at, Fate::Queued, ShortCode(7))
        };
        let delivery = Delivery {
            relay: Some(relay),
            ..Delivery::local(spool.finish().unwrap(), 29, vec![sent], record)
        };
        self.store.deliver(delivery).done().await.unwrap().message
    }

    /// Queues a message for many, due at a time of its own.
    /// Blocks.
    pub fn enqueue_at(&self, to: &[String], due: Timestamp) {
        let recipients = to.iter().map(|address| waiting(address, Notices::default(), due, due));
        let relay = Relay {
            outgoing: self.outgoing(due, Traits::default()),
            recipients: recipients.collect(),
            daily_limit: u32::MAX,
        };
        let mut spool = self.store.spool();
        spool.append(b"Subject: x\r\n\r\n").unwrap();
        let record = LedgerRecord::new(due, Fate::Queued, ShortCode(7));
        let delivery = Delivery {
            relay: Some(relay),
            ..Delivery::local(spool.finish().unwrap(), 0, Vec::new(), record)
        };
        self.store.deliver(delivery).wait().unwrap();
    }

    fn outgoing(&self, arrived: Timestamp, traits: Traits) -> Outgoing {
        Outgoing {
            account: Some(self.ann),
            code: ShortCode(7),
            sender: ANN.into(),
            arrived,
            traits,
            envid: String::new(),
            subject: "Offer".into(),
            signature: Vec::new(),
            remaining: 0,
        }
    }

    /// Works through all that is due now, one piece after another.
    /// Returns the number of pieces.
    pub async fn work(&self) -> usize {
        for count in 0.. {
            match self.outbound.claim(None).await.unwrap() {
                Some(batch) => work::run(self.outbound.clone(), batch).await,
                None => return count,
            }
            assert!(count < 1000, "the same work again and again");
        }
        0
    }

    /// Waits until the next recipient is due and works; as often as there is anything, at most `times`.
    pub async fn work_on(&self, times: usize) {
        for _ in 0..times {
            let Some((due, ..)) = self.store.read(|r| r.agenda_span()).unwrap() else { return };
            self.clock.fetch_max(due.0, Ordering::SeqCst);
            self.work().await;
        }
    }

    pub fn queue(&self) -> Vec<Waiting> {
        let from = QueueKey { message: MessageId(0), recipient: 0 };
        self.store.read(|r| r.queue(from, 1000)).unwrap().into_iter().map(|(_, w)| w).collect()
    }

    /// What is in Ann's inbox.
    pub fn inbox(&self) -> Vec<String> {
        let store = &self.store;
        store
            .read(|r| {
                let entries = r.entries(self.ann, FolderId::INBOX, 0, 1000)?;
                entries
                    .iter()
                    .map(|(_, entry)| {
                        let mut octets = Vec::new();
                        if let Some(content) = r.content(entry.message)? {
                            r.read_inline(&content, &mut octets)?;
                        }
                        Ok(String::from_utf8_lossy(&octets).into_owned())
                    })
                    .collect()
            })
            .unwrap()
    }

    /// What became of a message, oldest first.
    pub fn fates(&self, message: MessageId) -> Vec<Fate> {
        self.story(message).into_iter().map(|(fate, _)| fate).collect()
    }

    /// Fates and details of a message, oldest first.
    pub fn story(&self, message: MessageId) -> Vec<(Fate, String)> {
        let found = self.store.read(|r| {
            r.ledger_find(None, 1000, |id, record| {
                id.0 == message.0 || record.messages.contains(&message.0)
            })
        });
        found
            .unwrap()
            .into_iter()
            .rev()
            .map(|(_, record)| (record.fate, record.wording()))
            .collect()
    }
}

fn waiting(address: &str, notices: Notices, due: Timestamp, since: Timestamp) -> Waiting {
    Waiting {
        address: address.to_string(),
        domain: address.rsplit_once('@').unwrap().1.into(),
        notices,
        orcpt: String::new(),
        state: QueueState::Scheduled,
        due,
        since,
        attempts: 0,
        is_delay_told: false,
        last_at: Timestamp(0),
        last: Detail::None,
        transcript: None,
    }
}

fn person(store: &Store) -> AccountId {
    if let Some((id, _)) = store.read(|r| r.account(ANN)).unwrap() {
        return id;
    }
    store.change(AddDomain { name: "box.test".into(), at: START }).wait().unwrap();
    let account = AddAccount {
        address: ANN.into(),
        name: "Ann".into(),
        hash: "x".into(),
        policy: MailboxPolicy::Keep,
        at: START,
    };
    store.change(account).wait().unwrap()
}
