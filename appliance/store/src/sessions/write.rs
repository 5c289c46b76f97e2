//! Signing in and out, links for new passwords, second factors.

use crate::changed::Changed;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, DeviceId, DeviceKey};
use crate::sessions::{SecondFactor, SignIn, SignInKey, WebSession};

/// Sign-ins kept of one account.
const SIGN_INS: usize = 200;

const DOING: &str = "writing what belongs to the owner";

impl Work<'_, '_> {
    pub(crate) fn begin_session(&mut self, key: &str, session: &WebSession, credential: &str) -> Result<Changed> {
        let main = DeviceKey { account: session.account, device: DeviceId::MAIN };
        let now = self.tables.directory.credentials.get(self.txn, &main).map_err(Error::lmdb(DOING))?;
        if now.is_none_or(|now| now.hash != credential) {
            return Err(Error::NotFound { what: "password", name: "that was given: it was changed meanwhile".into() });
        }
        self.tables.sessions.sessions.put(self.txn, key, session).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    pub(crate) fn see_session(&mut self, key: &str, at: u64) -> Result<Changed> {
        if let Some(session) = self.tables.sessions.sessions.get(self.txn, key).map_err(Error::lmdb(DOING))? {
            let seen = WebSession { seen: session.seen.max(at), ..session };
            self.tables.sessions.sessions.put(self.txn, key, &seen).map_err(Error::lmdb(DOING))?;
        }
        Ok(Changed::Done)
    }

    /// Signs all browsers of an account out: whoever knew the old password must not stay.
    pub(crate) fn end_sessions(&mut self, account: AccountId) -> Result<()> {
        let mut keys = Vec::new();
        for row in self.tables.sessions.sessions.iter(self.txn).map_err(Error::lmdb(DOING))? {
            let (key, session) = row.map_err(Error::lmdb(DOING))?;
            if session.account == account {
                keys.push(key.to_string());
            }
        }
        keys.iter().try_for_each(|key| self.tables.sessions.sessions.delete(self.txn, key).map(drop).map_err(Error::lmdb(DOING)))
    }

    /// A new password by a link: the link, and all others of the account, are used up with it.
    pub(crate) fn use_link(&mut self, key: &str, hash: &str, at: u64) -> Result<Changed> {
        let gone = || Error::NotFound { what: "link", name: "it was used already, or is too old".into() };
        let link = self.tables.sessions.links.get(self.txn, key).map_err(Error::lmdb(DOING))?;
        let link = link.filter(|link| link.expires >= at).ok_or_else(gone)?;
        self.end_sessions(link.account)?;
        self.remove_links(link.account)?;
        self.put_credential(link.account, DeviceId::MAIN, "", hash, at)?;
        Ok(Changed::Account(link.account))
    }

    pub(crate) fn remove_links(&mut self, account: AccountId) -> Result<()> {
        let mut keys = Vec::new();
        for row in self.tables.sessions.links.iter(self.txn).map_err(Error::lmdb(DOING))? {
            let (key, link) = row.map_err(Error::lmdb(DOING))?;
            if link.account == account {
                keys.push(key.to_string());
            }
        }
        keys.iter().try_for_each(|key| self.tables.sessions.links.delete(self.txn, key).map(drop).map_err(Error::lmdb(DOING)))
    }

    pub(crate) fn set_factor(&mut self, account: AccountId, factor: Option<&SecondFactor>) -> Result<Changed> {
        match factor {
            Some(factor) => self.tables.sessions.factors.put(self.txn, &account, factor),
            None => self.tables.sessions.factors.delete(self.txn, &account).map(drop),
        }
        .map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    pub(crate) fn replace_factor(&mut self, account: AccountId, was: Option<&SecondFactor>, factor: &SecondFactor) -> Result<Changed> {
        let now = self.tables.sessions.factors.get(self.txn, &account).map_err(Error::lmdb(DOING))?;
        if now.as_ref() != was {
            return Err(Error::Exists { what: "second factor", name: "that was changed meanwhile".into() });
        }
        self.set_factor(account, Some(factor))
    }

    pub(crate) fn note_sign_in(&mut self, key: SignInKey, sign_in: &SignIn) -> Result<Changed> {
        self.tables.sessions.sign_ins.put(self.txn, &key, sign_in).map_err(Error::lmdb(DOING))?;
        let range = SignInKey { at: 0, ..key }..=SignInKey { at: u64::MAX, ..key };
        let rows = self.tables.sessions.sign_ins.range(self.txn, &range).map_err(Error::lmdb(DOING))?;
        let keys: Vec<SignInKey> = rows.map(|row| row.map(|(key, _)| key)).collect::<heed::Result<_>>().map_err(Error::lmdb(DOING))?;
        for old in keys.iter().take(keys.len().saturating_sub(SIGN_INS)) {
            self.tables.sessions.sign_ins.delete(self.txn, old).map_err(Error::lmdb(DOING))?;
        }
        Ok(Changed::Done)
    }
}
