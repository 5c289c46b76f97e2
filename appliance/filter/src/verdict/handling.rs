//! What is done with messages that carry something harmful.

use super::{JUNK, REFUSE};
use crate::files::Danger;

/// Files that are treated alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// What runs, or leads to something that runs.
    Programs,
    /// Documents with programs in them.
    Macros,
    /// Pages and pictures with scripts.
    Pages,
    /// What opens with a password only, or is of a kind that is not looked into.
    Closed,
    /// More within than is looked through, and what is broken.
    Endless,
}

impl Group {
    pub const ALL: [Group; 5] =
        [Group::Programs, Group::Macros, Group::Pages, Group::Closed, Group::Endless];

    pub fn of(danger: Danger) -> Group {
        match danger {
            Danger::TestVirus
            | Danger::Program
            | Danger::Script
            | Danger::Shortcut
            | Danger::DiskImage
            | Danger::Installer
            | Danger::Notebook => Group::Programs,
            Danger::Macros => Group::Macros,
            Danger::ActivePage => Group::Pages,
            Danger::Locked | Danger::Closed => Group::Closed,
            Danger::Endless => Group::Endless,
        }
    }

    /// In settings, and as the end of the keys of texts.
    pub fn name(self) -> &'static str {
        match self {
            Group::Programs => "programs",
            Group::Macros => "macros",
            Group::Pages => "pages",
            Group::Closed => "closed",
            Group::Endless => "endless",
        }
    }

    /// What is done where nobody said otherwise: what an office sends each day comes with a warning.
    pub fn usual(self) -> Handling {
        match self {
            Group::Programs => Handling::Refuse,
            Group::Pages | Group::Endless => Handling::Junk,
            Group::Macros | Group::Closed => Handling::Warn,
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    Refuse,
    Junk,
    /// It is delivered, and its page says what it carries.
    Warn,
}

impl Handling {
    pub const ALL: [Handling; 3] = [Handling::Refuse, Handling::Junk, Handling::Warn];

    pub fn name(self) -> &'static str {
        match self {
            Handling::Refuse => "refuse",
            Handling::Junk => "junk",
            Handling::Warn => "warn",
        }
    }

    /// The weight of such a reason.
    pub fn weight(self) -> i32 {
        match self {
            Handling::Refuse => REFUSE,
            Handling::Junk => JUNK,
            Handling::Warn => 0,
        }
    }
}
