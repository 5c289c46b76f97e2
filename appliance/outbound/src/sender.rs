//! Who sends mail to other servers: what is shared by all workers, and which work is taken next.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use pillarbox_platform::clock;
use pillarbox_platform::config::{self, Config, Live};
use pillarbox_platform::dns::Dns;
use pillarbox_platform::secrets::Secrets;
use pillarbox_platform::tasks::Tasks;
use pillarbox_proto::smtp::Secret;
use pillarbox_proto::smtp::client::Login;
use pillarbox_store::{
    AccountId, Hold, MessageId, Order, QueueKey, QueueOrder, QueueState, Reader, Result, Route,
    Service, Store, Waiting, off_thread,
};
use pillarbox_vocabulary::Timestamp;
use tokio::sync::Notify;

use super::dkim::Signer;
use super::schedule::Now;
use super::tls::ClientTls;

/// Destination queues looked at for the next piece of work; more than connections, so that a busy destination hides no
/// other.
const QUEUES: usize = 256;
/// Rows of the queue looked at in one step of letting go.
const RELEASED: usize = 1000;
/// Recipients that one worker takes at a time.
pub const BATCH: usize = 32;
/// What the sealed passwords of routes are for.
pub const ROUTE_PURPOSE: &str = "route";

/// What a server gives for sending mail.
#[derive(Clone)]
pub struct Handles {
    pub store: Store,
    pub secrets: Arc<Secrets>,
    pub dns: Arc<Dns>,
    pub tls: Arc<ClientTls>,
    pub tasks: Tasks,
}

/// Mail to other servers.
pub struct Outbound {
    pub signer: Arc<Signer>,
    pub(crate) dns: Arc<Dns>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) store: Store,
    /// Limits, and the name the box gives itself.
    pub(crate) settings: Live,
    pub(crate) tasks: Tasks,
    pub(crate) tls: Arc<ClientTls>,
    /// What time it is; tests have their own.
    pub(crate) time: Box<dyn Fn() -> Now + Send + Sync>,
    pub(crate) wake: Notify,
    /// One examination at a time.
    pub(crate) examining: Arc<tokio::sync::Mutex<()>>,
    pub(crate) state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Recipients that workers hold.
    pub(crate) taken: HashSet<QueueKey>,
    /// Workers by destination.
    pub(crate) active: HashMap<String, usize>,
    /// Domains whose TLS policy could not be fetched, and until when they are left alone.
    pub(crate) sts_pauses: HashMap<String, Timestamp>,
    /// When the owner last got a message that an account reached its limit, in days since 1970.
    pub(crate) limits_told: HashMap<AccountId, u32>,
}

/// Where a destination queue's mail goes.
#[derive(Clone)]
pub(crate) enum NextHop {
    /// To the domain's own hosts.
    Direct,
    /// Through a provider; the name of the route, and the route.
    Route(String, Route),
}

/// A piece of work: recipients of one domain that are due.
pub(crate) struct Batch {
    pub(crate) domain: String,
    pub(crate) next_hop: NextHop,
    pub(crate) entries: Vec<(QueueKey, Waiting)>,
}

impl NextHop {
    /// What shares a limit of connections.
    pub(crate) fn destination(&self, domain: &str) -> String {
        match self {
            NextHop::Direct => domain.to_string(),
            NextHop::Route(name, _) => format!("route:{name}"),
        }
    }
}

impl Outbound {
    pub fn new(settings: Live, handles: Handles) -> Outbound {
        let Handles { store, secrets, dns, tls, tasks } = handles;
        Outbound {
            signer: Arc::new(Signer::new(secrets.clone())),
            dns,
            tls,
            secrets,
            store,
            settings,
            tasks,
            time: Box::new(|| Now { at: clock::now(), is_trusted: clock::may_expire() }),
            wake: Notify::new(),
            examining: Arc::default(),
            state: Mutex::default(),
        }
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        self.settings.get()
    }

    pub(crate) fn limits(&self) -> config::Outbound {
        self.config().outbound.clone()
    }

    /// The name the box gives itself.
    pub(crate) fn hostname(&self) -> String {
        self.config().hostname()
    }

