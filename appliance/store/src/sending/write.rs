//! Changes of routes, signing keys and policies.

use crate::changed::Changed;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::sending::{Route, SigningKey, StsPolicy, route_name};

const DOING: &str = "changing what mail goes out by";

impl Work<'_, '_> {
    pub(crate) fn set_route(&mut self, domain: &str, route: &Route) -> Result<Changed> {
        self.tables.sending.routes.put(self.txn, &route_name(domain), route).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    pub(crate) fn remove_route(&mut self, domain: &str) -> Result<Changed> {
        match self.tables.sending.routes.delete(self.txn, &route_name(domain)).map_err(Error::lmdb(DOING))? {
            true => Ok(Changed::Done),
            false => Err(Error::NotFound { what: "route", name: domain.into() }),
        }
    }

    pub(crate) fn put_key(&mut self, domain: &str, selector: &str, key: &SigningKey) -> Result<Changed> {
        self.check_address(&format!("@{domain}"))?;
        self.tables.sending.keys.put(self.txn, &format!("{domain}/{selector}"), key).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    pub(crate) fn add_first_key(&mut self, domain: &str, selector: &str, key: &SigningKey) -> Result<Changed> {
        self.check_address(&format!("@{domain}"))?;
        let prefix = format!("{domain}/");
        for row in self.tables.sending.keys.prefix_iter(self.txn, &prefix).map_err(Error::lmdb(DOING))? {
            let (_, old) = row.map_err(Error::lmdb(DOING))?;
            if old.kind == key.kind && old.retired.is_none() {
                return Err(Error::Exists { what: "signing key", name: format!("of {domain}") });
            }
        }
        self.put_key(domain, selector, key)
    }

    pub(crate) fn remove_key(&mut self, domain: &str, selector: &str) -> Result<Changed> {
        match self.tables.sending.keys.delete(self.txn, &format!("{domain}/{selector}")).map_err(Error::lmdb(DOING))? {
            true => Ok(Changed::Done),
            false => Err(Error::NotFound { what: "signing key", name: format!("{selector} of {domain}") }),
        }
    }

    /// Removes the keys of a domain that goes.
    pub(crate) fn remove_keys(&mut self, domain: &str) -> Result<()> {
        let prefix = format!("{domain}/");
        let mut selectors = Vec::new();
        for row in self.tables.sending.keys.prefix_iter(self.txn, &prefix).map_err(Error::lmdb(DOING))? {
            selectors.push(row.map_err(Error::lmdb(DOING))?.0.to_string());
        }
        selectors.iter().try_for_each(|key| self.tables.sending.keys.delete(self.txn, key).map(drop).map_err(Error::lmdb(DOING)))
    }

    pub(crate) fn set_policy_of(&mut self, domain: &str, policy: Option<&StsPolicy>) -> Result<Changed> {
        match policy {
            Some(policy) => self.tables.sending.policies.put(self.txn, domain, policy),
            None => self.tables.sending.policies.delete(self.txn, domain).map(drop),
        }
        .map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }
}
