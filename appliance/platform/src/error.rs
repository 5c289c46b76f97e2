//! What can go wrong below the mail, in words an operator can act on.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The crate's one error type.
/// A reason is kept as its text: what failed is another library's, and nothing is decided on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A file or folder: what was done with it, nothing where the file's name says enough.
    File {
        doing: &'static str,
        path: PathBuf,
        why: String,
    },
    /// The settings file is empty, or holds zeros.
    EmptySettings {
        path: PathBuf,
    },
    /// A setting of this file.
    InSettings {
        path: PathBuf,
        wrong: Box<Error>,
    },
    /// A setting that can't work, as `section.key` or with its value.
    Setting {
        setting: String,
        why: &'static str,
    },
    /// The same, with the least value that can.
    SettingTooSmall {
        setting: &'static str,
        value: u64,
        least: u64,
    },
    /// Ports of a test network on a box that takes the world's mail.
    TestNetwork,
    NotANameServer {
        text: String,
    },
    NotATime {
        text: String,
    },
    /// No service has an address.
    NothingToListenOn,
    /// An address can't be listened on; the hint says what to do, or is empty.
    Listening {
        address: SocketAddr,
        service: &'static str,
        why: String,
        hint: &'static str,
    },
    /// A socket from systemd, by its place.
    Socket {
        index: usize,
        why: String,
    },
    /// A socket from systemd that no service here has.
    UnknownSocket {
        index: usize,
        name: String,
    },
    NoRandomNumbers {
        why: String,
    },
    Sealing,
    /// `secret.key` is another one than when the secret was sealed.
    WrongKey,
    /// The other side took too long.
    SlowHandshake,
    /// The other side, or what it showed, was not accepted.
    Handshake {
        why: String,
    },
    /// The settings name the certificate's files, so none can be installed.
    CertificateIsSet,
    /// What was shown or stored is no certificate.
    NotACertificate {
        why: String,
    },
    /// What was begun could not be done.
    Failed {
        doing: &'static str,
        why: String,
    },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Attaches what was done and the file.
    pub fn file<E: fmt::Display>(doing: &'static str, path: &Path) -> impl Fn(E) -> Error {
        let path = path.to_path_buf();
        move |why| Error::File { doing, path: path.clone(), why: why.to_string() }
    }

    /// Attaches what was done.
    pub fn failed<E: fmt::Display>(doing: &'static str) -> impl Fn(E) -> Error {
        move |why| Error::Failed { doing, why: why.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File { doing: "", path, why } => write!(f, "{}: {why}", path.display()),
            Error::File { doing, path, why } => write!(f, "{doing} {}: {why}", path.display()),
            Error::EmptySettings { path } => {
                write!(f, "{} is empty: write it anew (`pillarbox config example` prints one) or restore it from a backup", path.display())
            }
            Error::InSettings { path, wrong } => write!(f, "{}: {wrong}", path.display()),
            Error::Setting { setting, why } => write!(f, "{setting}: {why}"),
            Error::SettingTooSmall { setting, value, least } => write!(f, "{setting} = {value}: must be at least {least}"),
            Error::TestNetwork => f.write_str(
                "outbound.remote_port and outbound.https_port are for test networks, and listen.smtp has port 25: \
                 leave them at 25 and 443, or listen on another port",
            ),
            Error::NotANameServer { text } => write!(f, "{text:?} is not a name server; write it like \"192.168.1.1\""),
            Error::NotATime { text } => write!(f, "{text:?} is no day or time; write it like 2026-11-23 or 2026-11-23T21:58:00Z"),
            Error::NothingToListenOn => f.write_str("nothing to listen on: every list in [listen] is empty"),
            Error::Listening { address, service, why, hint } => write!(f, "listening on {address} for {service}: {why}{hint}"),
            Error::Socket { index, why } => write!(f, "taking over socket {index}: {why}"),
            Error::UnknownSocket { index, name } => write!(f, "socket {index} ({name:?}) is for no service known here"),
            Error::NoRandomNumbers { why } => write!(f, "no random numbers: {why}"),
            Error::Sealing => f.write_str("sealing a secret failed"),
            Error::WrongKey => f.write_str("a secret in the store can't be opened: secret.key is not the one it was sealed with; enter it anew"),
            Error::SlowHandshake => f.write_str("the TLS handshake took too long"),
            Error::Handshake { why } | Error::NotACertificate { why } => f.write_str(why),
            Error::CertificateIsSet => f.write_str("the certificate's files are set in pillarbox.toml"),
            Error::Failed { doing, why } => write!(f, "{doing}: {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// The command line says what happened and ends.
impl From<Error> for String {
    fn from(error: Error) -> String {
        error.to_string()
    }
}
