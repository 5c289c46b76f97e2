//! What the owner chose, who is signed in, and how much there was to do.

use super::Reader;
use crate::directory::WebSession;
use crate::error::{Error, Result};
use crate::key::AccountId;
use crate::owner::{Hour, OneTimeLink, SecondFactor, SignIn, SignInKey};

impl Reader<'_> {
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
}
