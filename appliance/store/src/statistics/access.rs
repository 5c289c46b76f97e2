//! Reading and writing the hours.

use crate::engine::change::Change;
use crate::engine::reader::Reader;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::statistics::Hour;

/// Hours kept: a year and a month.
const HOURS: u64 = 396 * 24;

const DOING: &str = "writing statistics";

impl Reader<'_> {
    /// The hours from this one on, with their numbers.
    pub fn hours(&self, from: u64) -> Result<Vec<(u64, Hour)>> {
        let doing = "reading hours";
        let rows = self
            .shared
            .tables
            .statistics
            .hours
            .range(&self.txn, &(from..))
            .map_err(Error::lmdb(doing))?;
        rows.collect::<heed::Result<_>>().map_err(Error::lmdb(doing))
    }
}

/// Hours since 1970.
#[derive(Clone, Debug)]
pub struct PutHour {
    pub hour: u64,
    pub record: Hour,
}

impl Change for PutHour {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.put_hour(self.hour, &self.record)
    }
}

impl Work<'_, '_> {
    fn put_hour(&mut self, hour: u64, record: &crate::statistics::Hour) -> Result<()> {
        self.tables.statistics.hours.put(self.txn, &hour, record).map_err(Error::lmdb(DOING))?;
        self.tables
            .statistics
            .hours
            .delete_range(self.txn, &(..hour.saturating_sub(HOURS)))
            .map_err(Error::lmdb(DOING))?;
        Ok(())
    }
}
