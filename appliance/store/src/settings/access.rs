//! Reading and writing settings.

use crate::engine::change::Change;
use crate::engine::reader::Reader;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::settings::Setting;

impl Reader<'_> {
    /// What the owner chose under this name.
    pub fn setting(&self, key: &str) -> Result<Option<String>> {
        let setting = self
            .shared
            .tables
            .settings
            .settings
            .get(&self.txn, key)
            .map_err(Error::lmdb("reading settings"))?;
        Ok(setting.map(|setting| setting.0))
    }
}

const DOING: &str = "writing settings";

/// What the owner chose; `None` takes the choice back.
#[derive(Clone, Debug)]
pub struct SetSetting {
    pub key: String,
    pub value: Option<String>,
}

impl Change for SetSetting {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        work.set_setting(&self.key, self.value.as_deref())
    }
}

impl Work<'_, '_> {
    fn set_setting(&mut self, key: &str, value: Option<&str>) -> Result<()> {
        match value {
            Some(value) => {
                self.tables.settings.settings.put(self.txn, key, &Setting(value.to_string()))
            }
            None => self.tables.settings.settings.delete(self.txn, key).map(drop),
        }
        .map_err(Error::lmdb(DOING))?;
        Ok(())
    }
}
