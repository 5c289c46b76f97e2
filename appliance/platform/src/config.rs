//! `pillarbox.toml`: what belongs to the machine.
//! Settings the owner makes live in the store.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use pillarbox_host::net;
use pillarbox_vocabulary::AddressBlock;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The example file: every key, its default and why.
/// A test keeps it equal to [`Config::default`].
pub const EXAMPLE: &str = include_str!("../pillarbox.example.toml");
/// Where the file is looked for when none is named.
pub const DEFAULT_PATH: &str = "/etc/pillarbox/pillarbox.toml";

/// Declares a section with its defaults; keys it does not know are refused.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $(pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }
    };
}

section!(
    /// The whole file.
    /// The example file documents every key.
    Config {
        hostname: String = String::new(),
        sub_addresses: bool = true,
        data: PathBuf = PathBuf::from("/var/lib/pillarbox"),
        board: PathBuf = PathBuf::new(),
        privop: PathBuf = PathBuf::new(),
        updates: PathBuf = PathBuf::new(),
        listen: Listen = Listen::default(),
        tls: Tls = Tls::default(),
        dns: Dns = Dns::default(),
        trust: Trust = Trust::default(),
        outbound: Outbound = Outbound::default(),
        web: Web = Web::default(),
        acme: Acme = Acme::default(),
        line: Line = Line::default(),
        store: StoreLimits = StoreLimits::default(),
        limits: Limits = Limits::default(),
        timeouts: Timeouts = Timeouts::default(),
        login: Login = Login::default(),
        retention: Retention = Retention::default(),
        log: Log = Log::default(),
    }
);

section!(
    /// Listen addresses per service.
    Listen {
        smtp: Vec<SocketAddr> = any(25),
        submission: Vec<SocketAddr> = any(587),
        submissions: Vec<SocketAddr> = any(465),
        pop3: Vec<SocketAddr> = any(110),
        pop3s: Vec<SocketAddr> = any(995),
        http: Vec<SocketAddr> = any(80),
        https: Vec<SocketAddr> = any(443),
    }
);

section!(
    /// Certificate files.
    Tls {
        certificate: PathBuf = PathBuf::new(),
        key: PathBuf = PathBuf::new(),
    }
);

section!(
    /// Name resolution.
    Dns {
        servers: Vec<DnsServer> = Vec::new(),
        deadline: u64 = 10,
        dnssec: bool = true,
        trust_anchor: PathBuf = PathBuf::new(),
    }
);

section!(
    /// Mail to other servers.
    Outbound {
        hold: bool = false,
        retry: Vec<u64> = vec![60, 180, 600, 1800, 3600, 7200, 14_400],
        lifetime: u64 = 5 * 86_400,
        warn_after: u64 = 4 * 3600,
        connections: usize = 16,
        connections_per_destination: usize = 4,
        messages_per_connection: usize = 100,
        recipients_per_message: usize = 100,
        daily_recipients: u32 = 500,
        connect: u64 = 30,
        greeting: u64 = 300,
        command: u64 = 300,
        data: u64 = 120,
        final_reply: u64 = 600,
        ipv6: Ipv6 = Ipv6::AfterIpv4,
        mta_sts: bool = true,
        dane: bool = true,
        roots: PathBuf = PathBuf::new(),
        remote_port: u16 = 25,
        https_port: u16 = 443,
    }
);

/// When IPv6 is used for mail to other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6 {
    Off,
    AfterIpv4,
    First,
}

section!(
    /// Networks with privileges.
    Trust {
        networks: Vec<AddressBlock> = Vec::new(),
    }
);

section!(
    /// The pages.
    Web {
        from_everywhere: bool = false,
        owner_from_everywhere: bool = false,
        session_hours: u64 = 12,
    }
);

section!(
    /// The authority that certificates come from.
    Acme {
        directory: String = "https://acme-v02.api.letsencrypt.org/directory".into(),
        terms: String = "https://letsencrypt.org/repository/".into(),
    }
);

