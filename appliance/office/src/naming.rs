//! The box's name and its settings as they count: the file's, with what the owner chose where the file names nothing.

use pillarbox_platform::config::{Config, Live};
use pillarbox_platform::tls::Certificates;
use pillarbox_store::{Result, Store};

use crate::settings;

/// The settings of the file with the name the owner chose, where the file names none.
pub fn with_chosen_name(mut config: Config, store: &Store) -> Config {
    if config.hostname.is_empty() {
        match store.read(|r| r.setting(settings::HOSTNAME)) {
            Ok(chosen) => config.hostname = chosen.unwrap_or_default(),
            Err(error) => tracing::error!(%error, "the box's name can't be read"),
        }
    }
    config
}

/// Takes new settings; addresses and sizes of pools stay as they were at the start.
pub fn reload(live: &Live, store: &Store, config: Config) {
    live.set(with_chosen_name(config, store));
}

/// Gives the box another name, at once and from now on.
/// Blocks.
pub fn rename(
    live: &Live,
    store: &Store,
    certificates: &Certificates,
    hostname: &str,
) -> Result<()> {
    settings::set(store, settings::HOSTNAME, Some(hostname.to_string()))?;
    let config = Config { hostname: hostname.to_string(), ..Config::clone(&live.get()) };
    let names = certificate_names(&config);
    live.set(config);
    if let Err(error) = certificates.rename(&names) {
        tracing::error!(%error, "the self-signed certificate keeps the old name");
    }
    Ok(())
}

/// The names that a self-signed certificate is made for.
pub fn certificate_names(config: &Config) -> Vec<String> {
    let mut names = vec![
        config.hostname(),
        "pillarbox.local".into(),
        "localhost".into(),
        "127.0.0.1".into(),
        "::1".into(),
    ];
    names.sort();
    names.dedup();
    names
}
