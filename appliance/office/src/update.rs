//! An update that was tried and not kept: the system before it leaves word of it beside the updates
//! (`systemd/bin/fall-back`).

use std::path::{Path, PathBuf};

/// Its name in the folder for updates, and the lines of it that are shown.
const FILE: &str = "fell-back";
const LINES: usize = 12;

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotKept {
    /// The system's own name, such as `pillarbox-0.2.0-rpi64`.
    pub system: String,
    /// What its rehearsal said, the last line at the end.
    pub said: Vec<String>,
}

fn place(updates: &Path) -> Option<PathBuf> {
    (!updates.as_os_str().is_empty()).then(|| updates.join(FILE))
}

/// The update that was not kept, until another one is or the owner has seen it.
pub fn not_kept(updates: &Path) -> Option<NotKept> {
    let text = std::fs::read(place(updates)?).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(|line| line.chars().take(300).collect::<String>());
    Some(NotKept { system: lines.next()?, said: lines.take(LINES).collect() })
}

/// Removes bundles that were left lying: by a start in the middle of taking one in, or by a browser that left.
pub fn sweep(updates: &Path) {
    if updates.as_os_str().is_empty() {
        return;
    }
    let Ok(files) = std::fs::read_dir(updates) else { return };
    for path in files
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "raucb"))
    {
        match std::fs::remove_file(&path) {
            Ok(()) => {
                tracing::info!(path = %path.display(), "an update that was left lying is removed")
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "an update that was left lying stays")
            }
        }
    }
}

/// The owner has seen it.
pub fn forget(updates: &Path) {
    if let Some(path) = place(updates) {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_read_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(not_kept(folder.path()), None);
        std::fs::write(
            folder.path().join(FILE),
            "pillarbox-2 x\nok    Taken\nFAILED Fetching: no answer\n",
        )
        .unwrap();
        let found = not_kept(folder.path()).unwrap();
        assert_eq!(
            (found.system.as_str(), found.said.len(), found.said[1].as_str()),
            ("pillarbox-2 x", 2, "FAILED Fetching: no answer")
        );
        forget(folder.path());
        assert_eq!((not_kept(folder.path()), not_kept(Path::new(""))), (None, None));
        std::fs::write(folder.path().join("pillarbox-3.raucb"), "half").unwrap();
        std::fs::write(folder.path().join(FILE), "x\n".repeat(1000)).unwrap();
        sweep(folder.path());
        sweep(Path::new(""));
        assert!(
            !folder.path().join("pillarbox-3.raucb").exists() && folder.path().join(FILE).exists()
        );
        assert_eq!(not_kept(folder.path()).unwrap().said.len(), LINES);
    }
}