section!(
    /// Looking at the line.
    Line {
        probes: Vec<String> = vec!["gmail.com".into(), "outlook.com".into(), "yahoo.com".into()],
        lists: Vec<String> = vec!["zen.spamhaus.org".into(), "bl.spamcop.net".into()],
    }
);

section!(
    /// Bounds of the store.
    StoreLimits {
        max_octets: u64 = 0,
        reserve_octets: u64 = 64 << 20,
        batch_messages: usize = 256,
        batch_octets: usize = 4 << 20,
    }
);

section!(
    /// Bounds of what peers can do.
    Limits {
        message_octets: u64 = 50 << 20,
        recipients: usize = 1000,
        messages: u32 = 10_000,
        errors: u32 = 20,
        commands: u32 = 1000,
        command_line: usize = 2048,
        received_fields: u32 = 50,
        connections: usize = 2000,
        connections_per_address: usize = 50,
        octets_in_flight: usize = 0,
        failed_logins: u32 = 3,
        password_checks: usize = 1,
    }
);

section!(
    /// Time-outs in seconds.
    Timeouts {
        smtp_command: u64 = 300,
        smtp_data: u64 = 180,
        send: u64 = 300,
        tls_handshake: u64 = 60,
        pop3_idle: u64 = 600,
        pop3_login: u64 = 60,
        shutdown: u64 = 20,
    }
);

section!(
    /// Login throttling.
    Login {
        failures: u32 = 10,
        wait: u64 = 60,
        remember: u64 = 600,
        delay: u64 = 0,
    }
);

section!(
    /// How long things are kept.
    Retention {
        trash_days: u64 = 30,
        ledger_days: u64 = 365,
        ledger_octets: u64 = 0,
    }
);

section!(
    /// Logging.
    Log {
        level: String = "info".into(),
    }
);

fn any(port: u16) -> Vec<SocketAddr> {
    vec![SocketAddr::new(IpAddr::from([0u16; 8]), port)]
}

/// A name server: `address` (port 53) or `address:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsServer(pub SocketAddr);

impl TryFrom<String> for DnsServer {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        let address =
            text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53)));
        address.map(DnsServer).map_err(|_| Error::NotANameServer { text: text.clone() })
    }
}

impl From<DnsServer> for String {
    fn from(server: DnsServer) -> String {
        server.0.to_string()
    }
}

impl Config {
    /// Reads a file; the error names the file, the line and the key.
    pub fn read(path: &Path) -> Result<Config> {
        let text = std::fs::read_to_string(path).map_err(Error::file("reading", path))?;
        // All defaults would be another data folder and the real ports: nobody means that by an empty file, but a crash
        // while it was written leaves one, or one of zeros.
        if text.chars().all(|c| c.is_whitespace() || c == '\0') {
            return Err(Error::EmptySettings { path: path.to_path_buf() });
        }
        let config: Config = toml::from_str(&text).map_err(Error::file("", path))?;
        config.check().map_err(|wrong| Error::InSettings {
            path: path.to_path_buf(),
            wrong: Box::new(wrong),
        })?;
        Ok(config)
    }

