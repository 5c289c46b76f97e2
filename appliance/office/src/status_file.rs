//! What the beacon reads: written anew while the server lives, so that its age is the server's pulse.

use pillarbox_host::StatusFile;
use pillarbox_host::status_file::KEPT;
use pillarbox_platform::config::Config;
use pillarbox_platform::tls::Certificates;
use pillarbox_store::{DeviceId, Store, off_thread};

use crate::claim;
use crate::condition::Condition;

/// Writes the status file, if there is a place for it.
/// Housekeeping calls this every [`pillarbox_host::status_file::PULSE`] seconds.
pub async fn write(
    settings: &Config,
    store: &Store,
    certificates: &Certificates,
    condition: &Condition,
) {
    let path = settings.board.clone();
    if path.as_os_str().is_empty() {
        return;
    }
    let owner = store.read_off_thread(|r| {
        let Some((account, _)) = r.accounts()?.into_iter().next() else { return Ok(None) };
        Ok(r.credentials(account)?
            .into_iter()
            .find(|(device, _)| *device == DeviceId::MAIN)
            .map(|(_, credential)| credential.hash))
    });
    let owner = match owner.await {
        Ok(owner) => owner,
        // A store that can't be read has no pulse.
        Err(error) => return tracing::error!(%error, "the beacon can't be told"),
    };
    let status_file = StatusFile {
        hostname: settings.hostname(),
        claim_code: if owner.is_none() { claim::current(&settings.data) } else { None },
        owner,
        fingerprint: certificates.facts().fingerprint,
        needs_attention: !condition.look().is_empty(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let kept = settings.data.join(KEPT);
    let written = off_thread(move || {
        // It says nothing of now, and is written when something of it changed.
        let lasting = StatusFile { needs_attention: false, ..status_file.clone() };
        let is_kept = StatusFile::read(&kept).is_some_and(|(known, _)| known == lasting);
        Ok(status_file
            .write(&path)
            .and_then(|()| if is_kept { Ok(()) } else { lasting.write(&kept) }))
    });
    if let Ok(Err(error)) = written.await {
        tracing::warn!(%error, "the beacon can't be told");
    }
}
