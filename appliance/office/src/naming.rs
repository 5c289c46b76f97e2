//! The box's name and its settings as they count: the file's, with what the owner chose where the file names nothing.

use pillarbox_platform::config::{Config, Live, is_host_name};
use pillarbox_platform::dns;
use pillarbox_platform::tls::Certificates;
use pillarbox_store::{Result, Store};
use pillarbox_vocabulary::Domain;

use crate::settings;

/// The settings of the file with the name the owner chose, where the file names none.
pub fn with_chosen_name(mut config: Config, store: &Store) -> Config {
    if config.hostname.is_empty() {
        match store.read(|r| r.setting(settings::HOSTNAME)) {
            // Earlier releases took names that can't stand in a greeting.
            Ok(Some(chosen)) => match host_name(&chosen) {
                Some(name) => config.hostname = name,
                None => tracing::error!(chosen, "the box's name is no domain name: choose another"),
            },
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the box's name can't be read"),
        }
    }
    config
}

/// What is typed as the box's name in the form that may stand in greetings (RFC 5321 §2.3.5): in ASCII, as it is
/// registered in the DNS.
/// `None` for what is no domain name.
pub fn host_name(typed: &str) -> Option<String> {
    let domain = Domain::parse(typed.trim()).ok().filter(|domain| !domain.is_literal())?;
    dns::registered(&domain).filter(|name| is_host_name(name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_a_name_that_may_stand_in_a_greeting() {
        for (typed, name) in [
            (" Mail.Example.org. ", Some("mail.example.org")),
            ("mäil.example", Some("xn--mil-qla.example")),
            ("box", Some("box")),
            ("my_box.example", None),
            ("192.0.2.1", None),
            ("[192.0.2.1]", None),
            ("a b", None),
            ("a\r\n250 evil", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(host_name(typed).as_deref(), name, "{typed:?}");
        }
    }
}
