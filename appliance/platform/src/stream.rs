//! One connection, plain or under TLS, with a deadline on every wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pillarbox_proto::smtp::TlsFacts;
use rustls::{ClientConfig, CommonState, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::error::Error;

/// Octets read at once while a peer only talks, and while it sends a message.
const SMALL: usize = 1024;
const LARGE: usize = 32 * 1024;

/// How long a pause in a bulk may be before its buffer is let go.
const BULK_PAUSE: Duration = Duration::from_millis(250);

/// Why a conversation ended early.
/// The session's own reasons are reported to the peer; these can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The connection broke, or the peer spoke no proper TLS.
    Broken,
    /// The peer did not take our octets in time.
    Stalled,
    /// TLS did not come about.
    NoTls(TlsFault),
}

/// Why TLS did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The peer knows only versions that are no longer safe (RFC 8996).
    TooOld,
    /// It broke off, took too long, or spoke something else.
    Other,
}

impl TlsFault {
    fn of(error: &std::io::Error) -> TlsFault {
        use rustls::{Error, PeerIncompatible};
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
        let is_old = |cause: &PeerIncompatible| {
            use PeerIncompatible::{
                SignatureAlgorithmsExtensionRequired, Tls12NotOffered, Tls12NotOfferedOrEnabled,
            };
            // Versions before 1.2 had no such extension (RFC 5246 §7.4.1.4.1), and its absence is noticed first.
            matches!(
                cause,
                Tls12NotOffered | Tls12NotOfferedOrEnabled | SignatureAlgorithmsExtensionRequired
            )
        };
        match cause {
            Some(Error::PeerIncompatible(cause)) if is_old(cause) => TlsFault::TooOld,
            _ => TlsFault::Other,
        }
    }
}

/// What a connection's octets go through: TCP, or TLS over it.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send + Sync {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Io for T {}

/// A connection.
pub struct Stream {
    io: Box<dyn Io>,
    facts: Option<TlsFacts>,
    buffer: Vec<u8>,
    patience: Patience,
}

/// How long peers get.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To take what we send at once.
    pub send: Duration,
    /// For the whole TLS handshake.
    pub handshake: Duration,
}

impl Stream {
    /// A connection without TLS.
    pub fn plain(tcp: TcpStream, patience: Patience) -> Stream {
        Stream { io: Box::new(tcp), facts: None, buffer: Vec::new(), patience }
    }

    /// What TLS agreed on, if it is on.
    pub fn facts(&self) -> Option<TlsFacts> {
        self.facts.clone()
    }

    /// The bare transport, for a protocol with a driver of its own.
    pub fn into_io(self) -> Box<dyn Io> {
        self.io
    }

    /// Begins TLS; octets that came before and were not yet read belong to the handshake.
    pub async fn start_tls(self, config: Arc<ServerConfig>) -> Result<Stream, Ended> {
        let handshake = TlsAcceptor::from(config).accept(self.io);
        let tls = tokio::time::timeout(self.patience.handshake, handshake).await;
        let tls = tls
            .map_err(|_| Ended::NoTls(TlsFault::Other))?
            .map_err(|error| Ended::NoTls(TlsFault::of(&error)))?;
        let (_, connection) = tls.get_ref();
        let facts = facts(connection, connection.server_name().map(str::to_string));
        Ok(Stream {
            io: Box::new(tls),
            facts: Some(facts),
            buffer: Vec::new(),
            patience: self.patience,
        })
    }

    /// Begins TLS as the client; the error says in words what was wrong.
    pub async fn start_client_tls(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Stream, Error> {
        let handshake = TlsConnector::from(config).connect(name, self.io);
        let tls = tokio::time::timeout(self.patience.handshake, handshake).await;
        let tls = tls
            .map_err(|_| Error::SlowHandshake)?
            .map_err(|e| Error::Handshake { why: e.to_string() })?;
        let facts = facts(tls.get_ref().1, None);
        Ok(Stream {
            io: Box::new(tls),
            facts: Some(facts),
            buffer: Vec::new(),
            patience: self.patience,
        })
    }

    /// The next octets, at most `room`; `None` at the end of the connection, and an empty slice when the deadline has
    /// passed: the session then says what follows.
    pub async fn read(&mut self, room: usize, deadline: Instant) -> Result<Option<&[u8]>, Ended> {
        // A full buffer tells of bulk; a nearly empty one of talk.
        // Idle connections keep a small one.
        let wanted =
            if self.buffer.len() == self.buffer.capacity() && self.buffer.capacity() >= SMALL {
                LARGE
            } else if self.buffer.len() < SMALL / 2 {
                SMALL
            } else {
                self.buffer.capacity().max(SMALL)
            };
        if self.buffer.capacity() != wanted {
            self.buffer = Vec::with_capacity(wanted);
        }
        self.buffer.clear();
        // Who lets us wait in the middle of a bulk does not keep a large buffer meanwhile: there may be hundreds of
        // them.
        if wanted > SMALL {
            let soon = deadline.min(Instant::now() + BULK_PAUSE);
            let mut limited = (&mut self.io).take(room.clamp(1, wanted) as u64);
            match timeout_at(soon.into(), limited.read_buf(&mut self.buffer)).await {
                Ok(Err(_)) | Ok(Ok(0)) => return Ok(None),
                Ok(Ok(_)) => return Ok(Some(&self.buffer)),
                Err(_) => self.buffer = Vec::with_capacity(SMALL),
            }
        }
        let mut limited = (&mut self.io).take(room.clamp(1, SMALL) as u64);
        match timeout_at(deadline.into(), limited.read_buf(&mut self.buffer)).await {
            Err(_) => Ok(Some(&[])),
            Ok(Err(_)) | Ok(Ok(0)) => Ok(None),
            Ok(Ok(_)) => Ok(Some(&self.buffer)),
        }
    }

    /// Sends everything; [`Ended::Stalled`] when the peer does not take it in time, [`Ended::Broken`] when it is gone.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), Ended> {
        let sending = async {
            self.io.write_all(octets).await?;
            self.io.flush().await
        };
        let sent = tokio::time::timeout(self.patience.send, sending).await;
        sent.map_err(|_| Ended::Stalled)?.map_err(|_| Ended::Broken)
    }

    /// Says goodbye as the transport asks; the peer may be gone already.
    pub async fn close(&mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(5), self.io.shutdown()).await;
    }
}

fn facts(connection: &CommonState, server_name: Option<String>) -> TlsFacts {
    TlsFacts {
        version: match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS1.3".into(),
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS1.2".into(),
            other => format!("{other:?}"),
        },
        cipher: connection
            .negotiated_cipher_suite()
            .map_or_else(String::new, |s| format!("{:?}", s.suite())),
        server_name,
    }
}
