//! Reading. A [`Reader`] lives inside a closure: one consistent view, never held across an await.

use roaring::RoaringBitmap;

use crate::card::{BLOCK_BITS, Card, PlaceKey, Timed, block_of, term_prefix};
use crate::codec::Value;
use crate::contact::{Contact, Judgement, JudgementKey, contact_key};
use crate::content::{ContentHead, Location};
use crate::directory::{Account, AddressTarget, Credential, WebSession};
use crate::env::Shared;
use crate::error::{Error, Result};
use crate::key::{
    AccountId, AgendaKey, BlobId, ContentKey, DeviceId, DeviceKey, FolderId, FolderKey, LaneId, LaneKey, LedgerId, MailKey, MessageId, QueueKey, ReportKey,
    TermKey,
};
use crate::ledger::LedgerRecord;
use crate::mailbox::{Entry, FolderState};
use crate::maildrop::{Maildrop, MaildropEntry};
use crate::owner::{Hour, OneTimeLink, SecondFactor, SignIn, SignInKey};
use crate::queue::{Outgoing, Route, SigningKey, StsPolicy, Transcript, Waiting};

/// Ledger records per block of its index.
pub(crate) const LEDGER_BLOCK: u64 = 256;
/// Aliases may point to aliases this deep.
const ALIAS_DEPTH: usize = 8;

/// One consistent view of the store.
pub struct Reader<'a> {
    shared: &'a Shared,
    txn: heed::RoTxn<'a, heed::WithTls>,
}

/// What an address leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// These local mailboxes, each once.
    Accounts(Vec<AccountId>),
    /// The domain is ours, the address is nobody's.
    NoSuchAddress,
    /// The domain is not ours.
    OtherDomain,
}

/// A message's content, ready to be read in pieces.
#[derive(Clone, Debug)]
pub struct Content {
    pub message: MessageId,
    pub octets: u64,
    /// Seconds since 1970.
    pub received_at: u64,
    pub(crate) head: ContentHead,
}

/// A message that a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub folder: FolderId,
    pub uid: u32,
    pub entry: Entry,
}

/// Messages of a folder that are not in the index yet, oldest first.
#[derive(Clone, Debug)]
pub struct Unindexed {
    pub account: AccountId,
    pub folder: FolderId,
    pub entries: Vec<(u32, Entry)>,
}

/// Rows of the index that one word of a search may meet.
const POSTINGS: usize = 5000;

impl Content {
    /// Octets at the front that belong to final delivery and not to a relayed copy.
    pub fn delivery_octets(&self) -> usize {
        usize::from(self.head.delivery_octets)
    }

