//! Changes of the directory: domains, accounts, passwords, devices, aliases.

use crate::card::Timed;
use crate::contact::Contact;
use crate::directory::{Account, AddressTarget, Credential, DomainRecord, MailboxPolicy, WebSession, clean_name, domain_of};
use crate::error::{Error, Result};
use crate::key::{AccountId, DeviceId, DeviceKey, FolderId, FolderKey, MessageId};
use crate::mailbox::FolderName;
use crate::named::fits;
use crate::owner::{Hour, OneTimeLink, SecondFactor, SignIn, SignInKey};
use crate::queue::{Route, SigningKey, StsPolicy};

use super::Work;
use super::webmail::{IndexWork, MailOrder};

/// A change the owner asks for. Names and addresses are canonical (lowercase, unquoted); times are seconds since 1970.
#[derive(Clone, Debug)]
pub enum Change {
    AddDomain {
        name: String,
        at: u64,
    },
    /// Refused while addresses are left in it.
    RemoveDomain {
        name: String,
    },
    AddAccount {
        address: String,
        name: String,
        hash: String,
        policy: MailboxPolicy,
        at: u64,
    },
    /// Mail goes too: at once from sight, and piece by piece from the disk.
    RemoveAccount {
        address: String,
    },
    SetPassword {
        address: String,
        hash: String,
        at: u64,
    },
    SetPolicy {
        address: String,
        policy: MailboxPolicy,
    },
    AddDevice {
        address: String,
        label: String,
        hash: String,
        at: u64,
    },
    RemoveDevice {
        address: String,
        device: DeviceId,
    },
    /// Adds or replaces an alias; `@domain` is the catch-all.
    SetAlias {
        address: String,
        targets: Vec<String>,
    },
    RemoveAlias {
        address: String,
    },
    /// Sets the way out for a domain, or for all others (empty name).
    SetRoute {
        domain: String,
        route: Route,
    },
    RemoveRoute {
        domain: String,
    },
    /// Adds a signing key to a domain of ours, or replaces the one of that selector.
    PutKey {
        domain: String,
        selector: String,
        key: SigningKey,
    },
    /// The same, but refused where a key of its kind already signs: of two makers at once the first one wins.
    AddFirstKey {
        domain: String,
        selector: String,
        key: SigningKey,
    },
    RemoveKey {
        domain: String,
        selector: String,
    },
    /// Signs a browser in; `key` is the hash of its token. Refused unless the account's own password is still the one with this hash:
    /// a sign-in that began before a change of the password must not outlive it.
    BeginSession {
        key: String,
        session: WebSession,
        credential: String,
    },
    /// Notes that a browser was seen, if it is still signed in.
    SeeSession {
        key: String,
        at: u64,
    },
    RemoveSession {
        key: String,
    },
    /// Remembers a domain's MTA-STS policy; `None` forgets it.
    SetPolicyOf {
        domain: String,
        policy: Option<StsPolicy>,
    },
    /// The person's name.
    SetName {
        address: String,
        name: String,
    },
    /// What the owner chose; `None` takes the choice back.
    SetSetting {
        key: String,
        value: Option<String>,
    },
    /// `key` is the hash of what stands in the link; older links of the account end.
    PutLink {
        key: String,
        link: OneTimeLink,
    },
    /// Sets a password by a link, which is used up by that.
    UseLink {
        key: String,
        hash: String,
        at: u64,
    },
    SetFactor {
        account: AccountId,
        factor: Option<SecondFactor>,
    },
    /// The same, but refused unless it is still what it was: of two who use the same code at once the first one wins.
    ReplaceFactor {
        account: AccountId,
        was: Option<SecondFactor>,
        factor: SecondFactor,
    },
    NoteSignIn {
        account: AccountId,
        at: u64,
        sign_in: SignIn,
    },
    /// Hours since 1970.
    PutHour {
        hour: u64,
        record: Hour,
    },
    /// What a person does with messages.
    Mail(MailOrder),
    MakeFolder {
        account: AccountId,
        name: String,
    },
    RenameFolder {
        account: AccountId,
        folder: FolderId,
        name: String,
    },
    /// Only an empty one that people made.
    RemoveFolder {
        account: AccountId,
        folder: FolderId,
    },
    /// When a letter among the drafts goes out by itself; `None`: not at all.
    SetTimed {
        account: AccountId,
        message: MessageId,
        timed: Option<Timed>,
    },
    /// Contacts by their addresses, lower case; `None` removes one.
    PutContacts {
        account: AccountId,
        contacts: Vec<(String, Option<Contact>)>,
    },
    /// Names and addresses somebody wrote to.
    NoteWritten {
        account: AccountId,
        people: Vec<(String, String)>,
        at: u64,
    },
    Index(IndexWork),
    ClearIndex,
}

