//! The status file, by which the beacon knows the server: a small file in memory, written anew while the server lives.
//! Its age is the server's pulse.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Where it is on the box.
pub const STATUS_FILE: &str = "/run/pillarbox/board.json";
/// Its copy in the data folder.
/// A start puts it where the beacon reads, so old that it is no pulse (`systemd/bin/firstboot`): the rescue page must
/// know its owner also when the server has not run since.
pub const KEPT: &str = "board.json";
/// Beside the status file while the server does not run, until it does.
/// It contains the reason, if that is not the server.
pub const STOPPED: &str = "stopped";
/// That reason when the data partition can't be used.
pub const NO_DATA: &str = "no-data";
/// Seconds between two writings; a file three times as old has no living writer.
pub const PULSE: u64 = 15;

/// What it contains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusFile {
    pub hostname: String,
    /// Only while the box is unclaimed.
    pub claim_code: Option<String>,
    /// The owner's password as a PHC string, for the rescue page; none while the box is unclaimed.
    pub owner: Option<String>,
    /// SHA-256 of the certificate, as browsers show it.
    pub fingerprint: String,
    /// Something needs the owner.
    pub needs_attention: bool,
    pub version: String,
}

impl StatusFile {
    /// Writes it beside the old one and puts it in its place, so that it is never read half.
    /// Readable by its folder's group.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let beside = path.with_extension("new");
        let _ = std::fs::remove_file(&beside);
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(&beside)?;
        file.write_all(&serde_json::to_vec(self).map_err(std::io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    }

    /// Reads it with its age in seconds; `None` when there is none that can be understood.
    pub fn read(path: &Path) -> Option<(StatusFile, u64)> {
        let age =
            std::fs::metadata(path).ok()?.modified().ok()?.elapsed().map_or(0, |age| age.as_secs());
        let text = std::fs::read(path).ok()?;
        Some((serde_json::from_slice(&text).ok()?, age))
    }
}
