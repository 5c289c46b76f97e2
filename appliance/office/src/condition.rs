//! How the box is: one look for the home page, `/health`, the light and the metrics, so that all of them say the same.

use pillarbox_platform::clock;

use crate::context::Context;
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
    pub clock_is_trusted: bool,
    pub update_was_not_kept: bool,
}

/// What is wrong, the worst first.
pub fn judge(signs: &Signs) -> Vec<Trouble> {
    let mut troubles: Vec<Trouble> = signs.unwritable.iter().map(|why| Trouble::Unwritable(why.clone())).collect();
    if !signs.has_space && signs.unwritable.is_none() {
        troubles.push(if signs.is_short_of_files { Trouble::NoFiles } else { Trouble::NoSpace });
    }
    if signs.damaged > 0 {
        troubles.push(Trouble::Damaged(signs.damaged));
    }
    if !signs.clock_is_trusted {
        troubles.push(Trouble::Clock);
    }
    if signs.update_was_not_kept {
        troubles.push(Trouble::UpdateNotKept);
    }
    troubles
}

/// Looks at the box. Touches the disk lightly.
pub fn look(context: &Context) -> Vec<Trouble> {
    let disk = pillarbox_store::Disk::of(&context.settings().data).unwrap_or_default();
    judge(&Signs {
        unwritable: context.store.unwritable(),
        has_space: context.has_space(),
        is_short_of_files: disk.is_short_of_files(),
        damaged: context.store.damaged().len(),
        clock_is_trusted: clock::is_trusted(),
        update_was_not_kept: update::not_kept(&context.settings().updates).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_is_a_trouble_and_none_is_none() {
        let well = Signs { has_space: true, clock_is_trusted: true, ..Signs::default() };
        assert!(judge(&well).is_empty());
        let table = [
            (Signs { unwritable: Some("x".into()), has_space: false, ..well.clone() }, Trouble::Unwritable("x".into()), true),
            (Signs { has_space: false, ..well.clone() }, Trouble::NoSpace, true),
            (Signs { has_space: false, is_short_of_files: true, ..well.clone() }, Trouble::NoFiles, true),
            (Signs { damaged: 2, ..well.clone() }, Trouble::Damaged(2), false),
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
