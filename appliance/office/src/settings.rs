//! What the owner chose, by name in the store.
//! Each name is here once, with what its text means.

use pillarbox_store::{Reader, Result, SetSetting, Store};

/// The box's name for other servers and mail programs, such as `mail.example.org`.
pub const HOSTNAME: &str = "hostname";
/// The steps of the set-up that are behind the owner, by name, with commas; missing on boxes set up from the command
/// line.
pub const SETUP: &str = "setup";
/// `acme` while the box gets its certificate by itself.
pub const CERTIFICATE: &str = "certificate";
/// The public address the last look at the line found.
pub const PUBLIC_ADDRESS: &str = "public-address";

/// What is done with messages that carry something harmful, where it is not the usual: `macros=refuse`, with spaces.
pub const FILES: &str = "harmful-files";
/// Domains that forward mail of others to the box and are trusted with it, with spaces.
pub const FORWARDERS: &str = "forwarders";
/// Senders whose mail is wanted, and those whose mail is not taken; words with blanks between them.
pub const ALLOWED: &str = "allowed";
pub const BANNED: &str = "banned";

/// The steps of the set-up after the owner's account, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Name,
    Line,
    Dns,
    Certificate,
    People,
    Test,
}

impl Step {
    pub const ALL: [Step; 6] =
        [Step::Name, Step::Line, Step::Dns, Step::Certificate, Step::People, Step::Test];

    /// In the store, and as part of the texts' keys.
    pub fn name(self) -> &'static str {
        match self {
            Step::Name => "name",
            Step::Line => "line",
            Step::Dns => "dns",
            Step::Certificate => "certificate",
            Step::People => "people",
            Step::Test => "test",
        }
    }

    /// The page of the step: the same one that the owner uses later.
    pub fn page(self) -> &'static str {
        match self {
            Step::Name => "/name",
            Step::Line => "/line",
            Step::Dns => "/domains",
            Step::Certificate => "/certificate",
            Step::People => "/people",
            Step::Test => "/round",
        }
    }

    pub fn parse(name: &str) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// How far the set-up is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    done: Vec<Step>,
}

impl Progress {
    /// Reads the progress; `None` when there is no set-up to be gone through.
    pub fn read(reader: &Reader) -> Result<Option<Progress>> {
        Ok(reader
            .setting(SETUP)?
            .map(|text| Progress::parse(&text))
            .filter(|progress| progress.next().is_some()))
    }

    fn parse(text: &str) -> Progress {
        Progress { done: text.split(',').filter_map(Step::parse).collect() }
    }

    fn text(&self) -> String {
        self.done.iter().map(|step| step.name()).collect::<Vec<_>>().join(",")
    }

    pub fn is_done(&self, step: Step) -> bool {
        self.done.contains(&step)
    }

    /// The first step that is not done.
    pub fn next(&self) -> Option<Step> {
        Step::ALL.into_iter().find(|step| !self.is_done(*step))
    }

    /// The same with a step behind it.
    pub fn with(mut self, step: Step) -> Progress {
        if !self.is_done(step) {
            self.done.push(step);
        }
        self
    }

    /// The change that keeps it.
    pub fn change(&self) -> SetSetting {
        SetSetting { key: SETUP.into(), value: Some(self.text()) }
    }
}

/// Sets or takes back a choice; blocks.
pub fn set(store: &Store, key: &str, value: Option<String>) -> Result<()> {
    store.change(SetSetting { key: key.into(), value }).wait().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_taken_in_order_and_unknown_ones_do_no_harm() {
        let progress = Progress::parse("name,from-a-later-release,dns");
        assert_eq!(progress.next(), Some(Step::Line));
        assert!(progress.is_done(Step::Dns) && !progress.is_done(Step::People));
        assert_eq!(progress.clone().with(Step::Dns), progress);
        assert_eq!(
            Progress::parse(&progress.with(Step::Line).text()).next(),
            Some(Step::Certificate)
        );
        let all = Step::ALL.into_iter().fold(Progress::default(), Progress::with);
        assert_eq!(Progress::parse(&all.text()).next(), None);
    }
}