    /// Reads the store off the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.store.read_off_thread(read).await
    }

    /// What time it is for the queue.
    pub fn now(&self) -> Now {
        (self.time)()
    }

    /// Something may be due: the scheduler looks at once.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(crate) fn sts_pauses(&self, domain: &str, now: Timestamp) -> bool {
        self.state().sts_pauses.get(domain).is_some_and(|&until| until > now)
    }

    pub(crate) fn pause_sts(&self, domain: &str, until: Timestamp) {
        let pauses = &mut self.state().sts_pauses;
        if pauses.len() > 1000 {
            pauses.clear();
        }
        pauses.insert(domain.to_string(), until);
    }

    /// The login of a route; `None` when it has none.
    pub(crate) fn login(
        &self,
        route: &Route,
    ) -> std::result::Result<Option<Login>, pillarbox_platform::Error> {
        if route.user.is_empty() {
            return Ok(None);
        }
        let password = self.secrets.open_sealed(ROUTE_PURPOSE, &route.sealed)?;
        let password = Secret::new(String::from_utf8_lossy(&password).into_owned());
        Ok(Some(Login { user: route.user.clone(), password }))
    }

    /// Takes the next piece of work, of this destination if one is named.
    /// Destinations with fewer workers come first.
    pub(crate) async fn claim(self: &Arc<Self>, only: Option<String>) -> Result<Option<Batch>> {
        let limits = self.limits();
        let (outbound, now) = (self.clone(), self.now().at);
        off_thread(move || {
            if outbound.store.unwritable().is_some() {
                // What is sent and can't be written down would be sent again.
                return Ok(None);
            }
            outbound.store.read(|reader| {
                let routes = reader.routes()?;
                let mut queues: Vec<_> = reader.agenda(now, QUEUES)?;
                // From here on no other worker claims: what is seen as free is free.
                let mut state = outbound.state();
                let workers = |state: &State, domain: &str| {
                    let destination = next_hop(&routes, domain).destination(domain);
                    state.active.get(&destination).copied().unwrap_or(0)
                };
                queues.sort_by_key(|(_, domain, due)| (workers(&state, domain), *due));
                for (queue, domain, _) in queues {
                    let next_hop = next_hop(&routes, &domain);
                    let destination = next_hop.destination(&domain);
                    let is_full = state
                        .active
                        .get(&destination)
                        .is_some_and(|&n| n >= limits.connections_per_destination);
                    match &only {
                        Some(only) if *only != destination => continue,
                        None if is_full => continue,
                        _ => {}
                    }
                    let entries =
                        reader.destination(queue, now, BATCH, |key| state.taken.contains(&key))?;
                    // Two domains may share a queue by the chance of a hash: one at a time.
                    let entries: Vec<_> =
                        entries.into_iter().filter(|(_, w)| w.domain == domain).collect();
                    if !entries.is_empty() {
                        state.taken.extend(entries.iter().map(|(key, _)| *key));
                        if only.is_none() {
                            *state.active.entry(destination).or_default() += 1;
                        }
                        return Ok(Some(Batch { domain, next_hop, entries }));
                    }
                }
                Ok(None)
            })
        })
        .await
    }

    /// Whether a worker holds a recipient now.
    pub fn is_under_way(&self, key: QueueKey) -> bool {
        self.state().taken.contains(&key)
    }

    pub(crate) fn give_back(&self, keys: impl IntoIterator<Item = QueueKey>) {
        let mut state = self.state();
        for key in keys {
            state.taken.remove(&key);
        }
    }

    pub(crate) fn worker_ends(&self, destination: &str) {
        let mut state = self.state();
        if let Some(count) = state.active.get_mut(destination) {
            *count -= 1;
            if *count == 0 {
                state.active.remove(destination);
            }
        }
    }
}

/// The next hop of a domain: its own route, else the one for all, else direct.
pub(crate) fn next_hop(routes: &[(String, Route)], domain: &str) -> NextHop {
    let named = |name: &str| routes.iter().find(|(route, _)| route == name);
    match named(domain).or_else(|| named("")) {
        Some((name, route)) => NextHop::Route(name.clone(), route.clone()),
        None => NextHop::Direct,
    }
}

/// Lets go what waits for a provider's password; returns how many recipients.
/// Blocks.
pub fn release_after_login(store: &Store, at: Timestamp) -> Result<usize> {
    let (mut from, mut released) = (QueueKey { message: MessageId(0), recipient: 0 }, 0);
    loop {
        let rows = store.read(|r| r.queue(from, RELEASED))?;
        let Some((last, _)) = rows.last() else { return Ok(released) };
        from = QueueKey { recipient: last.recipient + 1, ..*last };
        let waits = |(key, waiting): &(QueueKey, Waiting)| {
            (waiting.state == QueueState::Held(Hold::Login)).then_some(*key)
        };
        let entries: Vec<QueueKey> = rows.iter().filter_map(waits).collect();
        if !entries.is_empty() {
            released += store
                .change(QueueOrder { order: Order::Release, entries, at, service: Service::Box })
                .wait()?;
        }
    }
}
