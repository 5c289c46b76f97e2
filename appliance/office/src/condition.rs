//! How the box is: one look for the home page, `/health`, the light and the metrics, so that all of them say the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pillarbox_platform::clock;
use pillarbox_platform::config::Live;
use pillarbox_store::{Disk, MessageId, Space, Store, off_thread};

use crate::mail::readers::Readers;
use crate::update;

/// Something that is not as it should be, the worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Nothing can be written: no mail comes in, what is there can be read.
    Unwritable(String),
    /// Mail has to wait outside: the disk, or what the store may take of it, is nearly used up.
    NoSpace,
    /// The disk takes no more files, though it has octets left.
    NoFiles,
    /// So many messages are not what was stored.
    Damaged(usize),
    /// So many messages stopped the server when they were read, and are not opened any more.
    Skipped(usize),
    /// The clock can't be believed.
    Clock,
    /// An update was tried and not kept.
    UpdateNotKept,
}

impl Trouble {
    /// The name for programs that watch the box.
    pub fn name(&self) -> &'static str {
        match self {
            Trouble::Unwritable(_) => "unwritable",
            Trouble::NoSpace => "no-space",
            Trouble::NoFiles => "no-files",
            Trouble::Damaged(_) => "damaged",
            Trouble::Skipped(_) => "skipped",
            Trouble::Clock => "clock",
            Trouble::UpdateNotKept => "update-not-kept",
        }
    }

    /// Whether mail can't be taken because of it.
    pub fn stops_mail(&self) -> bool {
        matches!(self, Trouble::Unwritable(_) | Trouble::NoSpace | Trouble::NoFiles)
    }
}

/// What is known of the box at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    pub unwritable: Option<String>,
    pub has_space: bool,
    pub is_short_of_files: bool,
    pub damaged: usize,
    pub skipped: usize,
    pub clock_is_trusted: bool,
    pub update_was_not_kept: bool,
}

/// What is wrong, the worst first.
pub fn judge(signs: &Signs) -> Vec<Trouble> {
    let mut troubles: Vec<Trouble> =
        signs.unwritable.iter().map(|why| Trouble::Unwritable(why.clone())).collect();
    if !signs.has_space && signs.unwritable.is_none() {
        troubles.push(if signs.is_short_of_files { Trouble::NoFiles } else { Trouble::NoSpace });
    }
    if signs.damaged > 0 {
        troubles.push(Trouble::Damaged(signs.damaged));
    }
    if signs.skipped > 0 {
        troubles.push(Trouble::Skipped(signs.skipped));
    }
    if !signs.clock_is_trusted {
        troubles.push(Trouble::Clock);
    }
    if signs.update_was_not_kept {
        troubles.push(Trouble::UpdateNotKept);
    }
    troubles
}

/// What the box knows of itself without looking for it again.
pub struct Condition {
    settings: Live,
    store: Store,
    readers: Arc<Readers>,
    /// False while mail has to wait outside because the disk is nearly full.
    has_space: AtomicBool,
    /// False while nothing can be written at all.
    is_writable: AtomicBool,
}

impl Condition {
    pub fn new(settings: Live, store: Store, readers: Arc<Readers>) -> Condition {
        Condition {
            settings,
            store,
            readers,
            has_space: AtomicBool::new(true),
            is_writable: AtomicBool::new(true),
        }
    }

    /// Whether mail can be taken on at all.
    pub fn has_space(&self) -> bool {
        self.has_space.load(Ordering::Relaxed)
    }

    /// Whether anything can be written.
    pub fn is_writable(&self) -> bool {
        self.is_writable.load(Ordering::Relaxed)
    }

    /// Free and all octets of the data partition; both 0 when that can't be known.
    pub fn disk(&self) -> (u64, u64) {
        Disk::of(&self.settings.get().data).map_or((0, 0), |disk| (disk.free, disk.all))
    }

    /// What is wrong, the worst first.
    /// Touches the disk lightly.
    pub fn look(&self) -> Vec<Trouble> {
        let settings = self.settings.get();
        judge(&Signs {
            unwritable: self.store.unwritable(),
            has_space: self.has_space(),
            is_short_of_files: Disk::of(&settings.data).unwrap_or_default().is_short_of_files(),
            damaged: self.store.damaged().len() + self.store.recovered().damaged.len(),
            skipped: self.skipped(),
            clock_is_trusted: clock::is_trusted(),
            update_was_not_kept: update::not_kept(&settings.updates).is_some(),
        })
    }

    /// Messages that are not opened any more and still exist, as far as that can be read.
    fn skipped(&self) -> usize {
        let exists = |&message: &MessageId| {
            self.store.read(|r| r.content(message)).map_or(true, |found| found.is_some())
        };
        self.readers.marks.skipped().iter().filter(|message| exists(message)).count()
    }

    /// Looks at the disk anew, and logs once that it became full or unwritable and once that it is well again.
    /// Housekeeping calls this every second.
    pub async fn look_at_disk(&self) {
        let store = self.store.clone();
        let looked =
            off_thread(move || Ok((store.space(0) == Space::Enough, store.unwritable()))).await;
        let (has_space, unwritable) = looked.unwrap_or((false, None));
        self.note_writable(unwritable.as_deref());
        if self.has_space.swap(has_space, Ordering::Relaxed) != has_space {
            match has_space {
                true => tracing::info!("there is room again: mail is accepted"),
                false => tracing::warn!("the disk is nearly full: mail has to wait outside (452)"),
            }
        }
    }

    fn note_writable(&self, unwritable: Option<&str>) {
        let is_writable = unwritable.is_none();
        if self.is_writable.swap(is_writable, Ordering::Relaxed) != is_writable {
            match unwritable {
                Some(why) => tracing::error!(
                    why,
                    "nothing can be written any more: mail has to wait outside, what is here can be read"
                ),
                None => tracing::info!("the disk can be written again: mail is accepted"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_is_a_trouble_and_none_is_none() {
        let well = Signs { has_space: true, clock_is_trusted: true, ..Signs::default() };
        assert!(judge(&well).is_empty());
        let table = [
            (
                Signs { unwritable: Some("x".into()), has_space: false, ..well.clone() },
                Trouble::Unwritable("x".into()),
                true,
            ),
            (Signs { has_space: false, ..well.clone() }, Trouble::NoSpace, true),
            (
                Signs { has_space: false, is_short_of_files: true, ..well.clone() },
                Trouble::NoFiles,
                true,
            ),
            (Signs { damaged: 2, ..well.clone() }, Trouble::Damaged(2), false),
            (Signs { skipped: 1, ..well.clone() }, Trouble::Skipped(1), false),
            (Signs { clock_is_trusted: false, ..well.clone() }, Trouble::Clock, false),
            (Signs { update_was_not_kept: true, ..well.clone() }, Trouble::UpdateNotKept, false),
        ];
        for (signs, trouble, stops_mail) in table {
            assert_eq!(judge(&signs), std::slice::from_ref(&trouble));
            assert_eq!(trouble.stops_mail(), stops_mail);
        }
        let worst = Signs { unwritable: Some("x".into()), damaged: 1, ..Signs::default() };
        assert_eq!(judge(&worst)[0].name(), "unwritable");
    }
}