/// What a change made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Done,
    Account(AccountId),
    Device(DeviceId),
    Folder(FolderId),
    /// So many messages are still to be deleted: the same order again takes the next ones.
    Left(u32),
}

/// The folders every account has from the start.
const FOLDERS: [(FolderId, &str); 5] =
    [(FolderId::INBOX, "INBOX"), (FolderId::SENT, "Sent"), (FolderId::DRAFTS, "Drafts"), (FolderId::TRASH, "Trash"), (FolderId::JUNK, "Junk")];
/// Folders people make are numbered from here.
pub(super) const FIRST_OWN_FOLDER: u32 = 16;
/// Prefix of the marks for accounts whose mail is still to be deleted.
pub(super) const PURGE: &str = "purge:";
const DOING: &str = "changing the directory";

fn folder_name(name: &str) -> Result<String> {
    match clean_name(name) {
        name if name.is_empty() => Err(Error::Invalid { why: "a folder needs a name".into() }),
        name => Ok(name),
    }
}

/// LMDB has no empty keys.
pub(crate) fn route_name(domain: &str) -> String {
    if domain.is_empty() { "*".into() } else { domain.into() }
}

impl Work<'_, '_> {
    pub(super) fn change(&mut self, change: &Change) -> Result<Changed> {
        match change {
            Change::AddDomain { name, at } => self.add_domain(name, *at),
            Change::RemoveDomain { name } => self.remove_domain(name),
            Change::AddAccount { address, name, hash, policy, at } => self.add_account(address, name, hash, *policy, *at),
            Change::RemoveAccount { address } => self.remove_account(address),
            Change::SetPassword { address, hash, at } => {
                let (account, _) = self.account(address)?;
                self.end_sessions(account)?;
                self.remove_links(account)?;
                self.put_credential(account, DeviceId::MAIN, "", hash, *at)
            }
            Change::SetPolicy { address, policy } => {
                let (id, account) = self.account(address)?;
                self.put_account(id, &Account { policy: *policy, ..account })
            }
            Change::AddDevice { address, label, hash, at } => self.add_device(address, label, hash, *at),
            Change::RemoveDevice { address, device } => self.remove_device(address, *device),
            Change::SetAlias { address, targets } => self.set_alias(address, targets),
            Change::RemoveAlias { address } => self.remove_alias(address),
            Change::SetRoute { domain, route } => {
                self.tables.routes.put(self.txn, &route_name(domain), route).map_err(Error::lmdb(DOING))?;
                Ok(Changed::Done)
            }
            Change::RemoveRoute { domain } => match self.tables.routes.delete(self.txn, &route_name(domain)).map_err(Error::lmdb(DOING))? {
                true => Ok(Changed::Done),
                false => Err(Error::NotFound { what: "route", name: domain.clone() }),
            },
            Change::PutKey { domain, selector, key } => {
                self.check_address(&format!("@{domain}"))?;
                self.tables.keys.put(self.txn, &format!("{domain}/{selector}"), key).map_err(Error::lmdb(DOING))?;
                Ok(Changed::Done)
            }
            Change::AddFirstKey { domain, selector, key } => {
                self.check_address(&format!("@{domain}"))?;
                let prefix = format!("{domain}/");
                for row in self.tables.keys.prefix_iter(self.txn, &prefix).map_err(Error::lmdb(DOING))? {
                    let (_, old) = row.map_err(Error::lmdb(DOING))?;
                    if old.kind == key.kind && old.retired.is_none() {
                        return Err(Error::Exists { what: "signing key", name: format!("of {domain}") });
                    }
                }
                self.tables.keys.put(self.txn, &format!("{domain}/{selector}"), key).map_err(Error::lmdb(DOING))?;
                Ok(Changed::Done)
            }
            Change::RemoveKey { domain, selector } => match self.tables.keys.delete(self.txn, &format!("{domain}/{selector}")).map_err(Error::lmdb(DOING))? {
                true => Ok(Changed::Done),
                false => Err(Error::NotFound { what: "signing key", name: format!("{selector} of {domain}") }),
            },
            Change::BeginSession { key, session, credential } => self.begin_session(key, session, credential),
            Change::SeeSession { key, at } => self.see_session(key, *at),
            Change::RemoveSession { key } => {
                self.tables.sessions.delete(self.txn, key).map_err(Error::lmdb(DOING))?;
                Ok(Changed::Done)
            }
            Change::SetPolicyOf { domain, policy } => {
                match policy {
                    Some(policy) => self.tables.policies.put(self.txn, domain, policy),
                    None => self.tables.policies.delete(self.txn, domain).map(drop),
                }
                .map_err(Error::lmdb(DOING))?;
                Ok(Changed::Done)
            }
            Change::SetName { address, name } => {
                let (id, account) = self.account(address)?;
                self.put_account(id, &Account { name: clean_name(name), ..account })
            }
            Change::SetSetting { key, value } => self.set_setting(key, value.as_deref()),
            Change::PutLink { key, link } => {
                self.remove_links(link.account)?;
                self.tables.links.put(self.txn, key, link).map_err(Error::lmdb(DOING))?;
                Ok(Changed::Done)
            }
            Change::UseLink { key, hash, at } => self.use_link(key, hash, *at),
            Change::SetFactor { account, factor } => self.set_factor(*account, factor.as_ref()),
            Change::ReplaceFactor { account, was, factor } => self.replace_factor(*account, was.as_ref(), factor),
            Change::NoteSignIn { account, at, sign_in } => self.note_sign_in(SignInKey { account: *account, at: *at }, sign_in),
            Change::PutHour { hour, record } => self.put_hour(*hour, record),
            Change::Mail(order) => self.mail_order(order),
            Change::MakeFolder { account, name } => self.make_own_folder(*account, &folder_name(name)?),
            Change::RenameFolder { account, folder, name } => self.rename_own_folder(*account, *folder, &folder_name(name)?),
            Change::RemoveFolder { account, folder } => self.remove_own_folder(*account, *folder),
            Change::SetTimed { account, message, timed } => self.set_timed(*account, *message, *timed),
            Change::PutContacts { account, contacts } => self.put_contacts(*account, contacts),
            Change::NoteWritten { account, people, at } => self.note_written(*account, people, *at),
            Change::Index(work) => self.index(work),
            Change::ClearIndex => self.clear_index(),
        }
    }

