//! Reading and writing lessons.

use pillarbox_vocabulary::AccountId;

use crate::engine::change::Change;
use crate::engine::reader::Reader;
use crate::engine::work::Work;
use crate::error::{Error, Result};
use crate::ids::MessageId;
use crate::lessons::{LESSON_OCTETS, Lesson};
use crate::mailbox::Judgement;

impl Reader<'_> {
    /// Gives all lessons by message, one after the other: there is never more than one in memory.
    pub fn each_lesson(&self, mut take: impl FnMut(MessageId, Lesson)) -> Result<()> {
        let doing = "reading lessons";
        let rows =
            self.shared.tables.lessons.lessons.iter(&self.txn).map_err(Error::lmdb(doing))?;
        for row in rows {
            let (message, lesson) = row.map_err(Error::lmdb(doing))?;
            take(message, lesson);
        }
        Ok(())
    }

    /// Gives all that people said of messages which still exist.
    pub fn each_judgement(
        &self,
        mut take: impl FnMut(MessageId, AccountId, Judgement),
    ) -> Result<()> {
        let doing = "reading judgements";
        let rows =
            self.shared.tables.mailbox.judgements.iter(&self.txn).map_err(Error::lmdb(doing))?;
        for row in rows {
            let (key, judgement) = row.map_err(Error::lmdb(doing))?;
            take(key.message, key.account, judgement);
        }
        Ok(())
    }
}

/// Lessons by their messages; `None` forgets one.
#[derive(Clone, Debug)]
pub struct PutLessons(pub Vec<(MessageId, Option<Lesson>)>);

impl Change for PutLessons {
    type Outcome = ();
    fn apply(&mut self, work: &mut Work) -> Result<()> {
        let (doing, table) = ("writing lessons", work.tables.lessons.lessons);
        let lessons = self.0.iter().filter_map(|(_, lesson)| lesson.as_ref());
        if lessons.map(|lesson| lesson.features.len()).max() > Some(LESSON_OCTETS) {
            let why = format!("a lesson has at most {LESSON_OCTETS} octets");
            return Err(Error::Invalid { why });
        }
        for (message, lesson) in &self.0 {
            match lesson {
                Some(lesson) => table.put(work.txn, message, lesson),
                None => table.delete(work.txn, message).map(drop),
            }
            .map_err(Error::lmdb(doing))?;
        }
        Ok(())
    }
    fn grows(&self) -> bool {
        true
    }
}