    /// Values that parse but can't work.
    fn check(&self) -> Result<()> {
        let at_least = |setting: &'static str, value: u64, least: u64| match value < least {
            true => Err(Error::SettingTooSmall { setting, value, least }),
            false => Ok(()),
        };
        at_least("limits.message_octets", self.limits.message_octets, 64 * 1024)?;
        at_least("limits.recipients", self.limits.recipients as u64, 100)?;
        at_least("limits.command_line", self.limits.command_line as u64, 512)?;
        if self.limits.octets_in_flight > 0 {
            at_least("limits.octets_in_flight", self.limits.octets_in_flight as u64, 1 << 20)?;
        }
        at_least("limits.connections", self.limits.connections as u64, 1)?;
        at_least("limits.connections_per_address", self.limits.connections_per_address as u64, 1)?;
        at_least("limits.password_checks", self.limits.password_checks as u64, 1)?;
        at_least("timeouts.smtp_command", self.timeouts.smtp_command, 1)?;
        at_least("timeouts.pop3_idle", self.timeouts.pop3_idle, 1)?;
        at_least("store.batch_messages", self.store.batch_messages as u64, 1)?;
        at_least("dns.deadline", self.dns.deadline, 1)?;
        at_least("outbound.connections", self.outbound.connections as u64, 1)?;
        at_least(
            "outbound.connections_per_destination",
            self.outbound.connections_per_destination as u64,
            1,
        )?;
        at_least(
            "outbound.messages_per_connection",
            self.outbound.messages_per_connection as u64,
            1,
        )?;
        at_least(
            "outbound.recipients_per_message",
            self.outbound.recipients_per_message as u64,
            1,
        )?;
        if self.outbound.retry.is_empty() || self.outbound.retry.contains(&0) {
            return Err(Error::Setting {
                setting: "outbound.retry".into(),
                why: "needs at least one interval, and none may be 0",
            });
        }
        self.check_test_network(self.listen.smtp.iter().any(|address| address.port() == 25))?;
        if self.limits.message_octets > u64::from(u32::MAX) / 2 {
            return Err(Error::Setting {
                setting: "limits.message_octets".into(),
                why: "must be below 2 GiB",
            });
        }
        Ok(())
    }

    /// Other ports than the world's are for test networks; a box that takes the world's mail must not have them.
    pub fn check_test_network(&self, takes_public_mail: bool) -> Result<()> {
        let is_test = self.outbound.remote_port != 25 || self.outbound.https_port != 443;
        match is_test && takes_public_mail {
            true => Err(Error::TestNetwork),
            false => Ok(()),
        }
    }

    /// The name the box gives itself.
    pub fn hostname(&self) -> String {
        if !self.hostname.is_empty() {
            return self.hostname.clone();
        }
        // A name for other servers has a dot; of a machine without a domain, the one that it is found by in the office.
        let machine = net::machine_name();
        match net::local_name() {
            _ if machine.contains('.') => machine,
            Some(name) => format!("{name}.local"),
            None if machine.is_empty() => "pillarbox.local".into(),
            None => format!("{machine}.local"),
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

    /// Where a certificate from an authority lies; `None` where the settings name the files.
    pub fn issued_file(&self) -> Option<PathBuf> {
        self.tls
            .certificate
            .as_os_str()
            .is_empty()
            .then(|| self.data.join("tls").join("issued.pem"))
    }
}

/// The settings in use, shared by all who look at them.
/// Other ones may take their place while the server runs; listen addresses and sizes of pools stay as they were at the
/// start.
#[derive(Clone)]
pub struct Live(Arc<RwLock<Arc<Config>>>);

impl Live {
    pub fn new(config: Config) -> Live {
        Live(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// The settings as they are now.
    pub fn get(&self) -> Arc<Config> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other settings for whoever looks from now on.
    pub fn set(&self, config: Config) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

/// Something made from the settings, and made anew only after they changed.
pub struct Derived<T>(Mutex<Option<(Arc<Config>, Arc<T>)>>);

impl<T> Default for Derived<T> {
    fn default() -> Self {
        Derived(Mutex::default())
    }
}

impl<T> Derived<T> {
    /// What `make` makes of these settings.
    pub fn of(&self, config: &Arc<Config>, make: impl FnOnce(&Config) -> T) -> Arc<T> {
        let mut made = self.0.lock().unwrap_or_else(|e| e.into_inner());
        match &*made {
            Some((from, known)) if Arc::ptr_eq(from, config) => known.clone(),
            _ => {
                let new = Arc::new(make(config));
                *made = Some((config.clone(), new.clone()));
                new
            }
        }
    }
}

/// Seconds as a duration.
pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[cfg(test)]
mod tests {
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
        assert!(config.check().unwrap_err().to_string().contains("limits.message_octets"));
        let mut config = Config::default();
        config.outbound.remote_port = 2525;
        assert!(config.check().unwrap_err().to_string().contains("test networks"));
        config.listen.smtp = vec!["127.0.0.1:2525".parse().unwrap()];
        config.check().unwrap();
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
