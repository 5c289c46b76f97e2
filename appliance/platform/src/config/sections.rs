//! The sections of the settings file, with the default of each key.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use pillarbox_vocabulary::AddressBlock;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::memory::{self, InFlight};

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
        junk_days: u64 = 30,
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

impl Limits {
    /// How much memory there is for mail on its way, on this machine.
    pub fn in_flight(&self) -> InFlight {
        InFlight::of(self.octets_in_flight, memory::of_machine())
    }
}
