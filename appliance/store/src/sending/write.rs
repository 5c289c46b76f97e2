//! Changes of routes, signing keys and policies.

use crate::engine::change::Change;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::sending::{Route, SigningKey, StsPolicy, route_name};

const DOING: &str = "changing what mail goes out by";

/// Sets the way out for a domain, or for all others (empty name).
#[derive(Clone, Debug)]
pub struct SetRoute {
    pub domain: String,
    pub route: Route,
}

impl Change for SetRoute {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.set_route(&self.domain, &self.route)
    }
}

/// Removes a way out.
#[derive(Clone, Debug)]
pub struct RemoveRoute {
    pub domain: String,
}

impl Change for RemoveRoute {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.remove_route(&self.domain)
    }
}

/// Adds a signing key to a domain of ours, or replaces the one of that selector.
#[derive(Clone, Debug)]
pub struct PutKey {
    pub domain: String,
    pub selector: String,
    pub key: SigningKey,
}

impl Change for PutKey {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.put_key(&self.domain, &self.selector, &self.key)
    }
}

/// The same, but refused where a key of its kind already signs: of two makers at once the first one wins.
#[derive(Clone, Debug)]
pub struct AddFirstKey {
    pub domain: String,
    pub selector: String,
    pub key: SigningKey,
}

impl Change for AddFirstKey {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.add_first_key(&self.domain, &self.selector, &self.key)
    }
}

/// Removes a signing key.
#[derive(Clone, Debug)]
pub struct RemoveKey {
    pub domain: String,
    pub selector: String,
}

impl Change for RemoveKey {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.remove_key(&self.domain, &self.selector)
    }
}

/// Remembers a domain's MTA-STS policy; `None` forgets it.
#[derive(Clone, Debug)]
pub struct SetPolicyOf {
    pub domain: String,
    pub policy: Option<StsPolicy>,
}

impl Change for SetPolicyOf {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.set_policy_of(&self.domain, self.policy.as_ref())
    }
}

impl Work<'_, '_> {
    fn set_route(&mut self, domain: &str, route: &Route) -> Result<()> {
        self.tables
            .sending
            .routes
            .put(self.txn, &route_name(domain), route)
            .map_err(Error::lmdb(DOING))?;
        Ok(())
    }

    fn remove_route(&mut self, domain: &str) -> Result<()> {
        match self
            .tables
            .sending
            .routes
            .delete(self.txn, &route_name(domain))
            .map_err(Error::lmdb(DOING))?
        {
            true => Ok(()),
            false => Err(Error::NotFound { what: "route", name: domain.into() }),
        }
    }

    fn put_key(&mut self, domain: &str, selector: &str, key: &SigningKey) -> Result<()> {
        self.check_address(&format!("@{domain}"))?;
        self.tables
            .sending
            .keys
            .put(self.txn, &format!("{domain}/{selector}"), key)
            .map_err(Error::lmdb(DOING))?;
        Ok(())
    }

    fn add_first_key(&mut self, domain: &str, selector: &str, key: &SigningKey) -> Result<()> {
        self.check_address(&format!("@{domain}"))?;
        let prefix = format!("{domain}/");
        for row in
            self.tables.sending.keys.prefix_iter(self.txn, &prefix).map_err(Error::lmdb(DOING))?
        {
            let (_, old) = row.map_err(Error::lmdb(DOING))?;
            if old.kind == key.kind && old.retired.is_none() {
                return Err(Error::Exists { what: "signing key", name: format!("of {domain}") });
            }
        }
        self.put_key(domain, selector, key)
    }

    fn remove_key(&mut self, domain: &str, selector: &str) -> Result<()> {
        match self
            .tables
            .sending
            .keys
            .delete(self.txn, &format!("{domain}/{selector}"))
            .map_err(Error::lmdb(DOING))?
        {
            true => Ok(()),
            false => Err(Error::NotFound {
                what: "signing key",
                name: format!("{selector} of {domain}"),
            }),
        }
    }

    /// Removes the keys of a domain that goes.
    pub(crate) fn remove_keys(&mut self, domain: &str) -> Result<()> {
        let prefix = format!("{domain}/");
        let mut selectors = Vec::new();
        for row in
            self.tables.sending.keys.prefix_iter(self.txn, &prefix).map_err(Error::lmdb(DOING))?
        {
            selectors.push(row.map_err(Error::lmdb(DOING))?.0.to_string());
        }
        selectors.iter().try_for_each(|key| {
            self.tables.sending.keys.delete(self.txn, key).map(drop).map_err(Error::lmdb(DOING))
        })
    }

    fn set_policy_of(&mut self, domain: &str, policy: Option<&StsPolicy>) -> Result<()> {
        match policy {
            Some(policy) => self.tables.sending.policies.put(self.txn, domain, policy),
            None => self.tables.sending.policies.delete(self.txn, domain).map(drop),
        }
        .map_err(Error::lmdb(DOING))?;
        Ok(())
    }
}
