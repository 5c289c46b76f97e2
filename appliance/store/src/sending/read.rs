//! Reading routes, signing keys and policies.

use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::sending::{Route, SigningKey, StsPolicy};

impl Reader<'_> {
    /// All ways out through providers; the empty name is for all other domains.
    pub fn routes(&self) -> Result<Vec<(String, Route)>> {
        let doing = "reading routes";
        let rows = self.shared.tables.sending.routes.iter(&self.txn).map_err(Error::lmdb(doing))?;
        let row = |row: heed::Result<(&str, Route)>| {
            row.map(|(name, route)| (name.replace('*', ""), route))
        };
        rows.map(row).collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }

    /// The signing keys of a domain by selector.
    pub fn signing_keys(&self, domain: &str) -> Result<Vec<(String, SigningKey)>> {
        let doing = "reading signing keys";
        let prefix = format!("{domain}/");
        let rows = self
            .shared
            .tables
            .sending
            .keys
            .prefix_iter(&self.txn, &prefix)
            .map_err(Error::lmdb(doing))?;
        rows.map(|row| {
            row.map(|(name, key)| (name[prefix.len()..].to_string(), key))
                .map_err(Error::lmdb(doing))
        })
        .collect()
    }

    /// The MTA-STS policy remembered for a domain.
    pub fn sts_policy(&self, domain: &str) -> Result<Option<StsPolicy>> {
        self.shared
            .tables
            .sending
            .policies
            .get(&self.txn, domain)
            .map_err(Error::lmdb("reading a policy"))
    }
}
