//! People with their mailboxes, and the passwords of their devices.

use pillarbox_vocabulary::Timestamp;

use crate::directory::{Account, AddressTarget, Credential, MailboxPolicy, PURGE, clean_name};
use crate::engine::change::Change;
use crate::engine::work::{Work, random};
use crate::error::{Error, Result};
use crate::ids::{AccountId, DeviceId, DeviceKey, FolderId, FolderKey, MessageId, PlaceKey};
use crate::mailbox::{FIRST_OWN_FOLDER, FolderName};
use crate::sessions::SignInKey;

/// The folders every account has from the start.
const FOLDERS: [(FolderId, &str); 5] = [
    (FolderId::INBOX, "INBOX"),
    (FolderId::SENT, "Sent"),
    (FolderId::DRAFTS, "Drafts"),
    (FolderId::TRASH, "Trash"),
    (FolderId::JUNK, "Junk"),
];

const DOING: &str = "changing the directory";

/// Adds a person with a mailbox; gives the account.
#[derive(Clone, Debug)]
pub struct AddAccount {
    pub address: String,
    pub name: String,
    pub hash: String,
    pub policy: MailboxPolicy,
    pub at: Timestamp,
}

impl Change for AddAccount {
    type Outcome = AccountId;
    fn apply(&mut self, work: &mut Work) -> Result<AccountId> {
        work.add_account(&self.address, &self.name, &self.hash, self.policy, self.at)
    }
}

/// Mail goes too: at once from sight, and piece by piece from the disk.
#[derive(Clone, Debug)]
pub struct RemoveAccount {
    pub address: String,
}

impl Change for RemoveAccount {
    type Outcome = AccountId;
    fn apply(&mut self, work: &mut Work) -> Result<AccountId> {
        work.remove_account(&self.address)
    }
}

/// Sets an account's own password: all its browsers are signed out, its links end.
#[derive(Clone, Debug)]
pub struct SetPassword {
    pub address: String,
    pub hash: String,
    pub at: Timestamp,
}

impl Change for SetPassword {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        let (account, _) = work.account(&self.address)?;
        work.end_sessions(account)?;
        work.remove_links(account)?;
        work.put_credential(account, DeviceId::MAIN, "", &self.hash, self.at)
    }
}

/// Sets what happens to mail that devices deleted.
#[derive(Clone, Debug)]
pub struct SetPolicy {
    pub address: String,
    pub policy: MailboxPolicy,
}

impl Change for SetPolicy {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        let (id, account) = work.account(&self.address)?;
        work.put_account(id, &Account { policy: self.policy, ..account })
    }
}

/// The person's name.
#[derive(Clone, Debug)]
pub struct SetName {
    pub address: String,
    pub name: String,
}

impl Change for SetName {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        let (id, account) = work.account(&self.address)?;
        work.put_account(id, &Account { name: clean_name(&self.name), ..account })
    }
}

/// Adds a device password; gives the device.
#[derive(Clone, Debug)]
pub struct AddDevice {
    pub address: String,
    pub label: String,
    pub hash: String,
    pub at: Timestamp,
}

impl Change for AddDevice {
    type Outcome = DeviceId;
    fn apply(&mut self, work: &mut Work) -> Result<DeviceId> {
        work.add_device(&self.address, &self.label, &self.hash, self.at)
    }
}

/// Removes a device's password and its view.
#[derive(Clone, Debug)]
pub struct RemoveDevice {
    pub address: String,
    pub device: DeviceId,
}

impl Change for RemoveDevice {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.remove_device(&self.address, self.device)
    }
}

impl Work<'_, '_> {
    pub(crate) fn account(&self, address: &str) -> Result<(AccountId, Account)> {
        let missing = || Error::NotFound { what: "account", name: address.to_string() };
        match self.tables.directory.addresses.get(self.txn, address).map_err(Error::lmdb(DOING))? {
            Some(AddressTarget::Account(id)) => {
                let account = self
                    .tables
                    .directory
                    .accounts
                    .get(self.txn, &id)
                    .map_err(Error::lmdb(DOING))?;
                Ok((id, account.filter(|a| a.address == address).ok_or_else(missing)?))
            }
            _ => Err(missing()),
        }
    }

    pub(crate) fn accounts(&self) -> Result<Vec<(AccountId, Account)>> {
        let rows = self.tables.directory.accounts.iter(self.txn).map_err(Error::lmdb(DOING))?;
        rows.collect::<heed::Result<_>>().map_err(Error::lmdb(DOING))
    }

    fn put_account(&mut self, id: AccountId, account: &Account) -> Result<()> {
        self.tables.directory.accounts.put(self.txn, &id, account).map_err(Error::lmdb(DOING))
    }

