//! Signing in and out, links for new passwords, second factors.

use pillarbox_vocabulary::Timestamp;

use crate::engine::change::Change;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::{AccountId, DeviceId, DeviceKey};
use crate::sessions::{OneTimeLink, SecondFactor, SignIn, SignInKey, WebSession};

/// Sign-ins kept of one account.
const SIGN_INS: usize = 200;

const DOING: &str = "writing what belongs to the owner";

/// Signs a browser in; `key` is the hash of its token.
/// Refused unless the account's own password is still the one with this hash: a sign-in that began before a change of
/// the password must not outlive it.
#[derive(Clone, Debug)]
pub struct BeginSession {
    pub key: String,
    pub session: WebSession,
    pub credential: String,
}

impl Change for BeginSession {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.begin_session(&self.key, &self.session, &self.credential)
    }
}

/// Notes that a browser was seen, if it is still signed in.
#[derive(Clone, Debug)]
pub struct SeeSession {
    pub key: String,
    pub at: Timestamp,
}

impl Change for SeeSession {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.see_session(&self.key, self.at)
    }
}

/// Signs a browser out.
#[derive(Clone, Debug)]
pub struct RemoveSession {
    pub key: String,
}

impl Change for RemoveSession {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.tables
            .sessions
            .sessions
            .delete(work.txn, &self.key)
            .map(drop)
            .map_err(Error::lmdb(DOING))
    }
}

/// `key` is the hash of what the link contains; older links of the account end.
#[derive(Clone, Debug)]
pub struct PutLink {
    pub key: String,
    pub link: OneTimeLink,
}

impl Change for PutLink {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.remove_links(self.link.account)?;
        work.tables.sessions.links.put(work.txn, &self.key, &self.link).map_err(Error::lmdb(DOING))
    }
}

/// Sets a password by a link, which is used up by that.
#[derive(Clone, Debug)]
pub struct UseLink {
    pub key: String,
    pub hash: String,
    pub at: Timestamp,
}

impl Change for UseLink {
    type Outcome = AccountId;
    fn apply(&mut self, work: &mut Work) -> Result<AccountId> {
        work.use_link(&self.key, &self.hash, self.at)
    }
}

/// Sets or removes an account's second factor.
#[derive(Clone, Debug)]
pub struct SetFactor {
    pub account: AccountId,
    pub factor: Option<SecondFactor>,
}

impl Change for SetFactor {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.set_factor(self.account, self.factor.as_ref())
    }
}

/// The same, but refused unless it is still what it was: of two who use the same code at once the first one wins.
#[derive(Clone, Debug)]
pub struct ReplaceFactor {
    pub account: AccountId,
    pub was: Option<SecondFactor>,
    pub factor: SecondFactor,
}

impl Change for ReplaceFactor {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.replace_factor(self.account, self.was.as_ref(), &self.factor)
    }
}

/// Notes a sign-in, or an attempt.
#[derive(Clone, Debug)]
pub struct NoteSignIn {
    pub account: AccountId,
    pub at: Timestamp,
    pub sign_in: SignIn,
}

impl Change for NoteSignIn {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.note_sign_in(SignInKey { account: self.account, at: self.at }, &self.sign_in)
    }
    fn grows(&self) -> bool {
        true
    }
}

impl Work<'_, '_> {
    fn begin_session(&mut self, key: &str, session: &WebSession, credential: &str) -> Result<()> {
        let main = DeviceKey { account: session.account, device: DeviceId::MAIN };
        let now =
            self.tables.directory.credentials.get(self.txn, &main).map_err(Error::lmdb(DOING))?;
        if now.is_none_or(|now| now.hash != credential) {
            return Err(Error::NotFound {
                what: "password",
                name: "that was given: it was changed meanwhile".into(),
            });
        }
        self.tables.sessions.sessions.put(self.txn, key, session).map_err(Error::lmdb(DOING))?;
        Ok(())
    }

    fn see_session(&mut self, key: &str, at: Timestamp) -> Result<()> {
        if let Some(session) =
            self.tables.sessions.sessions.get(self.txn, key).map_err(Error::lmdb(DOING))?
        {
            let seen = WebSession { seen: session.seen.max(at), ..session };
            self.tables.sessions.sessions.put(self.txn, key, &seen).map_err(Error::lmdb(DOING))?;
        }
        Ok(())
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
        keys.iter().try_for_each(|key| {
            self.tables
                .sessions
                .sessions
                .delete(self.txn, key)
                .map(drop)
                .map_err(Error::lmdb(DOING))
        })
    }

    /// A new password by a link: the link, and all others of the account, are used up with it.
    fn use_link(&mut self, key: &str, hash: &str, at: Timestamp) -> Result<AccountId> {
        let gone =
            || Error::NotFound { what: "link", name: "it was used already, or is too old".into() };
        let link = self.tables.sessions.links.get(self.txn, key).map_err(Error::lmdb(DOING))?;
        let link = link.filter(|link| link.expires >= at).ok_or_else(gone)?;
        self.end_sessions(link.account)?;
        self.remove_links(link.account)?;
        self.put_credential(link.account, DeviceId::MAIN, "", hash, at)?;
        Ok(link.account)
    }

    pub(crate) fn remove_links(&mut self, account: AccountId) -> Result<()> {
        let mut keys = Vec::new();
        for row in self.tables.sessions.links.iter(self.txn).map_err(Error::lmdb(DOING))? {
            let (key, link) = row.map_err(Error::lmdb(DOING))?;
            if link.account == account {
                keys.push(key.to_string());
            }
        }
        keys.iter().try_for_each(|key| {
            self.tables.sessions.links.delete(self.txn, key).map(drop).map_err(Error::lmdb(DOING))
        })
    }

    fn set_factor(&mut self, account: AccountId, factor: Option<&SecondFactor>) -> Result<()> {
        match factor {
            Some(factor) => self.tables.sessions.factors.put(self.txn, &account, factor),
            None => self.tables.sessions.factors.delete(self.txn, &account).map(drop),
        }
        .map_err(Error::lmdb(DOING))?;
        Ok(())
    }

    fn replace_factor(
        &mut self,
        account: AccountId,
        was: Option<&SecondFactor>,
        factor: &SecondFactor,
    ) -> Result<()> {
        let now =
            self.tables.sessions.factors.get(self.txn, &account).map_err(Error::lmdb(DOING))?;
        if now.as_ref() != was {
            return Err(Error::Exists {
                what: "second factor",
                name: "that was changed meanwhile".into(),
            });
        }
        self.set_factor(account, Some(factor))
    }

    fn note_sign_in(&mut self, key: SignInKey, sign_in: &SignIn) -> Result<()> {
        self.tables.sessions.sign_ins.put(self.txn, &key, sign_in).map_err(Error::lmdb(DOING))?;
        let range = SignInKey { at: Timestamp(0), ..key }..=SignInKey { at: Timestamp::MAX, ..key };
        let rows =
            self.tables.sessions.sign_ins.range(self.txn, &range).map_err(Error::lmdb(DOING))?;
        let keys: Vec<SignInKey> = rows
            .map(|row| row.map(|(key, _)| key))
            .collect::<heed::Result<_>>()
            .map_err(Error::lmdb(DOING))?;
        for old in keys.iter().take(keys.len().saturating_sub(SIGN_INS)) {
            self.tables.sessions.sign_ins.delete(self.txn, old).map_err(Error::lmdb(DOING))?;
        }
        Ok(())
    }
}
