//! Domains that mail is taken for, and aliases in them.

use pillarbox_vocabulary::Timestamp;

use crate::directory::{AddressTarget, DomainRecord, domain_of};
use crate::engine::change::Change;
use crate::engine::table::fits;
use crate::engine::work::Work;
use crate::error::{Error, Result};

const DOING: &str = "changing the directory";

/// Adds a domain that mail is taken for.
#[derive(Clone, Debug)]
pub struct AddDomain {
    pub name: String,
    pub at: Timestamp,
}

impl Change for AddDomain {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.add_domain(&self.name, self.at)
    }
}

/// Refused while addresses are left in it.
#[derive(Clone, Debug)]
pub struct RemoveDomain {
    pub name: String,
}

impl Change for RemoveDomain {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.remove_domain(&self.name)
    }
}

/// Adds or replaces an alias; `@domain` is the catch-all.
#[derive(Clone, Debug)]
pub struct SetAlias {
    pub address: String,
    pub targets: Vec<String>,
}

impl Change for SetAlias {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.set_alias(&self.address, &self.targets)
    }
}

/// Removes an alias.
#[derive(Clone, Debug)]
pub struct RemoveAlias {
    pub address: String,
}

impl Change for RemoveAlias {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.remove_alias(&self.address)
    }
}

impl Work<'_, '_> {
    fn add_domain(&mut self, name: &str, at: Timestamp) -> Result<()> {
        if self.tables.directory.domains.get(self.txn, name).map_err(Error::lmdb(DOING))?.is_some()
        {
            return Err(Error::Exists { what: "domain", name: name.into() });
        }
        self.tables
            .directory
            .domains
            .put(self.txn, name, &DomainRecord { created: at })
            .map_err(Error::lmdb(DOING))?;
        Ok(())
    }

    fn remove_domain(&mut self, name: &str) -> Result<()> {
        let suffix = format!("@{name}");
        for row in self.tables.directory.addresses.iter(self.txn).map_err(Error::lmdb(DOING))? {
            let (address, _) = row.map_err(Error::lmdb(DOING))?;
            if address.ends_with(&suffix) {
                let why = format!("{address} still belongs to {name}: remove it first");
                return Err(Error::Invalid { why });
            }
        }
        self.remove_keys(name)?;
        match self.tables.directory.domains.delete(self.txn, name).map_err(Error::lmdb(DOING))? {
            true => Ok(()),
            false => Err(Error::NotFound { what: "domain", name: name.into() }),
        }
    }

    /// The domain of an address must be one of ours, and the address free.
    pub(crate) fn check_address(&self, address: &str) -> Result<()> {
        if !fits(address.as_bytes()) {
            return Err(Error::Invalid { why: "an address of this length can't be kept".into() });
        }
        let domain = domain_of(address);
        if self
            .tables
            .directory
            .domains
            .get(self.txn, domain)
            .map_err(Error::lmdb(DOING))?
            .is_none()
        {
            return Err(Error::NotFound {
                what: "domain",
                name: format!("{domain}: add it first"),
            });
        }
        Ok(())
    }

    fn set_alias(&mut self, address: &str, targets: &[String]) -> Result<()> {
        self.check_address(address)?;
        if let Some(AddressTarget::Account(_)) =
            self.tables.directory.addresses.get(self.txn, address).map_err(Error::lmdb(DOING))?
        {
            return Err(Error::Exists { what: "account", name: address.into() });
        }
        for target in targets {
            if self
                .tables
                .directory
                .addresses
                .get(self.txn, target)
                .map_err(Error::lmdb(DOING))?
                .is_none()
            {
                return Err(Error::NotFound {
                    what: "address",
                    name: format!("{target} for the alias to point to"),
                });
            }
        }
        if targets.is_empty() {
            return Err(Error::Invalid {
                why: "an alias needs at least one address to point to".into(),
            });
        }
        let target = AddressTarget::Alias(targets.to_vec());
        self.tables
            .directory
            .addresses
            .put(self.txn, address, &target)
            .map_err(Error::lmdb(DOING))?;
        Ok(())
    }

    fn remove_alias(&mut self, address: &str) -> Result<()> {
        match self.tables.directory.addresses.get(self.txn, address).map_err(Error::lmdb(DOING))? {
            Some(AddressTarget::Alias(_)) => {
                self.tables
                    .directory
                    .addresses
                    .delete(self.txn, address)
                    .map_err(Error::lmdb(DOING))?;
                Ok(())
            }
            _ => Err(Error::NotFound { what: "alias", name: address.into() }),
        }
    }
}
