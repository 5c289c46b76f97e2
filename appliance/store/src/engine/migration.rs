//! Format versions of the whole store, and the steps between them.
//!
//! A step is a function in a file of its own below `migrate/`; it runs once, in one transaction with the new version
//! number.
//! Format 1 is the first, so it has no step.
//! Format 2 brought the queue and the ledger's Message-IDs; its tables are made when they are missing and old records
//! are still read, so its step is empty: the number alone keeps an older release from meeting records that it cannot
//! read.
//! Format 3 brought second factors: an older release would not ask for them.
//! Format 4 brought the journal: an older release would not see what is not folded yet.
//! It also brought details as data in ledger, queue and routes; rows with the texts of before are still read.

use heed::types::{Bytes, Str};
use heed::{Database, Env, WithoutTls};

use crate::error::{Error, Result};
use crate::tables::Tables;

/// The format this release reads and writes.
pub(crate) const FORMAT: u32 = 4;
const FORMAT_KEY: &str = "format";

type Step = fn(&Tables<'static>, &mut heed::RwTxn) -> Result<()>;

/// `STEPS[n]` brings format `n + 1` to `n + 2`.
const STEPS: &[Step] = &[
    |_, _| Ok(()),
    |_, _| Ok(()),
    |tables, txn| {
        tables.mailbox.sort_in_recent(txn).map_err(Error::lmdb("sorting in the newest entries"))
    },
];

/// Where LMDB keeps the small marks.
/// Steps run before there is a journal.
fn marks(tables: &Tables<'static>) -> Database<'static, Str, Bytes> {
    tables.meta.base().remap_key_type()
}

/// The format of an existing store, without changing anything.
/// `None` for a new one.
pub(crate) fn format(tables: &Tables<'static>, txn: &heed::RoTxn) -> Result<Option<u32>> {
    let value =
        marks(tables).get(txn, FORMAT_KEY).map_err(Error::lmdb("reading the store's format"))?;
    value
        .map(|v| v.try_into().map(u32::from_be_bytes).map_err(|_| Error::damaged("its format row")))
        .transpose()
}

/// A store that can only be read is read in its own format, or not at all.
pub(crate) fn check(env: &Env<WithoutTls>, tables: &Tables<'static>) -> Result<()> {
    let txn = env.read_txn().map_err(Error::lmdb("reading the store's format"))?;
    match format(tables, &txn)? {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => Err(Error::TooNew { found, known: FORMAT }),
        _ => Err(Error::Unwritable {
            why: "its format is an older one, and can't be changed".into(),
        }),
    }
}

/// Brings the store to the current format, or refuses a newer one untouched.
pub(crate) fn run(env: &Env<WithoutTls>, tables: &Tables<'static>) -> Result<()> {
    run_steps(env, tables, STEPS, FORMAT)
}

fn run_steps(
    env: &Env<WithoutTls>,
    tables: &Tables<'static>,
    steps: &[Step],
    target: u32,
) -> Result<()> {
    let doing = "migrating the store";
    let mut txn = env.write_txn().map_err(Error::lmdb(doing))?;
    let found = match format(tables, &txn)? {
        Some(found) if found == target => return Ok(()),
        Some(found) if found > target => return Err(Error::TooNew { found, known: target }),
        Some(found) => found,
        None => target,
    };
    for step in steps.iter().skip(found.saturating_sub(1) as usize).take((target - found) as usize)
    {
        step(tables, &mut txn)?;
    }
    marks(tables).put(&mut txn, FORMAT_KEY, &target.to_be_bytes()).map_err(Error::lmdb(doing))?;
    txn.commit().map_err(Error::lmdb(doing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::environment::open;
    use crate::engine::options::{Access, Options};

    #[test]
    fn steps_run_once_and_a_newer_format_is_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _anchor) = open(dir.path(), Access::Server, &Options::default()).unwrap();
        let step: Step =
            |tables, txn| marks(tables).put(txn, "stepped", b"yes").map_err(Error::lmdb("test"));
        let steps: [Step; FORMAT as usize] = [step; FORMAT as usize];
        run_steps(&shared.env, &shared.tables, &steps, FORMAT + 1).unwrap();
        let txn = shared.env.read_txn().unwrap();
        assert_eq!(format(&shared.tables, &txn).unwrap(), Some(FORMAT + 1));
        assert_eq!(marks(&shared.tables).get(&txn, "stepped").unwrap(), Some(&b"yes"[..]));
        drop(txn);
        let refused = run(&shared.env, &shared.tables);
        assert!(
            matches!(refused, Err(Error::TooNew { found, known: FORMAT }) if found == FORMAT + 1)
        );
    }
}
