//! Changes that belong to running the box: choices, one-time links, second factors, sign-ins, hours.

use crate::card::PlaceKey;
use crate::directory::WebSession;
use crate::error::{Error, Result};
use crate::key::{AccountId, DeviceId, DeviceKey, MessageId};
use crate::owner::{SecondFactor, Setting, SignIn, SignInKey};

use super::Work;
use super::change::Changed;

/// Sign-ins kept of one account.
const SIGN_INS: usize = 200;
/// Hours kept: a year and a month.
const HOURS: u64 = 396 * 24;
const DOING: &str = "writing what belongs to the owner";

impl Work<'_, '_> {
    pub(super) fn set_setting(&mut self, key: &str, value: Option<&str>) -> Result<Changed> {
        match value {
            Some(value) => self.tables.settings.put(self.txn, key, &Setting(value.to_string())),
            None => self.tables.settings.delete(self.txn, key).map(drop),
        }
        .map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    /// A new password by a link: the link, and all others of the account, are used up with it.
    pub(super) fn use_link(&mut self, key: &str, hash: &str, at: u64) -> Result<Changed> {
        let gone = || Error::NotFound { what: "link", name: "it was used already, or is too old".into() };
        let link = self.tables.links.get(self.txn, key).map_err(Error::lmdb(DOING))?;
        let link = link.filter(|link| link.expires >= at).ok_or_else(gone)?;
        self.end_sessions(link.account)?;
        self.remove_links(link.account)?;
        self.put_credential(link.account, DeviceId::MAIN, "", hash, at)?;
        Ok(Changed::Account(link.account))
    }

    pub(super) fn remove_links(&mut self, account: AccountId) -> Result<()> {
        let mut keys = Vec::new();
        for row in self.tables.links.iter(self.txn).map_err(Error::lmdb(DOING))? {
            let (key, link) = row.map_err(Error::lmdb(DOING))?;
            if link.account == account {
                keys.push(key.to_string());
            }
        }
        keys.iter().try_for_each(|key| self.tables.links.delete(self.txn, key).map(drop).map_err(Error::lmdb(DOING)))
    }

    pub(super) fn begin_session(&mut self, key: &str, session: &WebSession, credential: &str) -> Result<Changed> {
        let main = DeviceKey { account: session.account, device: DeviceId::MAIN };
        let now = self.tables.credentials.get(self.txn, &main).map_err(Error::lmdb(DOING))?;
        if now.is_none_or(|now| now.hash != credential) {
            return Err(Error::NotFound { what: "password", name: "that was given: it was changed meanwhile".into() });
        }
        self.tables.sessions.put(self.txn, key, session).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    pub(super) fn see_session(&mut self, key: &str, at: u64) -> Result<Changed> {
        if let Some(session) = self.tables.sessions.get(self.txn, key).map_err(Error::lmdb(DOING))? {
            let seen = WebSession { seen: session.seen.max(at), ..session };
            self.tables.sessions.put(self.txn, key, &seen).map_err(Error::lmdb(DOING))?;
        }
        Ok(Changed::Done)
    }

    pub(super) fn set_factor(&mut self, account: AccountId, factor: Option<&SecondFactor>) -> Result<Changed> {
        match factor {
            Some(factor) => self.tables.factors.put(self.txn, &account, factor),
            None => self.tables.factors.delete(self.txn, &account).map(drop),
        }
        .map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    pub(super) fn replace_factor(&mut self, account: AccountId, was: Option<&SecondFactor>, factor: &SecondFactor) -> Result<Changed> {
        let now = self.tables.factors.get(self.txn, &account).map_err(Error::lmdb(DOING))?;
        if now.as_ref() != was {
            return Err(Error::Exists { what: "second factor", name: "that was changed meanwhile".into() });
        }
        self.set_factor(account, Some(factor))
    }

    pub(super) fn note_sign_in(&mut self, key: SignInKey, sign_in: &SignIn) -> Result<Changed> {
        self.tables.sign_ins.put(self.txn, &key, sign_in).map_err(Error::lmdb(DOING))?;
        let range = SignInKey { at: 0, ..key }..=SignInKey { at: u64::MAX, ..key };
        let rows = self.tables.sign_ins.range(self.txn, &range).map_err(Error::lmdb(DOING))?;
        let keys: Vec<SignInKey> = rows.map(|row| row.map(|(key, _)| key)).collect::<heed::Result<_>>().map_err(Error::lmdb(DOING))?;
        for old in keys.iter().take(keys.len().saturating_sub(SIGN_INS)) {
            self.tables.sign_ins.delete(self.txn, old).map_err(Error::lmdb(DOING))?;
        }
        Ok(Changed::Done)
    }

    pub(super) fn put_hour(&mut self, hour: u64, record: &crate::owner::Hour) -> Result<Changed> {
        self.tables.hours.put(self.txn, &hour, record).map_err(Error::lmdb(DOING))?;
        self.tables.hours.delete_range(self.txn, &(..hour.saturating_sub(HOURS))).map_err(Error::lmdb(DOING))?;
        Ok(Changed::Done)
    }

    /// What an account leaves behind when it goes.
    pub(super) fn forget_account(&mut self, account: AccountId) -> Result<()> {
        self.remove_links(account)?;
        self.forget_contacts(account)?;
        self.tables.factors.delete(self.txn, &account).map_err(Error::lmdb(DOING))?;
        self.tables.settings.delete(self.txn, &format!("preferences:{}", account.0)).map_err(Error::lmdb(DOING))?;
        let timed = PlaceKey { account, message: MessageId(0) }..=PlaceKey { account, message: MessageId(u64::MAX) };
        self.tables.timed.delete_range(self.txn, &timed).map_err(Error::lmdb(DOING))?;
        let range = SignInKey { account, at: 0 }..=SignInKey { account, at: u64::MAX };
        self.tables.sign_ins.delete_range(self.txn, &range).map_err(Error::lmdb(DOING))?;
        Ok(())
    }
}
