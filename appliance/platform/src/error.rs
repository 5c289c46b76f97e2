//! What can go wrong below the mail, in words an operator can act on.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The crate's one error type.
/// A reason is kept as its text: what failed is another library's, and nothing is decided on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A file or folder: what was done with it, nothing where the file's name says enough.
    #[error("{doing}{}{}: {why}", if doing.is_empty() { "" } else { " " }, path.display())]
    File { doing: &'static str, path: PathBuf, why: String },
    /// The settings file is empty, or holds zeros.
    #[error("{} is empty: write it anew (`pillarbox config example` prints one) or restore it from a backup", path.display())]
    EmptySettings { path: PathBuf },
    /// A setting of this file.
    #[error("{}: {wrong}", path.display())]
    InSettings { path: PathBuf, wrong: Box<Error> },
    /// A setting that can't work, as `section.key` or with its value.
    #[error("{setting}: {why}")]
    Setting { setting: String, why: &'static str },
    /// A number of the settings outside of its bounds.
    #[error("{setting} = {value}: must be {bounds}")]
    OutOfBounds { setting: &'static str, value: u64, bounds: String },
    /// A list of the settings that is too long.
    #[error("{setting}: {count} entries are too many; at most {most} are taken")]
    TooManyEntries { setting: &'static str, count: usize, most: usize },
    /// A file, a folder or an address that the settings name and that can't be used.
    #[error("{setting}: {wrong}")]
    Unusable { setting: &'static str, wrong: Box<Error> },
    /// Two services, or one twice, want the same port.
    #[error("{first} and {second} both have {address}: give each its own port")]
    PortTwice { first: &'static str, second: &'static str, address: SocketAddr },
    /// Ports of a test network on a box that takes the world's mail.
    #[error(
        "outbound.remote_port and outbound.https_port are for test networks, and listen.smtp has port 25: leave them at 25 and 443, or listen on another port"
    )]
    TestNetwork,
    #[error("{text:?} is not a name server; write it like \"192.168.1.1\"")]
    NotANameServer { text: String },
    #[error("{text:?} is no day or time; write it like 2026-11-23 or 2026-11-23T21:58:00Z")]
    NotATime { text: String },
    /// No service has an address.
    #[error(
        "nothing to listen on: every list in [listen] is empty, and systemd has handed over no socket"
    )]
    NothingToListenOn,
    /// An address can't be listened on; the hint says what to do, or is empty.
    #[error("listening on {address} for {service}: {why}{hint}")]
    Listening { address: SocketAddr, service: &'static str, why: String, hint: &'static str },
    /// A socket from systemd, by its place.
    #[error("taking over socket {index}: {why}")]
    Socket { index: usize, why: String },
    /// A socket from systemd that no service here has.
    #[error("socket {index} ({name:?}) is for no service known here")]
    UnknownSocket { index: usize, name: String },
    #[error("no random numbers: {why}")]
    NoRandomNumbers { why: String },
    #[error("sealing a secret failed")]
    Sealing,
    /// `secret.key` is another one than when the secret was sealed.
    #[error(
        "a secret in the store can't be opened: secret.key is not the one it was sealed with; enter it anew"
    )]
    WrongKey,
    /// The other side took too long.
    #[error("the TLS handshake took too long")]
    SlowHandshake,
    /// The other side, or what it showed, was not accepted.
    #[error("{why}")]
    Handshake { why: String },
    /// The settings name the certificate's files, so none can be installed.
    #[error("the certificate's files are set in pillarbox.toml")]
    CertificateIsSet,
    /// What was shown or stored is no certificate.
    #[error("{why}")]
    NotACertificate { why: String },
    /// What was begun could not be done.
    #[error("{doing}: {why}")]
    Failed { doing: &'static str, why: String },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Attaches what was done and the file.
    pub fn file<E: fmt::Display>(doing: &'static str, path: &Path) -> impl Fn(E) -> Error {
        let path = path.to_path_buf();
        move |why| Error::File { doing, path: path.clone(), why: why.to_string() }
    }

    /// Attaches the setting that names what can't be used.
    pub fn of_setting(setting: &'static str) -> impl Fn(Error) -> Error {
        move |wrong| Error::Unusable { setting, wrong: Box::new(wrong) }
    }

    /// Attaches what was done.
    pub fn failed<E: fmt::Display>(doing: &'static str) -> impl Fn(E) -> Error {
        move |why| Error::Failed { doing, why: why.to_string() }
    }
}

/// The command line says what happened and ends.
impl From<Error> for String {
    fn from(error: Error) -> String {
        error.to_string()
    }
}
