//! Changes of what is not mail: one closed set.

use crate::changed::Changed;
use crate::contacts::Contact;
use crate::directory::{Account, MailboxPolicy, clean_name};
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, DeviceId, FolderId, MessageId};
use crate::index::write::IndexWork;
use crate::mailbox::Timed;
use crate::mailbox::change::MailOrder;
use crate::mailbox::folders::folder_name;
use crate::sending::{Route, SigningKey, StsPolicy};
use crate::sessions::{OneTimeLink, SecondFactor, SignIn, SignInKey, WebSession};
use crate::statistics::Hour;

const DOING: &str = "changing the directory";

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

impl Work<'_, '_> {
    pub(crate) fn change(&mut self, change: &Change) -> Result<Changed> {
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
            Change::SetRoute { domain, route } => self.set_route(domain, route),
            Change::RemoveRoute { domain } => self.remove_route(domain),
            Change::PutKey { domain, selector, key } => self.put_key(domain, selector, key),
            Change::AddFirstKey { domain, selector, key } => self.add_first_key(domain, selector, key),
            Change::RemoveKey { domain, selector } => self.remove_key(domain, selector),
            Change::BeginSession { key, session, credential } => self.begin_session(key, session, credential),
            Change::SeeSession { key, at } => self.see_session(key, *at),
            Change::RemoveSession { key } => {
                self.tables.sessions.sessions.delete(self.txn, key).map_err(Error::lmdb(DOING))?;
                Ok(Changed::Done)
            }
            Change::SetPolicyOf { domain, policy } => self.set_policy_of(domain, policy.as_ref()),
            Change::SetName { address, name } => {
                let (id, account) = self.account(address)?;
                self.put_account(id, &Account { name: clean_name(name), ..account })
            }
            Change::SetSetting { key, value } => self.set_setting(key, value.as_deref()),
            Change::PutLink { key, link } => {
                self.remove_links(link.account)?;
                self.tables.sessions.links.put(self.txn, key, link).map_err(Error::lmdb(DOING))?;
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
}
