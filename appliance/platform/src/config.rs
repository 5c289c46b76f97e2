//! `pillarbox.toml`: what belongs to the machine.
//! Settings that the owner makes are in the store.

mod bounds;
mod judge;
mod live;
mod sections;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pillarbox_host::net;

use crate::error::{Error, Result};
pub use bounds::{Bound, Unit, Zero, bounds};
pub use judge::{is_host_name, listen_key};
pub use live::{Derived, Live};
pub use sections::{
    Acme, Config, Dns, DnsServer, Ipv6, Limits, Line, Listen, Log, Login, Outbound, Retention,
    StoreLimits, Timeouts, Tls, Trust, Web,
};

/// The example file: every key, its default and why.
/// A test keeps it equal to [`Config::default`].
pub const EXAMPLE: &str = include_str!("../pillarbox.example.toml");
/// Where the file is looked for when none is named.
pub const DEFAULT_PATH: &str = "/etc/pillarbox/pillarbox.toml";

impl Config {
    /// Reads a file; the error names the file, the line and the key.
    pub fn read(path: &Path) -> Result<Config> {
        let text = std::fs::read_to_string(path).map_err(Error::file("reading", path))?;
        // All defaults would be another data folder and the real ports, which is not what an empty file is meant for.
        // A crash while the file was written leaves one that is empty, or of zeros.
        if text.chars().all(|c| c.is_whitespace() || c == '\0') {
            return Err(Error::EmptySettings { path: path.to_path_buf() });
        }
        let config: Config = toml::from_str(&text).map_err(Error::file("", path))?;
        config.judge().map_err(|wrong| Error::InSettings {
            path: path.to_path_buf(),
            wrong: Box::new(wrong),
        })?;
        Ok(config)
    }

    /// The name the box gives itself.
    pub fn hostname(&self) -> String {
        if !self.hostname.is_empty() {
            return self.hostname.clone();
        }
        // A name for other servers has a dot; of a machine without a domain, the one that it is found by in the office.
        let machine = net::machine_name();
        match net::local_name() {
            _ if machine.contains('.') && is_host_name(&machine) => machine,
            Some(name) => format!("{name}.local"),
            None => "pillarbox.local".into(),
        }
    }

    /// Certificate and key files.
    pub fn tls_files(&self) -> (PathBuf, PathBuf) {
        let or = |path: &PathBuf, name: &str| match path.as_os_str().is_empty() {
            true => self.data.join("tls").join(name),
            false => path.clone(),
        };
        (or(&self.tls.certificate, "cert.pem"), or(&self.tls.key, "key.pem"))
    }

    /// Where a certificate from an authority is; `None` where the settings name the files.
    pub fn issued_file(&self) -> Option<PathBuf> {
        self.tls
            .certificate
            .as_os_str()
            .is_empty()
            .then(|| self.data.join("tls").join("issued.pem"))
    }
}

/// Seconds as a duration.
pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[cfg(test)]
mod tests {
    use pillarbox_vocabulary::AddressBlock;

    use super::*;

    #[test]
    fn the_example_shows_every_key_with_its_default() {
        assert_eq!(toml::from_str::<Config>(EXAMPLE).unwrap(), Config::default());
        let example: toml::Table = EXAMPLE.parse().unwrap();
        let default = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(example, default);
    }

    #[test]
    fn unknown_and_unusable_keys_are_refused_by_name_and_place() {
        let error =
            toml::from_str::<Config>("[limits]\nmesage_octets = 5\n").unwrap_err().to_string();
        assert!(error.contains("mesage_octets") && error.contains("line 2"), "{error}");
        let error =
            toml::from_str::<Config>("[trust]\nnetworks = [\"home\"]\n").unwrap_err().to_string();
        assert!(error.contains("not a network"), "{error}");
        let config = Config {
            limits: Limits { message_octets: 5, ..Limits::default() },
            ..Config::default()
        };
        assert!(config.judge().unwrap_err().to_string().contains("limits.message_octets"));
        let mut config = Config::default();
        config.outbound.remote_port = 2525;
        assert!(config.judge().unwrap_err().to_string().contains("test networks"));
        config.listen.smtp = vec!["127.0.0.1:2525".parse().unwrap()];
        config.judge().unwrap();
    }

    #[test]
    fn an_empty_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pillarbox.toml");
        for text in ["", " \n\n", "\0\0\0\0"] {
            std::fs::write(&path, text).unwrap();
            let error = Config::read(&path).unwrap_err();
            assert!(error.to_string().contains("pillarbox.toml is empty"), "{error}");
        }
        std::fs::write(&path, "# nothing but a remark\n").unwrap();
        assert_eq!(Config::read(&path).unwrap(), Config::default());
    }

    #[test]
    fn networks_contain_what_they_say() {
        let net = |text: &str| AddressBlock::try_from(text.to_string()).unwrap();
        assert!(net("192.168.1.0/24").contains("192.168.1.77".parse().unwrap()));
        assert!(net("192.168.1.0/24").contains("::ffff:192.168.1.77".parse().unwrap()));
        assert!(!net("192.168.1.0/24").contains("192.168.2.1".parse().unwrap()));
        assert!(net("fd00::/8").contains("fd12::1".parse().unwrap()));
        assert!(!net("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(net("10.0.0.1").contains("10.0.0.1".parse().unwrap()));
    }
}
