//! Reading sessions, links, second factors and sign-ins.

use pillarbox_vocabulary::Timestamp;

use crate::engine::reader::Reader;
use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::sessions::{OneTimeLink, SecondFactor, SignIn, SignInKey, WebSession};

impl Reader<'_> {
    /// A signed-in browser by the hash of its token.
    pub fn session(&self, key: &str) -> Result<Option<WebSession>> {
        self.shared
            .tables
            .sessions
            .sessions
            .get(&self.txn, key)
            .map_err(Error::lmdb("reading a session"))
    }

    /// All signed-in browsers.
    pub fn sessions(&self) -> Result<Vec<(String, WebSession)>> {
        let doing = "reading sessions";
        let rows =
            self.shared.tables.sessions.sessions.iter(&self.txn).map_err(Error::lmdb(doing))?;
        rows.map(|row| row.map(|(key, s)| (key.to_string(), s)).map_err(Error::lmdb(doing)))
            .collect()
    }

    /// A link for a new password by the hash of what it contains.
    pub fn link(&self, key: &str) -> Result<Option<OneTimeLink>> {
        self.shared.tables.sessions.links.get(&self.txn, key).map_err(Error::lmdb("reading a link"))
    }

    /// An account's second factor.
    pub fn factor(&self, account: AccountId) -> Result<Option<SecondFactor>> {
        self.shared
            .tables
            .sessions
            .factors
            .get(&self.txn, &account)
            .map_err(Error::lmdb("reading a second factor"))
    }

    /// The last sign-ins of an account, newest first, with their times.
    pub fn sign_ins(&self, account: AccountId, limit: usize) -> Result<Vec<(Timestamp, SignIn)>> {
        let doing = "reading sign-ins";
        let range =
            SignInKey { account, at: Timestamp(0) }..=SignInKey { account, at: Timestamp::MAX };
        let rows = self
            .shared
            .tables
            .sessions
            .sign_ins
            .rev_range(&self.txn, &range)
            .map_err(Error::lmdb(doing))?;
        rows.take(limit)
            .map(|row| row.map(|(key, sign_in)| (key.at, sign_in)).map_err(Error::lmdb(doing)))
            .collect()
    }
}