    fn account(&self, address: &str) -> Result<(AccountId, Account)> {
        let missing = || Error::NotFound { what: "account", name: address.to_string() };
        match self.tables.addresses.get(self.txn, address).map_err(Error::lmdb(DOING))? {
            Some(AddressTarget::Account(id)) => {
                let account = self.tables.accounts.get(self.txn, &id).map_err(Error::lmdb(DOING))?;
                Ok((id, account.filter(|a| a.address == address).ok_or_else(missing)?))
            }
            _ => Err(missing()),
        }
    }

    fn put_account(&mut self, id: AccountId, account: &Account) -> Result<Changed> {
        self.tables.accounts.put(self.txn, &id, account).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Account(id))
    }

    fn add_domain(&mut self, name: &str, at: u64) -> Result<Changed> {
        if self.tables.domains.get(self.txn, name).map_err(Error::lmdb(DOING))?.is_some() {
            return Err(Error::Exists { what: "domain", name: name.into() });
        }
        self.tables.domains.put(self.txn, name, &DomainRecord { created: at }).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    fn remove_domain(&mut self, name: &str) -> Result<Changed> {
        let suffix = format!("@{name}");
        for row in self.tables.addresses.iter(self.txn).map_err(Error::lmdb(DOING))? {
            let (address, _) = row.map_err(Error::lmdb(DOING))?;
            if address.ends_with(&suffix) {
                let why = format!("{address} still belongs to {name}: remove it first");
                return Err(Error::Invalid { why });
            }
        }
        let keys = format!("{name}/");
        let mut selectors = Vec::new();
        for row in self.tables.keys.prefix_iter(self.txn, &keys).map_err(Error::lmdb(DOING))? {
            selectors.push(row.map_err(Error::lmdb(DOING))?.0.to_string());
        }
        for key in selectors {
            self.tables.keys.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        }
        match self.tables.domains.delete(self.txn, name).map_err(Error::lmdb(DOING))? {
            true => Ok(Changed::Done),
            false => Err(Error::NotFound { what: "domain", name: name.into() }),
        }
    }

    /// The domain of an address must be one of ours, and the address free.
    fn check_address(&self, address: &str) -> Result<()> {
        if !fits(address.as_bytes()) {
            return Err(Error::Invalid { why: "an address of this length can't be kept".into() });
        }
        let domain = domain_of(address);
        if self.tables.domains.get(self.txn, domain).map_err(Error::lmdb(DOING))?.is_none() {
            return Err(Error::NotFound { what: "domain", name: format!("{domain}: add it first") });
        }
        Ok(())
    }

    fn add_account(&mut self, address: &str, name: &str, hash: &str, policy: MailboxPolicy, at: u64) -> Result<Changed> {
        self.check_address(address)?;
        if self.tables.addresses.get(self.txn, address).map_err(Error::lmdb(DOING))?.is_some() {
            return Err(Error::Exists { what: "address", name: address.into() });
        }
        let id = AccountId(self.next_account()?);
        let account = Account { address: address.into(), name: clean_name(name), created: at, policy, next_device: 1, next_folder: FIRST_OWN_FOLDER };
        self.put_account(id, &account)?;
        self.tables.meta.put(self.txn, "last-account", &id.0.to_be_bytes()).map_err(Error::lmdb(DOING))?;
        self.tables.addresses.put(self.txn, address, &AddressTarget::Account(id)).map_err(Error::lmdb(DOING))?;
        self.put_credential(id, DeviceId::MAIN, "", hash, at)?;
        for (folder, name) in FOLDERS {
            let folder = FolderKey { account: id, folder };
            self.make_folder(folder, (super::deliver::random()? as u32).max(1))?;
            let name = FolderName { name: name.into() };
            self.tables.folders.put(self.txn, &folder, &name).map_err(Error::lmdb(DOING))?;
        }
        Ok(Changed::Account(id))
    }

    /// Account numbers are never reused, also not after the newest account was removed.
    fn next_account(&self) -> Result<u32> {
        let last = self.tables.meta.get(self.txn, "last-account").map_err(Error::lmdb(DOING))?;
        let last = last.map_or(Ok(0), |v| v.try_into().map(u32::from_be_bytes));
        Ok(last.map_err(|_| Error::damaged("the last account number"))? + 1)
    }

    fn remove_account(&mut self, address: &str) -> Result<Changed> {
        let (id, _) = self.account(address)?;
        let mut names = Vec::new();
        for row in self.tables.addresses.iter(self.txn).map_err(Error::lmdb(DOING))? {
            let (name, target) = row.map_err(Error::lmdb(DOING))?;
            if target == AddressTarget::Account(id) {
                names.push(name.to_string());
            }
        }
        for name in names {
            self.tables.addresses.delete(self.txn, &name).map_err(Error::lmdb(DOING))?;
        }
        let devices = DeviceKey { account: id, device: DeviceId(0) }..=DeviceKey { account: id, device: DeviceId(u16::MAX) };
        self.tables.credentials.delete_range(self.txn, &devices).map_err(Error::lmdb(DOING))?;
        self.tables.accounts.delete(self.txn, &id).map_err(Error::lmdb(DOING))?;
        self.end_sessions(id)?;
        self.forget_account(id)?;
        let mark = format!("{PURGE}{:08x}", id.0);
        self.tables.meta.put(self.txn, &mark, &id.0.to_be_bytes()).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Account(id))
    }

    /// Signs all browsers of an account out: whoever knew the old password must not stay.
    pub(super) fn end_sessions(&mut self, account: AccountId) -> Result<()> {
        let mut keys = Vec::new();
        for row in self.tables.sessions.iter(self.txn).map_err(Error::lmdb(DOING))? {
            let (key, session) = row.map_err(Error::lmdb(DOING))?;
            if session.account == account {
                keys.push(key.to_string());
            }
        }
        keys.iter().try_for_each(|key| self.tables.sessions.delete(self.txn, key).map(drop).map_err(Error::lmdb(DOING)))
    }

    pub(super) fn put_credential(&mut self, account: AccountId, device: DeviceId, label: &str, hash: &str, at: u64) -> Result<Changed> {
        let credential = Credential { label: clean_name(label), hash: hash.into(), created: at };
        let key = DeviceKey { account, device };
        self.tables.credentials.put(self.txn, &key, &credential).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Device(device))
    }

    fn add_device(&mut self, address: &str, label: &str, hash: &str, at: u64) -> Result<Changed> {
        let (id, account) = self.account(address)?;
        let device = DeviceId(account.next_device);
        let next_device = account.next_device.checked_add(1);
        let next_device = next_device.ok_or_else(|| Error::Invalid { why: "this account has used up its device numbers".into() })?;
        self.put_account(id, &Account { next_device, ..account })?;
        self.put_credential(id, device, label, hash, at)
    }

    fn remove_device(&mut self, address: &str, device: DeviceId) -> Result<Changed> {
        let (account, _) = self.account(address)?;
        let key = DeviceKey { account, device };
        let existed = device != DeviceId::MAIN && self.tables.credentials.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        if !existed {
            return Err(Error::NotFound { what: "device", name: device.0.to_string() });
        }
        self.tables.views.delete(self.txn, &key).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Device(device))
    }

    fn set_alias(&mut self, address: &str, targets: &[String]) -> Result<Changed> {
        self.check_address(address)?;
        if let Some(AddressTarget::Account(_)) = self.tables.addresses.get(self.txn, address).map_err(Error::lmdb(DOING))? {
            return Err(Error::Exists { what: "account", name: address.into() });
        }
        for target in targets {
            if self.tables.addresses.get(self.txn, target).map_err(Error::lmdb(DOING))?.is_none() {
                return Err(Error::NotFound { what: "address", name: format!("{target} for the alias to point to") });
            }
        }
        if targets.is_empty() {
            return Err(Error::Invalid { why: "an alias needs at least one address to point to".into() });
        }
        let target = AddressTarget::Alias(targets.to_vec());
        self.tables.addresses.put(self.txn, address, &target).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    fn remove_alias(&mut self, address: &str) -> Result<Changed> {
        match self.tables.addresses.get(self.txn, address).map_err(Error::lmdb(DOING))? {
            Some(AddressTarget::Alias(_)) => {
                self.tables.addresses.delete(self.txn, address).map_err(Error::lmdb(DOING))?;
                Ok(Changed::Done)
            }
            _ => Err(Error::NotFound { what: "alias", name: address.into() }),
        }
    }
}
