//! Who has a mailbox here, and where an address leads.

use crate::directory::{Account, AddressTarget, Credential, domain_of};
use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::{AccountId, DeviceId, DeviceKey};

/// Aliases may point to aliases this deep.
const ALIAS_DEPTH: usize = 8;

/// What an address leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// These local mailboxes, each once.
    Accounts(Vec<AccountId>),
    /// The domain is ours, the address is unclaimed.
    NoSuchAddress,
    /// The domain is not ours.
    OtherDomain,
}

/// Whether `ann+shop@` reaches ann (RFC 5233 §1: what is behind the separator is the recipient's own).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubAddresses {
    On,
    Off,
}

impl Reader<'_> {
    /// All domains, sorted.
    pub fn domains(&self) -> Result<Vec<String>> {
        let doing = "reading domains";
        let rows =
            self.shared.tables.directory.domains.iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(name, _)| name.to_string()).map_err(Error::lmdb(doing))).collect()
    }

    /// True when mail for the domain is ours to judge.
    pub fn is_local(&self, domain: &str) -> Result<bool> {
        let row = self
            .shared
            .tables
            .directory
            .domains
            .get(&self.txn, domain)
            .map_err(Error::lmdb("reading domains"))?;
        Ok(row.is_some())
    }

    /// All accounts with their ids, in order of creation.
    pub fn accounts(&self) -> Result<Vec<(AccountId, Account)>> {
        let doing = "reading accounts";
        let rows =
            self.shared.tables.directory.accounts.iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// All addresses and what they stand for, sorted.
    pub fn addresses(&self) -> Result<Vec<(String, AddressTarget)>> {
        let doing = "reading addresses";
        let rows =
            self.shared.tables.directory.addresses.iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(a, t)| (a.to_string(), t)).map_err(Error::lmdb(doing))).collect()
    }

    /// The account whose own address (user name) this is.
    pub fn account(&self, address: &str) -> Result<Option<(AccountId, Account)>> {
        let Some(AddressTarget::Account(id)) = self.target(address)? else { return Ok(None) };
        let account = self
            .shared
            .tables
            .directory
            .accounts
            .get(&self.txn, &id)
            .map_err(Error::lmdb("reading an account"))?;
        Ok(account.filter(|a| a.address == address).map(|a| (id, a)))
    }

    /// An account by its number.
    pub fn account_by_id(&self, id: AccountId) -> Result<Option<Account>> {
        self.shared
            .tables
            .directory
            .accounts
            .get(&self.txn, &id)
            .map_err(Error::lmdb("reading an account"))
    }

    /// The account's ways to log in; device 0 is its own password.
    pub fn credentials(&self, account: AccountId) -> Result<Vec<(DeviceId, Credential)>> {
        let doing = "reading credentials";
        let range = DeviceKey { account, device: DeviceId(0) }..=DeviceKey {
            account,
            device: DeviceId(u16::MAX),
        };
        let rows = self
            .shared
            .tables
            .directory
            .credentials
            .range(&self.txn, &range)
            .map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(k, c)| (k.device, c)).map_err(Error::lmdb(doing))).collect()
    }

    fn target(&self, address: &str) -> Result<Option<AddressTarget>> {
        self.shared
            .tables
            .directory
            .addresses
            .get(&self.txn, address)
            .map_err(Error::lmdb("reading addresses"))
    }

    /// Follows a canonical address through aliases, and to the domain's catch-all where it is unclaimed.
    pub fn resolve(&self, address: &str) -> Result<Resolution> {
        self.resolve_with(address, SubAddresses::Off)
    }

    /// The same; an address that is unclaimed as it is, is looked up without its detail before the catch-all gets it.
    pub fn resolve_with(&self, address: &str, sub_addresses: SubAddresses) -> Result<Resolution> {
        let domain = domain_of(address);
        if !self.is_local(domain)? {
            return Ok(Resolution::OtherDomain);
        }
        let mut accounts = Vec::new();
        self.follow(address, ALIAS_DEPTH, &mut accounts)?;
        if accounts.is_empty()
            && sub_addresses == SubAddresses::On
            && let Some(base) = without_detail(address)
        {
            self.follow(&base, ALIAS_DEPTH, &mut accounts)?;
        }
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
}

/// `ann+shop@example.org` without its detail; `None` when it has none, or nothing in front of it.
fn without_detail(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let (user, _) = local.split_once('+')?;
    (!user.is_empty()).then(|| format!("{user}@{domain}"))
}

#[cfg(test)]
mod tests {
    use super::without_detail;

    #[test]
    fn details_begin_at_the_first_plus() {
        let table = [
            ("ann+shop@x", Some("ann@x")),
            ("ann+a+b@x", Some("ann@x")),
            ("ann+@x", Some("ann@x")),
            ("a@b+c@x", Some("a@b@x")),
            ("+shop@x", None),
            ("ann@x", None),
            ("ann@x+y", None),
        ];
        for (address, base) in table {
            assert_eq!(without_detail(address).as_deref(), base, "{address}");
        }
    }
}
