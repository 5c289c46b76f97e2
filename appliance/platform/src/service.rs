//! The services of a server: their names, listen addresses, and how a connection to one begins.

use std::net::SocketAddr;

use crate::config::Config;
use crate::connections::Purpose;

/// A service by its listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Mail from other servers (RFC 5321).
    Smtp,
    /// Mail from people's programs, with STARTTLS (RFC 6409).
    Submission,
    /// The same under TLS from the start (RFC 8314 §3.3).
    Submissions,
    /// Fetching mail, with STLS (RFC 1939, RFC 2595).
    Pop3,
    /// The same under TLS from the start (RFC 8314 §3.1).
    Pop3s,
    /// The pages in the office.
    Http,
    /// The pages under TLS.
    Https,
}

impl Service {
    /// All services, in the order of their keys in `[listen]`.
    pub const ALL: [Service; 7] = [
        Service::Smtp,
        Service::Submission,
        Service::Submissions,
        Service::Pop3,
        Service::Pop3s,
        Service::Http,
        Service::Https,
    ];

    /// The name in `[listen]`, in systemd's FileDescriptorName= and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Service::Smtp => "smtp",
            Service::Submission => "submission",
            Service::Submissions => "submissions",
            Service::Pop3 => "pop3",
            Service::Pop3s => "pop3s",
            Service::Http => "http",
            Service::Https => "https",
        }
    }

    /// Where it listens by the settings; empty where it is switched off.
    pub fn addresses(self, config: &Config) -> &[SocketAddr] {
        match self {
            Service::Smtp => &config.listen.smtp,
            Service::Submission => &config.listen.submission,
            Service::Submissions => &config.listen.submissions,
            Service::Pop3 => &config.listen.pop3,
            Service::Pop3s => &config.listen.pop3s,
            Service::Http => &config.listen.http,
            Service::Https => &config.listen.https,
        }
    }

    /// What its connections are counted as.
    pub fn purpose(self) -> Purpose {
        match self {
            Service::Smtp => Purpose::Relay,
            Service::Submission | Service::Submissions => Purpose::Submission,
            Service::Pop3 | Service::Pop3s => Purpose::Pop3,
            Service::Http | Service::Https => Purpose::Pages,
        }
    }

    /// Whether TLS comes before the first octet of the protocol.
    pub fn starts_with_tls(self) -> bool {
        matches!(self, Service::Submissions | Service::Pop3s | Service::Https)
    }
}
