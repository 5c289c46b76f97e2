//! What comes of a question.

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsError {
    /// The name does not exist.
    NoSuchName,
    /// The name exists and has nothing of this kind.
    NoData,
    /// No answer could be had now, or it was not proven although it must be.
    Temporary(String),
}

/// Records, and whether DNSSEC proved them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// In the order in which they came.
    pub records: Vec<T>,
    /// Whether every one was proven.
    pub is_proven: bool,
}

/// A TLSA record (RFC 6698 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// 2: a trust anchor, 3: the server's own certificate; others are not for mail (RFC 7672 §3.1.3).
    pub usage: u8,
    /// 0: the whole certificate, 1: its public key.
    pub selector: u8,
    /// 0: as it is, 1: SHA-256, 2: SHA-512.
    pub matching: u8,
    /// What is compared with the certificate or key, or with its hash.
    pub data: Vec<u8>,
}
