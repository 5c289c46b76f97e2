//! Read transactions of LMDB that are kept for the next reader.
//!
//! Beginning one writes into LMDB's lock file, which is mapped: a box that only looks would have that page written to
//! its card twice a minute, for ever.
//! A transaction that was used goes on showing the same snapshot, and that is the newest until a fold; so readers pass
//! them on.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard};

use heed::{Env, RoTxn, WithoutTls};

use super::checkpoint::Pin;
use crate::error::{Error, Result};

/// Transactions kept at most: as many as read at the same time, now and then.
const KEPT: usize = 8;

/// The transactions that are not used at the moment.
pub(crate) struct Idle {
    env: Env<WithoutTls>,
    state: Mutex<State>,
}

struct State {
    /// The commit of LMDB whose snapshot they show.
    commit: usize,
    kept: Vec<Pin>,
}

impl Idle {
    pub fn new(env: Env<WithoutTls>, commit: usize) -> Idle {
        Idle { env, state: Mutex::new(State { commit, kept: Vec::new() }) }
    }

    /// A snapshot; it comes back when it is dropped.
    pub fn take(&self) -> Result<Lent<'_>> {
        let kept = self.state().kept.pop();
        let txn = match kept {
            Some(txn) => txn,
            None => self.env.clone().static_read_txn().map_err(Error::lmdb("beginning to read"))?,
        };
        Ok(Lent { idle: self, txn: Some(txn) })
    }

    /// There is a newer snapshot: older ones are let go, so that LMDB can use their pages again.
    pub fn renew(&self, commit: usize) {
        let old = {
            let mut state = self.state();
            state.commit = commit;
            std::mem::take(&mut state.kept)
        };
        drop(old);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// A read transaction in use.
pub(crate) struct Lent<'e> {
    idle: &'e Idle,
    txn: Option<Pin>,
}

impl Deref for Lent<'_> {
    type Target = RoTxn<'static, WithoutTls>;
    fn deref(&self) -> &Self::Target {
        self.txn.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let Some(txn) = self.txn.take() else { return };
        let mut state = self.idle.state();
        if txn.id() == state.commit && state.kept.len() < KEPT {
            state.kept.push(txn);
            return;
        }
        drop(state);
        drop(txn);
    }
}