    /// The file it lies in, if it is large.
    pub fn blob(&self) -> Option<BlobId> {
        match self.head.location {
            Location::File(blob) => Some(blob),
            Location::Inline { .. } => None,
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Result<Reader<'a>> {
        let txn = shared.env.read_txn().map_err(Error::lmdb("beginning to read"))?;
        Ok(Reader { shared, txn })
    }

    /// All domains, sorted.
    pub fn domains(&self) -> Result<Vec<String>> {
        let doing = "reading domains";
        let rows = self.shared.tables.domains.iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(name, _)| name.to_string()).map_err(Error::lmdb(doing))).collect()
    }

    /// True when mail for the domain is ours to judge.
    pub fn is_local(&self, domain: &str) -> Result<bool> {
        let row = self.shared.tables.domains.get(&self.txn, domain).map_err(Error::lmdb("reading domains"))?;
        Ok(row.is_some())
    }

    /// All accounts with their ids, in order of creation.
    pub fn accounts(&self) -> Result<Vec<(AccountId, Account)>> {
        let doing = "reading accounts";
        let rows = self.shared.tables.accounts.iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// All addresses and what they stand for, sorted.
    pub fn addresses(&self) -> Result<Vec<(String, AddressTarget)>> {
        let doing = "reading addresses";
        let rows = self.shared.tables.addresses.iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(a, t)| (a.to_string(), t)).map_err(Error::lmdb(doing))).collect()
    }

    /// The account whose own address (user name) this is.
    pub fn account(&self, address: &str) -> Result<Option<(AccountId, Account)>> {
        let Some(AddressTarget::Account(id)) = self.target(address)? else { return Ok(None) };
        let account = self.shared.tables.accounts.get(&self.txn, &id).map_err(Error::lmdb("reading an account"))?;
        Ok(account.filter(|a| a.address == address).map(|a| (id, a)))
    }

    /// The account's ways to log in; device 0 is its own password.
    pub fn credentials(&self, account: AccountId) -> Result<Vec<(DeviceId, Credential)>> {
        let doing = "reading credentials";
        let range = DeviceKey { account, device: DeviceId(0) }..=DeviceKey { account, device: DeviceId(u16::MAX) };
        let rows = self.shared.tables.credentials.range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(k, c)| (k.device, c)).map_err(Error::lmdb(doing))).collect()
    }

    fn target(&self, address: &str) -> Result<Option<AddressTarget>> {
        self.shared.tables.addresses.get(&self.txn, address).map_err(Error::lmdb("reading addresses"))
    }

    /// Follows a canonical address through aliases, and to the domain's catch-all where it is nobody's.
    pub fn resolve(&self, address: &str) -> Result<Resolution> {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        if !self.is_local(domain)? {
            return Ok(Resolution::OtherDomain);
        }
        let mut accounts = Vec::new();
        self.follow(address, ALIAS_DEPTH, &mut accounts)?;
        if accounts.is_empty() {
            self.follow(&format!("@{domain}"), ALIAS_DEPTH, &mut accounts)?;
        }
        accounts.sort_unstable();
        accounts.dedup();
        Ok(match accounts.is_empty() {
            true => Resolution::NoSuchAddress,
            false => Resolution::Accounts(accounts),
        })
    }

    fn follow(&self, address: &str, depth: usize, accounts: &mut Vec<AccountId>) -> Result<()> {
        match self.target(address)? {
            Some(AddressTarget::Account(id)) => accounts.push(id),
            Some(AddressTarget::Alias(targets)) if depth > 0 => {
                for target in targets {
                    self.follow(&target, depth - 1, accounts)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A folder's counters.
    pub fn folder(&self, account: AccountId, folder: FolderId) -> Result<Option<FolderState>> {
        self.shared.tables.folder(&self.txn, FolderKey { account, folder })
    }

    /// The snapshot of an inbox for one device. Costs the same for any number of messages, but for the
    /// compressed bitmap and a scan over at most a few hundred of the newest.
    pub fn maildrop(&self, account: AccountId, device: DeviceId) -> Result<Maildrop> {
        let doing = "opening a maildrop";
        let folder = FolderKey { account, folder: FolderId::INBOX };
        let state = self.shared.tables.folder(&self.txn, folder)?;
        let state = state.ok_or_else(|| Error::NotFound { what: "mailbox", name: account.0.to_string() })?;
        let mut uids = self.live(folder, &state)?;
        let mut octets = state.octets;
        let key = DeviceKey { account, device };
        if let Some(view) = self.shared.tables.views.get(&self.txn, &key).map_err(Error::lmdb(doing))? {
            uids -= &view.hidden;
            octets = octets.saturating_sub(view.hidden_octets);
        }
        Ok(Maildrop { account, device, uids, octets })
    }

    fn live(&self, folder: FolderKey, state: &FolderState) -> Result<RoaringBitmap> {
        let doing = "opening a maildrop";
        let live = self.shared.tables.live.get(&self.txn, &folder).map_err(Error::lmdb(doing))?;
        let mut uids = live.unwrap_or_default().0;
        for row in self.shared.tables.entries(&self.txn, folder, state.live_below)? {
            uids.insert(row?.0);
        }
        Ok(uids)
    }

    /// Messages `from` (counted from 1) and following of a maildrop, at most `limit`.
    pub fn listing(&self, maildrop: &Maildrop, from: u32, limit: u32) -> Result<Vec<MaildropEntry>> {
        let Some(first) = maildrop.uid(from) else { return Ok(Vec::new()) };
        let mut wanted = maildrop.uids.iter();
        wanted.advance_to(first);
        let folder = FolderKey { account: maildrop.account, folder: FolderId::INBOX };
        let mut rows = self.shared.tables.entries(&self.txn, folder, first)?;
        let mut found = rows.next().transpose()?;
        let mut list = Vec::with_capacity(limit.min(maildrop.messages()) as usize);
        for uid in wanted.take(limit as usize) {
            // Rows may be newer than the snapshot or hidden from it; wanted ones may be gone since.
            while found.as_ref().is_some_and(|(at, _)| *at < uid) {
                found = rows.next().transpose()?;
            }
            let entry = found.as_ref().filter(|(at, _)| *at == uid).map(|(_, entry)| *entry);
            list.push(MaildropEntry {
                uid,
                message: entry.map(|e| e.message),
                octets: entry.map_or(0, |e| u64::from(e.octets)),
                unique_id: entry.map_or(u64::from(uid), |e| e.unique_id),
            });
        }
        Ok(list)
    }

    /// Entries of any folder from a UID on, at most `limit`.
    pub fn entries(&self, account: AccountId, folder: FolderId, from: u32, limit: usize) -> Result<Vec<(u32, Entry)>> {
        self.shared.tables.entries(&self.txn, FolderKey { account, folder }, from)?.take(limit).collect()
    }

    /// One entry of a folder.
    pub fn entry(&self, account: AccountId, folder: FolderId, uid: u32) -> Result<Option<Entry>> {
        self.shared.tables.entry(&self.txn, MailKey::new(account, folder, uid))
    }

    /// Entries of a folder below a UID, newest first, at most `limit`: the same work at any size of the folder.
    pub fn entries_before(&self, account: AccountId, folder: FolderId, before: u32, limit: usize) -> Result<Vec<(u32, Entry)>> {
        let doing = "reading a mailbox";
        let key = |uid| MailKey::new(account, folder, uid);
        let range = key(0)..key(before);
        let recent = self.shared.tables.recent.remap_data_type::<Value<Entry>>().rev_range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        let mail = self.shared.tables.mail.remap_data_type::<Value<Entry>>().rev_range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        recent.chain(mail).take(limit).map(|row| row.map(|(key, entry)| (key.uid, entry)).map_err(Error::lmdb(doing))).collect()
    }

    /// The folders of an account with their names and counters, in order of their numbers.
    pub fn folders(&self, account: AccountId) -> Result<Vec<(FolderId, String, FolderState)>> {
        let doing = "reading folders";
        let range = FolderKey { account, folder: FolderId(0) }..=FolderKey { account, folder: FolderId(u32::MAX) };
        let rows = self.shared.tables.folders.range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        let mut found = Vec::new();
        for row in rows {
            let (key, name) = row.map_err(Error::lmdb(doing))?;
            if let Some(state) = self.shared.tables.folder(&self.txn, key)? {
                found.push((key.folder, name.name, state));
            }
        }
        Ok(found)
    }

    /// What lists show of a message, once it was read for the index.
    pub fn card(&self, message: MessageId) -> Result<Option<Card>> {
        self.shared.tables.cards.get(&self.txn, &message).map_err(Error::lmdb("reading a card"))
    }

    /// Folders with messages that are not in the index yet, at most `limit` messages of each; of one account, or of all.
    pub fn unindexed(&self, only: Option<AccountId>, limit: usize) -> Result<Vec<Unindexed>> {
        let doing = "reading the index";
        let (first, last) = only.map_or((AccountId(0), AccountId(u32::MAX)), |account| (account, account));
        let range = FolderKey { account: first, folder: FolderId(0) }..=FolderKey { account: last, folder: FolderId(u32::MAX) };
        let keys = self.shared.tables.folders.remap_data_type::<heed::types::DecodeIgnore>().range(&self.txn, &range);
        let mut found = Vec::new();
        for row in keys.map_err(Error::lmdb(doing))? {
            let (key, ()) = row.map_err(Error::lmdb(doing))?;
            let below = self.shared.tables.indexed.get(&self.txn, &key).map_err(Error::lmdb(doing))?;
            let below = below.and_then(|octets| octets.try_into().ok()).map_or(0, u32::from_be_bytes);
            let Some(state) = self.shared.tables.folder(&self.txn, key)?.filter(|state| state.next_uid > below.max(1)) else { continue };
            if state.messages == 0 {
                continue;
            }
            let entries = self.entries(key.account, key.folder, below, limit)?;
            if !entries.is_empty() {
                found.push(Unindexed { account: key.account, folder: key.folder, entries });
            }
        }
        Ok(found)
    }

    /// Messages of an account in which, for each of `all`, one of the alternatives stands; newest arrival first, at most
    /// `limit` of those that `wanted` accepts. A term that ends with `*` stands for all that begin so.
    pub fn search(&self, account: AccountId, all: &[Vec<String>], limit: usize, wanted: impl Fn(&Found) -> bool) -> Result<Vec<Found>> {
        let mut numbers: Option<RoaringBitmap> = None;
        for alternatives in all {
            let mut any = RoaringBitmap::new();
            for term in alternatives {
                any |= self.postings(account, term)?;
            }
            numbers = Some(match numbers {
                Some(known) => known & any,
                None => any,
            });
        }
        let mut found = Vec::new();
        let doing = "searching";
        let mut visit = |key: PlaceKey, places: &crate::card::Places| -> Result<bool> {
            for &(folder, uid) in &places.0 {
                let Some(entry) = self.entry(account, folder, uid)?.filter(|entry| entry.message == key.message) else { continue };
                let one = Found { folder, uid, entry };
                if wanted(&one) {
                    found.push(one);
                }
            }
            Ok(found.len() < limit)
        };
        match numbers {
            Some(numbers) => {
                for number in numbers.iter().rev() {
                    let key = PlaceKey { account, message: MessageId(u64::from(number)) };
                    let places = self.shared.tables.places.get(&self.txn, &key).map_err(Error::lmdb(doing))?;
                    if let Some(places) = places
                        && !visit(key, &places)?
                    {
                        break;
                    }
                }
            }
            None => {
                let range = PlaceKey { account, message: MessageId(0) }..=PlaceKey { account, message: MessageId(u64::MAX) };
                for row in self.shared.tables.places.rev_range(&self.txn, &range).map_err(Error::lmdb(doing))? {
                    let (key, places) = row.map_err(Error::lmdb(doing))?;
                    if !visit(key, &places)? {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    fn postings(&self, account: AccountId, term: &str) -> Result<RoaringBitmap> {
        let doing = "searching";
        let (term, is_prefix) = term.strip_suffix('*').map_or((term, false), |term| (term, true));
        let mut prefix = term_prefix(account, term);
        if !is_prefix {
            prefix.push(0);
        }
        let mut numbers = RoaringBitmap::new();
        for row in self.shared.tables.postings.prefix_iter(&self.txn, &prefix).map_err(Error::lmdb(doing))?.take(POSTINGS) {
            let (key, block) = row.map_err(Error::lmdb(doing))?;
            // A block holds its own numbers only; another's would be damage.
            let own = block_of(key).map(|block| block << BLOCK_BITS..(block + 1) << BLOCK_BITS);
            numbers |= block.0.iter().filter(|n| own.as_ref().is_some_and(|own| own.contains(n))).collect::<RoaringBitmap>();
        }
        Ok(numbers)
    }

    /// A person's contacts by address.
    pub fn contacts(&self, account: AccountId) -> Result<Vec<(String, Contact)>> {
        let doing = "reading contacts";
        let prefix = contact_key(account, "");
        let rows = self.shared.tables.contacts.prefix_iter(&self.txn, &prefix).map_err(Error::lmdb(doing))?;
        let row = |(key, contact): (&[u8], Contact)| (String::from_utf8_lossy(&key[prefix.len()..]).into_owned(), contact);
        rows.map(|found| found.map(row).map_err(Error::lmdb(doing))).collect()
    }

    /// What a person said about a message.
    pub fn judgement(&self, account: AccountId, message: MessageId) -> Result<Option<Judgement>> {
        let key = JudgementKey { message, account };
        self.shared.tables.judgements.get(&self.txn, &key).map_err(Error::lmdb("reading a judgement"))
    }

    /// Letters that go out by themselves, with their accounts.
    pub fn timed(&self) -> Result<Vec<(AccountId, MessageId, Timed)>> {
        let doing = "reading letters for later";
        let rows = self.shared.tables.timed.iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(key, timed)| (key.account, key.message, timed)).map_err(Error::lmdb(doing))).collect()
    }

    /// Opens the content of a message; `None` when it is gone.
    pub fn content(&self, message: MessageId) -> Result<Option<Content>> {
        let head = self.shared.tables.head(&self.txn, message)?;
        Ok(head.map(|head| Content { message, octets: head.octets, received_at: head.received_at, head }))
    }

    /// Appends the whole of an inline content to `out` and checks its CRC. Content in a file is not for here.
    pub fn read_inline(&self, content: &Content, out: &mut Vec<u8>) -> Result<()> {
        let doing = "reading a message";
        let Location::Inline { parts, tail } = &content.head.location else {
            return Err(Error::Invalid { why: "this message lies in a file".into() });
        };
        let start = out.len();
        out.reserve(content.octets as usize);
        let key = |part| ContentKey { message: content.message, part };
        if *parts > 0 {
            let rows = self.shared.tables.content.range(&self.txn, &(key(1)..=key(*parts))).map_err(Error::lmdb(doing))?;
            for row in rows {
                out.extend_from_slice(row.map_err(Error::lmdb(doing))?.1);
            }
        }
        out.extend_from_slice(tail);
        let read = &out[start..];
        if read.len() as u64 != content.octets || crc32fast::hash(read) != content.head.crc32 {
            out.truncate(start);
            return Err(Error::damaged(format!("the content of message {}", content.message.0)));
        }
        Ok(())
    }

    /// Lanes of the queue that are due at `now`, earliest first, at most `limit`: id, domain, time.
    /// What is not due costs nothing.
    pub fn agenda(&self, now: u64, limit: usize) -> Result<Vec<(LaneId, String, u64)>> {
        let doing = "reading the queue's agenda";
        let range = AgendaKey { due: 0, lane: LaneId(0) }..=AgendaKey { due: now, lane: LaneId(u64::MAX) };
        let rows = self.shared.tables.agenda.range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        let row = |row: heed::Result<(AgendaKey, &str)>| row.map(|(k, domain)| (k.lane, domain.to_string(), k.due));
        rows.take(limit).map(row).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// When the first and the last lane are due; `None` when nothing is scheduled.
    pub fn agenda_span(&self) -> Result<Option<(u64, u64, LaneId)>> {
        let doing = "reading the queue's agenda";
        let first = self.shared.tables.agenda.first(&self.txn).map_err(Error::lmdb(doing))?;
        let last = self.shared.tables.agenda.last(&self.txn).map_err(Error::lmdb(doing))?;
        Ok(first.zip(last).map(|((first, _), (last, _))| (first.due, last.due, last.lane)))
    }

    /// Recipients of a lane that are due at `now`, earliest first, at most `limit`; those that `skip` names
    /// are passed over.
    pub fn lane(&self, lane: LaneId, now: u64, limit: usize, skip: impl Fn(QueueKey) -> bool) -> Result<Vec<(QueueKey, Waiting)>> {
        let doing = "reading a lane of the queue";
        let key = |due, message| LaneKey { lane, due, entry: QueueKey { message: MessageId(message), recipient: 0 } };
        let end = key(now.saturating_add(1), 0);
        let rows = self.shared.tables.lanes.range(&self.txn, &(key(0, 0)..end)).map_err(Error::lmdb(doing))?;
        let mut found = Vec::new();
        for row in rows {
            let entry = row.map_err(Error::lmdb(doing))?.0.entry;
            if skip(entry) {
                continue;
            }
            if let Some(waiting) = self.waiting(entry)? {
                found.push((entry, waiting));
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// A recipient in the queue.
    pub fn waiting(&self, key: QueueKey) -> Result<Option<Waiting>> {
        self.shared.tables.queue.get(&self.txn, &key).map_err(Error::lmdb("reading the queue"))
    }

    /// A message on its way out.
    pub fn outgoing(&self, message: MessageId) -> Result<Option<Outgoing>> {
        self.shared.tables.outgoing.get(&self.txn, &message).map_err(Error::lmdb("reading the queue"))
    }

    /// Recipients in the queue from a place on, in order of acceptance, at most `limit`.
    pub fn queue(&self, from: QueueKey, limit: usize) -> Result<Vec<(QueueKey, Waiting)>> {
        let doing = "reading the queue";
        let rows = self.shared.tables.queue.range(&self.txn, &(from..)).map_err(Error::lmdb(doing))?;
        rows.take(limit).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// How many recipients are in the queue, and how many of them are scheduled; the others are held.
    pub fn queue_counts(&self) -> Result<(u64, u64)> {
        let doing = "counting the queue";
        let all = self.shared.tables.queue.len(&self.txn).map_err(Error::lmdb(doing))?;
        Ok((all, self.shared.tables.lanes.len(&self.txn).map_err(Error::lmdb(doing))?))
    }

    /// The conversation of the last attempt.
    pub fn transcript(&self, key: QueueKey) -> Result<Option<Transcript>> {
        self.shared.tables.transcripts.get(&self.txn, &key).map_err(Error::lmdb("reading a transcript"))
    }

    /// All ways out through providers; the empty name is for all other domains.
    pub fn routes(&self) -> Result<Vec<(String, Route)>> {
        let doing = "reading routes";
        let rows = self.shared.tables.routes.iter(&self.txn).map_err(Error::lmdb(doing))?;
        let row = |row: heed::Result<(&str, Route)>| row.map(|(name, route)| (name.replace('*', ""), route));
        rows.map(row).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// The signing keys of a domain by selector.
    pub fn signing_keys(&self, domain: &str) -> Result<Vec<(String, SigningKey)>> {
        let doing = "reading signing keys";
        let prefix = format!("{domain}/");
        let rows = self.shared.tables.keys.prefix_iter(&self.txn, &prefix).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(name, key)| (name[prefix.len()..].to_string(), key)).map_err(Error::lmdb(doing))).collect()
    }

    /// The MTA-STS policy remembered for a domain.
    pub fn sts_policy(&self, domain: &str) -> Result<Option<StsPolicy>> {
        self.shared.tables.policies.get(&self.txn, domain).map_err(Error::lmdb("reading a policy"))
    }

    /// Notices that came about a sent message.
    pub fn reports(&self, sent: MessageId) -> Result<Vec<MessageId>> {
        let doing = "reading links to notices";
        let range = ReportKey { sent, report: MessageId(0) }..=ReportKey { sent, report: MessageId(u64::MAX) };
        let rows = self.shared.tables.reports.range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(key, ())| key.report).map_err(Error::lmdb(doing))).collect()
    }

    /// A signed-in browser by the hash of its token.
    pub fn session(&self, key: &str) -> Result<Option<WebSession>> {
        self.shared.tables.sessions.get(&self.txn, key).map_err(Error::lmdb("reading a session"))
    }

    /// All signed-in browsers.
    pub fn sessions(&self) -> Result<Vec<(String, WebSession)>> {
        let doing = "reading sessions";
        let rows = self.shared.tables.sessions.iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(key, s)| (key.to_string(), s)).map_err(Error::lmdb(doing))).collect()
    }

    /// What the owner chose under this name.
    pub fn setting(&self, key: &str) -> Result<Option<String>> {
        let setting = self.shared.tables.settings.get(&self.txn, key).map_err(Error::lmdb("reading settings"))?;
        Ok(setting.map(|setting| setting.0))
    }

    /// A link for a new password by the hash of what stands in it.
    pub fn link(&self, key: &str) -> Result<Option<OneTimeLink>> {
        self.shared.tables.links.get(&self.txn, key).map_err(Error::lmdb("reading a link"))
    }

    /// An account's second factor.
    pub fn factor(&self, account: AccountId) -> Result<Option<SecondFactor>> {
        self.shared.tables.factors.get(&self.txn, &account).map_err(Error::lmdb("reading a second factor"))
    }

    /// The last sign-ins of an account, newest first, with their times.
    pub fn sign_ins(&self, account: AccountId, limit: usize) -> Result<Vec<(u64, SignIn)>> {
        let doing = "reading sign-ins";
        let range = SignInKey { account, at: 0 }..=SignInKey { account, at: u64::MAX };
        let rows = self.shared.tables.sign_ins.rev_range(&self.txn, &range).map_err(Error::lmdb(doing))?;
        rows.take(limit).map(|row| row.map(|(key, sign_in)| (key.at, sign_in)).map_err(Error::lmdb(doing))).collect()
    }

    /// The hours from this one on, with their numbers.
    pub fn hours(&self, from: u64) -> Result<Vec<(u64, Hour)>> {
        let doing = "reading hours";
        let rows = self.shared.tables.hours.range(&self.txn, &(from..)).map_err(Error::lmdb(doing))?;
        rows.collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// Ledger records after a place, oldest first, at most `limit`.
    pub fn ledger_after(&self, place: LedgerId, limit: usize) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let doing = "reading the ledger";
        let rows = self.shared.tables.ledger.range(&self.txn, &(LedgerId(place.0 + 1)..)).map_err(Error::lmdb(doing))?;
        rows.take(limit).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// An account by its number.
    pub fn account_by_id(&self, id: AccountId) -> Result<Option<Account>> {
        self.shared.tables.accounts.get(&self.txn, &id).map_err(Error::lmdb("reading an account"))
    }

    /// A ledger record by its place.
    pub fn ledger_record(&self, id: LedgerId) -> Result<Option<LedgerRecord>> {
        self.shared.tables.ledger.get(&self.txn, &id).map_err(Error::lmdb("reading the ledger"))
    }

    /// The newest records, newest first.
    pub fn ledger_recent(&self, limit: usize) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let doing = "reading the ledger";
        let rows = self.shared.tables.ledger.rev_iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.take(limit).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// The newest records that `matches` accepts, at most `limit`, newest first. `term` (a hash from
    /// [`crate::term`]) narrows the search by the index; records not yet indexed are always looked at.
    pub fn ledger_find(&self, term: Option<u64>, limit: usize, matches: impl Fn(LedgerId, &LedgerRecord) -> bool) -> Result<Vec<(LedgerId, LedgerRecord)>> {
        let doing = "searching the ledger";
        let tables = &self.shared.tables;
        let last = tables.ledger.last(&self.txn).map_err(Error::lmdb(doing))?.map_or(0, |(id, _)| id.0);
        let indexed = tables.meta.get(&self.txn, "ledger-indexed").map_err(Error::lmdb(doing))?;
        let indexed = indexed.and_then(|v| v.try_into().ok()).map_or(0, u64::from_be_bytes);
        let mut blocks: Vec<u64> = match term {
            None => (0..indexed).collect(),
            Some(term) => {
                let range = TermKey { term, block: 0 }..=TermKey { term, block: u64::MAX };
                let rows = tables.terms.range(&self.txn, &range).map_err(Error::lmdb(doing))?;
                rows.map(|row| row.map(|(k, ())| k.block)).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))?
            }
        };
        blocks.extend(indexed..=last / LEDGER_BLOCK);
        let mut found = Vec::new();
        for block in blocks.into_iter().rev() {
            let range = LedgerId(block * LEDGER_BLOCK)..LedgerId((block + 1) * LEDGER_BLOCK);
            for row in tables.ledger.rev_range(&self.txn, &range).map_err(Error::lmdb(doing))? {
                let (id, record) = row.map_err(Error::lmdb(doing))?;
                if matches(id, &record) {
                    found.push((id, record));
                    if found.len() >= limit {
                        return Ok(found);
                    }
                }
            }
        }
        Ok(found)
    }
}