    fn add_account(
        &mut self,
        address: &str,
        name: &str,
        hash: &str,
        policy: MailboxPolicy,
        at: Timestamp,
    ) -> Result<AccountId> {
        self.check_address(address)?;
        if self
            .tables
            .directory
            .addresses
            .get(self.txn, address)
            .map_err(Error::lmdb(DOING))?
            .is_some()
        {
            return Err(Error::Exists { what: "address", name: address.into() });
        }
        let id = AccountId(self.next_account()?);
        let account = Account {
            address: address.into(),
            name: clean_name(name),
            created: at,
            policy,
            next_device: 1,
            next_folder: FIRST_OWN_FOLDER,
        };
        self.put_account(id, &account)?;
        self.tables
            .meta
            .put(self.txn, "last-account", &id.0.to_be_bytes())
            .map_err(Error::lmdb(DOING))?;
        self.tables
            .directory
            .addresses
            .put(self.txn, address, &AddressTarget::Account(id))
            .map_err(Error::lmdb(DOING))?;
        self.put_credential(id, DeviceId::MAIN, "", hash, at)?;
        for (folder, name) in FOLDERS {
            let folder = FolderKey { account: id, folder };
            self.make_folder(folder, (random()? as u32).max(1))?;
            let name = FolderName { name: name.into(), special_use: None };
            self.tables
                .mailbox
                .folders
                .put(self.txn, &folder, &name)
                .map_err(Error::lmdb(DOING))?;
        }
        Ok(id)
    }

    /// Account numbers are never reused, also not after the newest account was removed.
    fn next_account(&self) -> Result<u32> {
        let last = self.tables.meta.get(self.txn, "last-account").map_err(Error::lmdb(DOING))?;
        let last = last.map_or(Ok(0), |v| v.try_into().map(u32::from_be_bytes));
        Ok(last.map_err(|_| Error::damaged("the last account number"))? + 1)
    }

    fn remove_account(&mut self, address: &str) -> Result<AccountId> {
        let (id, _) = self.account(address)?;
        let mut names = Vec::new();
        for row in self.tables.directory.addresses.iter(self.txn).map_err(Error::lmdb(DOING))? {
            let (name, target) = row.map_err(Error::lmdb(DOING))?;
            if target == AddressTarget::Account(id) {
                names.push(name.to_string());
            }
        }
        for name in names {
            self.tables.directory.addresses.delete(self.txn, &name).map_err(Error::lmdb(DOING))?;
        }
        let devices = DeviceKey { account: id, device: DeviceId(0) }..=DeviceKey {
            account: id,
            device: DeviceId(u16::MAX),
        };
        self.tables
            .directory
            .credentials
            .delete_range(self.txn, &devices)
            .map_err(Error::lmdb(DOING))?;
        self.tables.directory.accounts.delete(self.txn, &id).map_err(Error::lmdb(DOING))?;
        self.end_sessions(id)?;
        self.forget_account(id)?;
        let mark = format!("{PURGE}{:08x}", id.0);
        self.tables.meta.put(self.txn, &mark, &id.0.to_be_bytes()).map_err(Error::lmdb(DOING))?;
        Ok(id)
    }

    /// What an account leaves behind when it goes.
    fn forget_account(&mut self, account: AccountId) -> Result<()> {
        self.remove_links(account)?;
        self.forget_contacts(account)?;
        self.tables.sessions.factors.delete(self.txn, &account).map_err(Error::lmdb(DOING))?;
        self.tables
            .settings
            .settings
            .delete(self.txn, &format!("preferences:{}", account.0))
            .map_err(Error::lmdb(DOING))?;
        let timed = PlaceKey { account, message: MessageId(0) }..=PlaceKey {
            account,
            message: MessageId(u64::MAX),
        };
        self.tables.mailbox.timed.delete_range(self.txn, &timed).map_err(Error::lmdb(DOING))?;
        let range =
            SignInKey { account, at: Timestamp(0) }..=SignInKey { account, at: Timestamp::MAX };
        self.tables.sessions.sign_ins.delete_range(self.txn, &range).map_err(Error::lmdb(DOING))?;
        Ok(())
    }

    pub(crate) fn put_credential(
        &mut self,
        account: AccountId,
        device: DeviceId,
        label: &str,
        hash: &str,
        at: Timestamp,
    ) -> Result<()> {
        let credential = Credential { label: clean_name(label), hash: hash.into(), created: at };
        let key = DeviceKey { account, device };
        self.tables
            .directory
            .credentials
            .put(self.txn, &key, &credential)
            .map_err(Error::lmdb(DOING))
    }

    fn add_device(
        &mut self,
        address: &str,
        label: &str,
        hash: &str,
        at: Timestamp,
    ) -> Result<DeviceId> {
        let (id, account) = self.account(address)?;
        let device = DeviceId(account.next_device);
        let next_device = account.next_device.checked_add(1);
        let next_device = next_device.ok_or_else(|| Error::Invalid {
            why: "this account has used up its device numbers".into(),
        })?;
        self.put_account(id, &Account { next_device, ..account })?;
        self.put_credential(id, device, label, hash, at)?;
        Ok(device)
    }

    fn remove_device(&mut self, address: &str, device: DeviceId) -> Result<()> {
        let (account, _) = self.account(address)?;
        let key = DeviceKey { account, device };
        let existed = device != DeviceId::MAIN
            && self
                .tables
                .directory
                .credentials
                .delete(self.txn, &key)
                .map_err(Error::lmdb(DOING))?;
        if !existed {
            return Err(Error::NotFound { what: "device", name: device.0.to_string() });
        }
        self.tables.mailbox.views.delete(self.txn, &key).map(drop).map_err(Error::lmdb(DOING))
    }
}
